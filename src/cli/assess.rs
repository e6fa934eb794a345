//! `cozyup assess`: whether an existing cluster is worth an upgrade. It only reads.
use super::access;
use super::exit::Exit;
use super::output::{print, print_error, print_note};
use crate::assess::gather::{etcd, gather};
use crate::assess::verdict::Decision;
use crate::assess::version::Number;
use crate::assess::{assess, render, target};
use crate::kubernetes::Bounds;
use crate::release::Release;
use jiff::Timestamp;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 go, 1 repair first or install anew, 2 no verdict: the kubeconfig or the API can't be used, or too \
                  little could be read."
)]
pub struct Assess {
    /// Access to the cluster; certificates and keys have to be in it, and no program is run for them
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Access to Talos, for etcd
    #[arg(long, value_name = "FILE")]
    talosconfig: Option<PathBuf>,
    /// The release to which an upgrade would go (default: the newest that cozyup installs)
    #[arg(long, value_name = "vX.Y.Z", value_parser = target)]
    target: Option<Number>,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Form {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Markdown
    #[arg(long)]
    markdown: bool,
    /// One HTML page
    #[arg(long)]
    html: bool,
}

impl Assess {
    pub async fn run(self) -> Exit {
        match self.assessed().await {
            Ok(exit) => exit,
            Err(why) => {
                print_error(&why);
                Exit::Usage
            }
        }
    }

    async fn assessed(self) -> Result<Exit, String> {
        let (reader, who) = access::kubernetes(&self.kubeconfig)?;
        let access = self.talosconfig.as_deref().map(access::talos).transpose()?;
        let target = self.target.map_or_else(|| target(&Release::current().version), Ok).map_err(|e| e.to_string())?;
        let now = Timestamp::now();
        let etcd = etcd(access.as_ref()).await;
        let snapshot = gather(&reader, &who, Bounds::default(), now, etcd).await.map_err(|e| access::told(&e))?;
        let assessment = assess(&snapshot, target);
        let Form { json, markdown, html } = self.form;
        print(&match (json, markdown, html) {
            (true, ..) => render::json(&assessment),
            (_, true, _) => render::markdown(&assessment),
            (.., true) => render::html(&assessment),
            _ => render::text(&assessment),
        });
        if !assessment.lacks.is_empty() && (json || markdown || html) {
            print_note(&format!("{} readings are missing; the report's last part names them", assessment.lacks.len()));
        }
        Ok(match assessment.verdict.decision {
            Decision::Go => Exit::Proven,
            Decision::RepairFirst | Decision::FreshInstall => Exit::Blocked,
            Decision::Undecided => Exit::Usage,
        })
    }
}
