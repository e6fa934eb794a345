//! `day1.resize/NODE`: the system disk at its full size before the first start, when Talos grows its file system.
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::observed::Fact;
use crate::plan::model::NodePlan;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{failures, follow, outlines, resized};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.resize";
const BAND: Band = Band::new(5, 60);
const DISK: &str = "scsi0";

pub struct Resize {
    outline: Outline,
    node: NodePlan,
    doing: String,
}

pub fn step(node: &NodePlan) -> Resize {
    let title = format!("grow the system disk of {} to {} GiB", node.name, node.system_disk_gib);
    let by_hand = format!("qm disk resize {} {DISK} {}G", node.vmid, node.system_disk_gib);
    let outline = outlines::change(StepId::of(KIND, &node.name), 1, title, BAND, by_hand)
        .after([StepId::of(super::configure::KIND, &node.name)]);
    Resize { outline, node: node.clone(), doing: format!("resize {DISK} of vm {} ({})", node.vmid, node.name) }
}

#[async_trait]
impl Step<Installation> for Resize {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Resize { node, doing, .. } = self;
        let config = match vm::find(cx, site, &node.host, node.vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let Some(disk) = config.value.disk(DISK) else {
            return Err(Failure::person(
                format!("vm {} has no disk {DISK}", node.vmid),
                format!("on {}: {}; run again so that it is cloned anew", node.host, vm::destroy_by_hand(node.vmid)),
            ));
        };
        if disk.size_gib < node.system_disk_gib {
            let seen = format!("{DISK} has {}", size(disk.size_bytes));
            let status = site.proxmox.vm_status(&node.host, node.vmid).await;
            if status.map_err(|e| failures::proxmox(&e, doing))?.value.is_running() {
                // Talos has made its partitions by then; they would not grow before its next boot.
                let differences = format!("{seen} instead of {} GiB", node.system_disk_gib);
                let before = format!("on {}: qm shutdown {}; the step then grows it", node.host, node.vmid);
                return Ok(Observed::Conflict(resized::failure(site, node, &differences, before)));
            }
            return vm::absent(cx, site, seen, doing, BAND).await;
        }
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &config);
        // Larger is as good, and nothing can make a disk smaller.
        let summary = format!("system disk {} of vm {} has {}", disk.volid, node.vmid, size(disk.size_bytes));
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Resize { node, doing, .. } = self;
        follow::earlier_task(cx, site, doing, BAND).await?;
        vm::confirm(cx, site, &node.host, node.vmid, doing).await?;
        let wanted = format!("{}G", node.system_disk_gib);
        let begun = change.proxmox.resize_disk(&node.host, node.vmid, DISK, &wanted).await;
        vm::carry_out(cx, site, begun, doing, BAND).await
    }

    fn rests_on(&self) -> Vec<Fact> {
        vec![Fact::VmThere(self.node.vmid)]
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
