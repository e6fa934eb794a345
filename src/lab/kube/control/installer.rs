//! CozyStack's installer: the container of Deployment cozy-system/cozystack, from its first look at the ConfigMap to
//! the platform's HelmReleases. The product's loop comes around every 60 s; here an edit of the ConfigMap takes effect
//! after `release_default_s`.
use super::objects::{items, text, uid};
use super::{bundle, pods, products, tenants};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NAMESPACE: &str = "cozy-system";
/// `data.version` that v0.37 writes: its highest migration and one.
const VERSION: &str = "21";

fn config_key() -> Key {
    Key::new("", "configmaps", NAMESPACE, "cozystack")
}

/// True when this pod is the installer's.
pub fn is_installer(key: &Key, pod: &Value) -> bool {
    key.namespace == NAMESPACE
        && items(pod, "/spec/containers").any(|c| c["name"] == "cozystack" && text(c, "/image").contains("/installer"))
}

fn config(world: &World) -> Option<BTreeMap<String, String>> {
    let map = world.object(&config_key())?;
    let data = map["data"].as_object().into_iter().flatten();
    Some(data.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_string())).collect())
}

/// The first thing that the container does.
///
/// # Errors
/// Its output up to the error that ends it.
pub fn check(world: &World) -> Result<(), String> {
    let trace = "+ kubectl get configmap -n cozy-system cozystack -o 'go-template={{index .data \"bundle-name\"}}'";
    let allowed = world
        .objects("rbac.authorization.k8s.io", "clusterrolebindings", None)
        .iter()
        .any(|(_, b)| items(b, "/subjects").any(|s| s["name"] == "cozystack" && s["namespace"] == NAMESPACE));
    if !allowed {
        return Err(format!(
            "{trace}\nError from server (Forbidden): configmaps \"cozystack\" is forbidden: User \
             \"system:serviceaccount:cozy-system:cozystack\" cannot get resource \"configmaps\" in API group \"\" in the \
             namespace \"cozy-system\""
        ));
    }
    let Some(config) = config(world) else {
        return Err(format!("{trace}\nError from server (NotFound): configmaps \"cozystack\" not found"));
    };
    let make = "make: Entering directory '/cozystack/packages/core/platform'";
    let failed = |line: &str| {
        Err(format!(
            "{trace}\n{make}\n{line}\nerror: no objects passed to apply\nmake: *** [Makefile: namespaces-apply] Error 1"
        ))
    };
    let value = |key: &str| config.get(key).filter(|v| !v.is_empty());
    let name = value("bundle-name").map_or("<no value>", |b| b.as_str());
    if !bundle::graph().has_bundle(name) {
        return failed(&format!("Error: platform: bundles/{name}.yaml: file does not exist"));
    }
    for key in ["root-host", "api-server-endpoint"] {
        if value(key).is_none() {
            return failed(&format!(
                "Error: execution error at (platform/templates/namespaces.yaml): ERROR need {key} in cozystack ConfigMap"
            ));
        }
    }
    Ok(())
}

/// The container runs: after Flux is up the platform follows.
pub fn started(world: &mut World, pod: &Key) {
    pods::note(world, pod, Duration::ZERO, "configmap/cozystack-version created".into());
    if !world.begin(format!("platform of {}", pod.name)) {
        return;
    }
    let after = world.scenario.latency.flux_s;
    world.after(after, |world| {
        platform(world);
        settle(world);
    });
}

/// The ConfigMap was written: a running installer sees it when its loop comes around.
pub fn config_changed(world: &mut World, key: &Key) {
    let running = world.object(&Key::new("", "configmaps", NAMESPACE, "cozystack-version")).is_some();
    if *key != config_key() || !running {
        return;
    }
    if world.state().is_none_or(|s| std::mem::replace(&mut s.platform_due, true)) {
        return;
    }
    let after = world.scenario.latency.release_default_s;
    world.after(after, |world| {
        if let Some(state) = world.state() {
            state.platform_due = false;
        }
        platform(world);
        settle(world);
    });
}

fn list(config: &BTreeMap<String, String>, key: &str) -> BTreeSet<String> {
    let text = config.get(key).map(String::as_str).unwrap_or_default();
    // Split without trimming, as the chart does: a name behind a space is never found.
    text.split(',').filter(|n| !n.is_empty()).map(str::to_string).collect()
}

/// Renders the platform chart and applies it.
fn platform(world: &mut World) {
    if check(world).is_err() {
        return;
    }
    let Some(config) = config(world) else { return };
    let (disable, enable) = (list(&config, "bundle-disable"), list(&config, "bundle-enable"));
    let oidc = config.get("oidc-enabled").is_some_and(|v| v == "true");
    let graph = bundle::graph();
    let chosen = graph.chosen(&disable, &enable, oidc);

    let mut namespaces: BTreeMap<&str, bool> = BTreeMap::from([(NAMESPACE, true), ("cozy-public", false)]);
    for c in graph.components().iter().filter(|c| c.privileged) {
        namespaces.insert(&c.namespace, true);
    }
    for c in &chosen {
        namespaces.entry(&c.namespace).or_insert(false);
    }
    for (name, privileged) in namespaces {
        let mut labels = json!({"cozystack.io/system": "true"});
        if privileged {
            labels["pod-security.kubernetes.io/enforce"] = json!("privileged");
        }
        let kept = json!({"helm.sh/resource-policy": "keep"});
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": labels, "annotations": kept}});
        world.apply_object(Key::new("", "namespaces", "", name), namespace);
    }
    let version = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"version": VERSION}});
    world.apply_object(Key::new("", "configmaps", NAMESPACE, "cozystack-version"), version);
    products::serve(world, "flux");
    products::workloads(world, "fluxcd-operator", "cozy-fluxcd");
    products::workloads(world, "fluxcd", "cozy-fluxcd");
    for (name, namespace, path) in [
        ("cozystack-system", NAMESPACE, "system"),
        ("cozystack-apps", "cozy-public", "apps"),
        ("cozystack-extra", "cozy-public", "extra"),
    ] {
        let mut labels = json!({"cozystack.io/repository": path});
        if path == "apps" {
            labels["cozystack.io/ui"] = json!("true");
        }
        let repository = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": {"labels": labels},
            "spec": {"interval": "5m0s", "url": format!("http://cozystack.cozy-system.svc/repos/{path}")}});
        world.apply_object(Key::new("source.toolkit.fluxcd.io", "helmrepositories", namespace, name), repository);
    }
    let kept: BTreeSet<&str> = chosen.iter().map(|c| c.name.as_str()).collect();
    let planes = world.state().map(|s| s.control_planes.values().cloned().collect::<Vec<_>>()).unwrap_or_default();
    for c in &chosen {
        world.apply_object(release_key(&c.namespace, &c.name), release(c, &config, &planes));
    }
    for c in graph.components().iter().filter(|c| !kept.contains(c.name.as_str())) {
        world.remove_object(&release_key(&c.namespace, &c.name));
    }
    root_tenant(world, &config);
    expose(world);
}

fn release_key(namespace: &str, name: &str) -> Key {
    Key::new("helm.toolkit.fluxcd.io", "helmreleases", namespace, name)
}

fn release(c: &bundle::Component, config: &BTreeMap<String, String>, planes: &[String]) -> Value {
    let graph = bundle::graph();
    let after: Vec<Value> = c
        .after
        .iter()
        .map(|name| json!({"name": name, "namespace": graph.namespace_of(name).unwrap_or_default()}))
        .collect();
    let chart =
        if c.name.starts_with("cozystack-resource-definition") { c.name.clone() } else { format!("cozy-{}", c.name) };
    let files = match c.name.as_str() {
        "cilium" => Some(json!(["values.yaml", "values-talos.yaml", "values-kubeovn.yaml"])),
        "gpu-operator" => Some(json!(["values.yaml", "values-talos.yaml"])),
        _ => None,
    };
    let values = values(&c.name, config, planes);
    let mut release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"labels": {"cozystack.io/repository": "system", "cozystack.io/system-app": "true"}},
        "spec": {
            "interval": "5m", "releaseName": c.release.as_ref().unwrap_or(&c.name),
            "install": {"crds": "CreateReplace", "remediation": {"retries": -1}},
            "upgrade": {"crds": "CreateReplace", "remediation": {"retries": -1}},
            "chart": {"spec": {"chart": chart, "version": ">= 0.0.0-0", "reconcileStrategy": "Revision",
                "sourceRef": {"kind": "HelmRepository", "name": "cozystack-system", "namespace": NAMESPACE}}},
        },
    });
    if let Some(files) = files {
        release["spec"]["chart"]["spec"]["valuesFiles"] = files;
    }
    if values.as_object().is_some_and(|v| !v.is_empty()) {
        release["spec"]["values"] = values;
    }
    if !after.is_empty() {
        release["spec"]["dependsOn"] = json!(after);
    }
    release
}

/// The values that the bundle gives a release, and what the ConfigMap lays over them.
fn values(name: &str, config: &BTreeMap<String, String>, planes: &[String]) -> Value {
    let said = |key: &str| config.get(key).map(String::as_str).unwrap_or_default();
    let domain = Some(said("cluster-domain")).filter(|d| !d.is_empty()).unwrap_or("cozy.local");
    let mut values = match name {
        "fluxcd" => json!({"flux-instance": {"instance": {"cluster": {"domain": domain}}}}),
        "kubeovn" => json!({
            "cozystack": {"nodesHash": crate::releases::sha256(planes.join(",").as_bytes())},
            "kube-ovn": {"ipv4": {
                "POD_CIDR": said("ipv4-pod-cidr"), "POD_GATEWAY": said("ipv4-pod-gateway"),
                "SVC_CIDR": said("ipv4-svc-cidr"), "JOIN_CIDR": said("ipv4-join-cidr")}}}),
        "cozystack-controller" if said("telemetry-enabled") == "false" => {
            json!({"cozystackController": {"disableTelemetry": true}})
        }
        "monitoring-agents" => json!({"scrapeRules": {"etcd": {"enabled": true}}}),
        "mariadb-operator" => json!({"mariadb-operator": {"clusterName": domain}}),
        "kafka-operator" => json!({"strimzi-kafka-operator": {"kubernetesServiceDnsDomain": domain}}),
        "dashboard" => json!({"kubeapps": {"frontend": {"resourcesPreset": "none"},
            "dashboard": {"resourcesPreset": "none"}}}),
        "vertical-pod-autoscaler" => {
            let at = format!("http://vmselect-shortterm.tenant-root.svc.{domain}:8481/select/0/prometheus/");
            json!({"vertical-pod-autoscaler": {"recommender": {"extraArgs": {"prometheus-address": at}}}})
        }
        _ => json!({}),
    };
    if let Ok(over) = serde_yaml::from_str::<Value>(said(&format!("values-{name}"))) {
        lay_over(&mut values, over);
    }
    values
}

/// Objects are merged, everything else is replaced.
fn lay_over(into: &mut Value, over: Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, over) => *into = over,
    }
}

/// Namespace and HelmRelease `tenant-root`. What the release's values say already stays.
fn root_tenant(world: &mut World, config: &BTreeMap<String, String>) {
    let host = config.get("root-host").cloned().unwrap_or_default();
    let notes: serde_json::Map<String, Value> = ["etcd", "monitoring", "ingress", "seaweedfs"]
        .into_iter()
        .map(|part| (format!("namespace.cozystack.io/{part}"), json!("tenant-root")))
        .chain([("namespace.cozystack.io/host".to_string(), json!(host))])
        .chain([("helm.sh/resource-policy".to_string(), json!("keep"))])
        .collect();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"annotations": notes}});
    world.apply_object(Key::new("", "namespaces", "", "tenant-root"), namespace);
    let key = tenants::release_key("tenant-root");
    let mut values = world.object(&key).map(|r| r["spec"]["values"].clone()).unwrap_or_default();
    if text(&values, "/host").is_empty() {
        values["host"] = json!(host);
    }
    let release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"labels": {"cozystack.io/ui": "true"}},
        "spec": {"interval": "0s", "releaseName": "tenant-root",
            "install": {"remediation": {"retries": -1}}, "upgrade": {"remediation": {"retries": -1}},
            "dependsOn": [{"name": "cilium", "namespace": "cozy-cilium"},
                {"name": "kubeovn", "namespace": "cozy-kubeovn"}],
            "chart": {"spec": {"chart": "tenant", "version": ">= 0.0.0-0",
                "sourceRef": {"kind": "HelmRepository", "name": "cozystack-apps", "namespace": "cozy-public"}}},
            "values": values},
    });
    world.apply_object(key, release);
}

/// The Ingresses of the exposed services; they are part of the root tenant's ingress release.
pub fn expose(world: &mut World) {
    let ingress = world.object(&tenants::release_key("ingress")).is_some_and(super::objects::is_ready_now);
    let Some(config) = config(world).filter(|_| ingress) else { return };
    let host = config.get("root-host").cloned().unwrap_or_default();
    let exposed = list(&config, "expose-services");
    let class = config.get("expose-ingress").cloned().unwrap_or_else(|| "tenant-root".into());
    let address = world
        .object(&Key::new("", "services", "tenant-root", "root-ingress-controller"))
        .and_then(|s| s.pointer("/status/loadBalancer/ingress/0/ip").cloned());
    for (service, namespace, name, backend, port) in [
        ("dashboard", "cozy-dashboard", "dashboard-web-ingress", "incloud-web-gatekeeper", 8000),
        ("api", "default", "kubernetes", "kubernetes", 443),
        ("keycloak", "cozy-keycloak", "keycloak-ingress", "keycloak-http", 80),
    ] {
        let key = Key::new("networking.k8s.io", "ingresses", namespace, name);
        if !exposed.contains(service) {
            world.remove_object(&key);
            continue;
        }
        let full = format!("{service}.{host}");
        // Kubernetes' own API has its own certificate: its connections are handed on unopened.
        let notes = match service {
            "api" => json!({"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
                "nginx.ingress.kubernetes.io/ssl-passthrough": "true"}),
            _ => json!({"cert-manager.io/cluster-issuer": "letsencrypt-prod",
                "acme.cert-manager.io/http01-ingress-class": class}),
        };
        let mut ingress = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"annotations": notes},
            "spec": {"ingressClassName": class,
                "rules": [{"host": full, "http": {"paths": [{"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": backend, "port": {"number": port}}}}]}}]},
        });
        if service != "api" {
            let secret = if service == "dashboard" { "dashboard-web-tls".to_string() } else { format!("{name}-tls") };
            ingress["spec"]["tls"] = json!([{"hosts": [full], "secretName": secret}]);
        }
        world.apply_object(key.clone(), ingress);
        if let Some(ip) = &address {
            world.change_object(&key, |i| i["status"] = json!({"loadBalancer": {"ingress": [{"ip": ip}]}}));
        }
    }
}

/// A repository is as good as its URL: the lab never fetches a chart.
pub fn repository_ready(world: &mut World, key: &Key) {
    let at = seconds(world.now);
    let Some(repository) = world.object(key) else { return };
    let digest = format!("sha256:{:064x}", super::objects::hash(&uid(repository)));
    if repository["spec"]["type"] == "oci" || super::objects::is_ready_now(repository) {
        return;
    }
    world.change_object(key, |r| {
        let message = format!("stored artifact: revision '{digest}'");
        super::objects::set_condition(r, &at, "Ready", "True", "Succeeded", &message);
        r["status"]["observedGeneration"] = r["metadata"]["generation"].clone();
        let path = format!(
            "helmrepository/{}/{}/index-{}.yaml",
            key.namespace,
            key.name,
            digest.trim_start_matches("sha256:")
        );
        let url = format!("http://source-controller.cozy-fluxcd.svc.cozy.local./{path}");
        r["status"]["artifact"] =
            json!({"digest": digest, "lastUpdateTime": at, "path": path, "revision": digest, "url": url});
        r["status"]["url"] = json!(url);
    });
}
