//! `cozyup lab`: the simulated site. `lab run` starts it as a process of its own, which goes on when the run is killed,
//! as a real site would.
use super::exit::Exit;
use super::flags::{RunFlags, TeardownFlags, VerifyFlags, WorkerFlags};
use super::lab_serve::serve;
use super::lab_site::{self, Figures, Opened, Place, folder, own_folder, scenarios};
use super::output::{print, print_error};
use super::show::{Style, no_terminal};
use super::start::teardown::tear_down;
use super::start::{Start, YES, execute, in_lab, workers};
use super::verifying::verify_run;
use crate::engine::course::Course;
use crate::lab::critical;
use crate::lab::scenario::Scenario;
use crate::lab::site::Site;
use crate::steps::catalogue::LAST_DAY;
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// The speed at which `cozyup lab` shows the simulated site when nobody says otherwise: an install in a minute or two.
const SHOW_SPEED: f64 = 15.0;

#[derive(Debug, clap::Args)]
pub struct Lab {
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Run the plan in the lab, unattended, in lines
    Run(RunInLab),
    /// Take back the run of a lab that serves on (`lab run --keep`)
    Teardown(TeardownInLab),
    /// Prove the run of a lab that serves on again; changes nothing
    Verify(VerifyInLab),
    /// Set the number of workers of a lab that serves on (`lab run --keep`)
    Workers(WorkersInLab),
    /// Only serve the lab, for any client: prints endpoints, token and files
    Serve(Serve),
    /// The scenarios that there are
    List,
}

#[derive(Debug, Clone, clap::Args)]
struct Where {
    /// A scenario of `lab list`, or a YAML file
    #[arg(long, default_value = "standard")]
    scenario: String,
    /// Lab seconds in a second of the wall
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Use 127.NET.0.0/24 (default: the first free one)
    #[arg(long, value_name = "NET", value_parser = clap::value_parser!(u8).range(1..=254))]
    net: Option<u8>,
}

impl Where {
    fn place(&self) -> Place {
        Place { scenario: self.scenario.clone(), speed: self.speed, net: self.net }
    }
}

#[derive(Debug, clap::Args)]
struct RunInLab {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    flags: RunFlags,
    /// Leave the lab running when the run has ended
    #[arg(long)]
    keep: bool,
    /// Start with an empty site even when one of an earlier run still serves
    #[arg(long)]
    fresh: bool,
}

#[derive(Debug, clap::Args)]
struct TeardownInLab {
    /// A scenario of `lab list`, or a YAML file
    #[arg(long, default_value = "standard")]
    scenario: String,
    #[command(flatten)]
    flags: TeardownFlags,
}

#[derive(Debug, clap::Args)]
struct VerifyInLab {
    /// A scenario of `lab list`, or a YAML file
    #[arg(long, default_value = "standard")]
    scenario: String,
    #[command(flatten)]
    flags: VerifyFlags,
}

#[derive(Debug, clap::Args)]
struct WorkersInLab {
    /// A scenario of `lab list`, or a YAML file
    #[arg(long, default_value = "standard")]
    scenario: String,
    #[command(flatten)]
    flags: WorkerFlags,
}

#[derive(Debug, clap::Args)]
struct Serve {
    #[command(flatten)]
    at: Where,
    /// Where its files go (default: the state folder)
    #[arg(long)]
    dir: Option<PathBuf>,
    /// End when nobody talks to it any more
    #[arg(long, hide = true)]
    for_a_run: bool,
}

impl Lab {
    /// See `Command::uses_state`.
    pub fn uses_state(&self) -> bool {
        match &self.command {
            None | Some(Sub::Run(_) | Sub::Teardown(_) | Sub::Verify(_) | Sub::Workers(_)) => true,
            Some(Sub::Serve(serve)) => serve.dir.is_none(),
            Some(Sub::List) => false,
        }
    }

    pub async fn run(self, state_dir: &Path) -> Exit {
        match self.command {
            None => on_the_screen(state_dir).await,
            Some(Sub::Run(run)) => run.run(state_dir).await,
            Some(Sub::Teardown(teardown)) => teardown.run(state_dir).await,
            Some(Sub::Verify(verify)) => verify.run(state_dir).await,
            Some(Sub::Workers(workers)) => workers.run(state_dir).await,
            Some(Sub::Serve(serve)) => serve.run(state_dir).await,
            Some(Sub::List) => {
                list();
                Exit::Proven
            }
        }
    }
}

/// `cozyup lab`: the simulated site with the screen on it; every day asks at its gate.
async fn on_the_screen(state_dir: &Path) -> Exit {
    if let Some(exit) = no_terminal() {
        return exit;
    }
    in_lab(state_dir, &Place { scenario: "standard".to_string(), speed: SHOW_SPEED, net: None }).await
}

fn list() {
    for (name, about) in scenarios() {
        print(&format!("{name:<20} {about}"));
    }
}

impl RunInLab {
    async fn run(self, state_dir: &Path) -> Exit {
        let opened = match lab_site::open(state_dir, &self.at.place(), self.fresh).await {
            Ok(opened) => opened,
            Err(why) => {
                print_error(&why);
                return Exit::Usage;
            }
        };
        let style = if self.flags.json { Style::Json } else { Style::Lines };
        let figures = opened.figures(self.flags.until);
        if style == Style::Lines {
            introduce(&opened, self.flags.until);
        }
        let start = Start {
            folder: Some(opened.run_folder()),
            course: Course::Forward { until: self.flags.until() },
            take_over: self.flags.take_over,
            gates_by: Some(YES.to_string()),
            patience: self.flags.patience,
            style,
            clock: opened.site.clock(),
            names: Some(opened.site.names.clone()),
            figures,
            token_file: Some(opened.site.token_file.clone()),
            ..Start::of(&opened.site.plan)
        };
        let exit = execute(start, state_dir).await;
        if self.keep || !opened.is_over() {
            if style == Style::Lines {
                print(&format!(
                    "the lab serves on (process {}); its files are in {}",
                    opened.site.pid,
                    opened.dir.display()
                ));
            }
        } else {
            opened.end();
        }
        exit
    }
}

impl TeardownInLab {
    async fn run(self, state_dir: &Path) -> Exit {
        match serving(state_dir, &self.scenario) {
            Ok((dir, site)) => tear_down(start_in(&dir, &site), &self.flags.removal(), state_dir).await,
            Err(why) => usage(&why),
        }
    }
}

impl VerifyInLab {
    async fn run(self, state_dir: &Path) -> Exit {
        match serving(state_dir, &self.scenario) {
            Ok((dir, site)) => verify_run(start_in(&dir, &site), self.flags.form(), self.flags.within, state_dir).await,
            Err(why) => usage(&why),
        }
    }
}

impl WorkersInLab {
    async fn run(self, state_dir: &Path) -> Exit {
        match serving(state_dir, &self.scenario) {
            Ok((dir, site)) => workers::set(start_in(&dir, &site), &self.flags.wanted(), state_dir).await,
            Err(why) => usage(&why),
        }
    }
}

fn usage(why: &str) -> Exit {
    print_error(why);
    Exit::Usage
}

/// The folder of the lab of this scenario, and what serves there.
///
/// # Errors
/// When nothing serves.
fn serving(state_dir: &Path, scenario: &str) -> Result<(PathBuf, Site), String> {
    let dir = folder(state_dir, scenario);
    if dir.exists() {
        own_folder(&dir)?;
    }
    match Site::of_running(&dir) {
        Some(site) => Ok((dir, site)),
        None => Err(format!(
            "no lab of scenario {scenario} serves, and what was in it is gone with it\n\
             next: `cozyup lab run --keep` leaves one behind"
        )),
    }
}

/// What a command about the run of this lab starts from.
fn start_in<'a>(dir: &Path, site: &'a Site) -> Start<'a> {
    Start {
        folder: Some(dir.join("run")),
        clock: site.clock(),
        names: Some(site.names.clone()),
        figures: Figures { critical_path_s: None, speed: Some(site.speed) },
        token_file: Some(site.token_file.clone()),
        ..Start::of(&site.plan)
    }
}

fn introduce(opened: &Opened, until: u8) {
    let site = &opened.site;
    let verb = if opened.goes_on() { "goes on with" } else { "started" };
    print(&format!(
        "lab      {verb} scenario {} at speed {}, {} (plan {})",
        site.scenario,
        site.speed,
        site.url,
        site.plan.display()
    ));
    if let Ok(scenario) = Scenario::load(&site.scenario_file) {
        let chain = critical::chain(&scenario, until);
        print(&format!("lab      critical path to the end of day {until}, in lab seconds:"));
        for link in &chain {
            print(&format!("lab      {:>8.1}  {}", link.seconds, link.what));
        }
        let total = critical::seconds(&chain);
        print(&format!(
            "lab      {total:>8.1}  in all: {:.1} s on the wall at speed {}",
            total / site.speed,
            site.speed
        ));
    }
}

impl Serve {
    async fn run(self, state_dir: &Path) -> Exit {
        let dir = self.dir.unwrap_or_else(|| folder(state_dir, &self.at.scenario));
        serve(self.at.place(), dir, self.for_a_run).await
    }
}

const _: () = assert!(LAST_DAY >= 8, "the lab's critical path ends with day 8");
