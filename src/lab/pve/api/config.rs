//! A VM's configuration: which options there are, who may set them, reading and changing it.
use super::call::{Call, Failure, Outcome, done, rows, task as upid};
use super::kind::{DNS_NAME, Kind, SERIAL, STORAGE, TAGS, WORDS};
use super::qemu::guest;
use super::route::{Need, Route, needed, optional, route};
use super::schema;
use crate::pve::Version;
use crate::pve::create::{self, Change};
use crate::pve::disk::{Source, Wanted, no_storage, owner_of, storage_of};
use crate::pve::property::{Nic, Property};
use crate::pve::task;
use crate::pve::vm::{Config, Vm, is_cdrom, is_cloud_init, is_drive, is_numbered};
use crate::world::World;
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
            optional("delete", WORDS),
            optional("digest", Kind::Short(40)),
            optional("force", Kind::Boolean).with("delete"),
            optional("revert", WORDS),
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
            optional("import-working-storage", STORAGE),
            optional("delete", WORDS),
            optional("digest", Kind::Short(40)),
            optional("force", Kind::Boolean).with("delete"),
            optional("revert", WORDS),
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
        &[needed("idlist", WORDS), optional("force", Kind::Boolean)],
        unlink,
    ),
];

/// The type of a configuration option; `None` when there is no such option.
pub fn kind(key: &str) -> Option<Kind> {
    const ANY: i64 = i64::MAX;
    if let Some(schema) = schema::of(key) {
        return Some(Kind::Compound(schema));
    }
    Some(match key {
        "acpi" | "autostart" | "kvm" | "localtime" | "numa" | "onboot" | "protection" | "tablet" | "template"
        | "freeze" | "reboot" | "ciupgrade" => Kind::Boolean,
        "cores" | "sockets" | "vcpus" => Kind::Integer(1, ANY),
        "balloon" => Kind::Integer(0, ANY),
        "shares" => Kind::Integer(0, 50_000),
        "cpuunits" => Kind::Integer(1, 262_144),
        "cpulimit" => Kind::Float,
        "bios" => Kind::Choice(&["seabios", "ovmf"]),
        "citype" => Kind::Choice(&["configdrive2", "nocloud", "opennebula"]),
        "ostype" => Kind::Choice(&[
            "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris",
        ]),
        "scsihw" => Kind::Choice(&["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"]),
        "name" => DNS_NAME,
        "description" => Kind::Short(8192),
        "nameserver" => WORDS,
        "tags" => TAGS,
        "affinity" | "args" | "audio0" | "bootdisk" | "cicustom" | "cipassword" | "ciuser" | "cpu" | "hookscript"
        | "hotplug" | "keyboard" | "lock" | "machine" | "rng0" | "searchdomain" | "sshkeys" | "startdate"
        | "startup" | "vga" | "vmgenid" | "vmstatestorage" | "watchdog" => Kind::Text,
        _ if is_numbered(key, "serial", 3) => SERIAL,
        _ => {
            const NUMBERED: [(&str, u32); 4] = [("parallel", 2), ("usb", 13), ("hostpci", 15), ("unused", 255)];
            NUMBERED.iter().any(|(stem, most)| is_numbered(key, stem, *most)).then_some(Kind::Text)?
        }
    })
}

/// The privileges that setting or removing an option takes, of which one is enough; `None` is for root alone.
fn privileges(key: &str) -> Option<&'static [&'static str]> {
    Some(match key {
        "cores" | "sockets" | "cpu" | "vcpus" | "numa" | "cpulimit" | "cpuunits" => &["VM.Config.CPU"],
        "memory" | "balloon" | "shares" => &["VM.Config.Memory"],
        "scsihw" | "machine" | "vga" | "smbios1" | "rng0" | "watchdog" | "hotplug" | "acpi" | "kvm" | "tablet"
        | "audio0" => HARDWARE,
        "name" | "description" | "onboot" | "ostype" | "agent" | "bios" | "protection" | "template" | "autostart"
        | "keyboard" | "localtime" | "reboot" | "startdate" | "startup" => OPTIONS,
        "freeze" => &["VM.PowerMgmt"],
        "boot" | "bootdisk" | "vmstatestorage" => &["VM.Config.Disk"],
        "nameserver" | "searchdomain" | "sshkeys" => CLOUD_INIT,
        _ if key.starts_with("ci") || is_numbered(key, "ipconfig", 31) => CLOUD_INIT,
        _ if is_numbered(key, "net", 31) => &["VM.Config.Network"],
        _ => return None,
    })
}

const HARDWARE: &[&str] = &["VM.Config.HWType"];
const OPTIONS: &[&str] = &["VM.Config.Options"];
/// Either of the two is enough.
const CLOUD_INIT: &[&str] = &["VM.Config.Cloudinit", "VM.Config.Network"];

/// Options whose value or whose old value decides about the right: they are looked at elsewhere.
fn is_checked_by_value(key: &str) -> bool {
    is_drive(key) || key == "tags" || is_numbered(key, "serial", 3) || is_numbered(key, "unused", 255)
}

/// On the new VM's pool or on the VM.
///
/// # Errors
/// 403 that names the VM.
pub fn check_on_vm(world: &mut World, call: &Call, any: &[&str]) -> Result<(), Failure> {
    if let Some(pool) = call.get("pool")
        && call.allowed_any(world, &format!("/pool/{pool}"), any)
    {
        return Ok(());
    }
    call.check_any(world, &format!("/vms/{}", call.vmid()), any)
}

/// # Errors
/// 403 for the first right that is missing, 500 for what only root may set.
fn may_change<'a>(world: &mut World, call: &Call, keys: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    if call.who.is_root() {
        return Ok(());
    }
    for key in keys.filter(|key| !is_checked_by_value(key)) {
        match privileges(key) {
            Some(any) => check_on_vm(world, call, any)?,
            None => return Err(Failure::died(format!("only root can set '{key}' config"))),
        }
        if key == "startup" {
            call.check(world, "/", &["Sys.Modify"])?;
        }
    }
    Ok(())
}

/// The options and drives that a call names, as they are to be kept.
fn named(call: &Call) -> Result<Change, Failure> {
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
    Ok(change)
}

/// A new VM's configuration, checked as Proxmox checks it before the task starts.
///
/// # Errors
/// Wrong values, missing rights, storages that are not there or not for disks.
pub fn of_new_vm(world: &mut World, call: &Call) -> Result<Change, Failure> {
    let change = named(call)?;
    check_storages(world, call, &change)?;
    may_change(world, call, change.options.keys().map(String::as_str))?;
    for (key, value) in change.options.iter().filter(|(k, _)| is_numbered(k, "serial", 3)) {
        may_set_serial(world, call, key, value, "set")?;
    }
    check_bridges(world, call, &change)?;
    check_media(&change, world.pve.version)?;
    Ok(change)
}

fn may_set_serial(world: &mut World, call: &Call, key: &str, value: &str, verb: &str) -> Result<(), Failure> {
    match value {
        "socket" => check_on_vm(world, call, HARDWARE),
        _ if call.who.is_root() => Ok(()),
        _ => Err(Failure::died(format!("only root can {verb} '{key}' config for real devices"))),
    }
}

fn check_storages(world: &mut World, call: &Call, change: &Change) -> Result<(), Failure> {
    for (slot, drive) in &change.drives {
        check_drive(world, call, slot, drive)?;
    }
    Ok(())
}

fn check_bridges(world: &mut World, call: &Call, change: &Change) -> Result<(), Failure> {
    for value in change.options.iter().filter(|(k, _)| is_numbered(k, "net", 31)).map(|(_, v)| v) {
        may_use_bridge(world, call, value)?;
    }
    Ok(())
}

fn check_media(change: &Change, version: Version) -> Result<(), Failure> {
    let iso = |drive: &Wanted| matches!(&drive.source, Source::Volume { volid } if folder_of(volid) == "iso");
    let bare = change.drives.iter().find(|(_, drive)| iso(drive) && !drive.cdrom());
    match bare.filter(|_| version >= Version(8, 4, 0)) {
        Some((slot, _)) => Err(Failure::parameter(slot, "explicit 'media=cdrom' is required for iso images")),
        None => Ok(()),
    }
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
    let path = world.pve.bridge(bridge).map_or_else(|| format!("/sdn/zones/localnetwork/{bridge}"), |b| b.path());
    let path = nic.options.get("tag").map_or(path.clone(), |tag| format!("{path}/{tag}"));
    call.check(world, &path, &["SDN.Use"])
}

fn may_set_drive(world: &mut World, call: &Call, cloud_init: bool, cdrom: bool) -> Result<(), Failure> {
    let path = format!("/vms/{}", call.vmid());
    match (cloud_init, cdrom) {
        (true, _) => call.check(world, &path, &["VM.Config.Cloudinit", "VM.Config.CDROM"]),
        (false, true) => call.check(world, &path, &["VM.Config.CDROM"]),
        (false, false) => call.check(world, &path, &["VM.Config.Disk"]),
    }
}

/// The part before the slash of a volume's name; volumes without one are disks.
fn folder_of(volid: &str) -> &str {
    volid.split_once(':').and_then(|(_, name)| name.split_once('/')).map_or("images", |(folder, _)| folder)
}

fn check_drive(world: &mut World, call: &Call, slot: &str, drive: &Wanted) -> Result<(), Failure> {
    // A cloud-init drive's storage is looked at only when it is made.
    if let Source::New { storage, .. } = &drive.source {
        call.check(world, &format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        let found = world.pve.storages.get(storage).ok_or_else(|| Failure::died(no_storage(storage)))?;
        if !found.holds("images") {
            return Err(Failure::parameter("storage", format!("storage '{storage}' does not support vm images")));
        }
    }
    let volid = match &drive.source {
        Source::Volume { volid } => volid,
        Source::New { import: Some(volid), .. } => volid,
        Source::Nothing | Source::CloudInit { .. } | Source::New { import: None, .. } => return Ok(()),
    };
    if volid.starts_with('/') {
        if call.who.is_root() {
            return Err(Failure::died(format!("unable to associate path '{volid}' to any storage")));
        }
        let why = "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651.";
        return Err(Failure::died(why));
    }
    let storage = storage_of(volid);
    let store = world.pve.storages.get(storage).ok_or_else(|| Failure::died(no_storage(storage)))?;
    store.check_name(volid.split_once(':').map_or("", |(_, name)| name)).map_err(Failure::died)?;
    let folder = folder_of(volid);
    let images = !matches!(folder, "iso" | "vztmpl" | "backup" | "import" | "snippets");
    let owner = world.pve.volume(call.node(), volid).and_then(|v| v.vmid);
    if drive.import().is_some() {
        if !images && folder != "import" {
            let why = if world.pve.version >= Version(8, 3, 0) {
                format!("{volid} has wrong type '{folder}' - needs to be 'images' or 'import'")
            } else {
                format!("{volid} has wrong type '{folder}' - not an image")
            };
            return Err(Failure::parameter(slot, why));
        }
        if let Some(owner) = owner {
            return call.check(world, &format!("/vms/{owner}"), &["VM.Clone"]);
        }
    }
    check_volume(world, call, Some(call.vmid()), volid)?;
    if drive.import().is_none() && !images && folder != "iso" {
        return Err(Failure::parameter(slot, "content type needs to be 'images' or 'iso'"));
    }
    Ok(())
}

/// Checks that the caller may read a volume; one that belongs to `own` it may always read.
///
/// # Errors
/// 403 for the right that is missing.
pub fn check_volume(world: &mut World, call: &Call, own: Option<u32>, volid: &str) -> Result<(), Failure> {
    let path = format!("/storage/{}", storage_of(volid));
    if call.allowed(world, &path, "Datastore.Allocate") {
        return Ok(());
    }
    if matches!(folder_of(volid), "iso" | "vztmpl" | "import") {
        return call.check_any(world, &path, &["Datastore.AllocateSpace", "Datastore.Audit"]);
    }
    match owner_of(volid) {
        Some(owner) if Some(owner) == own => Ok(()),
        Some(owner) => {
            call.check(world, &path, &["Datastore.Audit"])?;
            call.check(world, &format!("/vms/{owner}"), &["VM.Config.Disk"])
        }
        None => Err(Failure::died(format!("missing privileges to access {volid}"))),
    }
}

fn read(world: &mut World, call: &Call) -> Outcome {
    Ok(guest(world, call)?.config_json(call.flag("current") == Some(true)).into())
}

fn pending(world: &mut World, call: &Call) -> Outcome {
    Ok(guest(world, call)?.pending_json().into())
}

/// Values and rights first, then the VM itself: what both ways of changing check before anything is done.
fn prepared(world: &mut World, call: &Call) -> Result<Change, Failure> {
    only_root(call, "skiplock")?;
    let mut change = named(call)?;
    let list = |name: &str| -> Vec<String> {
        call.text(name).split([',', ';', ' ']).filter(|k| !k.is_empty()).map(Into::into).collect()
    };
    change.delete = list("delete");
    let revert = list("revert");
    if change.options.is_empty() && change.drives.is_empty() && change.delete.is_empty() && revert.is_empty() {
        return Err(Failure::died("no options specified"));
    }
    for (what, keys) in [("revert", &revert), ("delete", &change.delete)] {
        for key in keys {
            if call.params.contains_key(key) {
                let why = format!("you can't use '-{key}' and -{what} {key}' at the same time");
                return Err(Failure::parameter("delete", why));
            }
            if kind(key).is_none() {
                return Err(Failure::parameter(what, format!("unknown option '{key}'")));
            }
        }
    }
    check_media(&change, world.pve.version)?;
    may_change(world, call, change.delete.iter().map(String::as_str))?;
    may_change(world, call, change.options.keys().map(String::as_str))?;
    check_storages(world, call, &change)?;
    check_bridges(world, call, &change)?;
    let vm = guest(world, call)?;
    check_digest(vm, call)?;
    if call.flag("skiplock") != Some(true) {
        vm.unlocked()?;
    }
    check_balloon(vm, &change)?;
    for key in revert {
        if let Some(vm) = world.pve.vms.get_mut(&call.vmid()) {
            vm.pending.remove(&key);
        }
    }
    Ok(change)
}

/// # Errors
/// 400 when anybody but root sets this parameter.
pub fn only_root(call: &Call, parameter: &str) -> Result<(), Failure> {
    if call.flag(parameter) == Some(true) && !call.who.is_root() {
        return Err(Failure::parameter(parameter, "Only root may use this option."));
    }
    Ok(())
}

/// # Errors
/// The configuration is another one than the caller has read.
pub fn check_digest(vm: &Vm, call: &Call) -> Result<(), Failure> {
    match call.get("digest").is_some_and(|digest| digest != vm.digest()) {
        true => Err(Failure::died("checksum mismatch (file change by other user?)")),
        false => Ok(()),
    }
}

fn check_balloon(vm: &Vm, change: &Change) -> Result<(), Failure> {
    let of = |key: &str| change.options.get(key).or_else(|| vm.config.get(key));
    let number = |key: &str| of(key).and_then(|v| Property::parse(v, "current").head.parse::<u64>().ok());
    let named = change.options.contains_key("memory") || change.options.contains_key("balloon");
    match (number("balloon"), number("memory").unwrap_or(512)) {
        (Some(balloon), memory) if named && balloon > memory => {
            Err(Failure::died("balloon value too large (must be smaller than assigned memory)"))
        }
        _ => Ok(()),
    }
}

/// What is checked only while the change is made: in the task, when there is one. What such a task says in its log.
fn apply(world: &mut World, call: &Call, mut change: Change) -> Result<Vec<String>, Failure> {
    let vm = guest(world, call)?;
    // It may have changed since the task began.
    check_digest(vm, call)?;
    let config = vm.config.clone();
    let path = format!("/vms/{}", call.vmid());
    let old = |slot: &str| config.get(slot).map(|value| Property::parse(value, "file"));
    let touched = change.delete.iter().chain(change.drives.keys()).filter(|key| is_drive(key));
    for drive in touched.filter_map(|slot| old(slot)) {
        may_set_drive(world, call, is_cloud_init(&drive), is_cdrom(&drive))?;
    }
    for drive in change.drives.values() {
        may_set_drive(world, call, matches!(drive.source, Source::CloudInit { .. }), drive.cdrom())?;
    }
    for key in change.delete.iter().filter(|key| is_numbered(key, "unused", 255)) {
        call.check(world, &path, &["VM.Config.Disk"])?;
        if let Some(drive) = old(key) {
            call.check(world, &format!("/storage/{}", storage_of(&drive.head)), &["Datastore.AllocateSpace"])?;
        }
    }
    if change.options.contains_key("tags") || change.delete.iter().any(|key| key == "tags") {
        call.check(world, &path, OPTIONS)?;
    }
    for (key, value) in change.options.iter().filter(|(k, _)| is_numbered(k, "serial", 3)) {
        may_set_serial(world, call, key, value, "modify")?;
    }
    for key in change.options.keys().chain(&change.delete).filter(|key| is_numbered(key, "net", 31)) {
        if let Some(value) = config.get(key) {
            may_use_bridge(world, call, value)?;
        }
    }
    order_of_boot(&config, &mut change)?;
    Ok(create::change(world, call.vmid(), change)?)
}

/// Every device of `boot` has to be there. Devices that go leave an order that there is, and new CD-ROMs join it.
fn order_of_boot(config: &Config, change: &mut Change) -> Result<(), Failure> {
    let order = |boot: &String| -> Vec<String> {
        let order = Property::parse(boot, "legacy").options.remove("order").unwrap_or_default();
        order.split(';').filter(|d| !d.is_empty()).map(Into::into).collect()
    };
    if let Some(boot) = change.options.get("boot") {
        let missing = order(boot).into_iter().find(|device| {
            let there = [config.contains_key(device), change.drives.contains_key(device)];
            let there = there.contains(&true) || change.options.contains_key(device);
            !there || change.delete.contains(device)
        });
        return match missing {
            Some(device) => Err(Failure::died(format!("invalid bootorder: device '{device}' does not exist'"))),
            None => Ok(()),
        };
    }
    let before = config.get("boot").map(order).unwrap_or_default();
    let mut after: Vec<String> = before.iter().filter(|device| !change.delete.contains(device)).cloned().collect();
    if !before.is_empty() {
        let is_new_cdrom = |(slot, drive): &(&String, &Wanted)| {
            drive.cdrom() && !matches!(drive.source, Source::CloudInit { .. }) && !before.contains(slot)
        };
        after.extend(change.drives.iter().filter(is_new_cdrom).map(|(slot, _)| slot.clone()));
    }
    if after != before {
        change.options.insert("boot".into(), format!("order={}", after.join(";")));
    }
    Ok(())
}

fn put(world: &mut World, call: &Call) -> Outcome {
    let change = prepared(world, call)?;
    apply(world, call, change)?;
    done()
}

fn post(world: &mut World, call: &Call) -> Outcome {
    let change = prepared(world, call)?;
    let silent = ["digest", "background_delay", "import-working-storage"];
    let shown: Vec<String> = call
        .params
        .iter()
        .filter(|(k, _)| !call.in_path.contains(&k.as_str()) && !silent.contains(&k.as_str()))
        .map(|(k, v)| format!("-{k} {}", if k == "cipassword" { "<hidden>" } else { v }))
        .collect();
    let (vmid, worker) = (call.vmid(), call.clone());
    let work = move |world: &mut World, upid: &str| {
        let said = apply(world, &worker, change).map_err(|why| why.as_text())?;
        said.into_iter().for_each(|line| task::say(world, upid, line));
        Ok(())
    };
    upid(create::change_in_task(world, vmid, &shown.join(" "), &call.who.id(), work))
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
    vm.unlocked()?;
    let list: Vec<String> = call.text("idlist").split([',', ';', ' ']).map(Into::into).collect();
    let forced: Vec<String> = list
        .iter()
        .filter_map(|slot| vm.config.get(slot))
        .map(|value| Property::parse(value, "file"))
        .filter(|drive| !is_cdrom(drive))
        .map(|drive| drive.head)
        .collect();
    let (vmid, node) = (vm.vmid, vm.node.clone());
    apply(world, call, Change { delete: list, ..Change::default() })?;
    if call.flag("force") == Some(true) {
        for volid in forced {
            crate::pve::disk::free(world, &node, &volid);
            if let Some(vm) = world.pve.vms.get_mut(&vmid) {
                vm.config.retain(|k, v| !(is_numbered(k, "unused", 255) && *v == volid));
            }
        }
    }
    done()
}
