//! From a connect to the first full frame.
use super::figure::{print, timed};
use super::written;
use cozyup::plan::defaults::{Defaults, plan};
use cozyup::session::protocol::Attachment;
use cozyup::session::worker::ScreenServer;
use cozyup::session::{client, socket};
use cozyup::tui::message::Msg;
use cozyup::tui::model::run::RunModel;
use cozyup::tui::model::{Model, Screen};
use cozyup::tui::theme::Theme;
use cozyup::tui::update::update;
use cozyup::tui::view::render;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

pub fn first_frame(disk: &Path) {
    println!("\nattach: connect, receive all, fold, draw once at 120x40 (worker and screen in one process)");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for count in [600, 10_000, 100_000] {
        let journal = written(disk, count);
        let folder = tempfile::tempdir_in(disk).unwrap();
        let (requests, _asked) = mpsc::unbounded_channel();
        let (_written, last) = watch::channel(count as u64);
        let (_ended, ended) = watch::channel(None);
        let views = cozyup::observed::Board::default();
        let server = ScreenServer::new(journal, "lab standard".into(), None, requests, last, ended, views);
        let (mut joining, mut whole) = (Vec::new(), Vec::new());
        runtime.block_on(async {
            let serving = tokio::spawn(server.serve(socket::listen(folder.path()).unwrap()));
            for _ in 0..if count > 10_000 { 5 } else { 30 } {
                let began = std::time::Instant::now();
                let (_, attachment) = client::join(folder.path(), "a bench", true).await.unwrap();
                joining.push(began.elapsed());
                timed(&mut Vec::new(), || draw(attachment, count));
                whole.push(began.elapsed());
            }
            serving.abort();
        });
        print(&format!("  {count} records: all received"), joining);
        print(&format!("  {count} records: first frame"), whole);
    }
}

fn draw(attachment: Attachment, count: usize) {
    let plan = Arc::new(plan(&Defaults::default()));
    let run = RunModel::new(plan, "lab standard".into(), "/state/run".into(), Vec::new());
    let mut model = Model::new(Theme::of_environment(), Screen::Run(Box::new(run)));
    assert_eq!(attachment.history.len(), count);
    update(&mut model, Msg::Records(attachment.history));
    let area = Rect::new(0, 0, 120, 40);
    let mut frame = Buffer::empty(area);
    render(&model, area, &mut frame);
    let text: String = frame.content.iter().map(|cell| cell.symbol()).collect();
    assert!(text.contains("cozy-new-node"), "{text}");
}
