//! `day6.removal`: the Cluster is deleted, and with it the VM: no object, no VM, no CD-ROM of it is left.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{self, Kind};
use crate::plan::model::Plan;
use crate::proxmox::VmRow;
use crate::steps::cluster::{foreign, get, is_ours, text};
use crate::steps::cluster_api::{self, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines, teardown};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day6.removal";
const BAND: Band = Band::new(60, 600);

pub struct Removal {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Removal {
    let title = "the VM is removed through Cluster API, and Proxmox VE has it no more";
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, by_hand())
        .after([StepId::new(super::vm::KIND)])
        .momentary();
    Removal { outline }
}

fn by_hand() -> String {
    format!("kubectl delete -n {NAMESPACE} cluster.cluster.x-k8s.io smoke\nqm list")
}

/// Names of the CD-ROMs that capmox makes for VMs of the range.
fn is_cdrom(plan: &Plan, volid: &str) -> bool {
    let vmid = volid.rsplit('/').next().and_then(|f| f.strip_prefix("user-data-")?.strip_suffix(".iso")?.parse().ok());
    vmid.is_some_and(|vmid| cluster_api::range(plan).is_some_and(|range| range.contains(vmid)))
}

/// What is still in Proxmox VE, with the readings that say so.
async fn left(cx: &dyn Context, site: &Reading) -> Result<(Vec<VmRow>, Vec<String>, Vec<Evidence>), Failure> {
    let now = cx.clock().now();
    let (all, guests) = cluster_api::guests(site).await?;
    let mut readings = vec![Evidence::of("Proxmox", now, &all)];
    let host = &site.plan.template.host;
    let storages = site.proxmox.storages(host).await;
    let storages = storages.map_err(|e| failures::proxmox(&e, &format!("list the storages of {host}")))?;
    let mut cdroms = Vec::new();
    for storage in storages.value.iter().filter(|s| s.active && s.content.iter().any(|c| c == "iso")) {
        let content = site.proxmox.storage_content(host, &storage.storage, "iso").await;
        let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {}", storage.storage)))?;
        let found = content.value.iter().filter(|v| is_cdrom(&site.plan, &v.volid)).map(|v| v.volid.clone());
        cdroms.extend(found);
        readings.push(Evidence::of("Proxmox", now, &content));
    }
    Ok((guests, cdroms, readings))
}

impl Removal {
    async fn look(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = cluster_api::test(site)?.name;
        let reader = site.kubernetes()?;
        let wait = |seen: String| Ok(Observed::Underway(Wait::new("the VM and its objects are gone", seen, BAND)));
        if let Some(cluster) = get(&reader, &Kind::CLUSTER, Some(NAMESPACE), &name).await? {
            if !is_ours(site, &cluster.value) {
                return Ok(Observed::Conflict(foreign(&Kind::CLUSTER, Some(NAMESPACE), &name, &cluster.value)));
            }
            if text(&cluster.value, "/metadata/deletionTimestamp").is_empty() {
                return Ok(Observed::Absent(format!("Cluster {name} is there")));
            }
            let (guests, ..) = left(cx, site).await?;
            let named: Vec<String> = guests.iter().map(cluster_api::shown).collect();
            return wait(format!("Cluster {name} is being deleted; in Proxmox VE: {}", listed(&named)));
        }
        let mut readings = Vec::new();
        for kind in [Kind::MACHINE, Kind::PROXMOX_MACHINE, Kind::PROXMOX_CLUSTER, Kind::IP_ADDRESS_CLAIM] {
            let found = match reader.list(&kind, Some(NAMESPACE), None).await {
                Ok(found) => found,
                // A cluster that never came to have Cluster API knows no such kind, and holds none of it.
                Err(kubernetes::Error::NotFound) => continue,
                Err(e) => return Err(failures::kubernetes(&e, &format!("list {}", kind.resource()))),
            };
            if let Some(one) = found.value.first() {
                return wait(format!("{} {} is still there", kind.kind, text(one, "/metadata/name")));
            }
            readings.push(Evidence::of("Kubernetes", cx.clock().now(), &found));
        }
        let (guests, cdroms, more) = left(cx, site).await?;
        readings.extend(more);
        if let Some(stray) = guests.first() {
            return Err(stray_left(stray));
        }
        if let Some(cdrom) = cdroms.first() {
            return Err(Failure::person(
                format!("{cdrom} is left, and no VM uses it"),
                format!("remove it if it is of day 6: pvesm free {cdrom}; the step goes on by itself"),
            ));
        }
        let mut readings = readings.into_iter();
        let first = readings.next().ok_or_else(|| Failure::defect("nothing was read"))?;
        let summary = "no VM of Cluster API is left, neither object, VM nor CD-ROM";
        Ok(Observed::Satisfied(readings.fold(Proof::new(summary, first), Proof::and)))
    }

    async fn delete(&self, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let name = cluster_api::test(site)?.name;
        let Some(cluster) = get(&site.kubernetes()?, &Kind::CLUSTER, Some(NAMESPACE), &name).await? else {
            return Ok(());
        };
        if !is_ours(site, &cluster.value) {
            return Err(foreign(&Kind::CLUSTER, Some(NAMESPACE), &name, &cluster.value));
        }
        let uid = text(&cluster.value, "/metadata/uid");
        let deleted = change.kubernetes()?.delete(&Kind::CLUSTER, Some(NAMESPACE), &name, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete Cluster {name}")))
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

/// Objects are gone, and a VM of the range is not: whose it is can't be proven.
fn stray_left(stray: &VmRow) -> Failure {
    Failure::person(
        format!("{} is left in the range of Cluster API, and no object knows it", cluster_api::shown(stray)),
        format!(
            "capmox makes a second clone now and then; if its notes are this run's, remove it on {}: qm stop {vmid}; \
             qm destroy {vmid} --purge; else move it out of tests.machine_vmids; the step goes on by itself",
            stray.node,
            vmid = stray.vmid,
        ),
    )
}

#[async_trait]
impl Step<Installation> for Removal {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        self.look(cx, site).await
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.delete(site, change).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}

/// The VM would outlive the cluster that made it, so it goes first.
#[async_trait]
impl crate::engine::step::Removal<Installation> for Removal {
    fn title(&self) -> String {
        "remove the VM that Cluster API made".into()
    }

    fn by_hand(&self) -> String {
        by_hand()
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        if let Some(proof) = teardown::no_cluster(cx, site)? {
            return Ok(Observed::Satisfied(proof));
        }
        match self.look(cx, site).await {
            Err(failure) => teardown::nobody_to_ask(cx, site, failure).await,
            observed => observed,
        }
    }

    async fn remove(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.delete(site, change).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn only_cdroms_of_the_range_are_day_sixs() {
        let mut plan = plan();
        plan.tests.machine_vmids = Some("9500-9509".parse().unwrap());
        plan.tests.machine_addresses = Some("10.0.0.180-10.0.0.185".parse().unwrap());
        assert!(is_cdrom(&plan, "local:iso/user-data-9500.iso"));
        assert!(!is_cdrom(&plan, "local:iso/user-data-950.iso"));
        assert!(!is_cdrom(&plan, "local:iso/debian.iso"));
    }
}
