//! `teardown.strays`: VMs that carry the run's mark and are not in the plan, as after a node was taken out of it.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::TEARDOWN;
use crate::proxmox::{Error, VmRow};
use crate::steps::cluster::part;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines, removal};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "teardown.strays";
const BAND: Band = Band::new(20, 300);
const DOING: &str = "look for VMs with this run's mark";
/// Configurations asked for at once.
const AT_ONCE: usize = 8;

pub struct Strays {
    outline: Outline,
}

pub fn step(after: Vec<StepId>) -> Strays {
    let title = "destroy VMs of this run that the plan no longer names";
    let by_hand = "grep -l cozyup-run= /etc/pve/nodes/*/qemu-server/*.conf";
    Strays { outline: outlines::change(StepId::new(KIND), TEARDOWN, title, BAND, by_hand).after(after) }
}

/// Every VM that carries the run's mark, and the list of guests in which they were found.
///
/// # Errors
/// When Proxmox VE does not answer.
pub async fn marked(site: &Reading) -> Result<(Answer<Vec<VmRow>>, Vec<VmRow>), Failure> {
    let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, DOING))?;
    let machines = all.value.iter().filter(|row| row.kind == "qemu").cloned();
    let asked: Vec<_> = machines.map(|row| if_ours(site, row)).collect();
    let ours: Vec<Option<VmRow>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    Ok((all, ours.into_iter().flatten().collect()))
}

async fn if_ours(site: &Reading, row: VmRow) -> Result<Option<VmRow>, Failure> {
    match site.proxmox.vm_config(&row.node, row.vmid).await {
        Ok(config) => Ok(site.is_ours(config.value.description()).then_some(row)),
        // Somebody else's, and gone since.
        Err(Error::Forbidden { .. } | Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(failures::proxmox(&e, &format!("{DOING}: read vm {}", row.vmid))),
    }
}

pub fn named(rows: &[VmRow]) -> String {
    let name = |r: &VmRow| format!("vm {} ({}) on {}", r.vmid, r.name.as_deref().unwrap_or("without a name"), r.node);
    rows.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl Step<Installation> for Strays {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (all, mut ours) = marked(site).await?;
        ours.retain(|row| !site.plan.has_vmid(row.vmid));
        if !ours.is_empty() {
            return Ok(Observed::Absent(format!("{}: not in the plan, with this run's mark", named(&ours))));
        }
        let rows = part(&all, "VMIDs and names", all.value.iter().map(|r| json!([r.vmid, r.name])));
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &rows);
        let summary = format!("of {} guests none outside of the plan carries this run's mark", all.value.len());
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        follow::earlier_task(cx, site, DOING, BAND).await?;
        let (_, ours) = marked(site).await?;
        for row in ours.iter().filter(|row| !site.plan.has_vmid(row.vmid)) {
            let doing = format!("destroy vm {}", row.vmid);
            removal::destroy(cx, site, &change.proxmox, row.vmid, &doing, BAND).await?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
