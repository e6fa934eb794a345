//! The clone: which template, which VMID, and the request.
use super::super::proxmox::told;
use super::super::{CLUSTER_LABEL, INFRASTRUCTURE};
use super::{Look, Machine};
use crate::kube::control::objects::{items, text};
use crate::world::World;
use serde_json::{Value, json};

impl Machine<'_> {
    pub(super) fn clone_vm(&self, world: &mut World) -> Look {
        if self.object["status"]["conditions"].is_null() {
            self.condition(world, "Cloning", "");
        }
        let vmid = match self.free_vmid(world) {
            Ok(Some(vmid)) => vmid,
            Ok(None) => return Look::Failed("InsufficientResources".into(), "No vmid available in range".into()),
            Err(why) => return Look::Refused("CloningFailed", why),
        };
        let mut given = vec![("newid", vmid.to_string()), ("name", self.key.name.clone())];
        for (name, field) in [
            ("description", "description"),
            ("storage", "storage"),
            ("pool", "pool"),
            ("format", "format"),
            ("target", "target"),
        ] {
            if let Some(value) = self.spec[field].as_str() {
                given.push((name, value.to_string()));
            }
        }
        given.push(("full", if self.spec["full"] == false { "0".into() } else { "1".into() }));
        let (node, template) = match self.template(world) {
            Ok(found) => found,
            Err(why) => return Look::Failed("VMTemplateNotFound".into(), why),
        };
        if let Err(e) = self.client.ask(world, "GET", &format!("/nodes/{node}/status"), &[]) {
            return Look::Refused("CloningFailed", format!("cannot find node with name {node}: {}", told(&e)));
        }
        if let Err(e) = self.client.ask(world, "GET", &format!("/nodes/{node}/qemu/{template}/config"), &[]) {
            return Look::Refused("CloningFailed", format!("unable to find vm template: {}", told(&e)));
        }
        match self.client.ask(world, "POST", &format!("/nodes/{node}/qemu/{template}/clone"), &given) {
            Ok(upid) => {
                let target = self.spec["target"].as_str().unwrap_or(&node).to_string();
                world.change_object(self.key, |o| o["spec"]["virtualMachineID"] = json!(vmid));
                self.status(world, |status| {
                    status["taskRef"] = upid;
                    status["proxmoxNode"] = json!(target);
                });
                Look::Later
            }
            Err(e) => Look::Refused("CloningFailed", format!("unable to create new vm: {}", told(&e))),
        }
    }

    /// Node and VMID of the template: named, or the one whose tags are exactly those that are asked for.
    fn template(&self, world: &mut World) -> Result<(String, u64), String> {
        if let Some(id) = self.spec["templateID"].as_u64() {
            return Ok((text(&self.spec, "/sourceNode").to_string(), id));
        }
        let mut wanted: Vec<&str> =
            items(&self.spec, "/templateSelector/matchTags").filter_map(Value::as_str).collect();
        wanted.sort_unstable();
        let all = self.client.ask(world, "GET", "/cluster/resources", &[]).map_err(|e| told(&e))?;
        let fits = |vm: &&Value| {
            let mut tags: Vec<&str> = vm["tags"].as_str().unwrap_or_default().split(';').collect();
            tags.sort_unstable();
            vm["template"] == 1 && tags == wanted
        };
        let found: Vec<&Value> = all.as_array().into_iter().flatten().filter(fits).collect();
        match found.as_slice() {
            [one] => Ok((text(one, "/node").to_string(), one["vmid"].as_u64().unwrap_or_default())),
            other => Err(format!(
                "VM template not found: found {} VM templates with tags {:?}",
                other.len(),
                wanted.join(";")
            )),
        }
    }

    /// The first of the range that no machine of the cluster has and Proxmox VE calls free; none when all are taken.
    fn free_vmid(&self, world: &mut World) -> Result<Option<u64>, String> {
        let bound = |name: &str| self.spec["vmIDRange"][name].as_u64();
        let (Some(from), Some(to)) = (bound("start"), bound("end")) else {
            let next = self.client.ask(world, "GET", "/cluster/nextid", &[]).map_err(|e| told(&e))?;
            return Ok(next.as_str().and_then(|n| n.parse().ok()).or(next.as_u64()));
        };
        let label = &self.object["metadata"]["labels"][CLUSTER_LABEL];
        let of_cluster = |m: &Value| m["metadata"]["labels"][CLUSTER_LABEL] == *label;
        let machines = world.select(INFRASTRUCTURE, "proxmoxmachines", Some(&self.key.namespace), of_cluster);
        let used: Vec<u64> = machines.iter().filter_map(|(_, m)| m["spec"]["virtualMachineID"].as_u64()).collect();
        for vmid in (from..=to).filter(|v| !used.contains(v)) {
            match self.client.ask(world, "GET", "/cluster/nextid", &[("vmid", vmid.to_string())]) {
                Ok(_) => return Ok(Some(vmid)),
                Err(e) if told(&e).contains("already exists") => {}
                Err(e) => return Err(told(&e)),
            }
        }
        Ok(None)
    }
}
