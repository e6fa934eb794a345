//! A run in the lab, on the screen.
use super::{Start, execute};
use crate::cli::exit::Exit;
use crate::cli::lab_site::{self, Place};
use crate::cli::output::print_error;
use crate::steps::catalogue::LAST_DAY;
use std::path::Path;

/// Opens the lab, runs its plan on the screen with every gate asked for, and ends the lab when the run is proven.
pub async fn in_lab(state_dir: &Path, at: &Place) -> Exit {
    let opened = match lab_site::open(state_dir, at, false).await {
        Ok(opened) => opened,
        Err(why) => {
            print_error(&why);
            return Exit::Usage;
        }
    };
    let start = Start {
        folder: Some(opened.run_folder()),
        clock: opened.site.clock(),
        names: Some(opened.site.names.clone()),
        figures: opened.figures(LAST_DAY),
        token_file: Some(opened.site.token_file.clone()),
        ..Start::of(&opened.site.plan)
    };
    let exit = execute(start, state_dir).await;
    // A site whose run goes on, or was stopped half way, stays for the next `cozyup lab`; it ends by itself when idle.
    if exit == Exit::Proven && opened.is_over() {
        opened.end();
    }
    exit
}
