//! Drives from what a request asks to what the configuration holds: parsing, allocating, importing, freeing.
use super::copying::Lane;
use super::property::{GIB, Property, is_decimal, print_size};
use super::storage::{Storage, Volume};
use super::vm::is_cdrom;
use super::{full, lvm};
use crate::world::World;

/// The source that a drive is to be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `none`: an empty CD-ROM.
    Nothing,
    /// `STORAGE:cloudinit`
    CloudInit { storage: String },
    /// `STORAGE:32`, or `STORAGE:0,import-from=VOLID`.
    New { storage: String, bytes: u64, import: Option<String> },
    /// A volume that is there already.
    Volume { volid: String },
}

/// A drive as a request writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub source: Source,
    pub options: Property,
}

/// A drive that has its volume.
#[derive(Debug)]
pub struct Made {
    /// The value for the configuration, with `size`.
    pub value: String,
    /// The volume that was allocated for it, if one was.
    pub allocated: Option<String>,
    /// Bytes that are still to be copied in.
    pub import: Option<u64>,
}

impl Wanted {
    /// # Errors
    /// The text that Proxmox puts into `errors` for this drive.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut options = Property::parse(text, "file");
        let import = options.options.remove("import-from");
        options.options.remove("size");
        let head = std::mem::take(&mut options.head);
        let (storage, rest) = head.split_once(':').unwrap_or(("", &head));
        if let Some(import) = import {
            if storage.is_empty() || rest != "0" {
                return Err("'import-from' requires special syntax - use <storage ID>:0,import-from=<source>".into());
            }
            let source = Source::New { storage: storage.into(), bytes: 0, import: Some(import) };
            return Ok(Wanted { source, options });
        }
        let source = if matches!(head.as_str(), "none" | "cdrom") {
            options.options.insert("media".into(), "cdrom".into());
            Source::Nothing
        } else if storage.is_empty() && !head.starts_with('/') {
            return Err("unable to parse drive options".into());
        } else if rest == "cloudinit" {
            options.options.insert("media".into(), "cdrom".into());
            Source::CloudInit { storage: storage.into() }
        } else if is_decimal(rest) {
            let gib: f64 = rest.parse().unwrap_or(0.0);
            Source::New { storage: storage.into(), bytes: (gib * GIB as f64) as u64, import: None }
        } else {
            Source::Volume { volid: head.clone() }
        };
        Ok(Wanted { source, options })
    }

    pub fn cdrom(&self) -> bool {
        is_cdrom(&self.options)
    }

    pub fn import(&self) -> Option<&str> {
        match &self.source {
            Source::New { import, .. } => import.as_deref(),
            Source::Nothing | Source::CloudInit { .. } | Source::Volume { .. } => None,
        }
    }
}

/// Gives a drive its volume.
///
/// # Errors
/// No room, or a volume or import file that is not there; nothing is left allocated then.
pub fn make(world: &mut World, node: &str, vmid: u32, wanted: &Wanted) -> Result<Made, String> {
    let print = |head: &str, size: Option<u64>| {
        let mut drive = wanted.options.clone();
        drive.head = head.into();
        drive.options.remove("format");
        if let Some(size) = size {
            drive.options.insert("size".into(), print_size(size));
        }
        drive.print()
    };
    match &wanted.source {
        Source::Nothing => Ok(Made { value: print("none", None), allocated: None, import: None }),
        Source::Volume { volid } => {
            let size = world.pve.volume(node, volid).map(|v| v.size);
            let size = size.ok_or_else(|| format!("volume {volid} does not exist"))?;
            Ok(Made { value: print(volid, Some(size)), allocated: None, import: None })
        }
        Source::CloudInit { storage } => {
            let now = world.now;
            let full = full(world, storage);
            let store = world.pve.storages.get_mut(storage).ok_or_else(|| no_storage(storage))?;
            let name = store.cloud_init_name(vmid);
            let volume = Volume::cloud_init(vmid, now);
            if full || volume.used > store.available(node) {
                return Err(store.no_room(&name));
            }
            let volid = store.volid(&name);
            store.insert(node, &name, volume);
            Ok(Made { value: print(&volid, None), allocated: Some(volid), import: None })
        }
        Source::New { storage, bytes, import } => {
            let source = import.as_ref().map(|volid| import_source(world, node, volid)).transpose()?;
            let size = source.as_ref().map_or(*bytes, |s| s.disk);
            let format = wanted.options.option("format").unwrap_or("raw").to_string();
            let volume = Volume {
                used: source.as_ref().map_or(0, |s| s.used.min(size)),
                imported: source.as_ref().is_some_and(|s| s.imported || s.content == "import"),
                kubelet: source.as_ref().and_then(|s| s.kubelet.clone()),
                ..Volume::disk(vmid, &format, size, world.now)
            };
            let volid = allocate(world, node, storage, vmid, volume)?;
            let size = world.pve.volume(node, &volid).map_or(size, |v| v.size);
            Ok(Made { value: print(&volid, Some(size)), allocated: Some(volid), import: source.map(|s| s.disk) })
        }
    }
}

/// Puts `volume` on the storage under the VM's next free disk name; the volid.
pub fn allocate(world: &mut World, node: &str, storage: &str, vmid: u32, volume: Volume) -> Result<String, String> {
    let full = full(world, storage);
    let store = world.pve.storages.get_mut(storage).ok_or_else(|| no_storage(storage))?;
    let whole = store.whole(volume.size);
    let volume = Volume { size: whole, disk: whole, ..volume };
    let name = store.next_disk(node, vmid, &volume.format);
    let needed = if store.kind == "lvm" { volume.size } else { volume.used };
    if full || needed > store.available(node) {
        return Err(store.no_room(&name));
    }
    store.insert(node, &name, volume);
    Ok(store.volid(&name))
}

/// What copies into this volume share.
pub fn lane(world: &World, node: &str, volid: &str) -> Lane {
    let storage = storage_of(volid);
    let place = world.pve.storages.get(storage).map_or_else(String::new, |store| store.place(node));
    Lane::Disks { storage: storage.to_string(), place }
}

/// What a task says of a volume of `asked` bytes that it makes for this VM: of the storage's lock, and what LVM prints.
pub fn told(world: &mut World, node: &str, vmid: u32, volid: &str, asked: Option<u64>) -> Vec<String> {
    let now = world.now;
    let Some(store) = world.pve.storages.get_mut(storage_of(volid)) else { return Vec::new() };
    let mut lines = store.lock(node, vmid, now);
    lines.extend(created(world, volid, asked));
    lines
}

/// What LVM prints about a new volume.
pub fn created(world: &World, volid: &str, asked: Option<u64>) -> Vec<String> {
    let (storage, name) = volid.split_once(':').unwrap_or_default();
    if !world.pve.storages.get(storage).is_some_and(Storage::is_lvm) {
        return Vec::new();
    }
    asked.and_then(lvm::rounded).into_iter().chain([lvm::created(name)]).collect()
}

/// Removes a volume of this VM; what a task says of it.
pub fn remove(world: &mut World, node: &str, vmid: u32, volid: &str) -> Vec<String> {
    let now = world.now;
    free(world, node, volid);
    let (storage, name) = volid.split_once(':').unwrap_or_default();
    let Some(store) = world.pve.storages.get_mut(storage) else { return Vec::new() };
    let mut lines = store.lock(node, vmid, now);
    lines.extend(store.is_lvm().then(|| lvm::removed(name)));
    lines
}

fn import_source(world: &World, node: &str, volid: &str) -> Result<Volume, String> {
    if let Some(found) = world.pve.volume(node, volid) {
        return Ok(found.clone());
    }
    // A file that somebody uploaded is looked at before anything else is done with it.
    let (storage, name) = volid.split_once(':').unwrap_or_default();
    let store = world.pve.storages.get(storage).ok_or_else(|| no_storage(storage))?;
    Err(match name.split_once('/') {
        Some(("import", file)) => format!("failed to stat '{}'", store.path("import", file)),
        _ => format!("cannot import from '{volid}' - could not get size of {volid}"),
    })
}

/// Frees every volume of a VM that never came to be.
pub fn free_all(world: &mut World, node: &str, vmid: u32) {
    for storage in world.pve.storages.values_mut() {
        let place = storage.place(node);
        storage.volumes.retain(|(p, _), v| !(*p == place && v.vmid == Some(vmid)));
    }
}

/// Every disk that bears this VMID.
pub fn all_of(world: &World, node: &str, vmid: u32) -> Vec<String> {
    let mut found = Vec::new();
    for storage in world.pve.storages.values() {
        let place = storage.place(node);
        let own = |((p, _), v): &(&(String, String), &Volume)| *p == place && v.vmid == Some(vmid);
        found.extend(storage.volumes.iter().filter(own).map(|((_, name), _)| storage.volid(name)));
    }
    found
}

pub fn free(world: &mut World, node: &str, volid: &str) {
    if let Some((storage, name)) = volid.split_once(':')
        && let Some(store) = world.pve.storages.get_mut(storage)
    {
        store.remove(node, name);
    }
}

/// The VM that a disk's name names.
pub fn owner_of(volid: &str) -> Option<u32> {
    let (_, name) = volid.split_once(':')?;
    if ["iso/", "vztmpl/", "import/", "backup/", "snippets/"].iter().any(|folder| name.starts_with(folder)) {
        return None;
    }
    let name = name.rsplit('/').next()?;
    let rest = name.strip_prefix("vm-").or_else(|| name.strip_prefix("base-"))?;
    rest.split('-').next()?.parse().ok()
}

/// The storage of a volid.
pub fn storage_of(volid: &str) -> &str {
    volid.split_once(':').map_or("", |(storage, _)| storage)
}

pub fn no_storage(storage: &str) -> String {
    format!("storage '{storage}' does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_needs_its_own_syntax() {
        let wanted = Wanted::parse("local-lvm:0,import-from=local:import/t.raw,discard=on").unwrap();
        assert_eq!(wanted.import(), Some("local:import/t.raw"));
        assert_eq!(wanted.options.print(), "discard=on");
        assert!(Wanted::parse("local-lvm:8,import-from=local:import/t.raw").unwrap_err().contains("special syntax"));
    }

    #[test]
    fn a_number_after_the_storage_is_a_new_disk_and_anything_else_a_volume() {
        let new = Wanted::parse("local-lvm:100,ssd=1").unwrap();
        assert_eq!(new.source, Source::New { storage: "local-lvm".into(), bytes: 100 * GIB, import: None });
        let old = Wanted::parse("local-lvm:vm-7-disk-1").unwrap();
        assert_eq!(old.source, Source::Volume { volid: "local-lvm:vm-7-disk-1".into() });
        assert!(Wanted::parse("none").unwrap().cdrom());
        assert_eq!(
            Wanted::parse("local-lvm:cloudinit").unwrap().source,
            Source::CloudInit { storage: "local-lvm".into() }
        );
    }
}
