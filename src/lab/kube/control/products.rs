//! The objects that each release brings: its workloads, its API groups, and what else follows from it.
mod brought;

use super::objects::{owned_by, set_condition, text};
use super::{applications, balancer, definitions, installer, linstor, nodes, proxmox, releases, storage, tenants};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// As many replicas as there are control planes: the chart counts them.
const PER_CONTROL_PLANE: u64 = 0;

#[derive(Clone, Copy)]
enum Kind {
    Deployment(u64),
    DaemonSet,
    /// Replicas, each with a volume of this size.
    StatefulSet(u64, &'static str),
}

struct Workload {
    name: String,
    kind: Kind,
    /// Runs before there is a CNI.
    host_network: bool,
}

fn deployment(name: &str, replicas: u64) -> Workload {
    Workload { name: name.into(), kind: Kind::Deployment(replicas), host_network: false }
}

fn daemon_set(name: &str) -> Workload {
    Workload { name: name.into(), kind: Kind::DaemonSet, host_network: false }
}

fn stateful_set(name: &str, replicas: u64, size: &'static str) -> Workload {
    Workload { name: name.into(), kind: Kind::StatefulSet(replicas, size), host_network: false }
}

fn on_host(workload: Workload) -> Workload {
    Workload { host_network: true, ..workload }
}

/// The workloads of a release, under the names that the charts of v0.37.2 give them; one of its own name for others.
fn workloads_of(release: &str) -> Vec<Workload> {
    let one = |names: &[&str]| names.iter().map(|n| deployment(n, 1)).collect();
    match release {
        "cilium" => vec![on_host(daemon_set("cilium")), on_host(deployment("cilium-operator", 2))],
        "kubeovn" => vec![
            on_host(deployment("ovn-central", PER_CONTROL_PLANE)),
            on_host(deployment("kube-ovn-controller", PER_CONTROL_PLANE)),
            on_host(deployment("kube-ovn-monitor", 1)),
            on_host(daemon_set("kube-ovn-cni")),
            on_host(daemon_set("kube-ovn-pinger")),
            on_host(daemon_set("ovs-ovn")),
        ],
        "fluxcd-operator" => vec![on_host(deployment("flux-operator", 1))],
        "fluxcd" => one(&["source-controller", "helm-controller"]),
        "cozy-proxy" => vec![on_host(daemon_set("cozy-proxy"))],
        "cert-manager" => one(&["cert-manager", "cert-manager-cainjector", "cert-manager-webhook"]),
        "cozystack-api" => vec![deployment("cozystack-api", 2)],
        "cozystack-controller" => one(&["cozystack-controller"]),
        "kubeovn-plunger" => one(&["kube-ovn-plunger"]),
        "reloader" => one(&["reloader-reloader"]),
        "grafana-operator" => one(&["grafana-operator"]),
        "kamaji" => one(&["kamaji"]),
        "lineage-controller-webhook" => vec![on_host(daemon_set("lineage-controller-webhook"))],
        "kubeovn-webhook" => vec![deployment("kube-ovn-webhook", 2)],
        "metallb" => vec![deployment("metallb-controller", 1), on_host(daemon_set("metallb-speaker"))],
        "etcd-operator" => one(&["etcd-operator-controller-manager"]),
        "victoria-metrics-operator" => one(&["victoria-metrics-operator"]),
        "monitoring-agents" => {
            let own = |name: &str| format!("monitoring-agents-{name}");
            vec![
                deployment(&own("kube-state-metrics"), 1),
                deployment(&own("metrics-server"), 1),
                daemon_set(&own("fluent-bit")),
                daemon_set(&own("prometheus-node-exporter")),
                daemon_set("kube-rbac-proxy"),
                // Made by the operator from the chart's VMAgent.
                deployment("vmagent-vmagent", 1),
            ]
        }
        "mariadb-operator" => {
            one(&["mariadb-operator", "mariadb-operator-webhook", "mariadb-operator-cert-controller"])
        }
        "postgres-operator" => one(&["postgres-operator-cloudnative-pg"]),
        "kafka-operator" => one(&["strimzi-cluster-operator"]),
        "clickhouse-operator" => one(&["clickhouse-operator-altinity-clickhouse-operator"]),
        "rabbitmq-operator" => one(&["rabbitmq-cluster-operator", "messaging-topology-operator"]),
        "redis-operator" => one(&["redis-operator"]),
        "piraeus-operator" => one(&["piraeus-operator-controller-manager"]),
        "linstor" => vec![
            deployment("linstor-controller", 1),
            deployment("linstor-csi-controller", 1),
            daemon_set("linstor-csi-node"),
            on_host(daemon_set("linstor-satellite")),
        ],
        "snapshot-controller" => {
            vec![deployment("snapshot-controller", 2), deployment("snapshot-validation-webhook", 2)]
        }
        "objectstorage-controller" => one(&["container-object-storage-controller"]),
        "dashboard" => one(&["incloud-web-gatekeeper", "incloud-web-nginx", "incloud-web-web"]),
        "capi-operator" => one(&["capi-operator-cluster-api-operator"]),
        "capi-providers-core" => one(&["capi-controller-manager"]),
        "capi-providers-bootstrap" => one(&["capi-kubeadm-bootstrap-controller-manager"]),
        "capi-providers-cpprovider" => one(&["capi-kamaji-controller-manager"]),
        "capi-providers-infraprovider" => one(&["capk-controller-manager"]),
        "goldpinger" => vec![daemon_set("goldpinger")],
        "vertical-pod-autoscaler" => one(&[
            "vertical-pod-autoscaler-admission-controller",
            "vertical-pod-autoscaler-recommender",
            "vertical-pod-autoscaler-updater",
        ]),
        // The release's name is no part of the chart's: Helm joins both.
        "proxmox-csi" => vec![
            deployment("proxmox-csi-proxmox-csi-plugin-controller", 1),
            daemon_set("proxmox-csi-proxmox-csi-plugin-node"),
        ],
        "kubevirt-operator" => vec![deployment("virt-operator", 2)],
        "kubevirt-cdi-operator" => one(&["cdi-operator"]),
        "etcd" => vec![stateful_set("etcd", 3, "4Gi")],
        "ingress-nginx-system" => {
            vec![deployment("root-ingress-controller", 2), deployment("root-ingress-defaultbackend", 1)]
        }
        "monitoring" => vec![
            deployment("grafana-deployment", 2),
            stateful_set("vmstorage-shortterm", 2, "10Gi"),
            stateful_set("vmstorage-longterm", 2, "10Gi"),
        ],
        "seaweedfs-system" => vec![
            deployment("seaweedfs-filer", 2),
            deployment("seaweedfs-s3", 2),
            stateful_set("seaweedfs-volume", 2, "10Gi"),
        ],
        "cilium-networkpolicy"
        | "cert-manager-crds"
        | "cert-manager-issuers"
        | "cozystack-resource-definition-crd"
        | "cozystack-resource-definitions"
        | "vertical-pod-autoscaler-crds"
        | "kubevirt-instancetypes"
        | "keycloak-configure"
        | "tenant-root"
        | "info"
        | "ingress"
        | "seaweedfs" => Vec::new(),
        other => one(&[other]),
    }
}

/// Puts the workloads of a release into its namespace.
pub fn workloads(world: &mut World, release: &str, namespace: &str) {
    let owner = releases::labels(&Key::new("helm.toolkit.fluxcd.io", "helmreleases", namespace, release));
    let planes = world.state().map_or(1, |s| s.control_planes.len().max(1));
    for w in workloads_of(release) {
        let mut labels = owner.clone();
        labels["app.kubernetes.io/managed-by"] = json!("Helm");
        let mut chosen = json!({"app.kubernetes.io/instance": release, "app.kubernetes.io/name": w.name});
        match (release, w.name.as_str()) {
            ("cilium", "cilium") => chosen["k8s-app"] = json!("cilium"),
            ("kubeovn", name) => chosen["app"] = json!(name),
            ("proxmox-csi", name) => {
                let part = if name.ends_with("-node") { "node" } else { "controller" };
                chosen["app.kubernetes.io/name"] = json!("proxmox-csi-plugin");
                chosen["app.kubernetes.io/component"] = json!(part);
            }
            _ => {}
        }
        let image = format!("registry.lab/{}:{}", w.name, world.scenario.cozystack);
        let mut pod = json!({"containers": [{"name": w.name, "image": image}]});
        if w.host_network {
            pod["hostNetwork"] = json!(true);
            pod["tolerations"] = json!([{"operator": "Exists"}]);
        }
        let mut template = json!({"metadata": {"labels": chosen}, "spec": pod});
        if let Some(annotations) = proxmox::annotations(world, release, namespace, &w.name) {
            template["metadata"]["annotations"] = annotations;
        }
        let spec = json!({"selector": {"matchLabels": chosen}, "template": template});
        let (plural, kind, spec) = match w.kind {
            Kind::Deployment(replicas) => {
                let mut spec = spec;
                spec["replicas"] = if replicas == PER_CONTROL_PLANE { json!(planes) } else { json!(replicas) };
                ("deployments", "Deployment", spec)
            }
            Kind::DaemonSet => ("daemonsets", "DaemonSet", spec),
            Kind::StatefulSet(replicas, size) => {
                let mut spec = spec;
                spec["replicas"] = json!(replicas);
                spec["serviceName"] = json!(w.name);
                let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": size}}}});
                spec["volumeClaimTemplates"] = json!([claim]);
                ("statefulsets", "StatefulSet", spec)
            }
        };
        let object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"labels": labels}, "spec": spec});
        world.apply_object(Key::new("apps", plural, namespace, &w.name), object);
    }
}

/// A Deployment of one pod that belongs to another object.
pub fn deploy(world: &mut World, namespace: &str, name: &str, labels: &Value, owner: &Value) {
    let image = format!("registry.lab/{name}:{}", text(owner, "/spec/version"));
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"labels": labels, "ownerReferences": owned_by(owner)},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "manager", "image": image}]}}},
    });
    world.apply_object(Key::new("apps", "deployments", namespace, name), object);
}

/// The install begins.
pub fn begin(world: &mut World, key: &Key) {
    if applications::begun(world, key) {
        return;
    }
    workloads(world, &key.name, &key.namespace);
    match key.name.as_str() {
        "ingress-nginx-system" => ingress_service(world, key),
        "cozystack-api" => api_services(world, false),
        _ => {}
    }
}

/// The root tenant's ingress controller is reached through a LoadBalancer, or through addresses of the ConfigMap.
fn ingress_service(world: &mut World, key: &Key) {
    let config = world.object(&Key::new("", "configmaps", "cozy-system", "cozystack"));
    let external: Vec<String> = config
        .map(|c| text(c, "/data/expose-external-ips"))
        .unwrap_or_default()
        .split(',')
        .filter(|a| !a.is_empty())
        .map(str::to_string)
        .collect();
    let port = |name: &str, port: u16| json!({"name": name, "port": port, "targetPort": name, "protocol": "TCP"});
    let mut spec = json!({"type": "LoadBalancer", "ports": [port("http", 80), port("https", 443)],
        "selector": {"app.kubernetes.io/name": "root-ingress-controller"}});
    if !external.is_empty() {
        spec["type"] = json!("ClusterIP");
        spec["externalIPs"] = json!(external);
    }
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"labels": releases::labels(key)}, "spec": spec});
    world.apply_object(Key::new("", "services", &key.namespace, "root-ingress-controller"), service);
}

fn api_services(world: &mut World, available: bool) {
    let at = seconds(world.now);
    for group in ["apps.cozystack.io", "core.cozystack.io"] {
        let key = Key::new("apiregistration.k8s.io", "apiservices", "", &format!("v1alpha1.{group}"));
        let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {},
            "spec": {"group": group, "version": "v1alpha1", "groupPriorityMinimum": 1000, "versionPriority": 15,
                "service": {"name": "cozystack-api", "namespace": "cozy-system", "port": 443}}});
        world.apply_object(key.clone(), service);
        let (status, reason, message) = if available {
            ("True", "Passed", "all checks passed")
        } else {
            ("False", "MissingEndpoints", "endpoints for service/cozystack-api in \"cozy-system\" have no addresses")
        };
        world.change_object(&key, |s| set_condition(s, &at, "Available", status, reason, message));
    }
}

/// The reason why the chart's workloads would not come up.
pub fn refusal(world: &mut World, release: &Value) -> Option<String> {
    if proxmox::is_driver(release) {
        return proxmox::refusal(world, release);
    }
    // The chart of the root tenant's monitoring asks for this class by name.
    let replicated = Key::new("storage.k8s.io", "storageclasses", "", "replicated");
    if text(release, "/metadata/name") == "monitoring" && world.object(&replicated).is_none() {
        return Some(
            "timed out waiting for the condition: PersistentVolumeClaim server-volume-vlogs-generic is Pending".into(),
        );
    }
    None
}

/// The release is installed; called just before its status says so.
pub fn installed(world: &mut World, key: &Key, release: &Value) {
    serve(world, &key.name);
    match key.name.as_str() {
        "cozystack-api" => api_services(world, true),
        "capi-providers-core" => provider(world, key, ("coreproviders", "CoreProvider"), "cluster-api", "v1.10.1-core"),
        "capi-providers-bootstrap" => {
            provider(world, key, ("bootstrapproviders", "BootstrapProvider"), "kubeadm", "v1.10.1-bootstrap");
        }
        "capi-providers-cpprovider" => {
            provider(world, key, ("controlplaneproviders", "ControlPlaneProvider"), "kamaji", "v0.15.1-cp");
        }
        "linstor" => linstor::installed(world),
        "tenant-root" => tenants::installed(world, release),
        "ingress" if key.namespace == "tenant-root" => {
            tenants::child(world, "ingress-nginx-system", "cozy-ingress-nginx");
            let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {},
                "spec": {"controller": "k8s.io/ingress-nginx-tenant-root"}});
            world.apply_object(Key::new("networking.k8s.io", "ingressclasses", "", "tenant-root"), class);
        }
        "seaweedfs" if key.namespace == "tenant-root" => tenants::child(world, "seaweedfs-system", "cozy-seaweedfs"),
        "etcd" if key.namespace == "tenant-root" => {
            let endpoints: Vec<String> =
                (0..3).map(|n| format!("etcd-{n}.etcd-headless.tenant-root.svc:2379")).collect();
            let store = json!({"apiVersion": "kamaji.clastix.io/v1alpha1", "kind": "DataStore", "metadata": {},
                "spec": {"driver": "etcd", "endpoints": endpoints}, "status": {"observedGeneration": 1, "ready": true}});
            world.apply_object(Key::new("kamaji.clastix.io", "datastores", "", "tenant-root"), store);
        }
        _ => {}
    }
}

/// The release's status says Ready: what looks at that status can go on.
pub fn settled(world: &mut World, key: &Key) {
    match key.name.as_str() {
        "cilium" | "kubeovn" => nodes::network_changed(world),
        "metallb" => balancer::wake(world),
        "cozystack-api" => tenants::show(world),
        "linstor" => storage::wake(world),
        "ingress" | "ingress-nginx-system" | "dashboard" => installer::expose(world),
        _ => {
            let driver = world.object(key).cloned().filter(proxmox::is_driver);
            if let Some(release) = driver {
                proxmox::installed(world, &release);
                storage::wake(world);
            }
        }
    }
}

/// A provider that CozyStack ships: its components are in a ConfigMap of the version's name.
fn provider(world: &mut World, key: &Key, (plural, kind): (&str, &str), name: &str, version: &str) {
    let at = seconds(world.now);
    let labels = json!({"provider-components": name, "provider.cluster.x-k8s.io/version": version});
    let components = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"labels": labels, "annotations": {"provider.cluster.x-k8s.io/compressed": "true"}},
        "data": {"metadata": METADATA}, "binaryData": {"components": COMPONENTS}});
    world.put_object(Key::new("", "configmaps", &key.namespace, version), components);
    let mut provider = json!({"apiVersion": "operator.cluster.x-k8s.io/v1alpha2", "kind": kind, "metadata": {},
        "spec": {"version": version, "fetchConfig": {"selector": {"matchLabels": labels}}},
        "status": {"installedVersion": version, "contract": "v1beta1"}});
    for kind in ["PreflightCheckPassed", "ProviderInstalled", "Ready"] {
        set_condition(&mut provider, &at, kind, "True", "", "");
    }
    world.put_object(Key::new("operator.cluster.x-k8s.io", plural, &key.namespace, name), provider);
}

/// What a provider's ConfigMap says of its contract, and its components: an empty document, gzipped.
const METADATA: &str = "apiVersion: clusterctl.cluster.x-k8s.io/v1alpha3\nkind: Metadata\nreleaseSeries:\n\
    - {major: 1, minor: 10, contract: v1beta1}\n- {major: 0, minor: 15, contract: v1beta1}\n";
const COMPONENTS: &str = "H4sIAAAAAAACA9PV1eUCAL3OdoMEAAAA";

/// From now on the API serves what this release brings.
pub fn serve(world: &mut World, release: &str) {
    definitions::define(world, brought::by(release));
    if release == "cozystack-api"
        && let Some(state) = world.state()
    {
        state.groups.extend(["apps.cozystack.io", "core.cozystack.io"].map(String::from));
    }
}

#[cfg(test)]
mod tests;
