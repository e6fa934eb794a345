//! `cozyup assess`: whether an existing cluster is worth an upgrade. It only reads.
use super::exit::Exit;
use super::output::{print, print_error, print_note, with_next};
use crate::assess::gather::{etcd, gather};
use crate::assess::verdict::Decision;
use crate::assess::version::Number;
use crate::assess::{LATEST_TARGET, assess, render};
use crate::base::file::read_text;
use crate::base::secret::Secret;
use crate::kubernetes::{Bounds, Credentials, Error, connect};
use crate::release::Release;
use crate::talos::secrets::Access;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

const FLATTEN: &str = "next: give a kubeconfig with its certificates in it (`kubectl config view --raw --flatten`)";

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

fn target(text: &str) -> Result<Number, String> {
    let number: Number = text.parse().map_err(|()| "give a release such as v0.37.2".to_string())?;
    if number > LATEST_TARGET || number < Number::new(0, 27, 0) {
        return Err("the way is known to v0.27 up to v0.37".to_string());
    }
    Ok(number)
}

fn file(path: &Path) -> Result<Secret<String>, String> {
    read_text(path).map(Secret::new).map_err(|e| with_next(&e, &e.next()))
}

/// The error, and what to do about it.
fn told(error: &Error) -> String {
    let next = match error {
        Error::Kubeconfig { .. } => FLATTEN,
        Error::Unreachable { .. } => {
            "next: check that this machine reaches the API server of the kubeconfig, then ask again"
        }
        Error::Untrusted { .. } => "next: give the kubeconfig of this cluster; another server answers at its address",
        Error::Unauthorized => {
            "next: give credentials that the cluster still accepts (`talosctl kubeconfig` makes new ones)"
        }
        Error::Forbidden { .. }
        | Error::NotFound
        | Error::Conflict { .. }
        | Error::Invalid { .. }
        | Error::Denied { .. }
        | Error::Webhook { .. }
        | Error::Gone
        | Error::Server { .. }
        | Error::Answer { .. } => "next: check that a Kubernetes API server answers at the kubeconfig's address",
    };
    format!("{error}\n{next}")
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
        let kubeconfig = file(&self.kubeconfig)?;
        let who = Credentials::of(&kubeconfig).map_err(|e| told(&e))?;
        let access = self.talosconfig.as_deref().map(|path| {
            Access::of_talosconfig(&file(path)?)
                .map_err(|e| format!("{e}\nnext: give the file that `talosctl` uses for it"))
        });
        let access = access.transpose()?;
        let target = self.target.map_or_else(|| target(&Release::current().version), Ok)?;
        let (reader, _) = connect(&kubeconfig, None).map_err(|e| told(&e))?;
        let now = Timestamp::now();
        let etcd = etcd(access.as_ref()).await;
        let snapshot = gather(&reader, &who, Bounds::default(), now, etcd).await.map_err(|e| told(&e))?;
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
