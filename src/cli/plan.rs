//! `cozyup plan new|check|show`.
use super::choices;
use super::contact::{self, Stranger};
use super::exit::Exit;
use super::first_use;
use super::output::{print, print_error};
use super::rights;
use crate::base::file::read_regular;
use crate::base::trust::{Authority, Trust};
use crate::compose::{self, plan_error};
use crate::engine::step::Outline;
use crate::plan;
use crate::plan::defaults::{self, Defaults};
use crate::plan::model::ApiUrl;
use crate::proxmox;
use crate::release::Release;
use crate::steps::failures;
use clap::Subcommand;
use std::path::PathBuf;

/// Longest file of an authority that is compared, in bytes.
const SIZE: u64 = 64 << 10;

#[derive(Debug, clap::Args)]
pub struct PlanCommand {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Write a plan file with defaults, read from the live site where one is named
    New(Box<New>),
    /// Lint a plan, offline
    Check {
        /// The plan file
        plan: PathBuf,
    },
    /// Print machines, versions, hazards, days and steps of a plan
    Show {
        /// The plan file
        plan: PathBuf,
        /// With the manual command of every step
        #[arg(long)]
        commands: bool,
    },
}

#[derive(Debug, clap::Args)]
struct New {
    /// Where to write it
    #[arg(default_value = "plan.yaml")]
    file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Name of the run
    #[arg(long)]
    name: Option<String>,
    /// The site's API, `https://HOST:8006`: its certificate is read, and with a token its nodes and storages
    #[arg(long)]
    url: Option<String>,
    /// `user@realm!tokenid`; the secret comes from COZYUP_PROXMOX_TOKEN or --token-file
    #[arg(long)]
    token_id: Option<String>,
    /// File (0600) with the token's secret
    #[arg(long)]
    token_file: Option<String>,
    #[command(flatten)]
    contact: contact::Given,
    /// Worker nodes besides the three control planes
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// URL of the Talos image, in place of the release's: a mirror
    #[arg(long, value_name = "URL")]
    image_url: Option<String>,
    /// URL or file of CozyStack's installer manifest, in place of the release's
    #[arg(long, value_name = "URL")]
    installer_url: Option<String>,
    /// Fetch the Talos image and the installer manifest now and write their SHA-256: trust on first use
    #[arg(long)]
    fetch: bool,
    /// CozyStack release to install, of those that this cozyup knows
    #[arg(long, value_name = "VERSION", value_parser = release)]
    cozystack: Option<&'static Release>,
}

impl PlanCommand {
    pub async fn run(self) -> Exit {
        match self.command {
            Sub::New(new) => new.run().await,
            Sub::Check { plan } => match plan::load(&plan) {
                Ok(loaded) => {
                    loaded.findings.iter().for_each(|f| print(&f.to_string()));
                    let remarks = match loaded.findings.len() {
                        1 => "1 remark".to_string(),
                        n => format!("{n} remarks"),
                    };
                    print(&format!("{}: no errors, {remarks}", plan.display()));
                    Exit::Proven
                }
                Err(e) => refused(&e),
            },
            Sub::Show { plan, commands } => match plan::load(&plan) {
                Ok(loaded) => {
                    print(&plan::show(&loaded.plan));
                    match compose::outlines(&loaded.plan) {
                        Ok(outlines) => {
                            print(&days(&outlines, commands));
                            Exit::Proven
                        }
                        Err(refusal) => {
                            print_error(&refusal.to_string());
                            Exit::from(&refusal)
                        }
                    }
                }
                Err(e) => refused(&e),
            },
        }
    }
}

/// Days and steps as lines; `?` stands before steps that change nothing.
fn days(outlines: &[Outline], commands: bool) -> String {
    let mut out = vec!["steps (? reads only)".to_string()];
    let mut today = None;
    for step in outlines {
        if today != Some(step.day) {
            today = Some(step.day);
            out.push(format!("  {}  {}", step.day, plan::day_name(step.day)));
        }
        out.push(format!("    {} {:<34} {}", if step.changes { ' ' } else { '?' }, step.id, step.title));
        if commands {
            out.extend(step.by_hand.lines().map(|l| format!("          {l}")));
        }
    }
    out.join("\n")
}

fn refused(error: &plan::PlanError) -> Exit {
    print_error(&plan_error(error));
    Exit::Usage
}

impl New {
    async fn run(self) -> Exit {
        if self.file.exists() && !self.force {
            print_error(&format!(
                "{} is there already\nnext: give another name, or --force to replace it",
                self.file.display()
            ));
            return Exit::Usage;
        }
        let mut known = Defaults {
            name: self.name.clone(),
            token_id: self.token_id.clone(),
            token_file: self.token_file.clone(),
            workers: self.workers,
            release: self.cozystack,
            image_url: self.image_url.clone(),
            installer_url: self.installer_url.clone(),
            ..Defaults::default()
        };
        let mut exit = Exit::Proven;
        if let Some(url) = &self.url {
            match url.parse::<ApiUrl>() {
                Ok(url) => known.site_url = Some(url),
                Err(why) => {
                    print_error(&why);
                    return Exit::Usage;
                }
            }
            match self.discover(&mut known).await {
                Ok(()) => {}
                Err(Trouble::Before { what, exit }) => {
                    print_error(&what);
                    return exit;
                }
                Err(Trouble::Partly(why)) => {
                    print_error(&format!("{why}\nnext: the plan is written with defaults for what could not be read"));
                    exit = Exit::Blocked;
                }
            }
        }
        self.write(known, exit).await
    }

    async fn write(&self, mut known: Defaults, mut exit: Exit) -> Exit {
        if self.fetch
            && let Err(why) = first_use::fill_in(&mut known).await
        {
            print_error(&why);
            exit = Exit::Blocked;
        }
        let text = defaults::write(&known);
        if let Err(e) = crate::base::file::write_public(&self.file, text.as_bytes()) {
            print_error(&format!("can't write the plan: {e}"));
            return Exit::Usage;
        }
        print(&format!("wrote {}; edit it, then `cozyup plan check {0}`", self.file.display()));
        exit
    }

    /// Reads from the site what a plan can take from it: certificate, nodes, storages, bridges, VMIDs. The token goes to
    /// nobody whose certificate is not accepted.
    async fn discover(&self, known: &mut Defaults) -> Result<(), Trouble> {
        let Some(url) = known.site_url.clone() else { return Ok(()) };
        let usage = |what: String| Trouble::Before { what, exit: Exit::Usage };
        // Errors on this machine are reported before a question is asked.
        let secret = match &known.token_id {
            Some(_) => Some(compose::token_secret(&defaults::plan(known)).map_err(|e| usage(e.to_string()))?),
            None if self.contact.wants_authority() => {
                return Err(usage(
                    "the site's authority is read with a token\nnext: give --token-id and --token-file, or --ca-file FILE".into(),
                ));
            }
            None => None,
        };
        let met = self.contact.meet(&url).await.map_err(|stranger| match stranger {
            Stranger::Absent(what) => Trouble::Before { what, exit: Exit::Blocked },
            Stranger::Refused(what) => usage(what),
        })?;
        match &met.trust {
            Trust::Leaf(fingerprint) => known.fingerprint = Some(fingerprint.clone()),
            Trust::Authority(_) => known.ca_file = self.contact.ca_file().map(absolute),
            Trust::System => {}
        }
        let (Some(token_id), Some(secret)) = (known.token_id.clone(), secret) else { return Ok(()) };
        let refused = |e: proxmox::Error| {
            let failure = failures::proxmox(&e, &format!("ask {url}"));
            Trouble::Before { what: format!("{}\nnext: {}", failure.what, failure.next), exit: Exit::Blocked }
        };
        let target = proxmox::Target { url: url.clone(), token_id, secret, trust: met.trust.clone() };
        let (reader, _) = proxmox::connect(target).map_err(refused)?;
        let nodes = reader.nodes().await.map_err(refused)?.value;
        known.hosts = nodes.iter().filter(|n| n.status == "online").map(|n| n.node.clone()).collect();
        if let Some(host) = known.hosts.first() {
            let authority = met.authority(&reader, host, &url, self.contact.wants_authority()).await.map_err(usage)?;
            if let Some(authority) = authority {
                known.ca_file = Some(self.keep(&authority).map_err(usage)?);
                known.fingerprint = None;
            }
        }
        read_site(&reader, known).await.map_err(|e| Trouble::Partly(e.to_string()))
    }

    /// Beside the plan, where whoever reads the plan finds it.
    fn keep(&self, authority: &Authority) -> Result<String, String> {
        let path = self.file.with_extension("ca.pem");
        let pem = authority.pem();
        if path.exists() && !self.force && read_regular(&path, SIZE).as_deref() != Some(pem.as_str()) {
            return Err(format!("{} is there already\nnext: take it away, or --force to replace it", path.display()));
        }
        let shown = path.display().to_string();
        crate::base::file::write_public(&path, pem.as_bytes())
            .map_err(|e| format!("can't write the authority: {e}"))?;
        print(&format!("wrote {shown}, the site's own authority ({})", authority.fingerprint()));
        Ok(absolute(&shown))
    }
}

fn release(version: &str) -> Result<&'static Release, String> {
    Release::known(version)
        .ok_or_else(|| format!("this cozyup knows {}", Release::versions().collect::<Vec<_>>().join(" and ")))
}

/// The reason why the site was not read.
enum Trouble {
    /// Before anything of it was known; nothing is written.
    Before { what: String, exit: Exit },
    /// Some of it is known.
    Partly(String),
}

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_string(), |p| p.display().to_string())
}

/// Reads the values of a plan that the site decides, and the reasons for them.
async fn read_site(reader: &proxmox::Reader, known: &mut Defaults) -> Result<(), proxmox::Error> {
    choices::from_site(reader, known).await?;
    known.reasons.iter().for_each(|reason| print(&format!("  {reason}")));
    print(&rights::told(&rights::of(reader, &defaults::plan(known)).await));
    Ok(())
}
