//! The one source of time. On a real site a second is a second; in a lab the same lines run at its speed.
//!
//! Built on tokio's clock, so tests run on paused time.
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A clock that reads `origin + (elapsed since start) x speed`.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Timestamp,
    started: tokio::time::Instant,
    speed: f64,
    wall: Option<Wall>,
}

/// The time of this machine's clock. People, NTP and a sleep move it; the run's own time goes on evenly.
#[derive(Clone)]
struct Wall(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wall")
    }
}

impl Clock {
    /// The wall clock at normal speed.
    pub fn real() -> Self {
        Clock { origin: Timestamp::now(), started: tokio::time::Instant::now(), speed: 1.0, wall: None }
    }

    /// [`Clock::real`], beside this machine's clock as it is at each moment.
    pub fn of_machine() -> Self {
        Clock::real().beside(Timestamp::now)
    }

    /// This clock, which also knows what `wall` says meanwhile. Waits, bands and the times of records stay with the even
    /// time: a wall clock that jumps makes nothing late, nothing early and no duration negative.
    #[must_use]
    pub fn beside(mut self, wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.wall = Some(Wall(Arc::new(wall)));
        self
    }

    /// The date by the wall clock, where that is known. For certificates, and beside what other machines date; never for
    /// durations.
    pub fn date(&self) -> Timestamp {
        self.wall.as_ref().map_or_else(|| self.now(), |wall| wall.0())
    }

    /// The time by which the wall clock is ahead of this one, negative when it is behind: its jumps since the start,
    /// and the time that the machine slept.
    pub fn moved(&self) -> SignedDuration {
        self.date().duration_since(self.now())
    }

    /// A clock that read `origin` at the wall time `wall_start` and runs `speed` times as fast.
    /// Two processes given the same three values read the same time. `speed` is clamped to 0.001..=100000.
    pub fn scaled(origin: Timestamp, wall_start: SystemTime, speed: f64) -> Self {
        let speed = if speed.is_finite() { speed.clamp(0.001, 100_000.0) } else { 1.0 };
        let since = SystemTime::now().duration_since(wall_start).unwrap_or_default();
        let origin = add(origin, since.mul_f64(speed));
        Clock { origin, started: tokio::time::Instant::now(), speed, wall: None }
    }

    /// The text from which [`Clock::of_spec`] makes the same clock in another process: `ORIGIN,WALL_MS,SPEED`. `None`
    /// for a clock that goes as the wall does.
    pub fn spec(&self) -> Option<String> {
        if self.wall.is_some() {
            return None;
        }
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (here, there) = (self.now(), Timestamp::now());
        let apart = between(here, there).max(between(there, here));
        let is_the_wall = (self.speed - 1.0).abs() < f64::EPSILON && apart < Duration::from_secs(1);
        (!is_the_wall).then(|| format!("{},{},{}", self.now(), wall.as_millis(), self.speed))
    }

    /// The clock of a spec; `None` when it is none.
    pub fn of_spec(spec: &str) -> Option<Self> {
        let mut parts = spec.split(',');
        let origin: Timestamp = parts.next()?.parse().ok()?;
        let wall_ms: u64 = parts.next()?.parse().ok()?;
        let speed: f64 = parts.next()?.parse().ok()?;
        Some(Clock::scaled(origin, SystemTime::UNIX_EPOCH + Duration::from_millis(wall_ms), speed))
    }

    pub fn now(&self) -> Timestamp {
        add(self.origin, self.started.elapsed().mul_f64(self.speed))
    }

    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The wall time that `d` of this clock lasts.
    pub fn wall(&self, d: Duration) -> Duration {
        d.div_f64(self.speed)
    }

    /// Waits `d` of this clock's time.
    pub async fn sleep(&self, d: Duration) {
        tokio::time::sleep(self.wall(d)).await;
    }

    pub async fn sleep_until(&self, at: Timestamp) {
        self.sleep(between(self.now(), at)).await;
    }

    /// Runs `work` for at most `d` of this clock's time; `None` when the time is over.
    pub async fn within<T>(&self, d: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.wall(d), work).await.ok()
    }
}

/// `from` to `to`, zero when `to` is not later.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// `at + d`; stays at the largest timestamp instead of overflowing.
pub fn add(at: Timestamp, d: Duration) -> Timestamp {
    SignedDuration::try_from(d).ok().and_then(|d| at.checked_add(d).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_at_speed_sixty_takes_a_minute() {
        let clock = Clock::scaled(Timestamp::UNIX_EPOCH, SystemTime::now(), 60.0);
        let before = tokio::time::Instant::now();
        let start = clock.now();
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(before.elapsed().as_secs(), 60);
        assert_eq!(between(start, clock.now()).as_secs(), 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_jumps_moves_the_date_and_nothing_else() {
        for hours in [8, -2] {
            let start = Timestamp::from_second(1_800_000_000).unwrap();
            let jump = SignedDuration::from_hours(hours);
            let clock = Clock::scaled(start, SystemTime::now(), 1.0);
            let even = clock.clone();
            let clock = clock.beside(move || even.now() + jump);
            let before = clock.now();
            let deadline = add(before, Duration::from_secs(60));
            clock.sleep_until(deadline).await;
            assert_eq!(between(before, clock.now()).as_secs(), 60, "{hours}");
            assert_eq!((clock.moved().as_hours(), clock.date().duration_since(clock.now()).as_hours()), (hours, hours));
            assert_eq!(clock.within(Duration::from_secs(5), async { 1 }).await, Some(1));
            assert_eq!(clock.spec(), None, "a machine whose clock was moved is no lab");
        }
    }

    #[test]
    fn time_that_runs_backwards_is_no_time() {
        let a = Timestamp::from_second(100).unwrap();
        let b = Timestamp::from_second(90).unwrap();
        assert_eq!(between(a, b), Duration::ZERO);
    }
}
