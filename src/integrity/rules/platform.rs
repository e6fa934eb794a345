//! Network, storage, monitoring and security of the platform.
use super::{Verdict, deployment, deployments, judged, name_of, run, text};
use crate::base::text::clean;
use crate::cozystack::addons::METALLB_NAMESPACE;
use crate::integrity::read::Cluster;
use crate::kubernetes::{PodStatus, ReleaseStatus};
use crate::plan::model::Plan;
use serde_json::Value;
use std::collections::BTreeSet;

const MONITORING_NAMESPACE: &str = "cozy-monitoring";

pub fn coredns(cluster: &Cluster, _: &Plan) -> Verdict {
    deployments(cluster, &[("kube-system", "coredns")])
}

pub fn cilium(cluster: &Cluster, _: &Plan) -> Verdict {
    run(&cluster.deployments, &[("cozy-cilium", "cilium-operator")], &cluster.daemon_sets, &[("cozy-cilium", "cilium")])
}

pub fn kubeovn(cluster: &Cluster, _: &Plan) -> Verdict {
    let sets = [("cozy-kubeovn", "kube-ovn-cni"), ("cozy-kubeovn", "ovs-ovn")];
    run(&cluster.deployments, &[("cozy-kubeovn", "kube-ovn-controller")], &cluster.daemon_sets, &sets)
}

pub fn metallb(cluster: &Cluster, _: &Plan) -> Verdict {
    let sets = [(METALLB_NAMESPACE, "metallb-speaker")];
    run(&cluster.deployments, &[(METALLB_NAMESPACE, "metallb-controller")], &cluster.daemon_sets, &sets)
}

pub fn pod_addresses(cluster: &Cluster, _: &Plan) -> Verdict {
    let running: Vec<&PodStatus> = super::known!(cluster.pods).iter().filter(|p| p.phase == "Running").collect();
    let without = running.iter().filter(|p| p.ip.is_empty()).map(|p| format!("{}/{}", p.namespace, p.name));
    let wrong: Vec<String> = without.collect();
    judged(
        &wrong,
        "the network agent of the pod's node: kubectl get pods -n cozy-kubeovn -o wide",
        format!("{} pods", running.len()),
    )
}

pub fn services(cluster: &Cluster, _: &Plan) -> Verdict {
    let all = super::known!(cluster.services);
    let wrong = [("default", "kubernetes"), ("kube-system", "kube-dns")].into_iter().filter_map(|(namespace, name)| {
        let is_it = |s: &&Value| text(s, "/metadata/namespace") == namespace && text(s, "/metadata/name") == name;
        match all.iter().find(is_it).map(|s| text(s, "/spec/clusterIP")) {
            None => Some(format!("{namespace}/{name} is not there")),
            Some("" | "None") => Some(format!("{namespace}/{name} has no address")),
            Some(_) => None,
        }
    });
    let wrong: Vec<String> = wrong.collect();
    judged(&wrong, "kubectl get services -A", format!("{} Services", all.len()))
}

pub fn volumes(cluster: &Cluster, _: &Plan) -> Verdict {
    let (volumes, claims) = (super::known!(cluster.volumes), super::known!(cluster.claims));
    let in_phase = |all: &[Value], what: &str, phase: &str| {
        let those = all.iter().filter(|o| text(o, "/status/phase") == phase);
        those.map(|o| format!("{what} {} is {phase}", name_of(o))).collect::<Vec<_>>()
    };
    let wrong = [in_phase(volumes, "volume", "Failed"), in_phase(claims, "claim", "Lost")].concat();
    let right = format!("{} volumes, {} claims", volumes.len(), claims.len());
    judged(&wrong, "kubectl describe of what is named", right)
}

pub fn victoria_metrics(cluster: &Cluster, _: &Plan) -> Verdict {
    let those =
        [(MONITORING_NAMESPACE, "vmagent-vmagent"), ("cozy-victoria-metrics-operator", "victoria-metrics-operator")];
    deployments(cluster, &those)
}

pub fn metric_sources(cluster: &Cluster, _: &Plan) -> Verdict {
    let those = ["monitoring-agents-metrics-server", "monitoring-agents-kube-state-metrics"];
    deployments(cluster, &those.map(|name| (MONITORING_NAMESPACE, name)))
}

/// Namespaces of tenants that have the monitoring application.
fn monitored(releases: &[ReleaseStatus]) -> Vec<&str> {
    let is = |r: &&ReleaseStatus| r.name == "monitoring" && r.namespace.starts_with("tenant-");
    releases.iter().filter(is).map(|r| r.namespace.as_str()).collect()
}

fn of_tenants(cluster: &Cluster, is_part: fn(&str) -> bool, what: &str) -> Verdict {
    let (releases, list) = (super::known!(cluster.releases), super::known!(cluster.deployments));
    let tenants = monitored(releases);
    if tenants.is_empty() {
        return Verdict::not_asked("no tenant has monitoring");
    }
    let mut wrong = Vec::new();
    for tenant in &tenants {
        let of =
            list.iter().filter(|d| text(d, "/metadata/namespace") == *tenant && is_part(text(d, "/metadata/name")));
        let lacks: Vec<Option<String>> = of.map(|d| deployment(list, tenant, text(d, "/metadata/name"))).collect();
        match lacks.is_empty() {
            true => wrong.push(format!("{tenant} has no {what}")),
            false => wrong.extend(lacks.into_iter().flatten().map(|lack| clean(&lack))),
        }
    }
    judged(&wrong, "kubectl get deployments -n TENANT", tenants.join(", "))
}

pub fn grafana(cluster: &Cluster, _: &Plan) -> Verdict {
    of_tenants(cluster, |name| name.contains("grafana"), "Grafana")
}

pub fn alerting(cluster: &Cluster, _: &Plan) -> Verdict {
    of_tenants(cluster, |name| name.starts_with("vmalert"), "vmalert")
}

/// The two bindings for people without credentials that Kubernetes brings; they show versions and health alone.
const DEFAULTS: [&str; 2] = ["system:public-info-viewer", "system:discovery"];

pub fn anonymous(cluster: &Cluster, _: &Plan) -> Verdict {
    let all = super::known!(cluster.bindings);
    let is_anybody = |s: &Value| matches!(text(s, "/name"), "system:anonymous" | "system:unauthenticated");
    let binds = |b: &&Value| b.get("subjects").and_then(Value::as_array).is_some_and(|s| s.iter().any(is_anybody));
    let known = |b: &&Value| !DEFAULTS.contains(&text(b, "/metadata/name"));
    let wrong = all.iter().filter(binds).filter(known);
    let wrong: Vec<String> =
        wrong.map(|b| format!("{} gives {} to anybody", name_of(b), clean(text(b, "/roleRef/name")))).collect();
    judged(
        &wrong,
        "kubectl get clusterrolebindings -o wide; remove the one that is named, when nobody needs it",
        format!("{} bindings", all.len()),
    )
}

pub fn accounts(cluster: &Cluster, _: &Plan) -> Verdict {
    let (accounts, deployments, sets) =
        (super::known!(cluster.accounts), super::known!(cluster.deployments), super::known!(cluster.daemon_sets));
    let there: BTreeSet<(&str, &str)> =
        accounts.iter().map(|a| (text(a, "/metadata/namespace"), text(a, "/metadata/name"))).collect();
    let of_platform = |o: &&Value| text(o, "/metadata/namespace").starts_with("cozy-");
    let wrong = deployments.iter().chain(sets).filter(of_platform).filter_map(|o| {
        let (namespace, name) = (text(o, "/metadata/namespace"), text(o, "/spec/template/spec/serviceAccountName"));
        let name = if name.is_empty() { "default" } else { name };
        (!there.contains(&(namespace, name)))
            .then(|| format!("{} runs as {}, which is not there", name_of(o), clean(name)))
    });
    let wrong: Vec<String> = wrong.collect();
    judged(
        &wrong,
        "kubectl get serviceaccounts -A; Flux brings it back with its release",
        format!("{} accounts", accounts.len()),
    )
}

pub fn warnings(cluster: &Cluster, _: &Plan) -> Verdict {
    let all = super::known!(cluster.warnings);
    let Some(last) = all.iter().max_by_key(|w| w.last) else { return Verdict::Told { seen: "none".into() } };
    let (kind, name) = &last.about;
    Verdict::Told { seen: format!("{}; the last: {} {}/{name}: {}", all.len(), kind, last.namespace, last.reason) }
}
