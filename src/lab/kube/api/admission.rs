//! The additions of the API server to a new object: the defaults that clients and controllers count on.
use super::kinds::Kind;
use super::refusal::{Cause, Refusal};
use crate::kube::control::quota;
use crate::kube::store::{Key, Resource, Store};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const FIRST_NODE_PORT: u64 = 30_000;
const LAST_NODE_PORT: u64 = 32_767;

/// Fills in what an object leaves out, as the server does when it reads one: who writes the object owns these too.
pub fn defaults(kind: &Kind, object: &mut Value) {
    match (kind.group, kind.plural) {
        ("", "namespaces") => {
            let name = object["metadata"]["name"].clone();
            *reach(object, &["metadata", "labels", "kubernetes.io/metadata.name"]) = name;
        }
        ("", "pods") => {
            let spec = reach(object, &["spec"]);
            pod_spec(spec);
            default(spec, "enableServiceLinks", json!(true));
            // The old name of the field, which Kubernetes keeps beside the new one.
            let account = spec["serviceAccountName"].clone();
            if !account.is_null() {
                default(spec, "serviceAccount", account);
            }
        }
        ("", "persistentvolumeclaims") => default(reach(object, &["spec"]), "volumeMode", json!("Filesystem")),
        ("", "persistentvolumes") => {
            let spec = reach(object, &["spec"]);
            default(spec, "persistentVolumeReclaimPolicy", json!("Retain"));
            default(spec, "volumeMode", json!("Filesystem"));
        }
        ("", "services") => service_defaults(reach(object, &["spec"])),
        ("", "secrets") => {
            default(object, "type", json!("Opaque"));
            refill(kind, object);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition_defaults(reach(object, &["spec"])),
        ("apps", plural) if plural != "controllerrevisions" => workload(kind, reach(object, &["spec"])),
        ("batch", "jobs") => {
            let spec = reach(object, &["spec"]);
            for (field, value) in [("parallelism", 1), ("completions", 1), ("backoffLimit", 6)] {
                default(spec, field, json!(value));
            }
            pod_spec(reach(spec, &["template", "spec"]));
        }
        ("storage.k8s.io", "storageclasses") => {
            default(object, "reclaimPolicy", json!("Delete"));
            default(object, "volumeBindingMode", json!("Immediate"));
        }
        _ => {}
    }
}

/// Adds the server's own part to a new object; nobody owns it. `store` is read for values that must be free or that
/// others set.
pub fn admit(kind: &'static Kind, object: &mut Value, store: &Store, now: &str) -> Result<(), Refusal> {
    match (kind.group, kind.plural) {
        ("", "namespaces") => {
            *reach(object, &["spec", "finalizers"]) = json!(["kubernetes"]);
            *reach(object, &["status"]) = json!({"phase": "Active"});
        }
        ("", "pods") => {
            limited(kind, object, store)?;
            let spec = reach(object, &["spec"]);
            for (field, value) in [
                ("serviceAccountName", json!("default")),
                ("serviceAccount", json!("default")),
                ("priority", json!(0)),
                ("preemptionPolicy", json!("PreemptLowerPriority")),
            ] {
                default(spec, field, value);
            }
            tolerate(spec);
            *reach(object, &["status"]) = json!({"phase": "Pending", "qosClass": "BestEffort"});
        }
        ("", "persistentvolumeclaims") => {
            let class = default_class(store).map_or(Value::Null, Value::from);
            if !class.is_null() {
                default(reach(object, &["spec"]), "storageClassName", class);
            }
            limited(kind, object, store)?;
            protect(object, "kubernetes.io/pvc-protection");
            *reach(object, &["status"]) = json!({"phase": "Pending"});
        }
        ("", "persistentvolumes") => *reach(object, &["status"]) = json!({"phase": "Available"}),
        ("", "services") => service(kind, object, store)?,
        ("apiextensions.k8s.io", "customresourcedefinitions") => establish(object, now),
        ("batch", "jobs") => job(object),
        _ => {}
    }
    Ok(())
}

/// What the limits and quotas of the namespace make of a new pod or claim.
fn limited(kind: &'static Kind, object: &mut Value, store: &Store) -> Result<(), Refusal> {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_string();
    let key = Key::new(kind.group, kind.plural, &text("namespace"), &text("name"));
    let refused = |why| Refusal::forbidden(kind.group, kind.plural, &key.name, why);
    quota::admit(store, &key, object).map_err(refused)
}

/// A pod stays five minutes on a node that went away, unless it says otherwise.
fn tolerate(spec: &mut Value) {
    let mut all = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let said = |t: &Value| {
            (t["key"] == key || t["key"].is_null()) && (t["effect"] == "NoExecute" || t["effect"].is_null())
        };
        if !all.iter().any(said) {
            all.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    *reach(spec, &["tolerations"]) = json!(all);
}

fn protect(object: &mut Value, finalizer: &str) {
    let finalizers = reach(object, &["metadata", "finalizers"]);
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|f| f == finalizer) => {}
        Some(list) => list.push(json!(finalizer)),
        None => *finalizers = json!([finalizer]),
    }
}

fn definition_defaults(spec: &mut Value) {
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_string();
    default(spec, "conversion", json!({"strategy": "None"}));
    let names = reach(spec, &["names"]);
    default(names, "singular", json!(kind.to_lowercase()));
    default(names, "listKind", json!(format!("{kind}List")));
}

/// The real server does this a moment later, with a controller of its own.
fn establish(definition: &mut Value, now: &str) {
    let spec = &definition["spec"];
    let stored = spec["versions"].as_array().into_iter().flatten().filter(|v| v["storage"] == true);
    let stored: Vec<Value> = stored.map(|v| v["name"].clone()).collect();
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now});
    definition["status"] = json!({
        "acceptedNames": spec["names"], "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
}

/// Prepares an object for every write, and before an apply is compared: `stringData` can be written and never read.
pub fn refill(kind: &Kind, object: &mut Value) {
    if !kind.is("", "secrets") {
        return;
    }
    let plain = object.as_object_mut().and_then(|map| map.remove("stringData"));
    for (name, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        *reach(object, &["data", name]) = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
    }
}

/// The value at a path, made when it is not there; what stands in the way becomes an object.
fn reach<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(object, |at, name| {
        if !at.is_object() {
            *at = json!({});
        }
        &mut at[*name]
    })
}

fn default(object: &mut Value, field: &str, value: Value) {
    let slot = reach(object, &[field]);
    if slot.is_null() {
        *slot = value;
    }
}

/// The elements of a list that are objects.
fn each<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    let items = object.get_mut(field).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter(|item| item.is_object())
}

fn pod_spec(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "schedulerName", json!("default-scheduler"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "securityContext", json!({}));
    for container in each(spec, "containers") {
        let latest = container["image"].as_str().is_some_and(|i| i.ends_with(":latest") || !i.contains([':', '@']));
        default(container, "imagePullPolicy", json!(if latest { "Always" } else { "IfNotPresent" }));
        default(container, "resources", json!({}));
        default(container, "terminationMessagePath", json!("/dev/termination-log"));
        default(container, "terminationMessagePolicy", json!("File"));
        for port in each(container, "ports") {
            default(port, "protocol", json!("TCP"));
        }
    }
}

fn workload(kind: &Kind, spec: &mut Value) {
    pod_spec(reach(spec, &["template", "spec"]));
    default(spec, "revisionHistoryLimit", json!(10));
    match kind.plural {
        "deployments" => {
            let rolling =
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
            default(spec, "replicas", json!(1));
            default(spec, "strategy", rolling);
            default(spec, "progressDeadlineSeconds", json!(600));
        }
        "statefulsets" => {
            default(spec, "replicas", json!(1));
            default(spec, "podManagementPolicy", json!("OrderedReady"));
        }
        "replicasets" => default(spec, "replicas", json!(1)),
        _ => {}
    }
}

/// A Job gets the selector and the labels by which its pods are known.
fn job(object: &mut Value) {
    let (name, uid) = (object["metadata"]["name"].clone(), object["metadata"]["uid"].clone());
    let spec = reach(object, &["spec"]);
    for (label, value) in [("job-name", &name), ("controller-uid", &uid)] {
        let labels = reach(spec, &["template", "metadata", "labels"]);
        *reach(labels, &[label]) = value.clone();
        *reach(labels, &[&format!("batch.kubernetes.io/{label}")]) = value.clone();
    }
    default(spec, "selector", json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
}

fn default_class(store: &Store) -> Option<String> {
    let classes = Resource::new("storage.k8s.io", "storageclasses");
    let mut all = store.list(&classes, None);
    let is_default = |c: &Value| c["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    all.find(|(_, class)| is_default(class)).map(|(key, _)| key.name.clone())
}

fn service_defaults(spec: &mut Value) {
    default(spec, "type", json!("ClusterIP"));
    default(spec, "sessionAffinity", json!("None"));
    let service_type = spec["type"].as_str().unwrap_or_default().to_string();
    if service_type != "ExternalName" {
        default(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if is_exposed(&service_type) {
        default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if service_type == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    for port in each(spec, "ports") {
        default(port, "protocol", json!("TCP"));
        let target = port["port"].clone();
        default(port, "targetPort", target);
    }
}

fn is_exposed(service_type: &str) -> bool {
    matches!(service_type, "LoadBalancer" | "NodePort")
}

fn service(kind: &'static Kind, object: &mut Value, store: &Store) -> Result<(), Refusal> {
    let services = Resource::new("", "services");
    let all = || store.list(&services, None).map(|(_, service)| service);
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_string();
    let full = || Refusal::Internal("range is full".into());
    *reach(object, &["status"]) = json!({"loadBalancer": {}});
    let spec = reach(object, &["spec"]);
    let service_type = spec["type"].as_str().unwrap_or_default().to_string();
    let exposed = is_exposed(&service_type);
    if service_type != "ExternalName" {
        let taken: BTreeSet<&str> = all().filter_map(|s| s["spec"]["clusterIP"].as_str()).collect();
        let wanted = spec["clusterIP"].as_str().unwrap_or_default().to_string();
        let address = match wanted.as_str() {
            "" => free_address(store, &taken).ok_or_else(full)?,
            address if address != "None" && taken.contains(address) => {
                let why = "failed to allocate IP: provided IP is already allocated";
                let cause = Cause::invalid("spec.clusterIPs", &format!("[{wanted:?}]"), why);
                return Err(Refusal::invalid(kind, &name, cause));
            }
            _ => wanted,
        };
        *reach(spec, &["clusterIPs"]) = json!([address]);
        *reach(spec, &["clusterIP"]) = json!(address);
        default(spec, "ipFamilies", json!(["IPv4"]));
        default(spec, "ipFamilyPolicy", json!("SingleStack"));
    }
    let node_ports = |service: &Value| {
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        ports.filter_map(|p| p["nodePort"].as_u64()).collect::<Vec<_>>()
    };
    let mut used: BTreeSet<u64> = all().flat_map(node_ports).collect();
    let allocate = exposed && spec["allocateLoadBalancerNodePorts"] != false;
    for port in each(spec, "ports") {
        if allocate && port["nodePort"].is_null() {
            let free = (FIRST_NODE_PORT..=LAST_NODE_PORT).find(|p| !used.contains(p));
            *reach(port, &["nodePort"]) = json!(free.ok_or_else(full)?);
        }
        used.extend(port["nodePort"].as_u64());
    }
    Ok(())
}

/// The service network is the one that the `kubernetes` service stands in; it always has the first address.
fn free_address(store: &Store, taken: &BTreeSet<&str>) -> Option<String> {
    const DEFAULT_FIRST: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
    /// DNS has address 10 by convention, so that one is left free.
    const SKIPPED: u32 = 10;
    let kubernetes = store.get(&crate::kube::store::Key::new("", "services", "default", "kubernetes"));
    let first = kubernetes.and_then(|s| s["spec"]["clusterIP"].as_str()).and_then(|ip| ip.parse().ok());
    let first = u32::from(first.unwrap_or(DEFAULT_FIRST));
    (first + SKIPPED..first + 0xff00).map(|n| Ipv4Addr::from(n).to_string()).find(|ip| !taken.contains(ip.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;
    use jiff::Timestamp;

    fn filled(plural: &str, mut object: Value, store: &Store) -> Value {
        let kind = KINDS.iter().find(|k| k.plural == plural).unwrap();
        defaults(kind, &mut object);
        admit(kind, &mut object, store, "2026-01-01T00:00:00Z").unwrap();
        object
    }

    #[test]
    fn services_get_different_addresses_and_node_ports() {
        let mut store = Store::new(1);
        let web = json!({"metadata": {"name": "a"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
        let first = filled("services", web.clone(), &store);
        store.put(Key::new("", "services", "default", "a"), first.clone(), Timestamp::UNIX_EPOCH);
        let second = filled("services", web, &store);
        assert_eq!(
            (&first["spec"]["clusterIP"], &first["spec"]["ports"][0]["nodePort"]),
            (&json!("10.96.0.11"), &json!(30000))
        );
        assert_eq!(
            (&second["spec"]["clusterIP"], &second["spec"]["ports"][0]["nodePort"]),
            (&json!("10.96.0.12"), &json!(30001))
        );
    }

    #[test]
    fn a_claim_without_a_class_gets_the_default_one_and_an_empty_one_stays_empty() {
        let mut store = Store::new(1);
        let class = json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
        store.put(Key::new("storage.k8s.io", "storageclasses", "", "replicated"), class, Timestamp::UNIX_EPOCH);
        let claim = filled("persistentvolumeclaims", json!({"spec": {}}), &store);
        assert_eq!(claim["spec"]["storageClassName"], "replicated");
        let claim = filled("persistentvolumeclaims", json!({"spec": {"storageClassName": ""}}), &store);
        assert_eq!(claim["spec"]["storageClassName"], "");
    }

    #[test]
    fn plain_text_of_a_secret_is_encoded_and_gone() {
        let secret = filled("secrets", json!({"stringData": {"k": "v"}}), &Store::new(1));
        assert_eq!(secret, json!({"type": "Opaque", "data": {"k": "dg=="}}));
    }
}
