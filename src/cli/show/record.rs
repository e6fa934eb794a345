//! The record of a run on the screen, without a worker.
use crate::cli::exit::Exit;
use crate::cli::output::{print_error, with_next};
use crate::cli::runs::{judged, name_of};
use crate::compose::recorded;
use crate::plan;
use crate::tui::{self, RecordScreen};
use std::path::Path;
use std::sync::Arc;

/// `speed`: as fast as it happened, times this; `None`: all at once.
pub async fn show_record(folder: &Path, speed: Option<f64>) -> Exit {
    let name = name_of(folder);
    let refuse = |why: &str| {
        print_error(why);
        Exit::Usage
    };
    if let Err(why) = judged(folder) {
        return refuse(&why);
    }
    let records = match recorded(folder) {
        Ok(records) => records,
        Err(e) => return refuse(&with_next(&e, &e.next())),
    };
    let loaded = match plan::load(&folder.join("plan.yaml")) {
        Ok(loaded) => loaded,
        Err(e) => {
            return refuse(&format!(
                "the run's own copy of its plan can't be used: {e}\nnext: `cozyup status {name}` tells how it stands"
            ));
        }
    };
    let screen = RecordScreen {
        findings: loaded.findings.iter().map(ToString::to_string).collect(),
        plan: Arc::new(loaded.plan),
        folder: folder.to_path_buf(),
        title: format!("record of {name}"),
        records,
        speed,
    };
    match tui::record(screen).await {
        Ok(()) => Exit::Proven,
        Err(e) => refuse(&format!("the screen can't be used: {e}\nnext: `cozyup status {name}` tells how it stands")),
    }
}
