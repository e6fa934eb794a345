//! `day1.template`: the VM is a template, so that nobody can start it and clones have a fixed source.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, Undo};
use crate::engine::wait::Band;
use crate::plan::model;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.template";
const BAND: Band = Band::new(5, 60);

pub struct Template {
    outline: Outline,
    template: model::Template,
    doing: String,
}

pub fn step(template: &model::Template) -> Template {
    let title = format!("make vm {} ({}) a template", template.vmid, template.name);
    let by_hand = format!("qm template {}", template.vmid);
    let outline = outlines::change(super::of_template(KIND, template), 1, title, BAND, by_hand)
        .after([super::of_template(super::template_vm::KIND, template)]);
    Template { outline, template: template.clone(), doing: format!("make vm {} a template", template.vmid) }
}

#[async_trait]
impl Step<Installation> for Template {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let template = &self.template;
        let config = match vm::find(cx, site, &template.host, template.vmid, &self.doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let (is_template, disk) = (config.value.template(), config.value.disk("scsi0"));
        // The mark is set before the disks are renamed, so the task has to have ended too. On storages that know no
        // base disks (plain LVM) the name stays, and full clones work all the same.
        if !is_template || follow::is_running(cx, site, &self.doing).await? {
            let seen = if is_template { "its disks are being renamed" } else { "it is an ordinary VM" };
            return vm::absent(cx, site, seen.into(), &self.doing, BAND).await;
        }
        let Some(disk) = disk else {
            return Err(Failure::person(
                format!("template {} has no disk scsi0", template.vmid),
                format!(
                    "on {}: {}; run again so that it is made anew",
                    template.host,
                    vm::destroy_by_hand(template.vmid)
                ),
            ));
        };
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &config);
        let summary = format!("vm {} is a template with {}", template.vmid, disk.volid);
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let template = &self.template;
        follow::earlier_task(cx, site, &self.doing, BAND).await?;
        vm::confirm(cx, site, &template.host, template.vmid, &self.doing).await?;
        let begun = change.proxmox.make_template(&template.host, template.vmid).await;
        vm::carry_out(cx, site, begun.map(Some), &self.doing, BAND).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::template_vm::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
