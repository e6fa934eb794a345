//! A run whose worker holds it and does not answer: who asks for it with `--take-over` ends that process and goes on.
use crate::base::process;
use crate::base::text::quoted;
use crate::cli::person::who;
use crate::session::client::{self, JoinError};
use crate::session::lock::{self, Owner};
use std::path::Path;
use std::time::{Duration, Instant};

/// A worker that lives answers at once.
const ANSWER: Duration = Duration::from_secs(5);
/// The time that the kernel may take to end a process.
const ENDING: Duration = Duration::from_secs(10);

/// Makes way for a new worker, or says what the old one is about.
///
/// # Errors
/// With a sentence and what to do, when the worker answers, is on another machine, or does not end.
pub async fn make_way(name: &str, folder: &Path, take_over: bool) -> Result<(), String> {
    let held = lock::holder(&folder.join("lock")).map_err(|e| e.to_string())?;
    let Some(owner) = held else { return Ok(()) };
    let lives = match tokio::time::timeout(ANSWER, client::join(folder, &who(), true)).await {
        Ok(Ok(_) | Err(JoinError::Denied { .. })) => true,
        Ok(Err(JoinError::Nobody | JoinError::Silent(_) | JoinError::Stranger(_))) | Err(_) => false,
    };
    let held = format!("the run {name} is held by {owner}");
    if lives {
        return Err(format!(
            "{held}, which answers\nnext: `cozyup attach {name}` shows it (t takes control), `cozyup stop {name}` stops it"
        ));
    }
    if owner.host != lock::host_name() {
        return Err(format!(
            "{held}: from here nobody can tell whether it works\n\
             next: look there (kill {} ends it and loses nothing), then start again",
            owner.pid
        ));
    }
    if !take_over {
        return Err(format!(
            "{held}, which does not answer\nnext: start again with --take-over: it ends that process, which loses nothing, and goes on"
        ));
    }
    end(&owner, folder).await
}

/// The journal has what it did; the next worker goes on from the target.
async fn end(owner: &Owner, folder: &Path) -> Result<(), String> {
    let still = || lock::holder(&folder.join("lock")).ok().flatten().is_some_and(|o| o == *owner);
    if !still() {
        return Ok(());
    }
    let began = Instant::now();
    if !process::signal(owner.pid, owner.started, rustix::process::Signal::KILL) && still() {
        return Err(format!(
            "the run's lock is held, and process {} is not the worker that its file names\n\
             next: look what holds it (fuser {}), and end that",
            owner.pid,
            quoted(&folder.join("lock").display().to_string())
        ));
    }
    while still() {
        if began.elapsed() > ENDING {
            return Err(format!("{owner} does not end\nnext: look what holds it (ps {}), then start again", owner.pid));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
