//! `day1.clone/NODE`: a full clone of the template, with the plan's VMID and name and the run's mark.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::observed::Fact;
use crate::plan::model::{NodePlan, Plan, Template};
use crate::proxmox::CloneOptions;
use crate::steps::removal;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{follow, outlines, owner};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.clone";
const BAND: Band = Band::new(60, 300);
/// Copies side by side on one storage. Its lock covers the allocation alone (pve-storage, `vdisk_alloc`), and the template's
/// configuration is locked shared (qemu-server, `clone_vm`), so the next one may begin when the log of the one before shows
/// that it copies. Everything after day 1 waits for three control planes; a fourth copy would take their bandwidth.
const SIDE_BY_SIDE: usize = 3;

pub struct Clone {
    outline: Outline,
    node: NodePlan,
    template: Template,
    doing: String,
}

pub fn step(plan: &Plan, node: &NodePlan) -> Clone {
    let template = plan.template_of(node);
    let title = format!("clone {} (vm {}) from template {}", node.name, node.vmid, template.vmid);
    let target = if node.host == template.host { String::new() } else { format!(" --target {}", node.host) };
    let by_hand = format!(
        "qm clone {} {} --name {} --full --storage {}{target}",
        template.vmid, node.vmid, node.name, template.storage
    );
    let outline = outlines::change(StepId::of(KIND, &node.name), 1, title, BAND, by_hand)
        .after([super::of_template(super::template::KIND, &template)])
        .queued_by_turns(format!("clones on {}:{}", template.host, template.storage), SIDE_BY_SIDE);
    Clone { outline, node: node.clone(), template, doing: format!("clone vm {} ({})", node.vmid, node.name) }
}

#[async_trait]
impl Step<Installation> for Clone {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Clone { node, doing, .. } = self;
        let config = match vm::find(cx, site, &node.host, node.vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(making_way(cx, site, self.on_its_way(cx, site, *observed).await?).await),
        };
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &config);
        let summary = format!("vm {} exists on {} as {}", node.vmid, node.host, node.name);
        let own = owner::thing(node.vmid, &config.value);
        Ok(Observed::Satisfied(Proof::new(summary, evidence).owning(own)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        follow::earlier_task(cx, site, &self.doing, BAND).await?;
        let (node, template) = (&self.node, &self.template);
        let vmid = node.vmid;
        vm::confirm(cx, site, &template.host, template.vmid, &self.doing).await?;
        vm::no_leftovers(site, &node.host, &template.storage, vmid, &self.doing).await?;
        let options = CloneOptions {
            newid: vmid,
            name: node.name.clone(),
            full: true,
            storage: Some(template.storage.clone()),
            target: (node.host != template.host).then(|| node.host.clone()),
            pool: site.plan.site.pool.clone(),
            description: Some(owner::notes(&site.mark, vmid)),
        };
        let begun = change.proxmox.clone_vm(&template.host, template.vmid, &options).await;
        vm::carry_out(cx, site, begun.map(Some), &self.doing, BAND).await
    }

    fn rests_on(&self) -> Vec<Fact> {
        vec![Fact::VmThere(self.node.vmid)]
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl Removal<Installation> for Clone {
    fn title(&self) -> String {
        format!("destroy {} (vm {}) and its disks", self.node.name, self.node.vmid)
    }

    fn by_hand(&self) -> String {
        format!("qm destroy {} --purge", self.node.vmid)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let place = (self.node.host.as_str(), self.template.storage.as_str());
        removal::destroyed(cx, site, self.node.vmid, place, &self.destroying(), BAND).await
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        removal::destroy(cx, site, &change.proxmox, self.node.vmid, &self.destroying(), BAND).await
    }
}

impl Clone {
    fn destroying(&self) -> String {
        format!("destroy vm {} ({})", self.node.vmid, self.node.name)
    }

    /// A clone for another host belongs to the template's host until its very end.
    async fn on_its_way(&self, cx: &dyn Context, site: &Reading, observed: Observed) -> Result<Observed, Failure> {
        let (node, from) = (&self.node, &self.template.host);
        if !matches!(observed, Observed::Absent(_)) || node.host == *from {
            return Ok(observed);
        }
        match vm::find(cx, site, from, node.vmid, &self.doing, BAND).await? {
            Ok(_) => Ok(Observed::Conflict(Failure::person(
                format!("vm {} is on {from} and not on {} as the plan says", node.vmid, node.host),
                format!("on {from}: qm migrate {} {}", node.vmid, node.host),
            ))),
            Err(there) => Ok(*there),
        }
    }
}

/// Of a clone that an earlier session began, its task's log tells whether the next one may begin.
async fn making_way(cx: &dyn Context, site: &Reading, observed: Observed) -> Observed {
    match observed {
        Observed::Underway(wait) if follow::copies(cx, site).await => Observed::Underway(wait.making_way()),
        observed => observed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    /// proxmox.md part 2 section 3: without a target the VM would be made on the template's host.
    #[test]
    fn the_command_by_hand_names_the_host_of_a_machine_that_is_not_on_the_templates() {
        let mut plan = plan();
        let by_hand = |plan: &Plan| step(plan, &plan.nodes[1]).outline.by_hand.clone();
        assert!(!by_hand(&plan).contains("--target"), "{}", by_hand(&plan));
        plan.nodes[1].host = "pve2".into();
        assert!(by_hand(&plan).ends_with("--target pve2"), "{}", by_hand(&plan));
    }
}
