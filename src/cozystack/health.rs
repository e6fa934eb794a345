//! The health of a HelmRelease, read from what Flux's helm-controller writes.
//!
//! Read from helm-controller v1.3.0 (internal/controller, internal/reconcile) and watched on a real one. A release that
//! fails is `Ready=False InstallFailed` only between two attempts: each attempt sets `Ready=Unknown Progressing` again, with
//! a new moment. What lasts is `Released=False` and the counters of failures; `status.observedGeneration` is -1 until the
//! first success. So whether a release fails is never told by Ready and its moment alone.
use crate::kubernetes::ReleaseStatus;
use jiff::Timestamp;

/// Reasons of Ready for a release that others hold back.
const DEPENDENCY: &str = "DependencyNotReady";
const SOURCE: &str = "SourceNotReady";
const RUNS: &str = "Progressing";
/// The ending of the reasons of a failed install, upgrade, test, rollback or uninstall; the chart's download is no
/// attempt.
const FAILED: &str = "Failed";
const NO_CHART: &str = "ArtifactFailed";

/// Flux's reason and message, and when it said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words<'a> {
    pub reason: &'a str,
    pub message: &'a str,
    pub since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health<'a> {
    /// Ready as it is written now.
    Ready,
    /// Flux has not yet looked at its current generation.
    New,
    /// For another release.
    Waits(Words<'a>),
    /// For its chart, which its source does not give.
    WaitsForChart(Words<'a>),
    /// The first attempt on what is written now is under way.
    Runs(Words<'a>),
    /// Flux can't begin: no chart, wrong values, no rights. It tries again by itself.
    Hindered(Words<'a>),
    /// At least one attempt has failed and none has succeeded since.
    Failed {
        /// Failed attempts in a row, 1 at the least.
        times: u64,
        /// The end of the last attempt.
        last: Words<'a>,
        /// Since when the next one runs; `None` between two attempts.
        again: Option<Timestamp>,
    },
    /// Flux has given up.
    Stalled(Words<'a>),
    /// Somebody told Flux to leave it alone, so nothing that it says speaks of what is written now.
    Suspended,
}

impl<'a> Health<'a> {
    pub fn of(release: &'a ReleaseStatus) -> Health<'a> {
        if release.suspended {
            return Health::Suspended;
        }
        // Ready, and that speaks of the release as it is written now.
        if release.ready == Some(true) && release.observed_generation >= release.generation {
            return Health::Ready;
        }
        let ready = Words { reason: &release.reason, message: &release.message, since: release.since };
        let speaks_of_now = |generation: Option<i64>| generation.is_none_or(|g| g >= release.generation);
        if let Some(stalled) = release.stalled.as_ref().filter(|s| s.holds && speaks_of_now(s.generation)) {
            return Health::Stalled(Words { reason: &stalled.reason, message: &stalled.message, since: stalled.since });
        }
        let current = speaks_of_now(release.ready_generation);
        let says_no = release.ready == Some(false) && current;
        match ready.reason {
            DEPENDENCY if says_no => return Health::Waits(ready),
            SOURCE if says_no => return Health::WaitsForChart(ready),
            _ => {}
        }
        let failed = release.released.as_ref().filter(|r| !r.holds && speaks_of_now(r.generation));
        if let Some(failed) = failed {
            let last = Words { reason: &failed.reason, message: &failed.message, since: failed.since };
            let runs = release.ready.is_none() && ready.reason == RUNS;
            let again = release.since.filter(|_| runs && current);
            return Health::Failed { times: release.failures.max(1), last, again };
        }
        if says_no && ready.reason.ends_with(FAILED) && ready.reason != NO_CHART {
            return Health::Failed { times: release.failures.max(1), last: ready, again: None };
        }
        if says_no && !matches!(ready.reason, RUNS | "") {
            return Health::Hindered(ready);
        }
        if release.ready.is_none() && ready.reason == RUNS && current { Health::Runs(ready) } else { Health::New }
    }

    pub fn is_ready(&self) -> bool {
        *self == Health::Ready
    }

    /// True when something is wrong with the release itself, and not merely slow or elsewhere.
    pub fn is_trouble(&self) -> bool {
        match self {
            Health::Hindered(_) | Health::Failed { .. } | Health::Stalled(_) | Health::Suspended => true,
            Health::Ready | Health::New | Health::Waits(_) | Health::WaitsForChart(_) | Health::Runs(_) => false,
        }
    }

    /// Flux's word for it, or ours where Flux has none.
    pub fn reason(&self) -> &'a str {
        match self {
            Health::Ready => "Ready",
            Health::New => "NotStarted",
            Health::Suspended => "Suspended",
            Health::Waits(words)
            | Health::WaitsForChart(words)
            | Health::Runs(words)
            | Health::Hindered(words)
            | Health::Stalled(words) => words.reason,
            Health::Failed { last, .. } => last.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn condition(kind: &str, status: &str, reason: &str, second: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": format!("{kind} said so"),
            "lastTransitionTime": format!("2026-11-29T10:00:{second}Z"), "observedGeneration": 1})
    }

    fn release(status: Value) -> ReleaseStatus {
        ReleaseStatus::read(
            &json!({"metadata": {"name": "a", "namespace": "cozy-a", "generation": 1}, "status": status}),
        )
    }

    /// Between two attempts, in the attempt after, and when the dependency falls away.
    fn after_two_failures(ready: Value) -> ReleaseStatus {
        release(json!({"observedGeneration": -1, "failures": 2, "installFailures": 2, "conditions": [
            ready, condition("Released", "False", "InstallFailed", "10"),
            condition("Remediated", "True", "UninstallSucceeded", "11")]}))
    }

    /// cozystack.md 2.10: what Flux alternates between is one and the same failure.
    #[test]
    fn a_release_that_fails_is_told_as_failing_between_its_attempts_and_during_the_next_one() {
        let between = after_two_failures(condition("Ready", "False", "InstallFailed", "10"));
        let Health::Failed { times: 2, last, again: None } = Health::of(&between) else { panic!("{between:?}") };
        assert_eq!((last.reason, last.message), ("InstallFailed", "Released said so"));
        let during = after_two_failures(condition("Ready", "Unknown", "Progressing", "30"));
        let Health::Failed { times: 2, last, again } = Health::of(&during) else { panic!("{during:?}") };
        assert_eq!(last.since, Some("2026-11-29T10:00:10Z".parse().unwrap()), "the moment that does not jump");
        assert_eq!(again, Some("2026-11-29T10:00:30Z".parse().unwrap()));
        let rolled_back = after_two_failures(condition("Ready", "False", "RollbackSucceeded", "12"));
        assert!(matches!(Health::of(&rolled_back), Health::Failed { .. }), "taken back is not ready");
    }

    #[test]
    fn the_first_attempt_runs_and_has_not_failed() {
        let first = release(json!({"observedGeneration": -1, "conditions": [
            condition("Ready", "Unknown", "Progressing", "30"), condition("Reconciling", "True", "Progressing", "30")]}));
        assert!(matches!(Health::of(&first), Health::Runs(_)));
        assert_eq!(Health::of(&release(json!({"observedGeneration": -1}))), Health::New);
    }

    #[test]
    fn an_attempt_that_left_no_release_behind_is_counted_too() {
        let refused = release(json!({"observedGeneration": -1, "failures": 3, "conditions": [
            condition("Ready", "False", "InstallFailed", "10"), condition("Released", "False", "InstallFailed", "10")]}));
        assert!(matches!(Health::of(&refused), Health::Failed { times: 3, .. }));
    }

    #[test]
    fn who_waits_for_another_or_for_a_chart_has_no_trouble_of_its_own() {
        let waits = after_two_failures(condition("Ready", "False", "DependencyNotReady", "30"));
        assert!(matches!(Health::of(&waits), Health::Waits(w) if w.reason == "DependencyNotReady"));
        let chart = after_two_failures(condition("Ready", "False", "SourceNotReady", "30"));
        assert!(matches!(Health::of(&chart), Health::WaitsForChart(w) if w.reason == "SourceNotReady"));
        assert!(!Health::of(&waits).is_trouble() && !Health::of(&chart).is_trouble());
        for reason in ["ArtifactFailed", "ValuesError", "StateError", "RESTClientError"] {
            let hindered = release(json!({"conditions": [condition("Ready", "False", reason, "30")]}));
            assert!(matches!(Health::of(&hindered), Health::Hindered(w) if w.reason == reason));
        }
    }

    #[test]
    fn stalled_and_suspended_are_told_before_anything_else() {
        let stalled = release(json!({"failures": 4, "conditions": [
            condition("Ready", "False", "InstallFailed", "10"), condition("Released", "False", "InstallFailed", "10"),
            condition("Stalled", "True", "RetriesExceeded", "10")]}));
        assert!(matches!(Health::of(&stalled), Health::Stalled(w) if w.reason == "RetriesExceeded"));
        let mut suspended = release(json!({"observedGeneration": 1, "conditions": [
            condition("Ready", "True", "InstallSucceeded", "10")]}));
        assert_eq!(Health::of(&suspended), Health::Ready);
        suspended.suspended = true;
        assert_eq!(Health::of(&suspended), Health::Suspended);
    }

    #[test]
    fn what_speaks_of_an_older_generation_neither_fails_nor_is_ready() {
        let mut ready = release(json!({"observedGeneration": 1, "conditions": [
            condition("Ready", "True", "InstallSucceeded", "10")]}));
        ready.generation = 2;
        assert_eq!(Health::of(&ready), Health::New);
        let mut failed = after_two_failures(condition("Ready", "False", "InstallFailed", "10"));
        failed.generation = 2;
        assert_eq!(Health::of(&failed), Health::New);
    }
}
