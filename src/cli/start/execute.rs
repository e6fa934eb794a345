//! Starts the worker of a run and shows what it does.
use super::launch::launch;
use super::{Start, takeover};
use crate::cli::exit::Exit;
use crate::cli::output::{print, print_error, print_note, with_next};
use crate::cli::person::who;
use crate::cli::show::{self, Style};
use crate::compose;
use crate::session::client;
use crate::session::folder::RunFolder;
use crate::session::launch::Started;
use crate::session::lock;
use crate::session::order::Keys;
use std::path::Path;

/// An obstacle: the exit and the words for it.
struct Stopped(Exit, String);

fn usage(text: String) -> Stopped {
    Stopped(Exit::Usage, text)
}

/// A run that works, here or since earlier.
struct Going {
    name: String,
    folder: RunFolder,
    /// The number of the first record of this session; 0 where it is another one's.
    first: u64,
    findings: Vec<String>,
}

/// Starts the worker and shows what it does; on the screen, also what another one does on the same run.
pub async fn execute(start: Start<'_>, state_dir: &Path) -> Exit {
    match started(&start, state_dir).await {
        Ok(going) => shown(&start, going).await,
        Err(Stopped(exit, text)) => {
            print_error(&text);
            exit
        }
    }
}

async fn started(start: &Start<'_>, state_dir: &Path) -> Result<Going, Stopped> {
    let plan = start.load().map_err(|e| usage(compose::plan_error(&e)))?.plan;
    let path = start.folder_in(state_dir, &plan.name);
    let (folder, words) = RunFolder::open(&path).map_err(|e| usage(with_next(&e, &e.next())))?;
    words.iter().for_each(|word| print_note(word));
    let mut keys = start.keys(&folder.secrets()).map_err(usage)?;
    if let Some(text) = keys.token.take() {
        let read = compose::read_token(&text, compose::TOKEN_VARIABLE, &plan);
        keys.token = Some(read.map_err(|refusal| usage(refusal.to_string()))?);
    }
    let (first, findings) = begun(start, &plan.name, &folder, &keys).await?;
    Ok(Going { name: plan.name, folder, first, findings })
}

/// Launches the worker; where another one holds the run, once more after that has made way.
async fn begun(start: &Start<'_>, name: &str, folder: &RunFolder, keys: &Keys) -> Result<(u64, Vec<String>), Stopped> {
    let mut tried = false;
    loop {
        match launch(start, name, folder, keys).await {
            Ok(Started::Ready { first, findings }) => return Ok((first, findings)),
            Ok(Started::Refused { exit, .. }) if exit == Exit::Locked as u8 && !tried => {
                tried = true;
                match takeover::make_way(name, folder.path(), start.take_over).await {
                    Ok(()) => {}
                    // A screen shows what the other one does.
                    Err(_) if start.style == Style::Screen && !start.take_over => return Ok((0, Vec::new())),
                    Err(why) => return Err(Stopped(Exit::Locked, why)),
                }
            }
            Ok(Started::Refused { exit, text }) => return Err(Stopped(Exit::of(exit), text)),
            Err(e) => {
                let place = folder.path().display();
                return Err(usage(format!("{e}\nnext: check free space and permissions of {place}")));
            }
        }
    }
}

async fn shown(start: &Start<'_>, going: Going) -> Exit {
    let Going { name, folder, first, findings } = going;
    if start.style == Style::Detached {
        return detached(&name, folder.path());
    }
    let (welcome, attachment) = match client::join(folder.path(), &who(), false).await {
        Ok(joined) => joined,
        Err(e) => return show::cannot_join(&name, &e),
    };
    if start.style == Style::Lines && start.course.builds() {
        findings.iter().for_each(|f| print(f));
    }
    match start.with_screen {
        true => show::show_to_its_end(start.style, &name, folder.path(), attachment, first).await,
        false => show::show(start.style, &name, folder.path(), welcome, attachment, first).await,
    }
}

fn detached(name: &str, folder: &Path) -> Exit {
    let pid =
        lock::holder(&folder.join("lock")).ok().flatten().map_or(String::new(), |o| format!(" in process {}", o.pid));
    print(&format!(
        "run {name} goes on{pid}\n`cozyup attach {name}` shows it, `cozyup status {name}` tells how far it is, `cozyup stop {name}` stops it"
    ));
    Exit::Proven
}
