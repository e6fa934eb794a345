//! `day0.storages`: the storages that the plan names are there, take what is to be put on them, and have room for it.
use super::{Check, hosts, of_proxmox, proof};
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::proxmox::StorageRow;
use crate::steps::failures;
use crate::steps::image::image_file::{self, CONTENT, Stored};
use crate::steps::site::Reading;
use crate::steps::vm::guests::{self, Guests};
use crate::steps::vm::room::{Room, room};
use std::collections::BTreeMap;

pub const KIND: &str = "day0.storages";
const GIB: u64 = 1 << 30;
/// The raw image, and some.
const IMAGE: u64 = 2 * GIB;
/// A CD-ROM with a machine config has some 100 KiB; a storage with less than this has no room for anything.
const CDROMS: u64 = 64 << 20;

pub fn step(plan: &Plan) -> Check {
    let title = format!("storages {} and {} take the image and the disks", plan.image.storage, plan.template.storage);
    Check::new(KIND, title, "pvesm status\ncat /etc/pve/storage.cfg", |cx, site| Box::pin(look(cx, site))).of_hosts()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let guests = guests::read(cx, site).await?;
    let (mut readings, mut rows) = (Vec::new(), BTreeMap::new());
    let configs = site.proxmox.storage_configs().await;
    let configs = configs.map_err(|e| failures::proxmox(&e, "read how the storages are set up"))?;
    for host in hosts(&site.plan) {
        let storages = site.proxmox.storages(host).await;
        let storages = storages.map_err(|e| failures::proxmox(&e, &format!("list the storages of {host}")))?;
        readings.push(of_proxmox(cx, &storages));
        let mut found = storages.value;
        for name in [&site.plan.image.storage, &site.plan.template.storage] {
            // Not in the list: it holds other contents, is disabled, or is not there. Asked by its name, it says which.
            if !found.iter().any(|row| row.storage == *name)
                && let Ok(row) = site.proxmox.storage(host, name).await
            {
                found.push(row.value);
            }
        }
        rows.insert(host.to_string(), found);
    }
    readings.push(of_proxmox(cx, &configs));
    let thick = configs.value.iter().any(|c| c.storage == site.plan.template.storage && c.is_thick());
    let mut judge = Judge { plan: &site.plan, rows: &rows, thick, problems: Vec::new(), remarks: Vec::new() };
    if judge.usable(&site.plan.template.host, &site.plan.image.storage, CONTENT).is_some() {
        let stored = image_file::stored(site).await.map_err(|e| failures::proxmox(&e, "look for the image"))?;
        judge.image(!matches!(stored.value, Stored::Whole(..)));
    }
    judge.disks(&guests);
    judge.volumes();
    judge.cdroms();
    if !judge.problems.is_empty() {
        let what: Vec<String> = judge.problems.iter().map(|p| p.told(&site.plan)).collect();
        let mut next: Vec<String> = Vec::new();
        for said in judge.problems.iter().map(|p| p.next(&site.plan, &rows)) {
            if !next.contains(&said) {
                next.push(said);
            }
        }
        return Err(Failure::person(what.join("; "), next.join("; ")));
    }
    let summary = format!(
        "{} takes the image, {} the disks of {} machines",
        site.plan.image.storage,
        site.plan.template.storage,
        site.plan.nodes.len()
    );
    proof(&summary, &judge.remarks, readings)
}

/// Storages by Proxmox node.
type Rows = BTreeMap<String, Vec<StorageRow>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Missing {
        host: String,
        storage: String,
        others: Vec<String>,
    },
    Off {
        host: String,
        storage: String,
        enabled: bool,
    },
    Content {
        host: String,
        storage: String,
        has: Vec<String>,
        needed: String,
    },
    NoRoomForImage {
        avail: u64,
    },
    NoRoomForConfigs {
        host: String,
        avail: u64,
    },
    /// A machine on another host than the template, whose storage is not shared.
    NotShared {
        node: String,
        host: String,
    },
    Full {
        at: Option<String>,
        free: u64,
        needed: u64,
        thick: bool,
    },
}

impl Problem {
    fn told(&self, plan: &Plan) -> String {
        let disks = &plan.template.storage;
        match self {
            Problem::Missing { host, storage, others } => {
                format!("{host} has no storage {storage} (it has {})", others.join(", "))
            }
            Problem::Off { host, storage, enabled } => {
                format!("storage {storage} is {} on {host}", if *enabled { "not active" } else { "disabled" })
            }
            Problem::Content { host, storage, has, needed } => {
                format!("storage {storage} on {host} takes {}, and {needed} is needed", has.join(","))
            }
            Problem::NoRoomForImage { avail } => {
                let (host, storage) = (&plan.template.host, &plan.image.storage);
                format!("storage {storage} on {host} has only {} for the image", size(*avail))
            }
            Problem::NoRoomForConfigs { host, avail } => {
                format!("storage {} on {host} has only {} for machine configs", plan.iso_storage(), size(*avail))
            }
            Problem::NotShared { node, host } => format!(
                "{node} on {host} can't be cloned from a template on {}: storage {disks} is not shared between them",
                plan.template.host
            ),
            Problem::Full { at, free, needed, thick } => {
                let at = at.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
                let why = if *thick { "at once: its disks take their whole size" } else { "soon" };
                format!("storage {disks}{at} has {} free, and {} are needed {why}", size(*free), size(*needed))
            }
        }
    }

    fn next(&self, plan: &Plan, rows: &Rows) -> String {
        match self {
            Problem::Missing { .. } => {
                "name other storages in the plan, or make it (Datacenter > Storage); a storage that \
                                        the token may not see is missing here too"
                    .to_string()
            }
            Problem::Off { enabled: false, storage, .. } => format!("pvesm set {storage} --disable 0"),
            Problem::Off { storage, .. } => {
                format!("`pvesm status --storage {storage}` on that node says why; or name another storage in the plan")
            }
            // The option replaces the list: what is there has to be in it.
            Problem::Content { storage, has, needed, .. } => {
                format!(
                    "pvesm set {storage} --content {}",
                    [has.as_slice(), std::slice::from_ref(needed)].concat().join(",")
                )
            }
            Problem::NoRoomForImage { .. } => "make room there, or name another image.storage".to_string(),
            Problem::NoRoomForConfigs { .. } => "make room there, or name another talos.iso_storage".to_string(),
            Problem::NotShared { .. } => {
                let shared = shared_for_all(plan, rows);
                let named = if shared.is_empty() { String::new() } else { format!(" ({})", shared.join(" or ")) };
                format!(
                    "put all nodes on {} (nodes[].host), or name a storage that its hosts share{named} as template.storage",
                    plan.template.host
                )
            }
            Problem::Full { thick, .. } => {
                let thin = if *thick { "; on ZFS: Thin provision (pvesm set STORAGE --sparse 1)" } else { "" };
                format!("make room there, or name another template.storage, or smaller disks{thin}")
            }
        }
    }
}

/// Storages that every host of the plan shares and that take disks.
fn shared_for_all<'a>(plan: &Plan, rows: &'a Rows) -> Vec<&'a str> {
    let fits = |r: &StorageRow| r.shared && r.enabled && r.active && r.content.iter().any(|c| c == "images");
    let of = |host: &str| rows.get(host).into_iter().flatten().filter(|r| fits(r));
    let everywhere = |name: &str| hosts(plan).into_iter().all(|host| of(host).any(|r| r.storage == name));
    of(&plan.template.host).map(|r| r.storage.as_str()).filter(|name| everywhere(name)).collect()
}

struct Judge<'a> {
    plan: &'a Plan,
    rows: &'a Rows,
    /// A disk on the plan's storage takes its whole size at once.
    thick: bool,
    problems: Vec<Problem>,
    remarks: Vec<String>,
}

impl<'a> Judge<'a> {
    /// The storage when it is there, active and takes `content`; notes the problem otherwise.
    fn usable(&mut self, host: &str, storage: &str, content: &str) -> Option<&'a StorageRow> {
        let rows = self.rows.get(host)?;
        let found = rows.iter().find(|r| r.storage == storage);
        let (host, storage) = (host.to_string(), storage.to_string());
        let problem = match found {
            None => {
                let mut others: Vec<String> = rows.iter().map(|r| r.storage.clone()).collect();
                others.sort();
                Problem::Missing { host, storage, others }
            }
            Some(row) if !row.enabled || !row.active => Problem::Off { host, storage, enabled: row.enabled },
            Some(row) if !row.content.iter().any(|c| c == content) => {
                Problem::Content { host, storage, has: row.content.clone(), needed: content.to_string() }
            }
            Some(row) => return Some(row),
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        None
    }

    fn image(&mut self, to_be_uploaded: bool) {
        let (host, storage) = (&self.plan.template.host, &self.plan.image.storage);
        let avail = self.rows.get(host).and_then(|r| r.iter().find(|r| r.storage == *storage)).map(|r| r.avail);
        if let Some(avail) = avail.filter(|a| to_be_uploaded && *a < IMAGE) {
            self.problems.push(Problem::NoRoomForImage { avail });
        }
    }

    /// Room for the disks that are not made yet, node by node, or once for a shared storage.
    fn disks(&mut self, guests: &Guests) {
        let (plan, storage) = (self.plan, self.plan.template.storage.as_str());
        let usable: BTreeMap<&str, &StorageRow> =
            hosts(plan).into_iter().filter_map(|h| Some((h, self.usable(h, storage, "images")?))).collect();
        let shared = usable.get(plan.template.host.as_str()).is_some_and(|r| r.shared);
        for node in plan.nodes.iter().filter(|node| node.host != plan.template.host && !shared) {
            self.problems.push(Problem::NotShared { node: node.name.clone(), host: node.host.clone() });
        }
        for (host, Room { whole, early }) in room(plan, guests, shared) {
            let Some(row) = usable.get(host) else { continue };
            let at = (!shared).then(|| host.to_string());
            let (free, least) = (row.avail, if self.thick { whole } else { early.min(whole) });
            if free < least {
                self.problems.push(Problem::Full { at, free, needed: least, thick: self.thick });
            } else if free < whole {
                let at = at.map(|host| format!(" on {host}")).unwrap_or_default();
                let (free, whole) = (size(free), size(whole));
                self.remarks.push(format!("storage {storage}{at} has {free} for disks that may grow to {whole}"));
            }
        }
    }

    /// Room for the CD-ROMs with machine configs, on each node with a machine.
    fn cdroms(&mut self) {
        if !self.plan.by_cdrom() {
            return;
        }
        let carriers: std::collections::BTreeSet<&str> = self.plan.nodes.iter().map(|n| n.host.as_str()).collect();
        for host in carriers {
            let storage = self.plan.iso_storage();
            let Some(row) = self.usable(host, storage, "iso") else { continue };
            if row.avail < CDROMS {
                self.problems.push(Problem::NoRoomForConfigs { host: host.to_string(), avail: row.avail });
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
            ours: ours.iter().map(|id| (crate::base::vmid::Vmid::of(*id), config.clone())).collect(),
            strange: BTreeMap::new(),
            unborn: vec![],
        }
    }

    fn judged(plan: &Plan, storages: Vec<StorageRow>, guests: &Guests) -> (Vec<String>, Vec<String>) {
        let rows = hosts(plan).into_iter().map(|h| (h.to_string(), storages.clone())).collect();
        let thick = |r: &StorageRow| r.storage == plan.template.storage && matches!(r.kind.as_str(), "lvm" | "zfspool");
        let thick = storages.iter().any(thick);
        let mut judge = Judge { plan, rows: &rows, thick, problems: vec![], remarks: vec![] };
        if judge.usable(&plan.template.host, &plan.image.storage, CONTENT).is_some() {
            judge.image(true);
        }
        judge.disks(guests);
        judge.volumes();
        judge.cdroms();
        let next = judge.problems.iter().map(|p| p.next(plan, &rows));
        let told = judge.problems.iter().map(|p| p.told(plan)).zip(next).map(|(what, next)| format!("{what} | {next}"));
        (told.collect(), judge.remarks)
    }

    #[test]
    fn a_storage_without_the_content_is_named_with_what_it_takes() {
        let storages =
            vec![row("local", "dir", "iso,vztmpl", 100, false), row("local-lvm", "lvmthin", "images", 4000, false)];
        let (problems, _) = judged(&plan(), storages, &guests(&[]));
        // reports.md B20: the option replaces the list.
        assert_eq!(
            problems,
            [
                "storage local on pve takes iso,vztmpl, and import is needed | pvesm set local --content iso,vztmpl,import"
            ]
        );
    }

    #[test]
    fn configs_by_cdrom_need_a_storage_that_takes_cdroms() {
        let mut plan = plan();
        plan.talos.delivery = crate::plan::model::Delivery::Cdrom;
        let storages = |content: &str| {
            vec![row("local", "dir", content, 100, false), row("local-lvm", "lvmthin", "images", 4000, false)]
        };
        let (problems, _) = judged(&plan, storages("import"), &guests(&[]));
        assert_eq!(
            problems,
            ["storage local on pve takes import, and iso is needed | pvesm set local --content import,iso"]
        );
        assert_eq!(judged(&plan, storages("import,iso"), &guests(&[])), (vec![], vec![]));
        plan.talos.iso_storage = Some("nas".into());
        assert!(judged(&plan, storages("import,iso"), &guests(&[])).0[0].contains("has no storage nas"));
    }

    #[test]
    fn thin_storages_need_what_is_written_early_and_thick_ones_everything() {
        // Three machines with 306 GiB each, and day 6's two workers with 20.
        let with = |kind: &str, gib: u64, ours: &[u32]| {
            let storages =
                vec![row("local", "dir", "import", 100, false), row("local-lvm", kind, "images", gib, false)];
            judged(&plan(), storages, &guests(ours))
        };
        assert_eq!(with("lvmthin", 958, &[]), (vec![], vec![]));
        let (problems, remarks) = with("lvmthin", 100, &[]);
        assert!(problems.is_empty() && remarks[0].contains("may grow to 958.0 GiB"), "{remarks:?}");
        assert!(with("lvmthin", 99, &[]).0[0].contains("100.0 GiB are needed soon"));
        assert!(with("lvm", 957, &[]).0[0].contains("958.0 GiB are needed at once"));
        // reports.md B19.
        let (problems, _) = with("zfspool", 500, &[]);
        assert!(
            problems[0].contains("958.0 GiB are needed at once") && problems[0].contains("--sparse 1"),
            "{problems:?}"
        );
        // An existing disk needs no more room.
        assert_eq!(with("lvm", 346, &[1001, 1002]), (vec![], vec![]));
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
        // reports.md B02: what would help, by name.
        assert!(problems[0].contains("put all nodes on pve (nodes[].host), or name a storage that its hosts share as"));
        let mut with_shared = storages(false);
        with_shared.push(row("ceph", "rbd", "images", 4000, true));
        let (problems, _) = judged(&plan, with_shared, &guests(&[]));
        assert!(problems[0].contains("share (ceph) as template.storage"), "{problems:?}");
        assert_eq!(judged(&plan, storages(true), &guests(&[])), (vec![], vec![]));
    }
}
