//! `teardown.workloads`: nobody else has put anything into the cluster that would outlive it without an owner: volumes
//! of the Proxmox CSI driver and VMs of Cluster API.
use super::{no_cluster, nobody_to_ask};
use crate::base::day::Day;
use crate::base::text::some;
use crate::cozystack::addons::CSI_DRIVER_NAME;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::kubernetes::{Error, Kind};
use crate::steps::cluster::{is_ours, part, seen, text};
use crate::steps::site::{Installation, Reading};
use crate::steps::{cluster_api, failures, outlines, workers};
use async_trait::async_trait;
use serde_json::{Value, json};

pub const KIND: &str = "teardown.workloads";
const BAND: Band = Band::new(5, 60);
/// Names shown of many.
const SHOWN: usize = 5;

pub struct Workloads {
    outline: Outline,
}

pub fn step(after: Vec<StepId>) -> Workloads {
    let title = "nobody's volumes or machines in Proxmox VE depend on the cluster";
    let by_hand = "kubectl get persistentvolumes\nkubectl get proxmoxmachines -A";
    Workloads { outline: outlines::check_on(StepId::new(KIND), Day::Teardown, title, BAND, by_hand).after(after) }
}

fn is_on_proxmox(volume: &Value) -> bool {
    text(volume, "/spec/csi/driver") == CSI_DRIVER_NAME
}

/// The run's own machines, which go by steps of their own.
fn is_the_runs(site: &Reading, machine: &Value) -> bool {
    let namespace = text(machine, "/metadata/namespace");
    let is_of_a_group = workers::GROUPS.iter().any(|group| group.namespace == namespace);
    is_ours(site, machine) && (namespace == cluster_api::NAMESPACE || is_of_a_group)
}

fn names(objects: &[Value]) -> Vec<String> {
    let name = |o: &Value| match (text(o, "/metadata/namespace"), text(o, "/metadata/name")) {
        ("", name) => name.to_string(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    objects.iter().map(name).collect()
}

#[async_trait]
impl Check<Installation> for Workloads {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        match self.ask(cx, site).await {
            Err(failure) => nobody_to_ask(cx, site, failure).await,
            observed => observed,
        }
    }
}

impl Workloads {
    async fn ask(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        if let Some(proof) = no_cluster(cx, site)? {
            return Ok(Observed::Satisfied(proof));
        }
        let doing = "ask the cluster who lives in it";
        let failed = |e: &Error| failures::kubernetes(e, doing);
        let reader = site.kubernetes()?;
        let volumes = reader.list(&Kind::PERSISTENT_VOLUME, None, None).await.map_err(|e| failed(&e))?;
        let on_proxmox: Vec<Value> = volumes.value.iter().filter(|v| is_on_proxmox(v)).cloned().collect();
        let machines = match reader.list(&Kind::PROXMOX_MACHINE, None, None).await {
            Ok(machines) => Some(machines),
            // Its kind was never installed.
            Err(Error::NotFound) => None,
            Err(e) => return Err(failed(&e)),
        };
        let others = machines.iter().flat_map(|m| &m.value).filter(|m| !is_the_runs(site, m));
        let found = names(&others.cloned().collect::<Vec<_>>());
        let mut problems = Vec::new();
        if !on_proxmox.is_empty() {
            let names = names(&on_proxmox);
            problems.push(format!("{} volumes on Proxmox VE belong to it: {}", names.len(), some(&names, SHOWN)));
        }
        if !found.is_empty() {
            problems.push(format!("{} machines in Proxmox VE belong to it: {}", found.len(), some(&found, SHOWN)));
        }
        if !problems.is_empty() {
            return Ok(Observed::Conflict(Failure::person(
                format!("the cluster is in use: {}", problems.join("; ")),
                "save what is needed, delete those claims and clusters with kubectl and wait until they are gone from \
                 Proxmox VE; the teardown then goes on by itself",
            )));
        }
        let rows = volumes.value.iter().map(|v| json!([text(v, "/metadata/name"), text(v, "/spec/csi/driver")]));
        let summary = "no volume and no machine in Proxmox VE belongs to the cluster";
        let proof = Proof::new(summary, seen(cx, &part(&volumes, "names and drivers", rows)));
        Ok(Observed::Satisfied(match machines {
            Some(machines) => proof.and(seen(cx, &machines)),
            None => proof,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_told_by_their_driver_and_many_names_are_cut_short() {
        let volume = |driver: &str| json!({"spec": {"csi": {"driver": driver}}});
        assert!(
            is_on_proxmox(&volume("csi.proxmox.sinextra.dev")) && !is_on_proxmox(&volume("linstor.csi.linbit.com"))
        );
        let all: Vec<Value> =
            (0..7).map(|n| json!({"metadata": {"name": format!("m{n}"), "namespace": "t"}})).collect();
        assert_eq!(some(names(&all), SHOWN), "t/m0, t/m1, t/m2, t/m3, t/m4 and 2 more");
    }
}
