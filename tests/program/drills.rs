//! Drills of day 7: a machine is powered off in Proxmox VE and on again while the cluster bears it, never while it could not, and never
//! left off.
use crate::common::until;
use crate::hands::Hands;
use crate::rig::worker::{Death, End, Life, Request, Tail, live, word};
use crate::rig::{Rig, Shape};
use cozyup::engine::course::Course;
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::kubernetes::Kind;
use serde_json::json;
use std::sync::Arc;

const SHAPE: Shape = Shape { scenario: "drills", until: 7, teardown: false, speed: 1000.0 };
const CONTROL_PLANE: &str = "cozy-new-cp1";
const OFF: &str = "day7.drill_off";
const ON: &str = "day7.drill_on";

/// A site whose plan has the drills of these machines, and no VMs of Cluster API.
fn site(drills: &str) -> Rig {
    cozyup::base::tls::install_provider();
    let rig = Rig::new(&SHAPE);
    let plan = std::fs::read_to_string(rig.plan()).unwrap();
    let kept = plan.lines().filter(|line| !["machine_", "workers:"].iter().any(|key| line.trim().starts_with(key)));
    let plan: Vec<&str> = kept.collect();
    let plan = plan.join("\n").replace("drills: [cozy-new-cp1, cozy-new-worker1]", &format!("drills: [{drills}]"));
    assert!(plan.contains(&format!("drills: [{drills}]")), "{plan}");
    std::fs::write(rig.plan(), plan.replace("volumes: [local, replicated, proxmox]", "volumes: [replicated]")).unwrap();
    rig
}

fn lives(rig: &Rig, death: &Death) -> Life {
    live(rig, SHAPE.course(), death, false, |work| work)
}

fn dies_behind(rig: &Rig, word: &str) -> Life {
    let life = lives(rig, &Death::After(word.into(), Tail::Whole));
    assert!(matches!(life.end, End::Died), "{word}: {:?}", life.end);
    life
}

fn ends_well(rig: &Rig) -> Life {
    let life = lives(rig, &Death::Never);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    assert_eq!(off(rig), Vec::<u32>::new());
    life
}

/// The run's machines that do not run.
fn off(rig: &Rig) -> Vec<u32> {
    let guests = Hands::of(rig).guests(1001..=1011);
    assert_eq!(guests.len(), 4);
    guests.iter().filter(|row| row.status != "running").map(|row| row.vmid.into()).collect()
}

fn drifted(records: &[Arc<Record>]) -> Vec<&Record> {
    records.iter().map(|r| &**r).filter(|r| matches!(r.event, Event::Drifted { .. })).collect()
}

fn summary(life: &Life, step: &str) -> String {
    let found = life.records.iter().rev().find_map(|record| match &record.event {
        Event::Proven { step: of, proof } if of.as_str() == step => Some(proof.summary().to_string()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{step} is not proven"))
}

/// The first word about a step.
fn first_word(life: &Life) -> String {
    let about_a_step = life.records.iter().find(|record| record.event.step().is_some());
    about_a_step.map(|record| word(&record.event)).unwrap_or_default()
}

#[test]
fn a_control_plane_and_a_worker_are_off_and_on_again_and_the_cluster_bears_it() {
    let rig = site("cozy-new-cp1, cozy-new-worker1");
    let life = ends_well(&rig);
    let borne = summary(&life, "day7.drill_off/cozy-new-cp1");
    for part in [
        "the API answers at https://",
        "2 of 3 members (cozy-new-cp2, cozy-new-cp3)",
        "as it was written on cozy-new-cp1",
    ] {
        assert!(borne.contains(part), "{borne}");
    }
    let borne = summary(&life, "day7.drill_off/cozy-new-worker1");
    assert!(
        borne.contains("etcd has 3 of 3 members") && borne.contains("as it was written on cozy-new-worker1"),
        "{borne}"
    );
    let healed = summary(&life, "day7.drill_on/cozy-new-cp1");
    assert!(
        healed.contains("3 of 3 members") && healed.contains("what was written meanwhile is read on it"),
        "{healed}"
    );
    assert!(drifted(&life.records).is_empty(), "{:#?}", drifted(&life.records));
    // By a task of Proxmox VE whose name the journal holds.
    let stops = life
        .records
        .iter()
        .filter(|r| matches!(&r.event, Event::HandleKept { handle, .. } if handle.contains(":qmstop:")));
    assert_eq!(stops.count(), 2);
}

#[test]
fn a_run_killed_behind_every_record_of_a_drill_powers_the_machine_on_first_and_ends_with_all_machines_on() {
    let rig = site(CONTROL_PLANE);
    let mut is_disturbed = false;
    let mut dies = |word: String| {
        let life = dies_behind(&rig, &word);
        let began = first_word(&life);
        assert_eq!(began.starts_with(ON), is_disturbed, "{word}: the session began with {began}");
        assert!(drifted(&life.records).is_empty(), "{word}: {:#?}", drifted(&life.records));
        let last = life.records.iter().rev().find_map(|record| match &record.event {
            Event::HandleKept { step, .. } if step.kind() == OFF => Some(true),
            Event::Proven { step, .. } if step.kind() == ON => Some(false),
            _ => None,
        });
        is_disturbed = last.unwrap_or(is_disturbed);
    };
    for kind in ["absent", "intended", "handle_kept", "acted"] {
        dies(format!("{OFF} {kind}"));
    }
    until("the machine is off", || {
        dies(format!("{OFF} waiting"));
        (!off(&rig).is_empty()).then_some(())
    });
    for kind in ["absent", "intended", "handle_kept", "acted", "proven"] {
        dies(format!("{ON} {kind}"));
    }
    dies(format!("{OFF} proven"));
    assert!(!off(&rig).is_empty());
    ends_well(&rig);
}

#[test]
fn a_run_that_is_stopped_while_a_machine_is_off_powers_it_on_before_it_ends() {
    let rig = site(CONTROL_PLANE);
    // The call that powers it off is under way.
    let life = lives(&rig, &Death::Stop(format!("{OFF} handle_kept")));
    assert!(matches!(life.end, End::Ended(Outcome::Stopped)), "{:?}", life.end);
    let words: Vec<String> = life.records.iter().map(|r| word(&r.event)).collect();
    let after: Vec<&String> = words.iter().skip_while(|word| **word != format!("{OFF} handle_kept")).collect();
    assert!(after.iter().any(|word| **word == format!("{ON} intended")), "{after:?}");
    assert_eq!(off(&rig), Vec::<u32>::new(), "{after:?}");
    ends_well(&rig);
}

#[test]
fn a_run_killed_in_every_request_of_a_drill_ends_with_all_machines_on() {
    let rig = site(CONTROL_PLANE);
    dies_behind(&rig, "day7.moved proven");
    let fates = [Request::Done, Request::Lost, Request::Late];
    let (mut late, mut died) = (false, 0);
    for fate in fates.iter().cycle().take(30) {
        let life = live(&rig, SHAPE.course(), &Death::New(*fate), late, |work| work);
        late = *fate == Request::Late;
        assert!(drifted(&life.records).is_empty(), "{:#?}", drifted(&life.records));
        match life.end {
            End::Died => died += 1,
            End::Ended(Outcome::Proven) => break,
            end => panic!("{end:?}"),
        }
    }
    assert!(died >= 5, "{died} deaths");
    ends_well(&rig);
    for power in ["/status/stop", "/status/start"] {
        assert!(rig.lab().changes().seen().iter().any(|name| name.ends_with(power)), "{power}");
    }
}

#[test]
fn a_teardown_of_a_run_that_was_killed_with_a_machine_off_powers_it_on_before_it_takes_anything_back() {
    let rig = site(CONTROL_PLANE);
    dies_behind(&rig, &format!("{OFF} acted"));
    let life = until("the machine is off", || {
        let life = dies_behind(&rig, &format!("{OFF} waiting"));
        (!off(&rig).is_empty()).then_some(life)
    });
    assert!(!life.records.is_empty());
    let life = live(&rig, Course::Back { cluster_is_lost: false }, &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    let acts: Vec<String> = life.records.iter().map(|r| word(&r.event)).filter(|w| w.ends_with(" intended")).collect();
    assert_eq!(acts.first().map(String::as_str), Some("undo.day7.drill_on intended"), "{acts:?}");
    assert!(Hands::of(&rig).guests(1001..=1011).is_empty());
}

#[test]
fn a_drill_that_the_cluster_could_not_bear_is_refused_with_the_reason_until_it_can() {
    let rig = site(CONTROL_PLANE);
    dies_behind(&rig, "day7.moved proven");
    let hands = Hands::of(&rig);
    let refused = |what: &str, next: &str| {
        let life = dies_behind(&rig, &format!("{OFF} blocked"));
        let failure = life.records.iter().rev().find_map(|record| match &record.event {
            Event::Blocked { failure, .. } => Some(failure.clone()),
            _ => None,
        });
        let failure = failure.unwrap();
        assert!(failure.what.contains("vm 1001 (cozy-new-cp1) is not powered off, since"), "{failure:?}");
        assert!(failure.what.contains(what) && failure.next.contains(next), "{failure:?}");
        assert!(failure.next.contains("take cozy-new-cp1 out of tests.drills"), "{failure:?}");
        assert_eq!(off(&rig), Vec::<u32>::new());
    };
    let cordon = |is: bool| hands.merge(&Kind::NODE, None, "cozy-new-cp2", &json!({"spec": {"unschedulable": is}}));
    // Day 5 has to hold again first: a cordoned node has a taint.
    cordon(true);
    dies_behind(&rig, "day5.nodes waiting");
    assert_eq!(off(&rig), Vec::<u32>::new());
    cordon(false);
    let without_vote = |is: bool| {
        rig.lab().with(|world| world.machines.get_mut(&1002).and_then(|m| m.etcd.as_mut()).unwrap().learner = is);
    };
    // Day 2 has to hold again first.
    without_vote(true);
    dies_behind(&rig, "day2.members waiting");
    assert_eq!(off(&rig), Vec::<u32>::new());
    without_vote(false);
    // A volume of one copy, whose pod has no other beside it.
    let claim = json!({"spec": {"storageClassName": "local", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    hands.apply(&Kind::PERSISTENT_VOLUME_CLAIM, Some("default"), "anns", claim);
    let pod = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": CONTROL_PLANE},
        "containers": [{"name": "a", "image": "a", "command": ["sh", "-c", "sleep 86400"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "anns"}}]}});
    hands.apply(&Kind::POD, Some("default"), "anns", pod);
    refused("it holds the only copy of pvc-", "a class with several copies");
    hands.delete(&Kind::POD, Some("default"), "anns");
    hands.delete(&Kind::PERSISTENT_VOLUME_CLAIM, Some("default"), "anns");
    ends_well(&rig);
}

#[test]
fn a_machine_that_somebody_starts_in_the_middle_of_a_drill_is_not_powered_off_against_them() {
    let rig = site(CONTROL_PLANE);
    dies_behind(&rig, "day7.moved proven");
    let life = std::thread::scope(|scope| {
        let hand = scope.spawn(|| {
            until("the drill has it off", || (!off(&rig).is_empty()).then_some(()));
            Hands::of(&rig).start(1001);
        });
        let life = dies_behind(&rig, &format!("{OFF} blocked"));
        hand.join().unwrap();
        life
    });
    let failure = life.records.iter().rev().find_map(|record| match &record.event {
        Event::Blocked { failure, .. } => Some(failure.clone()),
        _ => None,
    });
    let failure = failure.unwrap();
    assert!(failure.what.contains("runs again, and not by this run"), "{failure:?}");
    assert_eq!(first_word(&ends_well(&rig)).split(' ').next(), Some(ON));
}
