//! Kamaji (edge-25.4.1, as CozyStack v0.37.2 ships it): a control plane that is pods of this cluster, behind a Service of its
//! own, and the API that answers there.
use super::gate::{KAMAJI, is_anywhere};
use crate::kube::control::objects::{is_true, owned_by, text};
use crate::kube::store::Key;
use crate::kube::tenant::Tenant;
use crate::world::{Lab, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub const GROUP: &str = "kamaji.clastix.io";
const NAME_LABEL: &str = "kamaji.clastix.io/name";
const PORT: u16 = 6443;

fn control_plane(namespace: &str, name: &str) -> Key {
    Key::new(GROUP, "tenantcontrolplanes", namespace, name)
}

/// Kamaji's own manager.
fn runs(world: &World) -> bool {
    is_anywhere(world, KAMAJI)
}

/// A Service or a Deployment changed that may be a control plane's.
pub fn part_changed(world: &mut World, key: &Key) {
    let of = control_plane(&key.namespace, &key.name);
    if let Some(object) = world.object(&of).cloned() {
        reconcile(world, &of, &object);
    }
}

pub fn reconcile(world: &mut World, key: &Key, object: &Value) {
    let store = Key::new(GROUP, "datastores", "", text(object, "/spec/dataStore"));
    // Without its store Kamaji does nothing and says so in its log alone.
    if !runs(world) || world.object(&store).is_none() {
        return;
    }
    let version = text(object, "/spec/kubernetes/version").to_string();
    let place = (key.namespace.clone(), key.name.clone());
    if !world.tenants.contains_key(&place) {
        let Some(tenant) = Tenant::new(world, &version) else { return };
        world.tenants.insert(place, tenant);
    }
    let service = Key::new("", "services", &key.namespace, &key.name);
    let deployment = Key::new("apps", "deployments", &key.namespace, &key.name);
    make(world, object, &service, &deployment, &version);
    let address = world.object(&service).map(|s| text(s, "/status/loadBalancer/ingress/0/ip").to_string());
    let Some(address) = address.filter(|a| !a.is_empty()) else { return };
    let endpoint = format!("{address}:{PORT}");
    secrets(world, key, object, &endpoint);
    let found = world.object(&deployment).cloned().unwrap_or_default();
    let mut after = object.clone();
    after["status"]["controlPlaneEndpoint"] = json!(endpoint);
    after["status"]["kubeconfig"]["admin"]["secretName"] = json!(format!("{}-admin-kubeconfig", key.name));
    after["status"]["certificates"]["ca"]["secretName"] = json!(format!("{}-ca", key.name));
    let said = if is_true(&found, "Available") { "Ready" } else { "Provisioning" };
    let deployed = |field: &str| found["status"][field].as_u64().unwrap_or(0);
    after["status"]["kubernetesResources"] = json!({
        "version": {"status": said, "version": version},
        "deployment": {"name": key.name, "replicas": deployed("replicas"), "readyReplicas": deployed("readyReplicas"),
            "updatedReplicas": deployed("updatedReplicas"), "unavailableReplicas": deployed("unavailableReplicas")},
    });
    super::keep_status(world, key, object, &after);
}

/// Its pods and the Service in front of them.
fn make(world: &mut World, object: &Value, service: &Key, deployment: &Key, version: &str) {
    let labels = json!({NAME_LABEL: service.name, "kamaji.clastix.io/component": "deployment"});
    if world.object(service).is_none() {
        let kind = object["spec"]["controlPlane"]["service"]["serviceType"].as_str().unwrap_or("LoadBalancer");
        let body = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"labels": labels, "ownerReferences": owned_by(object)},
            "spec": {"type": kind, "selector": labels,
                "ports": [{"name": "kube-apiserver", "port": PORT, "targetPort": PORT, "protocol": "TCP"}]}});
        world.put_object(service.clone(), body);
    }
    if world.object(deployment).is_none() {
        let mut of_pods = labels.clone();
        let more = &object["spec"]["controlPlane"]["deployment"]["podAdditionalMetadata"]["labels"];
        for (name, value) in more.as_object().into_iter().flatten() {
            of_pods[name] = value.clone();
        }
        let container = |name: &str| json!({"name": name, "image": format!("registry.k8s.io/{name}:{version}")});
        let containers = ["kube-apiserver", "kube-scheduler", "kube-controller-manager"].map(container);
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"labels": labels, "ownerReferences": owned_by(object)},
            "spec": {"replicas": object["spec"]["controlPlane"]["deployment"]["replicas"], "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": of_pods}, "spec": {"containers": containers}}}});
        world.put_object(deployment.clone(), body);
    }
}

/// The access of an administrator, and the CA.
fn secrets(world: &mut World, key: &Key, object: &Value, endpoint: &str) {
    let admin = Key::new("", "secrets", &key.namespace, &format!("{}-admin-kubeconfig", key.name));
    if world.object(&admin).is_some() {
        return;
    }
    let Some(tenant) = world.tenants.get(&(key.namespace.clone(), key.name.clone())) else { return };
    let Some(config) = tenant.kubeconfig(world, endpoint) else { return };
    let (crt, private) = (STANDARD.encode(&tenant.ca_crt_pem), STANDARD.encode(tenant.ca_key_pem.expose()));
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
            "metadata": {"labels": {NAME_LABEL: key.name}, "ownerReferences": owned_by(object)}})
    };
    let config = STANDARD.encode(config);
    let access = secret(json!({"admin.conf": config, "super-admin.conf": config}));
    let authority = secret(json!({"ca.crt": crt, "ca.key": private, "tls.crt": crt, "tls.key": private}));
    world.put_object(admin, access);
    world.put_object(Key::new("", "secrets", &key.namespace, &format!("{}-ca", key.name)), authority);
}

pub fn gone(world: &mut World, key: &Key) {
    world.tenants.remove(&(key.namespace.clone(), key.name.clone()));
}

/// The API behind this Service, while its pods answer.
pub fn api(world: &World, namespace: &str, name: &str) -> Option<Lab> {
    let deployment = Key::new("apps", "deployments", namespace, name);
    world.object(&deployment).filter(|d| is_true(d, "Available"))?;
    world.tenants.get(&(namespace.to_string(), name.to_string())).map(|tenant| tenant.lab.clone())
}
