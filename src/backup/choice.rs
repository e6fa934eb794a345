//! Which kinds are left out of a backup and why, and which objects the cluster makes by itself.
use crate::kubernetes::Served;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The reason why a kind is not in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// What happened; the server forgets it within an hour.
    Events,
    /// Who leads now.
    Leases,
    /// Figures of this moment, which nobody stores.
    Measured,
    /// What kubelets, storage drivers and the network write again of themselves.
    StateOfNodes,
    /// Only with `--secrets`, and then encrypted.
    Secrets,
}

/// `None` for a kind that belongs into a backup.
pub fn left_out(kind: &Served, with_secrets: bool) -> Option<Why> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("" | "events.k8s.io", "events") => Some(Why::Events),
        ("coordination.k8s.io", "leases" | "leasecandidates") => Some(Why::Leases),
        ("metrics.k8s.io" | "custom.metrics.k8s.io" | "external.metrics.k8s.io", _) | ("", "componentstatuses") => {
            Some(Why::Measured)
        }
        ("storage.k8s.io", "csinodes" | "csistoragecapacities" | "volumeattachments")
        | ("cilium.io", "ciliumendpoints" | "ciliumendpointslices" | "ciliumidentities" | "ciliumnodes") => {
            Some(Why::StateOfNodes)
        }
        ("", "secrets") if !with_secrets => Some(Why::Secrets),
        _ => None,
    }
}

/// True for a kind whose objects are schemas: they name fields such as `password` and hold no value of any.
pub fn describes_kinds(kind: &Served) -> bool {
    matches!(
        (kind.group.as_str(), kind.plural.as_str()),
        ("apiextensions.k8s.io", "customresourcedefinitions") | ("cozystack.io", "cozystackresourcedefinitions")
    )
}

/// Whether an object has to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Somebody, or Helm, has made it.
    Own,
    /// A controller has made it of another object; it is kept to be read.
    Owned,
    /// A controller makes it again of Services, Pods or the cluster's authority, word by word.
    MadeAgain,
}

/// The managers by which Kubernetes' own controllers call themselves, and with Talos the API server.
const CONTROLLERS: [&str; 2] = ["kube-controller-manager", "kube-apiserver"];
/// `endpointslice.kubernetes.io/managed-by` of the slices that Kubernetes itself makes.
const SLICES: [&str; 2] = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

pub fn standing(kind: &Served, object: &Value) -> Standing {
    let has_owner =
        object.pointer("/metadata/ownerReferences").and_then(Value::as_array).is_some_and(|o| !o.is_empty());
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "endpoints") if only_by_controllers(object) => Standing::MadeAgain,
        ("discovery.k8s.io", "endpointslices") => {
            let by = object.pointer("/metadata/labels").and_then(|l| l.get("endpointslice.kubernetes.io/managed-by"));
            let by_kubernetes = by.and_then(Value::as_str).is_some_and(|by| SLICES.contains(&by));
            if by_kubernetes { Standing::MadeAgain } else { Standing::Own }
        }
        ("", "configmaps") if name == "kube-root-ca.crt" => Standing::MadeAgain,
        ("", "nodes") => Standing::Owned,
        _ if has_owner => Standing::Owned,
        _ => Standing::Own,
    }
}

/// Endpoints that a person wrote lead out of the cluster, and nobody makes them again.
fn only_by_controllers(object: &Value) -> bool {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let managers: Vec<&str> = managers.into_iter().flatten().filter_map(|m| m.get("manager")?.as_str()).collect();
    !managers.is_empty() && managers.iter().all(|m| CONTROLLERS.contains(m))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::Kind;
    use serde_json::json;

    fn kind(group: &str, plural: &str) -> Served {
        Served { group: group.into(), version: "v1".into(), kind: "X".into(), plural: plural.into(), namespaced: true }
    }

    #[test]
    fn what_a_cluster_makes_by_itself_is_left_out_with_its_reason_and_nothing_else_is() {
        for (group, plural, why) in [
            ("", "events", Some(Why::Events)),
            ("events.k8s.io", "events", Some(Why::Events)),
            ("coordination.k8s.io", "leases", Some(Why::Leases)),
            ("metrics.k8s.io", "pods", Some(Why::Measured)),
            ("storage.k8s.io", "csinodes", Some(Why::StateOfNodes)),
            ("", "secrets", Some(Why::Secrets)),
            ("", "pods", None),
            ("a.example.org", "events", None),
            ("a.example.org", "secrets", None),
            ("", "endpoints", None),
        ] {
            assert_eq!(left_out(&kind(group, plural), false), why, "{plural}.{group}");
        }
        assert_eq!(left_out(&Served::from(&Kind::SECRET), true), None);
    }

    #[test]
    fn endpoints_that_a_person_wrote_are_kept_and_those_of_a_controller_are_not() {
        let by = |managers: &[&str]| {
            let all: Vec<Value> = managers.iter().map(|m| json!({"manager": m})).collect();
            standing(&kind("", "endpoints"), &json!({"metadata": {"name": "a", "managedFields": all}}))
        };
        assert_eq!(by(&["kube-controller-manager"]), Standing::MadeAgain);
        assert_eq!(by(&["kube-controller-manager", "kubectl"]), Standing::Own);
        assert_eq!(by(&[]), Standing::Own);
        let slice = |by: &str| {
            let labels = json!({"endpointslice.kubernetes.io/managed-by": by});
            standing(&kind("discovery.k8s.io", "endpointslices"), &json!({"metadata": {"labels": labels}}))
        };
        assert_eq!(slice("endpointslice-controller.k8s.io"), Standing::MadeAgain);
        assert_eq!(slice("me"), Standing::Own);
    }

    #[test]
    fn what_has_an_owner_is_kept_apart() {
        let owned = json!({"metadata": {"name": "a", "ownerReferences": [{"kind": "ReplicaSet", "name": "b"}]}});
        assert_eq!(standing(&Served::from(&Kind::POD), &owned), Standing::Owned);
        assert_eq!(standing(&Served::from(&Kind::POD), &json!({"metadata": {"ownerReferences": []}})), Standing::Own);
        assert_eq!(standing(&Served::from(&Kind::NODE), &json!({"metadata": {"name": "a"}})), Standing::Owned);
    }
}
