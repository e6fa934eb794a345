//! `teardown.orphans`: VMs of the run that are not in the plan, as after a node was taken out of it. What only carries a
//! copy of its mark is told and left alone.
use crate::base::answer::Answer;
use crate::base::day::Day;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::proxmox::{Error, VmRow};
use crate::steps::cluster::part;
use crate::steps::owner::{self, Strange};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines, removal};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "teardown.orphans";
const BAND: Band = Band::new(20, 300);
const DOING: &str = "look for VMs with this run's mark";
/// Configurations asked for at once.
const AT_ONCE: usize = 8;

pub struct Orphans {
    outline: Outline,
}

pub fn step(after: Vec<StepId>) -> Orphans {
    let title = "destroy VMs of this run that the plan no longer names";
    let by_hand = "grep -l cozyup-run= /etc/pve/nodes/*/qemu-server/*.conf";
    Orphans { outline: outlines::change_on(StepId::new(KIND), Day::Teardown, title, BAND, by_hand).after(after) }
}

/// The guests of the site, and those of them that carry the run's mark.
pub struct Marked {
    pub all: Answer<Vec<VmRow>>,
    /// The run's own.
    pub own: Vec<VmRow>,
    /// Others, each with why it is left alone.
    pub copies: Vec<(VmRow, Strange)>,
}

/// # Errors
/// When Proxmox VE does not answer.
pub async fn marked(cx: &dyn Context, site: &Reading) -> Result<Marked, Failure> {
    let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, DOING))?;
    let machines = all.value.iter().filter(|row| row.kind == "qemu").cloned();
    let asked: Vec<_> = machines.map(|row| judged(cx, site, row)).collect();
    let judged: Vec<Option<(VmRow, Result<(), Strange>)>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let (mut own, mut copies) = (Vec::new(), Vec::new());
    for (row, whose) in judged.into_iter().flatten() {
        match whose {
            Ok(()) => own.push(row),
            Err(why) if why.is_marked() => copies.push((row, why)),
            Err(_) => {}
        }
    }
    Ok(Marked { all, own, copies })
}

async fn judged(cx: &dyn Context, site: &Reading, row: VmRow) -> Result<Option<(VmRow, Result<(), Strange>)>, Failure> {
    match site.vm_config(&row.node, row.vmid).await {
        Ok(config) => {
            let whose = owner::of_vm(cx, site, row.vmid, &config.value);
            Ok(Some((row, whose)))
        }
        // Somebody else's, and gone since.
        Err(Error::Forbidden { .. } | Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(failures::proxmox(&e, &format!("{DOING}: read vm {}", row.vmid))),
    }
}

pub fn named(rows: &[VmRow]) -> String {
    rows.iter().map(owner::named).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl Step<Installation> for Orphans {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Marked { all, mut own, copies } = marked(cx, site).await?;
        own.retain(|row| !site.plan.has_vmid(row.vmid));
        if !own.is_empty() {
            return Ok(Observed::Absent(format!("{}: not in the plan, and this run's own", named(&own))));
        }
        let rows = part(&all, "VMIDs and names", all.value.iter().map(|r| json!([r.vmid, r.name])));
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &rows);
        let summary = format!("of {} guests none outside of the plan is this run's own", all.value.len());
        // Those under the plan's own VMIDs are told where they stand in the way of the run's.
        let left =
            copies.iter().filter(|(row, _)| !site.plan.has_vmid(row.vmid)).map(|(row, why)| owner::left(row, why));
        Ok(Observed::Satisfied(Proof::new(summary, evidence).leaving(left)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        follow::earlier_task(cx, site, DOING, BAND).await?;
        let Marked { own, .. } = marked(cx, site).await?;
        for row in own.iter().filter(|row| !site.plan.has_vmid(row.vmid)) {
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
