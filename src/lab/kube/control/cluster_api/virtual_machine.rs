//! capmox's ProxmoxMachine: from an object to a running VM, one request to Proxmox VE after the other, and back.
mod clone;
mod seed;
mod settings;

use super::proxmox::{Client, Job, job, told};
use super::{INFRASTRUCTURE, IPAM, REQUEUE_S, again, gate, hold, keep_status, owner, release};
use crate::kube::control::objects::{is_deleting, set_condition, text};
use crate::kube::store::{Key, seconds};
use crate::pve::api::Failure;
use crate::world::World;
use cozyup_base::clock::add;
use serde_json::{Value, json};
use std::time::Duration;

const FINALIZER: &str = "proxmoxmachine.infrastructure.cluster.x-k8s.io";
/// The condition that says how far the VM is.
const PROVISIONED: &str = "VMProvisioned";
/// capmox's default network card.
const CARD: &str = "net0";
/// The drive that gets the bootstrap data.
const CDROM: &str = "ide0";
/// go-proxmox marks with it a VM whose CD-ROM it made.
const CLOUD_INIT_TAG: &str = "go-proxmox+cloud-init";
/// The time that a failed task stands in the condition before it is tried again, in seconds.
const RETRY_TASK_S: u64 = 60;

/// The result of one look.
enum Look {
    /// Nothing to do before something changes.
    Waits,
    /// Look again after the usual pause.
    Later,
    /// The controller's words in its log; tried again with the same pause.
    Refused(&'static str, String),
    /// Nothing will be tried again.
    Failed(String, String),
    Ready,
}

/// Everything that a look at a machine is about.
struct Machine<'a> {
    key: &'a Key,
    spec: Value,
    object: Value,
    machine: Value,
    cluster: Value,
    infrastructure: Value,
    client: Client,
    node: String,
    at: String,
}

pub fn reconcile(world: &mut World, key: &Key, object: &Value) {
    if !gate::capmox(world) {
        return;
    }
    // Without an owner capmox says nothing at all, not even in a condition.
    let Some((_, machine)) = owner(world, key, object, "Machine", "machines") else { return };
    let machine = machine.clone();
    let name = text(&machine, "/spec/clusterName").to_string();
    let Some(cluster) = world.object(&Key::new(super::CORE, "clusters", &key.namespace, &name)).cloned() else {
        return;
    };
    let of = text(&cluster, "/spec/infrastructureRef/name");
    let infrastructure = Key::new(INFRASTRUCTURE, "proxmoxclusters", &key.namespace, of);
    let Some(infrastructure) = world.object(&infrastructure).cloned() else { return };
    let Some(client) = gate::client(world, &infrastructure, &key.namespace) else { return };
    let node = object["status"]["proxmoxNode"].as_str().or(object["spec"]["sourceNode"].as_str());
    let node = node.unwrap_or_default().to_string();
    let at = seconds(world.now);
    let (spec, object) = (object["spec"].clone(), object.clone());
    let it = Machine { key, spec, object, machine, cluster, infrastructure, client, node, at };
    // The controller waits for its upload, whatever happens to the object meanwhile.
    if it.is_uploading(world) {
        return again(world, key, &it.object, REQUEUE_S);
    }
    if is_deleting(&it.object) {
        return it.remove(world);
    }
    if !text(&it.object, "/status/failureReason").is_empty() {
        return;
    }
    let look = it.look(world);
    it.conclude(world, look);
}

impl Machine<'_> {
    fn look(&self, world: &mut World) -> Look {
        if self.cluster["status"]["infrastructureReady"] != true {
            self.condition(world, "WaitingForClusterInfrastructure", "");
            return Look::Waits;
        }
        if !self.machine["spec"]["bootstrap"]["dataSecretName"].is_string() {
            self.condition(world, "WaitingForBootstrapData", "");
            return Look::Waits;
        }
        hold(world, self.key, FINALIZER);
        if let Some(look) = self.task(world) {
            return look;
        }
        let Some(vmid) = self.spec["virtualMachineID"].as_u64() else { return self.clone_vm(world) };
        let path = format!("/nodes/{}/qemu/{vmid}", self.node);
        let config = match self.client.ask(world, "GET", &format!("{path}/config"), &[]) {
            Ok(config) => config,
            Err(_) => return Look::Refused("", "vm not found".into()),
        };
        if config["name"] != self.key.name.as_str() {
            return Look::Refused("", "vm not initialized".into());
        }
        let running = self.client.ask(world, "GET", &format!("{path}/status/current"), &[]);
        let running = running.is_ok_and(|status| status["status"] == "running");
        let uuid = uuid_of(text(&config, "/smbios1")).to_string();
        if self.object["spec"]["providerID"].is_null() {
            let id = format!("proxmox://{uuid}");
            world.change_object(self.key, |o| o["spec"]["providerID"] = json!(id));
        }
        let is_new = !running && self.object["status"]["ready"] != true;
        if let Some(look) = self.prepare(world, &path, vmid, &config, &uuid, is_new) {
            return look;
        }
        if !running {
            self.condition(world, "PoweringOn", "");
            return self.begun(world, "POST", &format!("{path}/status/start"), &[], "PoweringOnFailed");
        }
        self.addresses(world);
        if self.spec["checks"]["skipQemuGuestAgent"] != true {
            // The lab's machines run no agent, as Talos' image does not.
            return Look::Refused("", "error waiting for agent".into());
        }
        if self.machine["status"]["bootstrapReady"] == true && self.machine["status"]["nodeRef"].is_object() {
            self.withdraw(world, &path, vmid, &config);
        }
        Look::Ready
    }

    /// Everything before the start, one request in each look.
    fn prepare(
        &self,
        world: &mut World,
        path: &str,
        vmid: u64,
        config: &Value,
        uuid: &str,
        is_new: bool,
    ) -> Option<Look> {
        let settings = match is_new {
            true => self.configure(world, path, config).or_else(|| self.resize(world, path, config)),
            false => None,
        };
        settings
            .or_else(|| self.address(world, path, config))
            .or_else(|| self.bootstrap(world, path, vmid, config, uuid))
    }

    /// The task that is under way, if one is.
    fn task(&self, world: &mut World) -> Option<Look> {
        let upid = self.object["status"]["taskRef"].as_str()?;
        let now = world.now;
        let retry = self.object["status"]["retryAfter"].as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
        if retry.is_some_and(|at| now < at) {
            return Some(Look::Later);
        }
        match job(world, upid) {
            Job::Running => Some(Look::Later),
            Job::Unknown => Some(Look::Refused("", "task not found".into())),
            Job::Done => {
                self.status(world, |status| clear(status, "taskRef"));
                None
            }
            Job::Failed(why) => {
                self.condition(world, "TaskFailure", &why);
                let again = add(now, Duration::from_secs(RETRY_TASK_S));
                self.status(world, |status| match retry {
                    None => status["retryAfter"] = json!(seconds(again)),
                    Some(_) => {
                        clear(status, "taskRef");
                        clear(status, "retryAfter");
                    }
                });
                Some(Look::Later)
            }
        }
    }

    /// An address from the pool; it is written among the VM's tags before it counts.
    fn address(&self, world: &mut World, path: &str, config: &Value) -> Option<Look> {
        if self.object["status"]["ipAddresses"].is_object() {
            return None;
        }
        self.condition(world, "WaitingForStaticIPAllocation", "");
        let name = format!("{}-{CARD}-inet", self.key.name);
        let key = Key::new(IPAM, "ipaddresses", &self.key.namespace, &name);
        let Some(address) = world.object(&key).map(|a| text(a, "/spec/address").to_string()) else {
            let pool = format!("{}-v4-icip", text(&self.infrastructure, "/metadata/name"));
            let claim_key = Key::new(IPAM, "ipaddressclaims", &self.key.namespace, &name);
            if world.object(&claim_key).is_none() {
                let claim = json!({"apiVersion": "ipam.cluster.x-k8s.io/v1beta1", "kind": "IPAddressClaim",
                    "metadata": {"labels": self.object["metadata"]["labels"]},
                    "spec": {"poolRef": {"apiGroup": IPAM, "kind": "InClusterIPPool", "name": pool}}});
                world.put_object(claim_key.clone(), claim);
                super::own(world, &claim_key, &self.object, true);
            }
            return Some(Look::Later);
        };
        let tag = format!("ip_{CARD}_{address}");
        let tags = text(config, "/tags");
        if !tags.split(';').any(|t| t == tag) {
            let all = if tags.is_empty() { tag } else { format!("{tags};{tag}") };
            return Some(self.begun(world, "POST", &format!("{path}/config"), &[("tags", all)], ""));
        }
        self.status(world, |status| status["ipAddresses"] = json!({CARD: {"ipv4": address}}));
        Some(Look::Later)
    }

    fn addresses(&self, world: &mut World) {
        let address = text(&self.object, &format!("/status/ipAddresses/{CARD}/ipv4"));
        let wanted =
            json!([{"type": "Hostname", "address": self.key.name}, {"type": "InternalIP", "address": address}]);
        if self.object["status"]["addresses"] != wanted {
            self.status(world, |status| status["addresses"] = wanted);
        }
    }

    /// A request whose answer is a task, which is waited for.
    fn begun(
        &self,
        world: &mut World,
        method: &str,
        path: &str,
        given: &[(&str, String)],
        reason: &'static str,
    ) -> Look {
        match self.client.ask(world, method, path, given) {
            Ok(upid) => {
                self.status(world, |status| status["taskRef"] = upid);
                Look::Later
            }
            Err(e) => Look::Refused(reason, told(&e)),
        }
    }

    fn conclude(&self, world: &mut World, look: Look) {
        let current = world.object(self.key).cloned().unwrap_or_default();
        match look {
            Look::Waits => {}
            Look::Later => again(world, self.key, &self.object, REQUEUE_S),
            Look::Refused(reason, why) => {
                if !reason.is_empty() {
                    self.condition(world, reason, &why);
                }
                again(world, self.key, &self.object, REQUEUE_S);
            }
            Look::Failed(reason, why) => {
                self.condition(world, "VMProvisionFailed", &why);
                self.status(world, |status| {
                    status["failureReason"] = json!(reason);
                    status["failureMessage"] = json!(why);
                });
            }
            Look::Ready if current["status"]["ready"] != true => {
                world.change_object(self.key, |object| {
                    object["status"]["ready"] = json!(true);
                    object["status"]["vmStatus"] = json!("ready");
                    for kind in [PROVISIONED, "Ready"] {
                        set_condition(object, &self.at, kind, "True", "", "");
                    }
                });
            }
            Look::Ready => {}
        }
    }

    fn remove(&self, world: &mut World) {
        let reason = match self.remove_vm(world) {
            Ok(true) => return release(world, self.key, FINALIZER),
            Ok(false) => "Deleting",
            Err(_) => "DeletionFailed",
        };
        self.condition(world, reason, "");
        again(world, self.key, &self.object, REQUEUE_S);
    }

    /// True when no VM has the VMID any more.
    fn remove_vm(&self, world: &mut World) -> Result<bool, Failure> {
        let Some(vmid) = self.spec["virtualMachineID"].as_u64() else { return Ok(true) };
        match self.client.ask(world, "GET", "/cluster/nextid", &[("vmid", vmid.to_string())]) {
            Ok(_) => return Ok(true),
            Err(e) if told(&e).contains("already exists") => {}
            Err(e) => return Err(e),
        }
        let path = format!("/nodes/{}/qemu/{vmid}", self.node);
        let status = self.client.ask(world, "GET", &format!("{path}/status/current"), &[])?;
        if status["status"] == "running" {
            // The VM is still on its way down when it is deleted, so that this is refused and done at the next look.
            return self.client.ask(world, "POST", &format!("{path}/status/stop"), &[]).map(|_| false);
        }
        let config = self.client.ask(world, "GET", &format!("{path}/config"), &[])?;
        let drive = text(&config, &format!("/{CDROM}")).to_string();
        if let Some((storage, volume)) = drive.split(',').next().and_then(|v| v.split_once(':')) {
            let path = format!("/nodes/{}/storage/{storage}/content/{storage}:{volume}", self.node);
            let _ = self.client.ask(world, "DELETE", &path, &[]);
        }
        self.client.ask(world, "DELETE", &path, &[]).map(|_| false)
    }

    fn status(&self, world: &mut World, f: impl FnOnce(&mut Value)) {
        world.change_object(self.key, |object| {
            if !object["status"].is_object() {
                object["status"] = json!({});
            }
            f(&mut object["status"]);
        });
    }

    /// `VMProvisioned` and the summary `Ready` are False for this reason.
    fn condition(&self, world: &mut World, reason: &str, message: &str) {
        let Some(now) = world.object(self.key).cloned() else { return };
        let mut after = now.clone();
        for kind in [PROVISIONED, "Ready"] {
            set_condition(&mut after, &self.at, kind, "False", reason, message);
        }
        keep_status(world, self.key, &now, &after);
    }
}

fn clear(status: &mut Value, name: &str) {
    if let Some(fields) = status.as_object_mut() {
        fields.remove(name);
    }
}

/// A number that Proxmox VE writes as one or as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn uuid_of(smbios: &str) -> &str {
    smbios.split(',').find_map(|part| part.strip_prefix("uuid=")).unwrap_or_default()
}
