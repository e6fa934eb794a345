//! The pauses before a step is tried, looked at and told of again, in seconds of the run's clock.
use std::time::Duration;

/// Pauses between tries, in seconds of the clock; the last one repeats.
pub(super) const BACKOFF_S: [u64; 6] = [2, 4, 8, 15, 20, 30];
/// The interval at which a blocked step is looked at again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// And after this many looks, less often.
pub(super) const LOOKS: u32 = 60;
pub(super) const LOOK_LATER: Duration = Duration::from_secs(30);
/// After an act whose task failed in the target, in seconds; the last one repeats. Each try is one more failed task in a
/// list that other people read.
pub(super) const TASK_BACKOFF_S: [u64; 6] = [10, 20, 40, 80, 160, 300];
/// Where a look is a further try of the act, two records each: after this many of them, less often still.
pub(super) const TRIES: u32 = 240;
pub(super) const TRY_LATER: Duration = Duration::from_secs(120);
/// A look that finds a blocked step as it was is recorded after twice the time of the last such record, up to this.
const TELL_AGAIN: Duration = Duration::from_secs(3600);
/// And up to this where only numbers differ: a screen should not show old ones for an hour.
const TELL_NUMBERS: Duration = Duration::from_secs(60);

/// The pause after so many failures; the last one repeats.
pub(super) fn nth(pauses: &[u64], failures: u32) -> Duration {
    let n = usize::try_from(failures).unwrap_or(usize::MAX).min(pauses.len().saturating_sub(1));
    Duration::from_secs(pauses.get(n).copied().unwrap_or(30))
}

/// How long nothing is told of a failure like the last one that was told, and how long after that. Other numbers are no reason to tell
/// what follows them again and again.
pub(super) fn silence(quiet: Duration, is_same: bool) -> (Duration, Duration) {
    if is_same { (quiet, (quiet * 2).min(TELL_AGAIN)) } else { (quiet.min(TELL_NUMBERS), quiet) }
}
