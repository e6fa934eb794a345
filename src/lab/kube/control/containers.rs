//! What a container is given and runs: its environment, its mounts, its script.
use super::objects::{items, text, uid};
use super::{proxmox, shell};
use crate::kube::store::Key;
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;

/// The environment of a pod's first container.
///
/// # Errors
/// The Secret that it names and that is not there, or has no such key.
pub fn environment(world: &World, key: &Key, pod: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for entry in items(pod, "/spec/containers/0/env") {
        let reference = &entry["valueFrom"]["secretKeyRef"];
        let value = match reference["name"].as_str() {
            None => text(entry, "/value").to_string(),
            Some(name) => {
                let secret = world.object(&Key::new("", "secrets", &key.namespace, name));
                let found = secret.and_then(|s| proxmox::secret_value(s, text(reference, "/key")));
                found.ok_or_else(|| format!("secret \"{name}\" not found"))?
            }
        };
        env.insert(text(entry, "/name").to_string(), value);
    }
    Ok(env)
}

/// The script of a container that runs `sh -c SCRIPT` or one plain command, and whether it stops at the first failure.
pub fn script(container: &Value) -> Option<(String, bool)> {
    let words: Vec<&str> =
        items(container, "/command").chain(items(container, "/args")).filter_map(Value::as_str).collect();
    if words.first().is_some_and(|word| shell::PLAIN.contains(word)) {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        return Some((quoted.join(" "), false));
    }
    let [shell, flags, script, ..] = words.as_slice() else { return None };
    let known = matches!(shell.rsplit('/').next(), Some("sh" | "bash" | "ash"))
        && flags.strip_prefix('-').is_some_and(|f| f.contains('c') && f.chars().all(|c| "cexu".contains(c)));
    known.then(|| ((*script).to_string(), flags.contains('e')))
}

/// Mount path and volume of each mount, and the files of ConfigMaps: volume, path and text.
type Mounts = (Vec<(String, String)>, Vec<(String, String, String)>);

pub fn mounts(world: &World, key: &Key, pod: &Value, container: &Value) -> Mounts {
    let mut given = Vec::new();
    // A path that no mount covers is the pod's own and goes with it.
    let mut mounts = vec![(String::new(), uid(pod))];
    for mount in items(container, "/volumeMounts") {
        let volume = items(pod, "/spec/volumes").find(|v| v["name"] == mount["name"]);
        let claim = volume.map(|v| text(v, "/persistentVolumeClaim/claimName")).unwrap_or_default();
        let claim = Key::new("", "persistentvolumeclaims", &key.namespace, claim);
        let persistent = world.object(&claim).map(|c| text(c, "/spec/volumeName").to_string());
        // Data that no claim holds lives and dies with the pod.
        let holder = persistent.unwrap_or_else(|| format!("{}/{}", uid(pod), text(mount, "/name")));
        let map = volume.map(|v| text(v, "/configMap/name")).unwrap_or_default();
        let map = Key::new("", "configmaps", &key.namespace, map);
        for (name, value) in world.object(&map).and_then(|m| m["data"].as_object()).into_iter().flatten() {
            given.push((holder.clone(), format!("/{name}"), value.as_str().unwrap_or_default().to_string()));
        }
        mounts.push((text(mount, "/mountPath").trim_end_matches('/').to_string(), holder));
    }
    (mounts, given)
}
