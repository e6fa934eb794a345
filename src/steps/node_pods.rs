//! The pods that a machine has to give away, and whether the others can take them.
use crate::kubernetes::quantity::{bytes, milli};
use crate::steps::cluster::{is_deleting, items, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// `namespace/name`
pub fn named(pod: &Value) -> String {
    format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"))
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn owner(pod: &Value) -> &str {
    let owners = || items(pod, "/metadata/ownerReferences");
    let controller = owners().find(|o| o.pointer("/controller").and_then(Value::as_bool) == Some(true));
    controller.or_else(|| owners().next()).map(|owner| text(owner, "/kind")).unwrap_or_default()
}

/// True of a pod that stays with its machine, as with `kubectl drain --ignore-daemonsets`.
fn stays(pod: &Value) -> bool {
    let is_mirror = pod.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some();
    is_mirror || owner(pod) == "DaemonSet" || owner(pod) == "Node"
}

/// The pods that have to leave the node.
pub fn moving<'a>(pods: &'a [Value], node: &'a str) -> impl Iterator<Item = &'a Value> {
    let on_node = move |pod: &&Value| text(pod, "/spec/nodeName") == node;
    pods.iter().filter(on_node).filter(|pod| !has_ended(pod) && !stays(pod))
}

/// What a pod asks for: thousandths of a core, and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Request {
    cpu: u64,
    memory: u64,
}

/// The sum over its containers, or one of those that run before them when it asks for more (`PodRequests` of the scheduler).
fn request(pod: &Value) -> Request {
    let of = |part: &'static str| {
        items(pod, part).map(|container| Request {
            cpu: milli(text(container, "/resources/requests/cpu")),
            memory: bytes(text(container, "/resources/requests/memory")),
        })
    };
    let sum = of("/spec/containers")
        .fold(Request::default(), |sum, one| Request { cpu: sum.cpu + one.cpu, memory: sum.memory + one.memory });
    of("/spec/initContainers")
        .fold(sum, |most, one| Request { cpu: most.cpu.max(one.cpu), memory: most.memory.max(one.memory) })
}

/// A machine that can take pods.
struct Taker<'a> {
    node: &'a Value,
    cpu: u64,
    memory: u64,
    pods: u64,
}

fn takers<'a>(nodes: &'a [Value], pods: &[Value], without: &str) -> Vec<Taker<'a>> {
    let name = |node: &Value| text(node, "/metadata/name").to_string();
    let mut taken: BTreeMap<&str, (Request, u64)> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !has_ended(pod)) {
        let (sum, count) = taken.entry(text(pod, "/spec/nodeName")).or_default();
        let one = request(pod);
        (sum.cpu, sum.memory, *count) = (sum.cpu + one.cpu, sum.memory + one.memory, *count + 1);
    }
    let others = nodes.iter().filter(|node| name(node) != without);
    let taker = |node: &'a Value| {
        let (sum, count) = taken.get(text(node, "/metadata/name")).copied().unwrap_or_default();
        let has = |resource: &str| text(node, &format!("/status/allocatable/{resource}"));
        Taker {
            node,
            cpu: milli(has("cpu")).saturating_sub(sum.cpu),
            memory: bytes(has("memory")).saturating_sub(sum.memory),
            pods: bytes(has("pods")).saturating_sub(count),
        }
    };
    others.map(taker).collect()
}

/// True when one of the terms holds for the labels; without any, all do.
fn selected(terms: Option<&Value>, labels: &Value) -> bool {
    let Some(terms) = terms.and_then(Value::as_array) else { return true };
    let holds = |expression: &Value| {
        let value = labels.get(text(expression, "/key")).and_then(Value::as_str);
        let among = || items(expression, "/values").any(|wanted| wanted.as_str() == value);
        match text(expression, "/operator") {
            "In" => value.is_some() && among(),
            "NotIn" => !among(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            // `Gt` and `Lt`, which nobody uses for places: the scheduler decides.
            _ => true,
        }
    };
    terms.iter().any(|term| items(term, "/matchExpressions").all(holds))
}

fn tolerates(pod: &Value, node: &Value) -> bool {
    let hard = items(node, "/spec/taints").filter(|taint| text(taint, "/effect") != "PreferNoSchedule");
    let mut hard = hard.into_iter();
    hard.all(|taint| {
        items(pod, "/spec/tolerations").any(|t| {
            let key = text(t, "/key");
            let effect = text(t, "/effect");
            (key.is_empty() || key == text(taint, "/key")) && (effect.is_empty() || effect == text(taint, "/effect"))
        })
    })
}

/// The objects that decide where a pod can run.
pub struct Places<'a> {
    pub nodes: &'a [Value],
    pub pods: &'a [Value],
    pub claims: &'a [Value],
    pub volumes: &'a [Value],
}

/// Why a pod can't run anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nowhere {
    /// Nobody would make it anew.
    Alone(String),
    /// No other machine is one that it, or its volume, may be on.
    Bound(String),
    /// The others have no room for what it asks for: thousandths of a core, and bytes.
    NoRoom { pod: String, cpu: u64, memory: u64 },
}

impl Places<'_> {
    /// The terms of the volumes that the pod uses.
    fn terms(&self, pod: &Value) -> Vec<&Value> {
        let namespace = text(pod, "/metadata/namespace");
        let claims = items(pod, "/spec/volumes").map(|v| text(v, "/persistentVolumeClaim/claimName"));
        let volume_of = |claim: &str| {
            let is_it = |c: &&Value| text(c, "/metadata/namespace") == namespace && text(c, "/metadata/name") == claim;
            self.claims.iter().find(is_it).map(|c| text(c, "/spec/volumeName"))
        };
        let names: Vec<&str> = claims.filter(|claim| !claim.is_empty()).filter_map(volume_of).collect();
        let volumes = self.volumes.iter().filter(|v| names.contains(&text(v, "/metadata/name")));
        volumes.filter_map(|v| v.pointer("/spec/nodeAffinity/required/nodeSelectorTerms")).collect()
    }

    fn may_be_on(&self, pod: &Value, node: &Value) -> bool {
        let none = Value::Null;
        let labels = node.pointer("/metadata/labels").unwrap_or(&none);
        let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
        let selects = wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
        let own = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        selects
            && selected(pod.pointer(own), labels)
            && self.terms(pod).into_iter().all(|terms| selected(Some(terms), labels))
            && tolerates(pod, node)
    }

    /// The first pod of the node for which there is no place, the largest ones first; each goes where most memory is free.
    pub fn nowhere(&self, node: &str) -> Option<Nowhere> {
        let mut takers = takers(self.nodes, self.pods, node);
        let mut pods: Vec<&Value> = moving(self.pods, node).filter(|pod| !is_deleting(pod)).collect();
        pods.sort_by_key(|pod| std::cmp::Reverse((request(pod).memory, request(pod).cpu)));
        for pod in pods {
            if owner(pod).is_empty() {
                return Some(Nowhere::Alone(named(pod)));
            }
            let asked = request(pod);
            let mut able: Vec<&mut Taker<'_>> =
                takers.iter_mut().filter(|taker| self.may_be_on(pod, taker.node)).collect();
            if able.is_empty() {
                return Some(Nowhere::Bound(named(pod)));
            }
            able.retain(|taker| taker.cpu >= asked.cpu && taker.memory >= asked.memory && taker.pods > 0);
            let Some(best) = able.into_iter().max_by_key(|taker| taker.memory) else {
                return Some(Nowhere::NoRoom { pod: named(pod), cpu: asked.cpu, memory: asked.memory });
            };
            (best.cpu, best.memory, best.pods) = (best.cpu - asked.cpu, best.memory - asked.memory, best.pods - 1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(name: &str, memory: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {"allocatable": {"cpu": "4", "memory": memory, "pods": "110"}}})
    }

    fn pod(name: &str, on: &str, memory: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "a", "ownerReferences": [{"kind": "ReplicaSet", "controller": true}]},
            "spec": {"nodeName": on, "containers": [{"resources": {"requests": {"cpu": "500m", "memory": memory}}}]}})
    }

    fn nowhere(nodes: &[Value], pods: &[Value]) -> Option<Nowhere> {
        Places { nodes, pods, claims: &[], volumes: &[] }.nowhere("w1")
    }

    #[test]
    fn pods_find_room_by_what_they_ask_for_and_the_one_that_finds_none_is_named() {
        let nodes = [node("w1", "8Gi"), node("w2", "4Gi"), node("w3", "2Gi")];
        let pods = |size: &str| [pod("p", "w1", size), pod("q", "w1", "2Gi"), pod("there", "w2", "1Gi")];
        assert_eq!(nowhere(&nodes, &pods("3Gi")), None);
        let why = nowhere(&nodes, &pods("4Gi"));
        assert_eq!(why, Some(Nowhere::NoRoom { pod: "a/p".into(), cpu: 500, memory: 4 << 30 }));
        // Together they do not fit, though each alone would.
        assert!(nowhere(&nodes, &[pod("p", "w1", "3Gi"), pod("q", "w1", "3Gi")]).is_some());
    }

    #[test]
    fn what_belongs_to_the_machine_needs_no_room_and_what_nobody_makes_anew_is_told() {
        let nodes = [node("w1", "8Gi"), node("w2", "1Gi")];
        let mut daemon = pod("d", "w1", "4Gi");
        daemon["metadata"]["ownerReferences"][0]["kind"] = json!("DaemonSet");
        let mut mirror = pod("m", "w1", "4Gi");
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        let mut over = pod("o", "w1", "4Gi");
        over["status"] = json!({"phase": "Succeeded"});
        assert_eq!(nowhere(&nodes, &[daemon, mirror, over]), None);
        let mut alone = pod("alone", "w1", "1Mi");
        alone["metadata"]["ownerReferences"] = json!([]);
        assert_eq!(nowhere(&nodes, &[alone]), Some(Nowhere::Alone("a/alone".into())));
    }

    #[test]
    fn a_pod_or_a_volume_that_may_be_on_no_other_machine_is_told() {
        let nodes = [node("w1", "8Gi"), node("w2", "8Gi")];
        let mut bound = pod("b", "w1", "1Gi");
        bound["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": "w1"});
        assert_eq!(nowhere(&nodes, &[bound]), Some(Nowhere::Bound("a/b".into())));
        let mut user = pod("u", "w1", "1Gi");
        user["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data"}}]);
        let claims = [json!({"metadata": {"name": "data", "namespace": "a"}, "spec": {"volumeName": "pvc-1"}})];
        let on = |name: &str| {
            let terms =
                json!([{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}]);
            [
                json!({"metadata": {"name": "pvc-1"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}),
            ]
        };
        let of = |volumes: &[Value]| {
            Places { nodes: &nodes, pods: std::slice::from_ref(&user), claims: &claims, volumes }.nowhere("w1")
        };
        assert_eq!((of(&on("w1")), of(&on("w2"))), (Some(Nowhere::Bound("a/u".into())), None));
    }

    #[test]
    fn a_tainted_machine_takes_only_what_tolerates_it() {
        let mut tainted = node("w2", "8Gi");
        tainted["spec"] = json!({"taints": [{"key": "only", "effect": "NoSchedule"}]});
        let nodes = [node("w1", "8Gi"), tainted];
        let mut tolerant = pod("t", "w1", "1Gi");
        tolerant["spec"]["tolerations"] = json!([{"key": "only", "operator": "Exists"}]);
        assert_eq!(nowhere(&nodes, &[tolerant]), None);
        assert_eq!(nowhere(&nodes, &[pod("p", "w1", "1Gi")]), Some(Nowhere::Bound("a/p".into())));
    }
}
