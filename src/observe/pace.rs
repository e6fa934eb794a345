//! The pauses between the questions to a system.
use crate::base::clock::Clock;
use std::time::Duration;

/// Between two looks at Proxmox VE while something happens there; seconds of the run's clock, as all here.
const QUICK: Duration = Duration::from_secs(2);
/// And while nothing does.
const SLOW: Duration = Duration::from_secs(5);
/// The longest pause after looks without an answer.
const LONGEST: Duration = Duration::from_secs(30);
/// However fast the run's clock goes, a system is not asked more often than this on the wall.
const FLOOR: Duration = Duration::from_millis(250);

/// The pause between two looks at Proxmox VE: short while something happens, longer with each look at which nothing did,
/// longer still while there is no answer.
#[derive(Debug)]
pub struct Pace(Duration);

impl Default for Pace {
    fn default() -> Self {
        Pace(QUICK)
    }
}

impl Pace {
    pub fn after(&mut self, busy: bool) -> Duration {
        self.0 = if busy { QUICK } else { (self.0.min(SLOW) * 3 / 2).clamp(QUICK, SLOW) };
        self.0
    }

    pub fn after_silence(&mut self) -> Duration {
        self.0 = (self.0 * 2).clamp(SLOW, LONGEST);
        self.0
    }
}

/// Twice as long when nobody looks.
pub fn attended(pause: Duration, watched: bool) -> Duration {
    if watched { pause } else { pause * 2 }
}

pub fn on_the_wall(clock: &Clock, pause: Duration) -> Duration {
    clock.wall(pause).max(FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::time::SystemTime;

    #[test]
    fn the_pause_grows_while_nothing_happens_and_is_short_again_when_something_does() {
        let mut pace = Pace::default();
        let quiet: Vec<_> = (0..4).map(|_| pace.after(false).as_millis()).collect();
        assert_eq!(quiet, [3000, 4500, 5000, 5000]);
        assert_eq!(pace.after(true), QUICK);
        let silent: Vec<_> = (0..5).map(|_| pace.after_silence().as_secs()).collect();
        assert_eq!(silent, [5, 10, 20, 30, 30]);
        assert_eq!(pace.after(false), SLOW);
    }

    #[test]
    fn nobody_attached_is_half_the_rate_and_a_fast_clock_is_no_reason_to_ask_without_end() {
        assert_eq!(attended(SLOW, true) * 2, attended(SLOW, false));
        assert_eq!(on_the_wall(&Clock::real(), QUICK), QUICK);
        let fast = Clock::scaled(Timestamp::UNIX_EPOCH, SystemTime::now(), 1000.0);
        assert_eq!(on_the_wall(&fast, QUICK), FLOOR);
    }
}
