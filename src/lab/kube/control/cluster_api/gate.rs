//! The controllers that run: without its Deployment none acts.
use super::CLUSTER_LABEL;
use super::proxmox::Client;
use crate::kube::control::objects::{is_true, text};
use crate::kube::control::proxmox::secret_value;
use crate::kube::store::Key;
use crate::world::World;
use base64::Engine as _;
use serde_json::Value;

const NAMESPACE: &str = "cozy-cluster-api";
const CAPMOX: &str = "capmox-controller-manager";
const IN_CLUSTER: &str = "capi-ipam-in-cluster-controller-manager";
const KUBEADM: &str = "capi-kubeadm-bootstrap-controller-manager";
const KAMAJI_PROVIDER: &str = "capi-kamaji-controller-manager";
/// Kamaji's own manager.
pub const KAMAJI: &str = "kamaji";
/// The Deployments of the controllers that are played here.
pub const CONTROLLERS: [&str; 5] = [CAPMOX, IN_CLUSTER, KUBEADM, KAMAJI_PROVIDER, KAMAJI];

/// Cluster API core.
pub fn core(world: &World) -> bool {
    let found = world.select("operator.cluster.x-k8s.io", "coreproviders", None, |p| is_true(p, "Ready"));
    !found.is_empty() && !world.cluster_api_elsewhere
}

pub fn capmox(world: &World) -> bool {
    is_available(world, CAPMOX)
}

pub fn ipam(world: &World) -> bool {
    is_available(world, IN_CLUSTER) && !world.cluster_api_elsewhere
}

/// kubeadm's bootstrap provider.
pub fn kubeadm(world: &World) -> bool {
    is_anywhere(world, KUBEADM) && !world.cluster_api_elsewhere
}

/// Kamaji's control plane provider.
pub fn kamaji(world: &World) -> bool {
    is_anywhere(world, KAMAJI_PROVIDER)
}

pub fn is_anywhere(world: &World, deployment: &str) -> bool {
    let of = |d: &Value| text(d, "/metadata/name") == deployment && has_pods(d);
    !world.select("apps", "deployments", None, of).is_empty()
}

/// True when Cluster API core reaches the cluster behind a Cluster: its infrastructure is ready, and the Secret
/// `NAME-kubeconfig`, which core finds by its label, leads to this very cluster.
pub fn is_connected(world: &World, cluster: &Key) -> bool {
    let ready = world.object(cluster).is_some_and(|c| c["status"]["infrastructureReady"] == true);
    let secret = Key::new("", "secrets", &cluster.namespace, &format!("{}-kubeconfig", cluster.name));
    let secret = world.object(&secret).filter(|s| s["metadata"]["labels"][CLUSTER_LABEL] == cluster.name.as_str());
    let Some(text) = secret.and_then(|s| secret_value(s, "value")).filter(|_| ready) else { return false };
    let Ok(config) = serde_saphyr::from_str::<serde_yaml::Value>(&text) else { return false };
    let entry = |list: &str, kind: &str, field: &str| {
        let value = config.get(list)?.get(0)?.get(kind)?.get(field)?.as_str()?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
        String::from_utf8(bytes).ok()
    };
    let authority = entry("clusters", "cluster", "certificate-authority-data");
    let here = world.cluster.as_ref().map(|c| c.ca_crt_pem.trim().to_string());
    authority.map(|pem| pem.trim().to_string()) == here && entry("users", "user", "client-key-data").is_some()
}

fn is_available(world: &World, deployment: &str) -> bool {
    world.object(&Key::new("apps", "deployments", NAMESPACE, deployment)).is_some_and(has_pods)
}

/// A Deployment of no pods is available too.
pub fn has_pods(deployment: &Value) -> bool {
    is_true(deployment, "Available") && deployment["status"]["availableReplicas"].as_u64() > Some(0)
}

/// The Secret that a ProxmoxCluster names for itself.
pub fn own_credentials(cluster: &Value, namespace: &str) -> Option<Key> {
    let reference = cluster["spec"]["credentialsRef"].as_object()?;
    let field = |name: &str| reference.get(name).and_then(Value::as_str);
    Some(Key::new("", "secrets", field("namespace").unwrap_or(namespace), field("name").unwrap_or_default()))
}

/// The token of capmox at Proxmox VE, by the cluster's own Secret or by its manager's.
pub fn client(world: &World, cluster: &Value, namespace: &str) -> Option<Client> {
    let of_manager = || Key::new("", "secrets", NAMESPACE, "capmox-manager-credentials");
    let secret = world.object(&own_credentials(cluster, namespace).unwrap_or_else(of_manager))?;
    Some(Client { token: secret_value(secret, "token")?, secret: secret_value(secret, "secret")? })
}
