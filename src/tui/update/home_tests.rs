//! The runs on the home screen.
use super::super::message::{Cmd, End};
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
