//! The workers that stay: shows how many there are and what it takes to have so many, lets a person agree, and starts the
//! session that brings it about.
use super::{Start, YES, execute, takeover};
use crate::cli::exit::Exit;
use crate::cli::output::{print, print_error};
use crate::cli::person::who;
use crate::cli::prepare::prepare;
use crate::cli::runs::judged;
use crate::cli::show::Style;
use crate::compose::{self, Options, Refusal};
use crate::engine::course::Course;
use crate::engine::failure::Failure;
use crate::engine::step::{Observed, Outline};
use crate::session::order::Keys;
use crate::steps::kept::room;
use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a person asks for.
pub struct Wanted {
    pub count: u32,
    /// Agreed to beforehand.
    pub yes: bool,
    pub style: Style,
    pub patience: Option<Duration>,
    pub take_over: bool,
}

impl Wanted {
    fn course(&self) -> Course {
        Course::Workers { count: self.count }
    }
}

/// The end of the command before its session: the exit and the words for it.
struct Over(Exit, String);

fn usage(why: String) -> Over {
    Over(Exit::Usage, why)
}

/// `start` says which run, and in whose time.
pub async fn set(start: Start<'_>, wanted: &Wanted, state_dir: &Path) -> Exit {
    let (keys, by) = match agreed(&start, wanted, state_dir).await {
        Ok(agreed) => agreed,
        Err(Over(exit, why)) => {
            print_error(&why);
            return exit;
        }
    };
    let start = Start {
        course: wanted.course(),
        keys: Some(keys),
        take_over: wanted.take_over,
        gates_by: Some(by),
        patience: wanted.patience,
        style: wanted.style,
        ..start
    };
    execute(start, state_dir).await
}

/// The run's keys and who agreed, once a person has seen what it takes.
async fn agreed(start: &Start<'_>, wanted: &Wanted, state_dir: &Path) -> Result<(Keys, String), Over> {
    let name = start.load().map_err(|e| usage(compose::plan_error(&e)))?.plan.name;
    let folder = start.folder_in(state_dir, &name);
    if !folder.join("journal.jsonl").is_file() {
        return Err(usage(format!(
            "there is no run of plan {name} in {}, so no cluster of it is known here\n\
             next: cozyup run PLAN, or give the state of the jump host that made it with --state-dir DIR",
            folder.display()
        )));
    }
    let keys = judged(&folder).and_then(|folder| start.keys(&folder.secrets())).map_err(usage)?;
    let seen = seen(start, wanted, &name, &folder, &keys).await?;
    if wanted.style != Style::Json {
        print(&format!("workers of {name}: {}", seen.replace("; ", "\n  ")));
    }
    if wanted.yes {
        return Ok((keys, YES.to_string()));
    }
    match is_agreed() {
        Some(true) => Ok((keys, format!("{}, who agreed to {} workers", who(), wanted.count))),
        Some(false) => Err(usage("nobody agreed: nothing was changed".to_string())),
        None => {
            Err(usage("nobody is here to agree: nothing was changed\nnext: say it beforehand with --yes".to_string()))
        }
    }
}

/// `None` when nobody can be asked.
fn is_agreed() -> Option<bool> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let mut out = std::io::stdout();
    // A closed terminal answers with nothing below.
    let _ = write!(out, "\nBring this about? [y/N] ").and_then(|()| out.flush());
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    Some(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
}

/// What there is and what it takes; where a worker holds the run, once more after that has made way.
async fn seen(start: &Start<'_>, wanted: &Wanted, name: &str, folder: &Path, keys: &Keys) -> Result<String, Over> {
    let options = options(start, wanted, folder.to_path_buf(), keys.clone());
    let mut found = survey(options.clone()).await;
    if matches!(found, Err(Refusal::Locked(_))) {
        let made = takeover::make_way(name, folder, wanted.take_over).await;
        made.map_err(|why| Over(Exit::Locked, why))?;
        found = survey(options).await;
    }
    let found = found.map_err(|refusal| Over(Exit::from(&refusal), refusal.to_string()))?;
    let room = found.into_iter().find(|(outline, _)| outline.id.kind() == room::KIND);
    match room.map(|(_, observed)| observed) {
        Some(Ok(Observed::Satisfied(proof))) => Ok(proof.summary().to_string()),
        Some(Ok(Observed::Conflict(failure)) | Err(failure)) => {
            Err(Over(Exit::Blocked, format!("{}\nnext: {}", failure.what, failure.next)))
        }
        Some(Ok(Observed::Absent(_) | Observed::Unfinished(_) | Observed::Underway(_))) | None => {
            Err(usage("the plan keeps no room for workers\nnext: see docs/PLAN.md, tests.machine_vmids".to_string()))
        }
    }
}

type Found = Vec<(Outline, Result<Observed, Failure>)>;

async fn survey(options: Options) -> Result<Found, Refusal> {
    let prepared = prepare(options).await?;
    Ok(prepared.work.survey_of(|outline| outline.id.kind() == room::KIND).await)
}

fn options(start: &Start<'_>, wanted: &Wanted, folder: PathBuf, keys: Keys) -> Options {
    Options {
        plan: start.plan.to_path_buf(),
        text: start.text.get().cloned(),
        folder,
        course: wanted.course(),
        take_over: None,
        also: BTreeSet::new(),
        adopt: None,
        gates_by: None,
        patience: None,
        clock: start.clock.clone(),
        reconnect: Arc::new(|| Box::pin(async { Err("no worker is at work".to_string()) })),
        keys,
    }
}
