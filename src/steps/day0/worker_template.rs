//! `day0.worker_template`: the template that the plan names for a tenant's machines is there, and capmox can make machines of it.
//!
//! Whether it carries kubeadm no question to Proxmox VE tells; day 9 shows it.
use super::{Check, of_proxmox, proof};
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::proxmox::{Error, VmConfig};
use crate::steps::failures;
use crate::steps::site::Reading;

pub const KIND: &str = "day0.worker_template";
/// The disk that capmox boots and resizes.
const DISK: &str = "scsi0";
/// The drive that capmox puts its CD-ROM into.
const CDROM: &str = "ide0";

pub fn step(plan: &Plan) -> Check {
    let vmid = plan.day_9().map(|vmid| vmid.to_string()).unwrap_or_default();
    let title = format!("template {vmid} is there for a tenant's machines");
    let by_hand = format!("pvesh get /nodes/{}/qemu/{vmid}/config", plan.template.host);
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_hosts()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let plan = &site.plan;
    let vmid = plan.day_9().ok_or_else(|| Failure::defect("the plan names no template for a tenant's machines"))?;
    let host = &plan.template.host;
    let another = "tests.worker_template: the VMID of a template on the host of the Talos template (docs/WORKER-TEMPLATE.md says how one is made), \
                   or leave it out: day 9 then makes no cluster";
    let config = match site.vm_config(host, vmid).await {
        Ok(config) => config,
        Err(Error::NotFound { .. }) => {
            return Err(Failure::refused(
                format!("{host} has no vm {vmid}, which tests.worker_template names"),
                another,
            ));
        }
        Err(e) => return Err(failures::proxmox(&e, &format!("read template {vmid}"))),
    };
    let wrong = problems(&config.value, plan.tests.worker_disk_gib);
    if !wrong.is_empty() {
        let what = format!("capmox can't make a tenant's machines of vm {vmid}: {}", wrong.join("; "));
        return Err(Failure::refused(what, another));
    }
    let disk = config.value.disk(DISK).map(|disk| size(disk.size_bytes)).unwrap_or_default();
    let name = config.value.name().unwrap_or("without a name");
    proof(&format!("{name} (vm {vmid}) is a template with a disk of {disk}"), &[], vec![of_proxmox(cx, &config)])
}

/// What of the template stands in capmox' way (v0.7.7).
fn problems(config: &VmConfig, disk_gib: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    if !config.template() {
        wrong.push("it is no template (qm template makes it one)".to_string());
    }
    match config.disk(DISK) {
        None => wrong.push(format!("it has no disk {DISK}")),
        Some(disk) if disk.size_bytes > disk_gib << 30 => {
            wrong.push(format!("its disk has {}, and tests.worker_disk_gib is {disk_gib}", size(disk.size_bytes)));
        }
        Some(_) => {}
    }
    if !config.boot_order().contains(&DISK) {
        // capmox writes `OLD;ide0`, and Proxmox VE refuses an order that begins with nothing.
        wrong.push(format!("its boot order does not name {DISK} (qm set --boot order={DISK})"));
    }
    if config.net("net0").is_none() {
        wrong.push("it has no network card net0".to_string());
    }
    for (slot, drive) in config.cdroms() {
        if drive.is_cloud_init() {
            wrong.push(format!("{slot} is a cloud-init drive, which hides capmox' own CD-ROM from the machine"));
        } else if slot == CDROM {
            wrong.push(format!("drive {CDROM} is taken, and capmox puts its CD-ROM there"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn template(more: &[(&str, &str)]) -> VmConfig {
        let good = [
            ("template", "1"),
            ("boot", "order=scsi0"),
            ("scsi0", "local-lvm:base-9200-disk-0,size=10G"),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
        ];
        let mut config: BTreeMap<String, String> = good.map(|(k, v)| (k.into(), v.into())).into();
        config.extend(more.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())));
        config.retain(|_, value| !value.is_empty());
        VmConfig(config)
    }

    #[test]
    fn whatever_stops_capmox_is_told_before_the_first_change() {
        assert_eq!(problems(&template(&[]), 20), Vec::<String>::new());
        for (change, told) in [
            (("template", ""), "no template"),
            (("scsi0", ""), "no disk scsi0"),
            (("scsi0", "local-lvm:base-9200-disk-0,size=40G"), "tests.worker_disk_gib is 20"),
            (("boot", "order=net0"), "boot order"),
            (("net0", ""), "net0"),
            (("ide2", "local-lvm:vm-9200-cloudinit,media=cdrom"), "cloud-init drive"),
            (("ide0", "local:iso/debian.iso,media=cdrom"), "ide0 is taken"),
        ] {
            let wrong = problems(&template(&[change]), 20);
            assert!(wrong.iter().any(|w| w.contains(told)), "{change:?}: {wrong:?}");
        }
    }
}
