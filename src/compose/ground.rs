//! What a site is opened from: the same for a session and for a look beside one.
use super::looking::told;
use super::web::{http_client, web};
use super::{MARK, Refusal, connect, names_of_environment, registries, with_cause};
use crate::base::clock::Clock;
use crate::base::secret::Secret;
use crate::base::vault::Vault;
use crate::engine::record::Record;
use crate::engine::state::RunState;
use crate::plan::model::Plan;
use crate::release::{Component, Release};
use crate::report::handover::{HandOver, html, markdown};
use crate::session::folder::RunFolder;
use crate::session::lock::host_name;
use crate::steps::claim::Claim;
use crate::steps::day10::record;
use crate::steps::hand_over::{HandOverFiles, Scribe};
use crate::steps::site::Parts;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) struct Ground<'a> {
    pub plan: &'a Arc<Plan>,
    pub clock: &'a Clock,
    pub folder: &'a RunFolder,
    pub vault: Vault,
    /// The id of the run.
    pub run: &'a str,
    /// What tells this machine's folder from a copy of it.
    pub place: &'a str,
    pub state: &'a RunState,
    pub records: &'a [Record],
    pub release: Release,
    pub components: Vec<Component>,
}

fn no_client(e: &reqwest::Error) -> Refusal {
    Refusal::Plan(format!("no HTTP client: {e}"))
}

impl Ground<'_> {
    /// The parts of a site on which nobody works; a session replaces what it knows better.
    pub fn parts(self, token: Secret<String>) -> Result<Parts, Refusal> {
        let Ground { plan, clock, folder, state, run, .. } = self;
        Ok(Parts {
            plan: plan.clone(),
            clock: clock.clone(),
            mark: format!("{MARK}{}.{run}", plan.name),
            release: self.release,
            components: self.components,
            proxmox: connect(plan, token)?,
            http: http_client(plan).map_err(|e| no_client(&e))?,
            web: web(plan).map_err(|e| no_client(&e))?,
            names: names_of_environment(plan),
            registry_files: registries::files(plan),
            secrets: folder.secrets(),
            vault: self.vault,
            cache: folder.cache(),
            // A clock that was handed over is a lab's.
            ntp_port: if clock.spec().is_some() { crate::lab::site::TIME_PORT } else { crate::base::sntp::PORT },
            reconnect: Arc::new(|| Box::pin(async { Err("no worker is at work".to_string()) })),
            scribe: scribe(folder, &plan.name),
            claim: Claim::here(&host_name(), folder.path(), self.place, clock.now()),
            take_over: None,
            shown: state.shown(),
            made: state.made.steps().cloned().collect(),
            adopted: state.made.is_adopted(),
            also: BTreeSet::new(),
            digests: RunState::digests(self.records),
            makes_secrets: false,
        })
    }
}

/// The record without the step that writes it, which can't tell of itself.
fn scribe(folder: &RunFolder, name: &str) -> Scribe {
    let (folder, name) = (folder.clone(), name.to_string());
    Arc::new(move || {
        let (records, plan) = told(&folder).map_err(|e| with_cause(&e))?;
        let record = HandOver::without(&records, &name, plan.as_ref(), &[record::KIND]);
        Ok(HandOverFiles {
            proofs: record.proofs_sha256.clone(),
            files: vec![
                ("record.html", html::page(&record)),
                ("record.md", markdown::document(&record)),
                ("record.json", record.json()),
            ],
        })
    })
}
