//! The way back of a run: shows what would be removed, lets a person agree, and starts the session that removes it.
mod agree;
mod survey;

use super::{Start, execute, takeover};
use crate::base::label::Label;
use crate::base::vmid::Vmid;
use crate::cli::exit::Exit;
use crate::cli::output::{print, print_error};
use crate::cli::person::who;
use crate::cli::runs::judged;
use crate::cli::show::Style;
use crate::compose::{self, Options, Refusal};
use crate::engine::course::Course;
use crate::session::order::Keys;
use agree::agree;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use survey::{Survey, survey};

/// The options of a teardown.
pub struct Removal {
    /// The name of what is to be removed, where a person typed it beforehand.
    pub confirm: Option<String>,
    /// One machine of the plan, and nothing else.
    pub node: Option<Label>,
    pub cluster_is_lost: bool,
    /// VMIDs to take beside what the journal knows.
    pub also: BTreeSet<Vmid>,
    /// Nothing is removed.
    pub list: bool,
    pub style: Style,
    pub patience: Option<Duration>,
    pub take_over: bool,
}

/// The run that is to be taken back.
struct Found {
    name: String,
    folder: PathBuf,
    keys: Keys,
}

/// The end of the command before the session of the removal: the error to print, if any, and the exit.
struct Over(Exit, Option<String>);

fn refused(exit: Exit, why: String) -> Over {
    Over(exit, Some(why))
}

/// `start` says which run, and in whose time.
pub async fn tear_down(start: Start<'_>, removal: &Removal, state_dir: &Path) -> Exit {
    let found = match agreed(&start, removal, state_dir).await {
        Ok(found) => found,
        Err(Over(exit, why)) => {
            why.iter().for_each(|why| print_error(why));
            return exit;
        }
    };
    let start = Start {
        course: course(removal),
        keys: Some(found.keys),
        take_over: removal.take_over,
        also: removal.also.clone(),
        gates_by: Some(format!("{}, who typed the name", who())),
        patience: removal.patience,
        style: removal.style,
        ..start
    };
    execute(start, state_dir).await
}

fn course(removal: &Removal) -> Course {
    match removal.node {
        Some(name) => Course::Node { name },
        None => Course::Back { cluster_is_lost: removal.cluster_is_lost },
    }
}

/// The run, once a person has seen what goes and has agreed.
async fn agreed(start: &Start<'_>, removal: &Removal, state_dir: &Path) -> Result<Found, Over> {
    let found = find(start, state_dir)?;
    let json = removal.style == Style::Json;
    if !json || !removal.also.is_empty() || removal.node.is_some() {
        let survey = seen(start, removal, &found).await?;
        if let Some(why) = survey.refused {
            let exit = if removal.node.is_some() { Exit::Blocked } else { Exit::Usage };
            return Err(refused(exit, why));
        }
        if !json {
            print(&survey.text);
            if removal.list || survey.is_over {
                return Err(Over(if survey.is_held { Exit::Blocked } else { Exit::Proven }, None));
            }
        }
    }
    let (name, whose) = match &removal.node {
        Some(node) => (node.as_str(), "machine"),
        None => (found.name.as_str(), "run"),
    };
    agree(name, whose, removal.confirm.as_deref()).map_err(|why| refused(Exit::Usage, why))?;
    Ok(found)
}

fn find(start: &Start<'_>, state_dir: &Path) -> Result<Found, Over> {
    let usage = |why| refused(Exit::Usage, why);
    let name = start.load().map_err(|e| usage(compose::plan_error(&e)))?.plan.name;
    let folder = start.folder_in(state_dir, &name);
    if !folder.join("journal.jsonl").is_file() {
        return Err(usage(format!(
            "there is no run of plan {name} in {}, so nothing is known to be its own\n\
             next: run the teardown on the jump host that made it, or give its state with --state-dir DIR",
            folder.display()
        )));
    }
    let keys = judged(&folder).and_then(|folder| start.keys(&folder.secrets())).map_err(usage)?;
    Ok(Found { name, folder, keys })
}

/// The survey of what would be removed; where a worker holds the run, once more after that has made way.
async fn seen(start: &Start<'_>, removal: &Removal, found: &Found) -> Result<Survey, Over> {
    let options = Options {
        plan: start.plan.to_path_buf(),
        text: start.text.get().cloned(),
        folder: found.folder.clone(),
        course: course(removal),
        take_over: None,
        also: removal.also.clone(),
        adopt: None,
        gates_by: None,
        patience: None,
        clock: start.clock.clone(),
        reconnect: Arc::new(|| Box::pin(async { Err("no worker is at work".to_string()) })),
        keys: found.keys.clone(),
    };
    let node = removal.node.as_ref();
    let mut seen = survey(options.clone(), node).await;
    if matches!(seen, Err(Refusal::Locked(_))) && !removal.list {
        let made = takeover::make_way(&found.name, &found.folder, removal.take_over).await;
        made.map_err(|why| refused(Exit::Locked, why))?;
        seen = survey(options, node).await;
    }
    seen.map_err(|refusal| refused(Exit::from(&refusal), refusal.to_string()))
}
