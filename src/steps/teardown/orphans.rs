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
use std::collections::BTreeSet;
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
    /// Those of hosts that are offline, whose notes nobody can read now. The run knows nothing of their VMIDs.
    pub unread: Vec<VmRow>,
}

impl Marked {
    /// A remark about the guests that could not be looked at, when there are any.
    pub fn remark(&self) -> Option<String> {
        let hosts: BTreeSet<&str> = self.unread.iter().map(|row| row.node.as_str()).collect();
        (!hosts.is_empty()).then(|| {
            format!(
                "{} could not be looked at, since {} is offline; neither the plan nor the run's journal knows a VMID of them",
                named(&self.unread),
                hosts.into_iter().collect::<Vec<_>>().join(", ")
            )
        })
    }
}

/// # Errors
/// When Proxmox VE does not answer.
pub async fn marked(cx: &dyn Context, site: &Reading) -> Result<Marked, Failure> {
    let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, DOING))?;
    let machines = all.value.iter().filter(|row| row.kind == "qemu").cloned();
    let asked: Vec<_> = machines.map(|row| judged(cx, site, row)).collect();
    let judged: Vec<(VmRow, Judged)> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let mut marked = Marked { all, own: Vec::new(), copies: Vec::new(), unread: Vec::new() };
    for (row, judged) in judged {
        match judged {
            Judged::Own => marked.own.push(row),
            Judged::Strange(why) if why.is_marked() => marked.copies.push((row, why)),
            Judged::Strange(_) | Judged::Gone => {}
            Judged::Offline => marked.unread.push(row),
        }
    }
    Ok(marked)
}

/// A guest, as far as its notes say whose it is.
enum Judged {
    Own,
    Strange(Strange),
    /// Somebody else's, and gone since.
    Gone,
    /// Its host is offline.
    Offline,
}

async fn judged(cx: &dyn Context, site: &Reading, row: VmRow) -> Result<(VmRow, Judged), Failure> {
    let judged = match site.vm_config(&row.node, row.vmid).await {
        Ok(config) => owner::of_vm(cx, site, row.vmid, &config.value).map_or_else(Judged::Strange, |()| Judged::Own),
        Err(Error::Forbidden { .. } | Error::NotFound { .. }) => Judged::Gone,
        Err(Error::Busy { status: Some(595..=599), .. })
            if !owner::may_be_own(cx, site, row.vmid) && is_offline(site, &row.node).await? =>
        {
            Judged::Offline
        }
        Err(e) => return Err(failures::proxmox(&e, &format!("{DOING}: read vm {}", row.vmid))),
    };
    Ok((row, judged))
}

/// By the cluster's own word.
async fn is_offline(site: &Reading, host: &str) -> Result<bool, Failure> {
    let nodes = site.proxmox.nodes().await.map_err(|e| failures::proxmox(&e, DOING))?;
    Ok(nodes.value.iter().any(|node| node.node == host && node.status == "offline"))
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
        let marked = marked(cx, site).await?;
        let remark = marked.remark();
        let Marked { all, mut own, copies, .. } = marked;
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
        let proof = Proof::new(summary, evidence).leaving(left);
        Ok(Observed::Satisfied(remark.into_iter().fold(proof, Proof::mind)))
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
