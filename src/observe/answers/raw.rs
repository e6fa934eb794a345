//! Things as their systems have them, as YAML for a person, without what is secret.
use super::{beginning, of_kubernetes, of_proxmox, of_talos};
use crate::backup::{withhold, yaml};
use crate::base::vmid::Vmid;
use crate::kubernetes::{self, Kind};
use crate::observed::{Answer, Origin, Untold};
use crate::proxmox;
use crate::talos::Secure;
use serde_json::{Value, json};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub async fn object(reader: &kubernetes::Reader, kind: &Kind, namespace: Option<&str>, name: &str) -> Answer {
    let found = reader.get(kind, namespace, name).await.map_err(|e| of_kubernetes(&e))?.ok_or(Untold::Gone)?;
    Ok(beginning(Origin::Api, &shown(found.value), found.by_hand))
}

pub async fn vm(reader: &proxmox::Reader, vmid: Vmid) -> Answer {
    let all = reader.resources().await.map_err(|e| of_proxmox(&e))?.value;
    let host = &all.iter().find(|vm| vm.vmid == vmid).ok_or(Untold::Gone)?.node;
    let config = reader.vm_config_now(host, vmid).await.map_err(|e| of_proxmox(&e))?;
    Ok(beginning(Origin::Api, &shown(json!(config.value.0)), config.by_hand))
}

/// What Talos says of the machine. Its config is not shown: it is made of secrets.
pub async fn machine(node: &Secure) -> Answer {
    let failed = |e| of_talos(&e);
    let version = node.version().await.map_err(failed)?.value;
    let status = node.machine_status().await.map_err(failed)?.value;
    let services = node.services().await.map_err(failed)?;
    let listed: Vec<Value> = services
        .value
        .iter()
        .map(|s| json!({"id": s.id, "state": s.state, "healthy": s.healthy, "last": s.last_message}))
        .collect();
    let unmet: Vec<Value> = status.unmet.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
    let all = json!({
        "version": version, "stage": status.stage.to_string(), "ready": status.ready, "unmetConditions": unmet,
        "services": listed,
    });
    Ok(beginning(Origin::Api, &shown(all), services.by_hand))
}

/// Without bookkeeping and secrets.
fn shown(mut object: Value) -> String {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
        // A copy of the rest.
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.remove(LAST_APPLIED);
        }
    }
    withhold(&mut object);
    let mut out = Vec::new();
    // A vector takes all that is written.
    let _ = yaml::write(&mut out, &object);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_yaml_without_secrets_bookkeeping_and_control_characters() {
        let text = shown(json!({
            "kind": "Pod", "metadata": {"name": "a", "managedFields": [{"manager": "x"}],
                "annotations": {LAST_APPLIED: "{\"env\":\"hunter2\"}", "kept": "yes"}},
            "spec": {"containers": [{"args": ["--db-password=hunter2", "--v=2"],
                "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "HOME", "value": "/root"}]}],
                "values": {"adminPassword": "hunter2"}},
            "status": {"message": "\u{1b}[2J"}}));
        for gone in ["hunter2", "managedFields", "\u{1b}", "last-applied"] {
            assert!(!text.contains(gone), "{text}");
        }
        for kept in ["kind: Pod\n", "name: a", "/root", "--v=2", "kept: "] {
            assert!(text.contains(kept), "{text}");
        }
        let vm = shown(json!({"cipassword": "hunter2", "cores": "4", "net0": "virtio=AA:BB,bridge=vmbr0"}));
        assert!(!vm.contains("hunter2") && vm.contains("cores: ") && vm.contains("bridge=vmbr0"), "{vm}");
    }
}
