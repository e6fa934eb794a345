//! A worker that is killed at any point of a run leaves nothing twice and nothing half. This is a slice of what
//! `tests/soak/run` tries exhaustively.
#[allow(dead_code, reason = "the soak uses all of it")]
use crate::rig::standing::{Standing, differences};
use crate::rig::suffering::{Expected, Suffered, suffer, undisturbed};
use crate::rig::twice::{self, Refusals};
use crate::rig::worker::{Death, Request, Tail};
use crate::rig::{Rig, Shape, standing};
use cozyup::engine::failure::Failure;
use cozyup::engine::record::{Event, Outcome};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lab seconds in a second of the wall.
const SPEED: f64 = 1000.0;
/// Every so many records of day 1 a worker dies.
const STRIDE: usize = 6;

fn until(until: u8) -> Shape {
    cozyup::base::tls::install_provider();
    Shape { scenario: "small", until, teardown: false, speed: SPEED }
}

fn assert_well(deaths: &[Death], suffered: &Suffered) {
    let Suffered { points, wrong, .. } = suffered;
    assert!(wrong.is_empty(), "killed at {deaths:?} ({points:?}):\n{}", wrong.join("\n"));
}

/// What a run to the end of day 5 leaves, and its teardown: found out once.
fn expected(shape: &Shape) -> &'static Expected {
    static RUN: OnceLock<Expected> = OnceLock::new();
    static TEARDOWN: OnceLock<Expected> = OnceLock::new();
    let known = if shape.teardown { &TEARDOWN } else { &RUN };
    known.get_or_init(|| undisturbed(shape))
}

fn dies_in_every_act(shape: &Shape, fates: [Request; 3]) {
    let expected = expected(shape);
    let kinds: BTreeSet<&String> = expected.requests[expected.asked_before..].iter().collect();
    let deaths: Vec<Death> = (0..kinds.len()).map(|i| Death::New(fates[i % 3])).collect();
    let suffered = suffer(shape, &deaths, &expected.standing, false, |work| work);
    assert_well(&deaths, &suffered);
    // Acts go on side by side: one may have come to its end while the worker died in the other.
    assert!(suffered.points.len() * 2 >= kinds.len(), "{} deaths in {} acts", suffered.points.len(), kinds.len());
}

/// A worker dies behind every [`STRIDE`]th record of day 1.
fn dies_behind_records_of_day_1(shape: &Shape) {
    let expected = undisturbed(shape);
    let tails = [Tail::Whole, Tail::Torn, Tail::Unsynced];
    let records = (1..expected.words.len()).step_by(STRIDE).enumerate();
    let deaths: Vec<Death> = records.map(|(i, n)| Death::Record(n, tails[i % 3])).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(death) = deaths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let deaths = [death.clone()];
                    assert_well(&deaths, &suffer(shape, &deaths, &expected.standing, false, |work| work));
                }
            });
        }
    });
}

#[test]
fn a_worker_killed_behind_any_record_of_day_1_leaves_one_of_everything() {
    dies_behind_records_of_day_1(&until(1));
}

/// issue 15 item 1: an image and a template on each of two hosts.
#[test]
fn with_a_template_on_each_host_a_worker_killed_behind_any_record_of_day_1_leaves_one_of_everything() {
    dies_behind_records_of_day_1(&Shape { scenario: "small-three-hosts", ..until(1) });
}

#[test]
fn a_run_killed_in_the_middle_of_every_act_comes_to_the_same_end() {
    dies_in_every_act(&until(5), [Request::Done, Request::Lost, Request::Late]);
}

#[test]
fn a_teardown_killed_in_the_middle_of_every_removal_leaves_nothing() {
    dies_in_every_act(&Shape { teardown: true, ..until(5) }, [Request::Lost, Request::Late, Request::Done]);
}

#[test]
fn every_act_and_every_removal_can_be_done_twice_in_a_row() {
    for teardown in [false, true] {
        let shape = Shape { teardown, ..until(5) };
        let expected = expected(&shape);
        let refusals = Refusals::default();
        let suffered = suffer(&shape, &[], &expected.standing, false, |work| twice::acts(work, &refusals));
        let wrong: Vec<&String> = suffered.wrong.iter().filter(|line| !twice::repeats(line)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn an_upload_whose_answer_was_lost_is_waited_for_and_not_sent_again() {
    answer_to_upload_is_lost(&until(1));
}

/// proxmox.md part 2 section 3: the task runs on the host that was asked, and its file is for another one.
#[test]
fn an_upload_for_another_host_than_the_one_that_is_asked_is_found_where_its_task_runs() {
    answer_to_upload_is_lost(&Shape { scenario: "small-two-hosts", ..until(1) });
}

fn answer_to_upload_is_lost(shape: &Shape) {
    let upload = undisturbed(shape).requests.iter().position(|r| r.ends_with("/upload")).unwrap();
    let rig = Rig::new(shape);
    // The task outlasts the look at everything before it.
    rig.lab().with(|world| world.scenario.latency.upload_task_s = 300.0);
    for (death, text) in [(Death::Request(upload, Request::Done), "the worker dies"), (Death::Never, "the next one")] {
        let life = crate::rig::worker::live(&rig, shape.course(), &death, false, |work| work);
        assert!(!matches!(life.end, crate::rig::worker::End::Failed(_)), "{text}: {:?}", life.end);
    }
    let tasks = rig.lab().look(|world| world.pve.inventory());
    assert_eq!(tasks["task imgcopy : OK"], "1", "{tasks:#?}");
}

/// talos.md 4: Talos takes a second call too, as long as etcd has no data, and stops an etcd that has just begun to write.
#[test]
fn a_bootstrap_whose_answer_was_lost_is_not_made_again_and_one_that_never_came_is() {
    let shape = until(2);
    let bootstrap = |requests: &[String]| requests.iter().filter(|r| r.starts_with("Bootstrap ")).count();
    let at = undisturbed(&shape).requests.iter().position(|r| r.starts_with("Bootstrap ")).unwrap();
    for (fate, calls) in [(Request::Done, 1), (Request::Lost, 2)] {
        let rig = Rig::new(&shape);
        // The image of etcd takes its time: all the while the node says no more than before the call.
        rig.lab().with(|world| world.scenario.latency.bootstrap_to_etcd_s = 400.0);
        for death in [Death::Request(at, fate), Death::Never] {
            let life = crate::rig::worker::live(&rig, shape.course(), &death, false, |work| work);
            assert!(!matches!(life.end, crate::rig::worker::End::Failed(_)), "{fate:?}: {:?}", life.end);
        }
        assert_eq!(bootstrap(&rig.lab().changes().seen()), calls, "{fate:?}");
    }
}

/// The failure with which a session ended, once a clone was blocked.
fn blocked_clone(rig: &Rig) -> Failure {
    let death = Death::After("day1.clone blocked".into(), Tail::Whole);
    let life = crate::rig::worker::live(rig, until(1).course(), &death, false, |work| work);
    let blocked = life.records.iter().rev().find_map(|record| match &record.event {
        Event::Blocked { failure, .. } => Some(failure.clone()),
        _ => None,
    });
    blocked.unwrap_or_else(|| panic!("no clone is blocked: {:?}", life.end))
}

/// What `failure` tells to type on the host, between the first `: ` and the first `;`.
fn to_type(failure: &Failure) -> String {
    let command = failure.next.split_once("pve: ").and_then(|(_, rest)| rest.split_once(';'));
    command.map(|(command, _)| command.trim().to_string()).unwrap_or_else(|| panic!("{}", failure.next))
}

/// proxmox.md 2.4: of a clone that was cut off no line names its disk.
#[test]
fn what_a_cut_off_clone_leaves_goes_with_the_command_that_is_shown_and_a_disk_that_stayed_is_named_before_a_new_clone()
{
    let shape = until(1);
    for thorough in [true, false] {
        let rig = Rig::new(&shape);
        let fault = cozyup::lab::scenario::Fault {
            kind: cozyup::lab::scenario::FaultKind::CloneKilled,
            heal_s: Some(1.0),
            bit_at: None,
        };
        rig.lab().with(|world| world.scenario.faults.push(fault));
        let type_in = |line: &str| rig.lab().with(|world| cozyup::lab::pve::hand::type_in(world, line)).unwrap();
        let told = to_type(&blocked_clone(&rig));
        assert!(told.starts_with("qm unlock 1001 && qm destroy 1001 "), "{told}");
        if thorough {
            type_in(&told);
        } else {
            type_in(told.trim_end_matches(" --destroy-unreferenced-disks 1"));
            let left = blocked_clone(&rig);
            assert!(left.what.contains("local-lvm:vm-1001-disk-0"), "{}", left.what);
            type_in(&to_type(&left));
        }
        let life = crate::rig::worker::live(&rig, shape.course(), &Death::Never, false, |work| work);
        assert!(matches!(life.end, crate::rig::worker::End::Ended(Outcome::Proven)), "{:?}", life.end);
        let volumes = rig.lab().look(|world| world.pve.inventory());
        assert!(volumes.keys().any(|k| k.contains("vm-1001-disk-0")), "{volumes:#?}");
        assert!(!volumes.keys().any(|k| k.contains("vm-1001-disk-2")), "{volumes:#?}");
    }
}

/// What the comparison says when a hand changes the site behind the run's back.
fn told(rig: &Rig, before: &Standing, change: impl FnOnce(&mut cozyup::lab::world::World)) -> Vec<String> {
    rig.lab().with(change);
    differences(before, &standing::of(rig))
}

#[test]
fn the_comparison_sees_one_disk_or_file_too_much() {
    let shape = until(0);
    let rig = Rig::new(&shape);
    crate::rig::worker::live(&rig, shape.course(), &Death::Never, false, |work| work);
    let before = standing::of(&rig);
    assert!(before.len() > 30, "{before:#?}");
    let wrong = told(&rig, &before, |world| {
        world.pve.create_volume("local-lvm", "vm-1001-disk-7", 1).unwrap();
    });
    assert!(matches!(wrong.as_slice(), [one] if one.contains("vm-1001-disk-7: too much")), "{wrong:?}");
    std::fs::write(rig.folder().join("secrets/.secrets.yaml.4711.tmp"), "half").unwrap();
    let wrong = told(&rig, &before, |_| ());
    assert!(wrong.iter().any(|line| line.contains(".secrets.yaml.4711.tmp: too much")), "{wrong:?}");
}
