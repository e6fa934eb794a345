//! What stands when a run is over: in Proxmox VE, on the machines, in the cluster, and on the jump host. Two runs of one
//! plan must leave the same, whatever happened to their workers.
use super::Rig;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cozyup::engine::journal::Journal;
use cozyup::engine::state::RunState;
use cozyup::lab::kube::store::Key;
use cozyup::lab::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A line for everything that stands, without what is drawn anew for each run.
pub type Standing = BTreeMap<String, String>;

/// Tokens that a run makes; a secret of theirs is told from other UUIDs, and a lost one from the one in force.
const TOKENS: [&str; 2] = ["capmox@pve!capi", "kubernetes-csi@pve!csi"];

fn token(world: &World, uid: &str) -> &'static str {
    TOKENS.into_iter().find(|id| world.pve.token_valid(id, uid)).unwrap_or("UID")
}

/// Objects that come and go with time alone.
const FLEETING: [&str; 2] = ["events", "leases"];

pub fn of(rig: &Rig) -> Standing {
    let records = Journal::read(&rig.folder().join("journal.jsonl")).unwrap().records;
    let state = RunState::of(&records);
    let (mut lines, base) = rig.lab().look(|world| {
        let mut lines = world.pve.inventory();
        // A start that comes late finds the machine running, and does nothing.
        lines.retain(|name, _| !(name.starts_with("task qmstart") && name.ends_with("already running")));
        together(&mut lines);
        machines(world, &mut lines);
        cluster(world, &mut lines);
        (lines, world.base)
    });
    folder(&rig.folder(), &rig.folder(), &mut lines);
    for step in &state.steps {
        let proven = if step.is_proven() { "proven" } else { "not proven" };
        lines.insert(format!("step {}", step.outline.id), proven.into());
    }
    let base = base.to_string();
    let dotted = base.strip_suffix(".0").unwrap().to_string();
    let dashed = dotted.replace('.', "-");
    let tokens = |uid: &str| rig.lab().look(|world| token(world, uid));
    let plain = |text: &str| {
        let text = text.replace(&state.run, "RUN").replace(&dotted, "NET").replace(&dashed, "NET");
        let text: Vec<&str> = text.lines().map(without_claim).collect();
        without_keys(&without_uids(&text.join("\n"), tokens))
    };
    let mut plain_lines = Standing::new();
    for (key, value) in lines {
        let (key, mut value) = (plain(&key), plain(&value));
        // Names that are drawn fall together: how many there are still counts.
        if let Some(other) = plain_lines.get(&key) {
            value = format!("{other}\n{value}");
        }
        plain_lines.insert(key, value);
    }
    plain_lines
}

/// On which of two nodes a pod runs is chance, and so is the VM whose config gets its volume: those tasks count together.
fn together(lines: &mut Standing) {
    let all: Vec<String> = lines.keys().filter(|key| key.starts_with("task qmconfig ")).cloned().collect();
    let mut sums: BTreeMap<String, usize> = BTreeMap::new();
    for key in all {
        let count = lines.remove(&key).and_then(|count| count.parse().ok()).unwrap_or(0);
        let how = key.split_once(':').map_or("", |(_, how)| how);
        *sums.entry(format!("task qmconfig of all VMs:{how}")).or_default() += count;
    }
    lines.extend(sums.into_iter().map(|(key, count)| (key, count.to_string())));
}

/// The place and the time of a claim differ from run to run.
fn without_claim(line: &str) -> &str {
    if line.starts_with("cozyup-by=") { "cozyup-by=CLAIM" } else { line }
}

/// Every lab has a key and an authority of its own, and every run a token: what is made of them differs.
fn without_keys(text: &str) -> String {
    let cut = |text: &str, begin: &str, end: &str| {
        let mut pieces = text.split(begin);
        let mut out = pieces.next().unwrap_or_default().to_string();
        for piece in pieces {
            out += "DRAWN";
            out += piece.split_once(end).map_or("", |(_, after)| after);
        }
        out
    };
    let text = cut(text, "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    CREDENTIALS.iter().fold(text, |text, begin| cut(&text, begin, "\""))
}

/// How the hash of an add-on's credentials begins in an object.
const CREDENTIALS: [&str; 2] = ["\"cozyup.dev/credentials\":\"", "\"name\":\"COZYUP_CREDENTIALS\",\"value\":\""];

/// What differs, a line each; empty when both are the same.
pub fn differences(expected: &Standing, found: &Standing) -> Vec<String> {
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let mut lines = Vec::new();
    for key in keys {
        match (expected.get(key), found.get(key)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => lines.push(format!("{key}: `{}` instead of `{}`", short(b), short(a))),
            (Some(a), None) => lines.push(format!("{key}: missing, was `{}`", short(a))),
            (None, Some(b)) => lines.push(format!("{key}: too much, `{}`", short(b))),
            (None, None) => {}
        }
    }
    lines
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

fn machines(world: &World, lines: &mut Standing) {
    let mut clusters = BTreeSet::new();
    for (vmid, machine) in &world.machines {
        let etcd = machine.etcd.as_ref().map(|e| {
            clusters.insert(e.cluster);
            if e.learner { "learner" } else { "member" }
        });
        let text = format!(
            "{:?}, on {}, etcd {etcd:?}, split {}, lost {}, api server {:?}, registered {:?}, staged {}",
            machine.stage,
            machine.on,
            machine.split,
            machine.lost.is_some(),
            machine.api_server,
            machine.registered,
            machine.staged.is_some()
        );
        lines.insert(format!("machine {vmid}"), text);
    }
    lines.insert("etcd clusters".into(), clusters.len().to_string());
}

fn cluster(world: &World, lines: &mut Standing) {
    let Some(cluster) = &world.cluster else { return };
    for key in cluster.store.keys().filter(|k| !FLEETING.contains(&k.resource.plural.as_str())) {
        let object = cluster.store.get(key).unwrap_or(&Value::Null);
        let ours = object.pointer("/metadata/labels/cozyup.dev~1run").is_some();
        let text = if ours { lasting(object).to_string() } else { "there".into() };
        let name =
            format!("object {}/{} {}/{}", key.resource.group, key.resource.plural, key.namespace, name(key, object));
        let lines = lines.entry(name).or_default();
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(&text);
    }
}

/// An object whose name a controller has drawn is told by what it was made for.
fn name(key: &Key, object: &Value) -> String {
    let at = |path: &str| object.pointer(path).and_then(Value::as_str);
    let owner = at("/metadata/ownerReferences/0/name");
    let made_for = match key.resource.plural.as_str() {
        // Of a replica set's name only the last part is drawn.
        "pods" => owner.map(|name| name.rsplit_once('-').map_or(name, |(stem, _)| stem).to_string()),
        "replicasets" => owner.map(String::from),
        "endpointslices" => at("/metadata/labels/kubernetes.io~1service-name").map(String::from),
        "volumeattachments" => at("/spec/source/persistentVolumeName").map(String::from),
        // Rows of LINSTOR, under a digest of their key.
        "resources" | "volumedefinitions" => at("/spec/resource_name").map(String::from),
        _ => None,
    };
    made_for.map_or_else(|| key.name.clone(), |what| format!("of {what}"))
}

/// What was asked for, without what the cluster made of it.
fn lasting(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    let secret = object["kind"] == "Secret";
    if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut).filter(|_| secret) {
        for value in data.values_mut() {
            let bytes = BASE64_STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
            *value = String::from_utf8_lossy(&bytes).into_owned().into();
        }
    }
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for drawn in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            meta.remove(drawn);
        }
    }
    object
}

/// Files of the run's folder; of the secrets only that they are there.
fn folder(root: &Path, at: &Path, lines: &mut Standing) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let token =
            if name.contains("proxmox-token") { std::fs::read_to_string(&path).unwrap() } else { String::new() };
        lines.insert(format!("file {name}"), format!("{:o} {token}", meta.permissions().mode()));
        if meta.is_dir() {
            folder(root, &path, lines);
        }
    }
}

/// `8-4-4-4-12` hexadecimal digits become what `named` makes of them.
fn without_uids(text: &str, named: impl Fn(&str) -> &'static str) -> String {
    const PARTS: [usize; 5] = [8, 4, 4, 4, 12];
    const UID: usize = 36;
    let bytes = text.as_bytes();
    let is_uid = |at: usize| {
        let mut end = at;
        PARTS.iter().enumerate().all(|(i, length)| {
            let dash = i == 0 || bytes.get(end) == Some(&b'-');
            end += usize::from(i > 0);
            let digits = bytes.get(end..end + length).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
            end += length;
            dash && digits
        })
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        if is_uid(at) {
            out.push_str(named(&text[at..at + UID]));
            at += UID;
        } else {
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}
