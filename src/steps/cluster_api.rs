//! Shared by the steps of day 6: the objects of the test, the VMs in its range, and the words for each gate.
use crate::base::answer::Answer;
use crate::cozystack::addons::{MachineTest, Object, machine_test};
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::plan::model::{AddressRange, Plan, VmidRange};
use crate::proxmox::{VmRow, Volume};
use crate::steps::failures;
use crate::steps::site::Reading;
use std::net::Ipv4Addr;

pub const NAMESPACE: &str = "cozyup-vms";
/// Of the Cluster; machine and VM are `smoke-0`.
const CLUSTER: &str = "smoke";
pub const CORES: u32 = 1;
pub const MEMORY_MIB: u64 = 1024;

/// The test of this plan.
///
/// # Errors
/// When the plan has none: no step of day 6 is there then.
pub fn test(site: &Reading) -> Result<MachineTest, Failure> {
    let plan = &site.plan;
    let (vmids, addresses) =
        plan.tests.machines().ok_or_else(|| Failure::defect("day 6 runs and the plan has no VMIDs for it"))?;
    let network = &plan.network;
    Ok(MachineTest {
        name: CLUSTER.into(),
        namespace: NAMESPACE.into(),
        host: plan.template.host.clone(),
        template: plan.template.vmid.into(),
        storage: plan.template.storage.clone(),
        bridge: network.bridge.clone(),
        vlan: network.vlan,
        pool: plan.site.pool.clone(),
        vmids: (vmids.first.into(), vmids.last.into()),
        endpoint: addresses.first,
        addresses: behind_the_first(addresses).to_string(),
        prefix: network.subnet.prefix_len(),
        gateway: network.gateway,
        dns: network.dns.clone(),
        cores: CORES,
        memory_mib: MEMORY_MIB,
        notes: site.mark.clone(),
    })
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
pub fn may_have_made(plan: &Plan, vmid: u32) -> bool {
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
pub fn orphan(row: &VmRow, made: Option<u32>) -> Failure {
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
        Progress::Refused { reason, message } => format!("{reason}: {message}"),
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
        for failure in [orphan(&row, Some(9500)), orphan(&row, None)] {
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
