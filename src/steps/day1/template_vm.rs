//! `day1.template_vm`: the VM that becomes the template, its disk imported from the image. It is never started.
use crate::base::text::size;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::observed::Fact;
use crate::plan::model::{Plan, Template};
use crate::steps::image::image_file;
use crate::steps::removal;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm::{self, linked};
use crate::steps::{follow, outlines, owner};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.template_vm";
const BAND: Band = Band::new(60, 600);
const DISK: &str = "scsi0";

pub struct TemplateVm {
    outline: Outline,
    template: Template,
    vmid: Vmid,
    doing: String,
}

/// Options of the new VM, without its mark.
fn options(plan: &Plan, template: &Template) -> Vec<(&'static str, String)> {
    let disk = format!("{}:0,import-from={}", template.storage, image_file::volume(plan, template));
    let fixed = |(key, value): (&'static str, &str)| (key, value.to_string());
    let mut options = vec![
        ("vmid", template.vmid.to_string()),
        ("name", template.name.clone()),
        (DISK, vm::new_disk(&disk)),
        ("net0", vm::net0(&plan.network, None)),
    ];
    options.extend(
        [
            ("ostype", "l26"),
            // Talos does not boot on the default model, which lacks x86-64-v2.
            ("cpu", "host"),
            ("sockets", "1"),
            ("cores", "2"),
            ("memory", "2048"),
            // Talos has no memory hotplug.
            ("balloon", "0"),
            // The CSI driver asks for a controller of the virtio-scsi family and takes either; with
            // virtio-scsi-single Talos was reported to hang (siderolabs/talos#11173).
            ("scsihw", "virtio-scsi-pci"),
            ("serial0", "socket"),
            // CozyStack's image has no guest agent; with the option on, a shutdown would wait for one in vain.
            ("agent", "0"),
            ("boot", "order=scsi0"),
            ("onboot", "0"),
            // No cloud-init drive: a full clone would copy it, and each clone gets its own anyway.
        ]
        .map(fixed),
    );
    options
}

pub fn step(plan: &Plan, template: &Template) -> TemplateVm {
    let title = format!("create {} (vm {}) from the Talos image", template.name, template.vmid);
    let shown: Vec<String> =
        options(plan, template).iter().filter(|(k, _)| *k != "vmid").map(|(k, v)| format!("--{k} {v}")).collect();
    let by_hand = format!("qm create {} {}", template.vmid, shown.join(" "));
    let image = if template.has_own_image { template.clone() } else { plan.first_template() };
    let mut after = vec![super::of_template(super::image::KIND, &image)];
    // The first one's notes hold the claim: no VM of the run is there without them, and in a teardown they go last.
    after.extend(template.is_copy.then(|| StepId::new(KIND)));
    let outline = outlines::change(super::of_template(KIND, template), 1, title, BAND, by_hand).after(after);
    let doing = format!("create vm {} ({})", template.vmid, template.name);
    TemplateVm { outline, template: template.clone(), vmid: template.vmid, doing }
}

#[async_trait]
impl Step<Installation> for TemplateVm {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let template = &self.template;
        let config = match vm::find(cx, site, &template.host, template.vmid, &self.doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let Some(disk) = config.value.disk(DISK) else {
            return Err(Failure::person(
                format!("vm {} has no disk {DISK}: its creation was cut off", template.vmid),
                format!("on {}: {}; the step then makes it again", template.host, vm::destroy_by_hand(template.vmid)),
            ));
        };
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &config);
        let summary = format!("vm {} exists with {} of {}", template.vmid, disk.volid, size(disk.size_bytes));
        Ok(Observed::Satisfied(Proof::new(summary, evidence).owning(owner::thing(self.vmid, &config.value))))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        follow::earlier_task(cx, site, &self.doing, BAND).await?;
        let template = &self.template;
        vm::no_leftovers(site, &template.host, &template.storage, self.vmid, &self.doing).await?;
        let mut options = options(&site.plan, template);
        let mark = owner::notes(&site.mark, self.vmid);
        options.push(("description", if template.is_copy { mark } else { format!("{mark}\n{}", site.claim.word()) }));
        options.extend(site.plan.site.pool.clone().map(|pool| ("pool", pool)));
        let begun = change.proxmox.create_vm(&template.host, &options).await;
        vm::carry_out(cx, site, begun.map(Some), &self.doing, BAND).await
    }

    fn rests_on(&self) -> Vec<Fact> {
        vec![Fact::VmThere(self.vmid)]
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl Removal<Installation> for TemplateVm {
    fn title(&self) -> String {
        format!("destroy the template (vm {}) and its disk", self.vmid)
    }

    fn by_hand(&self) -> String {
        format!("qm destroy {} --purge", self.vmid)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let template = &self.template;
        let place = (template.host.as_str(), template.storage.as_str());
        let observed = removal::destroyed(cx, site, self.vmid, place, "destroy the template", BAND).await?;
        match observed {
            Observed::Absent(seen) => linked::clones(site, template).await.map(|in_the_way| match in_the_way {
                Some(failure) => Observed::Conflict(failure),
                None => Observed::Absent(seen),
            }),
            observed => Ok(observed),
        }
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        removal::destroy(cx, site, &change.proxmox, self.vmid, "destroy the template", BAND).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn the_disk_is_imported_in_the_one_form_that_proxmox_takes() {
        let plan = plan();
        let options = options(&plan, &plan.first_template());
        let of = |key: &str| options.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str());
        assert_eq!(
            of("scsi0"),
            Some("local-lvm:0,import-from=local:import/cozyup-talos-v1.10.6-aaaaaaaa.raw,discard=on,ssd=1")
        );
        assert_eq!((of("net0"), of("ide2"), of("tags")), (Some("virtio,bridge=vmbr0"), None, None));
    }
}
