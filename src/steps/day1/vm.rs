//! What the steps about one VM share: finding it, telling whose it is, following its tasks.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::NetworkPlan;
use crate::proxmox::{Error, Upid, VmConfig};
use crate::steps::site::Reading;
use crate::steps::{claim, failures, follow};

/// The configuration of this run's own, finished VM, or what is to be said in its place.
///
/// # Errors
/// When it can't be read, or when the VM is what a cut off clone or creation left behind.
pub async fn find(
    cx: &dyn Context,
    site: &Reading,
    host: &str,
    vmid: impl Into<u32>,
    doing: &str,
    band: Band,
) -> Result<Result<Answer<VmConfig>, Box<Observed>>, Failure> {
    let vmid = vmid.into();
    let mut task_has_ended = false;
    loop {
        let config = match site.proxmox.vm_config(host, vmid).await {
            Ok(config) => config,
            Err(Error::NotFound { text }) => {
                return Ok(Err(Box::new(absent(cx, site, text, doing, band).await?)));
            }
            Err(e) => return Err(failures::proxmox(&e, doing)),
        };
        let ours = site.is_ours(config.value.description());
        // Other locks (a backup, a snapshot) are of a finished VM; only what changes it has to wait for them.
        let Some(lock) = config.value.lock().filter(|l| matches!(*l, "create" | "clone")) else {
            return Ok(if ours {
                Ok(config)
            } else {
                Err(Box::new(Observed::Conflict(strange(host, vmid, config.value.description()))))
            });
        };
        let locked = format!("locked ({lock})");
        if follow::is_running(cx, site, doing).await? {
            let wait = Wait::new(format!("{doing}: the task ends"), locked, band);
            return Ok(Err(Box::new(Observed::Underway(wait))));
        }
        if cx.handle().is_none() {
            // Until the task ends the configuration holds nothing but the lock. A crash right after the call leaves
            // our own task without a handle, so the mark that will be there has to tell whose it is.
            let seen = format!(
                "{locked}; if no task on {host} works on it any more, there: qm unlock {vmid} && qm destroy {vmid} --purge"
            );
            let wait = Wait::new(format!("vm {vmid} is unlocked and shows whose it is"), seen, band);
            return Ok(Err(Box::new(Observed::Underway(wait))));
        }
        if task_has_ended {
            return Err(Failure::person(
                format!("vm {vmid} is {locked} although our task has ended: it was cut off"),
                format!("on {host}: qm unlock {vmid} && qm destroy {vmid} --purge; the step then makes it again"),
            ));
        }
        // The task may have ended between the two questions.
        task_has_ended = true;
    }
}

fn strange(host: &str, vmid: u32, notes: Option<&str>) -> Failure {
    Failure::refused(
        format!("vm {vmid} exists on {host} and {}", claim::whose(notes)),
        "give it another vmid in the plan, or remove that VM yourself if nobody needs it",
    )
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
    format!("{card},bridge={}{tag}", network.bridge)
}

/// A disk's value when it is made anew; `source` is `STORAGE:GIB` or `STORAGE:0,import-from=VOLUME`.
pub fn new_disk(source: &str) -> String {
    // No iothread: it needs virtio-scsi-single, see `template_vm`.
    format!("{source},discard=on,ssd=1")
}
