//! A machine's seed under its name: as a file on a storage, and in a drive of its VM. Its name is its mark: it holds the
//! run's own, the VMID, and the start of the checksum.
use crate::base::answer::Answer;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::plan::model::NodePlan;
use crate::proxmox::{VmConfig, Volume};
use crate::steps::cluster::part;
use crate::steps::day2::config;
use crate::steps::failures;
use crate::steps::site::Reading;
use crate::talos::seed::{Seed, SeedConfig, seed};
use serde_json::json;

/// Content type of a storage that takes CD-ROMs.
pub const CONTENT: &str = "iso";
/// The drive that Proxmox VE gives to its own cloud-init image: of two with the same label Talos would read the first.
pub const SLOT: &str = "ide2";

/// The common prefix of every seed of this run for `vmid`: `cozyup-NAME.ID-1001-`.
fn stem(site: &Reading, vmid: Vmid) -> String {
    format!("cozyup-{}-{vmid}-", site.label())
}

/// `cozyup-NAME.ID-1001-1a2b3c4d.iso`
pub fn name(site: &Reading, vmid: Vmid, seed: &Seed) -> String {
    let sum: String = seed.sha256.chars().take(8).collect();
    format!("{}{sum}.iso", stem(site, vmid))
}

pub fn volume(site: &Reading, node: &NodePlan, name: &str) -> String {
    format!("{}:{CONTENT}/{name}", site.plan.iso_storage_of(node))
}

/// True when the volume is a seed with this prefix, on whichever storage.
fn begins(volid: &str, stem: &str) -> bool {
    let file = volid.split_once(':').and_then(|(_, path)| path.strip_prefix("iso/"));
    file.is_some_and(|file| file.starts_with(stem) && file.ends_with(".iso"))
}

/// The seed as it has to be, from the config that `day2.config` keeps and the VM's hardware address.
///
/// # Errors
/// When the config can't be read, or the card has no address.
pub fn wanted(site: &Reading, node: &NodePlan, vm: &VmConfig) -> Result<Seed, Failure> {
    let config = site.secret(&config::file(node))?;
    let Some(mac) = vm.net0_mac() else {
        return Err(Failure::person(format!("vm {} has no card net0", node.vmid), "run again: it is set anew"));
    };
    let network = &site.plan.network;
    let beside = SeedConfig {
        instance_id: format!("{}-{}", site.label(), node.vmid),
        hostname: node.name.clone(),
        mac,
        address: node.address,
        subnet: network.subnet,
        gateway: network.gateway,
        dns: network.dns.clone(),
    };
    seed(&beside, &config).map_err(|e| Failure::defect(format!("make the seed of {}: {e}", node.name)))
}

/// The seeds of this run on the storages of `host`.
pub struct Stored {
    /// Storage and volume.
    pub volumes: Vec<(String, Volume)>,
    /// One per storage that was asked.
    pub seen: Vec<Answer<()>>,
}

/// Looks on every storage with content `iso` that the token sees: the plan may have named another one before it was edited.
/// `planned`: the plan's storage, where it has to be among them.
///
/// # Errors
/// When a storage can't be listed, or the plan's is not there.
pub async fn stored(site: &Reading, host: &str, vmid: Vmid, planned: Option<&str>) -> Result<Stored, Failure> {
    let storages = site.proxmox.storages(host).await;
    let storages = storages.map_err(|e| failures::proxmox(&e, &format!("list the storages of {host}")))?;
    let takes = |content: &[String]| content.iter().any(|c| c == CONTENT);
    let usable: Vec<&str> = storages
        .value
        .iter()
        .filter(|row| row.active && row.enabled && takes(&row.content))
        .map(|row| row.storage.as_str())
        .collect();
    if let Some(wanted) = planned.filter(|wanted| !usable.contains(wanted)) {
        return Err(Failure::person(
            format!("storage {wanted} on {host} is not there, not active, or does not take content {CONTENT}"),
            format!("bring it back (pvesm set {wanted} --content LIST, with {CONTENT} in it): configs stand there"),
        ));
    }
    let stem = stem(site, vmid);
    let (mut volumes, mut seen) = (Vec::new(), Vec::new());
    for storage in usable {
        let content = site.proxmox.storage_content(host, storage, CONTENT).await;
        let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {storage} of {host}")))?;
        let ours: Vec<&Volume> = content.value.iter().filter(|v| begins(&v.volid, &stem)).collect();
        seen.push(part(&content, &format!("{stem}*.iso"), ours.iter().map(|v| json!([v.volid, v.size]))));
        volumes.extend(ours.into_iter().map(|v| (storage.to_string(), v.clone())));
    }
    if seen.is_empty() {
        seen.push(part(&storages, "storages that take CD-ROMs", []));
    }
    Ok(Stored { volumes, seen })
}

/// Slots and volumes of this run's seeds in the VM's drives.
pub fn inserted(site: &Reading, vmid: Vmid, vm: &VmConfig) -> Vec<(String, String)> {
    let stem = stem(site, vmid);
    let ours = vm.cdroms().filter(|(_, disk)| begins(&disk.volid, &stem));
    ours.map(|(slot, disk)| (slot.to_string(), disk.volid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_with_the_runs_mark_and_the_vms_id_is_a_seed_of_it() {
        let stem = "cozyup-cozy.0a1b2c3d-1001-";
        assert!(begins("local:iso/cozyup-cozy.0a1b2c3d-1001-1a2b3c4d.iso", stem));
        for other in [
            "local:iso/cozyup-cozy.0a1b2c3d-10011-1a2b3c4d.iso",
            "local:iso/cozyup-cozy.ffffffff-1001-1a2b3c4d.iso",
            "local:iso/debian.iso",
            "local:import/cozyup-cozy.0a1b2c3d-1001-1a2b3c4d.iso",
            "local-lvm:vm-1001-cloudinit",
        ] {
            assert!(!begins(other, stem), "{other}");
        }
    }
}
