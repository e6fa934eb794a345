//! Jumps of this machine's clock during a session. The run's own times go on evenly all the same, and whoever reads
//! them has to know of the jump.
use crate::base::clock::Clock;
use crate::base::text::format_duration;
use jiff::SignedDuration;
use std::time::Duration;

/// A clock that moved by less is being corrected as usual.
const MOVED: SignedDuration = SignedDuration::from_secs(60);

#[derive(Default)]
pub(super) struct WallClock {
    /// The distance that it had moved when that was told last.
    told: SignedDuration,
}

impl WallClock {
    /// A sentence when it was moved since the last one.
    pub fn news(&mut self, clock: &Clock) -> Option<String> {
        let moved = clock.moved();
        let more = moved - self.told;
        if more.abs() < MOVED {
            return None;
        }
        self.told = moved;
        let (which, by) = if more.is_negative() { ("back", -more) } else { ("forward", more) };
        let by = format_duration(Duration::try_from(by).unwrap_or_default());
        Some(format!(
            "this machine slept, or its clock was moved {which}, by {by}: the times of this session go on as before it"
        ))
    }
}
