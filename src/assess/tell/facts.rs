//! Each fact as a sentence, with what belongs to it.
use super::super::finding::{Cascade, Change, Fact, Pods};
use super::super::snapshot::Trouble;
use super::days;
use crate::base::text::size;
use std::collections::BTreeMap;

fn trouble(of: Trouble) -> &'static str {
    match of {
        Trouble::ImagePull => "can't pull their image",
        Trouble::CrashLoop => "crash again and again",
        Trouble::OutOfCpu => "were refused by their node for lack of cpu (OutOfcpu)",
        Trouble::OutOfMemory => "were refused by their node for lack of memory (OutOfmemory)",
        Trouble::InitStuck => "do not get past their init containers",
        Trouble::NoNetwork => "wait for an address",
        Trouble::Unknown => "are in an unknown state: their node has lost them",
        Trouble::Unschedulable => "find no node",
        Trouble::Terminating => "do not end though they were deleted",
        Trouble::Evicted => "were evicted and never cleaned away",
        Trouble::CannotStart => "have a container that can't be started",
        Trouble::Failed => "have failed and were never cleaned away",
        Trouble::NotReady => "run and are not ready",
    }
}

fn next(of: Trouble) -> &'static str {
    match of {
        Trouble::ImagePull => {
            "next: kubectl describe one of them; the registry, its rate limit, or an image that is gone"
        }
        Trouble::CrashLoop => "next: kubectl logs --previous of one of them",
        Trouble::OutOfCpu | Trouble::OutOfMemory => "next: make room on the node, then delete these pods",
        Trouble::InitStuck => "next: kubectl logs of the init container that runs or waits",
        Trouble::NoNetwork => "next: kubectl describe one of them; the CNI plugin says what it misses",
        Trouble::Unknown => "next: look at the node's containerd and kubelet",
        Trouble::Unschedulable => "next: kubectl describe one of them; taints, resources or volumes",
        Trouble::Terminating => "next: look at the node's kubelet, and at their finalizers",
        Trouble::Evicted | Trouble::Failed => "next: delete them when nobody needs their traces",
        Trouble::CannotStart => "next: kubectl describe one of them; a Secret or ConfigMap is missing, or its command",
        Trouble::NotReady => "next: kubectl describe one of them; its readiness probe says why",
    }
}

fn change(of: Change) -> (&'static str, &'static str) {
    match of {
        Change::FerretDb => (
            "FerretDB v1 becomes v2 on another database in v0.34.0",
            "by hand: dump every database before, restore it after; go to v0.34.3 or later",
        ),
        Change::SeaweedFs => {
            ("SeaweedFS' values are restructured in v0.36.0", "migration 19 does it; go to v0.36.1 or later")
        }
        Change::Resources => {
            ("`resources` has another form from v0.33.0 on", "migration 16 does it; go to v0.33.2 or later")
        }
        Change::ClusterApiProviders => (
            "capi-providers is deleted and installed anew in v0.32.0",
            "migration 14 does it; look at providers that were added by hand",
        ),
    }
}

fn list(label: &str, all: &[String]) -> Option<String> {
    (!all.is_empty()).then(|| format!("{label}: {}", all.join(", ")))
}

fn counted(all: &BTreeMap<String, usize>) -> String {
    let all: Vec<String> =
        all.iter().map(|(what, n)| format!("{} on {n}", if what.is_empty() { "unknown" } else { what })).collect();
    all.join(", ")
}

fn pods(of: &Pods) -> (String, Vec<String>) {
    let since = match (of.newest_days, of.oldest_days) {
        (Some(a), Some(b)) if a == b => format!(", for {a} days"),
        (Some(a), Some(b)) => format!(", for {a} to {b} days"),
        _ => String::new(),
    };
    let what = format!("{} pods {}{since} ({} of the platform)", of.count, trouble(of.trouble), of.platform);
    let details = [list("for example", &of.examples), list("images", &of.images), Some(next(of.trouble).into())];
    (what, details.into_iter().flatten().collect())
}

fn cascade(of: &Cascade) -> (String, Vec<String>) {
    let what = format!("Kube-OVN's daemon does not answer, and {} follows from that", days_of(of.days));
    let links = [
        format!(
            "1. cause: {} warnings name /run/openvswitch/kube-ovn-daemon.sock; {} of {} pods of kube-ovn-cni fail",
            of.socket_warnings, of.cni_down, of.cni_of
        ),
        format!("2. so pods get no network: {} wait for an address", of.without_network),
        format!("3. so names are not resolved: {} of {} pods of CoreDNS fail", of.dns_down, of.dns_of),
        format!("4. so Flux can't fetch charts: {} Helm repositories fail, {} HelmReleases wait for a chart", of.sources_down, of.releases_waiting),
        "5. so no chart can mend the network: apply Kube-OVN's from the installer's pod, which has the host's network, or \
         install anew"
            .to_string(),
    ];
    (what, links.into())
}

fn days_of(of: Option<u64>) -> String {
    of.map_or("more".to_string(), |d| format!("what has failed for {d} days"))
}

type Told = (String, Vec<String>);

fn with(what: impl Into<String>, details: impl IntoIterator<Item = Option<String>>) -> Told {
    (what.into(), details.into_iter().flatten().collect())
}

fn plain(what: impl Into<String>) -> Told {
    (what.into(), Vec::new())
}

fn releases(failed: usize, waiting: usize, of: usize, since: Option<u64>, examples: &[String]) -> Told {
    let open = failed + waiting;
    let what =
        format!("{open} of {of} HelmReleases are not Ready, for up to {}: {failed} fail, {waiting} wait", days(since));
    with(what, [list("for example", examples)])
}

fn orphans(volumes: usize, bytes: u64, examples: &[String]) -> Told {
    let next = Some("next: look whose data it is before anything is deleted".into());
    with(format!("{volumes} volumes ({}) belong to no claim", size(bytes)), [list("for example", examples), next])
}

fn certificates(ended: usize, soon: usize, examples: &[String]) -> Told {
    let next = Some("next: kubectl describe certificate; cert-manager should have renewed them".into());
    let what = format!("{ended} certificates have ended and {soon} end within 14 days");
    with(what, [list("they are", examples), next])
}

fn unknown_version(image: &str) -> Told {
    let image = if image.is_empty() { "none found" } else { image };
    plain(format!("nothing tells the version of CozyStack (image: {image})"))
}

fn in_use(of: Change, count: usize, examples: &[String]) -> Told {
    let (what, how) = change(of);
    with(format!("in use ({count}): {what}"), [list("they are", examples), Some(how.into())])
}

fn scarce(resource: &str, percent: u64, nodes: &[String]) -> Told {
    let what =
        format!("pods ask for more than 90 % of the {resource} of {} ({percent} % of the cluster's)", nodes.join(", "));
    with(what, [Some("an upgrade starts new pods before it ends the old ones".into())])
}

fn no_backup(of_databases: usize) -> Told {
    let partly = (of_databases > 0).then(|| format!("{of_databases} backups of single databases are"));
    let next = "next: take one, and etcd's snapshot (`talosctl etcd snapshot`), before anything is changed";
    with("no backup of the cluster is complete (Velero)", [partly, Some(next.into())])
}

fn access(left: i64) -> Told {
    if left < 0 {
        return plain("the kubeconfig's certificate has ended");
    }
    plain(format!("the kubeconfig's certificate ends in {left} days"))
}

fn migrations(found: u32, expected: u32) -> Told {
    let why = "an upgrade stopped half-way, or somebody wrote the ConfigMap cozystack-version";
    with(format!("the migrations stand at {found}, and this version leaves {expected}"), [Some(why.into())])
}

/// The sentence of a fact, and further lines.
#[rustfmt::skip]
pub fn told(fact: &Fact) -> Told {
    match fact {
        Fact::NetworkCascade(of) => cascade(of),
        Fact::PodsFail(of) => pods(of),
        Fact::NodesNotReady { nodes, of, days: since } =>
            plain(format!("{} of {of} nodes are not Ready, for up to {}: {}", nodes.len(), days(*since), nodes.join(", "))),
        Fact::NodePressure { node, pressure } => plain(format!("{node} has {}", pressure.join(", "))),
        Fact::ReleasesNotReady { failed, waiting, of, days, examples } => releases(*failed, *waiting, *of, *days, examples),
        Fact::SourcesFail { sources, of, days: since } =>
            with(format!("Flux can't fetch {} of {of} Helm repositories, for up to {}", sources.len(), days(*since)), [list("they are", sources)]),
        Fact::Orphans { volumes, bytes, examples } => orphans(*volumes, *bytes, examples),
        Fact::ClaimsPending { claims, days: since, examples } =>
            with(format!("{claims} claims wait for a volume, for up to {}", days(*since)), [list("for example", examples)]),
        Fact::SatellitesUnwell { satellites } => with("LINSTOR satellites are not well", [list("they are", satellites)]),
        Fact::EtcdUnwell { members } => with("etcd is not well", [list("members", members)]),
        Fact::EtcdLarge { bytes } => plain(format!("etcd's database has {}; its limit is 2 GiB", size(*bytes))),
        Fact::CertificatesEnd { ended, soon, examples } => certificates(*ended, *soon, examples),
        Fact::Unofficial { version } => with(
            format!("{version} is no release: which changes are in it, only its builder knows"),
            [Some("its migrations and charts may differ from those of any release".into())],
        ),
        Fact::VersionUnknown { image } => unknown_version(image),
        Fact::MigrationDiffers { found, expected } => migrations(*found, *expected),
        Fact::ChangeInUse { change, count, examples } => in_use(*change, *count, examples),
        Fact::ChangeNotInUse { change: of } => plain(format!("not in use: {}", change(*of).0)),
        Fact::TalosVersions { versions } => plain(format!("the nodes run different systems: {}", counted(versions))),
        Fact::KubeletSkew { server, kubelets } =>
            plain(format!("the API server is {server}, too far from kubelets {}", counted(kubelets))),
        Fact::Scarce { resource, percent, nodes } => scarce(resource, *percent, nodes),
        Fact::NoBackup { of_databases } => no_backup(*of_databases),
        Fact::BackupOld { days } => plain(format!("the newest backup of the cluster is {days} days old")),
        Fact::AccessEnds { days } => access(*days),
    }
}
