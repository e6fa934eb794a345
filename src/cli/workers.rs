//! `cozyup workers set PLAN N`: brings a validated cluster to N workers by Cluster API, which stay.
use super::exit::Exit;
use super::flags::WorkerFlags;
use super::start::Start;
use super::start::workers::set;
use clap::Subcommand;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Workers {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// So many workers: more are made, those too many are drained and removed; 0 takes all of them back
    Set(Set),
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The plan file
    plan: PathBuf,
    #[command(flatten)]
    flags: WorkerFlags,
}

impl Workers {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let Sub::Set(Set { plan, flags }) = self.command;
        set(Start::of(&plan), &flags.wanted(), state_dir).await
    }
}
