//! Lists everything on the site, one line each, without what differs from one run to the next, to compare two runs.
use super::vm::Power;
use super::{Pve, task};
use std::collections::BTreeMap;

/// Options of a VM that are drawn anew for each.
const DRAWN: [&str; 4] = ["digest", "meta", "smbios1", "vmgenid"];

pub type Inventory = BTreeMap<String, String>;

impl Pve {
    pub fn inventory(&self) -> Inventory {
        let mut lines = Inventory::new();
        for (vmid, vm) in &self.vms {
            let power = if matches!(vm.power, Power::Running { .. }) { "running" } else { "stopped" };
            lines.insert(format!("vm {vmid} on {}", vm.node), power.into());
            for (key, value) in vm.config.iter().filter(|(key, _)| !DRAWN.contains(&key.as_str())) {
                lines.insert(format!("vm {vmid} {key}"), without_mac(value));
            }
            for key in vm.pending.keys() {
                lines.insert(format!("vm {vmid} pending {key}"), String::new());
            }
        }
        for storage in self.storages.values() {
            for ((node, name), volume) in &storage.volumes {
                let owner = volume.vmid.map_or("nobody".to_string(), |id| format!("vm {id}"));
                let text = format!("{} {} {} bytes of {owner}", volume.content, volume.format, volume.size);
                lines.insert(format!("volume {} {node} {name}", storage.name), text);
            }
        }
        self.rights_into(&mut lines);
        self.tasks_into(&mut lines);
        lines
    }

    fn rights_into(&self, lines: &mut Inventory) {
        let said = |comment: &Option<String>| comment.clone().unwrap_or_default();
        for (id, user) in &self.rights.users {
            lines.insert(format!("user {id}"), format!("enabled: {}, {}", user.enabled, said(&user.comment)));
            for (name, token) in &user.tokens {
                let text = format!("separate: {}, {}", token.privilege_separation, said(&token.comment));
                lines.insert(format!("token {id}!{name}"), text);
            }
        }
        for (name, role) in self.rights.roles.iter().filter(|(_, role)| !role.built_in) {
            let privileges: Vec<&str> = role.privileges.iter().map(String::as_str).collect();
            lines.insert(format!("role {name}"), privileges.join(" "));
        }
        for acl in &self.rights.acls {
            let name = format!("acl {} {} {} {}", acl.path, acl.subject.name(), acl.id, acl.role);
            let seen = lines.entry(name).or_default();
            seen.push_str(if acl.propagate { "propagates " } else { "stays " });
        }
        for (name, pool) in &self.rights.pools {
            lines.insert(format!("pool {name}"), format!("{:?} {:?}", pool.vms, pool.storages));
        }
    }

    /// The number of tasks of each kind for each thing, by how they ended.
    fn tasks_into(&self, lines: &mut Inventory) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for task::Task { kind, id, end, .. } in &self.tasks {
            let end = end.as_ref().map_or("running", |(_, status)| status.as_str());
            *counts.entry(format!("task {kind} {id}: {end}")).or_default() += 1;
        }
        lines.extend(counts.into_iter().map(|(name, count)| (name, count.to_string())));
    }
}

/// `virtio=BC:24:11:..,bridge=vmbr0` without the address.
fn without_mac(value: &str) -> String {
    let plain =
        |part: &str| part.split_once('=').filter(|(_, v)| v.split(':').count() == 6).map(|(k, _)| k.to_string());
    let parts: Vec<String> = value.split(',').map(|part| plain(part).unwrap_or_else(|| part.to_string())).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
    use std::net::Ipv4Addr;

    #[test]
    fn two_sites_of_one_scenario_hold_the_same_and_nothing_drawn() {
        let scenario = Scenario::load("standard").unwrap();
        let of = |n| super::Pve::new(&scenario, Ipv4Addr::new(127, n, 0, 0)).inventory();
        let lines = of(84);
        assert_eq!(lines, of(85));
        assert_eq!(lines.get("vm 150 net0").map(String::as_str), Some("virtio,bridge=vmbr0"));
        assert!(lines.contains_key("token cozyup@pve!installer"), "{lines:#?}");
        assert!(!lines.keys().any(|k| k.contains("smbios1")), "{lines:#?}");
    }
}
