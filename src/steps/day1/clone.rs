//! `day1.clone/NODE`: a full clone of the template, with the plan's VMID and name and the run's mark.
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::{NodePlan, Plan};
use crate::proxmox::{CloneOptions, Error};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.clone";
const BAND: Band = Band::new(60, 300);

pub struct Clone {
    outline: Outline,
    node: NodePlan,
}

pub fn step(plan: &Plan, node: &NodePlan) -> Clone {
    let template = &plan.template;
    let title = format!("clone {} (vm {}) from template {}", node.name, node.vmid, template.vmid);
    let by_hand =
        format!("qm clone {} {} --name {} --full --storage {}", template.vmid, node.vmid, node.name, template.storage);
    let outline = outlines::change(StepId::of(KIND, &node.name), 1, title, BAND, by_hand)
        .after([StepId::new(super::template::KIND)])
        // Parallel clones of one storage fail on its lock, so they wait for each other here.
        .queued(format!("clones on {}:{}", template.host, template.storage), 1);
    Clone { outline, node: node.clone() }
}

impl Clone {
    fn doing(&self) -> String {
        format!("clone vm {} ({})", self.node.vmid, self.node.name)
    }
}

#[async_trait]
impl Step<Installation> for Clone {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let vmid = u32::from(self.node.vmid);
        let config = match site.proxmox.vm_config(&self.node.host, vmid).await {
            Ok(config) => config,
            Err(Error::NotFound { text }) => {
                if follow::is_running(cx, site).await {
                    return Ok(Observed::Underway(Wait::new(format!("{}: the task ends", self.doing()), text, BAND)));
                }
                return Ok(Observed::Absent(text));
            }
            Err(e) => return Err(failures::proxmox(&e, &self.doing())),
        };
        if !site.is_ours(config.value.description()) {
            return Ok(Observed::Conflict(Failure::refused(
                format!("vm {vmid} exists on {} and does not carry this run's mark", self.node.host),
                "give the node another vmid in the plan, or remove that VM yourself if nobody needs it",
            )));
        }
        if let Some(lock) = config.value.lock() {
            if follow::is_running(cx, site).await {
                let wait = Wait::new(format!("{}: the task ends", self.doing()), format!("locked ({lock})"), BAND);
                return Ok(Observed::Underway(wait));
            }
            return Err(Failure::person(
                format!("vm {vmid} is locked ({lock}) although no task of ours works on it: a clone was cut off"),
                format!(
                    "on {}: qm unlock {vmid} && qm destroy {vmid} --purge; the step then clones it again",
                    self.node.host
                ),
            ));
        }
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &config);
        Ok(Observed::Satisfied(Proof::new(
            format!("vm {vmid} exists on {} as {}", self.node.host, self.node.name),
            evidence,
        )))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let template = &site.plan.template;
        let options = CloneOptions {
            newid: u32::from(self.node.vmid),
            name: self.node.name.clone(),
            full: true,
            storage: Some(template.storage.clone()),
            target: (self.node.host != template.host).then(|| self.node.host.clone()),
            pool: None,
            description: Some(site.mark.clone()),
        };
        let source = u32::from(template.vmid);
        let upid = change.proxmox.clone_vm(&template.host, source, &options).await;
        let upid = upid.map_err(|e| failures::proxmox(&e, &self.doing()))?;
        cx.keep_handle(upid.as_str()).await?;
        follow::task(cx, site, &upid, &self.doing(), BAND).await
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
