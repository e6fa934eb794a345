//! Who of the controllers runs: without its Deployment nobody acts.
use crate::kube::control::objects::{is_true, text};
use crate::kube::store::Key;
use crate::world::World;

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

/// What a Secret of capmox's manager or of a cluster says: URL, token id, token secret.
pub fn credentials(world: &World, cluster: &serde_json::Value, namespace: &str) -> Option<[String; 3]> {
    let reference = &cluster["spec"]["credentialsRef"];
    let (key, names) = match reference.is_object() {
        true => {
            let of = reference["namespace"].as_str().unwrap_or(namespace);
            (Key::new("", "secrets", of, text(reference, "/name")), ["url", "token", "secret"])
        }
        false => (Key::new("", "secrets", NAMESPACE, "capmox-manager-credentials"), ["url", "token", "secret"]),
    };
    let secret = world.object(&key)?;
    let [url, token, value] = names.map(|name| crate::kube::control::proxmox::secret_value(secret, name));
    Some([url?, token?, value?])
}
