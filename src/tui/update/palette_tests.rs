//! `:` and a name, typed and drawn.
use crate::tui::message::Cmd;
use crate::tui::model::Screen;
use crate::tui::model::run::Pane;
use crate::tui::palette::{completed, find};
use crate::tui::samples::Sample;
use crate::tui::session::Typist;
use crate::tui::theme::Theme;

fn run() -> Typist {
    Typist::run(&Sample::blocked(), Theme::new(false, false))
}

fn pane(typist: &Typist) -> Pane {
    let Screen::Run(run) = &typist.model.screen else { panic!("no run is shown") };
    run.pane
}

#[test]
fn a_name_leads_to_its_pane_by_its_beginning_its_whole_or_the_name_that_k9s_has_for_it() {
    for (keys, wanted) in [
        (":pods<Enter>", Pane::Pods),
        (":po<Enter>", Pane::Pods),
        (":hr<Enter>", Pane::Releases),
        (":rel<Enter>", Pane::Releases),
        (":ev<Tab><Enter>", Pane::Events),
        (":pve<Enter>", Pane::Proxmox),
        (":TALOS<Enter>", Pane::Talos),
        (":log<Enter>", Pane::Log),
        ("5:steps<Enter>", Pane::Days),
    ] {
        let mut typist = run();
        typist.keys(keys);
        assert_eq!(pane(&typist), wanted, "{keys}");
        assert!(typist.model.palette.is_none() && typist.commands.is_empty(), "{keys}");
    }
}

#[test]
fn tab_writes_what_is_sure_and_the_names_that_are_left_are_shown() {
    let mut typist = run();
    typist.keys(":p");
    typist.shows(&[" :p", "proxmox", "pods", "problems"]);
    typist.keys("r<Tab>");
    assert_eq!(typist.model.palette.as_ref().unwrap().text(), "pro");
    typist.keys("<Enter>");
    typist.shows(&["which one: proxmox, problems"]);
    typist.keys("x<Tab>");
    assert_eq!(typist.model.palette.as_ref().unwrap().text(), "proxmox");
    typist.keys("<Enter>");
    assert_eq!(pane(&typist), Pane::Proxmox);
}

/// Issue 14: it said nothing.
#[test]
fn a_beginning_that_two_names_have_is_told_with_both_and_stays_typed() {
    let mut typist = run();
    typist.keys(":pr<Enter>");
    typist.shows(&[":pr ", "which one: proxmox, problems"]);
    assert!(typist.model.palette.is_some() && pane(&typist) == Pane::Days);
    typist.keys("ox<Enter>");
    assert_eq!(pane(&typist), Pane::Proxmox);
    let mut narrow = run();
    narrow.resize((40, 10));
    narrow.keys(":p<Enter>");
    narrow.shows(&[":p ", "which one: proxmox, p"]);
}

#[test]
fn what_is_unknown_is_said_esc_leaves_everything_and_letters_do_nothing_meanwhile() {
    let mut typist = run();
    typist.keys(":reboot<Enter>");
    typist.shows(&["there is no `reboot` here: steps, proxmox"]);
    assert!(typist.commands.is_empty(), "{:?}", typist.commands);
    typist.keys("<Esc>");
    assert!(typist.model.palette.is_none());
    assert_eq!(pane(&typist), Pane::Days);
    typist.keys(":help<Enter>");
    assert!(typist.model.help.is_some());
    typist.keys("<Esc>:q<Enter>");
    typist.shows(&["Leave this run?"]);
    assert!(typist.commands.iter().all(|command| !matches!(command, Cmd::Ask(_))), "{:?}", typist.commands);
}

#[test]
fn a_common_beginning_is_completed_and_no_further() {
    let typist = run();
    let screen = &typist.model.screen;
    for (typed, whole) in [("", ""), ("s", "steps"), ("p", "p"), ("pro", "pro"), ("zz", "zz"), ("hr", "releases")] {
        assert_eq!(completed(screen, typed), whole, "{typed}");
    }
    assert!(find(screen, "").is_err());
}
