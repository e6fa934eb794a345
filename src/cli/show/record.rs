//! The record of a run on the screen, without a worker.
use crate::cli::exit::Exit;
use crate::cli::output::{print_error, with_next};
use crate::cli::runs::{judged, name_of};
use crate::compose::recorded;
use crate::plan;
use crate::tui::{self, RecordScreen};
use std::path::Path;
use std::sync::Arc;

/// The screen of a record. `speed`: as fast as it happened, times this; `None`: all at once.
///
/// # Errors
/// When the folder is not this user's, or its journal or plan can't be read; the text is whole.
pub fn of_record(folder: &Path, speed: Option<f64>) -> Result<RecordScreen, String> {
    let name = name_of(folder);
    judged(folder)?;
    let records = recorded(folder).map_err(|e| with_next(&e, &e.next()))?;
    let loaded = plan::load(&folder.join("plan.yaml")).map_err(|e| {
        format!("the run's own copy of its plan can't be used: {e}\nnext: `cozyup status {name}` tells how it stands")
    })?;
    Ok(RecordScreen {
        findings: loaded.findings.iter().map(ToString::to_string).collect(),
        plan: Arc::new(loaded.plan),
        folder: folder.to_path_buf(),
        title: format!("record of {name}"),
        records,
        speed,
    })
}

pub async fn show_record(folder: &Path, speed: Option<f64>) -> Exit {
    let name = name_of(folder);
    let shown = match of_record(folder, speed) {
        Ok(screen) => tui::record(screen)
            .await
            .map_err(|e| format!("the screen can't be used: {e}\nnext: `cozyup status {name}` tells how it stands")),
        Err(why) => Err(why),
    };
    match shown {
        Ok(()) => Exit::Proven,
        Err(why) => {
            print_error(&why);
            Exit::Usage
        }
    }
}
