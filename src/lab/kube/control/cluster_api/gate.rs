//! The controllers that run: without its Deployment none acts.
use super::proxmox::Client;
use crate::kube::control::objects::is_true;
use crate::kube::control::proxmox::secret_value;
use crate::kube::store::Key;
use crate::world::World;
use serde_json::Value;

const NAMESPACE: &str = "cozy-cluster-api";

/// Cluster API core.
pub fn core(world: &World) -> bool {
    let found = world.select("operator.cluster.x-k8s.io", "coreproviders", None, |p| is_true(p, "Ready"));
    !found.is_empty()
}

pub fn capmox(world: &World) -> bool {
    is_available(world, "capmox-controller-manager")
}

pub fn ipam(world: &World) -> bool {
    is_available(world, "capi-ipam-in-cluster-controller-manager")
}

fn is_available(world: &World, deployment: &str) -> bool {
    world.object(&Key::new("apps", "deployments", NAMESPACE, deployment)).is_some_and(|d| is_true(d, "Available"))
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
