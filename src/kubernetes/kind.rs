//! The kinds cozyup touches, as the API paths spell them.

/// One resource type of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    /// API version without the group: `v1`, `v1beta1`.
    pub version: &'static str,
    /// Kind as objects spell it: `ConfigMap`.
    pub kind: &'static str,
    /// Lower-case plural, the last part of the path.
    pub plural: &'static str,
    /// False for kinds of the whole cluster, such as nodes: a namespace is then ignored.
    pub namespaced: bool,
}

const fn namespaced(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind { group, version, kind, plural, namespaced: true }
}

const fn cluster(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind { group, version, kind, plural, namespaced: false }
}

macro_rules! kinds {
    ($($name:ident = $scope:ident($group:literal, $version:literal, $kind:literal, $plural:literal);)*) => {
        impl Kind {
            $(
                #[doc = concat!("`", $plural, "` of the API `", $group, "/", $version, "`.")]
                pub const $name: Kind = $scope($group, $version, $kind, $plural);
            )*
            /// Every kind named here.
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];
        }
    };
}

kinds! {
    NAMESPACE = cluster("", "v1", "Namespace", "namespaces");
    NODE = cluster("", "v1", "Node", "nodes");
    PERSISTENT_VOLUME = cluster("", "v1", "PersistentVolume", "persistentvolumes");
    CONFIG_MAP = namespaced("", "v1", "ConfigMap", "configmaps");
    SECRET = namespaced("", "v1", "Secret", "secrets");
    SERVICE = namespaced("", "v1", "Service", "services");
    SERVICE_ACCOUNT = namespaced("", "v1", "ServiceAccount", "serviceaccounts");
    POD = namespaced("", "v1", "Pod", "pods");
    PERSISTENT_VOLUME_CLAIM = namespaced("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
    RESOURCE_QUOTA = namespaced("", "v1", "ResourceQuota", "resourcequotas");
    EVENT = namespaced("", "v1", "Event", "events");
    DEPLOYMENT = namespaced("apps", "v1", "Deployment", "deployments");
    STATEFUL_SET = namespaced("apps", "v1", "StatefulSet", "statefulsets");
    DAEMON_SET = namespaced("apps", "v1", "DaemonSet", "daemonsets");
    INGRESS = namespaced("networking.k8s.io", "v1", "Ingress", "ingresses");
    STORAGE_CLASS = cluster("storage.k8s.io", "v1", "StorageClass", "storageclasses");
    CSI_DRIVER = cluster("storage.k8s.io", "v1", "CSIDriver", "csidrivers");
    VOLUME_ATTACHMENT = cluster("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments");
    CSI_NODE = cluster("storage.k8s.io", "v1", "CSINode", "csinodes");
    CLUSTER_ROLE_BINDING = cluster("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings");
    API_SERVICE = cluster("apiregistration.k8s.io", "v1", "APIService", "apiservices");
    CUSTOM_RESOURCE_DEFINITION =
        cluster("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");
    HELM_RELEASE = namespaced("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases");
    HELM_CHART = namespaced("source.toolkit.fluxcd.io", "v1", "HelmChart", "helmcharts");
    HELM_REPOSITORY = namespaced("source.toolkit.fluxcd.io", "v1", "HelmRepository", "helmrepositories");
    LINSTOR_SATELLITE = cluster("piraeus.io", "v1", "LinstorSatellite", "linstorsatellites");
    LINSTOR_SATELLITE_CONFIGURATION =
        cluster("piraeus.io", "v1", "LinstorSatelliteConfiguration", "linstorsatelliteconfigurations");
    LINSTOR_RESOURCE = cluster("internal.linstor.linbit.com", "v1-19-1", "Resources", "resources");
    LINSTOR_VOLUME_DEFINITION =
        cluster("internal.linstor.linbit.com", "v1-19-1", "VolumeDefinitions", "volumedefinitions");
    VOLUME_SNAPSHOT = namespaced("snapshot.storage.k8s.io", "v1", "VolumeSnapshot", "volumesnapshots");
    VOLUME_SNAPSHOT_CONTENT =
        cluster("snapshot.storage.k8s.io", "v1", "VolumeSnapshotContent", "volumesnapshotcontents");
    IP_ADDRESS_POOL = namespaced("metallb.io", "v1beta1", "IPAddressPool", "ipaddresspools");
    L2_ADVERTISEMENT = namespaced("metallb.io", "v1beta1", "L2Advertisement", "l2advertisements");
    CILIUM_POLICY = namespaced("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies");
    CILIUM_WIDE_POLICY =
        cluster("cilium.io", "v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies");
    POSTGRES_CLUSTER = namespaced("postgresql.cnpg.io", "v1", "Cluster", "clusters");
    POSTGRES = namespaced("apps.cozystack.io", "v1alpha1", "Postgres", "postgreses");
    TENANT = namespaced("apps.cozystack.io", "v1alpha1", "Tenant", "tenants");
    CORE_PROVIDER = namespaced("operator.cluster.x-k8s.io", "v1alpha2", "CoreProvider", "coreproviders");
    INFRASTRUCTURE_PROVIDER =
        namespaced("operator.cluster.x-k8s.io", "v1alpha2", "InfrastructureProvider", "infrastructureproviders");
    PROXMOX_MACHINE =
        namespaced("infrastructure.cluster.x-k8s.io", "v1alpha1", "ProxmoxMachine", "proxmoxmachines");
    PROXMOX_CLUSTER =
        namespaced("infrastructure.cluster.x-k8s.io", "v1alpha1", "ProxmoxCluster", "proxmoxclusters");
    CLUSTER = namespaced("cluster.x-k8s.io", "v1beta1", "Cluster", "clusters");
    MACHINE = namespaced("cluster.x-k8s.io", "v1beta1", "Machine", "machines");
    MACHINE_DEPLOYMENT = namespaced("cluster.x-k8s.io", "v1beta1", "MachineDeployment", "machinedeployments");
    MACHINE_SET = namespaced("cluster.x-k8s.io", "v1beta1", "MachineSet", "machinesets");
    PROXMOX_MACHINE_TEMPLATE =
        namespaced("infrastructure.cluster.x-k8s.io", "v1alpha1", "ProxmoxMachineTemplate", "proxmoxmachinetemplates");
    KAMAJI_CONTROL_PLANE =
        namespaced("controlplane.cluster.x-k8s.io", "v1alpha1", "KamajiControlPlane", "kamajicontrolplanes");
    KUBEADM_CONFIG_TEMPLATE =
        namespaced("bootstrap.cluster.x-k8s.io", "v1beta1", "KubeadmConfigTemplate", "kubeadmconfigtemplates");
    TENANT_CONTROL_PLANE = namespaced("kamaji.clastix.io", "v1alpha1", "TenantControlPlane", "tenantcontrolplanes");
    IP_ADDRESS = namespaced("ipam.cluster.x-k8s.io", "v1beta1", "IPAddress", "ipaddresses");
    IP_ADDRESS_CLAIM = namespaced("ipam.cluster.x-k8s.io", "v1beta1", "IPAddressClaim", "ipaddressclaims");
    IPAM_PROVIDER = namespaced("operator.cluster.x-k8s.io", "v1alpha2", "IPAMProvider", "ipamproviders");
}

impl Kind {
    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The known kind of an object that calls itself `api_version` and `kind`.
    pub fn find(api_version: &str, kind: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|k| k.kind == kind && k.api_version() == api_version)
    }

    /// As kubectl names it without doubt: `configmaps`, `helmreleases.helm.toolkit.fluxcd.io`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of all objects, of one namespace when `namespace` is given.
    pub(super) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace {
            Some(ns) if self.namespaced => format!("{root}/namespaces/{ns}/{}", self.plural),
            _ => format!("{root}/{}", self.plural),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_and_scope() {
        assert_eq!(Kind::CONFIG_MAP.path(Some("cozy-system")), "/api/v1/namespaces/cozy-system/configmaps");
        assert_eq!(Kind::HELM_RELEASE.path(None), "/apis/helm.toolkit.fluxcd.io/v2/helmreleases");
        assert_eq!(Kind::NODE.path(Some("ignored")), "/api/v1/nodes");
    }

    #[test]
    fn an_object_of_a_manifest_finds_its_kind() {
        assert_eq!(Kind::find("apps/v1", "Deployment"), Some(Kind::DEPLOYMENT));
        assert_eq!(Kind::find("v1", "Deployment"), None);
    }
}
