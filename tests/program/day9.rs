//! Day 9: a tenant's Kubernetes with a control plane by Kamaji and machines in Proxmox VE, and nothing of it left.
use crate::hands::Hands;
use crate::rig::worker::{Death, End, Life, Request, Tail, day, live, word};
use crate::rig::{Rig, Shape};
use cozyup::engine::course::Course;
use cozyup::engine::record::{Event, Outcome};
use cozyup::kubernetes::Kind;
use serde_json::json;
use std::collections::BTreeSet;

const SHAPE: Shape = Shape { scenario: "tenant-kubernetes", until: 9, teardown: false, speed: 1000.0 };
const BACK: Course = Course::Back { cluster_is_lost: false };
const NAMESPACE: &str = "tenant-cozyupcluster";

/// A site whose plan has the test of day 9 and none of days 6 to 8 beside the one VM.
fn site(shape: &Shape) -> Rig {
    cozyup::base::tls::install_provider();
    let rig = Rig::new(shape);
    let plan = std::fs::read_to_string(rig.plan()).unwrap();
    let plan = plan.replace("workers: 2", "workers: 0\n  storage: false\n  tenant: false\n  tenant_workers: 2");
    assert!(plan.contains("worker_template: 9200") && plan.contains("tenant_workers: 2"), "{plan}");
    std::fs::write(rig.plan(), plan.replace("volumes: [local, replicated, proxmox]", "volumes: []")).unwrap();
    rig
}

fn lives(rig: &Rig, course: Course, death: &Death) -> Life {
    live(rig, course, death, false, |work| work)
}

fn ends_well(rig: &Rig) -> Life {
    let life = lives(rig, SHAPE.course(), &Death::Never);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    nothing_left(rig);
    life
}

/// The strangers and the machines of the plan alone, in either system.
fn nothing_left(rig: &Rig) {
    let hands = Hands::of(rig);
    assert!(hands.guests(9500..=9509).is_empty(), "{:?}", hands.guests(9500..=9509));
    assert_eq!(hands.guests(9200..=9200).len(), 1, "the template is somebody else's");
    let left = |kind: &Kind| {
        let all = hands.list(kind, Some(NAMESPACE));
        all.iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    for kind in [Kind::CLUSTER, Kind::MACHINE, Kind::PROXMOX_MACHINE, Kind::TENANT_CONTROL_PLANE, Kind::SERVICE] {
        assert_eq!(left(&kind), Vec::<String>::new(), "{}", kind.kind);
    }
    let spaces = hands.list(&Kind::NAMESPACE, None);
    assert!(!spaces.iter().any(|n| n["metadata"]["name"] == NAMESPACE), "{NAMESPACE} is left");
}

fn summary(life: &Life, step: &str) -> (String, Vec<String>) {
    let found = life.records.iter().rev().find_map(|record| match &record.event {
        Event::Proven { step: of, proof } if of.as_str() == step => {
            Some((proof.summary().to_string(), proof.remarks().to_vec()))
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{step} is not proven"))
}

#[test]
fn a_tenants_kubernetes_answers_its_machines_join_and_nothing_of_it_is_left() {
    let rig = site(&SHAPE);
    let life = ends_well(&rig);
    let (answers, _) = summary(&life, "day9.control_plane");
    assert!(answers.contains("Kubernetes v1.33.3 of tenant cozyupcluster answers at 127."), "{answers}");
    let (counted, _) = summary(&life, "day9.worker_vms");
    assert!(counted.contains("2 VMs (95") && counted.contains("made by capmox@pve"), "{counted}");
    let (joined, remarks) = summary(&life, "day9.nodes");
    assert_eq!(joined.matches("(v1.33.0, not Ready)").count(), 2, "{joined}");
    assert!(remarks.iter().any(|r| r.contains("stay NotReady until its owner installs a network")), "{remarks:?}");
}

/// One run, killed behind the first record of each kind that day 9 writes, until it has none left to be killed behind.
#[test]
fn a_run_killed_behind_every_record_of_day_9_comes_to_the_same_end() {
    let rig = site(&SHAPE);
    let (mut deaths, tails) = (BTreeSet::new(), [Tail::Whole, Tail::Torn]);
    loop {
        let life = lives(&rig, SHAPE.course(), &Death::Fresh(9, 1, tails[deaths.len() % 2]));
        match life.end {
            End::Died => assert!(deaths.insert(life.last_word()), "killed twice behind {}", life.last_word()),
            End::Ended(Outcome::Proven) => break,
            other => panic!("{other:?} after {deaths:?}"),
        }
    }
    let acts = ["tenant", "control_plane", "workers", "removal", "cleanup"];
    for word in acts.iter().flat_map(|step| ["intended", "acted", "proven"].map(|e| format!("day9.{step} {e}"))) {
        assert!(deaths.contains(&word), "never killed behind {word}: {deaths:?}");
    }
    assert!(deaths.iter().all(|word| day(word) == Some(9)));
    nothing_left(&rig);
}

/// One run, killed in every changing request of a kind that day 9 brings, done or not.
#[test]
fn a_run_killed_in_every_request_of_day_9_comes_to_the_same_end() {
    let rig = site(&SHAPE);
    let life = lives(&rig, SHAPE.course(), &Death::After("day9.tenant absent".into(), Tail::Whole));
    assert!(matches!(life.end, End::Died), "{:?}", life.end);
    let mut deaths = 0;
    loop {
        let request = if deaths % 2 == 0 { Request::Done } else { Request::Lost };
        match lives(&rig, SHAPE.course(), &Death::New(request)).end {
            End::Died => deaths += 1,
            End::Ended(Outcome::Proven) => break,
            other => panic!("{other:?} after {deaths} deaths"),
        }
    }
    assert!(deaths >= 8, "{deaths} deaths in {:#?}", rig.lab().changes().seen());
    nothing_left(&rig);
}

#[test]
fn a_teardown_of_a_run_that_was_killed_with_the_machines_of_the_tenant_leaves_none() {
    let rig = site(&SHAPE);
    let life = lives(&rig, SHAPE.course(), &Death::After("day9.worker_vms proven".into(), Tail::Whole));
    assert!(matches!(life.end, End::Died), "{:?}", life.end);
    assert_eq!(Hands::of(&rig).guests(9500..=9509).len(), 2);
    let back = lives(&rig, BACK, &Death::Never);
    assert!(matches!(back.end, End::Ended(Outcome::Proven)), "{:?}", back.end);
    let hands = Hands::of(&rig);
    assert!(hands.guests(9500..=9509).is_empty(), "{:?}", hands.guests(9500..=9509));
    assert_eq!(hands.guests(9200..=9200).len(), 1, "the template is somebody else's");
}

/// Killed between one object and the next, with no Cluster that would take the first one along.
#[test]
fn a_teardown_takes_an_object_along_that_no_cluster_ever_took_over() {
    let rig = site(&SHAPE);
    let life = lives(&rig, SHAPE.course(), &Death::After("day9.control_plane absent".into(), Tail::Whole));
    assert!(matches!(life.end, End::Died), "{:?}", life.end);
    assert!(matches!(lives(&rig, SHAPE.course(), &Death::New(Request::Done)).end, End::Died));
    let hands = Hands::of(&rig);
    assert_eq!(hands.list(&Kind::PROXMOX_CLUSTER, Some(NAMESPACE)).len(), 1);
    assert_eq!(hands.list(&Kind::CLUSTER, Some(NAMESPACE)).len(), 0);
    let back = lives(&rig, BACK, &Death::Never);
    assert!(matches!(back.end, End::Ended(Outcome::Proven)), "{:?}", back.end);
}

#[test]
fn machines_of_a_template_without_kubeadm_never_join_and_the_wait_says_what_the_template_lacks() {
    let shape = Shape { scenario: "no-kubeadm", ..SHAPE };
    let rig = site(&shape);
    let life = lives(&rig, shape.course(), &Death::After("day9.nodes waiting".into(), Tail::Whole));
    assert!(matches!(life.end, End::Died), "{:?}", life.end);
    let told = life.records.iter().rev().find_map(|record| match &record.event {
        Event::Waiting { wait, .. } => Some(wait.seen.clone()),
        _ => None,
    });
    let told = told.unwrap();
    assert!(told.contains("runs and has not joined") && told.contains("template 9200 needs"), "{told}");
}

/// A label can be copied; the uid is drawn anew.
#[test]
fn a_cluster_with_a_copied_label_is_not_touched() {
    let rig = site(&SHAPE);
    let life = lives(&rig, SHAPE.course(), &Death::After("day9.control_plane proven".into(), Tail::Whole));
    assert!(matches!(life.end, End::Died), "{:?}", life.end);
    let hands = Hands::of(&rig);
    let own = hands.list(&Kind::CLUSTER, Some(NAMESPACE)).remove(0);
    hands.delete(&Kind::CLUSTER, Some(NAMESPACE), "cluster");
    crate::common::until("the run's Cluster is gone", || {
        hands.list(&Kind::CLUSTER, Some(NAMESPACE)).is_empty().then_some(())
    });
    let labels = own["metadata"]["labels"].clone();
    let theirs = json!({"metadata": {"labels": labels}, "spec": own["spec"]});
    hands.apply(&Kind::CLUSTER, Some(NAMESPACE), "cluster", theirs);
    let life = lives(&rig, SHAPE.course(), &Death::After("day9.control_plane blocked".into(), Tail::Whole));
    let words: Vec<String> = life.records.iter().map(|r| word(&r.event)).collect();
    assert!(!words.iter().any(|w| w == "day9.removal acted"), "{words:?}");
    assert_eq!(hands.list(&Kind::CLUSTER, Some(NAMESPACE)).len(), 1);
}
