//! HelmReleases that are not Ready.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "releases-not-ready",
    about: "HelmReleases that are not Ready",
    source: "helm-controller v1.3.0: internal/controller and internal/reconcile",
    check,
};

use crate::assess::verdict::Broken;
use crate::cozystack::Health;

fn check(of: &Context) -> Vec<Problem> {
    let all = &of.snapshot.releases.read;
    let open: Vec<_> = all.iter().filter(|r| !Health::of(&r.status).is_ready()).collect();
    if open.is_empty() {
        return Vec::new();
    }
    let failed = open.iter().filter(|r| Health::of(&r.status).is_trouble());
    let days = of.snapshot.days(open.iter().filter_map(|r| r.status.since).min());
    let mut shown: Vec<_> = open.iter().map(|r| (!Health::of(&r.status).is_trouble(), r)).collect();
    shown.sort_by_key(|(waits, _)| *waits);
    let examples = shown.iter().map(|(_, r)| {
        let reason = crate::assess::snapshot::kept(Health::of(&r.status).reason());
        format!("{}/{} ({reason})", r.status.namespace, r.status.name)
    });
    let fact = Fact::ReleasesNotReady {
        failed: failed.count(),
        waiting: open.iter().filter(|r| !Health::of(&r.status).is_trouble()).count(),
        of: all.len(),
        days,
        examples: named(examples),
    };
    vec![Problem::blocks(Broken::Releases, fact)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_failed_release_is_named_before_those_that_only_wait() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.releases.read.push(release("cozy-a", "waits", Some(false), "DependencyNotReady", 60));
        cluster.releases.read.push(release("cozy-b", "fails", Some(false), "InstallFailed", 50));
        let fact = Fact::ReleasesNotReady {
            failed: 1,
            waiting: 1,
            of: 4,
            days: Some(60),
            examples: vec!["cozy-b/fails (InstallFailed)".into(), "cozy-a/waits (DependencyNotReady)".into()],
        };
        assert_eq!(found(&RULE, &cluster), [Problem::blocks(Broken::Releases, fact)]);
    }
}
