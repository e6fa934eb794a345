//! The HelmReleases as they stand, and which have failed once more.
use crate::base::text::shorten;
use crate::cozystack::{Health, Words};
use crate::kubernetes::ReleaseStatus;
use crate::observed::{Fact, Noticed, Release, ReleaseState, Releases};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct ReleasesWatch {
    /// Failed attempts in a row, as they were told; 0 for one that Flux gave up.
    told: BTreeMap<(String, String), Option<u64>>,
}

/// The result of one look.
#[derive(Debug, Default)]
pub struct Seen {
    pub releases: Releases,
    pub notices: Vec<Noticed>,
    pub doubts: BTreeSet<Fact>,
}

impl ReleasesWatch {
    pub fn take(&mut self, all: &[ReleaseStatus]) -> Seen {
        let mut seen = Seen::default();
        let mut rows = Vec::with_capacity(all.len());
        let is_ready = |status: &&ReleaseStatus| Health::of(status).is_ready();
        let ready: BTreeSet<(&str, &str)> =
            all.iter().filter(is_ready).map(|s| (s.namespace.as_str(), s.name.as_str())).collect();
        for status in all {
            let health = Health::of(status);
            if health.is_trouble() {
                seen.doubts.insert(Fact::release(&status.namespace, &status.name));
                seen.doubts.insert(Fact::AllReleasesSound);
                seen.releases.troubled += 1;
            }
            seen.releases.ready += usize::from(health.is_ready());
            seen.notices.extend(self.news(status, &health));
            rows.push(Release { after: after(status, &health, &ready), ..row(status, &health) });
        }
        let there = |key: &(String, String)| all.iter().any(|s| s.namespace == key.0 && s.name == key.1);
        self.told.retain(|key, _| there(key));
        rows.sort_by(|a, b| (a.state, &a.namespace, &a.name).cmp(&(b.state, &b.namespace, &b.name)));
        rows.truncate(Releases::MOST);
        seen.releases.total = all.len();
        seen.releases.rows = rows;
        seen
    }

    fn news(&mut self, status: &ReleaseStatus, health: &Health<'_>) -> Option<Noticed> {
        let key = (status.namespace.clone(), status.name.clone());
        let (namespace, name) = key.clone();
        match health {
            Health::Failed { times, last, .. } => {
                let told = self.told.insert(key, Some(*times));
                if told == Some(Some(*times)) || !is_worth_a_word(*times) {
                    return None;
                }
                let (reason, message) = words(last);
                Some(Noticed::ReleaseFailed { namespace, name, times: *times, reason, message })
            }
            Health::Stalled(last) => {
                if self.told.insert(key, None) == Some(None) {
                    return None;
                }
                let (reason, message) = words(last);
                Some(Noticed::ReleaseStalled { namespace, name, reason, message })
            }
            Health::Ready => {
                self.told.remove(&key);
                None
            }
            Health::New
            | Health::Waits(_)
            | Health::WaitsForChart(_)
            | Health::Runs(_)
            | Health::Hindered(_)
            | Health::Suspended => None,
        }
    }
}

/// Flux may fail for days: the first three times, then each time that the number has doubled.
fn is_worth_a_word(times: u64) -> bool {
    times <= 3 || times.is_power_of_two()
}

fn words(words: &Words<'_>) -> (String, String) {
    (words.reason.to_string(), shorten(words.message, Releases::MESSAGE))
}

/// The release that holds this one back; one that has trouble of its own is held back by nothing else.
fn after(status: &ReleaseStatus, health: &Health<'_>, ready: &BTreeSet<(&str, &str)>) -> Option<String> {
    if health.is_ready() || health.is_trouble() {
        return None;
    }
    let open = status.depends_on.iter().find(|(namespace, name)| !ready.contains(&(namespace.as_str(), name.as_str())));
    open.map(|(namespace, name)| format!("{namespace}/{name}"))
}

fn row(status: &ReleaseStatus, health: &Health<'_>) -> Release {
    let (state, said, since) = match health {
        Health::Ready => (ReleaseState::Ready, None, status.since),
        Health::New => (ReleaseState::New, None, None),
        Health::Suspended => (ReleaseState::Suspended, None, None),
        Health::Waits(words) | Health::WaitsForChart(words) => (ReleaseState::Waits, Some(words), words.since),
        Health::Runs(words) => (ReleaseState::Runs, Some(words), words.since),
        Health::Hindered(words) => (ReleaseState::Hindered, Some(words), words.since),
        Health::Stalled(words) => (ReleaseState::Stalled, Some(words), words.since),
        Health::Failed { last, .. } => (ReleaseState::Failed, Some(last), last.since),
    };
    let (reason, message) = said.map(words).unwrap_or_default();
    let failures = match health {
        Health::Failed { times, .. } => *times,
        Health::Ready
        | Health::New
        | Health::Waits(_)
        | Health::WaitsForChart(_)
        | Health::Runs(_)
        | Health::Hindered(_)
        | Health::Stalled(_)
        | Health::Suspended => status.failures,
    };
    Release {
        namespace: status.namespace.clone(),
        name: status.name.clone(),
        state,
        reason,
        message,
        revision: status.revision.clone(),
        failures,
        since,
        after: None,
        helm_name: Some(&status.helm_name).filter(|name| !name.is_empty() && **name != status.name).cloned(),
        target: Some(&status.helm_namespace).filter(|to| !to.is_empty() && **to != status.namespace).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::Said;

    fn release(name: &str, ready: Option<bool>, failures: u64) -> ReleaseStatus {
        let failed = || Said { reason: "InstallFailed".into(), message: "x".repeat(5000), ..Said::default() };
        ReleaseStatus {
            namespace: "cozy".into(),
            name: name.into(),
            ready,
            reason: if ready == Some(true) { "InstallSucceeded".into() } else { "Progressing".into() },
            generation: 1,
            observed_generation: 1,
            released: (failures > 0).then(failed),
            failures,
            ..ReleaseStatus::default()
        }
    }

    fn told(watch: &mut ReleasesWatch, failures: u64) -> usize {
        watch.take(&[release("linstor", None, failures)]).notices.len()
    }

    #[test]
    fn the_nth_failure_is_told_once_and_a_long_row_of_them_ever_more_rarely() {
        let mut watch = ReleasesWatch::default();
        let told: Vec<usize> = [1, 1, 2, 3, 4, 5, 6, 7, 8, 8].iter().map(|n| told(&mut watch, *n)).collect();
        assert_eq!(told, [1, 0, 1, 1, 1, 0, 0, 0, 1, 0]);
        watch.take(&[release("linstor", Some(true), 0)]);
        assert_eq!(super::tests::told(&mut watch, 1), 1, "after a success it is a new row");
    }

    #[test]
    fn only_trouble_contradicts_a_proof_and_a_release_on_its_way_does_not() {
        let mut watch = ReleasesWatch::default();
        let seen = watch.take(&[release("a", Some(true), 0), release("b", None, 0), release("c", None, 2)]);
        assert_eq!(seen.doubts, BTreeSet::from([Fact::release("cozy", "c"), Fact::AllReleasesSound]));
        let counts = (seen.releases.total, seen.releases.ready, seen.releases.troubled);
        assert_eq!(counts, (3, 1, 1));
        let states: Vec<_> = seen.releases.rows.iter().map(|r| r.state).collect();
        assert_eq!(states, [ReleaseState::Failed, ReleaseState::Runs, ReleaseState::Ready]);
        assert!(seen.releases.rows[0].message.len() <= Releases::MESSAGE);
    }

    #[test]
    fn a_release_names_the_first_one_that_holds_it_back() {
        let on = |names: &[&str]| names.iter().map(|name| ("cozy".to_string(), (*name).to_string())).collect();
        let behind = ReleaseStatus { depends_on: on(&["a", "c", "gone"]), ..release("b", None, 0) };
        let failed = ReleaseStatus { depends_on: on(&["b"]), ..release("c", None, 2) };
        let seen = ReleasesWatch::default().take(&[release("a", Some(true), 0), behind, failed]);
        let after: Vec<_> = seen.releases.rows.iter().map(|r| (r.name.as_str(), r.after.as_deref())).collect();
        assert_eq!(after, [("c", None), ("b", Some("cozy/c")), ("a", None)]);
    }

    #[test]
    fn a_cluster_with_thousands_of_releases_is_counted_in_full_and_listed_in_part() {
        let all: Vec<_> = (0..5000).map(|n| release(&format!("r{n:04}"), Some(true), 0)).collect();
        let seen = ReleasesWatch::default().take(&all);
        assert_eq!((seen.releases.total, seen.releases.ready, seen.releases.rows.len()), (5000, 5000, Releases::MOST));
    }
}
