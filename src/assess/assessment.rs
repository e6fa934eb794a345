//! The assessment as one value: everything that a report shows, before it is words.
use super::finding::{Fact, Finding};
use super::rules::{Context, findings};
use super::snapshot::{Etcd, Missing, Snapshot, What};
use super::upgrade::Way;
use super::verdict::{Broken, Distance, Scales, Verdict, weigh};
use super::version::{Number, Version};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the JSON form.
const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assessment {
    pub schema: u32,
    pub kind: &'static str,
    pub at: Timestamp,
    pub target: Number,
    pub cluster: Identity,
    pub counts: Counts,
    pub verdict: Verdict,
    pub findings: Vec<Finding>,
    pub way: Way,
    /// By name.
    pub nodes: Vec<Room>,
    /// By storage class.
    pub volumes: BTreeMap<String, Class>,
    pub etcd: Vec<Member>,
    pub lacks: Vec<Lack>,
    /// Requests to the API server.
    pub calls: usize,
}

/// What the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub server: String,
    pub user: String,
    pub cozystack: Option<Version>,
    pub image: String,
    /// Empty when nothing names it.
    pub bundle: String,
    pub kubernetes: String,
    /// Systems of the nodes, with their counts.
    pub systems: BTreeMap<String, usize>,
    /// Days since the oldest node, and since the platform's installer, was made.
    pub age_days: Option<u64>,
    pub platform_age_days: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub nodes: usize,
    pub nodes_ready: usize,
    pub pods: usize,
    pub pods_failing: usize,
    pub releases: usize,
    pub releases_ready: usize,
    pub volumes: usize,
    pub tenants: usize,
}

/// A node, and how much of it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Room {
    pub name: String,
    pub ready: bool,
    pub age_days: Option<u64>,
    pub kubelet: String,
    pub pods: usize,
    /// Thousandths of a core.
    pub cpu_asked: u64,
    pub cpu: u64,
    /// Bytes.
    pub memory_asked: u64,
    pub memory: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Class {
    pub volumes: usize,
    pub bytes: u64,
    /// Without a claim.
    pub orphaned: usize,
    /// Bound, and mounted by no pod.
    pub unmounted: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    pub address: String,
    pub talos: String,
    pub fault: Option<String>,
    pub database: u64,
    pub members: usize,
}

/// A reading that failed, and how much hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lack {
    pub what: What,
    #[serde(flatten)]
    pub missing: Missing,
    pub need: Need,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// No verdict without it.
    Always,
    /// Without it nobody may say that nothing is broken.
    ForGo,
    /// The report is poorer without it.
    Nice,
}

fn need(what: What, missing: &Missing, of: &Snapshot) -> Need {
    let has_linstor = of.releases.read.iter().any(|r| r.status.name == "linstor");
    match (what, missing) {
        (What::Nodes | What::Pods | What::Releases | What::Installer, _) => Need::Always,
        (What::Satellites, Missing::NotServed) if has_linstor => Need::ForGo,
        (_, Missing::NotServed | Missing::NoAccess) => Need::Nice,
        (What::Sources | What::SandboxEvents | What::Claims | What::Satellites, _) => Need::ForGo,
        (What::Certificates | What::Etcd, _) => Need::ForGo,
        (What::Settings | What::Migration | What::Volumes | What::Backups, _) => Need::Nice,
    }
}

/// The assessment of what was read, on the way to `target`.
pub fn assess(of: &Snapshot, target: Number) -> Assessment {
    let version = of.installer.read.version.as_ref();
    let way = Way::between(version, target, of.migration.read);
    let findings = findings(&Context { snapshot: of, target });
    let lacks: Vec<Lack> = of
        .gaps()
        .into_iter()
        .map(|(what, missing)| Lack { what, missing: missing.clone(), need: need(what, missing, of) })
        .collect();
    let verdict = weigh(&scales(version, &way, &findings, &lacks));
    Assessment {
        schema: SCHEMA,
        kind: "assessment",
        at: of.at,
        target,
        cluster: identity(of),
        counts: counts(of),
        verdict,
        findings,
        way,
        nodes: rooms(of),
        volumes: classes(of),
        etcd: of.etcd.read.iter().map(member).collect(),
        lacks,
        calls: of.calls,
    }
}

fn scales(version: Option<&Version>, way: &Way, findings: &[Finding], lacks: &[Lack]) -> Scales {
    let lacking = |need: Need| lacks.iter().filter(|l| l.need == need).map(|l| l.what).collect();
    let by_hand = |f: &&Finding| matches!(&f.fact, Fact::ChangeInUse { change, .. } if change.is_by_hand());
    let broken: BTreeSet<Broken> = findings.iter().filter_map(|f| f.broken).collect();
    Scales {
        gaps: lacking(Need::Always),
        unsure: lacking(Need::ForGo),
        distance: match way {
            Way::There => Distance::Stops(0),
            Way::Ahead { stops, .. } => Distance::Stops(stops.len()),
            Way::Beyond => Distance::Beyond,
            Way::TooOld => Distance::TooOld,
            Way::Unknown => Distance::Unknown,
        },
        unofficial: version.is_some_and(|v| !v.is_release()),
        by_hand: findings.iter().filter(by_hand).count(),
        broken,
    }
}

fn identity(of: &Snapshot) -> Identity {
    let mut systems = BTreeMap::new();
    for node in &of.nodes.read {
        *systems.entry(node.os.clone()).or_default() += 1;
    }
    Identity {
        server: of.server.clone(),
        user: of.user.clone(),
        cozystack: of.installer.read.version.clone(),
        image: of.installer.read.image.clone(),
        bundle: of.bundle.read.clone(),
        kubernetes: of.kubernetes.clone(),
        systems,
        age_days: of.age_days(),
        platform_age_days: of.days(of.installer.read.created),
    }
}

fn counts(of: &Snapshot) -> Counts {
    let tenants: BTreeSet<&str> =
        of.releases.read.iter().filter(|r| r.is_of_a_tenant()).map(|r| &*r.status.namespace).collect();
    Counts {
        nodes: of.nodes.read.len(),
        nodes_ready: of.nodes.read.iter().filter(|n| n.ready).count(),
        pods: of.pods.read.len(),
        pods_failing: of.pods.read.iter().filter(|p| p.trouble.is_some()).count(),
        releases: of.releases.read.len(),
        releases_ready: of.releases.read.iter().filter(|r| crate::cozystack::Health::of(&r.status).is_ready()).count(),
        volumes: of.volumes.read.len(),
        tenants: tenants.len(),
    }
}

fn rooms(of: &Snapshot) -> Vec<Room> {
    let mut rooms: BTreeMap<&str, Room> = BTreeMap::new();
    for node in &of.nodes.read {
        let room = Room {
            name: node.name.clone(),
            ready: node.ready,
            age_days: of.days(node.created),
            kubelet: node.kubelet.clone(),
            pods: 0,
            cpu_asked: 0,
            cpu: node.cpu,
            memory_asked: 0,
            memory: node.memory,
        };
        rooms.insert(&node.name, room);
    }
    for pod in of.pods.read.iter().filter(|p| !p.is_over) {
        if let Some(room) = rooms.get_mut(pod.node.as_str()) {
            room.pods += 1;
            room.cpu_asked = room.cpu_asked.saturating_add(pod.cpu);
            room.memory_asked = room.memory_asked.saturating_add(pod.memory);
        }
    }
    rooms.into_values().collect()
}

fn classes(of: &Snapshot) -> BTreeMap<String, Class> {
    let mounts = of.pods.read.iter().flat_map(|p| p.claims.iter().map(|c| (p.namespace.as_str(), c.as_str())));
    let mounted: BTreeSet<(&str, &str)> = mounts.collect();
    let mut classes: BTreeMap<String, Class> = BTreeMap::new();
    for volume in &of.volumes.read {
        let class = classes.entry(volume.class.clone()).or_default();
        class.volumes += 1;
        class.bytes = class.bytes.saturating_add(volume.bytes);
        if volume.phase == "Bound" {
            let claim = (volume.claim.0.as_str(), volume.claim.1.as_str());
            class.unmounted += usize::from(!mounted.contains(&claim));
        } else {
            class.orphaned += 1;
        }
    }
    classes
}

fn member(etcd: &Etcd) -> Member {
    Member {
        address: etcd.address.clone(),
        talos: etcd.talos.clone(),
        fault: etcd.fault.clone(),
        database: etcd.database,
        members: etcd.members,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::verdict::{Decision, Estimate};
    use super::*;
    use crate::assess::snapshot::{Limit, Part, Trouble};

    const TARGET: Number = Number::new(0, 37, 2);

    #[test]
    fn a_healthy_cluster_goes_and_the_seeds_situation_is_a_fresh_install() {
        assert_eq!(assess(&healthy(), TARGET).verdict.decision, Decision::Go);
        let mut seed = older();
        seed.installer.read.version = Version::of_tag("v0.28.0-54-g22cf18ff");
        seed.sandboxes.read.no_socket = 30;
        seed.sources.read[0].fails = true;
        seed.pods.read.push(failing("kube-system", "coredns-1", Trouble::CrashLoop, 203));
        let verdict = assess(&seed, TARGET).verdict;
        assert_eq!(verdict.decision, Decision::FreshInstall);
        assert_eq!(verdict.upgrade, Some(Estimate { hours: (30, 44), percent: (31, 40) }));
    }

    #[test]
    fn what_can_not_be_read_never_makes_a_go() {
        let forbidden = || Missing::Forbidden { text: "no".into() };
        let mut cluster = healthy();
        cluster.releases = Part::missing(forbidden());
        assert_eq!(assess(&cluster, TARGET).verdict.decision, Decision::Undecided);
        let mut cluster = healthy();
        cluster.pods.missing = Some(Missing::Cut { limit: Limit::Pages(500) });
        assert_eq!(assess(&cluster, TARGET).verdict.decision, Decision::Undecided);
        let mut cluster = healthy();
        cluster.certificates = Part::missing(forbidden());
        assert_eq!(assess(&cluster, TARGET).verdict.decision, Decision::Undecided);
        let mut cluster = healthy();
        cluster.etcd = Part::missing(Missing::NoAccess);
        assert_eq!(assess(&cluster, TARGET).verdict.decision, Decision::Go);
    }

    #[test]
    fn a_linstor_without_its_definitions_is_no_healthy_storage() {
        let mut cluster = healthy();
        cluster.satellites = Part::missing(Missing::NotServed);
        assert_eq!(assess(&cluster, TARGET).verdict.decision, Decision::Go);
        cluster.releases.read.push(release("cozy-linstor", "linstor", Some(true), "InstallSucceeded", 9));
        assert_eq!(assess(&cluster, TARGET).verdict.decision, Decision::Undecided);
    }

    #[test]
    fn volumes_are_counted_by_class_with_those_that_nobody_uses() {
        let mut cluster = healthy();
        let class = |cluster: &Snapshot| assess(cluster, TARGET).volumes["replicated"];
        assert_eq!(class(&cluster), Class { volumes: 1, bytes: 10 << 30, orphaned: 0, unmounted: 1 });
        cluster.pods.read.push(crate::assess::snapshot::Pod {
            namespace: "tenant-a".into(),
            claims: vec!["data".into()],
            ..Default::default()
        });
        assert_eq!(class(&cluster).unmounted, 0);
        cluster.volumes.read[0].phase = "Released".into();
        assert_eq!(class(&cluster).orphaned, 1);
    }
}
