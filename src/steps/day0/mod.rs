//! Day 0, check: everything that the later days depend on, read before anything is changed.
pub mod addresses;
pub mod alone;
pub mod api_version;
pub mod bridges;
pub mod capacity;
pub mod image;
pub mod jump_host;
pub mod permissions;
pub mod proxmox;
pub mod registries;
pub mod release;
pub mod storages;
pub mod survival;
#[cfg(test)]
pub(crate) mod tests;
pub mod time;
pub mod vmids;
pub mod worker_template;

use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use crate::steps::outlines;
use crate::steps::site::{Changing, Installation, Reading};
use async_trait::async_trait;
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;

const BAND: Band = Band::new(10, 60);
/// Readings kept of one check; a large site would bury the first under the rest.
const EVIDENCE: usize = 8;

pub fn steps(plan: &Plan) -> Steps {
    let mut steps: Steps = vec![
        Arc::new(jump_host::step(plan)),
        Arc::new(survival::step(plan)),
        Arc::new(release::step(plan)),
        Arc::new(proxmox::step(plan)),
        Arc::new(api_version::step(plan)),
        Arc::new(permissions::step(plan)),
        Arc::new(capacity::step(plan)),
        Arc::new(storages::step(plan)),
        Arc::new(bridges::step(plan)),
        Arc::new(alone::step(plan)),
        Arc::new(vmids::step(plan)),
        Arc::new(addresses::step(plan)),
        Arc::new(image::step(plan)),
        Arc::new(registries::step(plan)),
        Arc::new(time::step(plan)),
    ];
    if plan.day_9().is_some() {
        steps.push(Arc::new(worker_template::step(plan)));
    }
    steps
}

type Look = for<'a> fn(&'a dyn Context, &'a Reading) -> BoxFuture<'a, Result<Proof, Failure>>;

/// A check is one look: what it proves, or what stands in the way.
pub struct Check {
    outline: Outline,
    look: Look,
}

impl Check {
    fn new(kind: &str, title: impl Into<String>, by_hand: impl Into<String>, look: Look) -> Self {
        Check { outline: outlines::check(StepId::new(kind), 0, title, BAND, by_hand), look }
    }

    /// A wrong address or token is told once, by the step that finds it.
    fn of_proxmox(mut self) -> Self {
        self.outline = self.outline.after([StepId::new(proxmox::KIND)]);
        self
    }

    /// A node that is not there, is down or too old is told once, by the step that looks for it.
    fn of_hosts(mut self) -> Self {
        self.outline = self.outline.after([StepId::new(proxmox::KIND), StepId::new(api_version::KIND)]);
        self
    }
}

#[async_trait]
impl Step<Installation> for Check {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        (self.look)(cx, site).await.map(Observed::Satisfied)
    }

    async fn act(&self, _cx: &dyn Context, _site: &Reading, _change: &Changing) -> Result<(), Failure> {
        // A check; the engine never asks for its act.
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }
}

/// Proxmox nodes that the plan uses.
pub(in crate::steps) fn hosts(plan: &Plan) -> BTreeSet<&str> {
    plan.hosts()
}

fn of_proxmox<T>(cx: &dyn Context, answer: &Answer<T>) -> Evidence {
    Evidence::of("Proxmox", cx.clock().now(), answer)
}

fn of_jump_host(
    cx: &dyn Context,
    asked: impl Into<String>,
    answer: impl Into<String>,
    by_hand: impl Into<String>,
) -> Evidence {
    let (asked, answer, by_hand) = (asked.into(), answer.into(), by_hand.into());
    Evidence { system: "jump host".into(), asked, answer, at: cx.clock().now(), by_hand }
}

/// A proof of the first readings, with what is worth a remark.
fn proof(summary: &str, remarks: &[String], readings: Vec<Evidence>) -> Result<Proof, Failure> {
    let mut readings = readings.into_iter();
    let first = readings.next();
    let first = first.ok_or_else(|| Failure::broken("a check read nothing", "check that the plan names machines"))?;
    let proof = readings.take(EVIDENCE - 1).fold(Proof::new(summary, first), Proof::and);
    Ok(remarks.iter().fold(proof, Proof::mind))
}
