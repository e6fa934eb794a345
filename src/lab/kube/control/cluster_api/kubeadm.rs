//! kubeadm's bootstrap provider (Cluster API v1.10.1): the data with which a machine joins a cluster; and the Ubuntu that reads
//! it when its VM starts.
use super::{CORE, INFRASTRUCTURE, REQUEUE_S, again, gate, kamaji, keep_status, label, owner};
use crate::kube::control::nodes::NO_CNI;
use crate::kube::control::objects::{is_true, items, owned_by, set_condition, text};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::machine::nocloud;
use crate::pve::VmFacts;
use crate::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub const GROUP: &str = "bootstrap.cluster.x-k8s.io";

/// The object that a machine of this template starts with; made beside it, of the same name.
pub fn config_of(world: &World, namespace: &str, bootstrap: &Value) -> Option<Value> {
    let reference = bootstrap.get("configRef").filter(|r| r["kind"] == "KubeadmConfigTemplate")?;
    let key = Key::new(GROUP, "kubeadmconfigtemplates", namespace, text(reference, "/name"));
    Some(world.object(&key)?["spec"]["template"]["spec"].clone())
}

pub fn key(namespace: &str, name: &str) -> Key {
    Key::new(GROUP, "kubeadmconfigs", namespace, name)
}

pub fn reconcile(world: &mut World, key: &Key, object: &Value) {
    if !gate::kubeadm(world) || object["status"]["ready"] == true {
        return;
    }
    let Some((_, machine)) = owner(world, key, object, "Machine", "machines") else { return };
    let name = text(machine, "/spec/clusterName").to_string();
    label(world, key, &name);
    let Some(cluster) = world.object(&Key::new(CORE, "clusters", &key.namespace, &name)).cloned() else { return };
    let at = seconds(world.now);
    let mut after = object.clone();
    if cluster["status"]["infrastructureReady"] != true {
        set_condition(&mut after, &at, "DataSecretAvailable", "False", "WaitingForClusterInfrastructure", "");
        return keep_status(world, key, object, &after);
    }
    // It asks for a token in the cluster itself.
    let is_up = is_true(&cluster, "ControlPlaneInitialized") && kamaji::api(world, &key.namespace, &name).is_some();
    if !is_up {
        set_condition(&mut after, &at, "DataSecretAvailable", "False", "WaitingForControlPlaneAvailable", "");
        keep_status(world, key, object, &after);
        return again(world, key, object, REQUEUE_S);
    }
    let Some(data) = user_data(world, key, object, &cluster, &name) else { return };
    let secret = Key::new("", "secrets", &key.namespace, &key.name);
    let body = json!({"apiVersion": "v1", "kind": "Secret", "type": "cluster.x-k8s.io/secret",
        "metadata": {"ownerReferences": owned_by(object), "labels": {super::CLUSTER_LABEL: name}},
        "data": {"value": STANDARD.encode(data), "format": STANDARD.encode("cloud-config")}});
    world.put_object(secret, body);
    after["status"]["ready"] = json!(true);
    after["status"]["dataSecretName"] = json!(key.name);
    for kind in ["DataSecretAvailable", "Ready"] {
        set_condition(&mut after, &at, kind, "True", "", "");
    }
    keep_status(world, key, object, &after);
}

/// What cloud-init gets: the join configuration with a token of its own.
fn user_data(world: &mut World, key: &Key, object: &Value, cluster: &Value, name: &str) -> Option<String> {
    let place = (key.namespace.clone(), name.to_string());
    let tenant = world.tenants.remove(&place)?;
    let token = tenant.make_token(world);
    world.tenants.insert(place, tenant);
    let endpoint = &cluster["spec"]["controlPlaneEndpoint"];
    let registration = &object["spec"]["joinConfiguration"]["nodeRegistration"];
    let arguments = registration["kubeletExtraArgs"].as_object().into_iter().flatten();
    let arguments: Vec<Value> = arguments.map(|(name, value)| json!({"name": name, "value": value})).collect();
    let join = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": {"token": token,
            "apiServerEndpoint": format!("{}:{}", text(endpoint, "/host"), endpoint["port"])}},
        "nodeRegistration": {"kubeletExtraArgs": arguments},
    });
    let content = format!("---\n{}", serde_saphyr::to_string(&join).ok()?);
    let file = json!({"path": JOIN_FILE, "owner": "root:root", "permissions": "0640", "content": content});
    let data = json!({"write_files": [file], "runcmd": [format!("kubeadm join --config {JOIN_FILE}")]});
    Some(format!("## template: jinja\n#cloud-config\n\n{}", serde_saphyr::to_string(&data).ok()?))
}

const JOIN_FILE: &str = "/run/kubeadm/kubeadm-join-config.yaml";

/// The join configuration in the file that cloud-init's data write for kubeadm.
fn join(user_data: &str) -> Option<Value> {
    let data: Value = serde_saphyr::from_str(user_data).ok()?;
    let file = items(&data, "/write_files").find(|file| file["path"] == JOIN_FILE)?;
    let parts = text(file, "/content").split("---\n").filter_map(|part| serde_saphyr::from_str::<Value>(part).ok());
    parts.into_iter().find(|part| part["kind"] == "JoinConfiguration")
}

/// An argument that the configuration gives the kubelet, from kubeadm v1beta4 on a list.
fn argument(join: &Value, name: &str) -> Option<String> {
    let mut all = items(join, "/nodeRegistration/kubeletExtraArgs");
    all.find(|a| a["name"] == name).map(|a| text(a, "/value").to_string())
}

/// A VM with kubeadm on its disk has started: cloud-init reads the CD-ROM, and kubeadm joins the cluster that it names.
pub fn guest_up(world: &mut World, vmid: u32) {
    let Some(facts) = world.pve.facts(vmid).filter(|f| f.kubelet.is_some()) else { return };
    let Some(files) = world.pve.cdrom(vmid) else { return };
    let seconds = world.scenario.latency.boot_to_maintenance_s + world.scenario.latency.join_s;
    world.after(seconds, move |world| {
        let same = world.pve.facts(vmid).is_some_and(|now| now.running && now.uuid == facts.uuid);
        let data = files.get("user-data").and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(join);
        if let (true, Some(data)) = (same, data) {
            let given = nocloud::read(&files, &facts.mac);
            register(world, &facts, &given, &data);
            super::nodes_changed(world);
            settle(world);
        }
    });
}

fn register(world: &mut World, facts: &VmFacts, given: &nocloud::Given, join: &Value) {
    let at = seconds(world.now);
    let discovery = &join["discovery"]["bootstrapToken"];
    let endpoint = text(discovery, "/apiServerEndpoint").to_string();
    let is_there = |namespace: &str, name: &str| {
        let of = Key::new(kamaji::GROUP, "tenantcontrolplanes", namespace, name);
        world.object(&of).is_some_and(|o| text(o, "/status/controlPlaneEndpoint") == endpoint)
            && kamaji::api(world, namespace, name).is_some()
    };
    let found = world.tenants.iter().find(|((namespace, name), _)| is_there(namespace, name)).map(|(_, tenant)| tenant);
    let Some(tenant) = found.filter(|tenant| tenant.knows_token(text(discovery, "/token"))) else { return };
    // cloud-init puts the VM's id into its place before anybody reads the line.
    let provider_id = argument(join, "provider-id")
        .map(|id| id.replace("{{ ds.meta_data.instance_id }}", &facts.uuid).replace('\'', ""));
    let name = given.hostname.clone().unwrap_or_else(|| facts.name.clone());
    let address = given.address.map(|(address, _)| address.to_string()).unwrap_or_default();
    let capacity = json!({"cpu": facts.cores.to_string(), "memory": format!("{}Mi", facts.memory_mib), "pods": "110"});
    let mut node = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {"providerID": provider_id},
        "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "capacity": capacity, "allocatable": capacity,
            "nodeInfo": {"systemUUID": facts.uuid, "kubeletVersion": facts.kubelet, "osImage": "Ubuntu 24.04.2 LTS"}}});
    set_condition(&mut node, &at, "Ready", "False", "KubeletNotReady", NO_CNI);
    tenant.put_node(&name, node);
}

/// Machines of the infrastructure wait for their data.
pub fn wake(world: &mut World, namespace: &str) {
    for (key, object) in world.objects(GROUP, "kubeadmconfigs", Some(namespace)) {
        reconcile(world, &key, &object);
    }
    for (key, object) in world.objects(INFRASTRUCTURE, "proxmoxmachines", Some(namespace)) {
        super::virtual_machine::reconcile(world, &key, &object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Cluster API's provider writes it for a control plane of v1.31 or newer.
    #[test]
    fn the_join_configuration_is_read_out_of_what_cloud_init_gets() {
        let data = "## template: jinja\n#cloud-config\n\nwrite_files:\n-   path: /run/kubeadm/kubeadm-join-config.yaml\n    owner: root:root\n    \
                    permissions: '0640'\n    content: |\n      ---\n      apiVersion: kubeadm.k8s.io/v1beta4\n      discovery:\n        \
                    bootstrapToken:\n          apiServerEndpoint: 127.0.0.9:6443\n          token: abcdef.0123456789abcdef\n      kind: \
                    JoinConfiguration\n      nodeRegistration:\n        kubeletExtraArgs:\n        - name: provider-id\n          value: \
                    proxmox://'{{ ds.meta_data.instance_id }}'\nruncmd:\n  - kubeadm join\n";
        let join = join(data).unwrap();
        assert_eq!(join["discovery"]["bootstrapToken"]["apiServerEndpoint"], "127.0.0.9:6443");
        assert_eq!(argument(&join, "provider-id").unwrap(), "proxmox://'{{ ds.meta_data.instance_id }}'");
        assert_eq!(super::join("#cloud-config\n"), None);
    }
}
