//! Linked clones of a template: their disks are layers over its own, so that neither can go before them.
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::plan::model::Template;
use crate::proxmox::{VmRow, Volume};
use crate::steps::site::Reading;
use crate::steps::{failures, owner};

const DOING: &str = "look for linked clones of the template";

/// Those whose base is a disk of VM `vmid`. Storages that layer disks name the base before the clone's own name
/// (`STORAGE:base-9100-disk-0/vm-555-disk-0`; pve-storage, `parse_volname`).
fn layered(volumes: &[Volume], vmid: Vmid) -> Vec<&Volume> {
    let bases = || volumes.iter().filter(|v| v.vmid == Some(vmid));
    let is_over =
        |v: &&Volume| bases().any(|base| v.volid.strip_prefix(&base.volid).is_some_and(|rest| rest.starts_with('/')));
    volumes.iter().filter(|v| v.vmid != Some(vmid)).filter(is_over).collect()
}

/// Returns the failure to report when linked clones prevent the template from being destroyed.
///
/// # Errors
/// When Proxmox VE does not answer.
pub async fn clones(site: &Reading, template: &Template) -> Result<Option<Failure>, Failure> {
    let content = site.proxmox.storage_content(&template.host, &template.storage, "images").await;
    let content = content.map_err(|e| failures::proxmox(&e, DOING))?;
    let mut ids: Vec<Vmid> = layered(&content.value, template.vmid).iter().filter_map(|v| v.vmid).collect();
    ids.sort_unstable();
    ids.dedup();
    // They go with the run, before the template.
    ids.retain(|id| !site.also.contains(id));
    if ids.is_empty() {
        return Ok(None);
    }
    let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, DOING))?;
    let row = |id: &Vmid| all.value.iter().find(|r: &&VmRow| r.vmid == *id);
    let named: Vec<String> = ids.iter().map(|id| row(id).map_or_else(|| format!("vm {id}"), owner::named)).collect();
    Ok(Some(Failure::person(
        format!("linked clones need the template's disk: {}", named.join(", ")),
        "give each of them a disk of its own (a full clone, or `qm disk move` to another storage), destroy it if nobody \
         needs it, or name it with --also VMID; the teardown then goes on by itself",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(volid: &str, vmid: Vmid) -> Volume {
        Volume { volid: volid.into(), content: "images".into(), format: "raw".into(), size: Some(1), vmid: Some(vmid) }
    }

    #[test]
    fn a_clone_is_told_by_the_base_in_its_name_on_every_kind_of_storage() {
        for (base, clone) in [
            ("tank:base-9100-disk-0", "tank:base-9100-disk-0/vm-555-disk-0"),
            ("dir:9100/base-9100-disk-0.raw", "dir:9100/base-9100-disk-0.raw/555/vm-555-disk-0.qcow2"),
        ] {
            let volumes = [
                volume(base, Vmid::of(9100)),
                volume(clone, Vmid::of(555)),
                volume("tank:vm-1001-disk-0", Vmid::of(1001)),
            ];
            let found: Vec<&str> = layered(&volumes, Vmid::of(9100)).iter().map(|v| v.volid.as_str()).collect();
            assert_eq!(found, [clone]);
        }
        let other = [
            volume("tank:base-9100-disk-0", Vmid::of(9100)),
            volume("tank:base-9100-disk-01/vm-105-disk-0", Vmid::of(105)),
        ];
        assert!(layered(&other, Vmid::of(9100)).is_empty());
    }
}
