//! `day2.disks`: on every node the disks are those that the plan means: Talos runs from one, and the one for LINSTOR is another,
//! of the plan's size, and empty. The kernel may name them in another order from one VM, or one boot, to the next.
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::part;
use crate::steps::day4::linstor_pools;
use crate::steps::machine::disks::find;
use crate::steps::site::{Installation, Reading, address};
use crate::steps::{failures, outlines};
use crate::talos::Secure;
use crate::talos::client::facts::{Content, Disk};
use async_trait::async_trait;
use serde_json::json;

pub const KIND: &str = "day2.disks";
const BAND: Band = Band::new(10, 60);
const GIB: u64 = 1 << 30;
/// The names of a node's two disks whatever their order: QEMU names them by their slot.
const BY_ID: &str = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-";
/// The content that Talos finds on a disk that holds a pool of LINSTOR's.
const POOL: &str = "zfs";

pub struct Disks {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Disks {
    let title = format!("{} is an empty disk of its own on every node", plan.integration.linstor.device);
    let at: Vec<String> = plan.nodes.iter().map(|n| n.address.to_string()).collect();
    let get = |kind| format!("talosctl -n {} get {kind}", at.join(","));
    let by_hand = ["disks", "systemdisk", "discoveredvolumes"].map(get).join("; ");
    let outline = outlines::check(StepId::new(KIND), 2, title, BAND, by_hand).after([StepId::new(super::nodes::KIND)]);
    Disks { outline }
}

/// A disk that is not as the plan means it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    NoSuchDisk {
        key: &'static str,
        device: String,
        others: Vec<String>,
    },
    /// Talos runs from another disk than the plan's.
    SystemElsewhere {
        device: String,
        is: String,
        system: String,
    },
    /// The plan's data disk is the one that Talos runs from.
    IsSystem {
        device: String,
        is: String,
    },
    NoDrive {
        device: String,
        is: String,
    },
    Size {
        device: String,
        is: String,
        bytes: u64,
        wanted_gib: u64,
    },
    NotEmpty {
        device: String,
        is: String,
        holds: String,
    },
}

/// The node's view of its disks.
struct Seen<'a> {
    disks: &'a [Disk],
    system: &'a str,
    contents: &'a [Content],
}

impl Seen<'_> {
    /// The content of the disk or of a partition of it.
    fn on(&self, dev_path: &str) -> Option<&str> {
        let of_disk = |c: &&Content| c.parent == dev_path || (c.dev_path == dev_path && !c.name.is_empty());
        let found = self.contents.iter().find(of_disk)?;
        Some(if found.name.is_empty() { "a partition" } else { &found.name })
    }
}

/// `pool_is_ours`: the run has already told LINSTOR to make its pool there.
fn judge(plan: &Plan, node: &NodePlan, seen: &Seen<'_>, pool_is_ours: bool) -> Option<Wrong> {
    let (install, device) = (&plan.talos.install_disk, &plan.integration.linstor.device);
    let missing = |key, device: &String| Wrong::NoSuchDisk {
        key,
        device: device.clone(),
        others: seen.disks.iter().filter(|d| !d.readonly).map(|d| d.dev_path.clone()).collect(),
    };
    let Some(system) = find(seen.disks, install) else { return Some(missing("talos.install_disk", install)) };
    let Some(data) = find(seen.disks, device) else { return Some(missing("integration.linstor.device", device)) };
    let (device, is) = (device.clone(), data.dev_path.clone());
    if data.dev_path == seen.system {
        return Some(Wrong::IsSystem { device, is });
    }
    if system.dev_path != seen.system {
        let (device, is) = (install.clone(), system.dev_path.clone());
        return Some(Wrong::SystemElsewhere { device, is, system: seen.system.to_string() });
    }
    if data.readonly || data.cdrom || data.transport == "usb" {
        return Some(Wrong::NoDrive { device, is });
    }
    if data.size != node.data_disk_gib * GIB {
        return Some(Wrong::Size { device, is, bytes: data.size, wanted_gib: node.data_disk_gib });
    }
    let holds = seen.on(&data.dev_path)?;
    let partitioned = seen.contents.iter().any(|c| c.parent == data.dev_path);
    // ZFS on a whole disk makes a partition table of its own.
    let is_pool = holds == POOL || (partitioned && seen.contents.iter().any(|c| c.name.starts_with(POOL)));
    (!(pool_is_ours && is_pool)).then(|| Wrong::NotEmpty { device, is, holds: holds.to_string() })
}

fn failure(node: &NodePlan, wrong: &Wrong) -> Failure {
    let (name, at) = (&node.name, node.address);
    let stays = "which stay the same disks when the kernel finds them in another order";
    match wrong {
        Wrong::NoSuchDisk { key, device, others } => Failure::person(
            format!("{name} has no disk {device}; it has {}", others.join(", ")),
            format!(
                "write a name into {key} that `talosctl -n {at} get disks -o yaml` shows, or {BY_ID}scsi0 and {BY_ID}scsi1 \
                 for the two"
            ),
        ),
        Wrong::IsSystem { device, is } => Failure::refused(
            format!("{device} of {name} is {is}, from which Talos runs: the kernel found the disks in another order"),
            format!(
                "write {BY_ID}scsi0 into talos.install_disk and {BY_ID}scsi1 into integration.linstor.device, {stays}"
            ),
        ),
        Wrong::SystemElsewhere { device, is, system } => Failure::refused(
            format!("{device} of {name} is {is}, and Talos runs from {system}: an upgrade would go to the wrong disk"),
            format!(
                "write {BY_ID}scsi0 into talos.install_disk, {}",
                stays.replace("stay", "stays").replace("disks", "disk")
            ),
        ),
        Wrong::NoDrive { device, is } => Failure::person(
            format!("{device} of {name} is {is}, on which nothing can be stored"),
            format!("write the disk at scsi1 into integration.linstor.device: {BY_ID}scsi1"),
        ),
        Wrong::Size { device, is, bytes, wanted_gib } => Failure::person(
            format!("{device} of {name} ({is}) has {} and not {wanted_gib} GiB: it is another disk", size(*bytes)),
            format!("write the disk at scsi1 into integration.linstor.device: {BY_ID}scsi1"),
        ),
        Wrong::NotEmpty { device, is, holds } => Failure::person(
            format!("{device} of {name} ({is}) is not empty: Talos finds {holds} on it"),
            format!(
                "if nobody needs what is on it: talosctl -n {at} wipe disk {}; the step goes on by itself",
                is.trim_start_matches("/dev/")
            ),
        ),
    }
}

#[async_trait]
impl Check<Installation> for Disks {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let plan = &site.plan;
        let pool_is_ours = cx.made().has(&StepId::new(linstor_pools::KIND));
        let mut proof: Option<Proof> = None;
        for node in &plan.nodes {
            let doing = format!("read the disks of {}", node.name);
            let failed = |e| failures::talos(&e, &doing);
            let api = Secure::connect(address(node), &site.admin()?).await.map_err(failed)?;
            let disks = api.disks().await.map_err(failed)?;
            let system = api.system_disk().await.map_err(failed)?;
            let contents = api.contents().await.map_err(failed)?;
            let seen = Seen { disks: &disks.value, system: &system.value, contents: &contents.value };
            if let Some(wrong) = judge(plan, node, &seen, pool_is_ours) {
                return Ok(Observed::Conflict(failure(node, &wrong)));
            }
            let rows = disks.value.iter().filter(|d| !d.readonly).map(|d| {
                json!({"dev_path": d.dev_path, "size": d.size, "transport": d.transport, "symlinks": d.symlinks,
                    "holds": seen.on(&d.dev_path)})
            });
            let (talos, now) = (format!("Talos {}", node.address), cx.clock().now());
            let evidence = Evidence::of(&talos, now, &part(&disks, "the disks that can be written to", rows));
            proof = Some(match proof {
                Some(proof) => proof.and(evidence),
                None => {
                    let device = &plan.integration.linstor.device;
                    let holds = if pool_is_ours { "holds this run's pool or nothing" } else { "is empty" };
                    Proof::new(
                        format!("on {} nodes {device} {holds} and is not Talos' own", plan.nodes.len()),
                        evidence,
                    )
                }
            });
        }
        let none = || Failure::broken("the plan has no node", "correct the plan");
        proof.map(Observed::Satisfied).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn disk(dev_path: &str, slot: &str, gib: u64) -> Disk {
        Disk {
            dev_path: dev_path.into(),
            size: gib * GIB,
            serial: String::new(),
            model: "QEMU HARDDISK".into(),
            readonly: false,
            cdrom: false,
            transport: "virtio".into(),
            symlinks: vec![format!("{BY_ID}{slot}")],
        }
    }

    fn content(dev_path: &str, parent: &str, name: &str) -> Content {
        Content { dev_path: dev_path.into(), parent: parent.into(), name: name.into() }
    }

    fn judged(plan: &Plan, disks: &[Disk], system: &str, contents: &[Content], ours: bool) -> Option<Wrong> {
        judge(plan, &plan.nodes[0], &Seen { disks, system, contents }, ours)
    }

    /// reports.md B36
    #[test]
    fn disks_that_changed_places_are_told_and_names_by_id_find_them_all_the_same() {
        let mut plan = plan();
        let data = plan.nodes[0].data_disk_gib;
        let right = [disk("/dev/sda", "scsi0", 50), disk("/dev/sdb", "scsi1", data)];
        let swapped = [disk("/dev/sda", "scsi1", data), disk("/dev/sdb", "scsi0", 50)];
        assert_eq!(judged(&plan, &right, "/dev/sda", &[], false), None);
        let wrong = judged(&plan, &swapped, "/dev/sdb", &[], false).unwrap();
        assert!(matches!(wrong, Wrong::IsSystem { .. }), "{wrong:?}");
        let told = failure(&plan.nodes[0], &wrong);
        assert!(told.what.contains("/dev/sdb, from which Talos runs") && told.next.contains("drive-scsi1"), "{told}");
        plan.integration.linstor.device = format!("{BY_ID}scsi1");
        let wrong = judged(&plan, &swapped, "/dev/sdb", &[], false).unwrap();
        assert!(matches!(wrong, Wrong::SystemElsewhere { .. }), "{wrong:?}");
        plan.talos.install_disk = format!("{BY_ID}scsi0");
        for (disks, system) in [(&right, "/dev/sda"), (&swapped, "/dev/sdb")] {
            assert_eq!(judged(&plan, disks, system, &[], false), None);
        }
    }

    /// reports.md B36
    #[test]
    fn the_data_disk_has_the_plans_size_and_nothing_on_it_but_the_runs_own_pool() {
        let plan = plan();
        let data = plan.nodes[0].data_disk_gib;
        let all = |gib| [disk("/dev/sda", "scsi0", 50), disk("/dev/sdb", "scsi1", gib)];
        let with = |gib, contents: &[Content], ours| judged(&plan, &all(gib), "/dev/sda", contents, ours);
        assert!(matches!(with(data + 1, &[], false), Some(Wrong::Size { .. })));
        let own =
            [content("/dev/sda", "", "gpt"), content("/dev/sda1", "/dev/sda", "vfat"), content("/dev/sdb", "", "")];
        assert_eq!(with(data, &own, false), None);
        let pool = [content("/dev/sdb", "", "zfs")];
        let wrong = with(data, &pool, false).unwrap();
        let told = failure(&plan.nodes[0], &wrong);
        assert!(told.what.contains("zfs") && told.next.contains("wipe disk sdb"), "{told}");
        assert_eq!(with(data, &pool, true), None);
        let parted = [content("/dev/sdb", "", "gpt"), content("/dev/sdb1", "/dev/sdb", "zfs_member")];
        assert_eq!(with(data, &parted, true), None);
        assert!(matches!(with(data, &[content("/dev/sdb", "", "xfs")], true), Some(Wrong::NotEmpty { .. })));
        assert!(matches!(judged(&plan, &all(data)[..1], "/dev/sda", &[], false), Some(Wrong::NoSuchDisk { .. })));
    }
}
