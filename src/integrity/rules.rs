//! The checks that no step has: pure functions of what was read.
mod platform;

pub use platform::*;

use super::Verdict;
use super::read::{Cluster, Read, Site};
use crate::cozystack::addons::{CLUSTER_API_NAMESPACE, CSI_NAMESPACE};
use crate::kubernetes::PodStatus;
use crate::plan::model::{Plan, Role};

use crate::base::text::{clean, some};
use serde_json::Value;
use std::time::Duration;

const LINSTOR_NAMESPACE: &str = "cozy-linstor";
/// A Proxmox VE that takes longer than this makes every act slow.
const SLOW: Duration = Duration::from_secs(5);
/// The most names that one row shows.
const NAMES: usize = 5;

macro_rules! known {
    ($read:expr) => {
        match &$read {
            Ok(value) => value,
            Err(why) => return Verdict::NoAnswer { why: why.clone() },
        }
    };
}

use known;

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn name_of(object: &Value) -> String {
    let name = clean(text(object, "/metadata/name"));
    match text(object, "/metadata/namespace") {
        "" => name,
        namespace => format!("{}/{name}", clean(namespace)),
    }
}

/// What is wrong, if something is; else what is right.
fn judged(wrong: &[String], next: &str, right: impl Into<String>) -> Verdict {
    if wrong.is_empty() { Verdict::holds(right) } else { Verdict::differs(some(wrong, NAMES), next) }
}

pub fn api(cluster: &Cluster, _: &Plan) -> Verdict {
    Verdict::holds(known!(cluster.version).git_version.clone())
}

pub fn nodes(cluster: &Cluster, plan: &Plan) -> Verdict {
    let nodes = known!(cluster.nodes);
    let wrong = plan.nodes.iter().filter_map(|planned| {
        let Some(node) = nodes.iter().find(|n| text(n, "/metadata/name") == planned.name) else {
            return Some(format!("{} is not in the cluster", planned.name));
        };
        let cordoned = node.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or_default();
        cordoned.then(|| format!("{} is cordoned", planned.name))
    });
    let wrong: Vec<String> = wrong.collect();
    judged(
        &wrong,
        "kubectl get nodes; `kubectl uncordon NODE` lets it take pods again",
        format!("{} nodes", plan.nodes.len()),
    )
}

pub fn control_plane(cluster: &Cluster, plan: &Plan) -> Verdict {
    let pods = known!(cluster.pods);
    let mut wrong = Vec::new();
    for node in plan.nodes.iter().filter(|n| n.role == Role::ControlPlane) {
        for part in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let name = format!("{part}-{}", node.name);
            if !pods.iter().any(|p| p.namespace == "kube-system" && p.name == name && p.ready) {
                wrong.push(format!("kube-system/{name} is not ready"));
            }
        }
    }
    judged(&wrong, "kubectl get pods -n kube-system; talosctl logs of the container says why", "all ready")
}

pub fn versions(cluster: &Cluster, plan: &Plan) -> Verdict {
    let (version, nodes) = (known!(cluster.version), known!(cluster.nodes));
    let wanted = plan.talos.kubernetes.trim_start_matches('v');
    let is_other = |version: &str| version.trim_start_matches('v') != wanted;
    let mut wrong: Vec<String> = Vec::new();
    if is_other(&version.git_version) {
        wrong.push(format!("the API server has {}", version.git_version));
    }
    let planned = |n: &&Value| plan.nodes.iter().any(|p| p.name == text(n, "/metadata/name"));
    for node in nodes.iter().filter(planned) {
        let kubelet = text(node, "/status/nodeInfo/kubeletVersion");
        if is_other(kubelet) {
            wrong.push(format!("the kubelet of {} has {}", name_of(node), clean(kubelet)));
        }
    }
    judged(&wrong, "the plan's talos.kubernetes, or an upgrade that somebody began", format!("v{wanted}"))
}

pub fn namespace(cluster: &Cluster, _: &Plan) -> Verdict {
    match known!(cluster.namespace) {
        true => Verdict::holds(CLUSTER_API_NAMESPACE),
        false => {
            Verdict::differs(format!("there is no namespace {CLUSTER_API_NAMESPACE}"), "kubectl get helmreleases -A")
        }
    }
}

fn is_well(pod: &PodStatus) -> bool {
    pod.phase == "Succeeded" || (pod.phase == "Running" && pod.ready)
}

fn pods_where(cluster: &Cluster, counts: impl Fn(&PodStatus) -> bool) -> Verdict {
    let pods: Vec<&PodStatus> = known!(cluster.pods).iter().filter(|p| counts(p)).collect();
    let unwell = pods.iter().filter(|p| !is_well(p));
    let wrong: Vec<String> = unwell
        .map(|p| {
            format!("{}/{} {} {}", p.namespace, p.name, p.phase, p.waiting_reason.as_deref().unwrap_or("not ready"))
        })
        .collect();
    if pods.is_empty() {
        return Verdict::differs("there is no pod", "kubectl get pods -A; kubectl get helmreleases -A");
    }
    judged(&wrong, "kubectl describe of the pod that is named", format!("{} pods", pods.len()))
}

pub fn cluster_api_pods(cluster: &Cluster, _: &Plan) -> Verdict {
    pods_where(cluster, |p| p.namespace == CLUSTER_API_NAMESPACE)
}

pub fn storage_pods(cluster: &Cluster, _: &Plan) -> Verdict {
    pods_where(cluster, |p| p.namespace == CSI_NAMESPACE || p.namespace == LINSTOR_NAMESPACE)
}

/// Pods of the platform's own namespaces on the plan's nodes; those of tenants are theirs.
pub fn platform_pods(cluster: &Cluster, plan: &Plan) -> Verdict {
    pods_where(cluster, |p| {
        let ours = p.namespace.starts_with("cozy-") || p.namespace == "kube-system";
        ours && (p.node.is_empty() || plan.nodes.iter().any(|n| n.name == p.node))
    })
}

/// What is wrong with a workload; `None` when as many pods are ready as it wants.
fn lacking(list: &[Value], namespace: &str, name: &str, wanted: &str, ready: &str) -> Option<String> {
    let is_it = |o: &&Value| text(o, "/metadata/namespace") == namespace && text(o, "/metadata/name") == name;
    let Some(object) = list.iter().find(is_it) else { return Some(format!("{namespace}/{name} is not there")) };
    let wanted = object.pointer(wanted).and_then(Value::as_u64).unwrap_or(1);
    let ready = number(object, ready);
    (ready < wanted).then(|| format!("{namespace}/{name} has {ready} of {wanted} pods"))
}

fn deployment(list: &[Value], namespace: &str, name: &str) -> Option<String> {
    lacking(list, namespace, name, "/spec/replicas", "/status/availableReplicas")
}

fn daemon_set(list: &[Value], namespace: &str, name: &str) -> Option<String> {
    lacking(list, namespace, name, "/status/desiredNumberScheduled", "/status/numberReady")
}

fn run(
    deployments: &Read<Vec<Value>>,
    those: &[(&str, &str)],
    daemons: &Read<Vec<Value>>,
    sets: &[(&str, &str)],
) -> Verdict {
    let mut wrong = Vec::new();
    if !those.is_empty() {
        let list = known!(*deployments);
        wrong.extend(those.iter().filter_map(|(namespace, name)| deployment(list, namespace, name)));
    }
    if !sets.is_empty() {
        let list = known!(*daemons);
        wrong.extend(sets.iter().filter_map(|(namespace, name)| daemon_set(list, namespace, name)));
    }
    judged(&wrong, "kubectl describe of what is named, then its pods", "available")
}

fn deployments(cluster: &Cluster, those: &[(&str, &str)]) -> Verdict {
    run(&cluster.deployments, those, &cluster.daemon_sets, &[])
}

pub fn core_provider(cluster: &Cluster, _: &Plan) -> Verdict {
    deployments(cluster, &[(CLUSTER_API_NAMESPACE, "capi-controller-manager")])
}

pub fn bootstrap_provider(cluster: &Cluster, _: &Plan) -> Verdict {
    deployments(cluster, &[(CLUSTER_API_NAMESPACE, "capi-kubeadm-bootstrap-controller-manager")])
}

pub fn control_plane_provider(cluster: &Cluster, _: &Plan) -> Verdict {
    deployments(cluster, &[(CLUSTER_API_NAMESPACE, "capi-kamaji-controller-manager")])
}

pub fn proxmox_clusters(cluster: &Cluster, _: &Plan) -> Verdict {
    let all = known!(cluster.proxmox_clusters);
    let ready = |c: &&Value| c.pointer("/status/ready").and_then(Value::as_bool).unwrap_or_default();
    let wrong: Vec<String> = all.iter().filter(|c| !ready(c)).map(|c| format!("{} is not ready", name_of(c))).collect();
    judged(&wrong, "kubectl describe proxmoxclusters -A", format!("{} of them", all.len()))
}

pub fn proxmox_machines(cluster: &Cluster, _: &Plan) -> Verdict {
    let all = known!(cluster.proxmox_machines);
    let has_vm = |m: &&Value| number(m, "/spec/virtualMachineID") > 0 && !text(m, "/spec/providerID").is_empty();
    let wrong = all.iter().filter(|m| !has_vm(m)).map(|m| match m.pointer("/metadata/ownerReferences/0") {
        None => format!("{} has no owner Machine: no VM will come", name_of(m)),
        Some(_) => format!("{} has no VM", name_of(m)),
    });
    let wrong: Vec<String> = wrong.collect();
    judged(
        &wrong,
        "kubectl describe proxmoxmachines -A; its conditions say what it waits for",
        format!("{} of them", all.len()),
    )
}

fn definition(cluster: &Cluster, name: &str) -> Verdict {
    let next = "kubectl get crd; the provider's components bring it (day4.capmox)";
    let Some(read) = cluster.definitions.get(name) else {
        return Verdict::differs(format!("{name} was not read"), next);
    };
    let Some(found) = known!(*read) else { return Verdict::differs(format!("there is no definition {name}"), next) };
    let conditions = found.pointer("/status/conditions").and_then(Value::as_array);
    let is = |c: &Value| text(c, "/type") == "Established" && text(c, "/status") == "True";
    match conditions.is_some_and(|all| all.iter().any(is)) {
        true => Verdict::holds("established"),
        false => Verdict::differs(format!("{name} is not established"), next),
    }
}

pub fn proxmoxclusters(cluster: &Cluster, _: &Plan) -> Verdict {
    definition(cluster, super::table::DEFINITIONS[0])
}

pub fn proxmoxmachines(cluster: &Cluster, _: &Plan) -> Verdict {
    definition(cluster, super::table::DEFINITIONS[1])
}

pub fn proxmoxclustertemplates(cluster: &Cluster, _: &Plan) -> Verdict {
    definition(cluster, super::table::DEFINITIONS[2])
}

pub fn proxmoxmachinetemplates(cluster: &Cluster, _: &Plan) -> Verdict {
    definition(cluster, super::table::DEFINITIONS[3])
}

pub fn served(cluster: &Cluster, _: &Plan) -> Verdict {
    let mut wrong = Vec::new();
    for (name, read) in &cluster.definitions {
        let versions = known!(*read).as_ref().and_then(|d| d.pointer("/spec/versions")).and_then(Value::as_array);
        let serves =
            |v: &Value| text(v, "/name") == "v1alpha1" && v.get("served").and_then(Value::as_bool) == Some(true);
        if !versions.is_some_and(|all| all.iter().any(serves)) {
            wrong.push(format!("{name} does not serve v1alpha1"));
        }
    }
    judged(&wrong, "the version of capmox in the plan (integration.capmox)", "v1alpha1")
}

pub fn response_time(site: &Site, _: &Plan) -> Verdict {
    let took = *known!(site.answered_in);
    match took <= SLOW {
        true => Verdict::holds(format!("{} ms", took.as_millis())),
        false => Verdict::differs(
            format!("{:.1} s", took.as_secs_f64()),
            "load and disks of the node that answers: pveperf, pvesm status",
        ),
    }
}

pub fn hosts(site: &Site, plan: &Plan) -> Verdict {
    let nodes = known!(site.nodes);
    let wanted = plan.hosts();
    let wrong = wanted.iter().filter_map(|host| match nodes.iter().find(|n| n.node == **host) {
        None => Some(format!("there is no node {host}")),
        Some(node) if node.status != "online" => Some(format!("{host} is {}", clean(&node.status))),
        Some(_) => None,
    });
    let wrong: Vec<String> = wrong.collect();
    judged(&wrong, "pvecm status", wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
