//! A VM that Cluster API speaks of, read in Proxmox VE: as it was asked for, and made by capmox.
use crate::base::answer::Answer;
use crate::cozystack::cluster_api::Made;
use crate::engine::failure::Failure;
use crate::engine::wait::{Band, Wait};
use crate::plan::model::Plan;
use crate::proxmox::{TaskRow, VmConfig, VmRow, Volume};
use crate::steps::addons::access::CAPMOX;
use crate::steps::failures;
use crate::steps::site::Reading;

/// The drive that capmox gives the bootstrap data.
const CDROM: &str = "ide0";
const DISK: &str = "scsi0";

/// What Cluster API was asked for.
pub struct Asked {
    pub name: String,
    pub cores: u32,
    pub memory_mib: u64,
}

/// What shows that the VM is there, right, and capmox's.
pub struct Seen {
    pub config: Answer<VmConfig>,
    /// The CD-ROM among the volumes of its storage; `None` while its drive is empty.
    pub cdrom: Option<Answer<Vec<Volume>>>,
    pub tasks: Answer<Vec<TaskRow>>,
}

/// The VM among Proxmox VE's.
///
/// # Errors
/// When it is not there, whatever the object says.
pub fn row<'a>(guests: &'a [VmRow], made: &Made) -> Result<&'a VmRow, Failure> {
    guests.iter().find(|row| row.vmid == made.vmid).ok_or_else(|| {
        Failure::person(
            format!("Cluster API says that vm {} is there, and Proxmox VE has no such VM", made.vmid),
            "look at `qm list` and at capmox's log: kubectl logs -n cozy-cluster-api deploy/capmox-controller-manager",
        )
    })
}

/// The VM's configuration, as it was asked for.
///
/// # Errors
/// When the VM is not as it was asked for, or when Proxmox VE can't be asked.
pub async fn config(site: &Reading, made: &Made, asked: &Asked, row: &VmRow) -> Result<Answer<VmConfig>, Failure> {
    let config = site.proxmox.vm_config(&row.node, made.vmid).await;
    let config = config.map_err(|e| failures::proxmox(&e, &format!("read vm {}", made.vmid)))?;
    let wrong = differences(&site.plan, made, asked, row, &config.value);
    match wrong.is_empty() {
        true => Ok(config),
        false => Err(Failure::person(
            format!("vm {}: {}", made.vmid, wrong.join("; ")),
            "look who changed it (Task history of the VM in Proxmox VE); the step looks again by itself",
        )),
    }
}

/// # Errors
/// When the VM is not as it was asked for, when somebody else made it, or when Proxmox VE can't be asked.
pub async fn see(site: &Reading, made: &Made, asked: &Asked, row: &VmRow) -> Result<Seen, Failure> {
    let config = config(site, made, asked, row).await?;
    let cdrom = cdrom(site, row, &config.value).await?;
    let tasks = made_by_capmox(site, row).await?;
    Ok(Seen { config, cdrom, tasks })
}

pub fn wait_for_cdrom(band: Band) -> Wait {
    Wait::new("the CD-ROM with its bootstrap data is in its drive", format!("{CDROM} is empty"), band)
}

/// What of the VM is not as it was asked for.
fn differences(site: &Plan, made: &Made, asked: &Asked, row: &VmRow, config: &VmConfig) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut differs = |what: &str, wanted: String, found: String| {
        if wanted != found {
            wrong.push(format!("{what} is {found} and not {wanted}"));
        }
    };
    differs("its SMBIOS uuid", made.uuid.clone(), config.smbios_uuid().unwrap_or_default().to_lowercase());
    differs("its name", asked.name.clone(), row.name.clone().unwrap_or_default());
    differs("its node", made.node.clone(), row.node.clone());
    differs("its status", "running".into(), row.status.clone());
    differs("its number of cores", asked.cores.to_string(), (config.cores() * config.sockets()).to_string());
    differs("its memory", format!("{} MiB", asked.memory_mib), format!("{} MiB", config.memory()));
    let card = config.net("net0");
    differs("its bridge", site.network.bridge.clone(), card.and_then(|c| c.bridge).unwrap_or_default());
    let disk = config.disk(DISK).map(|d| d.volid).unwrap_or_default();
    let storage = disk.split_once(':').map(|(storage, _)| storage).unwrap_or_default();
    differs("the storage of its disk", site.template.storage.clone(), storage.to_string());
    wrong
}

async fn cdrom(site: &Reading, row: &VmRow, config: &VmConfig) -> Result<Option<Answer<Vec<Volume>>>, Failure> {
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
    Ok(Some(content))
}

/// The VM's tasks, which show that capmox made it.
async fn made_by_capmox(site: &Reading, row: &VmRow) -> Result<Answer<Vec<TaskRow>>, Failure> {
    let tasks = site.proxmox.tasks_of(&row.node, row.vmid).await;
    let tasks = tasks.map_err(|e| failures::proxmox(&e, &format!("list the tasks of vm {}", row.vmid)))?;
    let by_capmox = tasks.value.iter().filter(|task| task.upid.user().starts_with(CAPMOX.user)).count();
    if by_capmox == 0 {
        return Err(Failure::person(
            format!("no task of {} is in the history of vm {}: somebody else made it", CAPMOX.user, row.vmid),
            "see the VM's Task history in Proxmox VE; Sys.Audit on the node lets the run's token read it",
        ));
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::vmid::Vmid;
    use crate::steps::day0::tests::{guest, plan};
    use std::collections::BTreeMap;

    fn asked() -> Asked {
        Asked { name: "smoke-0".into(), cores: 1, memory_mib: 1024 }
    }

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
        Made { vmid: Vmid::of(9500), uuid: "ab-1".into(), node: "pve".into(), address: "10.0.0.181".into() }
    }

    #[test]
    fn a_vm_as_it_was_asked_for_differs_in_nothing() {
        assert!(differences(&plan(), &made(), &asked(), &row(), &config("AB-1")).is_empty());
    }

    #[test]
    fn another_vm_under_the_same_vmid_is_not_taken_for_it() {
        let wrong = differences(&plan(), &made(), &asked(), &row(), &config("cd-2"));
        assert_eq!(wrong, ["its SMBIOS uuid is cd-2 and not ab-1"]);
        let stopped = VmRow { status: "stopped".into(), ..row() };
        let wrong = differences(&plan(), &made(), &asked(), &stopped, &config("ab-1"));
        assert_eq!(wrong, ["its status is stopped and not running"]);
    }
}
