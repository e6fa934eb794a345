//! `node.rest/NAME`: the cluster is well without the machine.
use crate::base::day::Day;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::NodePlan;
use crate::steps::cluster::{is_true, part, proven, said, seen, text};
use crate::steps::drills::etcd;
use crate::steps::site::{Installation, Reading, address};
use crate::steps::{failures, outlines};
use crate::talos::Secure;
use async_trait::async_trait;
use serde_json::{Value, json};

pub const KIND: &str = "node.rest";
const BAND: Band = Band::new(30, 300);

pub struct Rest {
    outline: Outline,
    node: NodePlan,
}

pub fn step(node: &NodePlan, after: impl IntoIterator<Item = StepId>) -> Rest {
    let title = format!("the cluster is well without {}", node.name);
    let by_hand = "kubectl get nodes\ntalosctl -n ADDRESS etcd members\ntalosctl -n ADDRESS etcd status";
    let outline = outlines::check_on(StepId::of(KIND, &node.name), Day::Teardown, title, BAND, by_hand).after(after);
    Rest { outline, node: node.clone() }
}

/// What is not well among the nodes; the removed one must not be among them.
fn unwell(nodes: &[Value], removed: &str) -> Option<String> {
    nodes.iter().find_map(|node| {
        let name = text(node, "/metadata/name");
        match name == removed {
            true => Some(format!("node {name} is there")),
            false if !is_true(node, "Ready") => Some(format!("{name}: {}", said(node, "Ready"))),
            false => None,
        }
    })
}

#[async_trait]
impl Check<Installation> for Rest {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = &self.node.name;
        let wait = |seen: String| Ok(Observed::Underway(Wait::new(format!("all is well without {name}"), seen, BAND)));
        let nodes = site.kubernetes()?.list(&Kind::NODE, None, None).await;
        let nodes = nodes.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
        if let Some(unwell) = unwell(&nodes.value, name) {
            return wait(unwell);
        }
        let others = || site.plan.control_planes().filter(|other| other.name != *name);
        let members = etcd::members(cx, site, others()).await?;
        if let Some((other, why)) = members.unwell(others()) {
            return wait(format!("etcd of {other}: {why}"));
        }
        let Some(other) = others().next() else {
            return Err(Failure::broken("the plan has no other control plane", "correct the plan"));
        };
        let failed = |e| failures::talos(&e, "list the members of etcd");
        let list = Secure::connect(address(other), &site.admin()?).await.map_err(failed)?.etcd_members().await;
        let list = list.map_err(failed)?;
        let count = others().count();
        if list.value.len() != count {
            let names: Vec<&str> = list.value.iter().map(|member| member.hostname.as_str()).collect();
            return wait(format!("etcd has {} members: {}", names.len(), names.join(", ")));
        }
        let rows = nodes.value.iter().map(|n| json!([text(n, "/metadata/name"), is_true(n, "Ready")]));
        let shown = part(&nodes, "names, and whether they are Ready", rows);
        let summary =
            format!("{} nodes are Ready without {name}, and etcd has {}", nodes.value.len(), members.told(count));
        let listed = Evidence::of(format!("Talos {}", other.address), cx.clock().now(), &list);
        let readings = [seen(cx, &shown), listed].into_iter().chain(members.evidence()).collect();
        proven(summary, readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_removed_node_and_any_that_is_not_ready_are_told() {
        let node = |name: &str, ready: &str| json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        assert_eq!(unwell(&[node("cp1", "True")], "cp2"), None);
        assert!(unwell(&[node("cp1", "True"), node("cp2", "True")], "cp2").unwrap().contains("node cp2 is there"));
        assert!(unwell(&[node("cp1", "Unknown")], "cp2").unwrap().contains("Ready is Unknown"));
    }
}
