//! What the steps about workers of Cluster API share: their objects, the machines and nodes that came of them, and how the
//! two belong together.
pub mod answered;
pub mod counted;
pub mod deployed;
pub mod joined;
pub mod keys;
pub mod removed;

use crate::base::answer::Answer;
use crate::base::day::Day;
use crate::cozystack::addons::{RUN_LABEL, Workers};
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::kubernetes::{self, Kind};
use crate::steps::cluster::{self, items, part, text};
use crate::steps::cluster_api::{network, shape, words};
use crate::steps::site::{Changing, Reading};
use crate::steps::{day6, day9, failures, kept, tenancy};
use serde_json::{Value, json};

/// On a worker's node: the group that it is of. Nodes of older versions carry the run's label alone, and are day 6's.
const GROUP_LABEL: &str = "cozyup.dev/workers";

/// Workers of one MachineDeployment in a namespace of their own.
pub struct Group {
    pub namespace: &'static str,
    /// Of the Cluster and everything beside it; nodes and VMs are `NAME-XXXXX-XXXXX`.
    pub name: &'static str,
    /// Key of the taint with which the nodes register. Where there is one, nobody's pods are to come to them.
    pub taint: Option<&'static str>,
    pub day: Day,
    /// KIND of the step that gives Cluster API its objects.
    pub made_by: &'static str,
    /// KIND of the step that takes all of it back.
    pub removed_by: &'static str,
    /// The title of its removal in a teardown.
    pub going: &'static str,
}

/// There for a test, and gone after it.
pub static OF_DAY_6: Group = Group {
    namespace: "cozyup-workers",
    name: "workers",
    taint: Some("cozyup.dev/test"),
    day: Day::Number(6),
    made_by: day6::workers::KIND,
    removed_by: day6::worker_removal::KIND,
    going: "drain and remove the workers that Cluster API made",
};

/// Those that stay: `cozyup workers set`.
pub static KEPT: Group = Group {
    namespace: "cozyup-kept",
    name: "kept",
    taint: None,
    day: Day::Workers,
    made_by: kept::machines::KIND,
    removed_by: kept::removal::KIND,
    going: "drain and remove the workers that were to stay",
};

/// Those of a tenant's Kubernetes: nodes of another cluster.
pub static OF_A_TENANT: Group = Group {
    namespace: tenancy::THIRD_NAMESPACE,
    name: "cluster",
    taint: None,
    day: Day::Number(9),
    made_by: day9::workers::KIND,
    removed_by: day9::removal::KIND,
    going: "remove the Kubernetes of the tenant with its machines",
};

/// Every group, in the order in which they come.
pub static GROUPS: [&Group; 3] = [&OF_DAY_6, &OF_A_TENANT, &KEPT];

impl Group {
    /// True for workers that outlive the session that made them.
    pub fn stays(&self) -> bool {
        self.day == Day::Workers
    }

    /// `kubectl get -n cozyup-workers …; kubectl get nodes; qm list`
    pub fn by_hand(&self) -> String {
        format!(
            "kubectl get -n {} clusters.cluster.x-k8s.io,machinedeployments.cluster.x-k8s.io,machines.cluster.x-k8s.io,{}\n\
             kubectl get nodes\nqm list",
            self.namespace,
            Kind::PROXMOX_MACHINE.resource()
        )
    }
}

/// `1 worker`, `2 workers`
pub fn workers(count: u32) -> String {
    format!("{count} worker{}", if count == 1 { "" } else { "s" })
}

/// The workers of this plan in this group.
///
/// # Errors
/// When the plan keeps nothing for Cluster API: no step about workers is there then.
pub fn set(site: &Reading, group: &Group) -> Result<Workers, Failure> {
    let (plan, tests) = (&site.plan, &site.plan.tests);
    let vip = plan.network.vip;
    Ok(Workers {
        name: group.name.into(),
        namespace: group.namespace.into(),
        shape: shape(site, tests.worker_cores, tests.worker_memory_mib, Some(tests.worker_disk_gib))?,
        network: network(site, |_| vip)?,
        kubernetes_version: plan.kubernetes_version(),
    })
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
    /// The Machine's status says that its bootstrap data is there. Cluster API core v1.10.1 writes this only for the objects of
    /// a bootstrap provider, and capmox v0.7.7 takes the CD-ROM out only behind it.
    pub bootstrapped: bool,
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
            bootstrapped: machine.pointer("/status/bootstrapReady") == Some(&Value::Bool(true)),
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

/// The machines of the group, with the two answers that they are from. None while their kinds are not installed.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn machines(site: &Reading, group: &Group) -> Result<(Vec<Answer<Vec<Value>>>, Vec<Machine>), Failure> {
    let mut answers = Vec::new();
    for kind in [Kind::MACHINE, Kind::PROXMOX_MACHINE] {
        match site.kubernetes()?.list(&kind, Some(group.namespace), None).await {
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
    /// The group that it is of.
    group: String,
    /// Keys of its taints but the group's own.
    pub taints: Vec<String>,
}

impl Node {
    fn of(node: &Value, group: &Group) -> Node {
        let ready = cluster::condition(node, "Ready").is_some_and(|c| c.status == "True");
        let taints = items(node, "/spec/taints").map(|t| text(t, "/key")).filter(|key| Some(*key) != group.taint);
        let labels = node.pointer("/metadata/labels").and_then(|labels| labels.get(GROUP_LABEL));
        Node {
            name: text(node, "/metadata/name").to_string(),
            uid: text(node, "/metadata/uid").to_string(),
            ready,
            provider_id: text(node, "/spec/providerID").to_string(),
            system_uuid: text(node, "/status/nodeInfo/systemUUID").to_lowercase(),
            group: labels.and_then(Value::as_str).unwrap_or(OF_DAY_6.name).to_string(),
            taints: taints.map(str::to_string).collect(),
        }
    }
}

/// The group's workers among the cluster's nodes, never one of the plan's, with the part of the answer that speaks of them.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn nodes(site: &Reading, group: &Group) -> Result<(Answer<()>, Vec<Node>), Failure> {
    let selector = format!("{RUN_LABEL}={}", site.label());
    let all = site.kubernetes()?.list(&Kind::NODE, None, Some(&selector)).await;
    let all = all.map_err(|e| failures::kubernetes(&e, "list the nodes"))?;
    let is_planned = |node: &Node| site.plan.nodes.iter().any(|n| n.name == node.name);
    let found = all.value.iter().map(|node| Node::of(node, group));
    let nodes: Vec<Node> = found.filter(|node| node.group == group.name && !is_planned(node)).collect();
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
