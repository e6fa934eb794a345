//! A HelmRelease that failed and does not heal by itself.
use crate::base::clock::between;
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::steps::cluster::{condition, text};
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// Flux tries a failed release again by itself; a failure younger than this is no trouble yet.
const HEALING: Duration = Duration::from_secs(120);
/// After these Flux does not try again.
const GIVEN_UP: [&str; 2] = ["RetriesExceeded", "Stalled"];
const FAILED: [&str; 5] = ["InstallFailed", "UpgradeFailed", "TestFailed", "RollbackFailed", "UninstallFailed"];

/// What Flux says of a release in its condition Ready.
pub struct Told<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
    pub since: Option<Timestamp>,
}

pub fn is_failure(reason: &str) -> bool {
    FAILED.contains(&reason) || GIVEN_UP.contains(&reason)
}

/// The failure of a HelmRelease, when it lasts.
pub fn of_object(release: &Value, now: Timestamp) -> Option<Failure> {
    let ready = condition(release, "Ready").filter(|c| c.status == "False")?;
    let (namespace, name) = (text(release, "/metadata/namespace"), text(release, "/metadata/name"));
    lasting(&Told { namespace, name, reason: ready.reason, message: ready.message, since: ready.since }, now)
}

/// The failure for a person, once the release has failed for longer than Flux usually needs.
pub fn lasting(told: &Told<'_>, now: Timestamp) -> Option<Failure> {
    let Told { namespace, name, reason, message, since } = told;
    let lasts = GIVEN_UP.contains(reason) || since.is_some_and(|s| between(s, now) > HEALING);
    if !is_failure(reason) || !lasts {
        return None;
    }
    let release = format!("helmreleases.helm.toolkit.fluxcd.io -n {namespace} {name}");
    Some(Failure::person(
        format!("release {namespace}/{name} failed ({reason}): {}", shorten(message, 500)),
        format!(
            "read `kubectl describe {release}` and mend what it names. Flux tries again by itself; at once after: \
             at=$(date +%s); kubectl annotate {release} --overwrite reconcile.fluxcd.io/requestedAt=$at \
             reconcile.fluxcd.io/forceAt=$at reconcile.fluxcd.io/resetAt=$at. This step goes on when it is ready"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(reason: &'static str) -> Told<'static> {
        Told { namespace: "cozy", name: "b", reason, message: "timed out", since: Some(at(1000)) }
    }

    #[test]
    fn a_failure_is_a_persons_matter_only_when_it_lasts() {
        assert!(lasting(&told("InstallFailed"), at(1120)).is_none());
        let failure = lasting(&told("InstallFailed"), at(1121)).unwrap();
        assert!(failure.what.contains("cozy/b failed (InstallFailed): timed out"), "{failure}");
        assert!(failure.next.contains("kubectl describe helmreleases.helm.toolkit.fluxcd.io -n cozy b"));
        assert!(lasting(&told("RetriesExceeded"), at(1000)).is_some());
    }

    #[test]
    fn a_release_that_waits_for_another_never_fails() {
        assert!(lasting(&told("DependencyNotReady"), at(99_999)).is_none());
    }
}
