//! The shapes of Kubernetes' own kinds: what fits into none of their fields is told and dropped, what has the wrong
//! type is refused. Kinds that a definition brings take any field.
use super::kinds::Kind;
use k8s_openapi::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as registration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Fields that hold quantities, which may be written as plain numbers.
const QUANTITIES: [&str; 5] = ["allocatable", "capacity", "hard", "limits", "requests"];

/// Reads `object` as its kind and drops what no field takes: the paths of that. `Err` is what does not fit.
pub fn fit(kind: &Kind, object: &mut Value) -> Result<Vec<String>, String> {
    let Some(read) = reader(kind) else { return Ok(Vec::new()) };
    // A driver's `allocatable` is a plain count.
    if kind.group != "storage.k8s.io" {
        quantities(object, false);
    }
    let known = read(object)?;
    let mut unknown = Vec::new();
    prune(object, &known, "", &mut unknown);
    Ok(unknown)
}

/// [`fit`] for the metadata alone.
pub fn fit_metadata(object: &mut Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    if let Some(metadata) = object.get_mut("metadata") {
        let known = read::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>(metadata)?;
        prune(metadata, &known, "metadata", &mut unknown);
    }
    Ok(unknown)
}

type Read = fn(&Value) -> Result<Value, String>;

fn read<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, String> {
    let typed = T::deserialize(object).map_err(|e| e.to_string())?;
    serde_json::to_value(typed).map_err(|e| e.to_string())
}

fn reader(kind: &Kind) -> Option<Read> {
    Some(match (kind.group, kind.plural) {
        ("", "limitranges") => read::<api::core::v1::LimitRange>,
        ("", "podtemplates") => read::<api::core::v1::PodTemplate>,
        ("", "replicationcontrollers") => read::<api::core::v1::ReplicationController>,
        ("", "resourcequotas") => read::<api::core::v1::ResourceQuota>,
        ("", "configmaps") => read::<api::core::v1::ConfigMap>,
        ("", "endpoints") => read::<api::core::v1::Endpoints>,
        ("", "events") => read::<api::core::v1::Event>,
        ("", "namespaces") => read::<api::core::v1::Namespace>,
        ("", "nodes") => read::<api::core::v1::Node>,
        ("", "persistentvolumeclaims") => read::<api::core::v1::PersistentVolumeClaim>,
        ("", "persistentvolumes") => read::<api::core::v1::PersistentVolume>,
        ("", "pods") => read::<api::core::v1::Pod>,
        ("", "secrets") => read::<api::core::v1::Secret>,
        ("", "serviceaccounts") => read::<api::core::v1::ServiceAccount>,
        ("", "services") => read::<api::core::v1::Service>,
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => {
            read::<api::admissionregistration::v1::MutatingWebhookConfiguration>
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => {
            read::<api::admissionregistration::v1::ValidatingAdmissionPolicy>
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings") => {
            read::<api::admissionregistration::v1::ValidatingAdmissionPolicyBinding>
        }
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => {
            read::<api::admissionregistration::v1::ValidatingWebhookConfiguration>
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => read::<extensions::CustomResourceDefinition>,
        ("apiregistration.k8s.io", "apiservices") => read::<registration::APIService>,
        ("apps", "controllerrevisions") => read::<api::apps::v1::ControllerRevision>,
        ("apps", "daemonsets") => read::<api::apps::v1::DaemonSet>,
        ("apps", "deployments") => read::<api::apps::v1::Deployment>,
        ("apps", "replicasets") => read::<api::apps::v1::ReplicaSet>,
        ("apps", "statefulsets") => read::<api::apps::v1::StatefulSet>,
        ("autoscaling", "horizontalpodautoscalers") => read::<api::autoscaling::v2::HorizontalPodAutoscaler>,
        ("batch", "cronjobs") => read::<api::batch::v1::CronJob>,
        ("certificates.k8s.io", "certificatesigningrequests") => {
            read::<api::certificates::v1::CertificateSigningRequest>
        }
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => read::<api::flowcontrol::v1::FlowSchema>,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => {
            read::<api::flowcontrol::v1::PriorityLevelConfiguration>
        }
        ("node.k8s.io", "runtimeclasses") => read::<api::node::v1::RuntimeClass>,
        ("batch", "jobs") => read::<api::batch::v1::Job>,
        ("coordination.k8s.io", "leases") => read::<api::coordination::v1::Lease>,
        ("discovery.k8s.io", "endpointslices") => read::<api::discovery::v1::EndpointSlice>,
        ("events.k8s.io", "events") => read::<api::events::v1::Event>,
        ("networking.k8s.io", "ingresses") => read::<api::networking::v1::Ingress>,
        ("networking.k8s.io", "ingressclasses") => read::<api::networking::v1::IngressClass>,
        ("networking.k8s.io", "networkpolicies") => read::<api::networking::v1::NetworkPolicy>,
        ("policy", "poddisruptionbudgets") => read::<api::policy::v1::PodDisruptionBudget>,
        ("rbac.authorization.k8s.io", "clusterrolebindings") => read::<api::rbac::v1::ClusterRoleBinding>,
        ("rbac.authorization.k8s.io", "clusterroles") => read::<api::rbac::v1::ClusterRole>,
        ("rbac.authorization.k8s.io", "rolebindings") => read::<api::rbac::v1::RoleBinding>,
        ("rbac.authorization.k8s.io", "roles") => read::<api::rbac::v1::Role>,
        ("scheduling.k8s.io", "priorityclasses") => read::<api::scheduling::v1::PriorityClass>,
        ("storage.k8s.io", "csidrivers") => read::<api::storage::v1::CSIDriver>,
        ("storage.k8s.io", "csinodes") => read::<api::storage::v1::CSINode>,
        ("storage.k8s.io", "csistoragecapacities") => read::<api::storage::v1::CSIStorageCapacity>,
        ("storage.k8s.io", "storageclasses") => read::<api::storage::v1::StorageClass>,
        ("storage.k8s.io", "volumeattachments") => read::<api::storage::v1::VolumeAttachment>,
        _ => return None,
    })
}

/// The server keeps every quantity as text.
fn quantities(value: &mut Value, inside: bool) {
    match value {
        Value::Number(number) if inside => *value = Value::String(number.to_string()),
        Value::Object(map) => {
            for (name, inner) in map {
                quantities(inner, QUANTITIES.contains(&name.as_str()) || (inside && !inner.is_object()));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| quantities(item, false)),
        _ => {}
    }
}

fn prune(value: &mut Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (value, known) {
        (Value::Object(map), Value::Object(known)) => map.retain(|name, inner| {
            let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match known.get(name) {
                Some(known) => prune(inner, known, &at, unknown),
                // A missing field is not written back either.
                None if inner.is_null() || name == "apiVersion" || name == "kind" => {}
                None => {
                    unknown.push(at);
                    return false;
                }
            }
            true
        }),
        (Value::Array(items), Value::Array(known)) => {
            for (at, (item, known)) in items.iter_mut().zip(known).enumerate() {
                prune(item, known, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;
    use serde_json::json;

    fn kind(plural: &str) -> &'static Kind {
        KINDS.iter().find(|k| k.plural == plural).unwrap()
    }

    #[test]
    fn what_no_field_takes_is_told_and_dropped() {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "c", "imagee": "x", "resources": {"limits": {"cpu": 1}}}], "tolerations": null}});
        assert_eq!(fit(kind("pods"), &mut pod).unwrap(), ["spec.containers[0].imagee"]);
        assert_eq!(pod["spec"]["containers"][0], json!({"name": "c", "resources": {"limits": {"cpu": "1"}}}));
    }

    #[test]
    fn a_wrong_type_does_not_fit() {
        let map =
            |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data});
        assert!(fit(kind("configmaps"), &mut map(json!("no"))).is_err());
        assert!(fit(kind("configmaps"), &mut map(json!({"k": 5}))).is_err());
        assert!(fit(kind("configmaps"), &mut map(json!({"k": "5"}))).unwrap().is_empty());
    }

    #[test]
    fn every_kind_of_kubernetes_own_has_a_shape() {
        let without = |k: &&&Kind| !k.custom && reader(k).is_none();
        let missing: Vec<String> = KINDS.iter().filter(|k| without(&k)).map(ToString::to_string).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
