//! `day6.vm`: the VM that Cluster API speaks of is in Proxmox VE, as it was asked for, made by capmox, and alone.
use crate::base::answer::Answer;
use crate::base::text::size;
use crate::cozystack::cluster_api::{Made, Progress};
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::proxmox::{TaskRow, VmConfig, VmRow, Volume};
use crate::steps::addons::access::CAPMOX;
use crate::steps::cluster::get;
use crate::steps::cluster_api::{self, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day6.vm";
const BAND: Band = Band::new(10, 120);
/// The drive that capmox gives the bootstrap data.
const CDROM: &str = "ide0";
const DISK: &str = "scsi0";

pub struct Vm {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Vm {
    let range = cluster_api::range(plan).map(|range| range.to_string()).unwrap_or_default();
    let title = format!("Proxmox VE shows that VM, and no other in {range}");
    let by_hand = "qm list\nqm config VMID\npvesh get /nodes/NODE/tasks --vmid VMID";
    let outline = outlines::check(StepId::new(KIND), 6, title, BAND, by_hand)
        .after([StepId::new(super::machine::KIND)])
        .momentary();
    Vm { outline }
}

/// The settings of the VM that are not as they were asked for.
fn differences(site: &Plan, made: &Made, name: &str, row: &VmRow, config: &VmConfig) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut differs = |what: &str, wanted: String, found: String| {
        if wanted != found {
            wrong.push(format!("{what} is {found} and not {wanted}"));
        }
    };
    differs("its SMBIOS uuid", made.uuid.clone(), config.smbios_uuid().unwrap_or_default().to_lowercase());
    differs("its name", name.to_string(), row.name.clone().unwrap_or_default());
    differs("its node", made.node.clone(), row.node.clone());
    differs("its status", "running".into(), row.status.clone());
    differs("its number of cores", cluster_api::CORES.to_string(), (config.cores() * config.sockets()).to_string());
    differs("its memory", format!("{} MiB", cluster_api::MEMORY_MIB), format!("{} MiB", config.memory()));
    let card = config.net("net0");
    differs("its bridge", site.network.bridge.clone(), card.and_then(|c| c.bridge).unwrap_or_default());
    let disk = config.disk(DISK).map(|d| d.volid).unwrap_or_default();
    let storage = disk.split_once(':').map(|(storage, _)| storage).unwrap_or_default();
    differs("the storage of its disk", site.template.storage.clone(), storage.to_string());
    wrong
}

#[async_trait]
impl Step<Installation> for Vm {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = cluster_api::test(site)?.machine();
        let told = get(&site.kubernetes()?, &Kind::PROXMOX_MACHINE, Some(NAMESPACE), &name).await?;
        let Some(Progress::Made(made)) = told.as_ref().map(|told| Progress::of(&told.value)) else {
            return Err(Failure::retryable(
                format!("machine {name} of Cluster API is no longer there"),
                "cozyup looks again; day6.machine makes it anew",
            ));
        };
        let (all, guests) = cluster_api::guests(site).await?;
        let Some(row) = guests.iter().find(|row| row.vmid == made.vmid) else {
            return Err(Failure::person(
                format!("Cluster API says that vm {} is there, and Proxmox VE has no such VM", made.vmid),
                "look at `qm list` and at capmox's log: kubectl logs -n cozy-cluster-api deploy/capmox-controller-manager",
            ));
        };
        if let Some(orphan) = guests.iter().find(|row| row.vmid != made.vmid) {
            return Err(cluster_api::orphan(orphan, Some(made.vmid)));
        }
        let doing = format!("read vm {}", made.vmid);
        let failed = |e| failures::proxmox(&e, &doing);
        let config = site.proxmox.vm_config(&row.node, made.vmid).await.map_err(failed)?;
        let wrong = differences(&site.plan, &made, &name, row, &config.value);
        if !wrong.is_empty() {
            return Err(Failure::person(
                format!("vm {}: {}", made.vmid, wrong.join("; ")),
                "look who changed it (Task history of the VM in Proxmox VE); the step looks again by itself",
            ));
        }
        let Some((content, tasks)) = made_by_capmox(site, row, &config.value).await? else {
            let seen = format!("{CDROM} is empty");
            return Ok(Observed::Underway(Wait::new("the CD-ROM with its bootstrap data is in its drive", seen, BAND)));
        };
        let now = cx.clock().now();
        let summary = format!(
            "vm {} ({name}) runs on {} with {} core and {}, made by {}",
            made.vmid,
            row.node,
            cluster_api::CORES,
            size(cluster_api::MEMORY_MIB << 20),
            CAPMOX.user,
        );
        let proof = Proof::new(summary, Evidence::of("Proxmox", now, &config))
            .and(Evidence::of("Proxmox", now, &all))
            .and(Evidence::of("Proxmox", now, &content))
            .and(Evidence::of("Proxmox", now, &tasks));
        let proof = told.iter().fold(proof, |p, told| p.and(Evidence::of("Kubernetes", now, told)));
        Ok(Observed::Satisfied(proof))
    }

    async fn act(&self, _cx: &dyn Context, _site: &Reading, _change: &Changing) -> Result<(), Failure> {
        Err(outlines::nothing_to_do(&self.outline))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}

/// The CD-ROM's storage and the VM's tasks, which show that capmox made it; `None` while the drive is empty.
///
/// # Errors
/// When the CD-ROM or its tasks are not there, or can't be read.
async fn made_by_capmox(
    site: &Reading,
    row: &VmRow,
    config: &VmConfig,
) -> Result<Option<(Answer<Vec<Volume>>, Answer<Vec<TaskRow>>)>, Failure> {
    let Some(cdrom) = config.disk(CDROM).map(|disk| disk.volid) else { return Ok(None) };
    let storage = cdrom.split_once(':').map(|(storage, _)| storage).unwrap_or_default().to_string();
    let content = site.proxmox.storage_content(&row.node, &storage, "iso").await;
    let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {storage}")))?;
    if !content.value.iter().any(|volume| volume.volid == cdrom) {
        return Err(Failure::person(
            format!("vm {} has {cdrom} in its drive, which is not on storage {storage}", row.vmid),
            "the VM would not start again: see who removed the image; delete the Cluster to have it made anew",
        ));
    }
    let tasks = site.proxmox.tasks_of(&row.node, row.vmid).await;
    let tasks = tasks.map_err(|e| failures::proxmox(&e, &format!("list the tasks of vm {}", row.vmid)))?;
    let by_capmox = tasks.value.iter().filter(|task| task.upid.user().starts_with(CAPMOX.user)).count();
    if by_capmox == 0 {
        return Err(Failure::person(
            format!("no task of {} is in the history of vm {}: somebody else made it", CAPMOX.user, row.vmid),
            "see the VM's Task history in Proxmox VE; Sys.Audit on the node lets the run's token read it",
        ));
    }
    Ok(Some((content, tasks)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::{guest, plan};
    use std::collections::BTreeMap;

    fn row() -> VmRow {
        guest(9500, "smoke-0")
    }

    fn config(uuid: &str) -> VmConfig {
        let all = [
            ("smbios1", format!("uuid={uuid}")),
            ("cores", "1".into()),
            ("sockets", "1".into()),
            ("memory", "1024".into()),
            ("net0", format!("virtio=BC:24:11:00:00:01,bridge={}", plan().network.bridge)),
            ("scsi0", format!("{}:vm-9500-disk-0,size=3G", plan().template.storage)),
        ];
        VmConfig(BTreeMap::from(all.map(|(k, v)| (k.to_string(), v))))
    }

    fn made() -> Made {
        Made { vmid: 9500, uuid: "ab-1".into(), node: "pve".into(), address: "10.0.0.181".into() }
    }

    #[test]
    fn a_vm_as_it_was_asked_for_differs_in_nothing() {
        assert!(differences(&plan(), &made(), "smoke-0", &row(), &config("AB-1")).is_empty());
    }

    #[test]
    fn another_vm_under_the_same_vmid_is_not_taken_for_it() {
        let wrong = differences(&plan(), &made(), "smoke-0", &row(), &config("cd-2"));
        assert_eq!(wrong, ["its SMBIOS uuid is cd-2 and not ab-1"]);
        let stopped = VmRow { status: "stopped".into(), ..row() };
        let wrong = differences(&plan(), &made(), "smoke-0", &stopped, &config("ab-1"));
        assert_eq!(wrong, ["its status is stopped and not running"]);
    }
}
