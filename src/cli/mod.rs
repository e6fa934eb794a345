//! The command line: one file per command.
mod adopt;
mod attach;
mod check;
mod choices;
mod contact;
mod keys;
mod lab;
mod output;
mod plan;
mod run;
mod runtime;
mod screen;
mod secrets;
mod shield;
mod status;
mod takeover;
mod teardown;
mod worker;

use crate::base::day::Day;
use crate::base::{known, place, text};
use crate::compose::Refusal;
use clap::{Parser, Subcommand};
pub use shield::{install_reports, shield};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Proven = 0,
    Blocked = 1,
    Usage = 2,
    Stopped = 3,
    Locked = 5,
}

impl Command {
    /// True when the command reads or writes the state folder.
    fn uses_state(&self) -> bool {
        match self {
            Command::Lab(lab) => lab.uses_state(),
            Command::Plan(_) | Command::Worker(_) | Command::Probe(_) => false,
            Command::Secrets(_)
            | Command::Check(_)
            | Command::Run(_)
            | Command::Attach(_)
            | Command::Status(_)
            | Command::Stop(_)
            | Command::Teardown(_) => true,
        }
    }
}

impl Exit {
    /// The exit of another process of ours.
    pub fn of(code: u8) -> Exit {
        [Exit::Proven, Exit::Blocked, Exit::Usage, Exit::Stopped, Exit::Locked]
            .into_iter()
            .find(|e| *e as u8 == code)
            .unwrap_or(Exit::Usage)
    }
}

impl From<&Refusal> for Exit {
    fn from(refusal: &Refusal) -> Exit {
        match refusal {
            Refusal::Plan(_) | Refusal::State { .. } => Exit::Usage,
            Refusal::Locked(_) => Exit::Locked,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[derive(Debug, Parser)]
#[command(
    name = "cozyup",
    version,
    about = "From a bare Proxmox VE site to a validated CozyStack cluster, with proof for every step",
    after_help = "Without a command it opens the terminal UI.\nExit codes: 0 proven, 1 a step is blocked, 2 usage or plan error, 3 stopped on request, 5 locked by another run."
)]
struct Cli {
    /// Where runs keep their state (default: the platform's state folder)
    #[arg(long, global = true, env = "COZYUP_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// File (0600) with the age key or the passphrase of sealed secrets; without it a terminal is asked
    #[arg(long, global = true, env = "COZYUP_SECRETS_KEY", value_name = "FILE")]
    secrets_key: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The simulated site: try everything without hardware
    Lab(lab::Lab),
    /// Write, check and show plan files
    Plan(plan::PlanCommand),
    /// The secrets of a run: encrypt them at rest, print one
    Secrets(secrets::Secrets),
    /// Day 0 alone, looked at again until it is green
    Check(check::Check),
    /// Run or resume a plan
    Run(run::Run),
    /// A further screen on a run that goes on
    Attach(attach::Attach),
    /// State of a run, from its journal
    Status(status::Status),
    /// Stop a run at its next safe point
    Stop(attach::Stop),
    /// Remove exactly what a run made, and prove that it is gone
    Teardown(teardown::Teardown),
    /// Does the work of a run; `run` starts it
    #[command(hide = true)]
    Worker(worker::Worker),
    /// Asks the worker of a run for an answer; the survival check starts it
    #[command(hide = true)]
    Probe(worker::Probe),
}

/// The options for a run's output and for how far it goes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunFlags {
    /// Stop when this day is proven
    #[arg(long, value_name = "DAY", default_value_t = crate::steps::catalogue::LAST_DAY, value_parser = clap::value_parser!(u8).range(0..=i64::from(crate::steps::catalogue::LAST_DAY)))]
    until: u8,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Give up when nothing but blocked steps is left for this long, e.g. 90s, 30m, 2h (default: never on a screen, 30m without)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub patience: Option<Duration>,
    /// Take the run from the jump host or process that works on it, when that one is gone or hangs
    #[arg(long)]
    pub take_over: bool,
}

impl RunFlags {
    /// The last day that is to be proven.
    pub fn until(&self) -> Day {
        Day::Number(self.until)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write 90s, 30m or 2h");
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(seconds))
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            if e.use_stderr() {
                return fail(Exit::Usage, &e.to_string());
            }
            // Help and version.
            output::written(e.print());
            return output::exit(Exit::Proven).into();
        }
    };
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(why) => return fail(Exit::Usage, &why),
    };
    let state_dir = match crate::session::folder::state_dir(cli.state_dir) {
        Ok(dir) => dir,
        Err(e) => return fail(Exit::Usage, &e),
    };
    if cli.command.as_ref().is_none_or(Command::uses_state)
        && let Err(e) = place::whole(&state_dir)
    {
        return fail(Exit::Usage, &with_next(&e, &e.next()));
    }
    keys::from_file(cli.secrets_key);
    let exit = runtime.block_on(async {
        match cli.command {
            None => screen::home(&state_dir).await,
            Some(Command::Lab(lab)) => lab.run(&state_dir).await,
            Some(Command::Plan(plan)) => plan.run().await,
            Some(Command::Secrets(secrets)) => secrets.run(&state_dir),
            Some(Command::Check(check)) => check.run(&state_dir).await,
            Some(Command::Run(run)) => run.run(&state_dir).await,
            Some(Command::Attach(attach)) => attach.run(&state_dir).await,
            Some(Command::Status(status)) => status.run(&state_dir).await,
            Some(Command::Stop(stop)) => stop.run(&state_dir).await,
            Some(Command::Teardown(teardown)) => teardown.run(&state_dir).await,
            Some(Command::Worker(worker)) => worker.run().await,
            Some(Command::Probe(probe)) => probe.run().await,
        }
    });
    // A blocked file operation in the background must not hold the exit.
    runtime.shutdown_timeout(Duration::from_millis(200));
    output::exit(exit).into()
}

/// Longest line of an error.
const ERROR_LIMIT: usize = 8 * 1024;

/// Prints an error as the tool prints all of them: what, then what to do.
pub fn tell(text: &str) {
    for (i, line) in text.lines().enumerate() {
        let line = text::lines(line, ERROR_LIMIT);
        // Nobody is left to tell when standard error is closed.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{}{line}\n", if i == 0 && !line.starts_with("error") { "error: " } else { "" }),
        );
    }
}

/// The error with its causes, then the next action.
fn with_next(error: &dyn std::error::Error, next: &str) -> String {
    format!("{}\nnext: {next}", text::with_cause(error))
}

/// A word beside the errors, e.g. of what was repaired.
fn note(text: &str) {
    let _ =
        std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("note: {}\n", text::lines(text, ERROR_LIMIT)));
}

fn fail(exit: Exit, text: &str) -> ExitCode {
    tell(text);
    exit.into()
}

/// Prints lines; what can't be printed shows in the exit code (see `output`).
pub fn say(lines: &str) {
    let text = text::clean_lines(&known::hide(lines));
    output::written(std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{text}\n")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_unit_and_refused_without() {
        assert_eq!(duration("30m").unwrap(), Duration::from_secs(1800));
        assert!(duration("30").unwrap_err().contains("90s, 30m or 2h"));
        assert!(duration("").is_err());
    }
}
