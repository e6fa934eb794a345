//! The views: what each shows, and how one gets there.
use super::person::Person;
use super::runs::{CLONE, Run, the_plan};
use super::site::Seen;
use cozyup::engine::record::Outcome;
use cozyup::engine::state::RunState;
use cozyup::engine::step::StepId;
use cozyup::observed::{Gap, Gaps, Noticed, Notices, Snapshot, View as ObservedView};
use cozyup::plan::defaults::{Defaults, plan};
use cozyup::plan::{Finding, Severity};
use cozyup::session::protocol::Control;
use cozyup::tui::message::{BadPlan, Msg};
use cozyup::tui::model::run::Row;
use cozyup::tui::theme::Theme;
use std::sync::Arc;

pub type Size = (u16, u16);

const FILES: &str = "files (0600):\n  kubeconfig   /home/ann/runs/standard/secrets/kubeconfig\n  \
                     talosconfig  /home/ann/runs/standard/secrets/talosconfig";

pub struct View {
    /// The name of its files.
    pub name: &'static str,
    pub about: &'static str,
    pub build: fn(Theme, Size) -> Person,
}

pub fn view(name: &'static str, about: &'static str, build: fn(Theme, Size) -> Person) -> View {
    View { name, about, build }
}

pub fn all() -> Vec<View> {
    let mut all = vec![
        view("too-small", "one line says which size is needed", |t, s| seen(t, s, Run::cloning(), 175)),
        view("home", "what can be begun, and the plans in the folder", Person::home),
        view("home-runs", "the runs of this machine: how each stands, what it waits for, who sits there", |t, s| {
            Person::home_with(t, s, super::person::runs()).keys("<Down>")
        }),
        view("home-open", "a plan file with an error: its line, the reason, what to write", broken),
        view("home-lab", "the scenarios of the lab", |t, s| Person::home(t, s).keys("<Down><Down><Enter>")),
        view("help", "every key, and what the states mean", |t, s| seen(t, s, Run::cloning(), 175).keys("?")),
    ];
    all.extend(forms());
    all.extend(runs());
    all.extend(panes());
    all.extend(clusters());
    all.extend(super::answers::views());
    all.extend(dialogs());
    all
}

fn forms() -> Vec<View> {
    vec![
        view("form", "a new plan: its sections", |t, s| Person::home(t, s).keys("<Enter>")),
        view("form-machines", "the machines of a new plan, one field edited to what is no value", |t, s| {
            // Where they have no place as a table, the VMID stands below the name.
            let to = if s.0 < 60 { "<Down><Down>" } else { "<Right><Right>" };
            let person = Person::home(t, s).keys("<Enter><Down><Down><Down><Down><Tab>").keys(to);
            person.keys("<Enter><Backspace>x<Enter>")
        }),
        view("form-table", "machines beside what is free on their hosts, one field edited", |t, s| {
            let person = super::asked::person(t, s, super::asked::met()).keys("<Enter><Down><Down><Down><Down><Tab>");
            person.keys("<Down><Right><Right><Right><Right><Right><Enter>2")
        }),
        view("form-edit", "a field while it is edited", |t, s| Person::home(t, s).keys("<Enter><Tab><Enter>2")),
        view("form-findings", "the findings have the keyboard", |t, s| Person::home(t, s).keys("<Enter><Tab><Tab>")),
        view("form-reason", "the question why a finding is set aside", |t, s| {
            Person::home(t, s).keys("<Enter><Tab><Tab><End>o")
        }),
        view("form-save", "the question for the name of the file", |t, s| Person::home(t, s).keys("<Enter>s")),
        view("form-remove", "the question before a machine leaves the plan", |t, s| {
            Person::home(t, s).keys("<Enter><Down><Down><Down><Down><Tab>d")
        }),
        view("form-trust", "the certificate of a site, before anything is sent to it", |t, s| {
            super::asked::person(t, s, super::asked::stranger())
        }),
        view("form-site", "what a site said, and what the plan took from it", |t, s| {
            super::asked::person(t, s, super::asked::met())
        }),
        view("form-rights", "a site on which the token lacks a right", |t, s| {
            super::asked::person(t, s, super::asked::lacking())
        }),
        view("form-list", "the values that a site offers for a field", |t, s| {
            super::asked::person(t, s, super::asked::met())
                .keys("<Enter><Tab><Tab><Tab>")
                .keys("<Down><Down><Down><Enter><Down><Down><Down><Enter>")
        }),
        view("form-silent", "a site that refuses the token", |t, s| super::asked::person(t, s, super::asked::silent())),
        view("form-leave", "the question before unsaved changes are lost", |t, s| {
            Person::home(t, s).keys("<Enter><Tab><Enter>2<Enter>q")
        }),
    ]
}

fn runs() -> Vec<View> {
    vec![
        view("run-empty", "before the first record", |t, s| Person::run(t, s, the_plan(), Vec::new(), 0)),
        view("run-begin", "a session that has proven nothing", |t, s| seen(t, s, Run::begin(), 1)),
        view("run-checking", "day 0 is being read", |t, s| seen(t, s, Run::checking(), 10)),
        view("run-waits", "a clone on its way, in time", |t, s| seen(t, s, Run::cloning(), 175)),
        view("run-late", "a clone over its time", |t, s| seen(t, s, Run::cloning(), 640)),
        view("run-blocked", "a clone that is refused: why, and what to do", |t, s| seen(t, s, Run::blocked(), 185)),
        view("run-retries", "a failure that goes away by itself", |t, s| seen(t, s, Run::retrying(), 200)),
        view("run-drifted", "a new session finds that a machine has gone", |t, s| seen(t, s, Run::again(), 5045)),
        view("run-platform", "day 3: the releases come up in waves", |t, s| seen(t, s, Run::platform(), 400)),
        view("run-day", "one day as a page", |t, s| seen(t, s, Run::cloning(), 175).keys("<Home><Tab>")),
        view("run-detail", "the detail pane has the keyboard", |t, s| seen(t, s, Run::cloning(), 640).keys("<Tab>")),
        view("run-evidence", "a proven step with the answers of the target", |t, s| {
            let mut person = seen(t, s, Run::cloning(), 175);
            person.change(|run| {
                run.follow = false;
                run.cursor = Row::Step(StepId::new("day1.clone/cozy-new-cp1"));
            });
            person.keys("<Enter>")
        }),
        view("run-log", "the log on the full screen", |t, s| seen(t, s, Run::blocked(), 185).keys("l")),
        view("run-findings", "warnings and notes of the plan", |t, s| seen(t, s, Run::cloning(), 175).keys("w")),
        view("run-onlooker", "another screen has control", |t, s| {
            let mut person = seen(t, s, Run::cloning(), 175);
            let by = Some(("bob on jump (pts/3)".to_string(), super::person::at(100)));
            person.send(Msg::Control(Control { yours: false, by }));
            person
        }),
        view("run-denied", "the run did not take what was asked", |t, s| {
            let mut person = seen(t, s, Run::cloning(), 175);
            person.send(Msg::Denied("not taken: bob on jump has control; t takes it".into()));
            person
        }),
    ]
}

/// Day 3 with what the observer sees of the site.
pub fn watched(theme: Theme, size: Size, run: Run, second: i64, site: Seen) -> Person {
    let mut person = seen(theme, size, run, second);
    person.send(Msg::Observed(site.snapshots()));
    person
}

pub fn platform(theme: Theme, size: Size) -> Person {
    watched(theme, size, Run::platform(), 400, Seen::platform())
}

/// A cluster that no run speaks of.
pub fn watch(theme: Theme, size: Size, site: Seen) -> Person {
    Person::cluster(theme, size, site.alone(), 400)
}

fn clusters() -> Vec<View> {
    vec![
        view("watch", "the nodes of a cluster that no run speaks of, and the rest where there is room", |t, s| {
            watch(t, s, Seen::platform())
        }),
        view("watch-releases", "its releases by their digit", |t, s| watch(t, s, Seen::platform()).keys("2<Down>")),
        view("watch-line", "all of one line", |t, s| watch(t, s, Seen::platform()).keys("<Enter>")),
        view("watch-log", "what has changed since the screen began", |t, s| {
            let mut person = watch(t, s, Seen::platform());
            let mut notices = Notices::default();
            let (name, reason) = ("mgr-cozy3".to_string(), "NodeStatusUnknown".to_string());
            notices.add(super::person::at(310), Noticed::NodeNotReady { name, reason });
            notices.add(super::person::at(390), Noticed::NodeReady { name: "mgr-cozy2".into() });
            person.send(Msg::Observed(vec![Arc::new(Snapshot::new(
                super::person::at(390),
                ObservedView::Notices(notices),
            ))]));
            person.keys("5")
        }),
        view("watch-silent", "its API does not answer", |t, s| watch(t, s, Seen::platform().with_a_silent_cluster())),
        view("watch-gaps", "Flux is not installed in it, and its nodes may not be listed", |t, s| {
            let mut person = watch(t, s, Seen::platform());
            let gaps = Gaps { releases: Some(Gap::Absent), nodes: Some(Gap::Forbidden), ..Gaps::default() };
            person.send(Msg::Observed(vec![Arc::new(Snapshot::new(super::person::at(400), ObservedView::Gaps(gaps)))]));
            person
        }),
    ]
}

fn panes() -> Vec<View> {
    vec![
        view("pane-day", "day 3: its own pane has opened by itself", platform),
        view("pane-steps", "the steps by their digit", |t, s| platform(t, s).keys("1")),
        view("pane-cloning", "day 1: machines that are not there yet, and a clone on its way", |t, s| {
            watched(t, s, Run::cloning(), 175, Seen::cloning())
        }),
        view("pane-proxmox", "the machines, one stopped by somebody, and a task of somebody else", |t, s| {
            let run = Run::platform().stopped_by_somebody(355);
            watched(t, s, run, 400, Seen::platform().with_a_stopped_machine()).keys("2")
        }),
        view("pane-talos", "stage, services, etcd and version of each machine", |t, s| {
            watched(t, s, Run::platform(), 400, Seen::platform().with_a_stopped_machine()).keys("3")
        }),
        view("pane-releases", "releases under the one that holds them back", |t, s| platform(t, s).keys("4<Down>")),
        view("pane-pods", "pods that are not ready", |t, s| platform(t, s).keys("5")),
        view("pane-events", "warnings of the cluster", |t, s| platform(t, s).keys("6")),
        view("pane-log", "the log by its digit", |t, s| platform(t, s).keys("7")),
        view("pane-silent", "a cluster that does not answer", |t, s| {
            watched(t, s, Run::platform(), 400, Seen::platform().with_a_silent_cluster()).keys("5")
        }),
        view("pane-item", "all of one line", |t, s| platform(t, s).keys("4<Enter>")),
        view("pane-empty", "a pane of a later day", |t, s| {
            watched(t, s, Run::cloning(), 175, Seen::cloning()).keys("4")
        }),
    ]
}

fn dialogs() -> Vec<View> {
    vec![
        view("gate", "the question before day 1", |t, s| seen(t, s, Run::at_gate(), 45)),
        view("gate-by-hand", "the same with the commands by hand", |t, s| seen(t, s, Run::at_gate(), 45).keys("m")),
        view("gate-later", "the day waits: the header says so", |t, s| seen(t, s, Run::at_gate(), 45).keys("<Esc>")),
        view("gate-compare", "keys of machines to be compared before day 2", |t, s| seen(t, s, Run::at_compare(), 145)),
        view("leave", "the question whether to leave a run that goes on", |t, s| {
            seen(t, s, Run::cloning(), 175).keys("q")
        }),
        view("leave-stop", "the other answer: stop the run, then leave", |t, s| {
            seen(t, s, Run::cloning(), 175).keys("q<Down>")
        }),
        view("stop", "the question before a stop", |t, s| seen(t, s, Run::cloning(), 175).keys("s")),
        view("stopping", "the run stops after the acts in hand", |t, s| seen(t, s, Run::stopping(), 185)),
        view("done", "every step is proven: the summary", |t, s| ended(t, s, Run::finished(), "proven", FILES)),
        view("done-around", "every step is proven: looking around", |t, s| {
            ended(t, s, Run::finished(), "proven", "").keys("<Esc>")
        }),
        view("ended-blocked", "patience is over with a blocked step", |t, s| {
            let more = format!(
                "blocked: {CLONE}: clone of template 9100 to vm 1002 refused: 403 Permission check failed (/vms/9100, \
                 VM.Clone)\n   next: give the token VM.Clone on /vms/9100"
            );
            ended(t, s, Run::blocked().ended(1980, Outcome::Blocked), "blocked", &more)
        }),
        view("ended-stopped", "the run has stopped", |t, s| {
            ended(t, s, Run::stopping().ended(190, Outcome::Stopped), "stopped", "")
        }),
        view("lost-worker", "the worker has gone without a word", |t, s| {
            let text = "the worker of run standard is gone; what it had begun is in the journal\nnext: start the same command \
                        again: it goes on from what the target says";
            let mut person = seen(t, s, Run::cloning(), 2000);
            person.send(Msg::Finished(text.to_string()));
            person
        }),
    ]
}

fn seen(theme: Theme, size: Size, run: Run, second: i64) -> Person {
    Person::run(theme, size, the_plan(), run.records, second)
}

/// The screen after the worker's last word, which begins as the summary does.
fn ended(theme: Theme, size: Size, run: Run, outcome: &str, more: &str) -> Person {
    let state = RunState::of(&run.records);
    let (proven, all) = (state.proven(), state.wanted().count());
    let mut person = seen(theme, size, run, 2000);
    person.send(Msg::Finished(format!("{outcome}: {proven} of {all} steps proven (days 0 to 5)\n{more}")));
    person
}

fn broken(theme: Theme, size: Size) -> Person {
    let finding = |severity, line, key: &str, what: &str, why: &str, write: &str| Finding {
        rule: "unknown-key".into(),
        severity,
        file: "plans/site-b.yaml".into(),
        line,
        column: 3,
        key: key.into(),
        what: what.into(),
        why: why.into(),
        write: write.into(),
    };
    let findings = vec![
        finding(
            Severity::Error,
            12,
            "network.vipp",
            "is no key of the plan",
            "a key that is not read would be a wish that is not fulfilled",
            "vip: 10.0.0.200",
        ),
        finding(
            Severity::Warning,
            31,
            "nodes",
            "has three control planes on one Proxmox node",
            "when that node stops, the cluster stops",
            "",
        ),
    ];
    let bad = BadPlan {
        what: "plan file plans/site-b.yaml has 1 error to mend".into(),
        next: "mend the errors, then open the file again".into(),
        findings,
        decoded: Some(plan(&Defaults::default())),
    };
    let mut person = Person::home(theme, size).keys("<Down><Enter>plans/site-b.yaml<Enter>");
    let path = "/home/ann/plans/site-b.yaml".into();
    person.send(Msg::Loaded { path, result: Err(Box::new(bad)) });
    person
}
