//! What others do to the site while a run goes on, as the pane of Proxmox shows it: who did it, and what to do.
use super::*;
use cozyup::plan;
use cozyup::tui::message::Msg;
use cozyup::tui::model::run::RunModel;
use cozyup::tui::model::{Model, Screen};
use cozyup::tui::theme::Theme;
use cozyup::tui::update::update;
use cozyup::tui::view::render;
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Lab seconds in a second of the wall: what others do is to be seen before it is over.
const SLOWER: f64 = 120.0;

fn rig_of(scenario: &'static str, until: u8) -> Rig {
    cozyup::base::tls::install_provider();
    Rig::new(&Shape { scenario, until, teardown: false, speed: SLOWER })
}

/// The pane of Proxmox on a screen of 100 columns, with the run's own records and its observer's last looks.
fn pane(rig: &Rig, run: &Watched) -> String {
    let plan = plan::load(rig.plan()).unwrap().plan;
    let shown = RunModel::new(Arc::new(plan), "lab".into(), rig.folder(), Vec::new());
    let mut model = Model::new(Theme::new(false, false), Screen::Run(Box::new(shown)));
    update(&mut model, Msg::Clock { now: rig.site().clock().now(), wall: Duration::from_secs(1) });
    update(&mut model, Msg::Records(run.seen.clone()));
    let kinds = [Kind::Site, Kind::Machines, Kind::Nodes, Kind::Contacts];
    let seen = kinds.iter().filter_map(|kind| run.board.last(*kind)).collect();
    update(&mut model, Msg::Observed(seen));
    let area = Rect::new(0, 0, 100, 40);
    let mut buffer = Buffer::empty(area);
    model.drawn = render(&model, area, &mut buffer);
    // Away from the question of a gate.
    update(&mut model, Msg::Key(KeyEvent::from(KeyCode::Esc)));
    update(&mut model, Msg::Key(KeyEvent::from(KeyCode::Char('2'))));
    buffer.reset();
    render(&model, area, &mut buffer);
    let lines = buffer.content.chunks(100).map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
    lines.map(|line| line.trim_end().to_string() + "\n").collect()
}

/// Waits until the pane shows all of these words.
async fn shows(rig: &Rig, run: &mut Watched, words: &[&str]) {
    let begun = std::time::Instant::now();
    loop {
        while let Ok(record) = run.records.try_recv() {
            run.seen.push(record);
        }
        let pane = pane(rig, run);
        let missing: Vec<_> = words.iter().filter(|word| !pane.contains(**word)).collect();
        if missing.is_empty() {
            return;
        }
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {missing:?}\n{pane}\n{:#?}", run.noticed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn vms_that_others_stop_and_reboot_are_shown_with_who_did_it_and_what_to_do() {
    let rig = rig_of("somebody-else", 4);
    block(async {
        let mut run = Watched::start(&rig, 4, Some(4));
        shows(&rig, &mut run, &["was stopped by bob@pam (qmstop)", "ask bob@pam"]).await;
        shows(&rig, &mut run, &["runs again, started by cozyup@pve!installer (qmstart)"]).await;
        shows(&rig, &mut run, &["by carol@pve (qmreboot)", "ask carol@pve"]).await;
    });
}

#[test]
fn tasks_of_others_on_a_planned_vm_are_shown_with_their_lock_and_whom_to_ask() {
    let rig = rig_of("foreign-tasks", 2);
    block(async {
        let mut run = Watched::start(&rig, 2, None);
        let vzdump = "task vzdump of VM 1001 (cozy-new-cp1) by backup@pve";
        shows(&rig, &mut run, &[vzdump, "its VM is locked: backup", "wait: ask backup@pve"]).await;
        shows(&rig, &mut run, &["task qmigrate of VM 1003 (cozy-new-cp3) by bob@pam", "its VM is locked: migrate"])
            .await;
        assert_eq!((&mut run.run).await.unwrap(), Outcome::Proven, "the run goes on beside it");
    });
}

#[test]
fn a_node_whose_kubelet_hangs_is_shown_not_ready_with_the_service_to_look_at() {
    let rig = rig_of("node-hangs", 4);
    block(async {
        let mut run = Watched::start(&rig, 4, Some(4));
        let words = ["NotReady", "its node is not Ready (NodeStatusUnknown)", "Talos says not up: kubelet unhealthy"];
        shows(&rig, &mut run, &words).await;
    });
}

#[test]
fn a_storage_that_others_fill_is_shown_with_its_share_and_how_to_see_whose_data_it_is() {
    let rig = rig_of("storage-fills", 2);
    block(async {
        let mut run = Watched::start(&rig, 2, Some(2));
        shows(&rig, &mut run, &["96 % of 3.9 TiB used", "when it is full", "pvesm list local-lvm"]).await;
        let begun = std::time::Instant::now();
        let passed = |run: &Watched| -> Vec<u8> {
            let percent = |noticed| match noticed {
                Noticed::StorageFilled { percent, .. } => Some(percent),
                _ => None,
            };
            run.noticed().into_iter().filter_map(percent).collect()
        };
        while passed(&run) != [85, 95] {
            assert!(begun.elapsed() < SOON, "{:?}", run.noticed());
            let next = tokio::time::timeout(SOON, run.records.recv()).await;
            run.seen.push(next.unwrap().expect("the run has ended"));
        }
    });
}
