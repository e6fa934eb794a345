//! What the observer costs: questions in a minute, by system, and processor time. The lab is a process of its own.
use super::served::Lab;
use cozyup::base::clock::Clock;
use cozyup::base::day::Day;
use cozyup::compose::{self, Options};
use cozyup::engine::course::Course;
use cozyup::lab::site::Site;
use cozyup::observe::Calls;
use cozyup::observed::{Board, Kind};
use cozyup::session::order::Keys;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Of the wall, for each figure.
const MINUTE: Duration = Duration::from_secs(60);

pub fn cost(disk: &Path) {
    cozyup::base::tls::install_provider();
    println!("\nthe observer beside a run of the standard site at the end of day 3 (in a minute)");
    let state = tempfile::tempdir_in(disk).unwrap();
    let lab = Lab::begin(state.path(), "standard", 240);
    let site = &lab.site;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let run = compose::prepare(options(site, state.path(), site.clock())).unwrap();
        let (outcome, _) = run.work.run().await.unwrap();
        println!("  the run to the end of day 3: {outcome:?}");
        // As on a real site: a second is a second.
        let real = Clock::scaled(site.clock().now(), SystemTime::now(), 1.0);
        let watched = compose::prepare(options(site, state.path(), real)).unwrap();
        let (board, screens) = (Board::default(), watch::Sender::new(1));
        let calls = watched.observer.calls();
        let observing = tokio::spawn(watched.observer.run(screens.subscribe(), board.clone()));
        // Connections, first lists.
        tokio::time::sleep(Duration::from_secs(5)).await;
        figure("with a screen", &calls, &board).await;
        screens.send_replace(0);
        figure("with none", &calls, &board).await;
        observing.abort();
    });
}

fn options(site: &Site, state: &Path, clock: Clock) -> Options {
    Options {
        text: None,
        plan: site.plan.clone(),
        folder: state.join("runs/standard"),
        course: Course::Forward { until: Day::Number(3) },
        take_over: None,
        also: Default::default(),
        adopt: None,
        gates_by: Some("--yes".into()),
        patience: None,
        clock,
        reconnect: Arc::new(|| Box::pin(async { Ok("this process answered".to_string()) })),
        keys: Keys::default(),
    }
}

async fn figure(what: &str, calls: &Calls, board: &Board) {
    let asked = || [&calls.proxmox, &calls.talos, &calls.kubernetes].map(|n| n.load(Ordering::Relaxed));
    let (before, processor) = (asked(), processor_ms());
    tokio::time::sleep(MINUTE).await;
    let (after, used) = (asked(), processor_ms() - processor);
    let [proxmox, talos, kubernetes] = [0, 1, 2].map(|n| after[n] - before[n]);
    let size: usize = [Kind::Site, Kind::Machines, Kind::Releases, Kind::Nodes, Kind::Pods, Kind::Events]
        .into_iter()
        .filter_map(|kind| board.last(kind))
        .map(|snapshot| serde_json::to_string(&*snapshot).unwrap().len())
        .sum();
    println!(
        "  {what:<14} proxmox {proxmox:>4} calls  talos {talos:>4} calls  kubernetes {kubernetes:>4} snapshots and looks  \
         processor {used:>5} ms  snapshots {size:>6} bytes"
    );
}

/// Milliseconds of processor time that this process has used.
fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |n: usize| fields[n].parse::<u64>().unwrap();
    // A hundred ticks a second, as Linux has shown them for decades.
    (ticks(11) + ticks(12)) * 10
}
