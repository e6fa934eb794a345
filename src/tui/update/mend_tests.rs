//! `r` on a release, typed and drawn.
use crate::observed::Mending;
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

#[test]
fn beside_the_pane_of_releases_r_looks_again_at_the_step() {
    let mut typist = seen();
    typist.keys("5r");
    typist.shows_not("Try it again now?");
    typist.keys("4<Down>r");
    typist.shows_not("Try it again now?");
}
