//! The hands of a person beside a run of a rig: at Proxmox VE with the installer's token, at the cluster with the run's kubeconfig.
use crate::rig::Rig;
use cozyup::base::secret::Secret;
use cozyup::base::trust::Trust;
use cozyup::base::vmid::Vmid;
use cozyup::kubernetes::{self, Kind};
use cozyup::proxmox::{self, CloneOptions, VmConfig, VmRow};
use serde_json::Value;
use std::path::PathBuf;
use tokio::runtime::Runtime;

const HOST: &str = "pve";

pub struct Hands {
    target: proxmox::Target,
    kubeconfig: PathBuf,
    runtime: Runtime,
}

impl Hands {
    pub fn of(rig: &Rig) -> Hands {
        let site = rig.site();
        let secret = std::fs::read_to_string(&site.token_file).unwrap();
        let target = proxmox::Target {
            url: site.url.clone(),
            token_id: site.token_id.clone(),
            secret: Secret::new(secret.trim().to_string()),
            trust: Trust::Leaf(site.fingerprint.parse().unwrap()),
        };
        Hands { target, kubeconfig: rig.folder().join("secrets/kubeconfig"), runtime: Runtime::new().unwrap() }
    }

    fn proxmox(&self) -> (proxmox::Reader, proxmox::Changer) {
        proxmox::connect(self.target.clone()).unwrap()
    }

    fn kubernetes(&self) -> (kubernetes::Reader, kubernetes::Changer) {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let _inside = self.runtime.enter();
        kubernetes::connect(&Secret::new(text), None).unwrap()
    }

    pub fn vm(&self, vmid: u32) -> VmConfig {
        let config = self.proxmox().0;
        self.runtime.block_on(config.vm_config(HOST, Vmid::of(vmid))).unwrap().value
    }

    /// Guests with a VMID in this range.
    pub fn guests(&self, range: std::ops::RangeInclusive<u32>) -> Vec<VmRow> {
        let all = self.runtime.block_on(self.proxmox().0.resources()).unwrap().value;
        all.into_iter().filter(|row| range.contains(&row.vmid.into())).collect()
    }

    /// A guest of a colleague's.
    pub fn clone(&self, vmid: u32, name: &str) {
        let (reader, changer) = self.proxmox();
        self.runtime.block_on(async {
            let options = CloneOptions::linked(Vmid::of(vmid), name);
            let task = changer.clone_vm(HOST, Vmid::of(9100), &options).await.unwrap();
            while reader.task_status(&task).await.unwrap().value.running {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
    }

    pub fn start(&self, vmid: u32) {
        let changer = self.proxmox().1;
        self.runtime.block_on(changer.start_vm(HOST, Vmid::of(vmid))).unwrap();
    }

    /// Its plug is pulled, and the task that does it has ended.
    pub fn stop(&self, vmid: u32) {
        let (reader, changer) = self.proxmox();
        self.runtime.block_on(async {
            let task = changer.stop_vm(HOST, Vmid::of(vmid)).await.unwrap();
            while reader.task_status(&task).await.unwrap().value.running {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
    }

    pub fn revoke(&self, user: &str, token: &str) {
        let changer = self.proxmox().1;
        self.runtime.block_on(changer.delete_token(user, token)).unwrap();
    }

    pub fn list(&self, kind: &Kind, namespace: Option<&str>) -> Vec<Value> {
        self.runtime.block_on(self.kubernetes().0.list(kind, namespace, None)).unwrap().value
    }

    pub fn apply(&self, kind: &Kind, namespace: Option<&str>, name: &str, body: Value) {
        let changer = self.kubernetes().1;
        self.runtime.block_on(changer.apply(kind, namespace, name, body)).unwrap();
    }

    pub fn merge(&self, kind: &Kind, namespace: Option<&str>, name: &str, patch: &Value) {
        let changer = self.kubernetes().1;
        self.runtime.block_on(changer.merge_patch(kind, namespace, name, patch)).unwrap();
    }

    pub fn status(&self, kind: &Kind, namespace: Option<&str>, name: &str, status: &Value) {
        let changer = self.kubernetes().1;
        self.runtime.block_on(changer.patch_status(kind, namespace, name, status)).unwrap();
    }

    /// Deletes every object of the namespace whose name begins so.
    pub fn delete(&self, kind: &Kind, namespace: Option<&str>, begin: &str) {
        let (reader, changer) = self.kubernetes();
        self.runtime.block_on(async {
            for object in reader.list(kind, namespace, None).await.unwrap().value {
                let text = |field: &str| object["metadata"][field].as_str().unwrap().to_string();
                if text("name").starts_with(begin) {
                    changer.delete(kind, namespace, &text("name"), &text("uid")).await.unwrap();
                }
            }
        });
    }
}
