//! The table of everything the API can serve, and which of it is served now.
use super::events;
use crate::kube::store::Resource;
use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// One resource of the API. The singular name is the kind in lower case, as for every resource of the real one.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub short: &'static [&'static str],
    pub namespaced: bool,
    /// Has the `status` subresource: status is written there and only there.
    pub status: bool,
    /// `kubectl get CATEGORY` shows it, as with `all`.
    pub categories: &'static [&'static str],
    /// Defined by a CRD or an aggregated API, so it can be missing.
    pub custom: bool,
}

pub const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Kind {
    const fn of(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        let short = &[];
        Kind { group, version, kind, plural, short, namespaced: true, status: false, categories: &[], custom: false }
    }

    const fn custom(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        let mut made = Kind::of(group, version, kind, plural);
        made.custom = true;
        made.status = true;
        made
    }

    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn status(mut self) -> Self {
        self.status = true;
        self
    }

    const fn all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    const fn short(mut self, short: &'static [&'static str]) -> Self {
        self.short = short;
        self
    }

    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The kinds of a CustomResourceDefinition, one for each served version.
    fn of_definition(definition: &Value) -> Vec<&'static Kind> {
        let spec = &definition["spec"];
        let text = |value: &Value| leaked(value.as_str().unwrap_or_default());
        let list = |value: &Value| -> Vec<&'static str> { value.as_array().into_iter().flatten().map(text).collect() };
        let versions = spec["versions"].as_array().into_iter().flatten().filter(|v| v["served"] != false);
        let kinds = versions.map(|version| Kind {
            group: text(&spec["group"]),
            version: text(&version["name"]),
            kind: text(&spec["names"]["kind"]),
            plural: text(&spec["names"]["plural"]),
            short: leaked_list(list(&spec["names"]["shortNames"])),
            namespaced: spec["scope"] != "Cluster",
            status: version["subresources"]["status"].is_object(),
            categories: leaked_list(list(&spec["names"]["categories"])),
            custom: true,
        });
        kinds.map(remembered).collect()
    }

    pub fn singular(&self) -> String {
        self.kind.to_ascii_lowercase()
    }

    /// The resource under which its objects are stored: events of both groups are the same.
    pub fn resource(&self) -> Resource {
        let group = if events::is_other_view(self) { "" } else { self.group };
        Resource::new(group, self.plural)
    }

    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// Has the `scale` subresource.
    pub fn scales(&self) -> bool {
        self.group == "apps" && matches!(self.plural, "deployments" | "replicasets" | "statefulsets")
    }

    /// Subresources besides the object itself, with their verbs.
    pub fn subresources(&self) -> Vec<(&'static str, &'static [&'static str])> {
        let mut found: Vec<(&str, &[&str])> = Vec::new();
        if self.status {
            found.push(("status", &["get", "patch", "update"]));
        }
        if self.is("", "pods") {
            found.push(("log", &["get"]));
        }
        if self.is("", "namespaces") {
            found.push(("finalize", &["update"]));
        }
        if self.scales() {
            found.push(("scale", &["get", "patch", "update"]));
        }
        found
    }
}

/// As errors name a resource: `pods`, `deployments.apps`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const HOOKS: &str = "admissionregistration.k8s.io";
const SOURCE: &str = "source.toolkit.fluxcd.io";
const OPERATOR: &str = "operator.cluster.x-k8s.io";
const CLUSTER: &str = "cluster.x-k8s.io";
const PROXMOX: &str = "infrastructure.cluster.x-k8s.io";
const IPAM: &str = "ipam.cluster.x-k8s.io";
const LINSTOR: &str = "internal.linstor.linbit.com";
const COZYSTACK: &str = "apps.cozystack.io";

/// Groups in the order in which the real API server lists them; of a group the preferred version first.
pub static KINDS: &[Kind] = &[
    Kind::of("", "v1", "Namespace", "namespaces").cluster().status().short(&["ns"]),
    Kind::of("", "v1", "Node", "nodes").cluster().status().short(&["no"]),
    Kind::of("", "v1", "Pod", "pods").status().all().short(&["po"]),
    Kind::of("", "v1", "Service", "services").status().all().short(&["svc"]),
    Kind::of("", "v1", "Endpoints", "endpoints").short(&["ep"]),
    Kind::of("", "v1", "ConfigMap", "configmaps").short(&["cm"]),
    Kind::of("", "v1", "Secret", "secrets"),
    Kind::of("", "v1", "PersistentVolume", "persistentvolumes").cluster().status().short(&["pv"]),
    Kind::of("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims").status().short(&["pvc"]),
    Kind::of("", "v1", "Event", "events").short(&["ev"]),
    Kind::of("", "v1", "ServiceAccount", "serviceaccounts").short(&["sa"]),
    Kind::of("", "v1", "LimitRange", "limitranges").short(&["limits"]),
    Kind::of("", "v1", "PodTemplate", "podtemplates"),
    Kind::of("", "v1", "ReplicationController", "replicationcontrollers").status().all().short(&["rc"]),
    Kind::of("", "v1", "ResourceQuota", "resourcequotas").status().short(&["quota"]),
    Kind::of("apiregistration.k8s.io", "v1", "APIService", "apiservices").cluster().status(),
    Kind::of("apps", "v1", "ControllerRevision", "controllerrevisions"),
    Kind::of("apps", "v1", "DaemonSet", "daemonsets").status().all().short(&["ds"]),
    Kind::of("apps", "v1", "Deployment", "deployments").status().all().short(&["deploy"]),
    Kind::of("apps", "v1", "ReplicaSet", "replicasets").status().all().short(&["rs"]),
    Kind::of("apps", "v1", "StatefulSet", "statefulsets").status().all().short(&["sts"]),
    Kind::of("events.k8s.io", "v1", "Event", "events").short(&["ev"]),
    Kind::of("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers").status().all().short(&["hpa"]),
    Kind::of("batch", "v1", "CronJob", "cronjobs").status().all().short(&["cj"]),
    Kind::of("batch", "v1", "Job", "jobs").status().all(),
    Kind::of("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests")
        .cluster()
        .status()
        .short(&["csr"]),
    Kind::of("networking.k8s.io", "v1", "Ingress", "ingresses").status().short(&["ing"]),
    Kind::of("networking.k8s.io", "v1", "IngressClass", "ingressclasses").cluster(),
    Kind::of("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies").short(&["netpol"]),
    Kind::of("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets").status().short(&["pdb"]),
    Kind::of(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings").cluster(),
    Kind::of(RBAC, "v1", "ClusterRole", "clusterroles").cluster(),
    Kind::of(RBAC, "v1", "RoleBinding", "rolebindings"),
    Kind::of(RBAC, "v1", "Role", "roles"),
    Kind::of(STORAGE, "v1", "CSIDriver", "csidrivers").cluster(),
    Kind::of(STORAGE, "v1", "CSINode", "csinodes").cluster(),
    Kind::of(STORAGE, "v1", "CSIStorageCapacity", "csistoragecapacities"),
    Kind::of(STORAGE, "v1", "StorageClass", "storageclasses").cluster().short(&["sc"]),
    Kind::of(STORAGE, "v1", "VolumeAttachment", "volumeattachments").cluster().status(),
    Kind::of(HOOKS, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations").cluster(),
    Kind::of(HOOKS, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies").cluster().status(),
    Kind::of(HOOKS, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings").cluster(),
    Kind::of(HOOKS, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations").cluster(),
    Kind::of("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
        .cluster()
        .status()
        .short(&["crd", "crds"]),
    Kind::of("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses").cluster().short(&["pc"]),
    Kind::of("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses").cluster(),
    Kind::of("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas").cluster().status(),
    Kind::of("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations")
        .cluster()
        .status(),
    Kind::of("coordination.k8s.io", "v1", "Lease", "leases"),
    Kind::of("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    Kind::custom("fluxcd.controlplane.io", "v1", "FluxInstance", "fluxinstances"),
    Kind::custom("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases").short(&["hr"]),
    Kind::custom(SOURCE, "v1", "HelmChart", "helmcharts").short(&["hc"]),
    Kind::custom(SOURCE, "v1", "HelmRepository", "helmrepositories").short(&["helmrepo"]),
    Kind::custom(SOURCE, "v1", "OCIRepository", "ocirepositories").short(&["ocirepo"]),
    Kind::custom("cert-manager.io", "v1", "Certificate", "certificates").short(&["cert", "certs"]),
    Kind::custom("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers").cluster(),
    Kind::custom("cert-manager.io", "v1", "Issuer", "issuers"),
    Kind::custom("piraeus.io", "v1", "LinstorCluster", "linstorclusters").cluster(),
    Kind::custom("piraeus.io", "v1", "LinstorSatelliteConfiguration", "linstorsatelliteconfigurations").cluster(),
    Kind::custom("piraeus.io", "v1", "LinstorSatellite", "linstorsatellites").cluster(),
    Kind::custom(LINSTOR, "v1-19-1", "Resources", "resources").cluster(),
    Kind::custom(LINSTOR, "v1-19-1", "VolumeDefinitions", "volumedefinitions").cluster(),
    Kind::custom("metallb.io", "v1beta1", "IPAddressPool", "ipaddresspools"),
    Kind::custom("metallb.io", "v1beta1", "L2Advertisement", "l2advertisements"),
    Kind::custom("cilium.io", "v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies")
        .cluster()
        .short(&["ccnp"]),
    Kind::custom("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies").short(&["cnp"]),
    Kind::custom("kubeovn.io", "v1", "Subnet", "subnets").cluster(),
    Kind::custom("cozystack.io", "v1alpha1", "CozystackResourceDefinition", "cozystackresourcedefinitions").cluster(),
    Kind::custom("etcd.aenix.io", "v1alpha1", "EtcdCluster", "etcdclusters"),
    Kind::custom("postgresql.cnpg.io", "v1", "Cluster", "clusters"),
    Kind::custom("grafana.integreatly.org", "v1beta1", "Grafana", "grafanas"),
    Kind::custom("snapshot.storage.k8s.io", "v1", "VolumeSnapshot", "volumesnapshots").short(&["vs"]),
    Kind::custom("snapshot.storage.k8s.io", "v1", "VolumeSnapshotClass", "volumesnapshotclasses")
        .cluster()
        .short(&["vsclass", "vsclasses"]),
    Kind::custom("snapshot.storage.k8s.io", "v1", "VolumeSnapshotContent", "volumesnapshotcontents")
        .cluster()
        .short(&["vsc", "vscs"]),
    Kind::custom("operator.victoriametrics.com", "v1beta1", "VMAlert", "vmalerts"),
    Kind::custom("operator.victoriametrics.com", "v1beta1", "VMCluster", "vmclusters"),
    Kind::custom("kamaji.clastix.io", "v1alpha1", "DataStore", "datastores").cluster(),
    Kind::custom("kamaji.clastix.io", "v1alpha1", "TenantControlPlane", "tenantcontrolplanes").short(&["tcp"]),
    Kind::custom(COZYSTACK, "v1alpha1", "Kubernetes", "kuberneteses"),
    Kind::custom(COZYSTACK, "v1alpha1", "Postgres", "postgreses"),
    Kind::custom(COZYSTACK, "v1alpha1", "Redis", "redises"),
    Kind::custom(COZYSTACK, "v1alpha1", "Tenant", "tenants"),
    Kind::custom(COZYSTACK, "v1alpha1", "VMDisk", "vmdisks"),
    Kind::custom(COZYSTACK, "v1alpha1", "VMInstance", "vminstances"),
    Kind::custom(OPERATOR, "v1alpha2", "BootstrapProvider", "bootstrapproviders"),
    Kind::custom(OPERATOR, "v1alpha2", "ControlPlaneProvider", "controlplaneproviders"),
    Kind::custom(OPERATOR, "v1alpha2", "CoreProvider", "coreproviders"),
    Kind::custom(OPERATOR, "v1alpha2", "InfrastructureProvider", "infrastructureproviders"),
    Kind::custom(OPERATOR, "v1alpha2", "IPAMProvider", "ipamproviders"),
    Kind::custom(CLUSTER, "v1beta1", "Cluster", "clusters").short(&["cl"]),
    Kind::custom(CLUSTER, "v1beta1", "MachineDeployment", "machinedeployments").short(&["md"]),
    Kind::custom(CLUSTER, "v1beta1", "MachineSet", "machinesets").short(&["ms"]),
    Kind::custom(CLUSTER, "v1beta1", "Machine", "machines").short(&["ma"]),
    Kind::custom("bootstrap.cluster.x-k8s.io", "v1beta1", "KubeadmConfig", "kubeadmconfigs"),
    Kind::custom("bootstrap.cluster.x-k8s.io", "v1beta1", "KubeadmConfigTemplate", "kubeadmconfigtemplates"),
    Kind::custom("controlplane.cluster.x-k8s.io", "v1alpha1", "KamajiControlPlane", "kamajicontrolplanes")
        .short(&["ktcp"]),
    Kind::custom(PROXMOX, "v1alpha1", "ProxmoxCluster", "proxmoxclusters"),
    Kind::custom(PROXMOX, "v1alpha1", "ProxmoxClusterTemplate", "proxmoxclustertemplates"),
    Kind::custom(PROXMOX, "v1alpha1", "ProxmoxMachine", "proxmoxmachines").short(&["moxm"]),
    Kind::custom(PROXMOX, "v1alpha1", "ProxmoxMachineTemplate", "proxmoxmachinetemplates"),
    Kind::custom(IPAM, "v1alpha2", "GlobalInClusterIPPool", "globalinclusterippools").cluster(),
    Kind::custom(IPAM, "v1alpha2", "InClusterIPPool", "inclusterippools"),
    Kind::custom(IPAM, "v1beta1", "IPAddressClaim", "ipaddressclaims"),
    Kind::custom(IPAM, "v1beta1", "IPAddress", "ipaddresses"),
];

/// One copy for ever of every name that a definition brings: there are few, and a kind lives as long as the process.
fn leaked(text: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(text) {
        return name;
    }
    let name: &'static str = Box::leak(text.to_string().into_boxed_str());
    names.insert(name);
    name
}

fn leaked_list(list: Vec<&'static str>) -> &'static [&'static str] {
    static LISTS: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lists.get(list.as_slice()) {
        return known;
    }
    let list: &'static [&'static str] = Box::leak(list.into_boxed_slice());
    lists.insert(list);
    list
}

fn remembered(kind: Kind) -> &'static Kind {
    static DEFINED: Mutex<Vec<&'static Kind>> = Mutex::new(Vec::new());
    let mut defined = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = defined.iter().find(|k| ***k == kind) {
        return known;
    }
    let kind: &'static Kind = Box::leak(Box::new(kind));
    defined.push(kind);
    kind
}

/// The kinds that the API serves now: all built-in ones, and of the rest the groups whose controllers exist and the
/// kinds that definitions name. Of a group with definitions only the versions that those name are served; a group
/// without any is an aggregated API.
pub fn served(world: &World) -> Vec<&'static Kind> {
    let Some(cluster) = &world.cluster else { return KINDS.iter().filter(|k| !k.custom).collect() };
    let definitions = Resource::new("apiextensions.k8s.io", "customresourcedefinitions");
    let mut defined: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, definition) in cluster.store.list(&definitions, None) {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        defined.entry(group).or_default().extend(versions.filter_map(|v| v["name"].as_str()));
    }
    let there = |kind: &Kind| {
        cluster.serves(kind.group) && defined.get(kind.group).is_none_or(|versions| versions.contains(kind.version))
    };
    let mut all: Vec<&'static Kind> = KINDS.iter().filter(|k| !k.custom || there(k)).collect();
    for (_, definition) in cluster.store.list(&definitions, None) {
        for kind in Kind::of_definition(definition) {
            let same = |k: &&Kind| k.is(kind.group, kind.plural) && k.version == kind.version;
            if !all.iter().any(same) {
                // The table knows more of a kind than a definition says, such as short names.
                all.push(KINDS.iter().find(same).unwrap_or(kind));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_resource_is_in_the_table_twice() {
        let names: BTreeSet<String> = KINDS.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), KINDS.len());
    }

    #[test]
    fn a_group_stands_in_one_block_so_that_discovery_lists_it_once() {
        let mut groups: Vec<&str> = KINDS.iter().map(|k| k.group).collect();
        groups.dedup();
        let unique: BTreeSet<&str> = groups.iter().copied().collect();
        assert_eq!(groups.len(), unique.len());
    }
}
