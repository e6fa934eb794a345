//! `/storage` and `/nodes/{node}/storage`: what holds volumes, and the volumes.
use super::call::{Call, Failure, Outcome, done, rows, task as upid};
use super::config::check_volume;
use super::kind::{KIBIBYTES, Kind, NODE, STORAGE, URL, VMID, WORDS};
use super::nodes::may_fetch;
use super::route::{Need, Route, needed, optional, route};
use super::upload;
use crate::pve::disk::{no_storage, owner_of};
use crate::pve::property::parse_size;
use crate::pve::storage::{Storage, Volume};
use crate::pve::{full, task};
use crate::world::World;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const SEE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];
const SEE_ONE: Need = Need::Any("/storage/{storage}", SEE);

pub const ROUTES: &[Route] = &[
    route("GET", "/storage", Need::Anyone, &[optional("type", Kind::Text)], configured),
    route("GET", "/storage/{storage}", Need::All("/storage/{storage}", &["Datastore.Allocate"]), &[], configured_one),
    route(
        "PUT",
        "/storage/{storage}",
        Need::All("/storage", &["Datastore.Allocate"]),
        &[
            optional("content", WORDS),
            optional("disable", Kind::Boolean),
            optional("nodes", WORDS),
            optional("digest", Kind::Short(64)),
            optional("delete", WORDS),
        ],
        configure,
    ),
    route(
        "GET",
        "/nodes/{node}/storage",
        Need::Anyone,
        &[
            optional("content", WORDS),
            optional("enabled", Kind::Boolean),
            optional("format", Kind::Boolean),
            optional("storage", STORAGE),
            optional("target", NODE),
        ],
        list,
    ),
    route("GET", "/nodes/{node}/storage/{storage}/status", SEE_ONE, &[], status),
    route(
        "GET",
        "/nodes/{node}/storage/{storage}/content",
        SEE_ONE,
        &[optional("content", CONTENT), optional("vmid", VMID)],
        content,
    ),
    route(
        "POST",
        "/nodes/{node}/storage/{storage}/content",
        Need::All("/storage/{storage}", &["Datastore.AllocateSpace"]),
        &[
            needed("vmid", VMID),
            needed("filename", Kind::Text),
            needed("size", KIBIBYTES),
            optional("format", Kind::Choice(&["raw", "qcow2", "subvol", "vmdk"])).with("size"),
        ],
        allocate,
    ),
    route("GET", "/nodes/{node}/storage/{storage}/content/{volume}", Need::Anyone, &[], one_volume),
    route(
        "DELETE",
        "/nodes/{node}/storage/{storage}/content/{volume}",
        Need::Anyone,
        &[optional("delay", Kind::Integer(1, 30))],
        delete,
    ),
    route(
        "POST",
        "/nodes/{node}/storage/{storage}/download-url",
        Need::Rule(may_download),
        &[
            needed("url", URL),
            needed("content", CONTENT),
            needed("filename", Kind::Short(255)),
            optional("checksum", Kind::Text).with("checksum-algorithm"),
            optional("checksum-algorithm", Kind::Choice(upload::ALGORITHMS)).with("checksum"),
            optional("compression", Kind::Text),
            optional("verify-certificates", Kind::Boolean),
        ],
        download,
    ),
    route(
        "POST",
        "/nodes/{node}/storage/{storage}/upload",
        Need::All("/storage/{storage}", &["Datastore.AllocateTemplate"]),
        &[
            needed("content", CONTENT),
            needed("filename", Kind::Short(255)),
            optional("checksum", Kind::Text).with("checksum-algorithm"),
            optional("checksum-algorithm", Kind::Choice(upload::ALGORITHMS)).with("checksum"),
        ],
        upload::store,
    ),
];

/// The storage that the path names.
///
/// # Errors
/// 500 in Proxmox's words.
pub fn named<'a>(world: &'a World, call: &Call) -> Result<&'a Storage, Failure> {
    let name = call.text("storage");
    world.pve.storages.get(name).ok_or_else(|| Failure::died(no_storage(name)))
}

/// A storage that is switched on and that this node may use.
///
/// # Errors
/// 500 in Proxmox's words.
pub fn usable<'a>(world: &'a World, name: &str, node: &str) -> Result<&'a Storage, Failure> {
    let storage = world.pve.storages.get(name).ok_or_else(|| Failure::died(no_storage(name)))?;
    if storage.disabled {
        return Err(Failure::died(format!("storage '{name}' is disabled")));
    }
    if !storage.is_on(node) {
        return Err(Failure::died(format!("storage '{name}' is not available on node '{node}'")));
    }
    Ok(storage)
}

const CONTENT: Kind = Kind::Format(|value| {
    let known = ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"];
    known.contains(&value).then_some(()).ok_or_else(|| format!("invalid content type '{value}'"))
});

/// # Errors
/// The schema's error for a content type that can't come from outside.
pub fn check_content(call: &Call) -> Result<(), Failure> {
    Kind::Choice(upload::CONTENTS)
        .check("content", call.text("content"))
        .map_err(|why| Failure::parameter("content", why))
}

fn configuration(storage: &Storage) -> Value {
    let mut row = json!({
        "storage": storage.name, "type": storage.kind, "content": storage.content.join(","),
        "digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    });
    for (key, _) in [("shared", storage.shared), ("disable", storage.disabled)].iter().filter(|(_, set)| *set) {
        row[*key] = json!(1);
    }
    if !storage.nodes.is_empty() {
        row["nodes"] = json!(storage.nodes.iter().cloned().collect::<Vec<_>>().join(","));
    }
    match storage.kind.as_str() {
        "dir" => row["path"] = json!(storage.path("", "").trim_end_matches("/images/")),
        "lvmthin" => {
            row["vgname"] = json!("pve");
            row["thinpool"] = json!("data");
        }
        "zfspool" => {
            row["pool"] = json!("rpool/data");
            if storage.sparse {
                row["sparse"] = json!(1);
            }
        }
        _ => {}
    }
    row
}

fn configured(world: &mut World, call: &Call) -> Outcome {
    let names: Vec<String> = world.pve.storages.keys().cloned().collect();
    let mut list = Vec::new();
    for name in names {
        if !call.allowed_any(world, &format!("/storage/{name}"), SEE) {
            continue;
        }
        let Some(storage) = world.pve.storages.get(&name) else { continue };
        if call.get("type").is_none_or(|t| t == storage.kind) {
            list.push(configuration(storage));
        }
    }
    rows(list)
}

fn configured_one(world: &mut World, call: &Call) -> Outcome {
    Ok(configuration(named(world, call)?).into())
}

fn configure(world: &mut World, call: &Call) -> Outcome {
    named(world, call).map_err(|why| why.under("update storage failed"))?;
    let words = |name: &str| -> Option<Vec<String>> {
        let words = call.get(name)?.split([',', ';', ' ']).map(str::trim).filter(|w| !w.is_empty());
        Some(words.map(Into::into).collect())
    };
    let Some(storage) = world.pve.storages.get_mut(call.text("storage")) else { return done() };
    if let Some(content) = words("content") {
        storage.content = content;
    }
    if let Some(nodes) = words("nodes") {
        storage.nodes = nodes.into_iter().collect();
    }
    storage.disabled = call.flag("disable").unwrap_or(storage.disabled);
    for option in words("delete").unwrap_or_default() {
        match option.as_str() {
            "disable" => storage.disabled = false,
            "nodes" => storage.nodes.clear(),
            "content" => storage.content = vec!["images".into(), "rootdir".into()],
            _ => return Err(Failure::died(format!("update storage failed: no such option '{option}'"))),
        }
    }
    Ok(json!({"storage": storage.name, "type": storage.kind}).into())
}

/// Size and state of one storage as this node sees it. One that it may not use is neither enabled nor active.
fn state(world: &mut World, name: &str, node: &str) -> Option<Value> {
    let (no_room, now) = (full(world, name), world.now);
    let storage = world.pve.storages.get(name)?;
    // The keys of a hash: in another order in every answer.
    let mut content = storage.content.clone();
    let turn = usize::try_from(now.as_second().unsigned_abs()).unwrap_or_default() % content.len().max(1);
    content.rotate_left(turn);
    let mut row = json!({
        "storage": storage.name, "type": storage.kind, "content": content.join(","), "active": 1, "enabled": 1,
        "shared": i32::from(storage.shared), "total": 0, "used": 0, "avail": 0,
    });
    if storage.disabled || !storage.is_on(node) {
        row["active"] = json!(0);
        row["enabled"] = json!(0);
        return Some(row);
    }
    let used = if no_room { storage.total } else { storage.used(node).min(storage.total) };
    row["total"] = json!(storage.total);
    row["used"] = json!(used);
    row["avail"] = json!(storage.total - used);
    row["used_fraction"] = json!(used as f64 / storage.total.max(1) as f64);
    Some(row)
}

fn list(world: &mut World, call: &Call) -> Outcome {
    let node = call.node();
    let target = call.get("target").filter(|t| *t != node && *t != "localhost");
    let names: Vec<String> = world.pve.storages.keys().cloned().collect();
    if call.get("storage").is_some_and(|s| !world.pve.storages.contains_key(s)) {
        return Err(Failure::parameter("storage", "No such storage."));
    }
    let mut list = Vec::new();
    for name in names {
        if !call.allowed_any(world, &format!("/storage/{name}"), SEE) {
            continue;
        }
        let Some(storage) = world.pve.storages.get(&name) else { continue };
        let usable = !storage.disabled && storage.is_on(node);
        let wanted = [
            call.get("content").is_none_or(|want| usable && want.split(',').any(|c| storage.holds(c))),
            call.get("storage").is_none_or(|s| s == name),
            call.flag("enabled") != Some(true) || !storage.disabled,
            target.is_none_or(|target| storage.shared && storage.is_on(node) && storage.is_on(target)),
        ];
        if !wanted.contains(&false) {
            list.extend(state(world, &name, node));
        }
    }
    rows(list)
}

fn status(world: &mut World, call: &Call) -> Outcome {
    match state(world, call.text("storage"), call.node()) {
        Some(mut state) => {
            if let Some(state) = state.as_object_mut() {
                state.remove("storage");
                state.remove("used_fraction");
            }
            Ok(state.into())
        }
        None => Err(Failure::parameter("storage", "No such storage.")),
    }
}

fn volume_row(storage: &Storage, name: &str, volume: &Volume) -> Value {
    let mut row = json!({
        "volid": storage.volid(name), "format": volume.format, "size": volume.size, "content": volume.content,
        "ctime": volume.created.as_second(),
    });
    if storage.is_lvm() {
        // Read from the output of lvs, and never used as a number.
        row["ctime"] = json!(volume.created.as_second().to_string());
    }
    if let Some(vmid) = volume.vmid {
        row["vmid"] = json!(vmid);
    }
    if volume.content == "images" && storage.file_based() {
        row["used"] = json!(volume.used);
    }
    row
}

fn content(world: &mut World, call: &Call) -> Outcome {
    let storage = named(world, call)?;
    let place = storage.place(call.node());
    let wanted = |v: &Volume| {
        storage.holds(&v.content)
            && call.get("content").is_none_or(|c| c == v.content)
            && call.get("vmid").is_none_or(|vmid| v.vmid.is_some_and(|own| own.to_string() == vmid))
    };
    let mut found: Vec<(String, Value)> = storage
        .volumes
        .iter()
        .filter(|((p, _), v)| *p == place && wanted(v))
        .map(|((_, name), v)| (storage.volid(name), volume_row(storage, name, v)))
        .collect();
    found.sort_by_key(|(volid, _)| volid.to_lowercase());
    let mut list = Vec::new();
    for (volid, row) in found {
        if check_volume(world, call, None, &volid).is_ok() {
            list.push(row);
        }
    }
    rows(list)
}

/// The volume of the path, a volid or a name on the path's storage: volid and name.
///
/// # Errors
/// The storage of path and volid differ, there is none of that name, or it names its volumes otherwise.
fn volume_of<'a>(world: &World, call: &'a Call) -> Result<(String, &'a str), Failure> {
    let (storage, volume) = (call.text("storage"), call.text("volume"));
    let name = match volume.split_once(':') {
        Some((other, _)) if other != storage => {
            let why = format!("storage ID mismatch ({other} != {storage})\n");
            return Err(Failure::parameter("volume", why));
        }
        Some((_, name)) => name,
        None => volume,
    };
    let store = named(world, call)?;
    store.check_name(name).map_err(Failure::died)?;
    Ok((store.volid(name), name))
}

fn one_volume(world: &mut World, call: &Call) -> Outcome {
    let (volid, name) = volume_of(world, call)?;
    check_volume(world, call, None, &volid)?;
    let storage = named(world, call)?;
    match storage.volume(call.node(), name) {
        Some(volume) => Ok(json!({
            "path": storage.path(&volume.content, name.rsplit('/').next().unwrap_or(name)), "size": volume.size,
            "used": volume.used, "format": volume.format,
        })
        .into()),
        None => Err(Failure::died(format!("volume_size_info on '{volid}' failed - no format"))),
    }
}

fn allocate(world: &mut World, call: &Call) -> Outcome {
    let storage = named(world, call)?;
    let (name, own) = (call.text("filename").to_string(), format!("vm-{}-", call.text("vmid")));
    if !storage.file_based() && !name.starts_with(&own) {
        return Err(Failure::died(format!("illegal name '{name}' - should be '{own}*'")));
    }
    let storage = storage.name.clone();
    if full(world, &storage) {
        let why = named(world, call)?.no_room(&name);
        return Err(Failure::died(why));
    }
    // A bare number counts KiB here.
    let size = call.text("size");
    let bytes = size.parse::<u64>().ok().map(|kib| kib << 10).or_else(|| parse_size(size)).unwrap_or(0);
    let (node, vmid, now) = (call.node().to_string(), call.vmid(), world.now);
    let volid = world.pve.allocate_named(&node, &storage, &name, vmid, bytes, now)?;
    Ok(json!(volid).into())
}

/// Proxmox asks for no VM's word before it deletes a disk: only the disk of a running one can't be removed.
fn delete(world: &mut World, call: &Call) -> Outcome {
    let (volid, name) = volume_of(world, call)?;
    let name = name.to_string();
    call.check(world, &format!("/storage/{}", call.text("storage")), &["Datastore.Allocate"])?;
    let storage = named(world, call)?;
    let node = call.node().to_string();
    let file = storage.file_based().then(|| storage.path("", &name));
    // By its name, also of one that is not there.
    let owner = owner_of(&volid);
    let id = owner.map_or_else(|| storage.name.clone(), |vmid| format!("{vmid}@{}", storage.name));
    let started = task::begin(world, &node, "imgdel", &id, &call.who.id());
    let seconds = world.scenario.latency.destroy_s;
    let (id, storage) = (started.clone(), call.text("storage").to_string());
    world.after(seconds, move |world| {
        if !task::running(world, &id) {
            return;
        }
        let mut guests = world.pve.vms.values();
        let runs = guests.any(|vm| vm.node == node && vm.running() && vm.disks().any(|(_, d)| d.head == volid));
        if runs && file.is_none() {
            let why = format!("lvremove 'pve/{name}' error:   Logical volume pve/{name} in use.");
            return task::finish(world, &id, Err(why));
        }
        let removed = world.pve.storages.get_mut(&storage).and_then(|s| s.remove(&node, &name));
        if let Some(file) = file.filter(|_| removed.is_none()) {
            task::say(world, &id, format!("disk image '{file}' does not exist"));
        }
        task::say(world, &id, format!("Removed volume '{volid}'"));
        task::finish(world, &id, Ok(()));
    });
    upid(started)
}

fn may_download(world: &mut World, call: &Call) -> Result<(), Failure> {
    let path = format!("/storage/{}", call.text("storage"));
    call.check(world, &path, &["Datastore.AllocateTemplate"])?;
    may_fetch(world, call)
}

/// Accepted like on a real host; the lab's hosts reach no other server, so the task fails unless the file is there.
fn download(world: &mut World, call: &Call) -> Outcome {
    check_content(call)?;
    let storage = usable(world, call.text("storage"), call.node())?;
    let content = call.text("content");
    if !storage.file_based() {
        let why = format!("can't upload to storage type '{}', not a file based storage!", storage.kind);
        return Err(Failure::died(why));
    }
    if !storage.holds(content) {
        let why = format!("storage '{}' is not configured for content-type '{content}'", storage.name);
        return Err(Failure::died(why));
    }
    let filename = upload::file_name(world, content, call.text("filename"))?;
    let file = storage.path(content, &filename);
    let existing = storage.volume(call.node(), &format!("{content}/{filename}")).map(|v| v.sha256.clone());
    let url = call.text("url");
    let started = task::begin(world, call.node(), "download", &filename, &call.who.id());
    if call.get("compression").is_some() && content != "iso" {
        let seconds = world.scenario.latency.config_s;
        let why = format!("decompression not supported for {content}");
        task::finish_after(world, started.clone(), seconds, Err(why));
        return upid(started);
    }
    task::say(world, &started, format!("downloading {url} to {file}"));
    let result = match (existing, call.get("checksum")) {
        (Some(sha256), Some(want)) if sha256.as_deref() == Some(&want.to_ascii_lowercase()) => {
            let line = "calculating checksum of existing file...OK, got correct file already, no need to download";
            task::say(world, &started, line);
            Ok(())
        }
        (Some(sha256), Some(want)) => {
            task::say(world, &started, "calculating checksum of existing file...");
            Err(format!("checksum mismatch: got '{}' != expect '{want}', aborting", sha256.unwrap_or_default()))
        }
        (Some(_), None) => Err(format!("refusing to override existing file '{file}'")),
        (None, _) => Err(unreachable(url)),
    };
    let seconds = world.scenario.latency.config_s;
    task::finish_after(world, started.clone(), seconds, result);
    upid(started)
}

fn unreachable(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let server = rest.split('/').next().unwrap_or_default();
    let (host, port) = server.split_once(':').unwrap_or((server, if url.starts_with("https") { "443" } else { "80" }));
    match host.parse::<Ipv4Addr>() {
        Ok(_) => format!("download failed: Connecting to {host}:{port}... failed: Connection refused."),
        Err(_) => format!("download failed: wget: unable to resolve host address '{host}'"),
    }
}
