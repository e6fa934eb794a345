//! `day4.topology_labels`: every node says in which region and on which Proxmox host it runs, and which VM it is; the CSI
//! driver registers on no node without the first, and finds the VM of a node by the second. By its name it could find
//! somebody else's VM.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::kubernetes::{Kind, NodeStatus};
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::{part, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "day4.topology_labels";
const BAND: Band = Band::new(5, 30);
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";

pub struct TopologyLabels {
    outline: Outline,
}

pub fn step(plan: &Plan) -> TopologyLabels {
    let region = &plan.integration.csi.region;
    let title = format!("every node is labelled with region {region} and its Proxmox host");
    let command = |n: &NodePlan| format!("kubectl label node {} {REGION}={region} {ZONE}={}", n.name, n.host);
    let by_hand: Vec<String> = plan.nodes.iter().map(command).collect();
    let by_hand = [by_hand, vec!["kubectl get nodes -o custom-columns=NAME:.metadata.name,ID:.spec.providerID".into()]];
    let by_hand = by_hand.concat();
    TopologyLabels { outline: outlines::change(StepId::new(KIND), 4, title, BAND, by_hand.join("\n")) }
}

fn wanted<'a>(region: &'a str, node: &'a NodePlan) -> [(&'static str, &'a str); 2] {
    [(REGION, region), (ZONE, &node.host)]
}

/// As the CSI driver and the cloud controller of Proxmox VE read it: `proxmox://REGION/VMID`.
fn provider_id(region: &str, node: &NodePlan) -> String {
    format!("proxmox://{region}/{}", node.vmid)
}

/// The part that a node's `spec.providerID` lacks; it can be set once and never changed.
fn look_id(name: &str, wanted: &str, found: &str) -> Labels {
    if found == wanted {
        return Labels::Fine;
    }
    if found.is_empty() {
        return Labels::Missing(format!("node {name} has no provider id"));
    }
    Labels::Other(Failure::refused(
        format!("node {name} has the provider id {found}, the plan makes it {wanted}"),
        "Kubernetes lets nobody change it: correct the plan, or let the node join anew (kubectl delete node, then restart \
         the machine)",
    ))
}

/// The state of one node's labels.
#[derive(Debug, PartialEq)]
enum Labels {
    Fine,
    Missing(String),
    /// Set to something else by somebody else.
    Other(Failure),
}

fn look(name: &str, wanted: &[(&str, &str)], nodes: &[NodeStatus]) -> Labels {
    let Some(node) = nodes.iter().find(|n| n.name == name) else {
        return Labels::Missing(format!("there is no node {name}"));
    };
    for (label, value) in wanted {
        match node.labels.get(*label) {
            Some(found) if found == value => {}
            Some(found) => {
                return Labels::Other(Failure::refused(
                    format!("node {name} is labelled {label}={found}, the plan says {value}"),
                    format!(
                        "volumes are bound to this label: correct the plan, or if no volume exists yet take it away \
                         with `kubectl label node {name} {label}-`, and the step sets it"
                    ),
                ));
            }
            None => return Labels::Missing(format!("node {name} has no label {label}")),
        }
    }
    Labels::Fine
}

#[async_trait]
impl Step<Installation> for TopologyLabels {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let nodes = site.kubernetes()?.nodes().await.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
        let region = &site.plan.integration.csi.region;
        let mut missing = None;
        for node in &site.plan.nodes {
            match look(&node.name, &wanted(region, node), &nodes.value) {
                Labels::Fine => {}
                Labels::Missing(what) => missing = missing.or(Some(what)),
                Labels::Other(failure) => return Ok(Observed::Conflict(failure)),
            }
        }
        let listed = site.kubernetes()?.list(&Kind::NODE, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
        for node in &site.plan.nodes {
            let object = listed.value.iter().find(|n| text(n, "/metadata/name") == node.name);
            let found = object.map(|n| text(n, "/spec/providerID")).unwrap_or_default();
            match look_id(&node.name, &provider_id(region, node), found) {
                Labels::Fine => {}
                Labels::Missing(what) => missing = missing.or(Some(what)),
                Labels::Other(failure) => return Ok(Observed::Conflict(failure)),
            }
        }
        if let Some(missing) = missing {
            return Ok(Observed::Absent(missing));
        }
        let ids = listed
            .value
            .iter()
            .map(|n| json!({"node": text(n, "/metadata/name"), "providerID": text(n, "/spec/providerID")}));
        let rows =
            nodes.value.iter().map(|n| json!({"node": n.name, REGION: n.labels.get(REGION), ZONE: n.labels.get(ZONE)}));
        let summary =
            format!("{} nodes carry region {region}, their host as zone and their VM's id", site.plan.nodes.len());
        let ids = seen(cx, &part(&listed, "the provider ids", ids));
        proven(summary, vec![seen(cx, &part(&nodes, "the topology labels", rows)), ids])
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let changer = change.kubernetes()?;
        for node in &site.plan.nodes {
            let labels = wanted(&site.plan.integration.csi.region, node);
            let done = changer.label_node(&node.name, &labels).await;
            done.map_err(|e| failures::kubernetes(&e, &format!("label node {}", node.name)))?;
            let id = json!({"spec": {"providerID": provider_id(&site.plan.integration.csi.region, node)}});
            let done = changer.merge_patch(&Kind::NODE, None, &node.name, &id).await;
            done.map_err(|e| failures::kubernetes(&e, &format!("say which VM node {} is", node.name)))?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NODE, None, None, Duration::from_secs(2)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn node(labels: &[(&str, &str)]) -> Vec<NodeStatus> {
        vec![NodeStatus {
            name: "cp1".into(),
            ready: true,
            labels: labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<BTreeMap<_, _>>(),
            ..NodeStatus::default()
        }]
    }

    /// cozystack.md 2.6
    #[test]
    fn a_node_names_its_vm_once_and_for_all() {
        assert_eq!(look_id("cp1", "proxmox://pve/1001", "proxmox://pve/1001"), Labels::Fine);
        assert!(matches!(look_id("cp1", "proxmox://pve/1001", ""), Labels::Missing(_)));
        let other = look_id("cp1", "proxmox://pve/1001", "proxmox://pve/1002");
        assert!(matches!(other, Labels::Other(f) if f.what.contains("pve/1002")));
        let plan = crate::steps::day0::tests::plan();
        assert_eq!(provider_id("pve", &plan.nodes[0]), "proxmox://pve/1001");
    }

    #[test]
    fn a_label_that_says_something_else_is_left_alone() {
        let wanted = [(REGION, "pve"), (ZONE, "host1")];
        assert_eq!(look("cp1", &wanted, &node(&wanted)), Labels::Fine);
        assert!(matches!(look("cp1", &wanted, &node(&wanted[..1])), Labels::Missing(m) if m.contains(ZONE)));
        let other = look("cp1", &wanted, &node(&[(REGION, "pve"), (ZONE, "host2")]));
        assert!(matches!(other, Labels::Other(f) if f.what.contains("zone=host2, the plan says host1")));
    }
}
