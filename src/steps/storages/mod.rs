//! Whether the storages of a site take what the plan puts on them.
mod problem;

use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::plan::choose::IMAGE;
use crate::plan::model::{Plan, Template};
use crate::proxmox::StorageRow;
use crate::steps::image::image_file::CONTENT;
use crate::steps::vm::guests::Guests;
use crate::steps::vm::room::{Room, room};
use problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// A CD-ROM with a machine config has some 100 KiB; a storage with less than this has no room for anything.
const CDROMS: u64 = 64 << 20;

/// Storages by Proxmox node.
pub type Rows = BTreeMap<String, Vec<StorageRow>>;

pub struct Judge<'a> {
    plan: &'a Plan,
    rows: &'a Rows,
    /// Storages on which a disk takes its whole size at once.
    thick: BTreeSet<String>,
    problems: Vec<Problem>,
    pub remarks: Vec<String>,
}

impl<'a> Judge<'a> {
    pub fn new(plan: &'a Plan, rows: &'a Rows, thick: BTreeSet<String>) -> Judge<'a> {
        Judge { plan, rows, thick, problems: Vec::new(), remarks: Vec::new() }
    }

    /// All problems in one, when there are any.
    pub fn failure(&self) -> Option<Failure> {
        if self.problems.is_empty() {
            return None;
        }
        let what: Vec<String> = self.problems.iter().map(|p| p.told(self.plan)).collect();
        let mut next: Vec<String> = Vec::new();
        for said in self.problems.iter().map(|p| p.next(self.plan, self.rows)) {
            if !next.contains(&said) {
                next.push(said);
            }
        }
        Some(Failure::person(what.join("; "), next.join("; ")))
    }

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

    /// The templates whose storage can be asked for their image; each template needs one within its host's reach.
    pub fn images(&mut self) -> Vec<Template> {
        let (mut found, mut shared) = (Vec::new(), BTreeSet::new());
        for at in self.plan.templates() {
            let Some(row) = self.usable(&at.host, &at.image_storage, CONTENT) else { continue };
            let (host, storage) = (at.host.clone(), at.image_storage.clone());
            match (at.has_own_image, row.shared) {
                (false, true) => {}
                (false, false) => self.problems.push(Problem::ImageNotShared { host, storage }),
                (true, true) if !shared.insert(storage.clone()) => {
                    self.problems.push(Problem::ImageTwice { host, storage });
                }
                (true, _) => found.push(at),
            }
        }
        found
    }

    pub fn image(&mut self, at: &Template, to_be_uploaded: bool) {
        let row = self.rows.get(&at.host).and_then(|r| r.iter().find(|r| r.storage == at.image_storage));
        if let Some(avail) = row.map(|r| r.avail).filter(|a| to_be_uploaded && *a < IMAGE) {
            let (host, storage) = (at.host.clone(), at.image_storage.clone());
            self.problems.push(Problem::NoRoomForImage { host, storage, avail });
        }
    }

    /// Room for the disks that are not made yet, node by node, or once for a shared storage.
    pub fn disks(&mut self, guests: &Guests) {
        let plan = self.plan;
        let usable: BTreeMap<&str, &StorageRow> =
            plan.hosts().into_iter().filter_map(|h| Some((h, self.usable(h, plan.storage_on(h), "images")?))).collect();
        let shared = |template: &Template| usable.get(template.host.as_str()).is_some_and(|r| r.shared);
        let can_not = |template: &Template, host: &str| template.host != host && !shared(template);
        let stranded = plan.nodes.iter().filter(|node| can_not(&plan.template_of(node), &node.host));
        let stranded: Vec<(String, String)> = stranded.map(|n| (n.name.clone(), n.host.clone())).collect();
        let taken: BTreeSet<u32> = guests.all.value.iter().map(|guest| guest.vmid.into()).collect();
        let hosts: BTreeSet<&str> = stranded.iter().map(|(_, host)| host.as_str()).collect();
        let copies = problem::copies(plan, self.rows, &hosts, &taken);
        for (node, host) in &stranded {
            let (node, host, copies) = (node.clone(), host.clone(), copies.clone());
            self.problems.push(Problem::NotShared { node, host, copies });
        }
        for (place, Room { whole, early }) in room(plan, guests, shared) {
            let Some(row) = usable.get(place.host.as_str()) else { continue };
            let (storage, thick) = (place.storage, self.thick.contains(&row.storage));
            let at = (!row.shared).then_some(place.host);
            let (free, least) = (row.avail, if thick { whole } else { early.min(whole) });
            if free < least {
                self.problems.push(Problem::Full { at, storage, free, needed: least, thick });
            } else if free < whole {
                let at = at.map(|host| format!(" on {host}")).unwrap_or_default();
                let (free, whole) = (size(free), size(whole));
                self.remarks.push(format!("storage {storage}{at} has {free} for disks that may grow to {whole}"));
            }
        }
    }

    /// Room for the CD-ROMs with machine configs, on each node with a machine.
    pub fn cdroms(&mut self) {
        if !self.plan.by_cdrom() {
            return;
        }
        let carriers: BTreeMap<&str, &str> =
            self.plan.nodes.iter().map(|n| (n.host.as_str(), self.plan.iso_storage_of(n))).collect();
        for (host, storage) in carriers {
            let Some(row) = self.usable(host, storage, "iso") else { continue };
            if row.avail < CDROMS {
                let (host, storage) = (host.to_string(), storage.to_string());
                self.problems.push(Problem::NoRoomForConfigs { host, storage, avail: row.avail });
            }
        }
    }

    /// The volumes of Proxmox CSI go to the host of the machine that uses them.
    pub fn volumes(&mut self) {
        let csi = &self.plan.integration.csi;
        let elsewhere = |host: &&str| csi.enabled && csi.storage != self.plan.storage_on(host);
        let carriers: BTreeSet<&str> = self.plan.nodes.iter().map(|n| n.host.as_str()).filter(elsewhere).collect();
        for host in carriers {
            self.usable(host, &csi.storage, "images");
        }
    }
}

/// What day 0 has against the plan's storages on a site without guests.
#[cfg(test)]
pub fn refusal(plan: &Plan, rows: &Rows, thick: BTreeSet<String>) -> Option<String> {
    let mut judge = Judge::new(plan, rows, thick);
    for at in judge.images() {
        judge.image(&at, true);
    }
    judge.disks(&Guests::none());
    judge.volumes();
    judge.cdroms();
    judge.failure().map(|failure| failure.what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::answer::Answer;
    use crate::proxmox::VmConfig;
    use crate::steps::day0::tests::plan;

    const GIB: u64 = 1 << 30;

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
        let rows = plan.hosts().into_iter().map(|h| (h.to_string(), storages.clone())).collect();
        judged_on(plan, &rows, guests)
    }

    fn judged_on(plan: &Plan, rows: &Rows, guests: &Guests) -> (Vec<String>, Vec<String>) {
        let thick = rows.values().flatten().filter(|r| matches!(r.kind.as_str(), "lvm" | "zfspool"));
        let mut judge = Judge::new(plan, rows, thick.map(|r| r.storage.clone()).collect());
        for at in judge.images() {
            judge.image(&at, true);
        }
        judge.disks(guests);
        judge.volumes();
        judge.cdroms();
        let next = judge.problems.iter().map(|p| p.next(plan, rows));
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

    /// The way out that is told leads to a plan without problems, also where storages have other names or are shared.
    #[test]
    fn the_copies_that_are_told_are_the_way_out() {
        let mut plan = plan();
        // Its volumes would need a storage of one name on all hosts.
        plan.integration.csi.enabled = false;
        plan.nodes[1].host = "pve2".into();
        plan.nodes[2].host = "pve3".into();
        let local = |disks: &str, image: &str, shared| {
            vec![row(image, "dir", "import", 100, shared), row(disks, "lvmthin", "images", 4000, false)]
        };
        for (third, shared) in
            [(("local-lvm", "local"), false), (("local-lvm", "local"), true), (("ssd", "files"), false)]
        {
            let rows = Rows::from([
                ("pve".to_string(), local("local-lvm", "local", shared)),
                ("pve2".to_string(), local("local-lvm", "local", shared)),
                ("pve3".to_string(), local(third.0, third.1, shared)),
            ]);
            let hosts = BTreeSet::from(["pve2", "pve3"]);
            let told = problem::copies(&plan, &rows, &hosts, &BTreeSet::new());
            let (problems, _) = judged_on(&plan, &rows, &guests(&[]));
            assert!(problems.iter().any(|p| p.contains(&format!("`copies: [{told}]`"))), "{problems:?}");
            let copies = problem::copies(&plan, &rows, &hosts, &BTreeSet::from([9101]));
            let mut with = plan.clone();
            with.template.copies = serde_saphyr::from_str(&format!("[{copies}]")).unwrap();
            assert_eq!(with.template.copies.iter().map(|c| u32::from(c.vmid)).collect::<Vec<_>>(), [9102, 9103]);
            assert_eq!(judged_on(&with, &rows, &guests(&[])), (vec![], vec![]), "{copies}");
        }
    }

    #[test]
    fn an_image_that_a_host_does_not_see_or_would_get_twice_is_told() {
        let mut plan = plan();
        plan.nodes[1].host = "pve2".into();
        let storages = |shared| {
            vec![row("local", "dir", "import", 100, shared), row("local-lvm", "lvmthin", "images", 4000, false)]
        };
        let of = |plan: &Plan, shared| judged(plan, storages(shared), &guests(&[])).0;
        plan.template.copies = vec!["pve2/9101".parse().unwrap()];
        assert_eq!(of(&plan, true), Vec::<String>::new());
        assert!(
            of(&plan, false)[0].starts_with("the template on pve2 has no image: storage local is not shared with pve")
        );
        plan.template.copies = vec!["pve2/9101//local".parse().unwrap()];
        assert_eq!(of(&plan, false), Vec::<String>::new());
        assert!(of(&plan, true)[0].starts_with("the image for pve2 would be put on storage local twice"));
    }

    /// Each host's own storage has to have the room of its own machines.
    #[test]
    fn room_is_counted_on_the_storage_of_each_host() {
        let mut plan = plan();
        plan.nodes[1].host = "pve2".into();
        plan.template.copies = vec!["pve2/9101//local".parse().unwrap()];
        let with = |gib| vec![row("local", "dir", "import", 100, false), row("local-lvm", "lvm", "images", gib, false)];
        let rows = Rows::from([("pve".to_string(), with(4000)), ("pve2".to_string(), with(305))]);
        let (problems, _) = judged_on(&plan, &rows, &guests(&[]));
        assert!(
            problems[0].starts_with("storage local-lvm on pve2 has 305.0 GiB free, and 306.0 GiB are needed"),
            "{problems:?}"
        );
    }
}
