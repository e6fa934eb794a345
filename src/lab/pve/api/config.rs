//! A VM's configuration: which options there are, who may set them, reading and changing it.
use super::call::{Call, Failure, Outcome, done, rows, task as upid};
use super::qemu::guest;
use super::route::{Kind, Need, Route, optional, route};
use crate::lab::pve::Version;
use crate::lab::pve::create::{self, Change};
use crate::lab::pve::disk::{Source, Wanted, no_storage, storage_of};
use crate::lab::pve::property::{Nic, Property};
use crate::lab::pve::vm::{Config, Vm, is_cdrom, is_cloud_init, is_drive, is_numbered};
use crate::lab::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const AUDIT: Need = Need::All("/vms/{vmid}", &["VM.Audit"]);
const CHANGE: Need = Need::Any(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);

pub const ROUTES: &[Route] = &[
    route(
        "GET",
        "/nodes/{node}/qemu/{vmid}/config",
        AUDIT,
        &[optional("current", Kind::Boolean), optional("snapshot", Kind::Text)],
        read,
    ),
    route(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/config",
        CHANGE,
        &[
            optional("delete", Kind::Text),
            optional("digest", Kind::Text),
            optional("force", Kind::Boolean),
            optional("revert", Kind::Text),
            optional("skiplock", Kind::Boolean),
        ],
        put,
    )
    .with_config(),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/config",
        CHANGE,
        &[
            optional("background_delay", Kind::Integer(1, 30)),
            optional("delete", Kind::Text),
            optional("digest", Kind::Text),
            optional("force", Kind::Boolean),
            optional("revert", Kind::Text),
            optional("skiplock", Kind::Boolean),
        ],
        post,
    )
    .with_config(),
    route("GET", "/nodes/{node}/qemu/{vmid}/pending", AUDIT, &[], pending),
    route("GET", "/nodes/{node}/qemu/{vmid}/cloudinit", AUDIT, &[], cloud_init),
    route(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/cloudinit",
        Need::All("/vms/{vmid}", &["VM.Config.Cloudinit"]),
        &[],
        regenerate,
    ),
    route(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/unlink",
        Need::All("/vms/{vmid}", &["VM.Config.Disk"]),
        &[super::route::needed("idlist", Kind::Text), optional("force", Kind::Boolean)],
        unlink,
    ),
];

/// The type of a configuration option; `None` when there is no such option.
pub fn kind(key: &str) -> Option<Kind> {
    const ANY: i64 = i64::MAX;
    Some(match key {
        "acpi" | "autostart" | "kvm" | "localtime" | "numa" | "onboot" | "protection" | "tablet" | "template"
        | "freeze" | "reboot" => Kind::Boolean,
        "ciupgrade" => Kind::Boolean,
        "cores" | "sockets" | "vcpus" => Kind::Integer(1, ANY),
        "balloon" => Kind::Integer(0, ANY),
        "shares" => Kind::Integer(0, 50_000),
        "cpuunits" => Kind::Integer(1, 262_144),
        "cpulimit" => Kind::Number,
        "bios" => Kind::Choice(&["seabios", "ovmf"]),
        "citype" => Kind::Choice(&["configdrive2", "nocloud", "opennebula"]),
        "ostype" => Kind::Choice(&[
            "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris",
        ]),
        "scsihw" => Kind::Choice(&["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"]),
        "name" => Kind::Name,
        "tags" => Kind::Tags,
        "affinity" | "agent" | "args" | "audio0" | "boot" | "bootdisk" | "cicustom" | "cipassword" | "ciuser"
        | "cpu" | "description" | "hookscript" | "hotplug" | "keyboard" | "lock" | "machine" | "memory"
        | "nameserver" | "rng0" | "searchdomain" | "smbios1" | "sshkeys" | "startdate" | "startup" | "vga"
        | "vmgenid" | "vmstatestorage" | "watchdog" => Kind::Text,
        _ if is_drive(key) => Kind::Text,
        _ => {
            const NUMBERED: [(&str, u32); 7] = [
                ("net", 31),
                ("ipconfig", 31),
                ("serial", 3),
                ("parallel", 2),
                ("usb", 13),
                ("hostpci", 15),
                ("unused", 255),
            ];
            NUMBERED.iter().any(|(stem, most)| is_numbered(key, stem, *most)).then_some(Kind::Text)?
        }
    })
}

/// The privileges that setting or removing an option takes; `None` is for root alone.
fn privileges(key: &str) -> Option<&'static [&'static str]> {
    Some(match key {
        "cores" | "sockets" | "cpu" | "vcpus" | "numa" | "cpulimit" | "cpuunits" | "affinity" => &["VM.Config.CPU"],
        "memory" | "balloon" | "shares" => &["VM.Config.Memory"],
        "scsihw" | "machine" | "vga" | "smbios1" | "rng0" | "watchdog" | "hotplug" | "acpi" | "kvm" | "tablet"
        | "keyboard" | "audio0" => &["VM.Config.HWType"],
        "name" | "description" | "tags" | "onboot" | "ostype" | "agent" | "bios" | "protection" | "template"
        | "autostart" | "freeze" | "localtime" | "reboot" | "startdate" | "startup" | "vmgenid" => {
            &["VM.Config.Options"]
        }
        "boot" | "bootdisk" | "vmstatestorage" => &["VM.Config.Disk"],
        "nameserver" | "searchdomain" | "sshkeys" => CLOUD_INIT,
        _ if key.starts_with("ci") || is_numbered(key, "ipconfig", 31) => CLOUD_INIT,
        _ if is_numbered(key, "net", 31) => &["VM.Config.Network"],
        _ if is_numbered(key, "serial", 3) => &["VM.Config.HWType"],
        _ if is_numbered(key, "unused", 255) => &["VM.Config.Disk"],
        _ => return None,
    })
}

/// Either of the two is enough.
const CLOUD_INIT: &[&str] = &["VM.Config.Cloudinit", "VM.Config.Network"];

/// # Errors
/// 403 for the first right that is missing, 500 for what only root may set.
fn may_change(world: &mut World, call: &Call, keys: &[&str]) -> Result<(), Failure> {
    if call.who.is_root() {
        return Ok(());
    }
    let path = match call.get("pool") {
        Some(pool) => format!("/pool/{pool}"),
        None => format!("/vms/{}", call.vmid()),
    };
    for key in keys {
        match privileges(key) {
            Some(any) => call.check_any(world, &path, any)?,
            None => return Err(Failure::died(format!("only root can set '{key}' config"))),
        }
        if *key == "startup" {
            call.check(world, "/", &["Sys.Modify"])?;
        }
    }
    Ok(())
}

/// The change that a call asks for, checked as Proxmox checks it before any task starts.
///
/// # Errors
/// Wrong values, missing rights, storages that are not there or not for disks.
pub fn wanted(world: &mut World, call: &Call, creating: bool) -> Result<Change, Failure> {
    let mut change = Change::default();
    for (key, value) in call.params.iter().filter(|(k, _)| kind(k).is_some()) {
        if is_drive(key) {
            let drive = Wanted::parse(value).map_err(|why| Failure::parameter(key, why))?;
            change.drives.insert(key.clone(), drive);
            continue;
        }
        let value = match key.as_str() {
            "tags" => sorted_tags(value),
            "description" => value.trim_end().to_string(),
            _ if is_numbered(key, "net", 31) => Nic::parse(value).map_err(|why| Failure::parameter(key, why))?.print(),
            _ => value.clone(),
        };
        change.options.insert(key.clone(), value);
    }
    change.delete = call
        .get("delete")
        .map(|list| list.split([',', ';', ' ']).filter(|k| !k.is_empty()).map(Into::into).collect())
        .unwrap_or_default();

    let keys: Vec<&str> =
        change.options.keys().chain(change.delete.iter().filter(|k| !is_drive(k))).map(String::as_str).collect();
    may_change(world, call, &keys)?;
    for (slot, drive) in &change.drives {
        if !creating {
            may_set_drive(world, call, drive)?;
        }
        check_drive(world, call, slot, drive)?;
    }
    if change.delete.iter().any(|k| is_drive(k)) {
        call.check(world, &format!("/vms/{}", call.vmid()), &["VM.Config.Disk"])?;
    }
    for value in change.options.iter().filter(|(k, _)| is_numbered(k, "net", 31)).map(|(_, v)| v) {
        may_use_bridge(world, call, value)?;
    }
    check_boot(world, call, &change)?;
    Ok(change)
}

fn sorted_tags(text: &str) -> String {
    let tags: BTreeSet<String> =
        text.split([',', ';', ' ']).filter(|t| !t.is_empty()).map(str::to_ascii_lowercase).collect();
    tags.into_iter().collect::<Vec<_>>().join(";")
}

/// # Errors
/// 403 when the caller may not plug a card into the bridge.
pub fn may_use_bridge(world: &mut World, call: &Call, nic: &str) -> Result<(), Failure> {
    let Ok(nic) = Nic::parse(nic) else { return Ok(()) };
    let Some(bridge) = nic.bridge() else { return Ok(()) };
    let path = match nic.options.get("tag") {
        Some(tag) => format!("/sdn/zones/localnetwork/{bridge}/{tag}"),
        None => format!("/sdn/zones/localnetwork/{bridge}"),
    };
    call.check(world, &path, &["SDN.Use"])
}

fn may_set_drive(world: &mut World, call: &Call, drive: &Wanted) -> Result<(), Failure> {
    let path = format!("/vms/{}", call.vmid());
    match &drive.source {
        Source::CloudInit { .. } => call.check(world, &path, &["VM.Config.Cloudinit", "VM.Config.CDROM"]),
        Source::Nothing | Source::New { .. } | Source::Volume { .. } if drive.cdrom() => {
            call.check(world, &path, &["VM.Config.CDROM"])
        }
        Source::Nothing | Source::New { .. } | Source::Volume { .. } => call.check(world, &path, &["VM.Config.Disk"]),
    }
}

fn check_drive(world: &mut World, call: &Call, slot: &str, drive: &Wanted) -> Result<(), Failure> {
    if let Some(storage) = drive.allocates_on() {
        call.check(world, &format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        let found = world.pve.storages.get(storage).ok_or_else(|| Failure::died(no_storage(storage)))?;
        if !found.holds("images") {
            return Err(Failure::parameter(slot, format!("storage '{storage}' does not support vm images")));
        }
    }
    let volid = match &drive.source {
        Source::Volume { volid } => volid,
        Source::New { import: Some(volid), .. } => volid,
        Source::Nothing | Source::CloudInit { .. } | Source::New { import: None, .. } => return Ok(()),
    };
    if volid.starts_with('/') {
        let why = "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651.";
        return Err(Failure::died(why));
    }
    let storage = storage_of(volid);
    let see = ["Datastore.Audit", "Datastore.AllocateSpace"];
    call.check_any(world, &format!("/storage/{storage}"), &see)?;
    if !world.pve.storages.contains_key(storage) {
        return Err(Failure::died(no_storage(storage)));
    }
    let folder = volid.split_once(':').and_then(|(_, name)| name.split_once('/')).map_or("images", |(f, _)| f);
    if drive.import().is_some() && matches!(folder, "iso" | "vztmpl" | "backup") {
        let why = if world.pve.version >= Version(8, 3, 0) {
            format!("{volid} has wrong type '{folder}' - needs to be 'images' or 'import'")
        } else {
            format!("{volid} has wrong type '{folder}' - not an image")
        };
        return Err(Failure::parameter(slot, why));
    }
    if drive.import().is_none() && folder == "iso" && !drive.cdrom() && world.pve.version >= Version(8, 4, 0) {
        return Err(Failure::parameter(slot, "explicit 'media=cdrom' is required for iso images"));
    }
    let owner = world.pve.volume(call.node(), volid).and_then(|v| v.vmid).filter(|owner| *owner != call.vmid());
    if let Some(owner) = owner.filter(|_| drive.import().is_some()) {
        call.check(world, &format!("/vms/{owner}"), &["VM.Clone"])?;
    }
    Ok(())
}

/// Every device of `boot` has to be there.
fn check_boot(world: &World, call: &Call, change: &Change) -> Result<(), Failure> {
    let Some(boot) = change.options.get("boot") else { return Ok(()) };
    let known: Option<&Vm> = world.pve.vms.get(&call.vmid());
    let order = Property::parse(boot, "legacy").options.remove("order").unwrap_or_default();
    for device in order.split(';').filter(|d| !d.is_empty()) {
        let new = change.drives.contains_key(device) || change.options.contains_key(device);
        let old = known.is_some_and(|vm| vm.config.contains_key(device)) && !change.delete.iter().any(|d| d == device);
        if !new && !old {
            let why = format!("invalid bootorder: device '{device}' does not exist'");
            return Err(Failure::parameter("boot", why));
        }
    }
    Ok(())
}

fn read(world: &mut World, call: &Call) -> Outcome {
    Ok(guest(world, call)?.config_json(call.flag("current") == Some(true)).into())
}

fn pending(world: &mut World, call: &Call) -> Outcome {
    Ok(guest(world, call)?.pending_json().into())
}

/// Existence, rights and values, digest, lock: what both ways of changing check first.
fn prepared(world: &mut World, call: &Call) -> Result<Change, Failure> {
    if call.flag("skiplock") == Some(true) && !call.who.is_root() {
        return Err(Failure::parameter("skiplock", "Only root may use this option."));
    }
    guest(world, call)?;
    let change = wanted(world, call, false)?;
    let vm = guest(world, call)?;
    if call.get("digest").is_some_and(|d| d != vm.digest()) {
        return Err(Failure::died("checksum mismatch (file change by other user?)"));
    }
    vm.unlocked()?;
    Ok(change)
}

fn put(world: &mut World, call: &Call) -> Outcome {
    let change = prepared(world, call)?;
    create::change(world, call.vmid(), change)?;
    done()
}

fn post(world: &mut World, call: &Call) -> Outcome {
    let change = prepared(world, call)?;
    let shown: Vec<String> = call
        .params
        .iter()
        .filter(|(k, _)| kind(k).is_some() || *k == "delete")
        .map(|(k, v)| format!("-{k} {}", if k == "cipassword" { "<hidden>" } else { v }))
        .collect();
    upid(create::change_in_task(world, call.vmid(), change, &shown.join(" "), &call.who.id()))
}

fn cloud_init(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    let mine = |key: &str| key.starts_with("ci") || ["name", "nameserver", "searchdomain", "sshkeys"].contains(&key);
    let list: Vec<Value> = vm
        .config
        .iter()
        .filter(|(k, _)| mine(k) || is_numbered(k, "ipconfig", 31) || is_numbered(k, "net", 31))
        .map(|(k, v)| json!({"key": k, "value": if k == "cipassword" { "**********" } else { v }}))
        .collect();
    rows(list)
}

fn regenerate(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    vm.unlocked()?;
    if vm.drives().any(|(_, d)| is_cloud_init(&d)) {
        return done();
    }
    Err(Failure::died("No cloud-init drive found"))
}

fn unlink(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    let list: Vec<String> = call.text("idlist").split([',', ';', ' ']).map(Into::into).collect();
    let forced: Vec<String> = list
        .iter()
        .filter_map(|slot| vm.config.get(slot))
        .map(|value| Property::parse(value, "file"))
        .filter(|drive| !is_cdrom(drive))
        .map(|drive| drive.head)
        .collect();
    let (vmid, node) = (vm.vmid, vm.node.clone());
    create::change(world, vmid, Change { options: Config::new(), delete: list, ..Change::default() })?;
    if call.flag("force") == Some(true) {
        for volid in forced {
            crate::lab::pve::disk::free(world, &node, &volid);
            if let Some(vm) = world.pve.vms.get_mut(&vmid) {
                vm.config.retain(|k, v| !(is_numbered(k, "unused", 255) && *v == volid));
            }
        }
    }
    done()
}
