//! The one cause behind many failures: Kube-OVN's daemon is gone, so pods get no network, names are not resolved, Flux can't
//! fetch its charts, and so can't mend the network either.
use super::{Context, Fact, Problem, Rule};

pub const RULE: Rule = Rule {
    id: "network-cascade",
    about: "a Kube-OVN that is down, with what follows from it",
    source: "CozyStack v0.28 to v0.37: packages/system/kubeovn and fluxcd; Kube-OVN v1.13: cmd/cni",
    check,
};

use crate::assess::finding::Cascade;
use crate::assess::snapshot::{Pod, Trouble};
use crate::assess::verdict::Broken;
use crate::cozystack::Health;

/// Pods of the daemon that gives pods their addresses.
fn is_cni(pod: &Pod) -> bool {
    pod.namespace == "cozy-kubeovn" && pod.name.starts_with("kube-ovn-cni")
}

fn is_dns(pod: &Pod) -> bool {
    pod.namespace == "kube-system" && pod.name.starts_with("coredns")
}

/// A cause, and at least one thing that follows from it; a CNI pod that fails alone is a failing pod and no more.
fn check(of: &Context) -> Vec<Problem> {
    let snapshot = of.snapshot;
    let pods = || snapshot.pods.read.iter().filter(|p| !p.is_over || p.trouble.is_some());
    let down = |p: &&Pod| p.trouble.is_some();
    let waiting = |r: &&crate::assess::snapshot::Release| match Health::of(&r.status) {
        Health::WaitsForChart(_) | Health::Hindered(_) => true,
        Health::Ready | Health::New | Health::Waits(_) | Health::Runs(_) => false,
        Health::Failed { .. } | Health::Stalled(_) | Health::Suspended => false,
    };
    let links = || pods().filter(|p| (is_cni(p) || is_dns(p) || p.trouble == Some(Trouble::NoNetwork)) && down(p));
    let cascade = Cascade {
        socket_warnings: snapshot.sandboxes.read.no_socket,
        cni_down: pods().filter(|p| is_cni(p)).filter(down).count(),
        cni_of: pods().filter(|p| is_cni(p)).count(),
        without_network: pods().filter(|p| p.trouble == Some(Trouble::NoNetwork)).count(),
        dns_down: pods().filter(|p| is_dns(p)).filter(down).count(),
        dns_of: pods().filter(|p| is_dns(p)).count(),
        sources_down: snapshot.sources.read.iter().filter(|s| s.fails).count(),
        releases_waiting: snapshot.releases.read.iter().filter(waiting).count(),
        days: snapshot.days(links().filter_map(|p| p.since).min()),
    };
    let is_cause = cascade.socket_warnings > 0 || cascade.cni_down > 0;
    let has_effect = cascade.without_network > 0 || cascade.dns_down > 0 || cascade.sources_down > 0;
    if !(is_cause && has_effect) {
        return Vec::new();
    }
    vec![Problem::blocks(Broken::Network, Fact::NetworkCascade(cascade))]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn the_missing_socket_is_the_one_cause_of_what_follows_from_it() {
        let mut cluster = healthy();
        cluster.sandboxes.read.no_socket = 12;
        cluster.pods.read.push(failing("cozy-kubeovn", "kube-ovn-cni-a", Trouble::CrashLoop, 203));
        cluster.pods.read.push(failing("kube-system", "coredns-a", Trouble::CrashLoop, 190));
        cluster.pods.read.push(failing("tenant-a", "web", Trouble::NoNetwork, 52));
        cluster.sources.read[0].fails = true;
        let [Problem { broken: Some(Broken::Network), fact: Fact::NetworkCascade(cascade), .. }] =
            &found(&RULE, &cluster)[..]
        else {
            panic!("no cascade")
        };
        assert_eq!((cascade.socket_warnings, cascade.cni_down, cascade.dns_down), (12, 1, 1));
        assert_eq!((cascade.without_network, cascade.sources_down, cascade.days), (1, 1, Some(203)));
    }

    #[test]
    fn a_cause_without_effect_and_effects_without_the_cause_are_no_cascade() {
        let mut cluster = healthy();
        cluster.pods.read.push(failing("cozy-kubeovn", "kube-ovn-cni-a", Trouble::CrashLoop, 1));
        assert_eq!(found(&RULE, &cluster), []);
        let mut cluster = healthy();
        cluster.pods.read.push(failing("kube-system", "coredns-a", Trouble::CrashLoop, 1));
        cluster.sources.read[0].fails = true;
        assert_eq!(found(&RULE, &cluster), []);
    }
}
