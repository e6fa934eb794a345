//! `day9.nodes`: each machine is a node of the tenant's Kubernetes, by that Kubernetes' own word, with the provider id of its VM, and
//! the CD-ROM that carried the token with which it joined is gone.
//!
//! No node gets Ready: nothing that CozyStack v0.37.2 ships brings a network into such a cluster (`plan::day_8::NO_NETWORK`).
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::day_8::NO_NETWORK;
use crate::plan::model::Plan;
use crate::steps::cluster::{get, is_true, part, seen, text};
use crate::steps::site::{Installation, Reading};
use crate::steps::tenant_cluster::{self, SYSTEM, api, endpoint, wanted};
use crate::steps::workers::{Machine, OF_A_TENANT, machines};
use crate::steps::{cluster_api, failures, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day9.nodes";
const BAND: Band = Band::new(180, 900);

pub struct Nodes {
    outline: Outline,
    count: usize,
    template: String,
}

pub fn step(plan: &Plan) -> Nodes {
    let count = plan.tenant_workers() as usize;
    let title = format!("the tenant's Kubernetes has {count} node{}", if count == 1 { "" } else { "s" });
    let by_hand = format!(
        "{}\nkubectl get -n {} secret {}-kubeconfig -o jsonpath='{{.data.value}}' | base64 -d > tenant.kubeconfig\nkubectl --kubeconfig \
         tenant.kubeconfig get nodes -o wide",
        OF_A_TENANT.by_hand(),
        OF_A_TENANT.namespace,
        OF_A_TENANT.name
    );
    let outline = outlines::check(StepId::new(KIND), 9, title, BAND, by_hand);
    let template = plan.day_9().map(|vmid| vmid.to_string()).unwrap_or_default();
    Nodes { outline: outline.after([StepId::new(super::worker_vms::KIND)]).momentary(), count, template }
}

/// Why the machine is no node yet; `None` when it is one.
fn late(machine: &Machine, nodes: &[Value], template: &str) -> Option<String> {
    let Progress::Made(made) = &machine.progress else { return Some(machine.told()) };
    let of = |n: &&Value| text(n, "/spec/providerID") == machine.provider_id;
    let Some(node) = nodes.iter().find(of) else {
        return Some(format!(
            "vm {} runs and has not joined; if it stays so, look at its console: template {template} needs cloud-init, containerd, kubeadm and \
             a kubelet that is not newer than the control plane",
            made.vmid
        ));
    };
    let name = text(node, "/metadata/name");
    let uuid = text(node, "/status/nodeInfo/systemUUID").to_lowercase();
    if uuid != made.uuid {
        return Some(format!("node {name} calls itself vm {}, and its SMBIOS uuid is {uuid}", made.vmid));
    }
    (machine.node.as_deref() != Some(name) || machine.phase != "Running")
        .then(|| format!("{}: Cluster API says `{}`", machine.name, machine.phase))
}

/// `cluster-a-b (v1.33.0, not Ready)`
fn told(node: &Value) -> String {
    let ready = if is_true(node, "Ready") { "Ready" } else { "not Ready" };
    format!("{} ({}, {ready})", text(node, "/metadata/name"), text(node, "/status/nodeInfo/kubeletVersion"))
}

#[async_trait]
impl Check<Installation> for Nodes {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Some(set) = wanted(site).await? else { return Err(tenant_cluster::gone()) };
        let wait = |seen: String| {
            Ok(Observed::Underway(Wait::new(format!("{} machines are nodes of the tenant", self.count), seen, BAND)))
        };
        let kind = Kind::KAMAJI_CONTROL_PLANE;
        let control_plane = get(&site.kubernetes()?, &kind, Some(&set.namespace), &set.name).await?;
        let at = control_plane.map(|found| endpoint(&site.plan, &found.value)).transpose()?.flatten();
        let Some(at) = at else { return wait("the tenant's control plane is gone".into()) };
        let Some(reader) = api(site, &set, at).await? else {
            return wait(format!("Secret {} is gone", set.kubeconfig_secret()));
        };
        let all = reader.list(&Kind::NODE, None, None).await;
        let all = all.map_err(|e| failures::kubernetes(&e, "list the nodes of the tenant's Kubernetes"))?;
        let (answers, machines) = machines(site, &OF_A_TENANT).await?;
        if let Some(why) = machines.iter().find_map(|machine| late(machine, &all.value, &self.template)) {
            return wait(why);
        }
        if machines.len() != self.count || all.value.len() != self.count {
            return wait(format!("{} machines and {} nodes", machines.len(), all.value.len()));
        }
        let (stored, cdroms) = cluster_api::cdroms(site).await?;
        if let Some(cdrom) = cdroms.first() {
            return wait(format!("capmox has not removed {cdrom} yet, which holds a token of the tenant's Kubernetes"));
        }
        let rows = all.value.iter().map(|n| json!([text(n, "/metadata/name"), text(n, "/spec/providerID"), told(n)]));
        let shown = part(&all, "name, providerID, kubelet", rows);
        let names: Vec<String> = all.value.iter().map(told).collect();
        let summary = format!("joined with the provider ids of their VMs: {}", names.join(", "));
        let proof = Proof::new(summary, Evidence::of(SYSTEM, cx.clock().now(), &shown)).mind(NO_NETWORK);
        let proof = answers.iter().fold(proof, |proof, answer| proof.and(seen(cx, answer)));
        let of_proxmox = |answer| Evidence::of("Proxmox", cx.clock().now(), answer);
        Ok(Observed::Satisfied(stored.iter().map(of_proxmox).fold(proof, Proof::and)))
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::vmid::Vmid;
    use crate::cozystack::cluster_api::Made;

    fn machine(node: Option<&str>) -> Machine {
        let made = Made { vmid: Vmid::of(9500), uuid: "u-1".into(), node: "pve".into(), address: "10.0.0.181".into() };
        Machine {
            name: "cluster-a".into(),
            phase: if node.is_some() { "Running" } else { "Provisioned" }.into(),
            node: node.map(str::to_string),
            bootstrapped: true,
            provider_id: "proxmox://u-1".into(),
            progress: Progress::Made(made),
            drain: None,
        }
    }

    fn node(provider_id: &str, uuid: &str) -> Value {
        json!({"metadata": {"name": "cluster-a"}, "spec": {"providerID": provider_id},
            "status": {"nodeInfo": {"systemUUID": uuid, "kubeletVersion": "v1.33.0"}}})
    }

    #[test]
    fn a_machine_that_does_not_join_is_told_with_what_its_template_needs() {
        let why = late(&machine(None), &[], "9200").unwrap();
        assert!(why.contains("vm 9500") && why.contains("template 9200") && why.contains("kubeadm"), "{why}");
        // A node of another VM is no node of this one.
        assert!(late(&machine(None), &[node("proxmox://u-2", "u-2")], "9200").is_some());
    }

    #[test]
    fn a_node_counts_when_its_own_vm_stands_behind_it_and_cluster_api_has_found_it() {
        let (own, claimed) = (node("proxmox://u-1", "U-1"), node("proxmox://u-1", "u-2"));
        assert_eq!(late(&machine(Some("cluster-a")), std::slice::from_ref(&own), "9200"), None);
        assert!(late(&machine(None), &[own], "9200").unwrap().contains("Provisioned"));
        assert!(late(&machine(Some("cluster-a")), &[claimed], "9200").unwrap().contains("SMBIOS"));
    }
}
