//! What the panes say of a site, before anything is drawn.
use super::samples::{Seen, node, release};
use super::*;
use crate::engine::record::Event;
use crate::engine::state::RunState;
use crate::engine::step::{Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::observed::{Power, ReleaseState, Releases, Snapshot, Tail, Tails, View};
use crate::plan::defaults::{Defaults, plan};
use crate::tui::samples::{Sample, at, proof};
use std::sync::Arc;

/// A run of the default plan in which these steps are proven, at second 300.
fn run(proven: &[&str], seen: &Seen) -> RunModel {
    let mut run = RunModel::new(Arc::new(plan(&Defaults::default())), "lab".into(), "/x".into(), Vec::new());
    let step = |id: &str| Outline {
        id: StepId::new(id),
        day: Day::Number(id.as_bytes()[3] - b'0'),
        title: format!("{id} is so"),
        after: Vec::new(),
        queue: None,
        band: Band::new(30, 120),
        changes: true,
        momentary: false,
        cleanup: false,
        put_right_by: None,
        by_hand: String::new(),
    };
    let steps = proven.iter().copied().chain(["day2.boot/cozy-new-cp2"]).map(step).collect();
    let mut sample = Sample::session(steps);
    for id in proven {
        sample = sample.then(1, Event::Proven { step: StepId::new(id), proof: proof("so") });
    }
    run.state = RunState::of(sample.records().iter().map(|r| &**r));
    run.observed.take(seen.snapshots(), Duration::ZERO);
    run
}

fn seen() -> Seen {
    Seen::of(&plan(&Defaults::default()), 300)
}

fn table(run: &RunModel, pane: Pane) -> Table {
    super::table(run, pane, Moment { now: at(300), wall: Duration::from_secs(1) }).unwrap()
}

fn line<'a>(table: &'a Table, key: &str) -> &'a Item {
    let keys: Vec<_> = table.items.iter().map(|i| i.key.as_str()).collect();
    table.items.iter().find(|i| i.key == key).unwrap_or_else(|| panic!("no {key} in {keys:?}"))
}

const MADE: [&str; 5] =
    ["day1.clone/cozy-new-cp3", "day1.start/cozy-new-cp3", "day2.nodes", "day2.members", "day3.nodes_ready"];

/// screen.md A1 and A2: a stopped VM was invisible, and what had been green stayed so.
#[test]
fn a_machine_that_is_not_as_the_plan_says_is_named_in_each_system_that_shows_it() {
    let mut seen = seen();
    seen.vm(2).there.as_mut().unwrap().power = Power::Stopped;
    seen.silent("cozy-new-cp3", 240);
    seen.nodes.rows[2] = node("cozy-new-cp3", false);
    seen.machines.members.as_mut().unwrap().pop();
    let pane = table(&run(&MADE, &seen), Pane::Proxmox);
    let row = line(&pane, "vm/1003");
    assert_eq!(row.grade, Grade::Bad);
    let Body::Cells(cells) = &row.body else { panic!("{row:?}") };
    assert_eq!(cells[2..], ["STOPPED", "", "", "", "SILENT", "NotReady", "MISSING"].map(String::from));
    let said = line(&pane, "vm/1003/0").text();
    assert_eq!(said, "Talos is silent since 00:04:00 (1m00): can't be reached");
    assert_eq!(line(&pane, "vm/1001").grade, Grade::Good);
    assert_eq!(pane.count, "2/3 run, 1 task");
}

#[test]
fn a_machine_that_nobody_has_made_yet_is_no_trouble_and_one_that_has_gone_is() {
    let mut seen = seen();
    seen.vm(2).there = None;
    let cells = |proven: &[&str]| line(&table(&run(proven, &seen), Pane::Proxmox), "vm/1003").text();
    assert!(cells(&[]).starts_with("1003  cozy-new-cp3  -"), "{}", cells(&[]));
    assert!(cells(&["day1.clone/cozy-new-cp3"]).contains("MISSING"));
    seen.vm(2).there = seen.vm(1).there.clone();
    seen.vm(2).there.as_mut().unwrap().power = Power::Stopped;
    let stopped = line(&table(&run(&["day1.clone/cozy-new-cp3"], &seen), Pane::Proxmox), "vm/1003").text();
    assert!(stopped.contains("stopped"), "before its start it is meant to be off: {stopped}");
}

#[test]
fn a_machine_whose_step_is_late_says_which_and_by_how_much() {
    let mut run = run(&MADE, &seen());
    let step = StepId::new("day2.boot/cozy-new-cp2");
    let wait = Wait::new("it boots", "refused", Band::new(10, 60));
    let at_second = |second| crate::engine::record::Record {
        seq: 9,
        at: at(second),
        event: Event::Waiting { step: step.clone(), wait: wait.clone() },
    };
    run.state.apply(&at_second(100));
    let pane = table(&run, Pane::Proxmox);
    assert_eq!(line(&pane, "vm/1002/0").text(), "late by 2m20: day2.boot/cozy-new-cp2 is so");
    assert_eq!(line(&pane, "vm/1002").grade, Grade::Warn);
}

#[test]
fn a_task_of_somebody_else_on_a_planned_vm_is_a_warning_with_his_name() {
    let pane = table(&run(&MADE, &seen()), Pane::Proxmox);
    let task = line(&pane, "task/UPID:pve:0001:backup");
    assert_eq!(task.grade, Grade::Warn);
    assert_eq!(task.text(), "task vzdump of VM 1001 (cozy-new-cp1) by root@pam for 3m20, 41 %");
    assert!(line(&pane, "host/pve").text().contains("online  cpu 4% of 64  memory 88/256G"));
    assert_eq!(
        line(&pane, "storage/pve/local-lvm").text(),
        "storage local-lvm on pve  7 % of 4.0 TiB used, 3.7 TiB free"
    );
}

#[test]
fn talos_tells_of_each_machine_and_of_services_that_are_not_up() {
    let mut seen = seen();
    seen.machines.machines[1].services_down = vec![("etcd".into(), "Preparing".into())];
    seen.machines.machines[1].stage = Some("booting".into());
    seen.silent("cozy-new-cp1", 240);
    let pane = table(&run(&MADE, &seen), Pane::Talos);
    assert_eq!(pane.count, "2/3 answer");
    assert_eq!(pane.reading, Reading::Live, "the others answer");
    assert_eq!(line(&pane, "machine/cozy-new-cp2/0").text(), "not up: etcd Preparing");
    let text = line(&pane, "machine/cozy-new-cp2").text();
    assert_eq!(text, "cozy-new-cp2  control plane  booting  8/9 up  member  v1.10.6");
    assert_eq!(line(&pane, "machine/cozy-new-cp1").grade, Grade::Bad);
}

/// screen.md A4: the pane of releases was a list of waves.
#[test]
fn releases_hang_under_what_holds_them_back_with_the_cause_beneath() {
    let pane = table(&run(&MADE, &seen()), Pane::Releases);
    let lines: Vec<String> = pane.items.iter().map(|item| item.text().trim().to_string()).collect();
    assert_eq!(
        lines,
        [
            "cert-manager  failed  1m40  holds back 2; InstallFailed, 3 times",
            "context deadline exceeded",
            "pod cert-manager-7c9-x2x ImagePullBackOff on cozy-new-cp2, 6 restarts",
            "00:04:40 Failed: pull: 429 too many requests (x14)",
            "`- cert-manager-issuers (+1)  waits  1m40  waits for cert-manager",
            "linstor  runs  1m40  an attempt is under way",
            "1 ready: cilium",
        ]
    );
    assert_eq!(pane.count, "1/5 ready, 1 in trouble");
}

/// Issue 14, 1: under a failed release stands why: the pods, the warnings, and what the container that fails says last.
#[test]
fn under_a_failed_release_stand_the_last_lines_of_its_container_and_l_asks_for_more_of_them() {
    let seen = seen();
    let mut run = run(&MADE, &seen);
    let tail = Tail {
        namespace: "cozy-cert-manager".into(),
        pod: "cert-manager-7c9-x2x".into(),
        container: "controller".into(),
        earlier: true,
        lines: vec!["looks for its lease".into(), "no lease: giving up".into()],
    };
    let other = Tail { namespace: "cozy-linstor".into(), lines: vec!["of another".into()], ..tail.clone() };
    let tails = Snapshot::new(at(300), View::Tails(Tails { rows: vec![other, tail] }));
    run.observed.take(vec![Arc::new(tails)], Duration::ZERO);
    let pane = table(&run, Pane::Releases);
    let said: Vec<String> = pane.items.iter().map(Item::text).collect();
    let pod = said.iter().position(|text| text.starts_with("pod cert-manager-7c9-x2x")).unwrap();
    assert_eq!(said[pod + 1..pod + 3], ["  controller: looks for its lease", "  controller: no lease: giving up"]);
    assert!(!said.iter().any(|text| text.contains("of another")), "{said:#?}");
    let speaker = Object::Pod { namespace: "cozy-cert-manager".into(), name: "cert-manager-7c9-x2x".into() };
    for n in [0, pod, pod + 1] {
        assert_eq!(pane.items[n].log, Some(speaker.clone()), "{}", said[n]);
    }
}

#[test]
fn releases_that_wait_for_each_other_in_a_circle_are_all_counted() {
    let mut seen = seen();
    let waits = |name, after| release(name, ReleaseState::Waits, Some(after));
    let rows = vec![waits("a", "b"), waits("b", "c"), waits("c", "b"), waits("d", "d"), waits("e", "gone")];
    seen.releases = Releases { total: 5, ready: 0, troubled: 0, rows };
    let text: String = table(&run(&MADE, &seen), Pane::Releases).items.iter().map(|i| i.text() + "\n").collect();
    for name in ["b", "c", "d", "e"] {
        assert!(text.contains(&format!("{name}  waits")) || text.contains(&format!("{name} (+")), "{name}: {text}");
    }
}

#[test]
fn pods_and_warnings_are_counted_in_full() {
    let run = run(&MADE, &seen());
    let pods = table(&run, Pane::Pods);
    assert_eq!(pods.count, "53/54 ready");
    assert_eq!(pods.items[0].text(), "cert-manager-7c9-x2x  ImagePullBackOff  6  cozy-new-cp2  cozy-cert-manager");
    assert_eq!(pods.items[1].text(), "53 are ready, 2 have ended well");
    let events = table(&run, Pane::Events);
    assert_eq!(events.count, "12 warnings");
    assert!(events.items[0].text().starts_with("00:04:40  Failed  x14"), "{:?}", events.items[0]);
    assert_eq!(events.items.last().unwrap().text(), "and 10 older ones");
}

#[test]
fn a_pane_without_a_reading_says_when_there_will_be_one() {
    let run = RunModel::new(Arc::new(plan(&Defaults::default())), "lab".into(), "/x".into(), Vec::new());
    for pane in Pane::OF_SITE {
        let table = table(&run, pane);
        assert!(table.items.is_empty() && table.empty.contains("day"), "{pane:?}: {}", table.empty);
        assert!(!has(&run, pane));
    }
}
