//! Finding, problems alone, copying and keys that mean nothing.
use super::super::message::{Cmd, Msg};
use super::super::model::Screen;
use super::super::model::run::{Full, Pane, RunModel};
use super::super::panes::samples::Seen;
use super::super::samples::Sample;
use super::super::session::Typist;
use super::super::theme::Theme;
use crate::plan::defaults::{Defaults, plan};

fn seen() -> Typist {
    let mut typist = Typist::run(&Sample::blocked(), Theme::new(false, true));
    typist.clock(300);
    typist.send(Msg::Observed(Seen::of(&plan(&Defaults::default()), 300).snapshots()));
    typist
}

fn of(typist: &Typist) -> &RunModel {
    match &typist.model.screen {
        Screen::Run(run) => run,
        Screen::Home(_) | Screen::Cluster(_) => panic!("no run is shown"),
    }
}

fn copied(typist: &mut Typist, keys: &str) -> Option<String> {
    typist.keys(keys);
    match typist.commands.pop() {
        Some(Cmd::Copy { text, file }) => {
            assert_eq!(file.unwrap().display().to_string(), "/state/run/copied");
            Some(text)
        }
        Some(_) | None => None,
    }
}

/// screen.md B4: `/` and `n` were dead, in a log of 697 records too.
#[test]
fn a_text_leaves_only_the_lines_with_it_in_every_pane() {
    let mut typist = seen();
    typist.keys("4/ISSUERS");
    typist.shows(&["/ISSUERS", "cert-manager-issuers", "only with `ISSUERS`"]);
    typist.shows_not("linstor");
    typist.keys("<Enter><Esc>");
    typist.shows(&["linstor"]);
    typist.keys("1/cp3<Enter>");
    typist.shows(&["clone cp3", "Day 1 Machines"]);
    typist.shows_not("Day 2");
    typist.keys("7/refused<Enter>");
    typist.shows(&["(refused) clone of template 9100"]);
    typist.shows_not("41 of 78 MiB");
    typist.keys("<Esc>");
    typist.shows(&["41 of 78 MiB"]);
    typist.keys("5/nothing");
    typist.shows(&["no line is left; Esc shows all again"]);
    typist.keys("<Esc>");
    typist.shows(&["ImagePullBackOff"]);
    typist.send(Msg::Paste("x".into()));
    assert!(of(&typist).find.is_empty(), "a text that is not typed is pasted nowhere");
}

#[test]
fn n_goes_through_what_was_found_and_says_when_nothing_was_looked_for() {
    let mut typist = seen();
    typist.keys("4n");
    typist.shows(&["nothing is looked for: / begins"]);
    typist.keys("/cert-manager<Enter>");
    let first = of(&typist).picked.get(&Pane::Releases).cloned();
    typist.keys("n");
    let second = of(&typist).picked.get(&Pane::Releases).cloned();
    assert!(second.is_some() && second != first);
    typist.keys("nN");
    assert_eq!(of(&typist).picked.get(&Pane::Releases).cloned(), second);
}

#[test]
fn a_page_of_a_step_is_searched_too() {
    let mut typist = seen();
    typist.keys("1<Home><Right><Down><Enter>/key17<Enter>");
    assert_eq!(of(&typist).full, Some(Full::Detail));
    typist.shows(&["\"key17\": \"value 17\"", "only with `key17`"]);
    typist.shows_not("key18");
    typist.keys("<Esc>");
    typist.shows(&["day0.proxmox"]);
    assert_eq!(of(&typist).full, Some(Full::Detail), "the first Esc shows all again");
}

#[test]
fn z_leaves_what_needs_attention() {
    let mut typist = seen();
    typist.keys("1z");
    typist.shows(&["clone cp1", "problems only (z)"]);
    typist.shows_not("clone cp2");
    typist.keys("2");
    typist.shows(&["vzdump"]);
    typist.shows_not("host pve");
    typist.keys("7");
    typist.shows_not("proven   day0.proxmox");
    typist.keys("z");
    typist.shows(&["day0.proxmox"]);
}

/// screen.md A5: what was to be done led to a second terminal, with a command that failed as it stood.
#[test]
fn c_copies_the_command_with_the_access_that_it_needs() {
    let mut typist = seen();
    let text = copied(&mut typist, "4c").unwrap();
    assert_eq!(
        text,
        "KUBECONFIG=/state/run/secrets/kubeconfig kubectl -n cozy-cert-manager describe \
         helmreleases.helm.toolkit.fluxcd.io cert-manager"
    );
    let text = copied(&mut typist, "5<Enter>c").unwrap();
    assert!(text.ends_with("describe pod cert-manager-7c9-x2x"), "{text}");
    let text = copied(&mut typist, "<Esc>1<Home><Right><Down>c").unwrap();
    assert_eq!(text, "qm config 000 --day0.proxmox");
    assert_eq!(copied(&mut typist, "7c"), None);
    typist.shows(&["there is no command to copy"]);
}

#[test]
fn a_key_that_means_nothing_says_so_once() {
    let mut typist = seen();
    typist.keys("x");
    typist.shows(&["that key means nothing here; ? shows those that do"]);
    typist.keys("y");
    typist.shows_not("means nothing");
}

#[test]
fn the_keys_that_people_bring_along_move_in_every_pane() {
    let mut typist = seen();
    typist.keys("4G");
    let last = of(&typist).picked[&Pane::Releases].clone();
    assert_eq!(last, "ready");
    typist.keys("g");
    assert_ne!(of(&typist).picked[&Pane::Releases], last);
    typist.keys("<C-d>");
    assert_ne!(of(&typist).picked[&Pane::Releases], "release/cozy-cert-manager/cert-manager");
    typist.keys("<C-u>");
    assert_eq!(of(&typist).picked[&Pane::Releases], "release/cozy-cert-manager/cert-manager");
    typist.keys("<C-l><C-z>");
    let asked: Vec<_> = typist.commands.iter().map(|c| format!("{c:?}")).collect();
    assert_eq!(asked, ["Redraw", "Suspend"]);
    typist.keys("d");
    assert_eq!(of(&typist).full, Some(Full::Item(Pane::Releases)));
}
