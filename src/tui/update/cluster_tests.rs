//! A cluster that no run speaks of, typed and drawn.
use crate::observed::{
    Backend, Gap, Gaps, Kind, Matter, Nodes, Noticed, Notices, Object, Question, Snapshot, Untold, View,
};
use crate::plan::defaults::{Defaults, plan};
use crate::tui::message::{Cmd, End, Msg};
use crate::tui::model::cluster::ClusterModel;
use crate::tui::model::{Model, Screen};
use crate::tui::panes::samples::{Seen, node};
use crate::tui::samples::{Sample, at};
use crate::tui::session::Typist;
use crate::tui::session::asking::{answered, asked, nobody, told};
use crate::tui::theme::Theme;
use std::sync::Arc;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (160, 45), (40, 10)];
const OF_CLUSTER: [Kind; 5] = [Kind::Contacts, Kind::Nodes, Kind::Releases, Kind::Pods, Kind::Events];

fn typist(size: (u16, u16)) -> Typist {
    let mut typist = Typist::run(&Sample::fresh(), Theme::new(false, false));
    let server = "https://10.0.0.200:6443".to_string();
    let cluster = ClusterModel::new(server, "admin@old".into(), "/home/ann/old cluster/kubeconfig".into());
    typist.model = Model::new(Theme::new(false, false), Screen::Cluster(Box::new(cluster)));
    typist.clock(300);
    typist.resize(size);
    typist
}

/// Three nodes: one that is well, one cordoned, one not ready and full.
fn seen(size: (u16, u16)) -> Typist {
    let mut typist = typist(size);
    let mut seen = Seen::of(&plan(&Defaults::default()), 300);
    let mut rows = vec![node("srv1", true), node("srv2", true), node("srv3", false)];
    rows[0].roles = vec!["control-plane".into()];
    rows[1].cordoned = true;
    rows[2].pressures = vec!["DiskPressure".into()];
    rows[2].created = Some(at(300 - 219 * 86_400));
    seen.contacts.all.retain(|contact| contact.backend == Backend::Kubernetes);
    seen.nodes = Nodes { total: 3, ready: 2, rows };
    let only = seen.snapshots().into_iter().filter(|s| OF_CLUSTER.contains(&s.view.kind())).collect();
    typist.send(Msg::Observed(only));
    typist
}

#[test]
fn each_pane_of_a_cluster_is_reached_by_its_digit_at_every_size_and_no_step_is_shown() {
    for size in SIZES {
        let mut typist = seen(size);
        for (digit, title) in [
            ("1", "1 Nodes: 2/3 ready"),
            ("2", "2 Releases: 1/5 ready"),
            ("3", "3 Pods: 53/54 ready"),
            ("4", "4 Events: 12 warnings"),
        ] {
            typist.keys(digit);
            typist.shows(&[title]);
        }
        for word in ["Steps", "Proxmox", "Talos", "day 2"] {
            typist.shows_not(word);
        }
    }
}

#[test]
fn a_node_says_in_words_whether_it_is_ready_cordoned_or_under_pressure() {
    let mut typist = seen((120, 40));
    typist.shows(&["NotReady", "NodeStatusUnknown, DiskPressure", "Ready, cordoned", "control-plane", "219d"]);
    typist.shows(&["https://10.0.0.200:6443 as admin@old", "only reads"]);
    // The worst thing stands in words at the top.
    typist.shows(&["node srv3 is NotReady: NodeStatusUnknown, DiskPressure"]);
    typist.keys("z");
    typist.shows_not("control-plane");
}

#[test]
fn a_line_opens_with_all_that_is_known_and_its_command_names_the_kubeconfig() {
    let mut typist = seen((80, 24));
    typist.keys("1<Enter>");
    typist.shows(&["kubectl describe node srv1", "kubelet"]);
    typist.keys("c");
    let Some(Cmd::Copy { text, file: None }) = typist.commands.pop() else { panic!("{:?}", typist.commands) };
    assert_eq!(text, "KUBECONFIG='/home/ann/old cluster/kubeconfig' kubectl describe node srv1");
    typist.keys("<Esc>/SRV2<Enter>");
    typist.shows(&["srv2"]);
    typist.shows_not("srv1");
}

#[test]
fn nothing_can_be_asked_of_a_cluster_and_q_and_a_lost_terminal_leave_at_once() {
    let mut typist = seen((80, 24));
    typist.keys("rsbtfwl");
    assert!(typist.commands.is_empty(), "{:?}", typist.commands);
    typist.keys("q");
    assert!(matches!(typist.commands.pop(), Some(Cmd::End(End::Cluster))));
    typist.send(Msg::Hangup);
    assert!(matches!(typist.commands.pop(), Some(Cmd::End(End::Cluster))));
}

#[test]
fn what_the_cluster_does_not_know_and_what_may_not_be_listed_is_said_in_its_pane() {
    let mut typist = seen((80, 24));
    let gaps = Gaps { releases: Some(Gap::Absent), nodes: Some(Gap::Forbidden), ..Gaps::default() };
    typist.send(Msg::Observed(vec![Arc::new(Snapshot::new(at(300), View::Gaps(gaps)))]));
    typist.keys("2");
    typist.shows(&["this cluster knows no HelmReleases"]);
    typist.keys("1");
    typist.shows(&["the credentials may not list nodes"]);
    for word in ["srv1", "nodes 2/3", "srv3 is NotReady"] {
        typist.shows_not(word);
    }
}

#[test]
fn what_changes_while_the_screen_is_open_stands_in_its_log_the_newest_first() {
    let mut typist = seen((80, 24));
    typist.keys("5");
    typist.shows(&["5 Log", "nothing has changed since this screen began"]);
    let mut notices = Notices::default();
    notices.add(at(310), Noticed::NodeNotReady { name: "srv1".into(), reason: "NodeStatusUnknown".into() });
    notices.add(at(320), Noticed::NodeReady { name: "srv1".into() });
    typist.send(Msg::Observed(vec![Arc::new(Snapshot::new(at(320), View::Notices(notices)))]));
    typist.shows(&[
        "5 Log: 2 changes",
        "00:05:10 node srv1 is not Ready (NodeStatusUnknown)",
        "00:05:20 node srv1 is Ready",
    ]);
    let screen = typist.screen();
    assert!(screen.find("00:05:20").unwrap() < screen.find("00:05:10").unwrap(), "{screen}");
    typist.keys("z");
    typist.shows_not("00:05:20");
}

fn asking(size: (u16, u16)) -> Typist {
    let mut typist = seen(size);
    let Screen::Cluster(cluster) = &mut typist.model.screen else { panic!("no cluster") };
    cluster.asking.asker = Some(nobody());
    typist
}

#[test]
fn a_log_and_a_raw_answer_have_the_screen_until_esc_and_an_old_answer_is_left() {
    let mut typist = asking((80, 24));
    typist.keys("y");
    let (first, question) = asked(&mut typist).unwrap();
    assert_eq!(question, Question { matter: Matter::Raw, about: Object::Node { name: "srv1".into() } });
    typist.shows(&["node srv1: as its system has it", "the answer has not come yet"]);
    typist.send(answered(first, Ok(told("kind: Node\nmetadata:\n    name: srv1"))));
    typist.shows(&["kind: Node", "    name: srv1"]);
    typist.keys("<Esc>3l");
    let (log, question) = asked(&mut typist).unwrap();
    assert!(matches!(question, Question { matter: Matter::Log, about: Object::Pod { .. } }), "{question:?}");
    typist.send(answered(first, Ok(told("kind: Old"))));
    typist.shows_not("kind: Old");
    let lines: String = (1..=300).map(|n| format!("line {n}\n")).collect();
    typist.send(answered(log, Ok(told(&lines))));
    typist.shows(&["line 300"]);
    // Asked again: the answer to the first question says nothing of now.
    typist.keys("<Esc>l");
    let (again, _) = asked(&mut typist).unwrap();
    typist.send(answered(log, Ok(told("line of before"))));
    typist.shows(&["the answer has not come yet"]);
    let says = "waiting to start: trying and failing to pull image".to_string();
    typist.send(answered(again, Err(Untold::NotBegun { container: "a".into(), says })));
    typist.shows(&["container a has not begun: waiting to start: trying and failing to pull image"]);
    typist.keys("<Esc>1");
    typist.shows(&["1 Nodes: 2/3 ready"]);
}

#[test]
fn an_answer_to_a_view_that_was_left_does_not_come_back_and_does_not_scroll_another() {
    let mut typist = asking((80, 24));
    typist.keys("3l");
    let (log, _) = asked(&mut typist).unwrap();
    typist.keys("<Esc><Enter>");
    typist.send(answered(log, Ok(told(&"late line\n".repeat(100)))));
    typist.shows_not("late line");
    let Screen::Cluster(cluster) = &typist.model.screen else { panic!("no cluster") };
    assert_eq!(cluster.full_scroll, 0);
}

#[test]
fn c_copies_the_command_of_the_answer_while_it_is_shown() {
    let mut typist = asking((80, 24));
    typist.keys("3l");
    let (log, _) = asked(&mut typist).unwrap();
    typist.send(answered(log, Ok(told("a line"))));
    typist.keys("c");
    let Some(Cmd::Copy { text, file: None }) = typist.commands.pop() else { panic!("{:?}", typist.commands) };
    assert_eq!(text, "KUBECONFIG='/home/ann/old cluster/kubeconfig' kubectl logs a");
}

#[test]
fn what_has_no_log_says_so() {
    let mut typist = asking((80, 24));
    typist.keys("1l");
    assert_eq!(asked(&mut typist), None);
    typist.shows(&["this line has no log"]);
}
