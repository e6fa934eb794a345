//! `cozyup attach [RUN]`: a further screen on a run that goes on, and `cozyup stop [RUN]`.
use super::run::{Style, cannot_join, lost, show, who};
use super::status::{find, name_of};
use super::{Exit, say, tell};
use crate::engine::driver::Request;
use crate::session::client;
use std::path::Path;

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
        let folder = match find(state_dir, self.run.as_deref()) {
            Ok(folder) => folder,
            Err(why) => {
                tell(&why);
                return Exit::Usage;
            }
        };
        let name = name_of(&folder);
        match client::join(&folder, &who(), self.read_only).await {
            Ok((welcome, attachment)) => {
                show(Style::of(self.lines, self.json), &name, &folder, welcome, attachment, 0).await
            }
            Err(e) => cannot_join(&name, &e),
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct Stop {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
}

impl Stop {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let folder = match find(state_dir, self.run.as_deref()) {
            Ok(folder) => folder,
            Err(why) => {
                tell(&why);
                return Exit::Usage;
            }
        };
        let name = name_of(&folder);
        let (_, attachment) = match client::join(&folder, &who(), false).await {
            Ok(joined) => joined,
            Err(e) => return cannot_join(&name, &e),
        };
        say(&format!("run {name} stops at its next safe point: acts in hand end first, nothing new begins"));
        for request in [Request::TakeControl { by: who() }, Request::Stop { by: who() }] {
            // A run that has ended says so below.
            let _ = attachment.requests.send(request);
        }
        match attachment.ended.await {
            Ok(ended) => {
                say(&ended.text);
                say("What is proven stays as it is in the target; what was begun there goes on by itself.");
                say("Nothing is undone: `cozyup run PLAN` goes on from what the target says.");
                Exit::of(ended.exit)
            }
            Err(_) => {
                tell(&lost(&name));
                Exit::Blocked
            }
        }
    }
}
