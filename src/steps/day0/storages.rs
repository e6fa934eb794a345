//! `day0.storages`: the storages that the plan names are there, take what is to be put on them, and have room for it.
use super::guests::{self, Guests};
use super::{Check, hosts, of_proxmox, proof};
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::proxmox::StorageRow;
use crate::steps::day1::image_file::{self, CONTENT, Stored};
use crate::steps::failures;
use crate::steps::site::Reading;
use std::collections::BTreeMap;

pub const KIND: &str = "day0.storages";
const GIB: u64 = 1 << 30;
/// The raw image, and some.
const IMAGE: u64 = 2 * GIB;
/// What a new machine writes within its first days, where disks take only the room that is written.
const WRITTEN_EARLY: u64 = 20 * GIB;
/// Storages whose disks take their whole size at once.
const THICK: [&str; 3] = ["lvm", "iscsi", "iscsidirect"];

pub fn step(plan: &Plan) -> Check {
    let title = format!("storages {} and {} take the image and the disks", plan.image.storage, plan.template.storage);
    Check::new(KIND, title, "pvesm status\ncat /etc/pve/storage.cfg", |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let guests = guests::read(site).await?;
    let (mut readings, mut rows) = (Vec::new(), BTreeMap::new());
    for host in hosts(&site.plan) {
        let storages = site.proxmox.storages(host).await;
        let storages = storages.map_err(|e| failures::proxmox(&e, &format!("list the storages of {host}")))?;
        readings.push(of_proxmox(cx, &storages));
        rows.insert(host.to_string(), storages.value);
    }
    let mut judge = Judge { plan: &site.plan, rows: &rows, problems: Vec::new(), remarks: Vec::new() };
    if judge.usable(&site.plan.template.host, &site.plan.image.storage, CONTENT).is_some() {
        let stored = image_file::stored(site).await.map_err(|e| failures::proxmox(&e, "look for the image"))?;
        judge.image(!matches!(stored.value, Stored::Whole(..)));
    }
    judge.disks(&guests);
    judge.volumes();
    if !judge.problems.is_empty() {
        return Err(Failure::person(
            judge.problems.join("; "),
            "Datacenter > Storage sets contents (or: pvesm set STORAGE --content LIST), or name other storages in the \
             plan; a storage that the token may not see is missing here too",
        ));
    }
    let summary = format!(
        "{} takes the image, {} the disks of {} machines",
        site.plan.image.storage,
        site.plan.template.storage,
        site.plan.nodes.len()
    );
    proof(&summary, &judge.remarks, readings)
}

struct Judge<'a> {
    plan: &'a Plan,
    /// Storages by Proxmox node.
    rows: &'a BTreeMap<String, Vec<StorageRow>>,
    problems: Vec<String>,
    remarks: Vec<String>,
}

impl<'a> Judge<'a> {
    /// The storage when it is there, active and takes `content`; says so otherwise.
    fn usable(&mut self, host: &str, storage: &str, content: &str) -> Option<&'a StorageRow> {
        let rows = self.rows.get(host)?;
        let Some(row) = rows.iter().find(|r| r.storage == storage) else {
            let names: Vec<&str> = rows.iter().map(|r| r.storage.as_str()).collect();
            self.problems.push(format!("{host} has no storage {storage} (it has {})", names.join(", ")));
            return None;
        };
        if !row.enabled || !row.active {
            let state = if row.enabled { "not active" } else { "disabled" };
            self.problems.push(format!("storage {storage} is {state} on {host}"));
            return None;
        }
        if !row.content.iter().any(|c| c == content) {
            let has = row.content.join(",");
            self.problems.push(format!("storage {storage} on {host} takes {has}, and {content} is needed"));
            return None;
        }
        Some(row)
    }

    fn image(&mut self, to_be_uploaded: bool) {
        let (host, storage) = (&self.plan.template.host, &self.plan.image.storage);
        let avail = self.rows.get(host).and_then(|r| r.iter().find(|r| r.storage == *storage)).map(|r| r.avail);
        if let Some(avail) = avail.filter(|a| to_be_uploaded && *a < IMAGE) {
            self.problems.push(format!("storage {storage} on {host} has only {} for the image", size(avail)));
        }
    }

    /// Room for the disks that are not made yet, node by node, or once for a shared storage.
    fn disks(&mut self, guests: &Guests) {
        let (plan, storage) = (self.plan, self.plan.template.storage.as_str());
        let mut needs: BTreeMap<&str, (u64, u64, &StorageRow)> = BTreeMap::new();
        let usable: BTreeMap<&str, &StorageRow> =
            hosts(plan).into_iter().filter_map(|h| Some((h, self.usable(h, storage, "images")?))).collect();
        let shared = usable.get(plan.template.host.as_str()).is_some_and(|r| r.shared);
        for node in &plan.nodes {
            if node.host != plan.template.host && !shared {
                self.problems.push(format!(
                    "{} on {} can't be cloned from a template on {}: storage {storage} is not shared between them",
                    node.name, node.host, plan.template.host
                ));
                continue;
            }
            let Some(row) = usable.get(node.host.as_str()) else { continue };
            let config = guests.ours.get(&u32::from(node.vmid));
            let has = |slot: &str| config.and_then(|c| c.disk(slot)).map_or(0, |d| d.size_bytes);
            let missing = (node.system_disk_gib * GIB).saturating_sub(has("scsi0"))
                + (node.data_disk_gib * GIB).saturating_sub(has("scsi1"));
            let place = if shared { storage } else { node.host.as_str() };
            let need = needs.entry(place).or_insert((0, 0, row));
            need.0 += missing;
            need.1 += if missing > 0 { WRITTEN_EARLY } else { 0 };
        }
        for (place, (whole, early, row)) in needs {
            let at = if shared { String::new() } else { format!(" on {place}") };
            let thick = THICK.contains(&row.kind.as_str());
            let (free, least) = (row.avail, if thick { whole } else { early.min(whole) });
            if free < least {
                let (free, least) = (size(free), size(least));
                self.problems.push(format!("storage {storage}{at} has {free} free, and {least} are needed soon"));
            } else if free < whole {
                let (free, whole) = (size(free), size(whole));
                self.remarks.push(format!("storage {storage}{at} has {free} for disks that may grow to {whole}"));
            }
        }
    }

    fn volumes(&mut self) {
        let csi = &self.plan.integration.csi;
        if !csi.enabled || csi.storage == self.plan.template.storage {
            return;
        }
        let carriers: std::collections::BTreeSet<&str> = self.plan.nodes.iter().map(|n| n.host.as_str()).collect();
        for host in carriers {
            self.usable(host, &csi.storage, "images");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::answer::Answer;
    use crate::proxmox::VmConfig;
    use crate::steps::day0::tests::plan;

    fn row(name: &str, kind: &str, content: &str, avail_gib: u64, shared: bool) -> StorageRow {
        StorageRow {
            storage: name.into(),
            kind: kind.into(),
            content: content.split(',').map(String::from).collect(),
            active: true,
            enabled: true,
            shared,
            total: 0,
            used: 0,
            avail: avail_gib * GIB,
        }
    }

    fn guests(ours: &[u32]) -> Guests {
        let config = VmConfig(BTreeMap::from([
            ("scsi0".to_string(), "local-lvm:vm-disk-0,size=50G".to_string()),
            ("scsi1".to_string(), "local-lvm:vm-disk-1,size=256G".to_string()),
        ]));
        Guests {
            all: Answer::new("", "", "", vec![]),
            ours: ours.iter().map(|id| (*id, config.clone())).collect(),
            strange: BTreeMap::new(),
            unborn: vec![],
        }
    }

    fn judged(plan: &Plan, storages: Vec<StorageRow>, guests: &Guests) -> (Vec<String>, Vec<String>) {
        let rows = hosts(plan).into_iter().map(|h| (h.to_string(), storages.clone())).collect();
        let mut judge = Judge { plan, rows: &rows, problems: vec![], remarks: vec![] };
        if judge.usable(&plan.template.host, &plan.image.storage, CONTENT).is_some() {
            judge.image(true);
        }
        judge.disks(guests);
        judge.volumes();
        (judge.problems, judge.remarks)
    }

    #[test]
    fn a_storage_without_the_content_is_named_with_what_it_takes() {
        let storages =
            vec![row("local", "dir", "iso,vztmpl", 100, false), row("local-lvm", "lvmthin", "images", 4000, false)];
        let (problems, _) = judged(&plan(), storages, &guests(&[]));
        assert_eq!(problems, ["storage local on pve takes iso,vztmpl, and import is needed"]);
    }

    #[test]
    fn thin_storages_need_what_is_written_early_and_thick_ones_everything() {
        let with = |kind: &str, gib: u64, ours: &[u32]| {
            let storages =
                vec![row("local", "dir", "import", 100, false), row("local-lvm", kind, "images", gib, false)];
            judged(&plan(), storages, &guests(ours))
        };
        assert_eq!(with("lvmthin", 918, &[]), (vec![], vec![]));
        let (problems, remarks) = with("lvmthin", 60, &[]);
        assert!(problems.is_empty() && remarks[0].contains("may grow to 918.0 GiB"), "{remarks:?}");
        assert!(with("lvmthin", 59, &[]).0[0].contains("60.0 GiB are needed soon"));
        assert!(with("lvm", 917, &[]).0[0].contains("918.0 GiB are needed soon"));
        // What is made already needs no room any more.
        assert_eq!(with("lvm", 306, &[1001, 1002]), (vec![], vec![]));
    }

    #[test]
    fn a_clone_to_another_node_needs_a_shared_storage() {
        let mut plan = plan();
        plan.nodes[1].host = "pve2".into();
        let storages =
            |shared| vec![row("local", "dir", "import", 100, false), row("local-lvm", "rbd", "images", 4000, shared)];
        let (problems, _) = judged(&plan, storages(false), &guests(&[]));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("cp2 on pve2 can't be cloned from a template on pve"), "{problems:?}");
        assert_eq!(judged(&plan, storages(true), &guests(&[])), (vec![], vec![]));
    }
}
