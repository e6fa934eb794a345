//! `cozyup verify PLAN`: proves every finished step again, and the integrity checks beside them.
use super::exit::Exit;
use super::flags::VerifyFlags;
use super::start::Start;
use super::verifying::verify_run;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The plan file
    pub plan: PathBuf,
    #[command(flatten)]
    pub flags: VerifyFlags,
}

impl Verify {
    pub async fn run(self, state_dir: &Path) -> Exit {
        verify_run(Start::of(&self.plan), self.flags.form(), self.flags.within, state_dir).await
    }
}
