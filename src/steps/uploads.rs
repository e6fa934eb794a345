//! Uploads that are under way, also those whose answer was lost.
use super::failures;
use super::follow::{self, Kept};
use super::site::Reading;
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::proxmox::Error;

/// Copies an uploaded file to its place on the storage (pve-storage, `API2/Storage/Status.pm`).
const TASK: &str = "imgcopy";
/// The line of that task's log that names the place.
const TARGET: &str = "target file: ";

/// The task of the kept handle, or any other one that copies a file to the place of `name`: when the worker died after the
/// last byte and before the answer, the task's name is nowhere but on its node.
///
/// # Errors
/// When its node can't tell.
pub async fn copying(cx: &dyn Context, site: &Reading, name: &str, doing: &str) -> Result<Kept, Failure> {
    let kept = follow::kept(cx, site, doing).await?;
    if kept == Kept::Running {
        return Ok(kept);
    }
    let failed = |e: &Error| failures::proxmox(e, &format!("{doing}: look for an upload that runs already"));
    let place = format!("/{name}");
    // Proxmox VE runs the task on the node that was contacted, which need not be the storage's and may have been another
    // one behind the same address (pve-storage, `API2/Storage/Status.pm`: an upload is proxied nowhere).
    let nodes = site.proxmox.cluster_status().await.map_err(|e| failed(&e))?.value.nodes;
    let mut tasks = Vec::new();
    for node in nodes.iter().filter(|n| n.online || n.local) {
        tasks.extend(site.proxmox.running_tasks(&node.name, TASK).await.map_err(|e| failed(&e))?.value);
    }
    for upid in tasks {
        let log = match site.proxmox.task_log(&upid, 0).await {
            Ok(log) => log,
            Err(Error::NoSuchTask) => continue,
            Err(e) => return Err(failed(&e)),
        };
        let target = log.iter().find_map(|line| line.text.strip_prefix(TARGET));
        // A log that tells no target yet will do so in a moment.
        if target.is_none_or(|target| target.ends_with(&place)) {
            return Ok(Kept::Running);
        }
    }
    Ok(kept)
}
