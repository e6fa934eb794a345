//! The removal of one machine, killed, given up, of a dead machine, and of one that is another's by now.
use crate::hands::Hands;
use crate::nodes::{CP2, empty};
use crate::rig::worker::{Death, End, Life, Tail, live};
use crate::rig::{Rig, Shape};
use cozyup::engine::course::Course;
use cozyup::engine::record::{Event, Outcome};
use cozyup::kubernetes::Kind;
use cozyup::steps::catalogue::LAST_DAY;

const SHAPE: Shape = Shape { scenario: "standard", until: LAST_DAY, teardown: false, speed: 600.0 };

/// A validated cluster in which nothing is bound to the second control plane.
fn site() -> (Rig, Hands) {
    cozyup::base::tls::install_provider();
    let rig = Rig::new(&SHAPE);
    ends_well(&rig, SHAPE.course());
    let hands = Hands::of(&rig);
    empty(&hands, CP2);
    (rig, hands)
}

fn removal() -> Course {
    Course::Node { name: CP2.parse().unwrap() }
}

fn ends_well(rig: &Rig, course: Course) -> Life {
    let life = live(rig, course, &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    life
}

fn summary(life: &Life, kind: &str) -> String {
    let found = life.records.iter().rev().find_map(|record| match &record.event {
        Event::Proven { step, proof } if step.kind() == kind => Some(proof.summary().to_string()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{kind} is not proven"))
}

#[test]
fn a_removal_that_is_killed_behind_every_record_comes_to_the_same_end() {
    let (rig, hands) = site();
    let lives = |course: Course, death: &Death| live(&rig, course, death, false, |work| work);
    let removal = removal();
    // The task goes on without the worker.
    let task = &["absent", "intended", "handle_kept", "proven"][..];
    let act = &["absent", "intended", "acted", "proven"][..];
    let kept = &["absent", "intended", "handle_kept", "acted", "proven"][..];
    for (step, kinds) in [
        ("node.bearing", &["proven"][..]),
        ("node.drain", act),
        ("node.etcd", kept),
        ("undo.day1.start", task),
        ("node.object", act),
        ("node.storage", &["proven"]),
        ("undo.day1.clone", task),
    ] {
        for kind in kinds {
            let word = format!("{step} {kind}");
            let life = lives(removal, &Death::After(word.clone(), Tail::Whole));
            assert!(matches!(life.end, End::Died), "{word}: {:?}", life.end);
        }
    }
    let life = ends_well(&rig, removal);
    assert!(summary(&life, "node.rest").contains("2 of 2 members"));
    let there: Vec<u32> = hands.guests(1001..=1011).iter().map(|row| row.vmid.into()).collect();
    assert_eq!(there, [1001, 1003, 1011]);
    ends_well(&rig, SHAPE.course());
    assert_eq!(hands.guests(1001..=1011).len(), 4);
}

#[test]
fn a_removal_that_was_given_up_is_made_good_by_the_next_run() {
    let (rig, hands) = site();
    let lives = |course: Course, death: &Death| live(&rig, course, death, false, |work| work);
    let removal = removal();
    let is_cordoned = || {
        let nodes = hands.list(&Kind::NODE, None);
        nodes.iter().any(|node| node["metadata"]["name"] == CP2 && node["spec"]["unschedulable"] == true)
    };
    // Nothing but the pods has gone; then it has left etcd, too.
    for word in ["node.drain acted", "node.etcd proven", "undo.day1.start proven"] {
        let life = lives(removal, &Death::After(word.to_string(), Tail::Whole));
        assert!(matches!(life.end, End::Died), "{word}: {:?}", life.end);
        assert!(is_cordoned(), "{word}");
        ends_well(&rig, SHAPE.course());
        assert!(!is_cordoned(), "{word}");
        assert_eq!(hands.guests(1001..=1011).iter().filter(|row| row.status == "running").count(), 4, "{word}");
        empty(&hands, CP2);
    }
}

#[test]
fn a_dead_control_plane_is_taken_out_by_another_member_and_a_copy_in_its_place_is_left_alone() {
    let (rig, hands) = site();
    hands.stop(1002);
    let life = ends_well(&rig, removal());
    assert!(summary(&life, "node.drain").contains("it is not Ready"), "{}", summary(&life, "node.drain"));
    assert!(summary(&life, "node.etcd").contains("2 of 2 members"), "{}", summary(&life, "node.etcd"));
    assert!(hands.guests(1002..=1002).is_empty());
    // With the notes of the template, the run's mark among them.
    hands.clone(1002, CP2);
    let life = live(&rig, removal(), &Death::Stop("node.bearing blocked".into()), false, |work| work);
    let said = life.records.iter().find_map(|record| match &record.event {
        Event::Blocked { failure, .. } => Some(failure.what.clone()),
        _ => None,
    });
    assert!(said.as_ref().is_some_and(|said| said.contains("vm 1002 is there and is not this run's")), "{said:?}");
    assert_eq!(hands.guests(1002..=1002).len(), 1);
}
