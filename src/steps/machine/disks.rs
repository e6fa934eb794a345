//! The disks of a node: by the names that the plan gives them and by the kernel's, and whether they are those that the plan means.
use crate::base::answer::Answer;
use crate::base::disk::{BY_ID, by_slot, called};
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::Context;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::part;
use crate::steps::failures;
use crate::steps::site::{Reading, address};
use crate::talos::client::facts::{Content, Disk};
use crate::talos::{self, Maintenance, Secure};
use serde_json::json;

const GIB: u64 = 1 << 30;
/// The slots of the VM in which the run's two disks are.
const SYSTEM: &str = "scsi0";
const DATA: &str = "scsi1";
/// The content that Talos finds on a disk that holds a pool of LINSTOR's.
const POOL: &str = "zfs";

/// The disk that a name of the plan stands for: the kernel's name, or one of udev's.
fn find<'a>(disks: &'a [Disk], device: &str) -> Option<&'a Disk> {
    disks.iter().find(|disk| disk.dev_path == device || disk.symlinks.iter().any(|link| link == device))
}

/// The kernel's name of a device without `/dev/`, as `talosctl wipe disk` wants it; `None` when the node can't be asked or
/// has no such disk.
pub async fn kernel_name(site: &Reading, node: &NodePlan, device: &str) -> Option<String> {
    let api = Secure::connect(address(node), &site.admin().ok()?).await.ok()?;
    let disks = api.disks().await.ok()?;
    find(&disks.value, device).map(|disk| disk.dev_path.trim_start_matches("/dev/").to_string())
}

/// A look at the node's disks, with its evidence when they are as the plan means them.
///
/// # Errors
/// When the node can't be asked, and when a disk is not as the plan means it. `pool_is_ours`: the run has already told LINSTOR to
/// make its pool there.
pub async fn look(
    cx: &dyn Context,
    site: &Reading,
    node: &NodePlan,
    pool_is_ours: bool,
) -> Result<Result<Evidence, Failure>, Failure> {
    let doing = format!("read the disks of {}", node.name);
    let failed = |e| failures::talos(&e, &doing);
    let api = Secure::connect(address(node), &site.admin()?).await.map_err(failed)?;
    let disks = api.disks().await.map_err(failed)?;
    let system = api.system_disk().await.map_err(failed)?;
    let contents = api.contents().await.map_err(failed)?;
    let seen = Seen { disks: &disks.value, system: &system.value, contents: &contents.value };
    if let Some(wrong) = judge(&site.plan, node, &seen, pool_is_ours) {
        return Ok(Err(failure(node, &wrong)));
    }
    let (talos, now) = (format!("Talos {}", node.address), cx.clock().now());
    Ok(Ok(Evidence::of(&talos, now, &rows(&disks, &seen))))
}

fn rows(disks: &Answer<Vec<Disk>>, seen: &Seen<'_>) -> Answer<()> {
    let rows = disks.value.iter().filter(|d| !d.readonly).map(|d| {
        json!({"dev_path": d.dev_path, "size": d.size, "transport": d.transport, "symlinks": d.symlinks,
            "holds": seen.on(&d.dev_path)})
    });
    part(disks, "the disks that can be written to", rows)
}

/// Refuses a machine that would not go on from the disk it runs from: a Talos that finds itself on no disk installs itself on
/// `talos.install_disk`, whatever is there (`Sequencer.Install`, v1.10.6).
///
/// # Errors
/// The refusal, and when the machine can't be asked.
pub async fn confirm_system(plan: &Plan, node: &NodePlan, api: &Maintenance, doing: &str) -> Result<(), Failure> {
    let failed = |e: talos::Error| failures::talos(&e, doing);
    let disks = api.disks().await.map_err(failed)?;
    let system = api.system_disk().await.map_err(failed)?;
    let system = system.as_ref().map(|answer| answer.value.as_str());
    let wrong = judge_system(&plan.talos.install_disk, &disks.value, system);
    wrong.map_or(Ok(()), |wrong| Err(failure(node, &wrong)))
}

/// A disk that is not as the plan means it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    NoSuchDisk {
        key: &'static str,
        device: String,
        others: Vec<String>,
    },
    /// Talos runs from no disk: it would install itself on the plan's.
    RunsFromNone {
        device: String,
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
    /// It hangs on another slot than the one that the run gave the data disk.
    OtherSlot {
        device: String,
        is: String,
        slot: String,
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
    let data = find(seen.disks, device);
    let is_system = data.filter(|data| data.dev_path == seen.system);
    if let Some(wrong) = is_system.map(|data| Wrong::IsSystem { device: device.clone(), is: data.dev_path.clone() }) {
        return Some(wrong);
    }
    if let Some(wrong) = judge_system(install, seen.disks, Some(seen.system)) {
        return Some(wrong);
    }
    let Some(data) = data else { return Some(missing("integration.linstor.device", device, seen.disks)) };
    let (device, is) = (device.clone(), data.dev_path.clone());
    if data.readonly || data.cdrom || data.transport == "usb" {
        return Some(Wrong::NoDrive { device, is });
    }
    if let Some(slot) = other_slot(seen.disks, data) {
        return Some(Wrong::OtherSlot { device, is, slot });
    }
    if data.size != node.data_disk_gib * GIB {
        return Some(Wrong::Size { device, is, bytes: data.size, wanted_gib: node.data_disk_gib });
    }
    let holds = seen.on(&data.dev_path)?;
    // ZFS on a whole disk makes a partition table of its own.
    let is_pool = holds == POOL || seen.contents.iter().any(|c| c.parent == data.dev_path && c.name.starts_with(POOL));
    (!(pool_is_ours && is_pool)).then(|| Wrong::NotEmpty { device, is, holds: holds.to_string() })
}

/// `system` is the disk that Talos runs from.
fn judge_system(install: &str, disks: &[Disk], system: Option<&str>) -> Option<Wrong> {
    let device = install.to_string();
    let Some(system) = system else { return Some(Wrong::RunsFromNone { device }) };
    let Some(disk) = find(disks, install) else { return Some(missing("talos.install_disk", install, disks)) };
    let is = disk.dev_path.clone();
    (is != system).then(|| Wrong::SystemElsewhere { device, is, system: system.to_string() })
}

fn missing(key: &'static str, device: &str, disks: &[Disk]) -> Wrong {
    let others = disks.iter().filter(|d| !d.readonly).map(|d| d.dev_path.clone()).collect();
    Wrong::NoSuchDisk { key, device: device.to_string(), others }
}

/// The slot of a disk that is not the run's data disk; `None` for that one, and where the node tells no slots at all.
fn other_slot(disks: &[Disk], data: &Disk) -> Option<String> {
    let slot = |disk: &Disk| disk.symlinks.iter().find_map(|link| link.strip_prefix(BY_ID).map(String::from));
    if slot(data).as_deref() == Some(DATA) || !disks.iter().any(|d| slot(d).is_some()) {
        return None;
    }
    Some(slot(data).unwrap_or_else(|| "no slot of the VM".to_string()))
}

fn told(name: &str, wrong: &Wrong) -> String {
    match wrong {
        Wrong::NoSuchDisk { device, others, .. } => {
            format!("{name} has no disk {device}; it has {}", others.join(", "))
        }
        Wrong::RunsFromNone { device } => {
            let device = called(device);
            format!(
                "{name} runs from no disk: with its config Talos would install itself on {device}, over what is there"
            )
        }
        Wrong::IsSystem { device, is } => {
            let device = called(device);
            format!("{device} of {name} is {is}, from which Talos runs: the kernel found the disks in another order")
        }
        Wrong::SystemElsewhere { device, is, system } => {
            let device = called(device);
            format!("{device} of {name} is {is}, and Talos runs from {system}: an upgrade would go to the wrong disk")
        }
        Wrong::NoDrive { device, is } => {
            format!("{} of {name} is {is}, on which nothing can be stored", called(device))
        }
        Wrong::OtherSlot { device, is, slot } => {
            let device = called(device);
            format!(
                "{device} of {name} is {is}, which is at {slot} and not at {DATA}, where this run put the data disk"
            )
        }
        Wrong::Size { device, is, bytes, wanted_gib } => {
            let (device, has) = (called(device), size(*bytes));
            format!("{device} of {name} ({is}) has {has} and not {wanted_gib} GiB: it is another disk")
        }
        Wrong::NotEmpty { device, is, holds } => {
            format!("{} of {name} ({is}) is not empty: Talos finds {holds} on it", called(device))
        }
    }
}

fn failure(node: &NodePlan, wrong: &Wrong) -> Failure {
    let (what, at) = (told(&node.name, wrong), node.address);
    let (system, data) = (by_slot(SYSTEM), by_slot(DATA));
    let right = format!("write the disk at {DATA} into integration.linstor.device: {data}");
    match wrong {
        Wrong::NoSuchDisk { key, .. } => {
            let shown = format!("talosctl -n {at} get disks -o yaml");
            let next = format!("write a name into {key} that `{shown}` shows, or {system} and {data} for the two");
            Failure::person(what, next)
        }
        Wrong::RunsFromNone { .. } => {
            let order = format!("Proxmox VE: vm {}, Options, Boot Order; it is to start from {SYSTEM}", node.vmid);
            Failure::refused(what, format!("look what it was started from ({order}), then start it again"))
        }
        Wrong::IsSystem { .. } => {
            let both = format!("write {system} into talos.install_disk and {data} into integration.linstor.device");
            let next = format!("{both}, which stay the same disks when the kernel finds them in another order");
            Failure::refused(what, next)
        }
        Wrong::SystemElsewhere { .. } => {
            let one = format!("write {system} into talos.install_disk");
            let next = format!("{one}, which stays the same disk when the kernel finds them in another order");
            Failure::refused(what, next)
        }
        Wrong::OtherSlot { .. } => Failure::refused(what, right),
        Wrong::NoDrive { .. } | Wrong::Size { .. } => Failure::person(what, right),
        Wrong::NotEmpty { is, .. } => {
            let wipe = format!("talosctl -n {at} wipe disk {}", is.trim_start_matches("/dev/"));
            Failure::person(what, format!("if nobody needs what is on it: {wipe}; the step goes on by itself"))
        }
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

    fn by_letters() -> Plan {
        let mut plan = plan();
        plan.talos.install_disk = "/dev/sda".into();
        plan.integration.linstor.device = "/dev/sdb".into();
        plan
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
        let mut plan = by_letters();
        let data = plan.nodes[0].data_disk_gib;
        let right = [disk("/dev/sda", "scsi0", 50), disk("/dev/sdb", "scsi1", data)];
        let swapped = [disk("/dev/sda", "scsi1", data), disk("/dev/sdb", "scsi0", 50)];
        assert_eq!(judged(&plan, &right, "/dev/sda", &[], false), None);
        let wrong = judged(&plan, &swapped, "/dev/sdb", &[], false).unwrap();
        assert!(matches!(wrong, Wrong::IsSystem { .. }), "{wrong:?}");
        let told = failure(&plan.nodes[0], &wrong);
        assert!(told.what.contains("/dev/sdb, from which Talos runs") && told.next.contains("drive-scsi1"), "{told}");
        plan.integration.linstor.device = by_slot(DATA);
        let wrong = judged(&plan, &swapped, "/dev/sdb", &[], false).unwrap();
        assert!(matches!(wrong, Wrong::SystemElsewhere { .. }), "{wrong:?}");
        plan.talos.install_disk = by_slot(SYSTEM);
        for (disks, system) in [(&right, "/dev/sda"), (&swapped, "/dev/sdb")] {
            assert_eq!(judged(&plan, disks, system, &[], false), None);
        }
    }

    /// reports.md B36
    #[test]
    fn the_data_disk_has_the_plans_size_and_nothing_on_it_but_the_runs_own_pool() {
        let plan = by_letters();
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
        // A pool on another disk says nothing of this one.
        let beside = [content("/dev/sdb1", "/dev/sdb", "xfs"), content("/dev/sdc", "", "zfs")];
        assert!(matches!(with(data, &beside, true), Some(Wrong::NotEmpty { .. })));
    }

    /// Size and emptiness alone do not tell the run's disk from one that a colleague gave the VM.
    #[test]
    fn an_empty_disk_of_the_same_size_at_another_slot_is_not_the_runs() {
        let plan = by_letters();
        let data = plan.nodes[0].data_disk_gib;
        let sda = disk("/dev/sda", "scsi0", 50);
        let third = [sda.clone(), disk("/dev/sdb", "scsi2", data), disk("/dev/sdc", "scsi1", data)];
        let wrong = judged(&plan, &third, "/dev/sda", &[], false).unwrap();
        let told = failure(&plan.nodes[0], &wrong);
        assert!(told.what.contains("at scsi2 and not at scsi1") && told.next.contains("drive-scsi1"), "{told}");
        let bare = |path, gib| Disk { symlinks: Vec::new(), ..disk(path, "", gib) };
        let passed_through = [sda, bare("/dev/sdb", data)];
        assert!(matches!(judged(&plan, &passed_through, "/dev/sda", &[], false), Some(Wrong::OtherSlot { .. })));
        // A Talos that tells no links at all is judged by the rest.
        let untold = [bare("/dev/sda", 50), bare("/dev/sdb", data)];
        assert_eq!(judged(&plan, &untold, "/dev/sda", &[], false), None);
    }

    #[test]
    fn a_machine_that_runs_from_no_disk_or_from_another_one_gets_no_config() {
        let disks = [disk("/dev/sda", "scsi1", 256), disk("/dev/sdb", "scsi0", 50)];
        let system = |install: &str, runs: Option<&str>| judge_system(install, &disks, runs);
        assert_eq!(system(&by_slot(SYSTEM), Some("/dev/sdb")), None);
        assert!(matches!(system("/dev/sda", Some("/dev/sdb")), Some(Wrong::SystemElsewhere { .. })));
        let wrong = system(&by_slot(SYSTEM), None).unwrap();
        let told = failure(&plan().nodes[0], &wrong);
        assert!(
            told.what.contains("install itself on the disk at scsi0") && told.next.contains("Boot Order"),
            "{told}"
        );
    }
}
