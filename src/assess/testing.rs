//! Clusters for the tests of the rules.
use super::snapshot::*;
use super::version::Version;
use crate::kubernetes::ReleaseStatus;
use jiff::{SignedDuration, Timestamp};

pub fn now() -> Timestamp {
    "2026-11-30T00:00:00Z".parse().unwrap()
}

/// Below 0: in the future.
pub fn days_ago(days: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_hours(24 * days)).unwrap()
}

pub fn failing(namespace: &str, name: &str, trouble: Trouble, days: i64) -> Pod {
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        trouble: Some(trouble),
        since: Some(days_ago(days)),
        ..Pod::default()
    }
}

pub fn release(namespace: &str, name: &str, ready: Option<bool>, reason: &str, days: i64) -> Release {
    Release {
        status: ReleaseStatus {
            namespace: namespace.into(),
            name: name.into(),
            ready,
            reason: reason.into(),
            generation: 1,
            observed_generation: 1,
            since: Some(days_ago(days)),
            ..ReleaseStatus::default()
        },
        chart: format!("cozy-{name}"),
        created: Some(days_ago(219)),
        nested_resources: false,
    }
}

fn node(n: usize) -> Node {
    Node {
        name: format!("cp{n}"),
        ready: true,
        since: Some(days_ago(219)),
        created: Some(days_ago(219)),
        control_plane: true,
        pressure: vec![],
        kubelet: "v1.33.3".into(),
        os: "Talos (v1.10.6)".into(),
        cpu: 8000,
        memory: 24 << 30,
    }
}

fn etcd(n: usize) -> Etcd {
    Etcd {
        address: format!("10.0.0.4{n}"),
        talos: "v1.10.6".into(),
        fault: None,
        has_leader: true,
        is_learner: false,
        database: 100 << 20,
        members: 3,
        errors: vec![],
    }
}

fn running(namespace: &str, name: &str) -> Pod {
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        node: "cp1".into(),
        cpu: 500,
        memory: 1 << 30,
        ..Pod::default()
    }
}

fn installer() -> Installer {
    Installer {
        image: "ghcr.io/cozystack/cozystack/installer:v0.37.2".into(),
        version: Version::of_tag("v0.37.2"),
        created: Some(days_ago(219)),
    }
}

fn source() -> Source {
    Source {
        namespace: "cozy-system".into(),
        name: "cozystack-system".into(),
        fails: false,
        since: Some(days_ago(200)),
    }
}

fn volume() -> Volume {
    let claim = ("tenant-a".into(), "data".into());
    Volume { name: "pvc-1".into(), class: "replicated".into(), bytes: 10 << 30, phase: "Bound".into(), claim }
}

fn claim() -> Claim {
    let created = Some(days_ago(100));
    Claim { namespace: "tenant-a".into(), name: "data".into(), class: "replicated".into(), is_bound: true, created }
}

fn certificate() -> Certificate {
    let not_after = Some(days_ago(-60));
    Certificate { namespace: "cozy-linstor".into(), name: "api".into(), ready: true, not_after }
}

/// v0.37.2 without any fault.
pub fn healthy() -> Snapshot {
    Snapshot {
        at: now(),
        server: "https://10.0.0.40:6443/".into(),
        user: "admin@old".into(),
        access_ends: Some(days_ago(-100)),
        kubernetes: "v1.33.3".into(),
        nodes: Part::whole((1..=3).map(node).collect()),
        pods: Part::whole(vec![running("kube-system", "coredns-1"), running("cozy-kubeovn", "kube-ovn-cni-1")]),
        releases: Part::whole(vec![
            release("cozy-cilium", "cilium", Some(true), "InstallSucceeded", 200),
            release("tenant-root", "tenant-root", Some(true), "InstallSucceeded", 200),
        ]),
        installer: Part::whole(installer()),
        bundle: Part::whole("paas-full".into()),
        migration: Part::whole(Some(21)),
        sources: Part::whole(vec![source()]),
        sandboxes: Part::whole(Sandboxes::default()),
        volumes: Part::whole(vec![volume()]),
        claims: Part::whole(vec![claim()]),
        satellites: Part::whole(vec![Satellite { name: "cp1".into(), unmet: vec![] }]),
        certificates: Part::whole(vec![certificate()]),
        backups: Part::whole(vec![Backup { done: Some(days_ago(1)), of_cluster: true }]),
        etcd: Part::whole((1..=3).map(etcd).collect()),
        calls: 20,
    }
}

/// v0.28.0 without any fault.
pub fn older() -> Snapshot {
    let mut cluster = healthy();
    cluster.installer.read.version = Version::of_tag("v0.28.0");
    cluster.migration.read = Some(10);
    cluster
}
