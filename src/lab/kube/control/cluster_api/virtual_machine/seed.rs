//! The CD-ROM with the bootstrap data that a VM boots with.
use super::super::proxmox::told;
use super::{CARD, CDROM, CLOUD_INIT_TAG, Look, Machine};
use crate::kube::control::objects::{items, text};
use crate::kube::control::proxmox::secret_value;
use crate::kube::store::Key;
use crate::world::World;
use cozyup_base::iso::{self, File};
use serde_json::{Value, json};

impl Machine<'_> {
    /// The CD-ROM that the VM boots with.
    pub(super) fn bootstrap(
        &self,
        world: &mut World,
        path: &str,
        vmid: u64,
        config: &Value,
        uuid: &str,
    ) -> Option<Look> {
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
        let volume = format!("{storage}:iso/user-data-{vmid}.iso");
        let network = self.network_config(text(config, "/net0"));
        let files = [("meta-data", self.meta_data(uuid)), ("network-config", network), ("user-data", data)];
        if !text(config, &format!("/{CDROM}")).contains(&volume) {
            return Some(self.seed(world, path, vmid, config, &files, &storage));
        }
        self.status(world, |status| status["bootstrapDataProvided"] = json!(true));
        None
    }

    fn upload(&self) -> String {
        format!("cdrom {}", text(&self.object, "/metadata/uid"))
    }

    pub(super) fn is_uploading(&self, world: &mut World) -> bool {
        world.is_begun(&self.upload())
    }

    /// Uploads the image and, once its task is over, puts it into the drive.
    fn seed(
        &self,
        world: &mut World,
        path: &str,
        vmid: u64,
        config: &Value,
        files: &[(&str, String); 3],
        storage: &str,
    ) -> Look {
        let name = format!("user-data-{vmid}.iso");
        let files = files.each_ref().map(|(name, text)| File { name, bytes: text.as_bytes() });
        let image = iso::image("cidata", &files).to_vec();
        if let Err(e) = self.client.upload_iso(world, &self.node, storage, &name, image) {
            let why = format!("unable to inject CloudInit ISO: {}", told(&e));
            return Look::Refused("VMProvisionFailed", why);
        }
        let tags = text(config, "/tags");
        let tags = if tags.is_empty() { CLOUD_INIT_TAG.into() } else { format!("{tags};{CLOUD_INIT_TAG}") };
        let given = [
            (CDROM, format!("{storage}:iso/{name},media=cdrom")),
            ("boot", format!("{};{CDROM}", text(config, "/boot"))),
            ("tags", tags),
        ];
        let (client, path, key) = (self.client.clone(), path.to_string(), self.key.clone());
        let (uid, mark) = (text(&self.object, "/metadata/uid").to_string(), self.upload());
        if world.begin(mark.clone()) {
            world.after(world.scenario.latency.upload_task_s + 0.1, move |world| {
                world.done(&mark);
                if world.is_still(&key, &uid) {
                    // A refusal shows at the next look: the drive is not there, and all of it is tried again.
                    let _ = client.ask(world, "POST", &format!("{path}/config"), &given);
                }
            });
        }
        Look::Later
    }

    /// Once the machine is a node its CD-ROM is taken out and deleted (`unmountCloudInitISO`).
    pub(super) fn withdraw(&self, world: &mut World, path: &str, vmid: u64, config: &Value) {
        let tags: Vec<&str> = text(config, "/tags").split(';').collect();
        if !tags.contains(&CLOUD_INIT_TAG) {
            return;
        }
        let drive = text(config, &format!("/{CDROM}")).to_string();
        let left: Vec<&str> = tags.into_iter().filter(|tag| *tag != CLOUD_INIT_TAG).collect();
        let given = [(CDROM, "none,media=cdrom".to_string()), ("tags", left.join(";"))];
        let _ = self.client.ask(world, "POST", &format!("{path}/config"), &given);
        if let Some((storage, _)) = drive.split_once(':') {
            let volume = format!("{storage}:iso/user-data-{vmid}.iso");
            let path = format!("/nodes/{}/storage/{storage}/content/{volume}", self.node);
            let _ = self.client.ask(world, "DELETE", &path, &[]);
        }
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
}
