//! Gives a worker its order.
use super::Start;
use crate::cli::person::who;
use crate::cli::show::Style;
use crate::compose;
use crate::session::folder::RunFolder;
use crate::session::launch::{self, Started};
use crate::session::order::{Keys, Order};
use std::io;
use std::process::Command;
use std::time::Duration;

/// The default time that a run without a screen may have only blocked steps.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Starts a worker and waits until it listens or has refused.
///
/// # Errors
/// When it can't be started or ends without a word.
pub async fn launch(start: &Start<'_>, name: &str, folder: &RunFolder, keys: &Keys) -> io::Result<Started> {
    let said = order(start, name).write(keys)?;
    let command = command(start, folder)?;
    if let Some(scope) = launch::in_user_scope(&command).await
        && let Ok(started) = launch::start(scope, &folder.log(), &said).await
    {
        return Ok(started);
    }
    launch::start(command.into(), &folder.log(), &said).await
}

fn order(start: &Start<'_>, name: &str) -> Order {
    let patience = match (start.patience, start.style) {
        (Some(patience), _) => Some(patience),
        (None, Style::Screen) => None,
        (None, Style::Lines | Style::Json | Style::Detached) => Some(PATIENCE),
    };
    let title = match start.figures.speed {
        Some(speed) => format!("lab {name} x{speed}"),
        None => format!("plan {name}"),
    };
    Order {
        plan: start.plan.into(),
        text: start.text.get().cloned().unwrap_or_default(),
        title,
        course: start.course,
        take_over: start.take_over.then(who),
        also: start.also.clone(),
        adopt: start.adopt.clone(),
        gates_by: start.gates_by.clone(),
        patience,
        with_screen: start.with_screen,
        critical_path_s: start.figures.critical_path_s,
        speed: start.figures.speed,
    }
}

/// The folder is an argument so that a list of processes tells whose worker it is; time and names of a lab are in the
/// environment, as for every program that lives in one.
fn command(start: &Start<'_>, folder: &RunFolder) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("worker").arg(folder.path());
    command.env_remove(compose::TOKEN_VARIABLE).env_remove(compose::CLOCK_VARIABLE);
    if let Some(spec) = start.clock.spec() {
        command.env(compose::CLOCK_VARIABLE, spec);
    }
    command.env_remove(compose::NAMES_VARIABLE);
    if let Some(names) = &start.names {
        command.env(compose::NAMES_VARIABLE, names);
    }
    Ok(command)
}
