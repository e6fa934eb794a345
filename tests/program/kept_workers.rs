//! `cozyup workers set`: workers by Cluster API that stay, as a person asks for them on a validated cluster.
use crate::common::{Kept, ToItsEnd, cozyup, records, text, until};
use crate::day6::{guests, killed_in, proof, reader};
use crate::day6_workers::{Cluster, nothing_in_proxmox};
use cozyup::kubernetes::Kind;
use cozyup::steps::catalogue::LAST_DAY;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Output;

const NAMESPACE: Option<&str> = Some("cozyup-kept");

/// A lab whose cluster is validated: every day is proven.
fn validated() -> Kept {
    Kept::with_run_until(&LAST_DAY.to_string())
}

fn set(lab: &Kept, count: &str, more: &[&str]) -> Output {
    cozyup(lab.state(), &[&["lab", "workers", count], more].concat()).ended()
}

/// Sets the number, and finds it in both systems: each VM of Proxmox VE is a node by its SMBIOS uuid, and there are no others.
fn has_set(lab: &Kept, count: usize) -> BTreeSet<String> {
    let run = set(lab, &count.to_string(), &["--yes", "--json"]);
    assert_eq!(run.status.code(), Some(0), "{count}: {}", text(&run));
    let names = in_both(lab, count);
    if count > 0 {
        let records = records(&run);
        let pods = proof(&records, "kept.pods")["summary"].as_str().unwrap();
        assert!(pods.contains(&format!("pods ran on {count}")), "{pods}");
    }
    names
}

fn in_both(lab: &Kept, count: usize) -> BTreeSet<String> {
    let cluster = Cluster::of(lab);
    let nodes = cluster.list_in(None, &Kind::NODE);
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_string();
    let kept: Vec<&Value> = nodes.iter().filter(|node| name(node).starts_with("kept-")).collect();
    for node in &kept {
        assert!(node["spec"]["taints"].as_array().is_none_or(Vec::is_empty), "{node:#}");
        let uuid = node["status"]["nodeInfo"]["systemUUID"].as_str().unwrap().to_lowercase();
        assert_eq!(node["spec"]["providerID"], format!("proxmox://{uuid}"));
    }
    let names: BTreeSet<String> = kept.iter().map(|node| name(node)).collect();
    let vms: BTreeSet<String> = guests(&reader(&lab.site())).into_iter().map(|row| row.name.unwrap()).collect();
    assert_eq!((names.len(), &names), (count, &vms));
    names
}

fn objects(lab: &Kept) -> usize {
    let cluster = Cluster::of(lab);
    [Kind::SECRET, Kind::CLUSTER, Kind::MACHINE].iter().map(|kind| cluster.list_in(NAMESPACE, kind).len()).sum()
}

#[test]
fn workers_that_stay_are_agreed_to_named_by_status_and_go_with_a_teardown() {
    let lab = validated();
    let asked = set(&lab, "2", &[]);
    assert_eq!(asked.status.code(), Some(2), "{}", text(&asked));
    for word in
        ["0 workers now, 2 after", "10 VMIDs of 9500-9509", "of memory for guests", "nobody is here to agree", "--yes"]
    {
        assert!(text(&asked).contains(word), "{word}: {}", text(&asked));
    }
    assert_eq!(objects(&lab), 0);
    let names = has_set(&lab, 2);
    let status = text(&cozyup(lab.state(), &["status"]).ended());
    assert!(names.iter().all(|name| status.contains(name)), "{status}");
    let teardown = cozyup(lab.state(), &["lab", "teardown", "--confirm", "standard"]).ended();
    assert_eq!(teardown.status.code(), Some(0), "{}", text(&teardown));
    assert!(text(&teardown).contains("undo.kept.removal"), "{}", text(&teardown));
    nothing_in_proxmox(&lab.site());
}

#[test]
fn a_number_of_workers_is_raised_lowered_and_taken_back() {
    let lab = validated();
    let two = has_set(&lab, 2);
    let three = has_set(&lab, 3);
    assert!(two.is_subset(&three), "{two:?} {three:?}");
    let one = has_set(&lab, 1);
    assert!(one.is_subset(&three), "{one:?} {three:?}");
    // A repetition changes nothing and reads all of it again.
    assert_eq!(has_set(&lab, 1), one);
    has_set(&lab, 0);
    assert_eq!(objects(&lab), 0);
    nothing_in_proxmox(&lab.site());
    has_set(&lab, 0);
}

#[test]
fn a_change_of_the_number_that_is_killed_is_finished_by_its_repetition() {
    let lab = validated();
    for (count, step) in [(2, "kept.machines"), (2, "kept.nodes"), (1, "kept.machines"), (0, "kept.removal")] {
        if step == "kept.nodes" {
            has_set(&lab, 1);
        }
        killed_in(lab.state(), &["lab", "workers", &count.to_string(), "--yes", "--json"], step, "acted");
        has_set(&lab, count);
    }
    assert_eq!(objects(&lab), 0);
    nothing_in_proxmox(&lab.site());
}

/// Nobody has agreed to scale back what somebody else has asked for since.
#[test]
fn a_later_run_names_the_worker_that_replaced_one_and_leaves_another_number_alone() {
    let lab = validated();
    let before = has_set(&lab, 1);
    let cluster = Cluster::of(&lab);
    cluster.list_in(NAMESPACE, &Kind::MACHINE).iter().for_each(|machine| cluster.delete(&Kind::MACHINE, machine));
    until("the node is gone", || cluster.nodes().iter().all(|name| !before.contains(name)).then_some(()));
    let run = lab.run_until(&LAST_DAY.to_string(), &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    let after = in_both(&lab, 1);
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");
    assert!(proof(&records(&run), "kept.nodes")["summary"].as_str().unwrap().contains(after.first().unwrap()));
    cluster.merge(NAMESPACE, &Kind::MACHINE_DEPLOYMENT, "kept", &json!({"spec": {"replicas": 2}}));
    let run = lab.run_until(&LAST_DAY.to_string(), &["--patience", "20s"]);
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    assert!(text(&run).contains("workers set PLAN 2, or cozyup workers set PLAN 1"), "{}", text(&run));
    assert!(cluster.list_in(NAMESPACE, &Kind::MACHINE).len() == 2);
    has_set(&lab, 2);
}

#[test]
fn too_many_workers_and_a_cluster_that_is_not_validated_are_refused_with_the_next_command() {
    let lab = Kept::with_run_until("0");
    let many = set(&lab, "6", &["--yes"]);
    assert_eq!(many.status.code(), Some(2), "{}", text(&many));
    for word in [
        "6 workers do not fit",
        "tests.machine_vmids (9500-9509) has room for 5",
        "has room for 4",
        "ask for 4 or fewer",
    ] {
        assert!(text(&many).contains(word), "{word}: {}", text(&many));
    }
    let early = set(&lab, "2", &["--yes"]);
    assert_eq!(early.status.code(), Some(2), "{}", text(&early));
    assert!(text(&early).contains("is not validated") && text(&early).contains("cozyup run PLAN"), "{}", text(&early));
}
