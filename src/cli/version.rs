//! `cozyup version`: what this binary was built from, and what it has in it.
use super::exit::Exit;
use super::output::print;
use crate::release::Release;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub struct Version {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// The facts of a build. What only the one who builds can know is `None` unless `tests/ship/run` built it.
#[derive(Debug, Serialize)]
struct Facts {
    version: &'static str,
    /// The commit that was built.
    commit: Option<&'static str>,
    /// The compiler, as it names itself.
    compiler: Option<&'static str>,
    architecture: &'static str,
    /// The C library: `musl` (linked in, needs nothing on the machine) or `gnu`.
    libc: &'static str,
    optimized: bool,
    /// The CozyStack releases that it installs, newest last.
    cozystack: Vec<&'static str>,
}

fn facts() -> Facts {
    Facts {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("COZYUP_COMMIT"),
        compiler: option_env!("COZYUP_COMPILER"),
        architecture: std::env::consts::ARCH,
        libc: if cfg!(target_env = "musl") { "musl" } else { "gnu" },
        optimized: !cfg!(debug_assertions),
        cozystack: Release::versions().collect(),
    }
}

impl Version {
    pub fn run(self) -> Exit {
        let facts = facts();
        if self.json {
            print(&serde_json::to_string(&facts).unwrap_or_default());
            return Exit::Proven;
        }
        let unknown = "not known: built by hand";
        print(&format!(
            "cozyup {}\ncommit     {}\ncompiler   {}\nbuilt for  {} linux, {}{}\ncozystack  {}",
            facts.version,
            facts.commit.unwrap_or(unknown),
            facts.compiler.unwrap_or(unknown),
            facts.architecture,
            facts.libc,
            if facts.optimized { "" } else { ", without optimisation" },
            facts.cozystack.join(", "),
        ));
        Exit::Proven
    }
}
