//! `cozyup run PLAN`: runs or resumes a plan, on the screen or in lines. The work is done by a worker process that goes
//! on without this one.
use super::exit::Exit;
use super::flags::RunFlags;
use super::output::print_error;
use super::show::Style;
use super::start::{Start, YES, adopt, execute};
use crate::engine::course::Course;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Run {
    /// The plan file
    pub plan: PathBuf,
    /// Open every day's gate without asking
    #[arg(long)]
    pub yes: bool,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    /// Start the run and leave it to itself; `cozyup attach` shows it
    #[arg(long, conflicts_with_all = ["lines", "json"])]
    pub detach: bool,
    /// Take up a run whose folder or journal was lost: its id as it stands in the template's notes, behind `cozyup-run=`
    #[arg(long, value_name = "NAME.ID")]
    pub adopt: Option<String>,
    #[command(flatten)]
    pub flags: RunFlags,
}

impl Run {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let style = if self.detach { Style::Detached } else { Style::of(self.lines, self.flags.json) };
        let mut start = Start {
            course: Course::Forward { until: self.flags.until() },
            take_over: self.flags.take_over,
            gates_by: self.yes.then(|| YES.to_string()),
            patience: self.flags.patience,
            style,
            ..Start::of(&self.plan)
        };
        if let Some(id) = &self.adopt {
            match adopt::ask(&start, state_dir, id, self.yes).await {
                Ok(adoption) => start.adopt = Some(adoption),
                Err(adopt::Declined { exit, text }) => {
                    print_error(&text);
                    return exit;
                }
            }
        }
        execute(start, state_dir).await
    }
}
