//! capmox's ProxmoxMachine: from an object to a running VM, one request to Proxmox VE after the other, and back.
use super::proxmox::{Client, Job, job};
use super::{CLUSTER_LABEL, INFRASTRUCTURE, IPAM, REQUEUE_S, again, gate, hold, owner, release};
use crate::kube::control::objects::{is_deleting, items, set_condition, text};
use crate::kube::control::proxmox::secret_value;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use cozyup_base::clock::add;
use cozyup_base::iso::{self, File};
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
/// How long a failed task stands in the condition before it is tried again, in seconds.
const RETRY_TASK_S: u64 = 60;

/// What one look came to.
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
    let Some([_, token, secret]) = gate::credentials(world, &infrastructure, &key.namespace) else { return };
    let node = object["status"]["proxmoxNode"].as_str().or(object["spec"]["sourceNode"].as_str());
    let node = node.unwrap_or_default().to_string();
    let at = seconds(world.now);
    let client = Client { token, secret };
    let (spec, object) = (object["spec"].clone(), object.clone());
    let it = Machine { key, spec, object, machine, cluster, infrastructure, client, node, at };
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
        if is_new {
            if let Some(look) = self.configure(world, &path, &config) {
                return look;
            }
            if let Some(look) = self.resize(world, &path, &config) {
                return look;
            }
        }
        if let Some(look) = self.address(world, &path, &config) {
            return look;
        }
        if let Some(look) = self.bootstrap(world, &path, vmid, &config, &uuid) {
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
        Look::Ready
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

    fn clone_vm(&self, world: &mut World) -> Look {
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
            Err(e) => Look::Refused("CloningFailed", e.as_text()),
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
        let all = self.client.ask(world, "GET", "/cluster/resources", &[]).map_err(|e| e.as_text())?;
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
            let next = self.client.ask(world, "GET", "/cluster/nextid", &[]).map_err(|e| e.as_text())?;
            return Ok(next.as_str().and_then(|n| n.parse().ok()).or(next.as_u64()));
        };
        let label = &self.object["metadata"]["labels"][CLUSTER_LABEL];
        let of_cluster = |m: &Value| m["metadata"]["labels"][CLUSTER_LABEL] == *label;
        let machines = world.select(INFRASTRUCTURE, "proxmoxmachines", Some(&self.key.namespace), of_cluster);
        let used: Vec<u64> = machines.iter().filter_map(|(_, m)| m["spec"]["virtualMachineID"].as_u64()).collect();
        for vmid in (from..=to).filter(|v| !used.contains(v)) {
            if self.client.ask(world, "GET", "/cluster/nextid", &[("vmid", vmid.to_string())]).is_ok() {
                return Ok(Some(vmid));
            }
        }
        Ok(None)
    }

    /// Sizes, notes, card and tags in one request, while the VM is new.
    fn configure(&self, world: &mut World, path: &str, config: &Value) -> Option<Look> {
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
            if !has.contains(&format!("bridge={bridge}")) || !has.starts_with(model) {
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
    fn resize(&self, world: &mut World, path: &str, config: &Value) -> Option<Look> {
        let volume = &self.spec["disks"]["bootVolume"];
        let (disk, size) = (volume["disk"].as_str()?, volume["sizeGb"].as_u64()?);
        let wanted = format!("{size}G");
        if text(config, &format!("/{disk}")).contains(&format!("size={wanted}")) {
            return None;
        }
        let given = [("disk", disk.to_string()), ("size", wanted)];
        match self.client.ask(world, "PUT", &format!("{path}/resize"), &given) {
            Ok(_) => None,
            Err(e) => Some(Look::Refused("", e.as_text())),
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

    /// The CD-ROM that the VM boots with.
    fn bootstrap(&self, world: &mut World, path: &str, vmid: u64, config: &Value, uuid: &str) -> Option<Look> {
        if self.object["status"]["bootstrapDataProvided"] == true {
            return None;
        }
        let secret = text(&self.machine, "/spec/bootstrap/dataSecretName");
        let key = Key::new("", "secrets", &self.key.namespace, secret);
        let Some(data) = world.object(&key).and_then(|s| secret_value(s, "value")) else {
            let why = format!("failed to retrieve bootstrap data secret: secrets \"{secret}\" not found");
            return Some(Look::Refused("WaitingForBootstrapData", why));
        };
        let storage = match self.client.iso_storage(world, &self.node) {
            Ok(storage) => storage,
            Err(why) => return Some(Look::Refused("VMProvisionFailed", why)),
        };
        let name = format!("user-data-{vmid}.iso");
        let volume = format!("{storage}:iso/{name}");
        let drive = text(config, &format!("/{CDROM}")).to_string();
        if !drive.contains(&volume) {
            let (meta, network) = (self.meta_data(uuid), self.network_config(text(config, "/net0")));
            let files = [("meta-data", &meta), ("network-config", &network), ("user-data", &data)];
            let files = files.map(|(name, text)| File { name, bytes: text.as_bytes() });
            let image = iso::image("cidata", &files).to_vec();
            if let Err(e) = self.client.upload_iso(world, &self.node, &storage, &name, image) {
                let why = format!("unable to inject CloudInit ISO: {}", e.as_text());
                return Some(Look::Refused("VMProvisionFailed", why));
            }
            let order = text(config, "/boot").to_string();
            let tags = text(config, "/tags");
            let tags = if tags.is_empty() { CLOUD_INIT_TAG.into() } else { format!("{tags};{CLOUD_INIT_TAG}") };
            let given =
                [(CDROM, format!("{volume},media=cdrom")), ("boot", format!("{order};{CDROM}")), ("tags", tags)];
            // The upload has to be over before the drive can be had.
            let (client, path, key) = (
                Client { token: self.client.token.clone(), secret: self.client.secret.clone() },
                path.to_string(),
                self.key.clone(),
            );
            let after = world.scenario.latency.upload_task_s;
            let uid = text(&self.object, "/metadata/uid").to_string();
            if world.begin(format!("cdrom {uid}")) {
                world.after(after + 0.1, move |world| {
                    world.done(&format!("cdrom {uid}"));
                    if world.is_still(&key, &uid) {
                        // A refusal shows at the next look: the drive is not there, and all of it is tried again.
                        let _ = client.ask(world, "POST", &format!("{path}/config"), &given);
                    }
                });
            }
            return Some(Look::Later);
        }
        self.status(world, |status| status["bootstrapDataProvided"] = json!(true));
        None
    }

    fn meta_data(&self, uuid: &str) -> String {
        let mut text = format!("instance-id: {uuid}\nlocal-hostname: {0}\nhostname: {0}\n", self.key.name);
        if self.spec["metadataSettings"]["providerIDInjection"] == true {
            text.push_str(&format!("provider-id: proxmox://{uuid}\n"));
        }
        text
    }

    fn network_config(&self, card: &str) -> String {
        let mac = card.split(',').next().and_then(|c| c.split_once('=')).map(|(_, mac)| mac.to_lowercase());
        let pool = &self.infrastructure["spec"];
        let servers: Vec<&str> = items(pool, "/dnsServers").filter_map(Value::as_str).collect();
        let address = text(&self.object, &format!("/status/ipAddresses/{CARD}/ipv4"));
        format!(
            "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    eth0:\n      match:\n        macaddress: {}\n      \
             dhcp4: 'no'\n      dhcp6: 'no'\n      addresses:\n      - '{address}/{}'\n      routes:\n      - to: 0.0.0.0/0\n        \
             metric: 100\n        via: {}\n      nameservers:\n        addresses: {}\n",
            mac.unwrap_or_default(),
            pool["ipv4Config"]["prefix"],
            text(pool, "/ipv4Config/gateway"),
            json!(servers),
        )
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
            Err(e) => Look::Refused(reason, e.as_text()),
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
        self.condition(world, "Deleting", "");
        let vmid = self.spec["virtualMachineID"].as_u64();
        let is_gone = match vmid {
            None => true,
            Some(vmid) => self.client.ask(world, "GET", "/cluster/nextid", &[("vmid", vmid.to_string())]).is_ok(),
        };
        if is_gone {
            return release(world, self.key, FINALIZER);
        }
        let path = format!("/nodes/{}/qemu/{}", self.node, vmid.unwrap_or_default());
        let status = self.client.ask(world, "GET", &format!("{path}/status/current"), &[]);
        if status.is_ok_and(|s| s["status"] == "running") {
            // The VM is still on its way down when it is deleted, so that this is refused and done at the next look.
            let _ = self.client.ask(world, "POST", &format!("{path}/status/stop"), &[]);
        } else if let Ok(config) = self.client.ask(world, "GET", &format!("{path}/config"), &[]) {
            let drive = text(&config, &format!("/{CDROM}")).to_string();
            if let Some((storage, volume)) = drive.split(',').next().and_then(|v| v.split_once(':')) {
                let path = format!("/nodes/{}/storage/{storage}/content/{storage}:{volume}", self.node);
                let _ = self.client.ask(world, "DELETE", &path, &[]);
            }
            if self.client.ask(world, "DELETE", &path, &[]).is_err() {
                self.condition(world, "DeletionFailed", "");
            }
        }
        again(world, self.key, &self.object, REQUEUE_S);
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
        let Some(now) = world.object(self.key) else { return };
        let mut after = now.clone();
        for kind in [PROVISIONED, "Ready"] {
            set_condition(&mut after, &self.at, kind, "False", reason, message);
        }
        if after["status"] != now["status"] {
            world.change_object(self.key, |object| object["status"] = after["status"].clone());
        }
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
