//! Uploads that are under way, also those whose answer was lost.
use super::failures;
use super::follow::{self, Kept};
use super::site::Reading;
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::proxmox::Error;

/// Copies an uploaded file to its place on the storage (pve-storage, `API2/Storage/Status.pm`).
const TASK: &str = "imgcopy";
/// The lines of that task's log that name the place.
const NODE: &str = "target node: ";
const TARGET: &str = "target file: ";

/// The task of the kept handle, or any other one that copies a file to the place of `name` on `host`: when the worker died after the
/// last byte and before the answer, the task's name is nowhere but on its node.
///
/// # Errors
/// When its node can't tell.
pub async fn copying(cx: &dyn Context, site: &Reading, host: &str, name: &str, doing: &str) -> Result<Kept, Failure> {
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
        if may_go_to(log.iter().map(|line| line.text.as_str()), host, &place) {
            return Ok(Kept::Running);
        }
    }
    Ok(kept)
}

/// True when a task with this log copies a file to `place` on `host`. A log that tells no target yet will do so in a moment.
fn may_go_to<'a>(log: impl Iterator<Item = &'a str>, host: &str, place: &str) -> bool {
    let (mut node, mut target) = (None, None);
    for line in log {
        node = node.or(line.strip_prefix(NODE));
        target = target.or(line.strip_prefix(TARGET));
    }
    target.is_none_or(|target| target.ends_with(place)) && node.is_none_or(|node| node == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_of_the_same_file_to_another_host_is_another_one() {
        let log =
            ["starting file import from: /var/tmp/x", "target node: pve2", "target file: /var/lib/vz/import/t.raw"];
        let goes = |log: &[&str], host, place| may_go_to(log.iter().copied(), host, place);
        assert!(goes(&log, "pve2", "/t.raw"));
        assert!(!goes(&log, "pve1", "/t.raw"));
        assert!(!goes(&log, "pve2", "/other.raw"));
        assert!(goes(&log[..1], "pve1", "/t.raw"), "it tells no target yet");
    }
}
