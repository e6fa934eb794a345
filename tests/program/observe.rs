//! The observer beside a run against a lab: what others do to the target is told, and what they undo is not green any more.
mod others;
mod started;

use crate::rig::{Rig, Shape};
use cozyup::base::day::Day;
use cozyup::base::vmid::Vmid;
use cozyup::compose::{self, Options};
use cozyup::engine::course::Course;
use cozyup::engine::errand::Errand;
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::engine::request::{Asked, Request};
use cozyup::lab::disturb;
use cozyup::lab::kube::control::nodes;
use cozyup::lab::pve::lifecycle;
use cozyup::lab::scenario::Scenario;
use cozyup::observe::Calls;
use cozyup::observed::{
    Answer, Asker, Board, Event as Warning, Kind, Matter, Mending, Noticed, Object, Origin, Pod, Question, Release,
    Snapshot, Told, Untold, View,
};
use cozyup::session::order::Keys;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Lab seconds in a second of the wall.
const SPEED: f64 = 240.0;
/// Of the wall, for whatever a test waits for.
const SOON: Duration = Duration::from_secs(120);
/// The one machine of the small site.
const VMID: u32 = 1001;

/// A run in this process with an observer beside it, as the worker has them, and one screen.
struct Watched {
    records: mpsc::UnboundedReceiver<Arc<Record>>,
    requests: mpsc::UnboundedSender<Asked>,
    seen: Vec<Arc<Record>>,
    board: Board,
    calls: Arc<Calls>,
    asker: Asker,
    run: JoinHandle<Outcome>,
    observing: JoinHandle<()>,
    _screens: watch::Sender<usize>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.observing.abort();
        self.run.abort();
    }
}

impl Watched {
    /// Every gate but those of `waits_at` and later days is open.
    fn start(rig: &Rig, until: u8, waits_at: Option<u8>) -> Watched {
        let options = Options {
            text: None,
            plan: rig.plan().to_path_buf(),
            folder: rig.folder(),
            course: Course::Forward { until: Day::Number(until) },
            take_over: None,
            also: Default::default(),
            adopt: None,
            gates_by: waits_at.is_none().then(|| "--yes".to_string()),
            patience: None,
            clock: rig.site().clock(),
            reconnect: Arc::new(|| Box::pin(async { Ok("this process answered".to_string()) })),
            keys: Keys::default(),
        };
        let prepared = compose::prepare(options).unwrap();
        let requests = prepared.requests;
        for day in 0..waits_at.unwrap_or(0) {
            requests.send(Request::OpenGate { day: Day::Number(day) }.by("ann")).unwrap();
        }
        let (board, screens) = (Board::default(), watch::Sender::new(1));
        let (progress, calls) = (prepared.observer.progress(), prepared.observer.calls());
        let asker = prepared.observer.asker();
        let observing = tokio::spawn(prepared.observer.run(screens.subscribe(), board.clone()));
        let (records_in, records) = mpsc::unbounded_channel();
        let mut feed = prepared.records;
        tokio::spawn(async move {
            while let Some(record) = feed.recv().await {
                progress.send_if_modified(|progress| progress.take(&record));
                let _ = records_in.send(record);
            }
        });
        let work = prepared.work;
        let run = tokio::spawn(async move { work.run().await.unwrap().0 });
        Watched { records, requests, seen: Vec::new(), board, calls, asker, run, observing, _screens: screens }
    }

    /// The next record that `is_it` takes, from here on.
    async fn record<T>(&mut self, what: &str, mut is_it: impl FnMut(&Record) -> Option<T>) -> T {
        let looking = async {
            loop {
                let record = self.records.recv().await.unwrap_or_else(|| panic!("the run has ended before {what}"));
                self.seen.push(record.clone());
                if let Some(found) = is_it(&record) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(SOON, looking).await;
        found.unwrap_or_else(|_| panic!("not within {SOON:?}: {what}; the last records: {:#?}", self.last()))
    }

    fn last(&self) -> Vec<String> {
        let told = |r: &Arc<Record>| serde_json::to_string(&**r).unwrap().chars().take(300).collect();
        self.seen.iter().rev().take(8).map(told).collect()
    }

    async fn gate(&mut self, wanted: u8) {
        let gate =
            |r: &Record| matches!(&r.event, Event::GateAsked { day, .. } if *day == Day::Number(wanted)).then_some(());
        self.record(&format!("the gate of day {wanted}"), gate).await;
    }

    async fn drifted(&mut self, wanted: &str) -> String {
        let drifted = |r: &Record| match &r.event {
            Event::Drifted { step, why } if step.as_str() == wanted => Some(why.clone()),
            _ => None,
        };
        self.record(&format!("{wanted} is drifted"), drifted).await
    }

    async fn proven(&mut self, wanted: &str) {
        let proven =
            |r: &Record| matches!(&r.event, Event::Proven { step, .. } if step.as_str() == wanted).then_some(());
        self.record(&format!("{wanted} is proven"), proven).await;
    }

    async fn board(&self, kind: Kind, mut is_it: impl FnMut(&View) -> bool) -> Arc<Snapshot> {
        let mut news = self.board.news();
        let looking = async {
            loop {
                if let Some(snapshot) = self.board.last(kind).filter(|s| is_it(&s.view)) {
                    return snapshot;
                }
                news.wait().await;
                news.take();
            }
        };
        tokio::time::timeout(SOON, looking).await.unwrap_or_else(|_| panic!("not within {SOON:?}: {kind:?}"))
    }

    fn noticed(&self) -> Vec<Noticed> {
        let all = self.seen.iter().filter_map(|record| match &record.event {
            Event::Noticed { notice } => notice.read(),
            _ => None,
        });
        all.collect()
    }

    fn asked(&self) -> [u64; 3] {
        [&self.calls.proxmox, &self.calls.talos, &self.calls.kubernetes].map(|n| n.load(Ordering::Relaxed))
    }
}

fn rig() -> Rig {
    cozyup::base::tls::install_provider();
    Rig::new(&Shape { scenario: "small", until: 5, teardown: false, speed: SPEED })
}

fn block<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let done = runtime.block_on(what);
    runtime.shutdown_background();
    done
}

fn is_running(view: &View) -> bool {
    matches!(view, View::Site(site) if site.vms.iter().any(|vm| {
        vm.vmid == VMID && vm.there.as_ref().is_some_and(|t| t.power == cozyup::observed::Power::Running)
    }))
}

/// screen.md A1, A2: `qm stop` by a person, in the middle of a session.
#[test]
fn a_vm_that_a_person_stops_drifts_at_once_is_told_with_task_and_user_and_is_started_again() {
    let rig = rig();
    block(async {
        let mut run = Watched::start(&rig, 2, Some(2));
        run.gate(2).await;
        run.board(Kind::Site, is_running).await;
        rig.lab().with(|world| drop(lifecycle::stop(world, VMID, "qmstop", "root@pam")));
        let why = run.drifted("day1.start/cp1").await;
        assert!(why.contains("vm 1001 is stopped"), "{why}");
        run.proven("day1.start/cp1").await;
        run.board(Kind::Site, is_running).await;
        let again = |r: &Record| match &r.event {
            Event::Noticed { notice } => notice.read::<Noticed>().filter(|n| matches!(n, Noticed::VmRuns { .. })),
            _ => None,
        };
        run.record("the VM is told to run again", again).await;
        let told = run.noticed();
        let stops: Vec<_> = told.iter().filter(|n| matches!(n, Noticed::VmStopped { .. })).collect();
        let [Noticed::VmStopped { vmid, task: Some(task), .. }] = stops.as_slice() else { panic!("{told:?}") };
        assert_eq!((*vmid, task.kind.as_str(), task.user.as_str()), (Vmid::of(VMID), "qmstop", "root@pam"));
        let [proxmox, _, kubernetes] = run.asked();
        assert!(proxmox > 0 && kubernetes == 0, "day 3 has not begun: {:?}", run.asked());
    });
}

#[test]
fn nothing_is_asked_for_days_that_have_not_begun() {
    let rig = rig();
    block(async {
        let mut run = Watched::start(&rig, 0, None);
        assert_eq!((&mut run.run).await.unwrap(), Outcome::Proven);
        assert_eq!(run.asked(), [0, 0, 0], "day 0 makes nothing");
        drop(run);
        let mut run = Watched::start(&rig, 2, Some(1));
        run.gate(1).await;
        run.board(Kind::Site, |_| true).await;
        let [proxmox, talos, kubernetes] = run.asked();
        assert!(proxmox > 0 && talos == 0 && kubernetes == 0, "{:?}", run.asked());
    });
}

/// What a screen asks about single things, read by the run's own clients.
async fn told_of(asker: &Asker) -> Vec<Told> {
    let ask = |matter, about| asker.ask(Question { matter, about });
    let machine = || Object::Machine { name: "cp1".into() };
    let vm = ask(Matter::Raw, Object::Vm { vmid: Vmid::of(VMID) }).await.unwrap();
    assert!(vm.text.contains("name: cp1") && vm.by_hand.starts_with("pvesh get "), "{vm:?}");
    let talos = ask(Matter::Raw, machine()).await.unwrap();
    assert!(talos.text.contains("stage: running") && talos.text.contains("id: etcd"), "{talos:?}");
    let kernel = ask(Matter::Log, machine()).await.unwrap();
    assert!(
        kernel.origin == Origin::Kernel && kernel.by_hand.contains("dmesg") && !kernel.text.is_empty(),
        "{kernel:?}"
    );
    let node = ask(Matter::Raw, Object::Node { name: "cp1".into() }).await.unwrap();
    assert!(node.text.contains("kind: Node") && !node.text.contains("managedFields"), "{node:?}");
    let (namespace, name) = ("cozy-cert-manager".to_string(), "cert-manager".to_string());
    let release = ask(Matter::Raw, Object::Release { namespace, name }).await.unwrap();
    assert!(release.text.contains("kind: HelmRelease"), "{release:?}");
    for nobody in [
        Object::Machine { name: "cp9".into() },
        Object::Vm { vmid: Vmid::of(99_999) },
        Object::Pod { namespace: "cozy-a".into(), name: "../../secrets".into() },
    ] {
        assert!(ask(Matter::Raw, nobody.clone()).await.is_err(), "{nobody:?}");
    }
    let gone = Object::Pod { namespace: "cozy-a".into(), name: "a-1".into() };
    assert_eq!(ask(Matter::Log, gone).await, Err(Untold::Gone));
    vec![vm, talos, kernel, node, release]
}

/// screen.md A2: the cluster itself, and that what the screens get holds no secret.
#[test]
fn a_node_that_falls_in_day_4_makes_day_3_drifted_and_no_snapshot_or_answer_holds_a_secret() {
    let rig = rig();
    block(async {
        let mut run = Watched::start(&rig, 4, Some(4));
        run.gate(4).await;
        let all_ready = |view: &View| matches!(view, View::Nodes(nodes) if nodes.total == 1 && nodes.ready == 1);
        run.board(Kind::Nodes, all_ready).await;
        let sound = |view: &View| matches!(view, View::Releases(r) if r.total >= 40 && r.ready == r.total);
        run.board(Kind::Releases, sound).await;
        run.board(Kind::Pods, |view| matches!(view, View::Pods(pods) if pods.total > 10)).await;
        run.board(Kind::Events, |_| true).await;
        let etcd = |view: &View| matches!(view, View::Machines(m) if m.members.as_ref().is_some_and(|m| m.len() == 1));
        run.board(Kind::Machines, etcd).await;
        let answers = |view: &View| matches!(view, View::Contacts(c) if c.all.len() == 3 && c.all.iter().all(|c| c.last.is_some()));
        run.board(Kind::Contacts, answers).await;
        let told = told_of(&run.asker).await;
        rig.lab().with(|world| nodes::down(world, "cp1"));
        let why = run.drifted("day3.nodes_ready").await;
        assert!(why.contains("cp1 is not Ready"), "{why}");
        let fallen = |r: &Record| match &r.event {
            Event::Noticed { notice } => notice.read::<Noticed>().filter(|n| matches!(n, Noticed::NodeNotReady { .. })),
            _ => None,
        };
        if !run.noticed().iter().any(|n| matches!(n, Noticed::NodeNotReady { .. })) {
            run.record("the fallen node is told", fallen).await;
        }
        let mut texts = format!("{told:?}");
        for kind in [Kind::Site, Kind::Machines, Kind::Releases, Kind::Nodes, Kind::Pods, Kind::Events, Kind::Contacts]
        {
            texts.push_str(&serde_json::to_string(&*run.board.last(kind).unwrap()).unwrap());
        }
        let token = std::fs::read_to_string(&rig.site().token_file).unwrap();
        assert!(!texts.contains(token.trim()) && !texts.contains("PRIVATE KEY") && texts.len() < 200 << 10);
        run.requests.send(Request::Stop.by("ann")).unwrap();
    });
}

/// `r` on the failed release of this namespace; one that is not the platform's is refused.
async fn reconciled(run: &mut Watched, namespace: &str) {
    let failed = |release: &&Release| release.namespace == namespace && release.state.is_trouble();
    let seen = run.board.last(Kind::Releases).unwrap();
    let View::Releases(releases) = &seen.view else { panic!("{seen:?}") };
    let release = releases.rows.iter().find(failed).unwrap_or_else(|| panic!("{releases:?}"));
    for (namespace, name, words) in [
        (release.namespace.clone(), release.name.clone(), None),
        ("tenant-root".to_string(), "somebodys".to_string(), Some("none of those")),
    ] {
        let about = Object::Release { namespace: namespace.clone(), name: name.clone() };
        let errand = Errand::of(&Mending::ReconcileRelease { namespace, name }).unwrap();
        run.requests.send(Request::Errand { errand }.by("ann on pts/3")).unwrap();
        let ended = |r: &Record| match &r.event {
            Event::ErrandEnded { failure, .. } => Some(failure.clone()),
            _ => None,
        };
        let failure = run.record("the end of the errand", ended).await;
        match words {
            Some(words) => assert!(failure.as_ref().is_some_and(|why| why.what.contains(words)), "{failure:?}"),
            None => {
                assert_eq!(failure, None);
                // Flux has seen it, and counts from none.
                let question = || run.asker.ask(Question { matter: Matter::Raw, about: about.clone() });
                let mut text = String::new();
                for _ in 0..100 {
                    text = question().await.unwrap().text;
                    if text.contains("lastHandledResetAt") {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                assert!(text.contains("lastHandledResetAt") && text.contains("reconcile.fluxcd.io/forceAt"), "{text}");
            }
        }
    }
    let asked = run.seen.iter().filter(|r| matches!(&r.event, Event::ErrandAsked { by, .. } if by == "ann on pts/3"));
    assert_eq!(asked.count(), 2);
}

/// The answer to `l` on such a pod. On a clock as fast as this one, pods are replaced while they are asked for.
async fn log_of(run: &Watched, is_it: impl Fn(&Pod) -> bool) -> Answer {
    for _ in 0..200 {
        let seen = run.board.last(Kind::Pods).unwrap();
        let View::Pods(pods) = &seen.view else { panic!("{seen:?}") };
        if let Some(pod) = pods.rows.iter().find(|pod| is_it(pod)) {
            let about = Object::Pod { namespace: pod.namespace.clone(), name: pod.name.clone() };
            let answer = run.asker.ask(Question { matter: Matter::Log, about }).await;
            if answer != Err(Untold::Gone) {
                return answer;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no such pod stays: {:?}", run.board.last(Kind::Pods));
}

/// Issue 14, 1 and 8: pods that do not come up in three ways, as a screen sees them.
#[test]
fn pods_that_do_not_come_up_are_seen_with_reasons_and_warnings_and_the_last_words_of_the_one_that_crashes() {
    let rig = rig();
    let mut faults = Scenario::load("pods-fail").unwrap().faults;
    // They are to be seen however busy this machine is.
    faults.iter_mut().for_each(|fault| fault.heal_s = None);
    rig.lab().with(|world| world.scenario.faults = faults);
    block(async {
        let mut run = Watched::start(&rig, 3, None);
        for reason in ["ImagePullBackOff", "CrashLoopBackOff", "Unschedulable"] {
            let fails = |pod: &Pod| pod.reason.as_deref() == Some(reason);
            run.board(Kind::Pods, |view| matches!(view, View::Pods(pods) if pods.rows.iter().any(fails))).await;
        }
        for (reason, words) in [("Failed", "429"), ("BackOff", "Back-off"), ("FailedScheduling", "Insufficient memory")]
        {
            let told = |event: &Warning| event.reason == reason && event.message.contains(words);
            run.board(Kind::Events, |view| matches!(view, View::Events(all) if all.rows.iter().any(told))).await;
        }
        let seen = run.board(Kind::Tails, |view| matches!(view, View::Tails(tails) if !tails.rows.is_empty())).await;
        let View::Tails(tails) = &seen.view else { panic!("{seen:?}") };
        let [tail] = tails.rows.as_slice() else { panic!("only one of them has run: {tails:?}") };
        assert!(tail.earlier && tail.lines.last().unwrap().contains("i/o timeout"), "{tail:?}");
        let log = log_of(&run, |pod| pod.namespace == tail.namespace && pod.restarts > 0).await.unwrap();
        let Origin::Container { earlier: Some(before), .. } = &log.origin else { panic!("{log:?}") };
        assert!(before.exit_code == 1 && before.ended.is_some() && log.text.contains("memberlist"), "{log:?}");
        reconciled(&mut run, &tail.namespace).await;
        let none = log_of(&run, |pod| pod.reason.as_deref() == Some("ImagePullBackOff")).await;
        let Err(Untold::NotBegun { says, .. }) = &none else { panic!("{none:?}") };
        assert!(says.contains("trying and failing to pull image"), "{says}");
    });
}

/// A backend that takes questions and never answers them is nothing to the run.
#[test]
fn an_observer_that_gets_no_answer_holds_up_nothing() {
    let rig = rig();
    let silent = serde_json::from_value::<disturb::Disturbance>(
        serde_json::json!({"api": "proxmox", "kind": "silent", "match": "GET /api2/json/cluster/resources$"}),
    );
    rig.lab().with(|world| world.disturbances = disturb::Plan::of(&[silent.unwrap()]));
    block(async {
        let mut run = Watched::start(&rig, 1, None);
        assert_eq!((&mut run.run).await.unwrap(), Outcome::Proven);
        assert!(run.asked()[0] > 0 && run.board.last(Kind::Site).is_none(), "it did ask: {:?}", run.asked());
    });
}
