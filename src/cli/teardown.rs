//! `cozyup teardown PLAN`: lists what is the run's own, asks by the run's name, removes it and proves each removal.
use super::exit::Exit;
use super::flags::TeardownFlags;
use super::start::Start;
use super::start::teardown::tear_down;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Teardown {
    /// The plan file
    pub plan: PathBuf,
    #[command(flatten)]
    pub flags: TeardownFlags,
}

impl Teardown {
    pub async fn run(self, state_dir: &Path) -> Exit {
        tear_down(Start::of(&self.plan), &self.flags.removal(), state_dir).await
    }
}
