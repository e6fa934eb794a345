//! `day3.nodes_ready`: the pod network is there, so every node of the plan is Ready and takes pods.
use crate::engine::failure::Failure;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, NodeStatus};
use crate::observed::Fact;
use crate::plan::model::Plan;
use crate::steps::cluster::{proven, seen};
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day3.nodes_ready";
const BAND: Band = Band::new(300, 900);
/// Cilium takes it away when its agent on the node works.
const AGENT: &str = "node.cilium.io/agent-not-ready";

pub struct NodesReady {
    outline: Outline,
    nodes: Vec<String>,
}

pub fn step(plan: &Plan) -> NodesReady {
    let title = format!("all {} nodes are Ready", plan.nodes.len());
    let outline = outlines::check(StepId::new(KIND), 3, title, BAND, "kubectl get nodes -o wide")
        .after([StepId::new(super::installer::KIND)]);
    NodesReady { outline, nodes: plan.nodes.iter().map(|n| n.name.clone()).collect() }
}

/// The reason why the node can't carry pods yet.
fn lack(name: &str, nodes: &[NodeStatus]) -> Option<String> {
    let Some(node) = nodes.iter().find(|n| n.name == name) else { return Some(format!("{name} is not registered")) };
    if !node.ready {
        let reason = if node.reason.is_empty() { "no word from its kubelet" } else { &node.reason };
        return Some(format!("{name} is not Ready ({reason})"));
    }
    let taint = node.taints.iter().find(|t| t.starts_with(AGENT))?;
    Some(format!("{name} has the taint {taint}"))
}

#[async_trait]
impl Check<Installation> for NodesReady {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let nodes = site.kubernetes()?.nodes().await.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
        let lacks: Vec<String> = site.plan.nodes.iter().filter_map(|n| lack(&n.name, &nodes.value)).collect();
        let total = site.plan.nodes.len();
        if lacks.is_empty() {
            return proven(format!("all {total} nodes are Ready"), vec![seen(cx, &nodes)]);
        }
        let done = (total - lacks.len()) as u64;
        let wait = Wait::new(format!("{total} nodes are Ready"), lacks.join(", "), BAND);
        Ok(Observed::Underway(wait.with_progress(done, total as u64, "nodes")))
    }

    fn rests_on(&self) -> Vec<Fact> {
        self.nodes.iter().cloned().map(Fact::NodeReady).collect()
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NODE, None, None, Duration::from_secs(4)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_node_that_cilium_still_holds_back_is_not_enough() {
        let mut node = NodeStatus {
            name: "cp1".into(),
            ready: true,
            taints: vec![format!("{AGENT}:NoSchedule")],
            ..NodeStatus::default()
        };
        assert!(lack("cp1", std::slice::from_ref(&node)).unwrap().contains("has the taint"));
        node.taints.clear();
        assert_eq!(lack("cp1", std::slice::from_ref(&node)), None);
        assert!(lack("cp2", &[node]).unwrap().contains("not registered"));
    }
}
