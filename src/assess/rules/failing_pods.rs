//! Pods that do not serve, by the way in which they fail.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "failing-pods",
    about: "pods that do not serve, by cause, with the days since they fail",
    source: "Kubernetes v1.33: the status of a Pod; pkg/kubelet/images for the reasons of a pull",
    check,
};

use crate::assess::finding::{Pods, Severity};
use crate::assess::snapshot::{Pod, Trouble};
use crate::assess::verdict::Broken;
use std::collections::BTreeSet;

fn check(of: &Context) -> Vec<Problem> {
    Trouble::ALL.iter().filter_map(|trouble| one(of, *trouble)).collect()
}

fn one(of: &Context, trouble: Trouble) -> Option<Problem> {
    let pods: Vec<&Pod> = of.snapshot.pods.read.iter().filter(|p| p.trouble == Some(trouble)).collect();
    let since = || pods.iter().filter_map(|p| p.since);
    let images: BTreeSet<String> = pods.iter().map(|p| p.image.clone()).filter(|i| !i.is_empty()).collect();
    let platform = pods.iter().filter(|p| p.is_platform()).count();
    let fact = Fact::PodsFail(Pods {
        trouble,
        count: pods.len(),
        platform,
        oldest_days: of.snapshot.days(since().min()),
        newest_days: of.snapshot.days(since().max()),
        examples: named(pods.iter().map(|p| format!("{}/{}", p.namespace, p.name))),
        images: if trouble == Trouble::ImagePull { named(images) } else { Vec::new() },
    });
    if pods.is_empty() {
        return None;
    }
    // What is over and was never cleaned away (a finished job, an eviction) holds back nothing.
    let is_litter = match trouble {
        Trouble::Evicted | Trouble::Failed => true,
        Trouble::ImagePull | Trouble::CrashLoop | Trouble::OutOfCpu | Trouble::OutOfMemory | Trouble::InitStuck => {
            false
        }
        Trouble::NoNetwork | Trouble::Unknown | Trouble::Unschedulable | Trouble::Terminating => false,
        Trouble::CannotStart | Trouble::NotReady => false,
    };
    Some(match (is_litter, platform) {
        (true, _) => Problem { severity: Severity::Notes, broken: None, fact },
        (false, 0) => Problem::warns(fact),
        (false, _) => Problem::blocks(Broken::Pods, fact),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn pods_are_told_by_cause_with_the_days_since_they_fail() {
        let mut cluster = healthy();
        for (name, days) in [("a", 52), ("b", 203), ("c", 100)] {
            cluster.pods.read.push(failing("tenant-a", name, Trouble::ImagePull, days));
        }
        let problems = found(&RULE, &cluster);
        let [Problem { severity: Severity::Warns, broken: None, fact: Fact::PodsFail(pods) }] = &problems[..] else {
            panic!("{problems:?}")
        };
        assert_eq!((pods.trouble, pods.count, pods.platform), (Trouble::ImagePull, 3, 0));
        assert_eq!((pods.oldest_days, pods.newest_days), (Some(203), Some(52)));
    }

    #[test]
    fn a_failing_pod_of_the_platform_blocks_and_an_evicted_one_is_only_litter() {
        let mut cluster = healthy();
        cluster.pods.read.push(failing("cozy-linstor", "a", Trouble::CrashLoop, 1));
        cluster.pods.read.push(failing("cozy-linstor", "b", Trouble::Evicted, 1));
        let broken: Vec<_> = found(&RULE, &cluster).iter().map(|p| (p.severity, p.broken)).collect();
        assert_eq!(broken, [(Severity::Blocks, Some(Broken::Pods)), (Severity::Notes, None)]);
    }
}
