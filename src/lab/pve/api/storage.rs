//! `/storage` and `/nodes/{node}/storage`: what holds volumes, and the volumes.
use super::call::{Call, Failure, Outcome, done, rows, task as upid};
use super::nodes::may_fetch;
use super::route::{Kind, Need, Route, VMID, needed, optional, route};
use super::upload;
use crate::lab::pve::disk::no_storage;
use crate::lab::pve::property::parse_size;
use crate::lab::pve::storage::{Storage, Volume};
use crate::lab::pve::{full, task};
use crate::lab::world::World;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const SEE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];
const SEE_ONE: Need = Need::Any("/storage/{storage}", SEE);
const ON_NODE: &[&str] = SEE;

pub const ROUTES: &[Route] = &[
    route("GET", "/storage", Need::Anyone, &[optional("type", Kind::Text)], configured),
    route("GET", "/storage/{storage}", Need::All("/storage/{storage}", &["Datastore.Allocate"]), &[], configured_one),
    route(
        "PUT",
        "/storage/{storage}",
        Need::All("/storage", &["Datastore.Allocate"]),
        &[
            optional("content", Kind::Text),
            optional("disable", Kind::Boolean),
            optional("nodes", Kind::Text),
            optional("digest", Kind::Text),
            optional("delete", Kind::Text),
        ],
        configure,
    ),
    route(
        "GET",
        "/nodes/{node}/storage",
        Need::Anyone,
        &[
            optional("content", Kind::Text),
            optional("enabled", Kind::Boolean),
            optional("format", Kind::Boolean),
            optional("storage", Kind::Text),
            optional("target", Kind::Text),
        ],
        list,
    ),
    route("GET", "/nodes/{node}/storage/{storage}/status", SEE_ONE, &[], status),
    route(
        "GET",
        "/nodes/{node}/storage/{storage}/content",
        SEE_ONE,
        &[optional("content", Kind::Text), optional("vmid", VMID)],
        content,
    ),
    route(
        "POST",
        "/nodes/{node}/storage/{storage}/content",
        Need::All("/storage/{storage}", &["Datastore.AllocateSpace"]),
        &[
            needed("vmid", VMID),
            needed("filename", Kind::Text),
            needed("size", Kind::Size),
            optional("format", Kind::Choice(&["raw", "qcow2", "subvol", "vmdk"])),
        ],
        allocate,
    ),
    route("GET", "/nodes/{node}/storage/{storage}/content/{volume}", SEE_ONE, &[], one_volume),
    route(
        "DELETE",
        "/nodes/{node}/storage/{storage}/content/{volume}",
        Need::All("/storage/{storage}", &["Datastore.Allocate"]),
        &[optional("delay", Kind::Integer(1, 30))],
        delete,
    ),
    route(
        "POST",
        "/nodes/{node}/storage/{storage}/download-url",
        Need::Rule(may_download),
        &[
            needed("url", Kind::Text),
            needed("content", Kind::Text),
            needed("filename", Kind::Text),
            optional("checksum", Kind::Text),
            optional("checksum-algorithm", Kind::Choice(upload::ALGORITHMS)),
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
            needed("content", Kind::Text),
            needed("filename", Kind::Text),
            optional("checksum", Kind::Text),
            optional("checksum-algorithm", Kind::Choice(upload::ALGORITHMS)),
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

fn configuration(storage: &Storage) -> Value {
    let mut row = json!({
        "storage": storage.name, "type": storage.kind, "content": storage.content.join(","),
        "digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    });
    if storage.shared {
        row["shared"] = json!(1);
    }
    match storage.kind.as_str() {
        "dir" => row["path"] = json!(storage.path("", "").trim_end_matches("/images/")),
        "lvmthin" => {
            row["vgname"] = json!("pve");
            row["thinpool"] = json!("data");
        }
        "zfspool" => row["pool"] = json!("rpool/data"),
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
    named(world, call)?;
    if let Some(storage) = world.pve.storages.get_mut(call.text("storage")) {
        if let Some(content) = call.get("content") {
            storage.content = content.split(',').map(|c| c.trim().to_string()).filter(|c| !c.is_empty()).collect();
        }
        return Ok(json!({"storage": storage.name, "type": storage.kind}).into());
    }
    done()
}

/// Size and state of one storage as this node sees it.
fn state(world: &mut World, name: &str, node: &str) -> Option<Value> {
    let no_room = full(world, name);
    let storage = world.pve.storages.get(name)?;
    let used = if no_room { storage.total } else { storage.used(node).min(storage.total) };
    Some(json!({
        "storage": storage.name, "type": storage.kind, "content": storage.content.join(","), "active": 1, "enabled": 1,
        "shared": i32::from(storage.shared), "total": storage.total, "used": used, "avail": storage.total - used,
        "used_fraction": used as f64 / storage.total.max(1) as f64,
    }))
}

fn list(world: &mut World, call: &Call) -> Outcome {
    let names: Vec<String> = world.pve.storages.keys().cloned().collect();
    let mut list = Vec::new();
    for name in names {
        if !call.allowed_any(world, &format!("/storage/{name}"), ON_NODE) {
            continue;
        }
        let Some(storage) = world.pve.storages.get(&name) else { continue };
        let holds = call.get("content").is_none_or(|want| want.split(',').any(|c| storage.holds(c)));
        let asked = call.get("storage").is_none_or(|s| s == name);
        if holds && asked {
            list.extend(state(world, &name, call.node()));
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
    let path = format!("/storage/{}", storage.name);
    let wanted = |v: &Volume| {
        call.get("content").is_none_or(|c| c.split(',').any(|c| c == v.content))
            && call.get("vmid").is_none_or(|vmid| v.vmid.is_some_and(|own| own.to_string() == vmid))
    };
    let found: Vec<(Option<u32>, Value)> = storage
        .volumes
        .iter()
        .filter(|((p, _), v)| *p == place && wanted(v))
        .map(|((_, name), v)| (v.vmid.filter(|_| v.content == "images"), volume_row(storage, name, v)))
        .collect();
    let all = call.allowed(world, &path, "Datastore.Allocate");
    let audit = call.allowed(world, &path, "Datastore.Audit");
    let mut list = Vec::new();
    for (owner, row) in found {
        let visible = match owner {
            None => true,
            Some(vmid) => all || (audit && call.allowed(world, &format!("/vms/{vmid}"), "VM.Config.Disk")),
        };
        if visible {
            list.push(row);
        }
    }
    rows(list)
}

/// The volume of the path: a volid, or a name on the path's storage.
fn volume_name<'a>(call: &'a Call) -> &'a str {
    let volume: &'a str = call.text("volume");
    volume.split_once(':').map_or(volume, |(_, name)| name)
}

fn one_volume(world: &mut World, call: &Call) -> Outcome {
    let storage = named(world, call)?;
    let name = volume_name(call);
    match storage.volume(call.node(), name) {
        Some(volume) => Ok(json!({
            "path": storage.path(&volume.content, name.rsplit('/').next().unwrap_or(name)), "size": volume.size,
            "used": volume.used, "format": volume.format,
        })
        .into()),
        None => Err(Failure::died(format!("volume_size_info on '{}' failed - no such volume", storage.volid(name)))),
    }
}

fn allocate(world: &mut World, call: &Call) -> Outcome {
    let storage = named(world, call)?.name.clone();
    let name = call.text("filename").to_string();
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

fn delete(world: &mut World, call: &Call) -> Outcome {
    let storage = named(world, call)?;
    let name = volume_name(call).to_string();
    let volid = storage.volid(&name);
    let node = call.node().to_string();
    let owner = storage.volume(&node, &name).and_then(|v| v.vmid);
    let id = owner.map_or_else(|| storage.name.clone(), |vmid| format!("{vmid}@{}", storage.name));
    let in_use = world
        .pve
        .vms
        .values()
        .find(|vm| vm.node == node && vm.disks().any(|(_, d)| d.head == volid))
        .map(|vm| format!("volume '{volid}' is still in use by VM {}", vm.vmid));
    if let Some(why) = in_use.filter(|_| owner.is_some()) {
        return Err(Failure::died(why));
    }
    let started = task::begin(world, &node, "imgdel", &id, &call.who.id());
    let seconds = world.scenario.latency.destroy_s;
    let (upid_text, storage) = (started.clone(), call.text("storage").to_string());
    world.after(seconds, move |world| {
        if !task::running(world, &upid_text) {
            return;
        }
        let removed = world.pve.storages.get_mut(&storage).and_then(|s| s.remove(&node, &name));
        let result = match removed {
            Some(_) => {
                task::say(world, &upid_text, format!("Removed volume '{volid}'"));
                Ok(())
            }
            None => Err(format!("volume '{volid}' does not exist")),
        };
        task::finish(world, &upid_text, result);
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
    let storage = named(world, call)?;
    let content = call.text("content");
    let filename = upload::accept(world, storage, content, call.text("filename"))?;
    if call.get("checksum").is_some() != call.get("checksum-algorithm").is_some() {
        let (missing, by) = match call.get("checksum") {
            Some(_) => ("checksum-algorithm", "checksum"),
            None => ("checksum", "checksum-algorithm"),
        };
        return Err(Failure::parameter(missing, format!("missing property required by '{by}'")));
    }
    if call.get("compression").is_some() && content != "iso" {
        return Err(Failure::parameter("compression", format!("decompression not supported for {content}")));
    }
    let file = storage.path(content, &filename);
    let existing = storage.volume(call.node(), &format!("{content}/{filename}")).map(|v| v.sha256.clone());
    let url = call.text("url");
    let started = task::begin(world, call.node(), "download", &filename, &call.who.id());
    task::say(world, &started, format!("downloading {url} to {file}"));
    let result = match (existing, call.get("checksum")) {
        (Some(sha256), Some(want)) if sha256.as_deref() == Some(&want.to_ascii_lowercase()) => {
            let line = "calculating checksum of existing file...OK, got correct file already, no need to download";
            task::say(world, &started, line);
            Ok(())
        }
        (Some(sha256), Some(want)) => {
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
