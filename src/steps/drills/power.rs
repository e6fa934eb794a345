//! The power of one of the run's own VMs.
use super::told;
use crate::base::answer::Answer;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed};
use crate::engine::wait::Band;
use crate::plan::model::NodePlan;
use crate::proxmox::{Changer, TaskExit, TaskRow, Upid, VmStatus};
use crate::steps::site::Reading;
use crate::steps::{causes, failures, vm};
use std::time::Duration;

/// Until a VM is off, or runs.
pub const BAND: Band = Band::new(10, 120);
/// Looks at a task, one a second.
const LOOKS: u32 = 180;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    On,
    /// It runs, and a task is about to stop it.
    Falling,
    Off,
}

/// The power of a VM, and the answers that tell it.
pub struct Seen {
    pub power: Power,
    status: Answer<VmStatus>,
    tasks: Option<Answer<Vec<TaskRow>>>,
}

impl Seen {
    pub fn evidence(&self, cx: &dyn Context) -> Vec<Evidence> {
        let now = cx.clock().now();
        let tasks = self.tasks.iter().map(|tasks| Evidence::of("Proxmox", now, tasks));
        [Evidence::of("Proxmox", now, &self.status)].into_iter().chain(tasks).collect()
    }
}

/// The power of the machine's VM, or what is to be said when it is not the run's own.
///
/// # Errors
/// When Proxmox VE does not answer.
pub async fn look(cx: &dyn Context, site: &Reading, node: &NodePlan) -> Result<Result<Seen, Box<Observed>>, Failure> {
    let doing = format!("look whether {} runs", told(node));
    match vm::find(cx, site, &node.host, node.vmid, &doing, BAND).await? {
        Ok(_) => Ok(Ok(seen(site, &node.host, node.vmid, &doing).await?)),
        Err(observed) => Ok(Err(observed)),
    }
}

/// # Errors
/// When Proxmox VE does not answer.
pub async fn seen(site: &Reading, host: &str, vmid: Vmid, doing: &str) -> Result<Seen, Failure> {
    let failed = |e| failures::proxmox(&e, doing);
    let status = site.proxmox.vm_status(host, vmid).await.map_err(failed)?;
    if !status.value.is_running() {
        return Ok(Seen { power: Power::Off, status, tasks: None });
    }
    // The answer to a stop may have been lost, and the task goes on.
    let tasks = site.proxmox.tasks_of(host, vmid).await.map_err(failed)?;
    let falls = tasks.value.iter().any(|task| task.running && task.upid.kind() == "qmstop");
    Ok(Seen { power: if falls { Power::Falling } else { Power::On }, status, tasks: Some(tasks) })
}

/// Pulls the plug of the machine. From the first handle on it counts as disturbed, so that one is kept before the call.
///
/// # Errors
/// When it is not the run's own, or Proxmox VE refuses.
pub async fn off(cx: &dyn Context, site: &Reading, changer: &Changer, node: &NodePlan) -> Result<(), Failure> {
    let doing = format!("power off {}", told(node));
    vm::confirm(cx, site, &node.host, node.vmid, &doing).await?;
    cx.keep_handle(&doing).await?;
    let task = changer.stop_vm(&node.host, node.vmid).await.map_err(|e| failures::proxmox(&e, &doing))?;
    to_the_end_of(cx, site, &task, &doing).await
}

/// # Errors
/// When it is not the run's own, or Proxmox VE refuses.
pub async fn on(
    cx: &dyn Context,
    site: &Reading,
    changer: &Changer,
    (host, vmid): (&str, Vmid),
    doing: &str,
) -> Result<(), Failure> {
    vm::confirm(cx, site, host, vmid, doing).await?;
    for _ in 0..LOOKS {
        match seen(site, host, vmid, doing).await?.power {
            Power::On => return Ok(()),
            Power::Falling => cx.clock().sleep(Duration::from_secs(1)).await,
            Power::Off => {
                let task = changer.start_vm(host, vmid).await.map_err(|e| failures::proxmox(&e, doing))?;
                return to_the_end_of(cx, site, &task, doing).await;
            }
        }
    }
    Err(Failure::retryable(format!("{doing}: the task that stops it does not end"), "cozyup looks again"))
}

/// Also while the run is being stopped: a machine is never left between on and off.
async fn to_the_end_of(cx: &dyn Context, site: &Reading, task: &Upid, doing: &str) -> Result<(), Failure> {
    cx.keep_handle(task.as_str()).await?;
    for _ in 0..LOOKS {
        // What can't be read now, the next look may tell.
        let exit = site.proxmox.task_status(task).await.ok().and_then(|status| status.value.exit);
        match exit {
            Some(TaskExit::Ok | TaskExit::Warnings(_)) => return Ok(()),
            Some(TaskExit::Failed { cause, text }) => return Err(causes::failure(cause, format!("{doing}: {text}"))),
            None => cx.clock().sleep(Duration::from_secs(1)).await,
        }
    }
    Err(Failure::retryable(format!("{doing}: its task {} has not ended", task.kind()), "cozyup looks again"))
}
