//! `day2.disks`: on every node the disks are those that the plan means: Talos runs from one, and the one for LINSTOR is another,
//! of the plan's size, and empty. The kernel may name them in another order from one VM, or one boot, to the next.
use crate::base::disk::called;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::steps::day4::linstor_pools;
use crate::steps::machine::disks;
use crate::steps::outlines;
use crate::steps::site::{Installation, Reading};
use async_trait::async_trait;

pub const KIND: &str = "day2.disks";
const BAND: Band = Band::new(10, 60);

pub struct Disks {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Disks {
    let title = format!("{} is an empty disk of its own on every node", called(&plan.integration.linstor.device));
    let at: Vec<String> = plan.nodes.iter().map(|n| n.address.to_string()).collect();
    let get = |kind| format!("talosctl -n {} get {kind}", at.join(","));
    let by_hand = ["disks", "systemdisk", "discoveredvolumes"].map(get).join("; ");
    let outline = outlines::check(StepId::new(KIND), 2, title, BAND, by_hand).after([StepId::new(super::nodes::KIND)]);
    Disks { outline }
}

#[async_trait]
impl Check<Installation> for Disks {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let plan = &site.plan;
        let pool_is_ours = cx.made().has(&StepId::new(linstor_pools::KIND));
        let mut proof: Option<Proof> = None;
        for node in &plan.nodes {
            let evidence = match disks::look(cx, site, node, pool_is_ours).await? {
                Ok(evidence) => evidence,
                Err(wrong) => return Ok(Observed::Conflict(wrong)),
            };
            proof = Some(match proof {
                Some(proof) => proof.and(evidence),
                None => {
                    let device = called(&plan.integration.linstor.device);
                    let holds = if pool_is_ours { "holds this run's pool or nothing" } else { "is empty" };
                    Proof::new(
                        format!("on {} nodes {device} {holds} and is not Talos' own", plan.nodes.len()),
                        evidence,
                    )
                }
            });
        }
        let none = || Failure::broken("the plan has no node", "correct the plan");
        proof.map(Observed::Satisfied).ok_or_else(none)
    }
}
