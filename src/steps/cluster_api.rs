//! Shared by the steps of day 6: the objects of the test, the VMs in its range, and the words for each gate.
use crate::base::answer::Answer;
use crate::base::text::quoted;
use crate::base::vmid::Vmid;
use crate::cozystack::addons::{MachineTest, Network, Object, Shape, machine_test};
use crate::cozystack::cluster_api::{Denied, Made, Progress};
use crate::engine::failure::Failure;
use crate::engine::made::Thing;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed};
use crate::engine::wait::Band;
use crate::plan::day_6::ALONE_MIB;
use crate::plan::model::{AddressRange, Plan, VmidRange};
use crate::proxmox::{self, VmRow, Volume};
use crate::steps::addons::access::CAPMOX;
use crate::steps::cluster::{part, proven};
use crate::steps::site::{Changing, Reading};
use crate::steps::{failures, follow, halted, owner, vm};
use serde_json::json;
use std::net::Ipv4Addr;

pub const NAMESPACE: &str = "cozyup-vms";
/// Of the Cluster; machine and VM are `smoke-0`.
const CLUSTER: &str = "smoke";
pub const CORES: u32 = 1;
pub const MEMORY_MIB: u64 = ALONE_MIB;

/// The test of this plan.
///
/// # Errors
/// When the plan has none: no step of day 6 is there then.
pub fn test(site: &Reading) -> Result<MachineTest, Failure> {
    let shape = shape(site, CORES, MEMORY_MIB, None)?;
    let network = network(site, |addresses| addresses.first)?;
    Ok(MachineTest { name: CLUSTER.into(), namespace: NAMESPACE.into(), shape, network })
}

fn ranges(plan: &Plan) -> Result<(VmidRange, AddressRange), Failure> {
    plan.tests.machines().ok_or_else(|| Failure::defect("day 6 runs and the plan has no VMIDs for it"))
}

/// A clone of the run's template in the range that the plan keeps for Cluster API.
///
/// # Errors
/// When the plan keeps none: no step of day 6 is there then.
pub fn shape(site: &Reading, cores: u32, memory_mib: u64, disk_gib: Option<u64>) -> Result<Shape, Failure> {
    let plan = &site.plan;
    let (vmids, _) = ranges(plan)?;
    Ok(Shape {
        host: plan.template.host.clone(),
        template: plan.template.vmid.into(),
        storage: plan.template.storage.clone(),
        bridge: plan.network.bridge.clone(),
        vlan: plan.network.vlan,
        mtu: plan.network.mtu,
        pool: plan.site.pool.clone(),
        vmids: (vmids.first.into(), vmids.last.into()),
        cores,
        memory_mib,
        disk_gib,
        notes: site.mark.clone(),
    })
}

/// The addresses that the plan keeps for Cluster API, but the first; `endpoint` names the control plane's.
///
/// # Errors
/// As [`shape`].
pub fn network(site: &Reading, endpoint: impl FnOnce(AddressRange) -> Ipv4Addr) -> Result<Network, Failure> {
    let (_, addresses) = ranges(&site.plan)?;
    let network = &site.plan.network;
    Ok(Network {
        endpoint: endpoint(addresses),
        addresses: pool(site)?.to_string(),
        prefix: network.subnet.prefix_len(),
        gateway: network.gateway,
        dns: network.dns.clone(),
    })
}

/// The addresses that machines of Cluster API get.
///
/// # Errors
/// As [`shape`].
pub fn pool(site: &Reading) -> Result<AddressRange, Failure> {
    ranges(&site.plan).map(|(_, addresses)| behind_the_first(addresses))
}

/// The rules of the plan see to it that there are at least two more.
fn behind_the_first(range: AddressRange) -> AddressRange {
    let second = Ipv4Addr::from(u32::from(range.first).saturating_add(1));
    AddressRange { first: second.min(range.last), last: range.last }
}

/// In the order in which to apply them.
///
/// # Errors
/// When the plan has no such test.
pub fn all(site: &Reading) -> Result<Vec<Object>, Failure> {
    Ok(machine_test(site.label(), &test(site)?))
}

/// True when the plan keeps this VMID for Cluster API, also when day 6 is out by now: an earlier session may have made it.
pub fn may_have_made(plan: &Plan, vmid: Vmid) -> bool {
    range(plan).is_some_and(|range| range.contains(vmid))
}

/// The VMIDs that Cluster API may take.
pub fn range(plan: &Plan) -> Option<VmidRange> {
    plan.tests.machines().map(|(vmids, _)| vmids)
}

/// The guests in the range, with the answer they are from.
///
/// # Errors
/// When Proxmox VE can't be asked.
pub async fn guests(site: &Reading) -> Result<(Answer<Vec<VmRow>>, Vec<VmRow>), Failure> {
    let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, "look for the VMs of day 6"))?;
    let found = in_range(&site.plan, &all.value);
    Ok((all, found))
}

/// Those whose VMID lies in the range that the plan keeps for Cluster API.
pub fn in_range(plan: &Plan, all: &[VmRow]) -> Vec<VmRow> {
    let Some(range) = range(plan) else { return Vec::new() };
    all.iter().filter(|row| range.contains(row.vmid)).cloned().collect()
}

/// True for a CD-ROM that capmox makes for a VM of the range.
fn is_cdrom(plan: &Plan, volid: &str) -> bool {
    let vmid = volid.rsplit('/').next().and_then(|f| f.strip_prefix("user-data-")?.strip_suffix(".iso")?.parse().ok());
    vmid.is_some_and(|vmid| may_have_made(plan, vmid))
}

/// CD-ROMs of the range on the template's host, with the answers they are from.
///
/// # Errors
/// When Proxmox VE can't be asked.
pub async fn cdroms(site: &Reading) -> Result<(Vec<Answer<Vec<Volume>>>, Vec<String>), Failure> {
    let host = &site.plan.template.host;
    let storages = site.proxmox.storages(host).await;
    let storages = storages.map_err(|e| failures::proxmox(&e, &format!("list the storages of {host}")))?;
    let (mut answers, mut found) = (Vec::new(), Vec::new());
    for storage in storages.value.iter().filter(|s| s.active && s.content.iter().any(|c| c == "iso")) {
        let content = site.proxmox.storage_content(host, &storage.storage, "iso").await;
        let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {}", storage.storage)))?;
        found.extend(content.value.iter().filter(|v| is_cdrom(&site.plan, &v.volid)).map(|v| v.volid.clone()));
        answers.push(content);
    }
    Ok((answers, found))
}

/// `vm 9501 (smoke-0, stopped) on pve`
pub fn shown(row: &VmRow) -> String {
    let name = crate::base::text::shorten(row.name.as_deref().unwrap_or("without a name"), 80);
    format!("vm {} ({name}, {}) on {}", row.vmid, row.status, row.node)
}

/// A VM of the range that no object knows, beside the one that was `made` or when all is to be gone. capmox clones twice
/// now and then, when it reads a stale cache; whose such a VM is can't be proven, so nobody removes it but a person.
pub fn orphan(row: &VmRow, made: Option<Vmid>) -> Failure {
    let (place, notes) = match made {
        Some(made) => (format!("lies in the range of Cluster API beside vm {made}"), format!("those of vm {made}")),
        None => ("is left in the range of Cluster API".to_string(), "this run's".to_string()),
    };
    Failure::person(
        format!("{} {place}, and no object knows it", shown(row)),
        format!(
            "capmox makes a second clone now and then: if its name and notes are {notes}, remove it on {}: qm stop {vmid}; \
             qm destroy {vmid} --purge; else move it out of tests.machine_vmids; the step goes on by itself",
            row.node,
            vmid = row.vmid,
        ),
    )
}

/// Before the run has given anything to Cluster API (`has_begun`) the range has to be empty: whatever lies in it is counted as
/// Cluster API's later on, and removed with it.
///
/// # Errors
/// When Proxmox VE can't be asked.
pub async fn absent(site: &Reading, has_begun: bool, what: String) -> Result<Observed, Failure> {
    if has_begun {
        return Ok(Observed::Absent(what));
    }
    let (_, guests) = guests(site).await?;
    let (_, cdroms) = cdroms(site).await?;
    let taken: Vec<String> = guests.iter().map(shown).chain(cdroms).collect();
    if taken.is_empty() {
        return Ok(Observed::Absent(what));
    }
    Ok(Observed::Conflict(Failure::refused(
        format!("the VMIDs that the plan keeps for Cluster API are in use: {}", taken.join(", ")),
        "give the plan another range (tests.machine_vmids), or remove what is there yourself if nobody needs it",
    )))
}

/// A VM that Cluster API made, as the journal keeps it.
pub fn thing(made: &Made) -> Thing {
    Thing::new(owner::VM, made.vmid, Some(made.uuid.clone()))
}

/// Deletes the first CD-ROM of the range that is left, once no VM is there any more. None was there before the run gave
/// Cluster API its objects, so it is theirs: capmox forgets one that it had not put into a drive yet.
///
/// # Errors
/// When Proxmox VE refuses.
pub async fn delete_cdrom(cx: &dyn Context, site: &Reading, change: &Changing, band: Band) -> Result<(), Failure> {
    const DOING: &str = "delete what capmox left of its CD-ROMs";
    follow::earlier_task(cx, site, DOING, band).await?;
    let (_, guests) = guests(site).await?;
    let (_, cdroms) = cdroms(site).await?;
    let Some(cdrom) = cdroms.first().filter(|_| guests.is_empty()) else { return Ok(()) };
    let storage = cdrom.split_once(':').map(|(storage, _)| storage).unwrap_or_default();
    match change.proxmox.delete_volume(&site.plan.template.host, storage, cdrom).await {
        Err(proxmox::Error::NotFound { .. }) => Ok(()),
        begun => vm::carry_out(cx, site, begun, DOING, band).await,
    }
}

/// Proxmox VE has nothing of the range any more: neither VM nor CD-ROM, nor a disk on the template's storage.
///
/// # Errors
/// When something is left that cozyup may not remove, or when Proxmox VE can't be asked. `may_delete` says whether a
/// CD-ROM is this run's to delete.
pub async fn nothing_left(
    cx: &dyn Context,
    site: &Reading,
    may_delete: bool,
    mut readings: Vec<Evidence>,
) -> Result<Observed, Failure> {
    let now = cx.clock().now();
    let (all, guests) = guests(site).await?;
    let (stored, cdroms) = cdroms(site).await?;
    let (host, storage) = (&site.plan.template.host, &site.plan.template.storage);
    let disks = site.proxmox.storage_content(host, storage, "images").await;
    let disks = disks.map_err(|e| failures::proxmox(&e, &format!("list storage {storage} of {host}")))?;
    let of_range = |volume: &&Volume| volume.vmid.is_some_and(|vmid| may_have_made(&site.plan, vmid));
    let left: Vec<&str> = disks.value.iter().filter(of_range).map(|volume| volume.volid.as_str()).collect();
    readings.push(Evidence::of("Proxmox", now, &all));
    readings.extend(stored.iter().map(|answer| Evidence::of("Proxmox", now, answer)));
    readings.push(Evidence::of("Proxmox", now, &part(&disks, "disks of the range", left.iter().map(|d| json!(d)))));
    if let Some(row) = guests.first() {
        return Err(orphan(row, None));
    }
    if let Some(cdrom) = cdroms.first() {
        if may_delete {
            return Ok(Observed::Absent(format!("{cdrom} is left, and no VM uses it")));
        }
        return Err(Failure::person(
            format!("{cdrom} is left, and no VM uses it"),
            format!("remove it if it is of day 6: pvesm free {cdrom}; the step goes on by itself"),
        ));
    }
    if let Some(disk) = left.first() {
        return Err(Failure::person(
            format!("disk {disk} is left, and no VM has it"),
            format!("look whose it is; if nobody needs it, on {host}: pvesm free {}", quoted(disk)),
        ));
    }
    proven("no VM of Cluster API is left, neither object, VM, disk nor CD-ROM", readings)
}

/// The words for what capmox lacks at Proxmox VE.
pub fn lack(why: Denied) -> String {
    match why {
        Denied::Token => format!("Proxmox VE does not take token {} of capmox any more", CAPMOX.token_id()),
        Denied::Template(vmid) => format!("template {vmid} is gone, and with it capmox's rights on it"),
        Denied::Rights => format!("token {} of capmox lacks a right", CAPMOX.token_id()),
    }
}

/// The words for what the object still waits for before it has its VM.
pub fn words(progress: &Progress) -> String {
    match progress {
        Progress::NoOwner => "waits for its owner Machine; no VM will come before".into(),
        Progress::Unseen => "capmox has not come to it yet".into(),
        Progress::WaitsForInfrastructure => "waits until its ProxmoxCluster is ready".into(),
        Progress::WaitsForBootstrapData => {
            "waits for bootstrap data: its Machine names no Secret, or there is none".into()
        }
        Progress::WaitsForAddress => "waits for an address from its pool".into(),
        Progress::Working(reason) => format!("capmox is at it: {reason}"),
        Progress::Refused { reason, message, .. } => format!("{reason}: {message}"),
        Progress::RefusedBefore { reason, message } => {
            format!("capmox was started anew and looks again (before: {reason}: {message})")
        }
        Progress::Denied { reason, message, why } => {
            format!("{reason}: {message}: {}", lack(*why))
        }
        Progress::TaskFailed(message) if halted::is_of_clone(message) => {
            format!("Proxmox VE could not make the VM ({message}), and capmox does not clone it again")
        }
        Progress::TaskFailed(message) => {
            format!("a task in Proxmox VE failed ({message}); capmox tries again after a minute")
        }
        Progress::Failed { reason, message } => format!("capmox has given up ({reason}): {message}"),
        Progress::Deleting => "is being deleted".into(),
        Progress::Made(made) => format!("vm {} on {}", made.vmid, made.node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_is_kept_for_the_endpoint() {
        let range: AddressRange = "10.0.0.180-10.0.0.185".parse().unwrap();
        assert_eq!(behind_the_first(range).to_string(), "10.0.0.181-10.0.0.185");
    }

    #[test]
    fn a_lone_machine_is_told_that_no_vm_will_come() {
        assert_eq!(words(&Progress::NoOwner), "waits for its owner Machine; no VM will come before");
    }

    #[test]
    fn a_second_clone_is_told_with_the_command_that_removes_it() {
        let row = VmRow { status: "stopped".into(), ..crate::steps::day0::tests::guest(9501, "smoke-0") };
        for failure in [orphan(&row, Some(Vmid::of(9500))), orphan(&row, None)] {
            assert!(failure.what.contains("vm 9501") && failure.next.contains("qm destroy 9501"), "{failure:?}");
        }
    }

    #[test]
    fn only_cdroms_of_the_range_are_day_sixs() {
        let mut plan = crate::steps::day0::tests::plan();
        plan.tests.machine_vmids = Some("9500-9509".parse().unwrap());
        plan.tests.machine_addresses = Some("10.0.0.180-10.0.0.185".parse().unwrap());
        assert!(is_cdrom(&plan, "local:iso/user-data-9500.iso"));
        assert!(!is_cdrom(&plan, "local:iso/user-data-950.iso"));
        assert!(!is_cdrom(&plan, "local:iso/debian.iso"));
    }
}
