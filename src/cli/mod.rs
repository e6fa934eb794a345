//! The command line: one file per command. What several of them need are services in files of their own, which know no
//! command; no command knows another one (`tests/rooms/commands.rs`).
mod access;
mod assess;
mod attach;
mod backup;
mod check;
mod choices;
mod contact;
mod exit;
mod first_use;
mod flags;
pub mod form_site;
mod home;
mod inventory;
mod keys;
mod known;
mod lab;
mod lab_serve;
mod lab_site;
mod manual;
mod output;
mod person;
mod plan;
mod prepare;
mod replay;
mod report;
mod rights;
mod run;
mod runs;
mod runtime;
mod secrets;
mod shield;
mod show;
mod signing;
mod start;
mod status;
mod support;
mod teardown;
mod verify;
mod verifying;
mod version;
mod watch;
mod worker;
mod workers;

use crate::base::place;
use clap::{Parser, Subcommand};
use exit::Exit;
pub use output::print_error;
use output::with_next;
pub use shield::{install_reports, shield};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

impl Command {
    /// True when the command reads or writes the state folder.
    fn uses_state(&self) -> bool {
        match self {
            Command::Lab(lab) => lab.uses_state(),
            Command::Assess(_)
            | Command::Backup(_)
            | Command::Inventory(_)
            | Command::Plan(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Version(_)
            | Command::Watch(_)
            | Command::Worker(_)
            | Command::Probe(_) => false,
            Command::Secrets(_)
            | Command::Check(_)
            | Command::Run(_)
            | Command::Attach(_)
            | Command::Status(_)
            | Command::Replay(_)
            | Command::Report(_)
            | Command::Support(_)
            | Command::Stop(_)
            | Command::Teardown(_)
            | Command::Verify(_)
            | Command::Workers(_) => true,
        }
    }
}

#[derive(Debug, Parser)]
#[command(
    name = "cozyup",
    version,
    about = "From a bare Proxmox VE site to a validated CozyStack cluster, with proof for every step",
    after_help = "Without a command it opens the terminal UI.\nExit codes: 0 proven, 1 a step is blocked, 2 usage or plan error, 3 stopped on request, 4 not as it was proven, 5 locked by another run."
)]
struct Cli {
    /// Where runs keep their state (default: the platform's state folder)
    #[arg(long, global = true, env = "COZYUP_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// File (0600) with the age key or the passphrase of sealed secrets; without it a terminal is asked
    #[arg(long, global = true, env = "COZYUP_SECRETS_KEY", value_name = "FILE")]
    secrets_key: Option<PathBuf>,
    /// The screen neither rings when a person is wanted nor sets the terminal's title
    #[arg(long, global = true, env = "COZYUP_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    quiet: bool,
    /// For a slow line: the screen sends changes at once, and clocks and progress every ten seconds
    #[arg(long, global = true, env = "COZYUP_LOW_BANDWIDTH", value_parser = clap::builder::FalseyValueParser::new())]
    low_bandwidth: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The simulated site: try everything without hardware
    Lab(lab::Lab),
    /// Write, check and show plan files
    Plan(plan::PlanCommand),
    /// Say of an existing CozyStack whether to upgrade, repair or replace it; it only reads
    Assess(assess::Assess),
    /// Write what a cluster holds into a folder, prove that folder, show an object of it; it only reads
    Backup(backup::Backup),
    /// Name what people have in a cluster and how each thing moves, or what of it has arrived elsewhere; it only reads
    Inventory(inventory::InventoryCommand),
    /// Nodes, releases, pods and warnings of any cluster on the screen; it only reads
    Watch(watch::Watch),
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
    /// Play the record of a run on the screen, as fast as it was or faster
    Replay(replay::Replay),
    /// The hand-over record of a run, from its journal
    Report(report::Report),
    /// A bundle for whoever helps: records, plan and log of a run, without secrets
    Support(support::Support),
    /// Stop a run at its next safe point
    Stop(attach::Stop),
    /// Workers by Cluster API that stay, on a validated cluster
    Workers(workers::Workers),
    /// Remove exactly what a run made, and prove that it is gone
    Teardown(teardown::Teardown),
    /// Prove again what a run has proven, and check the installation's integrity; changes nothing
    Verify(verify::Verify),
    /// Completions for a shell, on standard output
    Completions(manual::Completions),
    /// The man pages: this one on standard output, or all of them into a folder
    Man(manual::Man),
    /// Version, build and the releases that are built in
    Version(version::Version),
    /// Does the work of a run; `run` starts it
    #[command(hide = true)]
    Worker(worker::Worker),
    /// Asks the worker of a run for an answer; the survival check starts it
    #[command(hide = true)]
    Probe(worker::Probe),
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
    if cli.quiet {
        crate::tui::be_quiet();
    }
    if cli.low_bandwidth {
        crate::tui::spare_the_line();
    }
    let exit = runtime.block_on(run(cli.command, &state_dir));
    // A blocked file operation in the background must not hold the exit.
    runtime.shutdown_timeout(Duration::from_millis(200));
    output::exit(exit).into()
}

fn fail(exit: Exit, text: &str) -> ExitCode {
    print_error(text);
    exit.into()
}

async fn run(command: Option<Command>, state_dir: &Path) -> Exit {
    match command {
        None => home::home(state_dir).await,
        Some(Command::Lab(lab)) => lab.run(state_dir).await,
        Some(Command::Plan(plan)) => plan.run().await,
        Some(Command::Assess(assess)) => assess.run().await,
        Some(Command::Backup(backup)) => backup.run().await,
        Some(Command::Inventory(inventory)) => inventory.run().await,
        Some(Command::Watch(watch)) => watch.run().await,
        Some(Command::Secrets(secrets)) => secrets.run(state_dir),
        Some(Command::Check(check)) => check.run(state_dir).await,
        Some(Command::Run(run)) => run.run(state_dir).await,
        Some(Command::Attach(attach)) => attach.run(state_dir).await,
        Some(Command::Status(status)) => status.run(state_dir).await,
        Some(Command::Replay(replay)) => replay.run(state_dir).await,
        Some(Command::Report(report)) => report.run(state_dir).await,
        Some(Command::Support(support)) => support.run(state_dir).await,
        Some(Command::Stop(stop)) => stop.run(state_dir).await,
        Some(Command::Workers(workers)) => workers.run(state_dir).await,
        Some(Command::Teardown(teardown)) => teardown.run(state_dir).await,
        Some(Command::Verify(verify)) => verify.run(state_dir).await,
        Some(Command::Completions(completions)) => completions.run(),
        Some(Command::Man(man)) => man.run(),
        Some(Command::Version(version)) => version.run(),
        Some(Command::Worker(worker)) => worker.run().await,
        Some(Command::Probe(probe)) => probe.run().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
