//! `day1.start/NODE`: the VM runs.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::observed::Fact;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::day2::seed;
use crate::steps::removal::{self, Found};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.start";
const BAND: Band = Band::new(10, 120);

pub struct Start {
    outline: Outline,
    node: NodePlan,
    doing: String,
}

/// On day 2 where the config goes by CD-ROM: it has to be in its drive before.
pub fn step(plan: &Plan, node: &NodePlan) -> Start {
    let title = format!("start {} (vm {})", node.name, node.vmid);
    let seeded = plan.by_cdrom().then(|| StepId::of(seed::KIND, &node.name));
    let day = if seeded.is_some() { 2 } else { 1 };
    let outline = outlines::change(StepId::of(KIND, &node.name), day, title, BAND, format!("qm start {}", node.vmid))
        .after([StepId::of(super::resize::KIND, &node.name), StepId::of(super::data_disk::KIND, &node.name)])
        .after(seeded);
    Start { outline, node: node.clone(), doing: format!("start vm {} ({})", node.vmid, node.name) }
}

#[async_trait]
impl Step<Installation> for Start {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Start { node, doing, .. } = self;
        let config = match vm::find(cx, site, &node.host, node.vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let status = site.proxmox.vm_status(&node.host, node.vmid).await;
        let status = status.map_err(|e| failures::proxmox(&e, doing))?;
        if !status.value.is_running() {
            let seen = format!("vm {} is {}", node.vmid, status.value.status);
            return vm::absent(cx, site, seen, doing, BAND).await;
        }
        let now = cx.clock().now();
        let proof =
            Proof::new(format!("vm {} runs on {}", node.vmid, node.host), Evidence::of("Proxmox", now, &status));
        Ok(Observed::Satisfied(proof.and(Evidence::of("Proxmox", now, &config))))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Start { node, doing, .. } = self;
        follow::earlier_task(cx, site, doing, BAND).await?;
        vm::confirm(cx, site, &node.host, node.vmid, doing).await?;
        let begun = change.proxmox.start_vm(&node.host, node.vmid).await;
        vm::carry_out(cx, site, begun.map(Some), doing, BAND).await
    }

    fn rests_on(&self) -> Vec<Fact> {
        let vmid = self.node.vmid;
        vec![Fact::VmThere(vmid), Fact::VmRunning(vmid)]
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl Removal<Installation> for Start {
    fn title(&self) -> String {
        format!("stop {} (vm {})", self.node.name, self.node.vmid)
    }

    fn by_hand(&self) -> String {
        format!("qm stop {}", self.node.vmid)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let vmid = self.node.vmid;
        let doing = format!("stop vm {vmid} ({})", self.node.name);
        let host = match removal::find(cx, site, vmid, &doing, BAND).await? {
            Found::Ours { host, .. } => host,
            Found::Free(proof) => return Ok(Observed::Satisfied(*proof)),
            Found::Not(observed) => return Ok(*observed),
        };
        let status = site.proxmox.vm_status(&host, vmid).await.map_err(|e| failures::proxmox(&e, &doing))?;
        if status.value.is_running() {
            return vm::absent(cx, site, format!("vm {vmid} runs on {host}"), &doing, BAND).await;
        }
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &status);
        Ok(Observed::Satisfied(Proof::new(format!("vm {vmid} does not run"), evidence)))
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let doing = format!("stop vm {} ({})", self.node.vmid, self.node.name);
        follow::earlier_task(cx, site, &doing, BAND).await?;
        removal::stop(cx, site, &change.proxmox, self.node.vmid, &doing, BAND).await
    }
}
