//! `cozyup report [RUN]`: the hand-over record of a run, from its journal alone.
use super::exit::Exit;
use super::output::{print, print_error, with_next};
use super::runs::{find, judged, name_of};
use crate::base::file::write_private;
use crate::compose;
use crate::report::handover::{HandOver, html, markdown, svg};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Report {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
    /// One page that needs nothing else, for reading and printing
    #[arg(long, group = "form")]
    pub html: bool,
    /// For a wiki or a ticket (the default)
    #[arg(long, group = "form")]
    pub markdown: bool,
    /// All of it, for programs
    #[arg(long, group = "form")]
    pub json: bool,
    /// The time line alone
    #[arg(long, group = "form")]
    pub svg: bool,
    /// Write it to this file (0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Report {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let text = match self.text(state_dir) {
            Ok(text) => text,
            Err(why) => {
                print_error(&why);
                return Exit::Usage;
            }
        };
        let Some(file) = &self.out else {
            print(&text);
            return Exit::Proven;
        };
        match write_private(file, text.as_bytes()) {
            Ok(()) => {
                print(&format!("written: {}", file.display()));
                Exit::Proven
            }
            Err(e) => {
                print_error(&format!(
                    "{} can't be written: {e}\nnext: give a file in a folder that you may write to",
                    file.display()
                ));
                Exit::Usage
            }
        }
    }

    fn text(&self, state_dir: &Path) -> Result<String, String> {
        let path = find(state_dir, self.run.as_deref())?;
        let folder = judged(&path)?;
        let (records, plan) = compose::told(&folder).map_err(|e| with_next(&e, &e.next()))?;
        let record = HandOver::of(&records, &name_of(&path), plan.as_ref());
        Ok(match (self.html, self.json, self.svg) {
            (true, _, _) => html::page(&record),
            (_, true, _) => record.json(),
            (_, _, true) => svg::document(&record),
            (false, false, false) => markdown::document(&record),
        })
    }
}
