//! Taking VMs back: only those that are the run's own, on whichever Proxmox node they are now.
use super::cluster::part;
use super::owner::{self, Strange};
use super::site::Reading;
use super::vm::{self, Look};
use super::{failures, follow};
use crate::base::answer::Answer;
use crate::base::text::quoted;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed};
use crate::engine::wait::{Band, Wait};
use crate::proxmox::{Changer, Error, VmConfig, VmRow};
use serde_json::json;

pub enum Found {
    /// It is there and is this run's own.
    Ours { host: String, config: Answer<VmConfig> },
    /// Its VMID is free: what says so.
    Free(Box<Proof>),
    /// It is somebody else's, or not yet to be told: the observation that says so.
    Not(Box<Observed>),
}

/// Looks for the VM in the whole Proxmox cluster.
///
/// # Errors
/// When Proxmox VE does not answer, or hides a guest with this VMID.
pub async fn find(cx: &dyn Context, site: &Reading, vmid: Vmid, doing: &str, band: Band) -> Result<Found, Failure> {
    let failed = |e| failures::proxmox(&e, doing);
    let all = site.proxmox.resources().await.map_err(failed)?;
    let Some(row) = all.value.iter().find(|r| r.vmid == vmid) else {
        // A list leaves out what the token may not see: only the VMID itself proves that nothing is there.
        let free = site.proxmox.vmid_free(vmid).await.map_err(failed)?;
        if !free.value {
            return Err(Failure::retryable(
                format!("{doing}: VMID {vmid} is taken by a guest that the token does not see"),
                "cozyup looks again; if it stays so, give the token VM.Audit on /vms",
            ));
        }
        let now = cx.clock().now();
        let vmids = part(&all, "the VMIDs", all.value.iter().map(|r| json!(r.vmid)));
        let proof = Proof::new(format!("there is no vm {vmid}"), Evidence::of("Proxmox", now, &free));
        return Ok(Found::Free(Box::new(proof.and(Evidence::of("Proxmox", now, &vmids)))));
    };
    if row.kind != "qemu" {
        return Ok(left_alone(cx, &all, row, &Strange::Unmarked("is no virtual machine".into())));
    }
    Ok(match vm::look(cx, site, &row.node, vmid, doing, band).await? {
        Look::Ours(config) => Found::Ours { host: row.node.clone(), config },
        Look::Strange(why) => left_alone(cx, &all, row, &why),
        // The list is a few seconds late.
        Look::Not(Observed::Absent(seen)) => {
            not(Observed::Underway(Wait::new(format!("vm {vmid} is in no list"), seen, band)))
        }
        Look::Not(observed) => not(observed),
    })
}

fn not(observed: Observed) -> Found {
    Found::Not(Box::new(observed))
}

fn left_alone(cx: &dyn Context, all: &Answer<Vec<VmRow>>, row: &VmRow, why: &Strange) -> Found {
    let shown = json!({"vmid": row.vmid, "name": row.name, "node": row.node, "type": row.kind, "status": row.status});
    let evidence = Evidence::of("Proxmox", cx.clock().now(), &part(all, "the row of this guest", [shown]));
    let summary = format!("{} is not this run's: left alone", owner::named(row));
    not(Observed::Satisfied(Proof::new(summary, evidence).leaving([owner::left(row, why)])))
}

/// Pulls the plug of the run's own VM. What is not there, or not ours, needs none.
///
/// # Errors
/// When Proxmox VE refuses, or the task fails.
pub async fn stop(
    cx: &dyn Context,
    site: &Reading,
    changer: &Changer,
    vmid: Vmid,
    doing: &str,
    band: Band,
) -> Result<(), Failure> {
    let Found::Ours { host, .. } = find(cx, site, vmid, doing, band).await? else { return Ok(()) };
    let status = site.proxmox.vm_status(&host, vmid).await.map_err(|e| failures::proxmox(&e, doing))?;
    if !status.value.is_running() {
        return Ok(());
    }
    let begun = changer.stop_vm(&host, vmid).await;
    vm::carry_out(cx, site, begun.map(Some), doing, band).await
}

/// Destroys the run's own VM, stopped before, with the disks that its configuration names; no other disk is deleted.
///
/// # Errors
/// When Proxmox VE refuses, or the task fails.
pub async fn destroy(
    cx: &dyn Context,
    site: &Reading,
    changer: &Changer,
    vmid: Vmid,
    doing: &str,
    band: Band,
) -> Result<(), Failure> {
    follow::earlier_task(cx, site, doing, band).await?;
    // It may have come up again since it was stopped, as with its host.
    stop(cx, site, changer, vmid, doing, band).await?;
    let Found::Ours { host, .. } = find(cx, site, vmid, doing, band).await? else { return Ok(()) };
    let begun = changer.destroy_vm(&host, vmid).await;
    vm::carry_out(cx, site, begun.map(Some), doing, band).await
}

/// The result of a deletion; an object that is already gone counts as deleted.
///
/// # Errors
/// When Proxmox VE refused.
pub fn removed(deleted: Result<(), Error>, doing: &str) -> Result<(), Failure> {
    match deleted {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(e) => Err(failures::proxmox(&e, doing)),
    }
}

/// Looks whether the VM is gone and no disk of it is left on `storage` of `host`.
///
/// # Errors
/// When Proxmox VE does not answer.
pub async fn destroyed(
    cx: &dyn Context,
    site: &Reading,
    vmid: Vmid,
    (host, storage): (&str, &str),
    doing: &str,
    band: Band,
) -> Result<Observed, Failure> {
    let proof = match find(cx, site, vmid, doing, band).await? {
        Found::Ours { host, config } => {
            let name = config.value.name().unwrap_or_default();
            return vm::absent(cx, site, format!("vm {vmid} ({name}) is on {host}"), doing, band).await;
        }
        // The volumes of a guest that is somebody else's are that guest's.
        Found::Not(observed) => return Ok(*observed),
        Found::Free(proof) => *proof,
    };
    let content = site.proxmox.storage_content(host, storage, "images").await;
    let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {storage} of {host}")))?;
    let left: Vec<&str> = content.value.iter().filter(|v| v.vmid == Some(vmid)).map(|v| v.volid.as_str()).collect();
    let shown = part(&content, &format!("volumes of vm {vmid}"), left.iter().map(|volid| json!(volid)));
    let proof = proof.and(Evidence::of("Proxmox", cx.clock().now(), &shown));
    match left.first() {
        Some(volid) if owner::maker(&site.plan, vmid).is_some_and(|maker| cx.made().has(&maker)) => {
            Ok(Observed::Conflict(Failure::person(
                format!("vm {vmid} is gone, its disk {volid} is left"),
                format!("look whose it is; if nobody needs it, on {host}: pvesm free {}", quoted(volid)),
            )))
        }
        Some(_) => {
            let lay_there = |volid: &&str| Left::new(format!("disk {volid}"), "is of no VM that this run ever made");
            let others: Vec<Left> = left.iter().map(lay_there).collect();
            Ok(Observed::Satisfied(proof.leaving(others)))
        }
        None => Ok(Observed::Satisfied(proof)),
    }
}
