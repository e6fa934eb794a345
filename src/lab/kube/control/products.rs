//! What each release brings: its workloads, its API groups, and what else follows from it.
use super::objects::{items, owned_by, set_condition, text};
use super::{balancer, definitions, installer, linstor, nodes, proxmox, releases, storage, tenants};
use crate::lab::kube::store::{Key, seconds};
use crate::lab::world::World;
use serde_json::{Value, json};

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
        "cilium" => vec![on_host(daemon_set("cilium")), on_host(deployment("cilium-operator", 1))],
        "kubeovn" => vec![
            on_host(deployment("ovn-central", 1)),
            on_host(deployment("kube-ovn-controller", 1)),
            on_host(daemon_set("kube-ovn-cni")),
            on_host(daemon_set("ovs-ovn")),
        ],
        "fluxcd-operator" => vec![on_host(deployment("flux-operator", 1))],
        "fluxcd" => one(&["source-controller", "helm-controller"]),
        "cozy-proxy" => vec![on_host(daemon_set("cozy-proxy"))],
        "cert-manager" => one(&["cert-manager", "cert-manager-cainjector", "cert-manager-webhook"]),
        "cozystack-api" => vec![deployment("cozystack-api", 2)],
        "cozystack-controller" => one(&["cozystack-controller"]),
        "kubeovn-plunger" => one(&["kube-ovn-plunger"]),
        "reloader" => one(&["reloader"]),
        "grafana-operator" => one(&["grafana-operator"]),
        "kamaji" => one(&["kamaji"]),
        "lineage-controller-webhook" => vec![on_host(daemon_set("lineage-controller-webhook"))],
        "kubeovn-webhook" => one(&["kube-ovn-webhook"]),
        "metallb" => vec![deployment("metallb-controller", 1), on_host(daemon_set("metallb-speaker"))],
        "etcd-operator" => one(&["etcd-operator-controller-manager"]),
        "victoria-metrics-operator" => one(&["victoria-metrics-operator"]),
        "monitoring-agents" => {
            vec![deployment("kube-state-metrics", 1), deployment("vmagent-vmagent", 1), daemon_set("fluent-bit")]
        }
        "mariadb-operator" => one(&["mariadb-operator", "mariadb-operator-webhook"]),
        "postgres-operator" => one(&["postgres-operator-cloudnative-pg"]),
        "kafka-operator" => one(&["strimzi-cluster-operator"]),
        "clickhouse-operator" => one(&["clickhouse-operator-altinity-clickhouse-operator"]),
        "rabbitmq-operator" => one(&["rabbitmq-cluster-operator"]),
        "redis-operator" => one(&["redis-operator"]),
        "piraeus-operator" => one(&["piraeus-operator-controller-manager", "piraeus-operator-gencert"]),
        "linstor" => vec![
            deployment("linstor-controller", 1),
            deployment("linstor-csi-controller", 1),
            daemon_set("linstor-csi-node"),
            on_host(daemon_set("linstor-satellite")),
        ],
        "snapshot-controller" => vec![deployment("snapshot-controller", 2)],
        "objectstorage-controller" => one(&["objectstorage-controller"]),
        "dashboard" => one(&["incloud-web-gatekeeper", "incloud-web-nginx", "incloud-web-web"]),
        "capi-operator" => one(&["capi-operator-cluster-api-operator"]),
        "capi-providers-core" => one(&["capi-controller-manager"]),
        "capi-providers-bootstrap" => one(&["capi-kubeadm-bootstrap-controller-manager"]),
        "capi-providers-cpprovider" => one(&["capi-kamaji-controller-manager"]),
        "capi-providers-infraprovider" => one(&["capk-controller-manager"]),
        "goldpinger" => vec![daemon_set("goldpinger")],
        "vertical-pod-autoscaler" => one(&[
            "vertical-pod-autoscaler-vpa-admission-controller",
            "vertical-pod-autoscaler-vpa-recommender",
            "vertical-pod-autoscaler-vpa-updater",
        ]),
        "proxmox-csi" => vec![deployment("proxmox-csi-plugin-controller", 1), daemon_set("proxmox-csi-plugin-node")],
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
        let image = format!("registry.lab/{}:{}", w.name, super::bundle::graph().version);
        let mut pod = json!({"containers": [{"name": w.name, "image": image}]});
        if w.host_network {
            pod["hostNetwork"] = json!(true);
            pod["tolerations"] = json!([{"operator": "Exists"}]);
        }
        let template = json!({"metadata": {"labels": chosen}, "spec": pod});
        let spec = json!({"selector": {"matchLabels": chosen}, "template": template});
        let (plural, kind, spec) = match w.kind {
            Kind::Deployment(replicas) => {
                let mut spec = spec;
                spec["replicas"] = json!(replicas);
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

/// Why the chart's workloads would not come up.
pub fn refusal(world: &World, release: &Value) -> Option<String> {
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
        "capi-providers-core" => core_provider(world, key),
        "linstor" => linstor::installed(world),
        "tenant-root" => tenants::installed(world, release),
        "ingress" if key.namespace == "tenant-root" => {
            tenants::child(world, "ingress-nginx-system", "ingress-nginx-system");
            let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {},
                "spec": {"controller": "k8s.io/ingress-nginx-tenant-root"}});
            world.apply_object(Key::new("networking.k8s.io", "ingressclasses", "", "tenant-root"), class);
        }
        "seaweedfs" if key.namespace == "tenant-root" => tenants::child(world, "seaweedfs-system", "seaweedfs-system"),
        "etcd" if key.namespace == "tenant-root" => {
            let at = seconds(world.now);
            let mut store = json!({"apiVersion": "kamaji.clastix.io/v1alpha1", "kind": "DataStore", "metadata": {},
                "spec": {"driver": "etcd"}});
            set_condition(&mut store, &at, "Ready", "True", "Ready", "");
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

fn core_provider(world: &mut World, key: &Key) {
    let at = seconds(world.now);
    let mut provider = json!({"apiVersion": "operator.cluster.x-k8s.io/v1alpha2", "kind": "CoreProvider", "metadata": {},
        "spec": {"version": "v1.10.1"}, "status": {"installedVersion": "v1.10.1", "contract": "v1beta1"}});
    for kind in ["PreflightCheckPassed", "ProviderInstalled", "Ready"] {
        set_condition(&mut provider, &at, kind, "True", "", "");
    }
    world.put_object(Key::new("operator.cluster.x-k8s.io", "coreproviders", &key.namespace, "cluster-api"), provider);
}

/// The custom resources that a release brings: group and plural. [`definitions`] has the rest.
type Brought = (&'static str, &'static str);

fn brought_by(release: &str) -> &'static [Brought] {
    match release {
        "flux" => &[
            ("helm.toolkit.fluxcd.io", "helmreleases"),
            ("source.toolkit.fluxcd.io", "helmrepositories"),
            ("source.toolkit.fluxcd.io", "helmcharts"),
            ("source.toolkit.fluxcd.io", "ocirepositories"),
            ("fluxcd.controlplane.io", "fluxinstances"),
        ],
        "cilium" => &[("cilium.io", "ciliumnetworkpolicies")],
        "kubeovn" => &[("kubeovn.io", "subnets")],
        "cert-manager-crds" => &[("cert-manager.io", "certificates"), ("cert-manager.io", "clusterissuers")],
        "metallb" => &[("metallb.io", "ipaddresspools"), ("metallb.io", "l2advertisements")],
        "cozystack-resource-definition-crd" => &[("cozystack.io", "cozystackresourcedefinitions")],
        "kamaji" => &[("kamaji.clastix.io", "datastores"), ("kamaji.clastix.io", "tenantcontrolplanes")],
        "piraeus-operator" => &[
            ("piraeus.io", "linstorclusters"),
            ("piraeus.io", "linstorsatellites"),
            ("piraeus.io", "linstorsatelliteconfigurations"),
        ],
        "capi-operator" => &[
            ("operator.cluster.x-k8s.io", "coreproviders"),
            ("operator.cluster.x-k8s.io", "bootstrapproviders"),
            ("operator.cluster.x-k8s.io", "controlplaneproviders"),
            ("operator.cluster.x-k8s.io", "infrastructureproviders"),
            ("operator.cluster.x-k8s.io", "ipamproviders"),
        ],
        "capi-providers-core" => &[
            ("cluster.x-k8s.io", "clusters"),
            ("cluster.x-k8s.io", "machines"),
            ("cluster.x-k8s.io", "machinedeployments"),
            ("ipam.cluster.x-k8s.io", "ipaddresses"),
            ("ipam.cluster.x-k8s.io", "ipaddressclaims"),
        ],
        "capi-providers-bootstrap" => &[("bootstrap.cluster.x-k8s.io", "kubeadmconfigtemplates")],
        "capi-providers-cpprovider" => &[("controlplane.cluster.x-k8s.io", "kamajicontrolplanes")],
        "infrastructureproviders" => &[
            ("infrastructure.cluster.x-k8s.io", "proxmoxclusters"),
            ("infrastructure.cluster.x-k8s.io", "proxmoxclustertemplates"),
            ("infrastructure.cluster.x-k8s.io", "proxmoxmachines"),
            ("infrastructure.cluster.x-k8s.io", "proxmoxmachinetemplates"),
        ],
        "ipamproviders" => {
            &[("ipam.cluster.x-k8s.io", "inclusterippools"), ("ipam.cluster.x-k8s.io", "globalinclusterippools")]
        }
        "etcd-operator" => &[("etcd.aenix.io", "etcdclusters")],
        "postgres-operator" => &[("postgresql.cnpg.io", "clusters")],
        "grafana-operator" => &[("grafana.integreatly.org", "grafanas")],
        "snapshot-controller" => &[("snapshot.storage.k8s.io", "volumesnapshots")],
        "victoria-metrics-operator" => {
            &[("operator.victoriametrics.com", "vmclusters"), ("operator.victoriametrics.com", "vmalerts")]
        }
        _ => &[],
    }
}

/// From now on the API serves what this release brings.
pub fn serve(world: &mut World, release: &str) {
    let at = seconds(world.now);
    for (group, plural) in brought_by(release) {
        if let Some(state) = world.state() {
            state.groups.insert((*group).to_string());
        }
        let key = Key::new("apiextensions.k8s.io", "customresourcedefinitions", "", &format!("{plural}.{group}"));
        let Some(mut definition) = definitions::of(&key.name).filter(|_| world.object(&key).is_none()) else {
            continue;
        };
        let versions = items(&definition, "/spec/versions").map(|v| v["name"].clone()).collect::<Vec<Value>>();
        definition["status"] = json!({"acceptedNames": definition["spec"]["names"], "storedVersions": versions});
        set_condition(&mut definition, &at, "NamesAccepted", "True", "NoConflicts", "no conflicts found");
        set_condition(
            &mut definition,
            &at,
            "Established",
            "True",
            "InitialNamesAccepted",
            "the initial names have been accepted",
        );
        world.put_object(key, definition);
    }
    if release == "cozystack-api"
        && let Some(state) = world.state()
    {
        state.groups.extend(["apps.cozystack.io", "core.cozystack.io"].map(String::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_release_brings_is_defined() {
        let bundle = super::super::bundle::graph().components().iter().map(|c| c.name.as_str());
        let others = ["flux", "infrastructureproviders", "ipamproviders"];
        let mut found = 0;
        for release in bundle.chain(others) {
            for (group, plural) in brought_by(release) {
                assert!(definitions::of(&format!("{plural}.{group}")).is_some(), "{plural}.{group}");
                found += 1;
            }
        }
        assert!(found > 30, "{found}");
    }
}
