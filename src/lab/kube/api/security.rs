//! Pod Security as Talos sets it up by default: `baseline` is enforced everywhere but in kube-system and in namespaces
//! that say otherwise.
use super::refusal::Refusal;
use crate::kube::store::{Key, Store};
use serde_json::Value;

const LABEL: &str = "pod-security.kubernetes.io/enforce";

pub fn check(pod: &Value, store: &Store) -> Result<(), Refusal> {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    let (name, namespace) = (text("name"), text("namespace"));
    let level = store
        .get(&Key::new("", "namespaces", "", namespace))
        .and_then(|n| n["metadata"]["labels"][LABEL].as_str())
        .unwrap_or("baseline");
    if namespace == "kube-system" || level == "privileged" {
        return Ok(());
    }
    let found = violations(&pod["spec"]);
    if found.is_empty() {
        return Ok(());
    }
    let message = format!("pods {name:?} is forbidden: violates PodSecurity \"{level}:latest\": {}", found.join(", "));
    Err(Refusal::forbidden("", "pods", name, message))
}

/// The parts of the spec that the level `baseline` does not allow, as far as people usually meet them.
fn violations(spec: &Value) -> Vec<String> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    let host: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|field| spec[**field] == true)
        .map(|field| format!("{field}=true"))
        .collect();
    if !host.is_empty() {
        found.push(format!("host namespaces ({})", host.join(", ")));
    }
    for volume in items(&spec["volumes"]).iter().filter(|v| v["hostPath"].is_object()) {
        found.push(format!("hostPath volumes (volume {})", volume["name"]));
    }
    let containers: Vec<Value> =
        ["initContainers", "containers"].iter().flat_map(|field| items(&spec[*field])).collect();
    for container in &containers {
        for port in items(&container["ports"]).iter().filter_map(|p| p["hostPort"].as_u64()).filter(|p| *p > 0) {
            found.push(format!("hostPort (container {} uses hostPort {port})", container["name"]));
        }
    }
    for container in containers.iter().filter(|c| c["securityContext"]["privileged"] == true) {
        let why = "must not set securityContext.privileged=true";
        found.push(format!("privileged (container {} {why})", container["name"]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    fn told(namespace: &str, labels: Value) -> Result<(), String> {
        let mut store = Store::new(1);
        let object = json!({"metadata": {"labels": labels}});
        store.put(Key::new("", "namespaces", "", namespace), object, Timestamp::UNIX_EPOCH);
        let spec = json!({"hostNetwork": true, "volumes": [{"name": "h", "hostPath": {"path": "/"}}], "containers": [
            {"name": "c", "securityContext": {"privileged": true}, "ports": [{"hostPort": 80}]}]});
        let pod = json!({"metadata": {"name": "p", "namespace": namespace}, "spec": spec});
        check(&pod, &store).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_pod_that_reaches_for_the_host_is_refused_where_nobody_allowed_it() {
        let expected = "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces \
                        (hostNetwork=true), hostPath volumes (volume \"h\"), hostPort (container \"c\" uses hostPort 80), \
                        privileged (container \"c\" must not set securityContext.privileged=true)";
        assert_eq!(told("default", json!({})).unwrap_err(), expected);
        assert!(told("cozy-cilium", json!({"pod-security.kubernetes.io/enforce": "privileged"})).is_ok());
        assert!(told("kube-system", json!({})).is_ok());
    }
}
