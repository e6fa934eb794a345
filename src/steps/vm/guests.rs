//! The guests of the site, and which of them are the run's own.
use crate::base::answer::Answer;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::proxmox::{Error, VmConfig, VmRow};
use crate::steps::site::Reading;
use crate::steps::{cluster_api, failures, owner};
use std::collections::BTreeMap;

pub struct Guests {
    /// All that the token may see.
    pub all: Answer<Vec<VmRow>>,
    /// The plan's VMs that exist and are the run's own, by VMID.
    pub ours: BTreeMap<Vmid, VmConfig>,
    /// In the plan's VMIDs, and not ours: whose they are, by VMID.
    pub strange: BTreeMap<Vmid, String>,
    /// In the plan's VMIDs, being made: they show no mark yet.
    pub unborn: Vec<VmRow>,
}

impl Guests {
    /// Those of an empty site.
    #[cfg(test)]
    pub fn none() -> Guests {
        let all = Answer::new("", "", "", Vec::new());
        Guests { all, ours: BTreeMap::new(), strange: BTreeMap::new(), unborn: Vec::new() }
    }

    /// Those whose memory, names and disks are not the plan's.
    pub fn others(&self) -> impl Iterator<Item = &VmRow> {
        self.all.value.iter().filter(|r| !self.is_ours(r.vmid) && !self.unborn.iter().any(|u| u.vmid == r.vmid))
    }

    pub fn is_ours(&self, vmid: Vmid) -> bool {
        self.ours.contains_key(&vmid)
    }
}

/// Asks for the configuration of those guests only that have a VMID of the plan: of none on an empty site.
///
/// # Errors
/// When Proxmox VE does not answer.
pub async fn read(cx: &dyn Context, site: &Reading) -> Result<Guests, Failure> {
    let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, "list the guests"))?;
    let mut guests = Guests { all, ours: BTreeMap::new(), strange: BTreeMap::new(), unborn: Vec::new() };
    let unknown = || "is not this run's".to_string();
    let by_cluster_api = |vmid: Vmid| cluster_api::may_have_made(&site.plan, vmid);
    for row in guests.all.value.iter().filter(|r| site.plan.has_vmid(r.vmid) || by_cluster_api(r.vmid)) {
        if row.kind != "qemu" {
            guests.strange.insert(row.vmid, unknown());
            continue;
        }
        match site.vm_config(&row.node, row.vmid).await {
            Ok(config) => match owner::of_vm(cx, site, row.vmid, &config.value) {
                Ok(()) => {
                    guests.ours.insert(row.vmid, config.value);
                }
                Err(_) if matches!(config.value.lock(), Some("create" | "clone")) => guests.unborn.push(row.clone()),
                Err(why) => {
                    guests.strange.insert(row.vmid, why.to_string());
                }
            },
            Err(Error::Forbidden { .. }) => {
                guests.strange.insert(row.vmid, unknown());
            }
            // The list is a few seconds late.
            Err(Error::NotFound { .. }) => {}
            Err(e) => return Err(failures::proxmox(&e, &format!("read vm {}", row.vmid))),
        }
    }
    Ok(guests)
}
