//! Crashes by the thousand: `tests/soak/run` builds and starts this. Every run prints its seed, a table, and for each
//! failure the arguments that try it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod matrix;
mod moments;
mod rig;
mod table;

use clap::{Parser, Subcommand};
use rig::worker::Death;

#[derive(Parser)]
#[command(about = "Crash matrix of cozyup: workers killed in the lab, and what is left of it")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args, Clone)]
struct How {
    /// Draws the moments, and the order of everything else
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// Only part I of N, e.g. 1/4
    #[arg(long, global = true, default_value = "1/1", value_parser = shard)]
    shard: (usize, usize),
    /// Only every K-th case
    #[arg(long, global = true, default_value_t = 1)]
    stride: usize,
    /// Cases at the same time
    #[arg(long, global = true, default_value_t = 1)]
    jobs: usize,
    /// The last day that is run
    #[arg(long, global = true, default_value_t = 5)]
    until: u8,
    /// The site: small, small-pair (a worker too, so that volumes move), small-by-cdrom, small-two-hosts, or a built-in one
    #[arg(long, global = true, default_value = "small", value_parser = leaked)]
    site: &'static str,
    /// Only crashes behind records of this day and the later ones
    #[arg(long, global = true, default_value_t = 0)]
    from: u8,
    /// The crashes come while the run is torn down again
    #[arg(long, global = true)]
    teardown: bool,
    /// Lab seconds in a second of the wall
    #[arg(long, global = true, default_value_t = 1000.0)]
    speed: f64,
    /// Do not begin another case after so many minutes
    #[arg(long, global = true)]
    minutes: Option<u64>,
    /// Keep the folder of every case that went wrong
    #[arg(long, global = true)]
    keep: bool,
}

#[derive(Subcommand)]
enum What {
    /// One crash: behind every record (whole, torn, unsynced), and in every request that changes something
    Single,
    /// Two crashes: in every act, and then in the acts of the session that goes on
    Pairs {
        /// So many acts and requests on
        #[arg(long, default_value_t = 6)]
        near: usize,
        /// Behind every record, not only where a step acts
        #[arg(long)]
        every: bool,
    },
    /// One run killed behind every K-th new kind of record from a day on, and another in every new kind of request, of which days 0
    /// to 10 have about 250
    Chain,
    /// SIGKILL of the real worker at random moments of the standard scenario
    Moments {
        #[arg(long, default_value_t = 300)]
        kills: usize,
        /// At most so many in one run
        #[arg(long, default_value_t = 3)]
        most: usize,
    },
    /// Every act twice in a row, of a teardown every removal
    Twice,
    /// These deaths, one after the other: record:N:Whole|Torn|Unsynced, after:WORD:Whole (as the failure told it),
    /// fresh:DAY/COUNT:Whole, request:N:Lost|Done|Late, new::Lost|Done|Late
    Case {
        #[arg(required = true)]
        deaths: Vec<Death>,
    },
}

/// A shape is copied a thousand times; its name lives as long as the program.
#[allow(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn leaked(text: &str) -> Result<&'static str, String> {
    Ok(text.to_string().leak())
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let (part, of) = text.split_once('/').ok_or("write it as I/N")?;
    let number = |n: &str| n.parse::<usize>().map_err(|e| format!("{n}: {e}"));
    let (part, of) = (number(part)?, number(of)?);
    if part == 0 || part > of { Err(format!("there is no part {part} of {of}")) } else { Ok((part, of)) }
}

fn main() -> std::process::ExitCode {
    cozyup::base::tls::install_provider();
    let Arguments { what, how } = Arguments::parse();
    let way = if how.teardown { "teardown after day" } else { "to the end of day" };
    println!("seed {}, {way} {}, speed {}, part {} of {}", how.seed, how.until, how.speed, how.shard.0, how.shard.1);
    let wrong = match what {
        What::Single => matrix::single(&how),
        What::Pairs { near, every } => matrix::pairs(&how, near, every),
        What::Chain => matrix::chain(&how),
        What::Moments { kills, most } => moments::run(&how, kills, most),
        What::Twice => matrix::twice(&how),
        What::Case { deaths } => matrix::case(&how, &deaths),
    };
    if wrong == 0 { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
