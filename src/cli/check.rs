//! `cozyup check PLAN`: day 0 alone.
use super::exit::Exit;
use super::flags::duration;
use super::show::Style;
use super::start::{Start, execute};
use crate::base::day::Day;
use crate::engine::course::Course;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Check {
    /// The plan file
    pub plan: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Look once and end, instead of looking again until it is green
    #[arg(long)]
    pub once: bool,
    /// Give up after this long, e.g. 90s, 30m, 2h (default: never)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub patience: Option<Duration>,
}

impl Check {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let forever = Duration::from_secs(10 * 365 * 86400);
        let patience = if self.once { Duration::ZERO } else { self.patience.unwrap_or(forever) };
        let style = if self.json { Style::Json } else { Style::Lines };
        let course = Course::Forward { until: Day::Number(0) };
        let start = Start { course, patience: Some(patience), style, with_screen: true, ..Start::of(&self.plan) };
        execute(start, state_dir).await
    }
}
