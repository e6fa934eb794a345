//! Control planes and nodes: how they come, become Ready and go.
use super::objects::{is_ready_now, items, set_condition, text};
use super::{State, balancer};
use crate::kube::store::{Key, Store, seconds};
use crate::kube::{Cluster, ControlPlaneFacts, NodeFacts, settle};
use crate::others::{self, Occasion};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The kubelet's message until a CNI is there.
pub const NO_CNI: &str = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
     message:Network plugin returns error: cni plugin not initialized";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const CORDONED: &str = "node.kubernetes.io/unschedulable";
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

pub fn key(name: &str) -> Key {
    Key::new("", "nodes", "", name)
}

pub fn control_plane_up(world: &mut World, facts: &ControlPlaneFacts) {
    let first = world.cluster.is_none();
    if first {
        let seed = world.random.u64(..);
        world.cluster = Some(Cluster {
            store: Store::new(seed),
            ca_crt_pem: facts.ca_crt_pem.clone(),
            ca_key_pem: facts.ca_key_pem.clone(),
            pod_cidr: facts.pod_cidr.clone(),
            service_cidr: facts.service_cidr.clone(),
            dns_domain: facts.dns_domain.clone(),
            kubernetes_version: facts.kubernetes_version.clone(),
            nodes: BTreeMap::new(),
            state: State::default(),
        });
    }
    if let Some(state) = world.state() {
        state.control_planes.insert(facts.name.clone(), facts.address.to_string());
    }
    if first {
        furnish(world);
    }
    let at = seconds(world.now);
    for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let name = format!("{component}-{}", facts.name);
        let image = format!("registry.k8s.io/{component}:{}", facts.kubernetes_version);
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"labels": {"k8s-app": component, "tier": "control-plane"},
                "annotations": {"kubernetes.io/config.mirror": facts.name, "kubernetes.io/config.source": "file"}},
            "spec": {"hostNetwork": true, "nodeName": facts.name,
                "containers": [{"name": component, "image": image}]},
            "status": {"phase": "Running", "hostIP": facts.address.to_string(), "podIP": facts.address.to_string(),
                "podIPs": [{"ip": facts.address.to_string()}], "startTime": at,
                "containerStatuses": [{"name": component, "image": image, "ready": true, "started": true,
                    "restartCount": 0, "state": {"running": {"startedAt": at}}}]},
        });
        for kind in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
            set_condition(&mut pod, &at, kind, "True", "", "");
        }
        world.put_object(Key::new("", "pods", "kube-system", &name), pod);
    }
    balancer::control_planes_changed(world);
}

/// Creates the objects that Kubernetes and Talos put into a new cluster.
fn furnish(world: &mut World) {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        world.put_object(
            Key::new("", "namespaces", "", name),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {}}),
        );
    }
    let service = |name: &str, address: String, ports: Value, selector: Value, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels},
            "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": ports,
                "selector": selector}})
    };
    let api = service(
        "kubernetes",
        service_address(world, 1),
        json!([{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}]),
        Value::Null,
        json!({"component": "apiserver", "provider": "kubernetes"}),
    );
    world.put_object(Key::new("", "services", "default", "kubernetes"), api);
    let dns = service(
        "kube-dns",
        service_address(world, 10),
        json!([{"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"}]),
        json!({"k8s-app": "kube-dns"}),
        json!({"k8s-app": "kube-dns"}),
    );
    world.put_object(Key::new("", "services", "kube-system", "kube-dns"), dns);
    let labels = json!({"k8s-app": "kube-dns"});
    world.put_object(
        Key::new("apps", "deployments", "kube-system", "coredns"),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"labels": labels},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.12.1"}]}}}}),
    );
}

/// Address number `host` of the service network.
pub fn service_address(world: &World, host: u32) -> String {
    let cidr = world.cluster.as_ref().map(|c| c.service_cidr.as_str()).unwrap_or_default();
    member(cidr, host)
}

/// Address number `host` of a network written `10.96.0.0/16`.
pub fn member(cidr: &str, host: u32) -> String {
    let network = cidr.split('/').next().and_then(|a| a.parse::<Ipv4Addr>().ok()).unwrap_or(Ipv4Addr::UNSPECIFIED);
    Ipv4Addr::from(u32::from(network).wrapping_add(host)).to_string()
}

pub fn register(world: &mut World, facts: NodeFacts) {
    let at = seconds(world.now);
    let mut labels = json!({
        "kubernetes.io/hostname": facts.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64",
    });
    if facts.role == "controlplane" {
        labels["node-role.kubernetes.io/control-plane"] = json!("");
    }
    for (name, value) in &facts.labels {
        labels[name] = json!(value);
    }
    let capacity = json!({"cpu": facts.cores.to_string(), "memory": format!("{}Mi", facts.memory_mib), "pods": "512"});
    let version = |v: &str| format!("v{}", v.trim_start_matches('v'));
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"labels": labels, "annotations": {"lab.cozyup/mac": facts.mac}},
        "spec": {"taints": taints(&facts)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": facts.address.to_string()},
                {"type": "Hostname", "address": facts.name}],
            "capacity": capacity, "allocatable": capacity,
            "nodeInfo": {
                "osImage": format!("Talos ({})", version(&facts.talos_version)), "systemUUID": facts.uuid,
                "machineID": facts.uuid.replace('-', ""), "bootID": facts.uuid,
                "kubeletVersion": version(&facts.kubernetes_version), "kubeProxyVersion": "",
                "kernelVersion": "6.12.40-talos", "containerRuntimeVersion": "containerd://2.0.5",
                "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    });
    if let Some(before) = world.object(&key(&facts.name)) {
        keep(&mut node, before);
    }
    set_condition(&mut node, &at, "Ready", "False", "KubeletNotReady", NO_CNI);
    for kind in ["MemoryPressure", "DiskPressure", "PIDPressure"] {
        let reason = format!("KubeletHasNo{kind}");
        set_condition(&mut node, &at, kind, "False", &reason, "kubelet has sufficient resources available");
    }
    let name = facts.name.clone();
    if let Some(cluster) = &mut world.cluster {
        cluster.nodes.insert(name.clone(), facts);
    }
    world.put_object(key(&name), node);
    let csi = Key::new("storage.k8s.io", "csinodes", "", &name);
    if world.object(&csi).is_none() {
        let node =
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {}, "spec": {"drivers": null}});
        world.put_object(csi, node);
    }
    world.emit(
        &key(&name),
        "Normal",
        "RegisteredNode",
        &format!("Node {name} event: Registered Node {name} in Controller"),
    );
    network_changed(world);
}

/// Those with which the kubelet registers, and the one that stays until the node is Ready.
fn taints(facts: &NodeFacts) -> Vec<Value> {
    let own = facts.taints.iter().map(|(key, effect)| json!({"key": key, "effect": effect}));
    std::iter::once(json!({"key": NOT_READY, "effect": "NoSchedule"})).chain(own).collect()
}

/// A kubelet that registers again leaves what others wrote.
fn keep(node: &mut Value, before: &Value) {
    if before["spec"]["providerID"].is_string() {
        node["spec"]["providerID"] = before["spec"]["providerID"].clone();
    }
    for part in ["labels", "annotations"] {
        for (name, value) in before["metadata"][part].as_object().into_iter().flatten() {
            if node["metadata"][part].get(name).is_none() {
                node["metadata"][part][name] = value.clone();
            }
        }
    }
}

/// Cilium and Kube-OVN are installed.
fn has_network(world: &World) -> bool {
    let release = |name: &str, namespace: &str| {
        let key = Key::new("helm.toolkit.fluxcd.io", "helmreleases", namespace, name);
        world.object(&key).is_some_and(is_ready_now)
    };
    release("cilium", "cozy-cilium") && release("kubeovn", "cozy-kubeovn")
}

/// Starts the way to Ready of every node that now has what it waited for.
pub fn network_changed(world: &mut World) {
    if !has_network(world) {
        return;
    }
    let late = world.select("", "nodes", None, |n| !node_ready(n) && !is_unreachable(n));
    let after = world.scenario.latency.node_ready_s;
    for (key, node) in late {
        let mark = format!("node {} {}", key.name, text(&node, "/metadata/uid"));
        if !world.begin(mark.clone()) {
            continue;
        }
        world.after(after, move |world| {
            world.done(&mark);
            // The machine may have gone down meanwhile.
            if world.object(&key).is_some_and(|n| !is_unreachable(n)) {
                become_ready(world, &key);
                settle(world);
            }
        });
    }
}

fn become_ready(world: &mut World, key: &Key) {
    let at = seconds(world.now);
    world.change_object(key, |node| {
        set_condition(node, &at, "Ready", "True", "KubeletReady", "kubelet is posting ready status");
        untaint(node, &[NOT_READY, UNREACHABLE]);
    });
    world.emit(key, "Normal", "NodeReady", &format!("Node {} status is now: NodeReady", key.name));
    others::begin(world, &Occasion::Ready(&key.name));
}

/// The node lifecycle controller: the taint of a condition goes with the condition. The API server itself gives one to every
/// new node (`TaintNodesByCondition`), also to one that is ready by then.
pub fn changed(world: &mut World, name: &str) {
    let has_one = |n: &Value| items(n, "/spec/taints").any(|t| t["key"] == NOT_READY || t["key"] == UNREACHABLE);
    if world.object(&key(name)).is_some_and(|n| is_ready_now(n) && has_one(n)) {
        world.change_object(&key(name), |node| untaint(node, &[NOT_READY, UNREACHABLE]));
    }
    let Some(node) = world.object(&key(name)) else { return };
    let is_tainted = items(node, "/spec/taints").any(|t| t["key"] == CORDONED);
    match node["spec"]["unschedulable"] == true {
        is_cordoned if is_cordoned == is_tainted => {}
        true => drop(world.change_object(&key(name), taint_cordoned)),
        false => drop(world.change_object(&key(name), |node| untaint(node, &[CORDONED]))),
    }
}

pub fn down(world: &mut World, name: &str) {
    let at = seconds(world.now);
    let there = world.change_object(&key(name), |node| {
        set_condition(node, &at, "Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.");
        untaint(node, &[NOT_READY, UNREACHABLE]);
        if let Some(taints) = node["spec"]["taints"].as_array_mut() {
            for effect in ["NoSchedule", "NoExecute"] {
                taints.push(json!({"key": UNREACHABLE, "effect": effect}));
            }
        }
    });
    if there {
        super::evict::node_down(world, name);
        world.emit(&key(name), "Normal", "NodeNotReady", &format!("Node {name} status is now: NodeNotReady"));
    }
}

/// The Node object is gone, and with it what hangs on it: its pods (pod garbage collector), the kubelet's CSINode, and the
/// satellite that Piraeus keeps for it.
pub fn gone(world: &mut World, name: &str) {
    if let Some(cluster) = &mut world.cluster {
        cluster.nodes.remove(name);
    }
    for (key, _) in world.select("", "pods", None, |p| text(p, "/spec/nodeName") == name) {
        world.remove_object(&key);
    }
    world.remove_object(&Key::new("storage.k8s.io", "csinodes", "", name));
    super::linstor::node_gone(world, name);
}

/// The taint that the node lifecycle controller gives a node that takes no pods.
pub fn taint_cordoned(node: &mut Value) {
    untaint(node, &[CORDONED]);
    if let Some(taints) = node["spec"]["taints"].as_array_mut() {
        taints.push(json!({"key": CORDONED, "effect": "NoSchedule"}));
    }
}

fn untaint(node: &mut Value, keys: &[&str]) {
    if !node["spec"]["taints"].is_array() {
        node["spec"]["taints"] = json!([]);
    }
    if let Some(taints) = node["spec"]["taints"].as_array_mut() {
        taints.retain(|t| !keys.contains(&t["key"].as_str().unwrap_or_default()));
    }
}

pub fn node_ready(node: &Value) -> bool {
    super::objects::is_true(node, "Ready")
}

pub fn is_unreachable(node: &Value) -> bool {
    super::objects::items(node, "/spec/taints").any(|t| t["key"] == UNREACHABLE)
}

pub fn is_ready(world: &World, name: &str) -> bool {
    world.object(&key(name)).is_some_and(node_ready)
}
