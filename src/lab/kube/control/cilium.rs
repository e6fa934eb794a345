//! Cilium's decision whether one pod reaches another: by the CiliumNetworkPolicies and the cluster-wide ones in the store.
//!
//! An endpoint that some policy with an `egress` (or `ingress`) part selects may only go (or be reached) where one of them allows
//! it. Deny rules of endpoints, FQDNs, CIDRs, services and layer 7 are not understood: such a rule allows nothing.
use super::objects::{items, text};
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Map, Value};

const GROUP: &str = "cilium.io";
const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";

/// The labels by which Cilium knows a pod.
fn identity(world: &World, pod: &Value) -> Map<String, Value> {
    let namespace = text(pod, "/metadata/namespace");
    let mut labels = pod["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(NAMESPACE.into(), namespace.into());
    let own = world.object(&Key::new("", "namespaces", "", namespace));
    for (name, value) in own.and_then(|n| n["metadata"]["labels"].as_object()).into_iter().flatten() {
        labels.insert(format!("{NAMESPACE_LABELS}{name}"), value.clone());
    }
    labels
}

/// The key without its source, `k8s:` or `any:`.
fn bare(key: &str) -> &str {
    key.strip_prefix("k8s:").or_else(|| key.strip_prefix("any:")).unwrap_or(key)
}

/// True when the selector chooses the labels. In a policy of a namespace it chooses among that namespace's pods, unless it names
/// another.
fn chooses(selector: &Value, labels: &Map<String, Value>, namespace: &str) -> bool {
    let wanted = || selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = || items(selector, "/matchExpressions");
    let names_one = wanted()
        .map(|(key, _)| bare(key))
        .chain(expressions().map(|e| bare(text(e, "/key"))))
        .any(|key| key == NAMESPACE || key.starts_with(NAMESPACE_LABELS));
    if !namespace.is_empty() && !names_one && labels.get(NAMESPACE).is_none_or(|n| n != namespace) {
        return false;
    }
    let has = |key: &str| labels.get(bare(key));
    wanted().all(|(key, value)| has(key) == Some(value))
        && expressions().all(|e| {
            let value = has(text(e, "/key"));
            let among = value.is_some_and(|v| items(e, "/values").any(|one| one == v));
            match text(e, "/operator") {
                "In" => among,
                "NotIn" => !among,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// True when the rule speaks of this port, or of none.
fn has_port(rule: &Value, port: u16) -> bool {
    let ports = || items(rule, "/toPorts").flat_map(|p| items(p, "/ports"));
    ports().next().is_none() || ports().any(|p| p["port"].as_str().and_then(|p| p.parse().ok()) == Some(port))
}

/// One direction: the pod that the policies select, and the pod at the other end.
struct Way {
    part: &'static str,
    peers: &'static str,
    entities: &'static str,
}

const OUT: Way = Way { part: "egress", peers: "toEndpoints", entities: "toEntities" };
const IN: Way = Way { part: "ingress", peers: "fromEndpoints", entities: "fromEntities" };

impl Way {
    fn allows(&self, world: &World, own: &Map<String, Value>, other: &Map<String, Value>, port: u16) -> bool {
        let mut is_selected = false;
        for plural in ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"] {
            for (key, policy) in world.objects(GROUP, plural, None) {
                let spec = &policy["spec"];
                let Some(rules) = spec[self.part].as_array() else { continue };
                if spec["endpointSelector"].is_null() || !chooses(&spec["endpointSelector"], own, &key.namespace) {
                    continue;
                }
                is_selected = true;
                if rules.iter().any(|rule| has_port(rule, port) && self.lets(rule, other, &key.namespace)) {
                    return true;
                }
            }
        }
        !is_selected
    }

    /// True when the rule lets this pod be at the other end.
    fn lets(&self, rule: &Value, other: &Map<String, Value>, namespace: &str) -> bool {
        let (peers, entities) = (rule[self.peers].as_array(), rule[self.entities].as_array());
        if peers.is_none() && entities.is_none() {
            // A rule of ports alone speaks of every peer; one of a kind that is not understood of none.
            return rule.as_object().is_some_and(|r| r.keys().all(|key| key == "toPorts"));
        }
        // A pod belongs to the cluster, and not to the world.
        let by_entity = entities.into_iter().flatten().any(|e| e == "cluster" || e == "all");
        by_entity || peers.into_iter().flatten().any(|selector| chooses(selector, other, namespace))
    }
}

/// True when `from` reaches `to` at this port: out of the one and into the other.
pub fn reaches(world: &World, from: &Value, to: &Value, port: u16) -> bool {
    // A process on the host's network is the host, which Cilium's default lets in and which no policy here selects.
    if from["spec"]["hostNetwork"] == true || to["spec"]["hostNetwork"] == true {
        return true;
    }
    let (source, target) = (identity(world, from), identity(world, to));
    OUT.allows(world, &source, &target, port) && IN.allows(world, &target, &source, port)
}

#[cfg(test)]
mod tests {
    use super::super::tenant_chart;
    use super::*;
    use crate::kube::Cluster;
    use crate::scenario::Scenario;
    use jiff::Timestamp;
    use serde_json::json;
    use std::net::Ipv4Addr;

    fn world() -> World {
        let mut world = World::new(Scenario::load("standard").unwrap(), Ipv4Addr::LOCALHOST, Timestamp::UNIX_EPOCH);
        world.cluster = Some(Cluster::still(String::new(), String::new(), "v1.33.3".into(), ["cilium.io"]));
        let namespace = |world: &mut World, name: &str, labels: Value| {
            world.put_object(Key::new("", "namespaces", "", name), json!({"metadata": {"labels": labels}}));
        };
        namespace(&mut world, "tenant-root", json!({}));
        namespace(&mut world, "default", json!({}));
        for name in ["tenant-a", "tenant-b"] {
            let labels = json!({format!("tenant.cozystack.io/{name}"): "", "tenant.cozystack.io/tenant-root": ""});
            namespace(&mut world, name, labels);
            tenant_chart::policies(&mut world, name, &json!({}), false, false);
        }
        tenant_chart::policies(&mut world, "tenant-root", &json!({}), true, true);
        world
    }

    fn pod(namespace: &str, labels: Value) -> Value {
        json!({"metadata": {"namespace": namespace, "name": "p", "labels": labels}, "spec": {}})
    }

    fn reach(world: &World, from: &str, to: &str) -> bool {
        reaches(world, &pod(from, json!({})), &pod(to, json!({"app": "web"})), 8080)
    }

    #[test]
    fn tenants_are_kept_apart_by_where_their_own_pods_may_go() {
        let world = world();
        assert!(reach(&world, "tenant-a", "tenant-a") && reach(&world, "tenant-b", "tenant-b"));
        assert!(!reach(&world, "tenant-a", "tenant-b") && !reach(&world, "tenant-b", "tenant-a"));
        // A child does not reach its parent, but for ingress, etcd and metrics; the parent reaches its children.
        assert!(reach(&world, "tenant-root", "tenant-a") && !reach(&world, "tenant-a", "tenant-root"));
        let ingress = pod("tenant-root", json!({"cozystack.io/service": "ingress"}));
        assert!(reaches(&world, &ingress, &pod("tenant-a", json!({})), 8080));
    }

    #[test]
    fn a_namespace_that_no_policy_binds_reaches_into_a_tenant_as_v0_37_2_has_it() {
        assert!(reach(&world(), "default", "tenant-a"));
        let mut world = world();
        world.change_object(
            &Key::new(GROUP, "ciliumnetworkpolicies", "tenant-a", "allow-external-communication"),
            |p| {
                p["spec"]["ingress"] = json!([{"fromEntities": ["world"]}]);
            },
        );
        assert!(!reach(&world, "default", "tenant-a") && reach(&world, "tenant-a", "tenant-a"));
    }
}
