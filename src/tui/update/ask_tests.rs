//! `l` and `y` on the screen of a run, typed and drawn.
use crate::observed::{Matter, Object, Question, Untold};
use crate::plan::defaults::{Defaults, plan};
use crate::session::protocol::Control;
use crate::tui::message::{Cmd, Msg};
use crate::tui::model::Screen;
use crate::tui::model::run::{Full, RunModel};
use crate::tui::panes::samples::Seen;
use crate::tui::samples::{Sample, at};
use crate::tui::session::Typist;
use crate::tui::session::asking::{answered, asked, nobody, told};
use crate::tui::theme::Theme;

fn run(typist: &mut Typist) -> &mut RunModel {
    let Screen::Run(run) = &mut typist.model.screen else { panic!("no run is shown") };
    run
}

fn seen(size: (u16, u16)) -> Typist {
    let mut typist = Typist::run(&Sample::late_clone(), Theme::new(false, false));
    typist.clock(300);
    typist.resize(size);
    run(&mut typist).asking.asker = Some(nobody());
    typist.send(Msg::Observed(Seen::of(&plan(&Defaults::default()), 300).snapshots()));
    typist
}

fn log(about: Object) -> Question {
    Question { matter: Matter::Log, about }
}

fn raw(about: Object) -> Question {
    Question { matter: Matter::Raw, about }
}

/// The one question that these keys ask.
fn asks(keys: &str) -> Question {
    let mut typist = seen((80, 24));
    typist.keys(keys);
    let question = asked(&mut typist).unwrap_or_else(|| panic!("{keys}: nothing is asked\n{}", typist.screen())).1;
    assert!(typist.commands.is_empty(), "{:?}", typist.commands);
    question
}

#[test]
fn in_the_panes_of_the_site_l_and_y_ask_about_the_selected_line_and_a_release_speaks_by_its_pod() {
    let pod = || Object::Pod { namespace: "cozy-cert-manager".into(), name: "cert-manager-7c9-x2x".into() };
    let release = Object::Release { namespace: "cozy-cert-manager".into(), name: "cert-manager".into() };
    let first = plan(&Defaults::default()).nodes[0].clone();
    let machine = || Object::Machine { name: first.name.clone() };
    for (keys, question) in [
        ("5l", log(pod())),
        ("5y", raw(pod())),
        ("5<Enter>l", log(pod())),
        ("4l", log(pod())),
        ("4y", raw(release)),
        ("6l", log(pod())),
        ("3l", log(machine())),
        ("3y", raw(machine())),
        ("2<Down>l", log(machine())),
        ("2<Down>y", raw(Object::Vm { vmid: first.vmid })),
    ] {
        assert_eq!(asks(keys), question, "{keys}");
    }
}

#[test]
fn beside_the_panes_of_the_site_l_is_the_log_of_the_run_and_y_says_where_it_means_something() {
    let mut typist = seen((80, 24));
    typist.keys("1l");
    assert_eq!(run(&mut typist).full, Some(Full::Log));
    typist.keys("l");
    assert_eq!(run(&mut typist).full, None);
    typist.keys("y");
    typist.shows(&["select a line in one of the panes 2 to 6"]);
    typist.keys("5<End>l");
    typist.shows(&["this line has no log"]);
    assert!(typist.commands.is_empty(), "{:?}", typist.commands);
}

#[test]
fn an_answer_has_the_screen_keys_go_on_while_it_is_waited_for_and_a_late_one_is_left() {
    let mut typist = seen((80, 24));
    typist.keys("5l");
    typist.shows(&["the answer has not come yet"]);
    let (number, _) = asked(&mut typist).unwrap();
    typist.keys("<Esc>4");
    typist.shows(&["4 Releases: 1/5 ready"]);
    typist.send(answered(number, Ok(told("late line"))));
    typist.shows_not("late line");
    typist.keys("5l");
    let (number, _) = asked(&mut typist).unwrap();
    typist.send(answered(number, Ok(told(&"a line\n".repeat(100)))));
    typist.keys("/line<Enter><Esc>");
    typist.shows(&["a line"]);
    typist.keys("c");
    let Some(Cmd::Copy { text, file: Some(_) }) = typist.commands.pop() else { panic!("{:?}", typist.commands) };
    assert_eq!(text, "KUBECONFIG=/state/run/secrets/kubeconfig kubectl logs a");
    typist.keys("<Esc>");
    typist.shows(&["5 Pods: 53/54 ready"]);
}

#[test]
fn who_looks_on_may_ask_and_a_record_says_that_nothing_can_be_asked() {
    let mut typist = seen((80, 24));
    typist.send(Msg::Control(Control { yours: false, by: Some(("bob".into(), at(100))) }));
    typist.keys("5l");
    let (number, _) = asked(&mut typist).unwrap();
    typist.send(answered(number, Err(Untold::NoWorker)));
    typist.shows(&["the run's worker is gone"]);
    typist.keys("<Esc>");
    run(&mut typist).asking.asker = None;
    typist.keys("l");
    typist.shows(&["nothing can be asked"]);
    assert_eq!(asked(&mut typist), None);
}

#[test]
fn whatever_an_answer_says_it_does_not_steer_the_terminal() {
    let evil = "\u{1b}[2J\u{1b}]52;c;x\u{7}\u{9b}1m\u{202e}\0 word";
    let says = || evil.to_string();
    let mut hostile = told(evil);
    hostile.by_hand = says();
    for answer in [
        Ok(hostile),
        Err(Untold::Forbidden { says: says() }),
        Err(Untold::Failed { says: says() }),
        Err(Untold::NotBegun { container: says(), says: says() }),
    ] {
        let mut typist = seen((80, 24));
        typist.keys("5l");
        let (number, _) = asked(&mut typist).unwrap();
        typist.send(answered(number, answer));
        typist.shows(&["word"]);
        let strange = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!typist.screen().contains(strange), "{}", typist.screen());
    }
}
