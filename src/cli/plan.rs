//! `cozyup plan new|check|show`.
use super::{Exit, say, tell};
use crate::compose::{self, plan_error};
use crate::engine::step::Outline;
use crate::plan;
use crate::plan::defaults::{self, Defaults};
use crate::plan::model::ApiUrl;
use crate::proxmox;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct PlanCommand {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Write a plan file with defaults, read from the live site where one is named
    New(New),
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
    /// The site's API, https://HOST:8006: its certificate is read, and with a token its nodes and storages
    #[arg(long)]
    url: Option<String>,
    /// `user@realm!tokenid`; the secret comes from COZYUP_PROXMOX_TOKEN or --token-file
    #[arg(long)]
    token_id: Option<String>,
    /// File (0600) with the token's secret
    #[arg(long)]
    token_file: Option<String>,
    /// Worker nodes besides the three control planes
    #[arg(long, default_value_t = 0)]
    workers: usize,
}

impl PlanCommand {
    pub async fn run(self) -> Exit {
        match self.command {
            Sub::New(new) => new.run().await,
            Sub::Check { plan } => match plan::load(&plan) {
                Ok(loaded) => {
                    loaded.findings.iter().for_each(|f| say(&f.to_string()));
                    say(&format!("{}: no errors, {} remarks", plan.display(), loaded.findings.len()));
                    Exit::Proven
                }
                Err(e) => refused(&e),
            },
            Sub::Show { plan, commands } => match plan::load(&plan) {
                Ok(loaded) => {
                    say(&plan::show(&loaded.plan));
                    match compose::outlines(&loaded.plan) {
                        Ok(outlines) => {
                            say(&days(&outlines, commands));
                            Exit::Proven
                        }
                        Err(refusal) => {
                            tell(&refusal.to_string());
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
            out.push(format!("  day {}  {}", step.day, plan::day_name(step.day)));
        }
        out.push(format!("    {} {:<34} {}", if step.changes { ' ' } else { '?' }, step.id, step.title));
        if commands {
            out.extend(step.by_hand.lines().map(|l| format!("          {l}")));
        }
    }
    out.join("\n")
}

fn refused(error: &plan::PlanError) -> Exit {
    tell(&plan_error(error));
    Exit::Usage
}

impl New {
    async fn run(self) -> Exit {
        if self.file.exists() && !self.force {
            tell(&format!(
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
            ..Defaults::default()
        };
        if let Some(url) = &self.url {
            match url.parse::<ApiUrl>() {
                Ok(url) => known.site_url = Some(url),
                Err(why) => {
                    tell(&why);
                    return Exit::Usage;
                }
            }
            if let Err(why) = discover(&mut known).await {
                tell(&format!("{why}\nnext: the plan is written with defaults for what could not be read"));
            }
        }
        let text = defaults::write(&known);
        if let Err(e) = crate::base::file::write_public(&self.file, text.as_bytes()) {
            tell(&format!("can't write the plan: {e}"));
            return Exit::Usage;
        }
        say(&format!("wrote {}; edit it, then `cozyup plan check {0}`", self.file.display()));
        Exit::Proven
    }
}

/// Reads from the site what a plan can take from it: certificate, nodes, storages, bridges, VMIDs.
async fn discover(known: &mut Defaults) -> Result<(), String> {
    let Some(url) = known.site_url.clone() else { return Ok(()) };
    let certificate = proxmox::probe_certificate(url.as_str()).await.map_err(|e| e.to_string())?;
    say(&format!(
        "certificate of {url}: {}\n  subject {}, issuer {}\n  compare it with `pvenode cert info` on the host before you trust it",
        certificate.fingerprint, certificate.subject, certificate.issuer
    ));
    known.fingerprint = Some(certificate.fingerprint);
    let Some(token_id) = known.token_id.clone() else { return Ok(()) };
    let sample = defaults::plan(known);
    let secret = compose::token_secret(&sample).map_err(|e| e.to_string())?;
    let target = proxmox::Target { url: url.to_string(), token_id, secret, fingerprint: known.fingerprint.clone() };
    let (reader, _) = proxmox::connect(target).map_err(|e| e.to_string())?;
    let nodes = reader.nodes().await.map_err(|e| e.to_string())?.value;
    known.hosts = nodes.iter().filter(|n| n.status == "online").map(|n| n.node.clone()).collect();
    known.taken_vmids = reader.resources().await.map_err(|e| e.to_string())?.value.iter().map(|v| v.vmid).collect();
    if let Some(host) = known.hosts.first() {
        let storages = reader.storages(host).await.map_err(|e| e.to_string())?.value;
        let with = |content: &str| {
            let mut fit: Vec<_> =
                storages.iter().filter(|s| s.active && s.content.iter().any(|c| c == content)).collect();
            fit.sort_by_key(|s| std::cmp::Reverse(s.avail));
            fit.first().map(|s| s.storage.clone())
        };
        known.image_storage = with("import");
        known.disk_storage = with("images");
        known.csi_storage.clone_from(&known.disk_storage);
        let bridges = reader.bridges(host).await.map_err(|e| e.to_string())?.value;
        known.bridge = bridges.iter().find(|b| b.active).map(|b| b.iface.clone());
    }
    Ok(())
}
