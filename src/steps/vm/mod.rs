//! The common part of the steps about one VM: finding it, deciding whose it is, following its tasks.
pub mod guests;
pub mod linked;
pub mod room;

use crate::base::answer::Answer;
use crate::base::text::quoted;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::NetworkPlan;
use crate::proxmox::{Error, Upid, VmConfig};
use crate::steps::owner::Strange;
use crate::steps::site::Reading;
use crate::steps::{failures, follow, owner};

/// The result of looking at a VMID.
pub enum Look {
    /// The run's own, finished VM.
    Ours(Answer<VmConfig>),
    /// A finished VM that is not the run's to change.
    Strange(Strange),
    /// None, or one that is being made: the observation that says so.
    Not(Observed),
}

/// The configuration of this run's own, finished VM, or what is to be said in its place.
///
/// # Errors
/// When it can't be read, or when the VM is what a cut off clone or creation left behind.
pub async fn find(
    cx: &dyn Context,
    site: &Reading,
    host: &str,
    vmid: Vmid,
    doing: &str,
    band: Band,
) -> Result<Result<Answer<VmConfig>, Box<Observed>>, Failure> {
    Ok(match look(cx, site, host, vmid, doing, band).await? {
        Look::Ours(config) => Ok(config),
        Look::Strange(why) => Err(Box::new(Observed::Conflict(strange(site, host, vmid, &why)))),
        Look::Not(observed) => Err(Box::new(observed)),
    })
}

/// Asked right before a change: a gate or a queue may have held the act for hours since the VM was looked at.
///
/// # Errors
/// When the VM is not there, or is not this run's own.
pub async fn confirm(
    cx: &dyn Context,
    site: &Reading,
    host: &str,
    vmid: Vmid,
    doing: &str,
) -> Result<VmConfig, Failure> {
    let config = site.vm_config(host, vmid).await.map_err(|e| failures::proxmox(&e, doing))?.value;
    match owner::of_vm(cx, site, vmid, &config) {
        Ok(()) => Ok(config),
        Err(why) => Err(strange(site, host, vmid, &why)),
    }
}

/// # Errors
/// See [`find`].
pub async fn look(
    cx: &dyn Context,
    site: &Reading,
    host: &str,
    vmid: Vmid,
    doing: &str,
    band: Band,
) -> Result<Look, Failure> {
    let mut task_has_ended = false;
    loop {
        let config = match site.vm_config(host, vmid).await {
            Ok(config) => config,
            Err(Error::NotFound { text }) => return Ok(Look::Not(absent(cx, site, text, doing, band).await?)),
            Err(Error::Forbidden { text, .. }) if may_join_the_pool(cx, site, vmid, doing).await? => {
                return Ok(Look::Not(Observed::Underway(until_in_the_pool(site, host, vmid, &text, band))));
            }
            Err(e) => return Err(failures::proxmox(&e, doing)),
        };
        // Other locks (a backup, a snapshot) are of a finished VM; only what changes it has to wait for them.
        let Some(lock) = config.value.lock().filter(|l| matches!(*l, "create" | "clone")) else {
            return Ok(match owner::of_vm(cx, site, vmid, &config.value) {
                Ok(()) => Look::Ours(config),
                Err(why) => Look::Strange(why),
            });
        };
        let locked = format!("locked ({lock})");
        if follow::is_running(cx, site, doing).await? {
            let wait = Wait::new(format!("{doing}: the task ends"), locked, band);
            return Ok(Look::Not(Observed::Underway(wait)));
        }
        if cx.handle().is_none() {
            // Until the task ends the configuration holds nothing but the lock. A crash right after the call leaves
            // our own task without a handle, so the mark that will be there has to tell whose it is.
            let seen = format!("{locked}; if no task on {host} works on it any more, there: {}", unlocked(vmid));
            let wait = Wait::new(format!("vm {vmid} is unlocked and shows whose it is"), seen, band);
            return Ok(Look::Not(Observed::Underway(wait)));
        }
        if task_has_ended {
            return Err(Failure::person(
                format!("vm {vmid} is {locked} although our task has ended: it was cut off"),
                format!("on {host}: {}; the step then makes it again", unlocked(vmid)),
            ));
        }
        // The task may have ended between the two questions.
        task_has_ended = true;
    }
}

fn until_in_the_pool(site: &Reading, host: &str, vmid: Vmid, text: &str, band: Band) -> Wait {
    let pool = site.plan.site.pool.as_deref().unwrap_or_default();
    let by_hand = format!("pvesh set /pools/{} --vms {vmid}", quoted(pool));
    let seen = format!("{text}; if no task on {host} makes it any more, there: {by_hand}");
    Wait::new(format!("vm {vmid} is in the resource pool {pool}"), seen, band)
}

/// True when a VM that the token may not see can be this run's all the same: it joins the plan's pool, and may be seen
/// through it, only at the end of the task that makes it. A crash right after the call leaves that task without a
/// handle.
async fn may_join_the_pool(cx: &dyn Context, site: &Reading, vmid: Vmid, doing: &str) -> Result<bool, Failure> {
    if site.plan.site.pool.is_none() {
        return Ok(false);
    }
    let called = owner::maker(&site.plan, vmid).is_some_and(|maker| cx.made().has(&maker));
    Ok(called || follow::is_running(cx, site, doing).await?)
}

/// The configuration of a clone that was cut off names no disk, so that without the last option its disks would stay.
fn unlocked(vmid: Vmid) -> String {
    format!("qm unlock {vmid} && {}", destroy_by_hand(vmid))
}

/// A command that destroys what a cut off creation left, with every disk of its VMID.
pub fn destroy_by_hand(vmid: Vmid) -> String {
    format!("qm destroy {} --purge --destroy-unreferenced-disks 1", vmid)
}

fn strange(site: &Reading, host: &str, vmid: Vmid, why: &Strange) -> Failure {
    let otherwise = match why {
        Strange::Unknown => format!(
            "; if this run made it and its journal was lost: move journal.jsonl away and start with --adopt {}",
            site.label()
        ),
        Strange::Unmarked(_) | Strange::WrittenFor(_) | Strange::Another => String::new(),
    };
    Failure::refused(
        format!("vm {vmid} exists on {host} and {why}"),
        format!("give it another vmid in the plan, or remove that VM yourself if nobody needs it{otherwise}"),
    )
}

/// Refuses to make a VM while disks of its VMID lie on the storage: of a VM that was there before, or of a clone that was
/// cut off. Nobody can tell whose they are, and the new VM's would stand among them.
///
/// # Errors
/// With the names of the disks, or when the storage can't be read.
pub async fn no_leftovers(site: &Reading, host: &str, storage: &str, vmid: Vmid, doing: &str) -> Result<(), Failure> {
    // Of a VM that is there they are its own; the call will say that it is there.
    let free = site.proxmox.vmid_free(vmid).await.map_err(|e| failures::proxmox(&e, doing))?;
    if !free.value {
        return Ok(());
    }
    let content = site.proxmox.storage_content(host, storage, "images").await;
    let content = content.map_err(|e| failures::proxmox(&e, &format!("{doing}: list storage {storage} of {host}")))?;
    let left: Vec<&str> = content.value.iter().filter(|v| v.vmid == Some(vmid)).map(|v| v.volid.as_str()).collect();
    let Some(first) = left.first() else { return Ok(()) };
    Err(Failure::refused(
        format!("{doing}: there is no vm {vmid}, but disks of its VMID are on {storage}: {}", left.join(", ")),
        format!(
            "look whose they are (a clone that was cut off leaves its own); if nobody needs them, on {host}: pvesm free {};              the step then goes on by itself",
            quoted(first)
        ),
    ))
}

/// Absent, or underway while the task of the kept handle still runs.
///
/// # Errors
/// When nobody can tell whether it runs.
pub async fn absent(
    cx: &dyn Context,
    site: &Reading,
    seen: String,
    doing: &str,
    band: Band,
) -> Result<Observed, Failure> {
    Ok(absent_unless(follow::is_running(cx, site, doing).await?, seen, doing, band))
}

/// Absent, or underway while a task works on it.
pub fn absent_unless(running: bool, seen: String, doing: &str, band: Band) -> Observed {
    match running {
        true => Observed::Underway(Wait::new(format!("{doing}: the task ends"), seen, band)),
        false => Observed::Absent(seen),
    }
}

/// Keeps the handle of the task that a call began and follows it to its end.
///
/// # Errors
/// The call's, the journal's, or the task's.
pub async fn carry_out(
    cx: &dyn Context,
    site: &Reading,
    begun: Result<Option<Upid>, Error>,
    doing: &str,
    band: Band,
) -> Result<(), Failure> {
    match begun {
        Ok(Some(upid)) => {
            cx.keep_handle(upid.as_str()).await?;
            follow::task(cx, site, &upid, doing, band).await
        }
        Ok(None) => Ok(()),
        // By an earlier call whose answer was lost, or by somebody else: the observation that follows tells.
        Err(Error::Exists { .. }) => Ok(()),
        Err(e) => Err(failures::proxmox(&e, doing)),
    }
}

/// Value of `net0`; without `mac` Proxmox VE chooses one.
pub fn net0(network: &NetworkPlan, mac: Option<&str>) -> String {
    let card = mac.map_or_else(|| "virtio".to_string(), |mac| format!("virtio={}", mac.to_ascii_uppercase()));
    let tag = network.vlan.map(|v| format!(",tag={v}")).unwrap_or_default();
    let mtu = network.mtu.map(|mtu| format!(",mtu={mtu}")).unwrap_or_default();
    format!("{card},bridge={}{tag}{mtu}", network.bridge)
}

/// A disk's value when it is made anew; `source` is `STORAGE:GIB` or `STORAGE:0,import-from=VOLUME`.
pub fn new_disk(source: &str) -> String {
    // No iothread: it needs virtio-scsi-single, see `template_vm`.
    format!("{source},discard=on,ssd=1")
}
