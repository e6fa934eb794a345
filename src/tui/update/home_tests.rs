//! The runs on the home screen.
use super::super::message::{Cmd, End, Msg, SaveError};
use super::super::model::home::HomeModel;
use super::super::model::{Model, Screen};
use super::super::session::Typist;
use super::super::theme::Theme;
use super::super::{Home, HomeChoice, KnownRun};
use crate::engine::standing::Standing;
use std::time::Duration;

fn run(name: &str, goes_on: bool) -> KnownRun {
    KnownRun {
        name: name.into(),
        folder: format!("/runs/{name}").into(),
        goes_on,
        standing: if goes_on { Standing::Blocked } else { Standing::Proven },
        word: if goes_on { "BLOCKED".into() } else { "proven".into() },
        day: "Day 3 Platform 9/13".into(),
        waits: if goes_on { "cert-manager failed".into() } else { String::new() },
        since: Duration::from_secs(1140),
        who: goes_on.then(|| "bob on pts/3".to_string()),
    }
}

fn home(runs: Vec<KnownRun>) -> Typist {
    let home =
        Home { runs, plans: vec![("/plans/a.yaml".into(), "plan a".into())], cwd: "/".into(), ..Home::default() };
    let mut typist = Typist::home(Theme::new(false, true));
    typist.model = Model::new(Theme::new(false, true), Screen::Home(Box::new(HomeModel::new(home, None))));
    typist.resize((120, 40));
    typist
}

/// screen.md A7
#[test]
fn runs_come_first_and_enter_attaches_or_opens_the_record() {
    let chosen = |keys: &str| {
        let mut typist = home(vec![run("site-a", true), run("old", false)]);
        typist.shows(&[
            "site-a",
            "BLOCKED",
            "Day 3 Platform 9/13",
            "19m",
            "cert-manager failed",
            "bob on pts/3",
            "New plan",
        ]);
        typist.keys(keys);
        match typist.commands.pop() {
            Some(Cmd::End(End::Home(choice))) => Some(choice),
            Some(_) | None => None,
        }
    };
    assert_eq!(chosen("<Enter>"), Some(HomeChoice::Attach("/runs/site-a".into())));
    assert_eq!(chosen("<Down><Enter>"), Some(HomeChoice::Look("/runs/old".into())));
    assert_eq!(chosen("<Down><Down><Enter>"), None, "the form opens");
    let mut typist = home(vec![run("site-a", true)]);
    typist.keys("<End><Enter>");
    assert!(
        matches!(typist.commands.pop(), Some(Cmd::Load(path)) if path.ends_with("a.yaml")),
        "the plans are the last"
    );
}

#[test]
fn many_runs_leave_room_for_everything_else_at_every_size() {
    for size in [(80, 24), (160, 45), (40, 10)] {
        let mut typist = home((0..12).map(|n| run(&format!("site-{n}"), n == 0)).collect());
        typist.resize(size);
        for n in 0..12 {
            typist.shows(&[&format!("site-{n}")]);
            typist.keys("<Down>");
        }
        typist.shows(&["New plan"]);
    }
}

/// A form whose plan is on its way into a file, and Ctrl-C right behind it.
fn saving() -> (Typist, Msg) {
    let mut typist = Typist::home(Theme::new(false, false));
    typist.keys("<Enter>");
    let Screen::Home(home) = &mut typist.model.screen else { panic!("no home") };
    assert!(home.form.as_mut().unwrap().go_to("network.vip"));
    typist.keys("<Enter><C-u>10.0.0.199<Enter>s<Enter>");
    let save = typist.commands.iter().find_map(|command| {
        let Cmd::Save { path, plan, .. } = command else { return None };
        Some(Msg::Saved { path: path.clone(), plan: plan.clone(), result: Ok(None) })
    });
    typist.keys("<C-c>");
    typist.commands.clear();
    (typist, save.expect("a save"))
}

#[test]
fn who_leaves_while_the_plan_is_saved_waits_for_the_save_and_is_asked_only_when_it_fails() {
    let (mut typist, saved) = saving();
    typist.shows(&["The plan is being saved", "closes by itself"]);
    typist.send(saved);
    let ends = |command: &Cmd| matches!(command, Cmd::End(End::Home(HomeChoice::Quit)));
    assert!(typist.commands.iter().any(ends), "{:?}", typist.commands);

    let (mut typist, saved) = saving();
    let Msg::Saved { path, plan, .. } = saved else { panic!("{saved:?}") };
    let (again, full) = (plan.clone(), SaveError::Failed("the disk is full".into()));
    typist.send(Msg::Saved { path: path.clone(), plan, result: Err(full) });
    typist.shows(&["Unsaved changes", "not saved: the disk is full"]);
    typist.keys("<Esc>");
    assert!(!typist.commands.iter().any(ends), "{:?}", typist.commands);

    let (mut typist, _) = saving();
    typist.send(Msg::Saved { path, plan: again, result: Err(SaveError::Exists) });
    typist.shows(&["Replace the file?"]);
    typist.shows_not("is being saved");
    assert!(!typist.commands.iter().any(ends), "{:?}", typist.commands);
}
