//! Plays the records of a run as they came, faster.
use crate::base::clock::{add, between};
use crate::engine::record::Record;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The longest pause between two records, of the wall: nobody wants to wait through a night between two sessions.
const LONGEST: Duration = Duration::from_secs(3);
/// The time that is shown goes on in such steps, of the wall.
const STEP: Duration = Duration::from_millis(200);

/// Gives the records to `to` one after the other, and their time to `time`.
pub async fn play(
    records: Vec<Arc<Record>>,
    speed: f64,
    to: mpsc::UnboundedSender<Arc<Record>>,
    time: watch::Sender<Timestamp>,
) {
    let mut before: Option<Timestamp> = None;
    for record in records {
        if let Some(from) = before {
            pass(between(from, record.at), from, speed, &time).await;
        }
        before = Some(record.at);
        time.send_replace(record.at);
        if to.send(record).is_err() {
            return;
        }
    }
    // The screen stays: its last record is the end of what there is.
    to.closed().await;
}

async fn pass(gap: Duration, from: Timestamp, speed: f64, time: &watch::Sender<Timestamp>) {
    let wall = Duration::try_from_secs_f64(gap.as_secs_f64() / speed).unwrap_or(LONGEST).min(LONGEST);
    let steps = (wall.as_millis() / STEP.as_millis()).max(1);
    for n in 1..=steps {
        tokio::time::sleep(wall / u32::try_from(steps).unwrap_or(1)).await;
        let share = gap.mul_f64(n as f64 / steps as f64);
        time.send_replace(add(from, share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::samples::{Sample, at};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn records_come_in_their_order_as_far_apart_as_they_were_and_no_night_is_waited_through() {
        let records =
            Sample::late_clone().then(100_000, crate::engine::record::Event::StopAsked { by: "ann".into() }).records();
        let (to, mut from) = mpsc::unbounded_channel();
        let (time, now) = watch::channel(Timestamp::UNIX_EPOCH);
        let began = Instant::now();
        let player = tokio::spawn(play(records.clone(), 10.0, to, time));
        let mut came = Vec::new();
        while came.len() < records.len() {
            let record = from.recv().await.unwrap();
            assert!(*now.borrow() >= record.at);
            came.push(record);
        }
        assert_eq!(came, records);
        // Sixty-one seconds at ten times the speed, then the longest pause.
        let took = began.elapsed().as_secs_f64();
        assert!((8.5..9.6).contains(&took), "{took}");
        assert_eq!(*now.borrow(), at(100_000));
        assert!(!player.is_finished(), "the screen stays until the person leaves");
        drop(from);
        player.await.unwrap();
    }
}
