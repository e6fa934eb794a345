//! The release that holds the others back. During an install dozens of releases say "dependency not ready"; one of the
//! few that do not say it is the one to look at.
use super::health::Health;
use crate::kubernetes::ReleaseStatus;
use crate::release::Component;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// The component that is itself failing or not done yet.
    pub release: String,
    pub namespace: String,
    /// Flux's reason, or what is known without it.
    pub reason: String,
    /// True when something is wrong with it, also while Flux tries again; false when it is merely on its way.
    pub failing: bool,
    /// The components that can't come up before it does, in the bundle's order.
    pub waiting: Vec<String>,
}

/// The release with most others behind it that is held back by nothing but itself; a failing one comes first among
/// equals. `None` when every component is ready.
pub fn root_blocker(components: &[Component], statuses: &[ReleaseStatus]) -> Option<Blocker> {
    let by_name: BTreeMap<(&str, &str), &ReleaseStatus> =
        statuses.iter().map(|s| ((s.namespace.as_str(), s.name.as_str()), s)).collect();
    let status = |c: &Component| by_name.get(&(c.namespace.as_str(), c.name.as_str())).copied();
    let open: BTreeSet<&str> = components
        .iter()
        .filter(|c| !status(c).is_some_and(|s| Health::of(s).is_ready()))
        .map(|c| c.name.as_str())
        .collect();
    let mut worst: Option<Blocker> = None;
    for component in components.iter().filter(|c| open.contains(c.name.as_str())) {
        let own = status(component).map(Health::of);
        let failing = own.as_ref().is_some_and(Health::is_trouble);
        let held = component.after.iter().any(|a| open.contains(a.as_str()));
        if held && !failing {
            continue;
        }
        let found = Blocker {
            release: component.name.clone(),
            namespace: component.namespace.clone(),
            reason: own.as_ref().map_or("NotCreated", Health::reason).to_string(),
            failing,
            waiting: behind(&component.name, components, &open),
        };
        let rank = |b: &Blocker| (b.waiting.len(), b.failing);
        if worst.as_ref().is_none_or(|w| rank(&found) > rank(w)) {
            worst = Some(found);
        }
    }
    worst
}

/// The open components that depend on `name`, also through others.
fn behind(name: &str, components: &[Component], open: &BTreeSet<&str>) -> Vec<String> {
    let mut held: BTreeSet<&str> = BTreeSet::from([name]);
    loop {
        let before = held.len();
        for c in components {
            if open.contains(c.name.as_str()) && c.after.iter().any(|a| held.contains(a.as_str())) {
                held.insert(&c.name);
            }
        }
        if held.len() == before {
            break;
        }
    }
    components.iter().filter(|c| c.name != name && held.contains(c.name.as_str())).map(|c| c.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::Said;

    fn component(name: &str, after: &[&str]) -> Component {
        Component {
            name: name.to_string(),
            namespace: "cozy".to_string(),
            release_name: name.to_string(),
            after: after.iter().map(ToString::to_string).collect(),
        }
    }

    fn status(name: &str, ready: Option<bool>, reason: &str) -> ReleaseStatus {
        ReleaseStatus {
            namespace: "cozy".to_string(),
            name: name.to_string(),
            ready,
            reason: reason.to_string(),
            generation: 1,
            observed_generation: 1,
            ..ReleaseStatus::default()
        }
    }

    /// A network, a database on it, thirty applications on the database.
    fn platform() -> Vec<Component> {
        let mut all = vec![component("network", &[]), component("database", &["network"])];
        all.extend((0..30).map(|i| component(&format!("app{i:02}"), &["network", "database"])));
        all
    }

    #[test]
    fn one_failed_install_is_named_with_the_thirty_behind_it() {
        let all = platform();
        let mut statuses =
            vec![status("network", Some(true), "InstallSucceeded"), status("database", Some(false), "InstallFailed")];
        statuses.extend(all.iter().skip(2).map(|c| status(&c.name, Some(false), "DependencyNotReady")));
        let blocker = root_blocker(&all, &statuses).unwrap();
        assert_eq!(
            (blocker.release.as_str(), blocker.reason.as_str(), blocker.failing),
            ("database", "InstallFailed", true)
        );
        assert_eq!(blocker.waiting.len(), 30);
    }

    #[test]
    fn a_slow_release_blocks_as_well_and_those_behind_it_do_not() {
        let all = platform();
        let statuses = vec![status("network", None, "Progressing")];
        let blocker = root_blocker(&all, &statuses).unwrap();
        assert_eq!((blocker.release.as_str(), blocker.failing, blocker.waiting.len()), ("network", false, 31));
    }

    #[test]
    fn before_anything_exists_the_first_release_is_the_one_to_wait_for() {
        let blocker = root_blocker(&platform(), &[]).unwrap();
        assert_eq!((blocker.release.as_str(), blocker.reason.as_str()), ("network", "NotCreated"));
    }

    #[test]
    fn ready_for_an_older_generation_is_not_ready() {
        let all = [component("network", &[])];
        let mut stale = status("network", Some(true), "InstallSucceeded");
        stale.generation = 2;
        assert!(root_blocker(&all, &[stale]).is_some());
    }

    #[test]
    fn a_failure_comes_before_slowness_when_as_many_wait() {
        let all = [component("slow", &[]), component("failed", &[])];
        let statuses = [status("slow", None, "Progressing"), status("failed", Some(false), "UpgradeFailed")];
        assert_eq!(root_blocker(&all, &statuses).unwrap().release, "failed");
    }

    /// cozystack.md 2.10: while Flux tries again its Ready says no more than that of a release that is slow.
    #[test]
    fn a_failed_release_stays_the_blocker_while_flux_tries_it_again() {
        let all = [component("slow", &[]), component("failed", &[])];
        let mut again = status("failed", None, "Progressing");
        again.observed_generation = -1;
        again.failures = 1;
        again.released = Some(Said { reason: "InstallFailed".into(), ..Said::default() });
        let blocker = root_blocker(&all, &[status("slow", None, "Progressing"), again]).unwrap();
        assert_eq!((blocker.release.as_str(), blocker.reason.as_str()), ("failed", "InstallFailed"));
        assert!(blocker.failing);
    }

    #[test]
    fn when_all_are_ready_nothing_blocks() {
        let all = platform();
        let statuses: Vec<_> = all.iter().map(|c| status(&c.name, Some(true), "InstallSucceeded")).collect();
        assert_eq!(root_blocker(&all, &statuses), None);
    }
}
