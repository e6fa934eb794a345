//! `cozyup attach [RUN]`: a further screen on a run that goes on, and `cozyup stop [RUN]`.
use super::exit::Exit;
use super::output::{print, print_error};
use super::person::who;
use super::runs::{find, judged, name_of};
use super::show::{Style, cannot_join, lost, show};
use crate::engine::request::Request;
use crate::session::client;
use crate::session::protocol::{Attachment, Welcome};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Attach {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
    /// Only look on, even when nobody has control of the run
    #[arg(long)]
    pub read_only: bool,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    /// One JSON object a line, from the first record on
    #[arg(long)]
    pub json: bool,
}

impl Attach {
    pub async fn run(self, state_dir: &Path) -> Exit {
        match joined(state_dir, self.run.as_deref(), self.read_only).await {
            Ok((name, folder, welcome, attachment)) => {
                show(Style::of(self.lines, self.json), &name, &folder, welcome, attachment, 0).await
            }
            Err(exit) => exit,
        }
    }
}

/// Name and folder of the run, and the screen's end of it; what stands in the way has been told.
async fn joined(
    state_dir: &Path,
    run: Option<&str>,
    read_only: bool,
) -> Result<(String, PathBuf, Welcome, Attachment), Exit> {
    let folder = find(state_dir, run).map_err(|why| {
        print_error(&why);
        Exit::Usage
    })?;
    let name = name_of(&folder);
    judged(&folder).map_err(|why| {
        print_error(&why);
        Exit::Usage
    })?;
    match client::join(&folder, &who(), read_only).await {
        Ok((welcome, attachment)) => Ok((name, folder, welcome, attachment)),
        Err(e) => Err(cannot_join(&name, &e)),
    }
}

#[derive(Debug, clap::Args)]
pub struct Stop {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
}

impl Stop {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let (name, _, _, attachment) = match joined(state_dir, self.run.as_deref(), false).await {
            Ok(joined) => joined,
            Err(exit) => return exit,
        };
        print(&format!("run {name} stops at its next safe point: acts in hand end first, nothing new begins"));
        for request in [Request::TakeControl, Request::Stop] {
            // A run that has ended says so below.
            let _ = attachment.requests.send(request);
        }
        match attachment.ended.await {
            Ok(ended) => {
                print(&ended.text);
                print("What is proven stays as it is in the target; what was begun there goes on by itself.");
                print("Nothing is undone: `cozyup run PLAN` goes on from what the target says.");
                Exit::of(ended.exit)
            }
            Err(_) => {
                print_error(&lost(&name));
                Exit::Blocked
            }
        }
    }
}
