//! The settings of a new clone before its first start: sizes, notes, card, tags, and a larger disk.
use super::super::proxmox::told;
use super::{CARD, Look, Machine, number};
use crate::kube::control::objects::{items, text};
use crate::world::World;
use serde_json::Value;

impl Machine<'_> {
    /// Sizes, notes, card and tags in one request, while the VM is new.
    pub(super) fn configure(&self, world: &mut World, path: &str, config: &Value) -> Option<Look> {
        let mut given: Vec<(&str, String)> = Vec::new();
        for (name, field) in [("sockets", "numSockets"), ("cores", "numCores"), ("memory", "memoryMiB")] {
            let wanted = self.spec[field].as_u64().filter(|n| *n > 0);
            if let Some(wanted) = wanted.filter(|n| number(&config[name]) != Some(*n)) {
                given.push((name, wanted.to_string()));
            }
        }
        if let Some(notes) = self.spec["description"].as_str()
            && text(config, "/description").trim_end() != notes
        {
            given.push(("description", notes.to_string()));
        }
        let card = &self.spec["network"]["default"];
        if let Some(bridge) = card["bridge"].as_str() {
            let model = card["model"].as_str().unwrap_or("virtio");
            let mut wanted = format!("{model},bridge={bridge}");
            for (name, field) in [("mtu", "mtu"), ("tag", "vlan")] {
                if let Some(n) = card[field].as_u64() {
                    wanted.push_str(&format!(",{name}={n}"));
                }
            }
            let has = text(config, "/net0");
            let other_mtu = card["mtu"].as_u64().is_some_and(|mtu| !has.contains(&format!("mtu={mtu}")));
            if !has.contains(&format!("bridge={bridge}")) || !has.starts_with(model) || other_mtu {
                given.push((CARD, wanted));
            }
        }
        let mut tags: Vec<&str> = text(config, "/tags").split(';').filter(|t| !t.is_empty()).collect();
        let before = tags.len();
        for tag in items(&self.spec, "/tags").filter_map(Value::as_str) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if tags.len() > before {
            given.push(("tags", tags.join(";")));
        }
        if given.is_empty() {
            return None;
        }
        Some(self.begun(world, "POST", &format!("{path}/config"), &given, ""))
    }

    /// It only grows, and nobody waits for the task.
    pub(super) fn resize(&self, world: &mut World, path: &str, config: &Value) -> Option<Look> {
        let volume = &self.spec["disks"]["bootVolume"];
        let (disk, size) = (volume["disk"].as_str()?, volume["sizeGb"].as_u64()?);
        let wanted = format!("{size}G");
        if text(config, &format!("/{disk}")).contains(&format!("size={wanted}")) {
            return None;
        }
        let given = [("disk", disk.to_string()), ("size", wanted)];
        match self.client.ask(world, "PUT", &format!("{path}/resize"), &given) {
            Ok(_) => None,
            Err(e) => Some(Look::Refused("", told(&e))),
        }
    }
}
