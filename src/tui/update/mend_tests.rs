//! `r` on a release and on a machine, typed and drawn.
use crate::base::day::Day;
use crate::engine::course::Course;
use crate::engine::record::Event;
use crate::engine::step::{Outline, StepId};
use crate::observed::{Mending, Power, Task};
use crate::plan::defaults::{Defaults, plan};
use crate::session::protocol::{Control, Request};
use crate::tui::message::{Cmd, Msg};
use crate::tui::panes::samples::Seen;
use crate::tui::samples::{Sample, at};
use crate::tui::session::Typist;
use crate::tui::theme::Theme;

fn seen() -> Typist {
    let mut typist = Typist::run(&Sample::late_clone(), Theme::new(false, false));
    typist.clock(300);
    typist.send(Msg::Observed(Seen::of(&plan(&Defaults::default()), 300).snapshots()));
    typist
}

#[test]
fn r_on_a_failed_release_asks_first_and_only_y_does_it() {
    for keys in ["4r<Enter>", "4r<Esc>", "4<Enter>r<Esc>"] {
        let mut typist = seen();
        typist.keys(&keys[..keys.rfind('<').unwrap()]);
        typist.shows(&[
            "Try it again now?",
            "reconcile release cozy-cert-manager/cert-manager",
            "goes into the record",
        ]);
        typist.keys(&keys[keys.rfind('<').unwrap()..]);
        typist.shows_not("Try it again now?");
        assert!(typist.commands.is_empty(), "{keys}: {:?}", typist.commands);
    }
    let mut typist = seen();
    typist.keys("4ry");
    let Some(Cmd::Ask(Request::Errand { errand })) = typist.commands.pop() else { panic!("{:?}", typist.commands) };
    let (namespace, name) = ("cozy-cert-manager".to_string(), "cert-manager".to_string());
    assert_eq!(errand.read::<Mending>(), Some(Mending::ReconcileRelease { namespace, name }));
    assert!(typist.commands.is_empty());
    typist.shows_not("Try it again now?");
}

#[test]
fn a_release_that_has_not_failed_and_a_screen_that_looks_on_are_told_why_nothing_is_asked() {
    let mut typist = seen();
    typist.keys("4/linstor<Enter>r");
    typist.shows(&["linstor has not failed (runs)"]);
    typist.keys("<Esc>");
    typist.send(Msg::Control(Control { yours: false, by: Some(("bob".into(), at(100))) }));
    typist.keys("4<Home>r");
    typist.shows(&["this screen only looks on: bob has control"]);
    assert!(typist.commands.is_empty(), "{:?}", typist.commands);
}

/// A run that has begun to start cp2, whose VM is off as Proxmox VE shows it.
fn stopped(change: impl FnOnce(&mut Seen), more: impl FnOnce(Sample) -> Sample) -> Typist {
    let plan = plan(&Defaults::default());
    let mut seen = Seen::of(&plan, 300);
    seen.vm(1).there.as_mut().unwrap().power = Power::Stopped;
    change(&mut seen);
    let begun = Event::Intended { step: StepId::of("day1.start", "cozy-new-cp2"), attempt: 1 };
    let mut typist = Typist::run(&more(Sample::late_clone().then(200, begun)), Theme::new(false, false));
    typist.clock(300);
    typist.send(Msg::Observed(seen.snapshots()));
    typist
}

#[test]
fn r_on_a_stopped_machine_asks_first_and_only_y_starts_it() {
    for way_out in ["<Enter>", "<Esc>"] {
        let mut typist = stopped(|_| {}, |sample| sample);
        typist.keys("2/cozy-new-cp2<Enter>r");
        typist.shows(&["Start it now?", "start vm 1002 (cozy-new-cp2)", "`qm start 1002`", "goes into the record"]);
        typist.keys(way_out);
        typist.shows_not("Start it now?");
        assert!(typist.commands.is_empty(), "{way_out}: {:?}", typist.commands);
    }
    let mut typist = stopped(|_| {}, |sample| sample);
    typist.keys("2/cozy-new-cp2<Enter>ry");
    typist.shows(&["asked: start vm 1002 (cozy-new-cp2)"]);
    let Some(Cmd::Ask(Request::Errand { errand })) = typist.commands.pop() else { panic!("{:?}", typist.commands) };
    let vmid = plan(&Defaults::default()).nodes[1].vmid;
    assert_eq!(errand.read::<Mending>(), Some(Mending::StartVm { vmid, name: "cozy-new-cp2".into() }));
    assert!(typist.commands.is_empty());
}

#[test]
fn a_machine_that_runs_is_held_is_in_a_drill_or_is_not_there_is_told_in_place_of_the_question() {
    let told = |mut typist: Typist, find: &str, words: &str| {
        typist.keys(&format!("2/{find}<Enter>r"));
        typist.shows(&[words]);
        typist.shows_not("Start it now?");
        assert!(typist.commands.is_empty(), "{find}: {:?}", typist.commands);
    };
    told(stopped(|_| {}, |sample| sample), "cozy-new-cp1", "vm 1001 (cozy-new-cp1) runs already");
    told(stopped(|_| {}, |sample| sample), "template", "is a template");
    told(stopped(|seen| seen.vm(1).there = None, |sample| sample), "cozy-new-cp2", "there is no vm 1002");
    let never = |seen: &mut Seen| seen.vm(2).there.as_mut().unwrap().power = Power::Stopped;
    told(stopped(never, |sample| sample), "cozy-new-cp3", "has not come to starting vm 1003");
    let held = |seen: &mut Seen| {
        let task = Task { vmid: Some(seen.vm(1).vmid), user: "bob@pam".into(), ..seen.site.tasks[0].clone() };
        seen.site.tasks.push(task);
    };
    told(stopped(held, |sample| sample), "1002", "held by a task: bob@pam runs vzdump on it");
    let off = StepId::of("day7.drill_off", "cozy-new-cp2");
    let drill = Outline {
        id: off.clone(),
        day: Day::Number(7),
        title: "the cluster bears it".into(),
        after: Vec::new(),
        queue: None,
        band: crate::engine::wait::Band::new(1, 2),
        changes: true,
        momentary: true,
        cleanup: false,
        put_right_by: Some(StepId::of("day7.drill_on", "cozy-new-cp2")),
        by_hand: String::new(),
    };
    let begun = |sample: Sample| {
        let mut session = Sample::session(vec![drill]).records()[0].event.clone();
        if let Event::Session { course, .. } = &mut session {
            *course = Course::Forward { until: Day::Number(7) };
        }
        sample.then(250, session).then(260, Event::HandleKept { step: off, handle: "stop".into() })
    };
    told(stopped(|_| {}, begun), "cozy-new-cp2", "off on purpose: day7.drill_off/cozy-new-cp2");
}

#[test]
fn a_check_and_a_teardown_mend_nothing() {
    for (course, words) in [
        (Course::default(), "this session only looks"),
        (Course::Back { cluster_is_lost: false }, "the run is being taken back"),
    ] {
        let on = |sample: Sample| {
            let mut session = Sample::session(Vec::new()).records()[0].event.clone();
            if let Event::Session { course: of, .. } = &mut session {
                *of = course;
            }
            sample.then(250, session)
        };
        for keys in ["2/cozy-new-cp2<Enter>r", "4/cert-manager<Enter>r"] {
            let mut typist = stopped(|_| {}, on);
            typist.keys(keys);
            typist.shows(&[words]);
            assert!(typist.commands.is_empty(), "{keys}: {:?}", typist.commands);
        }
    }
}

#[test]
fn beside_the_pane_of_releases_r_looks_again_at_the_step() {
    let mut typist = seen();
    typist.keys("5r");
    typist.shows_not("Try it again now?");
    typist.keys("4<Down>r");
    typist.shows_not("Try it again now?");
}
