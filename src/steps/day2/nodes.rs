//! `day2.nodes`: every node of the plan is registered in Kubernetes with its own address. NotReady is right here:
//! there is no network until CozyStack brings it.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.nodes";
const BAND: Band = Band::new(60, 240);

pub struct Nodes {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Nodes {
    let title = format!("all {} nodes are registered in Kubernetes", plan.nodes.len());
    let outline = outlines::check(StepId::new(KIND), 2, title, BAND, "kubectl get nodes -o wide")
        .after([StepId::new(super::access::KIND)]);
    Nodes { outline }
}

#[async_trait]
impl Check<Installation> for Nodes {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let nodes = site.kubernetes()?.nodes().await.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
        let mut present = 0u64;
        for node in &site.plan.nodes {
            match nodes.value.iter().find(|n| n.name == node.name) {
                Some(found) if found.address == node.address.to_string() => present += 1,
                Some(found) if !found.address.is_empty() => {
                    return Err(Failure::person(
                        format!(
                            "node {} is registered with {} and not with {}",
                            node.name, found.address, node.address
                        ),
                        "two machines have this name: find the other one and remove it",
                    ));
                }
                Some(_) | None => {}
            }
        }
        let wanted = site.plan.nodes.len() as u64;
        if present < wanted {
            let seen: Vec<&str> = nodes.value.iter().map(|n| n.name.as_str()).collect();
            let wait =
                Wait::new(format!("{wanted} nodes are registered"), format!("{present}: {}", seen.join(", ")), BAND)
                    .with_progress(present, wanted, "nodes");
            return Ok(Observed::Underway(wait));
        }
        let evidence = Evidence::of("Kubernetes", cx.clock().now(), &nodes);
        Ok(Observed::Satisfied(Proof::new(format!("{wanted} nodes are registered with their own addresses"), evidence)))
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NODE, None, None, Duration::from_secs(4)).await;
    }
}
