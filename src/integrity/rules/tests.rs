use super::*;
use crate::integrity::read::Cluster;
use crate::kubernetes::{PodStatus, Version};
use serde_json::json;
use std::collections::BTreeMap;

/// A cluster of which nothing could be read.
fn silent() -> Cluster {
    let no = || Err("connection refused".to_string());
    Cluster {
        version: Err("connection refused".to_string()),
        nodes: no(),
        pods: Err("connection refused".to_string()),
        deployments: no(),
        daemon_sets: no(),
        services: no(),
        volumes: no(),
        claims: no(),
        bindings: no(),
        accounts: no(),
        releases: Err("connection refused".to_string()),
        warnings: Err("connection refused".to_string()),
        namespace: Err("connection refused".to_string()),
        definitions: BTreeMap::from([(
            "proxmoxmachines.infrastructure.cluster.x-k8s.io",
            Err("connection refused".into()),
        )]),
        proxmox_clusters: no(),
        proxmox_machines: no(),
    }
}

fn plan() -> Plan {
    crate::plan::defaults::plan(&crate::plan::defaults::Defaults::default())
}

fn node(name: &str, kubelet: &str, cordoned: bool) -> Value {
    json!({"metadata": {"name": name}, "spec": {"unschedulable": cordoned}, "status": {"nodeInfo": {"kubeletVersion": kubelet}}})
}

fn pod(namespace: &str, name: &str, phase: &str, ready: bool) -> PodStatus {
    PodStatus {
        namespace: namespace.into(),
        name: name.into(),
        phase: phase.into(),
        ready,
        restarts: 0,
        node: String::new(),
        waiting_reason: None,
        ip: String::new(),
        started: None,
        release: None,
    }
}

#[test]
fn a_cluster_that_does_not_answer_passes_no_check() {
    for check in &crate::integrity::table::CHECKS {
        if let crate::integrity::table::By::Cluster { rule, .. } = &check.by {
            let verdict = rule(&silent(), &plan());
            assert!(matches!(verdict, Verdict::NoAnswer { .. } | Verdict::Differs { .. }), "{}: {verdict:?}", check.id);
        }
    }
}

#[test]
fn a_cordoned_node_and_one_that_is_not_there_are_differences() {
    let plan = plan();
    let all: Vec<Value> = plan.nodes.iter().map(|n| node(&n.name, "v1.33.3", false)).collect();
    let mut cluster = Cluster { nodes: Ok(all.clone()), ..silent() };
    assert!(matches!(nodes(&cluster, &plan), Verdict::Holds { .. }));
    let mut cordoned = all.clone();
    cordoned[0]["spec"]["unschedulable"] = json!(true);
    cluster.nodes = Ok(cordoned);
    assert!(matches!(nodes(&cluster, &plan), Verdict::Differs { seen, .. } if seen.ends_with(" is cordoned")));
    cluster.nodes = Ok(all[1..].to_vec());
    assert!(
        matches!(nodes(&cluster, &plan), Verdict::Differs { seen, .. } if seen.ends_with(" is not in the cluster"))
    );
}

#[test]
fn another_version_of_one_kubelet_is_a_difference_and_a_worker_of_cluster_api_is_not() {
    let plan = plan();
    let wanted = plan.talos.kubernetes.clone();
    let mut all: Vec<Value> = plan.nodes.iter().map(|n| node(&n.name, &wanted, false)).collect();
    all.push(node("workers-abc", "v1.30.0", false));
    let version = Version { git_version: wanted, platform: String::new() };
    let mut cluster = Cluster { nodes: Ok(all.clone()), version: Ok(version), ..silent() };
    assert!(matches!(versions(&cluster, &plan), Verdict::Holds { .. }), "{:?}", versions(&cluster, &plan));
    all[0]["status"]["nodeInfo"]["kubeletVersion"] = json!("v1.32.0");
    cluster.nodes = Ok(all);
    assert!(matches!(versions(&cluster, &plan), Verdict::Differs { seen, .. } if seen.contains("v1.32.0")));
}

#[test]
fn a_workload_with_fewer_pods_than_it_wants_or_that_is_gone_is_a_difference() {
    let coredns_of = |ready: u64| {
        json!({"metadata": {"namespace": "kube-system", "name": "coredns"}, "spec": {"replicas": 2},
        "status": {"availableReplicas": ready}})
    };
    let with = |list: Vec<Value>| coredns(&Cluster { deployments: Ok(list), ..silent() }, &plan());
    assert!(matches!(with(vec![coredns_of(2)]), Verdict::Holds { .. }));
    assert!(matches!(with(vec![coredns_of(1)]), Verdict::Differs { seen, .. } if seen.contains("1 of 2")));
    assert!(matches!(with(vec![]), Verdict::Differs { seen, .. } if seen.contains("is not there")));
}

#[test]
fn a_proxmox_machine_without_an_owner_is_told_apart_from_one_that_waits() {
    let machine = |owner: bool, vm: u64| {
        let owners = if owner { json!([{"kind": "Machine"}]) } else { json!([]) };
        let id = if vm > 0 { "proxmox://a" } else { "" };
        json!({"metadata": {"namespace": "a", "name": "m", "ownerReferences": owners}, "spec": {"virtualMachineID": vm, "providerID": id}})
    };
    let judge = |m: Value| proxmox_machines(&Cluster { proxmox_machines: Ok(vec![m]), ..silent() }, &plan());
    assert!(matches!(judge(machine(true, 9500)), Verdict::Holds { .. }));
    assert!(matches!(judge(machine(true, 0)), Verdict::Differs { seen, .. } if seen == "a/m has no VM"));
    assert!(matches!(judge(machine(false, 0)), Verdict::Differs { seen, .. } if seen.contains("no VM will come")));
}

#[test]
fn a_binding_for_anybody_is_a_difference_unless_kubernetes_brings_it() {
    let binding = |name: &str, subject: &str| {
        json!({"metadata": {"name": name}, "roleRef": {"name": "cluster-admin"},
        "subjects": [{"kind": "Group", "name": subject}]})
    };
    let judge = |b: Value| anonymous(&Cluster { bindings: Ok(vec![b]), ..silent() }, &plan());
    assert!(matches!(judge(binding("open", "system:unauthenticated")), Verdict::Differs { .. }));
    assert!(matches!(judge(binding("system:public-info-viewer", "system:unauthenticated")), Verdict::Holds { .. }));
    assert!(matches!(judge(binding("admins", "system:masters")), Verdict::Holds { .. }));
}

#[test]
fn pods_of_tenants_are_not_the_platforms_and_hostile_names_keep_no_control_characters() {
    let judge = |pods: Vec<PodStatus>| platform_pods(&Cluster { pods: Ok(pods), ..silent() }, &plan());
    let well = pod("cozy-system", "a", "Running", true);
    assert!(matches!(judge(vec![well.clone(), pod("tenant-x", "b", "Pending", false)]), Verdict::Holds { .. }));
    assert!(matches!(judge(vec![well, pod("cozy-system", "b", "Running", false)]), Verdict::Differs { .. }));
    let volumes_of = Cluster {
        volumes: Ok(vec![json!({"metadata": {"name": "a\u{1b}[31m"}, "status": {"phase": "Failed"}})]),
        claims: Ok(vec![]),
        ..silent()
    };
    assert!(matches!(volumes(&volumes_of, &plan()), Verdict::Differs { seen, .. } if !seen.contains('\u{1b}')));
}
