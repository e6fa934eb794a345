//! `day1.data_disk/NODE`: an empty second disk for LINSTOR. A disk that is there already is never touched.
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::observed::Fact;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{follow, outlines, resized};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.data_disk";
const BAND: Band = Band::new(5, 60);
const DISK: &str = "scsi1";

pub struct DataDisk {
    outline: Outline,
    node: NodePlan,
    /// `STORAGE:GIB`, as Proxmox VE names a disk that it is to make.
    source: String,
    doing: String,
}

pub fn step(plan: &Plan, node: &NodePlan) -> DataDisk {
    let source = format!("{}:{}", plan.storage_of(node), node.data_disk_gib);
    let title = format!("give {} a data disk of {} GiB", node.name, node.data_disk_gib);
    let by_hand = format!("qm set {} --{DISK} {}", node.vmid, vm::new_disk(&source));
    let outline = outlines::change(StepId::of(KIND, &node.name), 1, title, BAND, by_hand)
        // One change of a VM at a time: a second one finds another digest than it read.
        .after([StepId::of(super::resize::KIND, &node.name)]);
    let doing = format!("add {DISK} to vm {} ({})", node.vmid, node.name);
    DataDisk { outline, node: node.clone(), source, doing }
}

#[async_trait]
impl Step<Installation> for DataDisk {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let DataDisk { node, doing, .. } = self;
        let config = match vm::find(cx, site, &node.host, node.vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let Some(disk) = config.value.disk(DISK) else {
            return vm::absent(cx, site, format!("there is no {DISK}"), doing, BAND).await;
        };
        if disk.size_gib != node.data_disk_gib {
            let (is, wanted) = (size(disk.size_bytes), node.data_disk_gib);
            let differences = format!("{DISK} is {} with {is} instead of {wanted} GiB", disk.volid);
            let before =
                format!("set data_disk_gib of {} to that size, or remove the disk yourself if it is empty", node.name);
            return Ok(Observed::Conflict(resized::failure(site, node, &differences, before)));
        }
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &config);
        let summary = format!("data disk {} of vm {} has {}", disk.volid, node.vmid, size(disk.size_bytes));
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let DataDisk { node, source, doing, .. } = self;
        follow::earlier_task(cx, site, doing, BAND).await?;
        let vmid = node.vmid;
        let config = vm::confirm(cx, site, &node.host, vmid, doing).await?;
        if config.get(DISK).is_some() {
            return Ok(());
        }
        let mut options = vec![(DISK, vm::new_disk(source))];
        // Proxmox VE would put a second disk into the place of one that came meanwhile; with the digest it refuses.
        options.extend(config.digest().map(|d| ("digest", d.to_string())));
        let begun = change.proxmox.configure_vm(&node.host, vmid, &options).await;
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
