//! `day5.nodes`: every node is Ready and takes work.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::observed::Fact;
use crate::plan::model::Plan;
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day5.nodes";
const BAND: Band = Band::new(10, 120);

pub struct Nodes {
    outline: Outline,
    nodes: Vec<String>,
}

pub fn step(plan: &Plan) -> Nodes {
    let title = format!("all {} nodes are Ready and take work", plan.nodes.len());
    let nodes = plan.nodes.iter().map(|n| n.name.clone()).collect();
    Nodes { outline: outlines::check(StepId::new(KIND), 5, title, BAND, "kubectl get nodes"), nodes }
}

#[async_trait]
impl Check<Installation> for Nodes {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let nodes = site.kubernetes()?.nodes().await.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
        for wanted in &site.plan.nodes {
            let seen = match nodes.value.iter().find(|n| n.name == wanted.name) {
                None => "it is not registered".to_string(),
                Some(n) if !n.ready => format!("{}: {}", n.reason, n.message),
                Some(n) => match n.taints.iter().find(|t| t.ends_with(":NoSchedule") || t.ends_with(":NoExecute")) {
                    Some(taint) => format!("taint {taint}"),
                    None => continue,
                },
            };
            return Ok(Observed::Underway(Wait::new(format!("{} is Ready and takes work", wanted.name), seen, BAND)));
        }
        let evidence = Evidence::of("Kubernetes", cx.clock().now(), &nodes);
        Ok(Observed::Satisfied(Proof::new(format!("{} nodes are Ready", site.plan.nodes.len()), evidence)))
    }

    fn rests_on(&self) -> Vec<Fact> {
        self.nodes.iter().cloned().map(Fact::NodeReady).collect()
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NODE, None, None, Duration::from_secs(4)).await;
    }
}
