//! `day2.seed/NODE`: before its first start the VM has its machine config in a drive: a NoCloud seed, uploaded under the
//! run's mark. So the config goes the way of Proxmox VE's own API, and to nobody who answers on the network.
//!
//! The seed of a control plane holds every key of the cluster. [`super::withdraw`] takes it away as soon as the machine is
//! up; a VM that runs is never given one.
use super::deliver::delivered;
use crate::base::answer::Answer;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::{NodePlan, Plan};
use crate::proxmox::{Error, VmConfig};
use crate::steps::follow::{self, Kept};
use crate::steps::machine::seed_file::{self, SLOT, Stored};
use crate::steps::removal::{self, Found};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{failures, outlines, uploads};
use crate::talos::seed::Seed as Image;
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day2.seed";
const BAND: Band = Band::new(30, 180);

pub struct Seed {
    outline: Outline,
    node: NodePlan,
    doing: String,
}

pub fn step(plan: &Plan, node: &NodePlan) -> Seed {
    let (vmid, storage) = (node.vmid, plan.iso_storage_of(node));
    let title = format!("put the machine config of {} into drive {SLOT} of vm {vmid}, by storage {storage}", node.name);
    let by_hand = format!(
        "genisoimage -J -R -V cidata -o seed-{vmid}.iso user-data meta-data network-config\n\
         qm set {vmid} --{SLOT} {storage}:{}/seed-{vmid}.iso,media=cdrom",
        seed_file::CONTENT
    );
    let outline = outlines::change(StepId::of(KIND, &node.name), 2, title, BAND, by_hand)
        .after([StepId::of(super::config::KIND, &node.name)]);
    Seed { outline, node: node.clone(), doing: format!("put the config of {} into vm {vmid}", node.name) }
}

/// The failure when something else is in the drive of the seed. Only an empty drive, Proxmox VE's own cloud-init drive
/// and an older seed of this run are replaced.
fn occupied(site: &Reading, node: &NodePlan, vm: &VmConfig) -> Option<Failure> {
    let disk = vm.disk(SLOT)?;
    let ours = seed_file::inserted(site, node.vmid, vm).iter().any(|(slot, _)| slot == SLOT);
    if ours || (disk.cdrom && disk.is_cloud_init()) {
        return None;
    }
    Some(Failure::person(
        format!("drive {SLOT} of vm {} has {} in it, which is not this run's", node.vmid, disk.volid),
        format!("if nobody needs it there, on {}: qm set {} --{SLOT} none,media=cdrom", node.host, node.vmid),
    ))
}

/// Describes what is missing on the storage or in the drive; `None` when the seed lies ready.
fn missing(image: &Image, name: &str, volume: &str, stored: &Stored, vm: &VmConfig) -> Option<String> {
    let size = image.bytes.len() as u64;
    match stored.volumes.iter().find(|(_, v)| v.volid == volume) {
        None => return Some(format!("{name} is on no storage")),
        Some((_, v)) if v.size.is_some_and(|is| is != size) => return Some(format!("{name} is there only in part")),
        Some(_) => {}
    }
    if let Some((_, other)) = stored.volumes.iter().find(|(_, v)| v.volid != volume) {
        return Some(format!("an older config is there: {}", other.volid));
    }
    match vm.disk(SLOT) {
        Some(disk) if disk.volid == volume => None,
        Some(disk) => Some(format!("{SLOT} has {}", disk.volid)),
        None => Some(format!("{SLOT} is empty")),
    }
}

#[async_trait]
impl Step<Installation> for Seed {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Seed { node, doing, .. } = self;
        let vmid = node.vmid;
        let config = match vm::find(cx, site, &node.host, vmid, doing, BAND).await? {
            Ok(config) => config,
            Err(observed) => return Ok(*observed),
        };
        let status = site.proxmox.vm_status(&node.host, vmid).await.map_err(|e| failures::proxmox(&e, doing))?;
        if status.value.is_running() {
            let inserted = seed_file::inserted(site, vmid, &config.value);
            let Some((slot, volid)) = inserted.first() else {
                // Its job is done, or it was started without: what the machine says tells which.
                return delivered(cx, site, node).await;
            };
            let summary = format!("vm {vmid} runs with {volid} in {slot}");
            return Ok(Observed::Satisfied(Proof::new(summary, self.seen(cx, &config))));
        }
        if let Some(conflict) = occupied(site, node, &config.value) {
            return Ok(Observed::Conflict(conflict));
        }
        let image = seed_file::wanted(site, node, &config.value)?;
        let name = seed_file::name(site, vmid, &image);
        let volume = seed_file::volume(site, node, &name);
        // In this order: a task that ends between the two has left its file.
        let kept = uploads::copying(cx, site, &node.host, &name, doing).await?;
        let stored = seed_file::stored(site, &node.host, vmid, Some(site.plan.iso_storage_of(node))).await?;
        if let Some(seen) = missing(&image, &name, &volume, &stored, &config.value) {
            return Ok(vm::absent_unless(kept == Kept::Running, seen, doing, BAND));
        }
        // The file has its full size before the task that copies it has ended.
        if kept == Kept::Running {
            return Ok(vm::absent_unless(true, format!("{volume} is being written"), doing, BAND));
        }
        let first = config.value.boot_order().first().map(|device| (*device).to_string());
        if first.as_deref().is_some_and(|device| device != "scsi0") {
            return Ok(Observed::Conflict(Failure::person(
                format!("vm {vmid} boots from {} first, and Talos is on scsi0", first.unwrap_or_default()),
                format!("on {}: qm set {vmid} --boot order=scsi0", node.host),
            )));
        }
        let summary = format!("{volume} is in {SLOT} of vm {vmid}, which is off");
        let proof = Proof::new(summary, self.seen(cx, &config));
        let now = cx.clock().now();
        Ok(Observed::Satisfied(stored.seen.iter().fold(proof, |p, seen| p.and(Evidence::of("Proxmox", now, seen)))))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Seed { node, doing, .. } = self;
        let (host, vmid) = (node.host.as_str(), node.vmid);
        follow::earlier_task(cx, site, doing, BAND).await?;
        let failed = |e: Error| failures::proxmox(&e, doing);
        let Ok(config) = vm::find(cx, site, host, vmid, doing, BAND).await? else { return Ok(()) };
        // Whoever started it meanwhile: a machine that runs would not read it, and its keys would lie there for nothing.
        if site.proxmox.vm_status(host, vmid).await.map_err(failed)?.value.is_running() {
            return Ok(());
        }
        if let Some(conflict) = occupied(site, node, &config.value) {
            return Err(conflict);
        }
        let image = seed_file::wanted(site, node, &config.value)?;
        let name = seed_file::name(site, vmid, &image);
        let volume = seed_file::volume(site, node, &name);
        let stored = seed_file::stored(site, host, vmid, Some(site.plan.iso_storage_of(node))).await?;
        let size = image.bytes.len() as u64;
        let is_whole = stored.volumes.iter().any(|(_, v)| v.volid == volume && v.size.is_none_or(|is| is == size));
        if !is_whole {
            let storage = site.plan.iso_storage_of(node);
            let upload =
                change.proxmox.upload_bytes(host, storage, seed_file::CONTENT, &name, &image.sha256, image.bytes);
            vm::carry_out(cx, site, upload.await.map(Some), doing, BAND).await?;
        }
        if config.value.disk(SLOT).is_none_or(|disk| disk.volid != volume) {
            let mut options = vec![(SLOT, format!("{volume},media=cdrom"))];
            options.extend(config.value.digest().map(|d| ("digest", d.to_string())));
            let begun = change.proxmox.configure_vm(host, vmid, &options).await;
            vm::carry_out(cx, site, begun, doing, BAND).await?;
        }
        for (storage, older) in stored.volumes.iter().filter(|(_, v)| v.volid != volume) {
            delete(cx, site, change, (host, storage, &older.volid), doing).await?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

impl Seed {
    fn seen(&self, cx: &dyn Context, config: &Answer<VmConfig>) -> Evidence {
        Evidence::of("Proxmox", cx.clock().now(), config)
    }
}

async fn delete(
    cx: &dyn Context,
    site: &Reading,
    change: &Changing,
    (host, storage, volid): (&str, &str, &str),
    doing: &str,
) -> Result<(), Failure> {
    match change.proxmox.delete_volume(host, storage, volid).await {
        Err(Error::NotFound { .. }) => Ok(()),
        begun => vm::carry_out(cx, site, begun, doing, BAND).await,
    }
}

/// Takes this run's seeds out of the VM's drives and off the storages of `host`. `config` is the VM's, where it is ours.
///
/// # Errors
/// When Proxmox VE refuses, or a task fails.
pub async fn take_away(
    cx: &dyn Context,
    site: &Reading,
    change: &Changing,
    (host, vmid): (&str, Vmid),
    config: Option<&VmConfig>,
    doing: &str,
) -> Result<(), Failure> {
    if let Some(config) = config {
        let slots = seed_file::inserted(site, vmid, config);
        // An empty drive, at once also in a running VM; to remove the drive would wait for its next start.
        let mut options: Vec<(&str, String)> =
            slots.iter().map(|(slot, _)| (slot.as_str(), "none,media=cdrom".to_string())).collect();
        if !options.is_empty() {
            options.extend(config.digest().map(|d| ("digest", d.to_string())));
            let begun = change.proxmox.configure_vm(host, vmid, &options).await;
            vm::carry_out(cx, site, begun, doing, BAND).await?;
        }
    }
    let stored = seed_file::stored(site, host, vmid, None).await?;
    for (storage, volume) in &stored.volumes {
        delete(cx, site, change, (host, storage, &volume.volid), doing).await?;
    }
    Ok(())
}

#[async_trait]
impl Removal<Installation> for Seed {
    fn title(&self) -> String {
        format!("delete what is left of the config of {} on storages and in vm {}", self.node.name, self.node.vmid)
    }

    fn by_hand(&self) -> String {
        format!(
            "qm set {0} --{SLOT} none,media=cdrom; pvesm list STORAGE --content iso | grep -- -{0}-",
            self.node.vmid
        )
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (node, doing) = (&self.node, self.removing());
        let vmid = node.vmid;
        let (proof, host) = match removal::find(cx, site, vmid, &doing, BAND).await? {
            Found::Ours { host, config } => {
                if let Some((slot, volid)) = seed_file::inserted(site, vmid, &config.value).first() {
                    return vm::absent(cx, site, format!("{volid} is in {slot} of vm {vmid}"), &doing, BAND).await;
                }
                let proof = Proof::new("", self.seen(cx, &config));
                (proof, host)
            }
            Found::Free(proof) => (*proof, node.host.clone()),
            Found::Not(observed) => match *observed {
                Observed::Satisfied(proof) => (proof, node.host.clone()),
                other => return Ok(other),
            },
        };
        let kept = follow::is_running(cx, site, &doing).await?;
        let made = site.made(&self.outline.id);
        let stored = seed_file::stored(site, &host, vmid, made.then(|| site.plan.iso_storage_of(node))).await?;
        if let Some((_, volume)) = stored.volumes.first() {
            return Ok(vm::absent_unless(kept, format!("{} is there", volume.volid), &doing, BAND));
        }
        let now = cx.clock().now();
        let mut readings =
            stored.seen.iter().map(|seen| Evidence::of("Proxmox", now, seen)).chain(proof.readings().cloned());
        let summary = format!("no config of {} is on a storage of {host}", node.name);
        match readings.next() {
            Some(first) => Ok(Observed::Satisfied(readings.fold(Proof::new(summary, first), Proof::and))),
            None => Err(Failure::defect("a look at the storages read nothing")),
        }
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let doing = self.removing();
        let vmid = self.node.vmid;
        follow::earlier_task(cx, site, &doing, BAND).await?;
        match removal::find(cx, site, vmid, &doing, BAND).await? {
            Found::Ours { host, config } => {
                take_away(cx, site, change, (&host, vmid), Some(&config.value), &doing).await
            }
            Found::Free(_) | Found::Not(_) => take_away(cx, site, change, (&self.node.host, vmid), None, &doing).await,
        }
    }
}

impl Seed {
    fn removing(&self) -> String {
        format!("take the config of {} away", self.node.name)
    }
}
