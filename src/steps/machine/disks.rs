//! The disks of a node by the names that the plan gives them, and by the kernel's.
use crate::plan::model::NodePlan;
use crate::steps::site::{Reading, address};
use crate::talos::Secure;
use crate::talos::client::facts::Disk;

/// The disk that a name of the plan stands for: the kernel's name, or one of udev's.
pub fn find<'a>(disks: &'a [Disk], device: &str) -> Option<&'a Disk> {
    disks.iter().find(|disk| disk.dev_path == device || disk.symlinks.iter().any(|link| link == device))
}

/// The kernel's name of a device without `/dev/`, as `talosctl wipe disk` wants it; `None` when the node can't be asked or
/// has no such disk.
pub async fn kernel_name(site: &Reading, node: &NodePlan, device: &str) -> Option<String> {
    let api = Secure::connect(address(node), &site.admin().ok()?).await.ok()?;
    let disks = api.disks().await.ok()?;
    find(&disks.value, device).map(|disk| disk.dev_path.trim_start_matches("/dev/").to_string())
}
