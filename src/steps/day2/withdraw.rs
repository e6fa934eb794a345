//! `day2.withdraw/NODE`: the CD-ROM with the machine config is out of the VM and off the storage. It holds the cluster's
//! keys, and a machine that is reset would take its config from it once more.
use super::seed::take_away;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::machine::seed_file;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.withdraw";
const BAND: Band = Band::new(10, 120);

pub struct Withdraw {
    outline: Outline,
    node: NodePlan,
    doing: String,
}

pub fn step(plan: &Plan, node: &NodePlan) -> Withdraw {
    let (vmid, storage) = (node.vmid, plan.iso_storage_of(node));
    let title = format!("take the machine config of {} out of vm {vmid} and off storage {storage}", node.name);
    let by_hand = format!(
        "qm set {vmid} --{} none,media=cdrom\npvesm list {storage} --content {} | grep -- -{vmid}-; pvesm free VOLUME",
        seed_file::SLOT,
        seed_file::CONTENT
    );
    let outline = outlines::change(StepId::of(KIND, &node.name), 2, title, BAND, by_hand)
        .after([StepId::of(super::deliver::KIND, &node.name)]);
    Withdraw { outline, node: node.clone(), doing: format!("take the config of {} away", node.name) }
}

#[async_trait]
impl Step<Installation> for Withdraw {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Withdraw { node, doing, .. } = self;
        let vmid = node.vmid;
        let config = match vm::find(cx, site, &node.host, vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        // As the VM runs, and as it would start next.
        let current = site.proxmox.vm_config_now(&node.host, vmid).await.map_err(|e| failures::proxmox(&e, doing))?;
        for vm in [&current.value, &config.value] {
            if let Some((slot, volid)) = seed_file::inserted(site, vmid, vm).first() {
                return vm::absent(cx, site, format!("{volid} is in {slot} of vm {vmid}"), doing, BAND).await;
            }
        }
        let stored = seed_file::stored(site, &node.host, vmid, Some(site.plan.iso_storage_of(node))).await?;
        if let Some((_, volume)) = stored.volumes.first() {
            return vm::absent(cx, site, format!("{} is on the storage", volume.volid), doing, BAND).await;
        }
        let now = cx.clock().now();
        let summary = format!(
            "the config of {} is in no drive of vm {vmid} and on none of {} storages that take CD-ROMs",
            node.name,
            stored.seen.len()
        );
        let proof = Proof::new(summary, Evidence::of("Proxmox", now, &current));
        Ok(Observed::Satisfied(stored.seen.iter().fold(proof, |p, seen| p.and(Evidence::of("Proxmox", now, seen)))))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Withdraw { node, doing, .. } = self;
        follow::earlier_task(cx, site, doing, BAND).await?;
        let vmid = node.vmid;
        let Ok(config) = vm::find(cx, site, &node.host, vmid, doing, BAND).await? else { return Ok(()) };
        take_away(cx, site, change, (&node.host, vmid), Some(&config.value), doing).await
    }

    /// Nothing is left of it; what is left of the seed goes with [`super::seed`].
    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
