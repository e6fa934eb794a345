//! Describes a HelmRelease for the steps: in a wait while it is on its way, as a failure with a next action when it is
//! not.
use super::cluster::{get, seen};
use crate::base::clock::between;
use crate::base::text::shorten;
use crate::cozystack::{Health, Words};
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::Context;
use crate::kubernetes::{Kind, Reader, ReleaseStatus};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// A chart or a value that is not there yet may come within this time of its own.
const COMING: Duration = Duration::from_secs(120);
/// Bytes of Flux's own words in a failure, and in a wait.
const LONG: usize = 500;
const SHORT: usize = 160;

/// Flux's own annotations (helm-controller v1.3.0, `api/v2/annotations.go`). The first asks for an attempt now; the other two
/// count only with the same value: an attempt although nothing has changed, and failures are counted from none.
const AGAIN: [&str; 3] =
    ["reconcile.fluxcd.io/requestedAt", "reconcile.fluxcd.io/forceAt", "reconcile.fluxcd.io/resetAt"];

/// The annotations with which Flux tries a release again at once; `token`: any new value.
pub fn again(token: &str) -> BTreeMap<&'static str, String> {
    AGAIN.into_iter().map(|name| (name, token.to_string())).collect()
}

/// The same by hand.
pub fn again_by_hand(namespace: &str, name: &str) -> String {
    let all = AGAIN.map(|name| format!("{name}=$at")).join(" ");
    format!(
        "at=$(date +%s); kubectl annotate helmreleases.helm.toolkit.fluxcd.io -n {namespace} {name} --overwrite {all}"
    )
}

fn moment(at: Option<Timestamp>) -> String {
    at.map(|t| format!(" since {}", t.strftime("%H:%M:%SZ"))).unwrap_or_default()
}

fn times(n: u64) -> String {
    if n == 1 { "once".to_string() } else { format!("{n} times") }
}

fn words(told: &Words<'_>, length: usize) -> String {
    if told.message.is_empty() {
        told.reason.to_string()
    } else {
        format!("{}: {}", told.reason, shorten(told.message, length))
    }
}

/// `Progressing since 10:00:40Z`; moments and no durations, so that it changes only when something happens.
pub fn describe(health: &Health<'_>) -> String {
    match health {
        Health::Ready => "Ready".to_string(),
        Health::New => "Flux has not come to it yet".to_string(),
        Health::Suspended => "suspended".to_string(),
        Health::Runs(told) => format!("{}{}", told.reason, moment(told.since)),
        Health::Waits(told) | Health::WaitsForChart(told) => words(told, SHORT),
        Health::Hindered(told) => format!("{}{}", words(told, SHORT), moment(told.since)),
        Health::Stalled(told) => format!("Flux has given up: {}", words(told, SHORT)),
        Health::Failed { times: n, last, again } => {
            let now =
                if again.is_some() { format!("attempt {} runs{}; ", n + 1, moment(*again)) } else { String::new() };
            format!("failed {}; {now}{}", times(*n), words(last, SHORT))
        }
    }
}

/// The failure of the release that a person should know of: from the end of its first failed attempt until Flux calls
/// it Ready. Flux may heal a first failure by itself; a second one needs a person.
pub fn failure(release: &ReleaseStatus, now: Timestamp) -> Option<Failure> {
    let (namespace, name) = (&release.namespace, &release.name);
    let place = format!("{namespace}/{name}");
    let command = format!("helmreleases.helm.toolkit.fluxcd.io -n {namespace} {name}");
    let lasts = |told: &Words<'_>| told.since.is_some_and(|s| between(s, now) > COMING);
    let again = again_by_hand(namespace, name);
    let describe = format!("read `kubectl describe {command}` and mend what it names");
    let by_itself =
        format!("{describe}. Flux tries again by itself; at once after: {again}. This step goes on when it is ready");
    match Health::of(release) {
        Health::Ready | Health::New | Health::Runs(_) | Health::Waits(_) => None,
        Health::Failed { times: n, last, again } => {
            let next = match again {
                Some(since) => format!("; attempt {} runs{}", n + 1, moment(Some(since))),
                None => "; Flux tries again in a while".to_string(),
            };
            let what = format!("release {place} failed {} ({}){next}", times(n), words(&last, LONG));
            Some(if n == 1 { Failure::retryable(what, by_itself) } else { Failure::person(what, by_itself) })
        }
        Health::Stalled(told) => Some(Failure::person(
            format!("release {place} failed and Flux has given up ({})", words(&told, LONG)),
            format!("{describe}, then let Flux try again: {again}. This step goes on when it is ready"),
        )),
        Health::Suspended => Some(Failure::person(
            format!(
                "release {place} is suspended: Flux leaves it as it is, so nothing says that it is as it is written"
            ),
            format!(
                "ask who suspended it and why, then let Flux go on: kubectl patch {command} --type=merge \
                 -p '{{\"spec\":{{\"suspend\":false}}}}'. This step goes on when it is ready"
            ),
        )),
        Health::WaitsForChart(told) if !lasts(&told) => None,
        Health::WaitsForChart(told) => Some(Failure::person(
            format!("release {place} waits for its chart ({}){}", words(&told, LONG), moment(told.since)),
            format!(
                "read `kubectl describe helmcharts.source.toolkit.fluxcd.io -A` and the source that it names; \
                 {by_itself}"
            ),
        )),
        Health::Hindered(told) => {
            let what = format!("Flux can't begin with release {place} ({})", words(&told, LONG));
            Some(if lasts(&told) { Failure::person(what, by_itself) } else { Failure::retryable(what, by_itself) })
        }
    }
}

/// One release, ready or what it lacks.
#[derive(Debug)]
pub enum Look {
    Ready(Evidence),
    Lacks(String),
}

/// # Errors
/// When the cluster can't be asked, or the release fails.
pub async fn look(cx: &dyn Context, reader: &Reader, namespace: &str, name: &str) -> Result<Look, Failure> {
    let Some(found) = get(reader, &Kind::HELM_RELEASE, Some(namespace), name).await? else {
        return Ok(Look::Lacks(format!("there is no release {name} yet")));
    };
    let release = ReleaseStatus::read(&found.value);
    if let Some(failure) = failure(&release, cx.clock().date()) {
        return Err(failure);
    }
    let health = Health::of(&release);
    Ok(if health.is_ready() {
        Look::Ready(seen(cx, &found))
    } else {
        Look::Lacks(format!("release {name}: {}", describe(&health)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::Class;
    use crate::kubernetes::Said;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn release(ready: Option<bool>, reason: &str) -> ReleaseStatus {
        ReleaseStatus {
            namespace: "cozy".into(),
            name: "b".into(),
            ready,
            reason: reason.into(),
            message: "timed out".into(),
            generation: 1,
            observed_generation: -1,
            since: Some(at(1000)),
            ..ReleaseStatus::default()
        }
    }

    fn failed(times: u64, ready: Option<bool>, reason: &str) -> ReleaseStatus {
        let released = Said { reason: "InstallFailed".into(), message: "timed out".into(), ..Said::default() };
        ReleaseStatus { failures: times, released: Some(released), ..release(ready, reason) }
    }

    /// cozystack.md 2.10: it took 48 minutes, since Ready is never False for long.
    #[test]
    fn a_release_is_told_from_the_end_of_its_first_attempt_on_and_all_the_while() {
        let first = failure(&failed(1, Some(false), "InstallFailed"), at(1000)).unwrap();
        assert_eq!(first.class, Class::Retryable);
        assert!(first.what.starts_with("release cozy/b failed once (InstallFailed: timed out)"), "{first}");
        assert!(first.next.contains("kubectl describe helmreleases.helm.toolkit.fluxcd.io -n cozy b"));
        let again = failure(&failed(2, None, "Progressing"), at(1001)).unwrap();
        assert_eq!(again.class, Class::Person);
        assert!(again.what.contains("failed 2 times") && again.what.contains("attempt 3 runs since"), "{again}");
        assert!(failure(&release(None, "Progressing"), at(99_999)).is_none(), "the first attempt may take its time");
    }

    #[test]
    fn a_release_that_waits_for_another_never_fails_and_one_that_waits_for_its_chart_does_so_for_two_minutes() {
        assert!(failure(&release(Some(false), "DependencyNotReady"), at(99_999)).is_none());
        assert!(failure(&release(Some(false), "SourceNotReady"), at(1120)).is_none());
        let late = failure(&release(Some(false), "SourceNotReady"), at(1121)).unwrap();
        assert!(late.what.contains("waits for its chart"), "{late}");
    }

    #[test]
    fn stalled_suspended_and_hindered_releases_say_what_to_do() {
        let stalled = Said { holds: true, reason: "RetriesExceeded".into(), ..Said::default() };
        let stalled = ReleaseStatus { stalled: Some(stalled), ..failed(3, Some(false), "InstallFailed") };
        assert!(failure(&stalled, at(1000)).unwrap().what.contains("given up (RetriesExceeded)"));
        let ready = ReleaseStatus { observed_generation: 1, ..release(Some(true), "InstallSucceeded") };
        assert!(failure(&ready, at(1000)).is_none());
        let suspended = failure(&ReleaseStatus { suspended: true, ..ready }, at(1000)).unwrap();
        assert!(suspended.next.contains(r#"-p '{"spec":{"suspend":false}}'"#), "{}", suspended.next);
        let hindered = release(Some(false), "ValuesError");
        assert_eq!(failure(&hindered, at(1001)).unwrap().class, Class::Retryable);
        assert_eq!(failure(&hindered, at(1121)).unwrap().class, Class::Person);
    }

    #[test]
    fn a_wait_says_what_flux_says_in_one_line() {
        let said = |r: &ReleaseStatus| describe(&Health::of(r));
        assert_eq!(said(&release(None, "Progressing")), "Progressing since 00:16:40Z");
        assert_eq!(
            said(&failed(2, None, "Progressing")),
            "failed 2 times; attempt 3 runs since 00:16:40Z; InstallFailed: timed out"
        );
    }
}
