//! What the steps about workers of Cluster API share: their objects, the machines and nodes that came of them, and how the
//! two belong together.
use crate::base::answer::Answer;
use crate::cozystack::addons::{Keys, RUN_LABEL, Workers};
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::kubernetes::{self, Kind};
use crate::plan::model::Plan;
use crate::steps::cluster::{self, items, part, text};
use crate::steps::cluster_api::{network, shape, words};
use crate::steps::day2::config::of_cluster;
use crate::steps::failures;
use crate::steps::site::{Changing, Reading, files};
use crate::talos::config::{self, NodeConfig, Role};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const NAMESPACE: &str = "cozyup-workers";
/// Of the Cluster and everything beside it.
pub const NAME: &str = "workers";
/// The workers are there for a test and go again, so nobody's pods are to come to them.
pub const TAINT: &str = "cozyup.dev/test";

/// The workers of this plan.
///
/// # Errors
/// When the plan keeps nothing for Cluster API: no step about workers is there then.
pub fn set(site: &Reading) -> Result<Workers, Failure> {
    let (plan, tests) = (&site.plan, &site.plan.tests);
    let vip = plan.network.vip;
    Ok(Workers {
        name: NAME.into(),
        namespace: NAMESPACE.into(),
        shape: shape(site, tests.worker_cores, tests.worker_memory_mib, Some(tests.worker_disk_gib))?,
        network: network(site, |_| vip)?,
        kubernetes_version: format!("v{}", plan.talos.kubernetes.trim_start_matches('v')),
    })
}

/// Everything in a worker's config that is not a secret. Its node carries the run's label.
fn machine_config(plan: &Plan, run: &str) -> NodeConfig {
    NodeConfig {
        node_labels: BTreeMap::from([(RUN_LABEL.to_string(), run.to_string())]),
        taints: vec![TAINT.to_string()],
        ..of_cluster(plan, Role::Worker, None)
    }
}

/// What goes into the two Secrets.
///
/// # Errors
/// When the cluster's secrets can't be read.
pub fn keys(site: &Reading) -> Result<Keys, Failure> {
    let machine_config = config::render(&machine_config(&site.plan, site.label()), &site.bundle()?).map_err(|e| {
        Failure::person(format!("render the workers' machine config: {e}"), "correct the plan's network")
    })?;
    Ok(Keys { machine_config, kubeconfig: site.secret(files::KUBECONFIG)? })
}

/// A machine of the deployment, as Cluster API core and capmox speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Of Machine, ProxmoxMachine, VM and node.
    pub name: String,
    /// `Provisioned`, `Running`, `Deleting`
    pub phase: String,
    /// The node that core has found.
    pub node: Option<String>,
    /// `proxmox://UUID`, as capmox wrote it.
    pub provider_id: String,
    pub progress: Progress,
    /// What stands in the way of its going.
    pub drain: Option<String>,
}

impl Machine {
    fn of(machine: &Value, all: &[Value]) -> Machine {
        let named = text(machine, "/spec/infrastructureRef/name");
        let found = all.iter().find(|m| text(m, "/metadata/name") == named);
        let drain = cluster::condition(machine, "DrainingSucceeded").filter(|c| c.status == "False");
        Machine {
            name: text(machine, "/metadata/name").to_string(),
            phase: text(machine, "/status/phase").to_string(),
            node: machine.pointer("/status/nodeRef/name").and_then(Value::as_str).map(str::to_string),
            provider_id: found.map(|m| text(m, "/spec/providerID").to_string()).unwrap_or_default(),
            progress: found.map_or(Progress::Unseen, Progress::of),
            drain: drain.map(|c| c.message.to_string()),
        }
    }

    /// `workers-a-b: capmox is at it: Cloning`
    pub fn told(&self) -> String {
        match &self.drain {
            Some(why) => format!("{}: its node is being drained ({why})", self.name),
            None => format!("{}: {}", self.name, words(&self.progress)),
        }
    }
}

/// The machines in the namespace, with the two answers that they are from. None while their kinds are not installed.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn machines(site: &Reading) -> Result<(Vec<Answer<Vec<Value>>>, Vec<Machine>), Failure> {
    let mut answers = Vec::new();
    for kind in [Kind::MACHINE, Kind::PROXMOX_MACHINE] {
        match site.kubernetes()?.list(&kind, Some(NAMESPACE), None).await {
            Ok(found) => answers.push(found),
            Err(kubernetes::Error::NotFound) => {}
            Err(e) => return Err(failures::kubernetes(&e, &format!("list {}", kind.resource()))),
        }
    }
    let [machines, proxmox] = answers.as_slice() else { return Ok((answers, Vec::new())) };
    let found = machines.value.iter().map(|m| Machine::of(m, &proxmox.value)).collect();
    Ok((answers, found))
}

/// A node that carries the run's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub uid: String,
    pub ready: bool,
    pub provider_id: String,
    /// What the kubelet read from the VM's SMBIOS, in lower case.
    pub system_uuid: String,
    /// Keys of its taints but the test's own.
    pub taints: Vec<String>,
}

impl Node {
    fn of(node: &Value) -> Node {
        let ready = cluster::condition(node, "Ready").is_some_and(|c| c.status == "True");
        let taints = items(node, "/spec/taints").map(|t| text(t, "/key")).filter(|key| *key != TAINT);
        Node {
            name: text(node, "/metadata/name").to_string(),
            uid: text(node, "/metadata/uid").to_string(),
            ready,
            provider_id: text(node, "/spec/providerID").to_string(),
            system_uuid: text(node, "/status/nodeInfo/systemUUID").to_lowercase(),
            taints: taints.map(str::to_string).collect(),
        }
    }
}

/// The workers among the cluster's nodes, never one of the plan's, with the part of the answer that speaks of them.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn nodes(site: &Reading) -> Result<(Answer<()>, Vec<Node>), Failure> {
    let selector = format!("{RUN_LABEL}={}", site.label());
    let all = site.kubernetes()?.list(&Kind::NODE, None, Some(&selector)).await;
    let all = all.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
    let is_planned = |node: &Node| site.plan.nodes.iter().any(|n| n.name == node.name);
    let nodes: Vec<Node> = all.value.iter().map(Node::of).filter(|node| !is_planned(node)).collect();
    let rows = nodes.iter().map(|n| json!([n.name, n.ready, n.provider_id, n.system_uuid, n.taints]));
    Ok((part(&all, "name, Ready, providerID, systemUUID, taints", rows), nodes))
}

/// Deletes this very node.
///
/// # Errors
/// When the cluster refuses.
pub async fn delete_node(change: &Changing, node: &Node) -> Result<(), Failure> {
    let deleted = change.kubernetes()?.delete(&Kind::NODE, None, &node.name, &node.uid).await;
    deleted.map_err(|e| failures::kubernetes(&e, &format!("delete node {}", node.name)))
}

/// `kubectl get -n cozyup-workers …; kubectl get nodes; qm list`
pub fn by_hand() -> String {
    format!(
        "kubectl get -n {NAMESPACE} clusters.cluster.x-k8s.io,machinedeployments.cluster.x-k8s.io,machines.cluster.x-k8s.io,{}\n\
         kubectl get nodes\nqm list",
        Kind::PROXMOX_MACHINE.resource()
    )
}
