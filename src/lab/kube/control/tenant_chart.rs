//! The objects of CozyStack's chart `tenant`, as v0.37.2 renders them (packages/apps/tenant/templates): the namespace, the
//! policies of Cilium, quota and limits, and the accounts. Of the Roles only those outside of the namespace are made.
use super::applications::{annotation, labelled};
use super::objects::{is_deleting, owned_by};
use super::{quota, tenants};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Map, Value, json};

const PARTS: [&str; 4] = ["etcd", "monitoring", "ingress", "seaweedfs"];
const ROOT: &str = "tenant-root";

/// The namespace of a tenant, by its release.
pub fn namespace(release: &Key) -> String {
    if release.namespace == ROOT {
        return release.name.clone();
    }
    format!("{}-{}", release.namespace, release.name.trim_start_matches("tenant-"))
}

/// `tenant-a`, `tenant-a-b` for `tenant-a-b`.
fn line(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('-').collect();
    (2..=parts.len()).filter_map(|n| parts.get(..n)).map(|p| p.join("-")).collect()
}

pub fn render(world: &mut World, key: &Key, release: &Value) {
    let name = namespace(key);
    let values = release["spec"]["values"].clone();
    let Some(parent) = world.object(&Key::new("", "namespaces", "", &key.namespace)).cloned() else { return };
    let mut annotations = Map::new();
    let mut labels = labelled(key);
    for ancestor in line(&key.namespace).iter().chain([&name]) {
        labels[format!("tenant.cozystack.io/{ancestor}")] = json!("");
    }
    for part in PARTS {
        let whose = if values[part] == true { name.clone() } else { annotation(&parent, part).to_string() };
        labels[format!("namespace.cozystack.io/{part}")] = json!(whose);
        annotations.insert(format!("namespace.cozystack.io/{part}"), json!(whose));
    }
    let host = match values["host"].as_str().unwrap_or_default() {
        "" => format!("{}.{}", name.rsplit('-').next().unwrap_or_default(), annotation(&parent, "host")),
        host => host.to_string(),
    };
    annotations.insert("namespace.cozystack.io/host".into(), json!(host));
    let object = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"labels": labels, "annotations": annotations, "ownerReferences": owned_by(&parent)}});
    world.apply_object(Key::new("", "namespaces", "", &name), object);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"labels": labelled(key)}});
    world.apply_object(Key::new("", "serviceaccounts", &name, &name), account);
    rights(world, &name, &labelled(key));
    if values["resourceQuotas"].as_object().is_some_and(|q| !q.is_empty()) {
        limits(world, key, &name, &values["resourceQuotas"]);
    }
    if values["isolated"] != false {
        policies(world, &name, &labelled(key), values["ingress"] == true, values["etcd"] == true);
    }
    for flag in PARTS.into_iter().filter(|flag| values[*flag] == true).chain(["info"]) {
        tenants::child_in(world, &name, flag, flag);
    }
}

/// ResourceQuota and LimitRange: of each amount a limit and a request, of CPU a tenth as the request.
fn limits(world: &mut World, key: &Key, name: &str, asked: &Value) {
    let mut hard = Map::new();
    for (resource, amount) in asked.as_object().into_iter().flatten() {
        let amount = amount.as_str().map_or_else(|| amount.to_string(), str::to_string);
        let request = match resource.as_str() {
            "cpu" => quota::told("cpu", quota::amount(&amount) / 10.0),
            "ephemeral-storage" => quota::told("memory", quota::amount(&amount) / 40.0),
            _ => amount.clone(),
        };
        hard.insert(format!("requests.{resource}"), json!(request));
        if resource != "storage" {
            hard.insert(format!("limits.{resource}"), json!(amount));
        }
    }
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"labels": labelled(key)}, "spec": {"hard": hard}});
    world.apply_object(Key::new("", "resourcequotas", name, "tenant-quota"), quota);
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"labels": labelled(key)},
        "spec": {"limits": [{"type": "Container",
            "default": {"cpu": "250m", "memory": "128Mi", "ephemeral-storage": "2Gi"},
            "defaultRequest": {"cpu": "25m", "memory": "128Mi", "ephemeral-storage": "50Mi"}}]}});
    world.apply_object(Key::new("", "limitranges", name, "tenant-range-limits"), range);
    quota::review(world, name);
}

/// The policies of an isolated tenant.
pub fn policies(world: &mut World, name: &str, labels: &Value, ingress: bool, etcd: bool) {
    for (policy, spec) in of_the_cluster(name, ingress, etcd) {
        put(world, labels, ("CiliumClusterwideNetworkPolicy", "", &format!("{name}-{policy}")), spec);
    }
    narrow(world, name, labels);
}

fn put(world: &mut World, labels: &Value, (kind, namespace, policy): (&str, &str, &str), spec: Value) {
    let plural = kind.to_lowercase().replace("policy", "policies");
    let object = json!({"apiVersion": "cilium.io/v2", "kind": kind, "metadata": {"labels": labels}, "spec": spec});
    world.apply_object(Key::new("cilium.io", &plural, namespace, policy), object);
}

fn in_namespace(namespace: &str) -> Value {
    json!({"k8s:io.kubernetes.pod.namespace": namespace})
}

/// Pods with these labels in the namespaces that stand in the name of the parent's; a child of the root tenant does not carry
/// it in its own.
fn in_parents(name: &str, more: &Value) -> Vec<Value> {
    let mut parents: Vec<String> = line(name).into_iter().filter(|a| a != name).collect();
    if parents.is_empty() {
        parents.push(ROOT.to_string());
    }
    let merged = |parent: &String| {
        let mut labels = in_namespace(parent);
        more.as_object().into_iter().flatten().for_each(|(k, v)| labels[k] = v.clone());
        json!({"matchLabels": labels})
    };
    parents.iter().map(merged).collect()
}

/// Those that bind the namespace's pods from outside of it, by the ends of their names.
fn of_the_cluster(name: &str, ingress: bool, etcd: bool) -> Vec<(&'static str, Value)> {
    let own = json!({"matchLabels": in_namespace(name)});
    let label = format!("k8s:io.cilium.k8s.namespace.labels.tenant.cozystack.io/{name}");
    let mut egress = vec![json!({"toEndpoints": [{"matchLabels": {label: ""}}]})];
    let mut from = vec![
        json!({"fromEntities": ["kube-apiserver"]}),
        json!({"fromEndpoints": [{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.cozystack.io/system": "true"}}]}),
        json!({"fromEndpoints": [{"matchLabels": in_namespace("kube-system")}]}),
    ];
    if name != ROOT {
        egress.push(json!({"toEndpoints": in_parents(name, &json!({"k8s:app.kubernetes.io/name": "vminsert"}))}));
        egress.push(json!({"toEndpoints": in_parents(name, &json!({"k8s:app.kubernetes.io/instance": "etcd"}))}));
        from.push(json!({"fromEndpoints": in_parents(name, &json!({}))}));
    }
    let mut found = vec![
        ("egress", json!({"endpointSelector": own, "egress": egress})),
        ("ingress", json!({"endpointSelector": own, "ingress": from})),
    ];
    let service = |service: &str| json!({"matchLabels": {"k8s:io.kubernetes.pod.namespace": name, "cozystack.io/service": service}});
    if ingress {
        found.push((
            "ingress-ingress",
            json!({"endpointSelector": service("ingress"), "ingress": [{"fromEndpoints": [{}]}]}),
        ));
    }
    if etcd {
        let who = json!({"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.namespace.cozystack.io/etcd": name,
            "policy.cozystack.io/allow-to-etcd": "true"}});
        found.push((
            "ingress-etcd",
            json!({"endpointSelector": service("etcd"), "ingress": [{"fromEndpoints": [who]}]}),
        ));
    }
    found
}

/// Those of the namespace itself.
fn narrow(world: &mut World, name: &str, labels: &Value) {
    let to = |labels: Value| json!({"endpointSelector": {}, "egress": [{"toEndpoints": [{"matchLabels": labels}]}]});
    let outside =
        json!({"key": "policy.cozystack.io/allow-external-communication", "operator": "NotIn", "values": ["false"]});
    for (policy, spec) in [
        (
            "allow-internal-communication",
            json!({"endpointSelector": {}, "ingress": [{"fromEndpoints": [{}]}], "egress": [{"toEndpoints": [{}]}]}),
        ),
        (
            "allow-external-communication",
            json!({"endpointSelector": {"matchExpressions": [outside]},
            "ingress": [{"fromEntities": ["world", "cluster"]}], "egress": [{"toEntities": ["world"]}]}),
        ),
        (
            "allow-to-apiserver",
            json!({"endpointSelector": {"matchLabels": {"policy.cozystack.io/allow-to-apiserver": "true"}},
            "egress": [{"toEntities": ["kube-apiserver"]}, {"toPorts": [{"ports": [{"port": "6443", "protocol": "TCP"}]}]}]}),
        ),
        ("allow-to-dns", to(json!({"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}))),
        ("allow-to-dashboard", to(in_namespace("cozy-dashboard"))),
        ("allow-to-keycloak", to(in_namespace("cozy-keycloak"))),
        ("allow-to-cdi-upload-proxy", to(in_namespace("cozy-kubevirt-cdi"))),
        ("allow-to-ingress", to(json!({"cozystack.io/service": "ingress"}))),
    ] {
        put(world, labels, ("CiliumNetworkPolicy", name, policy), spec);
    }
}

/// Takes the tenant away; true when its namespace is gone, for which Flux waits.
pub fn uninstalled(world: &mut World, key: &Key) -> bool {
    let name = namespace(key);
    for policy in ["egress", "ingress", "ingress-ingress", "ingress-etcd"] {
        let policy = format!("{name}-{policy}");
        world.remove_object(&Key::new("cilium.io", "ciliumclusterwidenetworkpolicies", "", &policy));
    }
    for plural in ["roles", "rolebindings"] {
        world.remove_object(&Key::new("rbac.authorization.k8s.io", plural, "cozy-public", &name));
    }
    let at = seconds(world.now);
    world.change_object(&Key::new("", "namespaces", "", &name), |n| {
        if !is_deleting(n) {
            n["metadata"]["deletionTimestamp"] = json!(at);
        }
    });
    world.object(&Key::new("", "namespaces", "", &name)).is_none()
}

/// What the tenant's people may see of the charts.
fn rights(world: &mut World, name: &str, labels: &Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let object =
        |kind: &str| json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"labels": labels}});
    let (mut role, mut binding) = (object("Role"), object("RoleBinding"));
    role["rules"] = json!([{"apiGroups": ["source.toolkit.fluxcd.io"], "resources": ["helmrepositories", "helmcharts"],
        "verbs": ["get", "list"]}]);
    let people = ["super-admin", "admin", "use", "view"]
        .map(|who| json!({"kind": "Group", "name": format!("{name}-{who}"), "apiGroup": GROUP}));
    let account = json!({"kind": "ServiceAccount", "name": name, "namespace": name});
    binding["subjects"] = people.into_iter().chain([account]).collect();
    binding["roleRef"] = json!({"kind": "Role", "name": name, "apiGroup": GROUP});
    for (plural, object) in [("roles", role), ("rolebindings", binding)] {
        world.apply_object(Key::new(GROUP, plural, "cozy-public", name), object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_of_a_tenant_lives_in_a_namespace_with_the_names_of_both() {
        let release = |namespace: &str, name: &str| Key::new("helm.toolkit.fluxcd.io", "helmreleases", namespace, name);
        assert_eq!(namespace(&release("tenant-root", "tenant-a")), "tenant-a");
        assert_eq!(namespace(&release("tenant-a", "tenant-b")), "tenant-a-b");
        assert_eq!(line("tenant-a-b"), ["tenant-a", "tenant-a-b"]);
    }
}
