//! What the rules must know of a CozyStack release. The release itself, as data, is in `assets/releases`.

pub struct Release {
    pub cozystack: &'static str,
    pub talos: &'static str,
    /// What the Talos release brings; every patch of its minor version will do.
    pub kubernetes: &'static str,
    pub installer_image: &'static str,
    pub image_url: &'static str,
    pub installer_url: &'static str,
    /// Bundle files inside the installer image.
    pub bundles: &'static [&'static str],
    /// Names that `expose-services` understands.
    pub exposable: &'static [&'static str],
    /// Components of `paas-full` that are installed unless disabled.
    pub components: &'static [&'static str],
    /// Components of `paas-full` that are installed only when enabled.
    pub optional: &'static [&'static str],
}

/// Profiles are cozyup's own names; each is the bundle `paas-full` with components left out or added.
pub const PROFILES: [&str; 3] = ["paas-proxmox", "hybrid", "paas-full"];
/// The profile that runs no virtual machines inside the cluster.
pub const PROFILE_WITHOUT_KUBEVIRT: &str = "paas-proxmox";
/// StorageClasses that a run makes.
pub const STORAGE_CLASSES: [&str; 3] = ["local", "replicated", "proxmox"];

/// Sources: cozystack/cozystack@v0.37.2, `packages/core/platform/bundles`, `packages/core/installer`, `hack/upload-assets.sh`.
pub const RELEASES: &[Release] = &[Release {
    cozystack: "v0.37.2",
    talos: "v1.10.6",
    kubernetes: "v1.33.3",
    installer_image: "ghcr.io/cozystack/cozystack/talos:v1.10.6",
    image_url: "https://github.com/cozystack/cozystack/releases/download/v0.37.2/nocloud-amd64.raw.xz",
    installer_url: "https://github.com/cozystack/cozystack/releases/download/v0.37.2/cozystack-installer.yaml",
    bundles: &["paas-full", "paas-hosted", "distro-full", "distro-hosted"],
    exposable: &["api", "dashboard", "cdi-uploadproxy", "vm-exportproxy", "keycloak"],
    components: &[
        "fluxcd-operator",
        "fluxcd",
        "cilium",
        "cilium-networkpolicy",
        "kubeovn",
        "kubeovn-webhook",
        "kubeovn-plunger",
        "cozy-proxy",
        "cert-manager-crds",
        "cozystack-api",
        "cozystack-controller",
        "lineage-controller-webhook",
        "cozystack-resource-definition-crd",
        "cozystack-resource-definitions",
        "cert-manager",
        "cert-manager-issuers",
        "victoria-metrics-operator",
        "monitoring-agents",
        "kubevirt-operator",
        "kubevirt",
        "kubevirt-instancetypes",
        "kubevirt-cdi-operator",
        "kubevirt-cdi",
        "metallb",
        "etcd-operator",
        "grafana-operator",
        "mariadb-operator",
        "postgres-operator",
        "kafka-operator",
        "clickhouse-operator",
        "rabbitmq-operator",
        "redis-operator",
        "piraeus-operator",
        "linstor",
        "snapshot-controller",
        "objectstorage-controller",
        "dashboard",
        "kamaji",
        "capi-operator",
        "capi-providers-bootstrap",
        "capi-providers-core",
        "capi-providers-cpprovider",
        "capi-providers-infraprovider",
        "keycloak",
        "keycloak-operator",
        "keycloak-configure",
        "goldpinger",
        "vertical-pod-autoscaler",
        "vertical-pod-autoscaler-crds",
        "reloader",
    ],
    optional: &[
        "gpu-operator",
        "nfs-driver",
        "telepresence",
        "external-dns",
        "external-secrets-operator",
        "bootbox",
        "velero",
        "hetzner-robotlb",
    ],
}];

/// The release that a new plan asks for.
pub const CURRENT: &Release = match RELEASES {
    [.., last] => last,
    [] => unreachable!(),
};

pub fn release(cozystack: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|r| r.cozystack == cozystack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_has_the_fifty_eight_entries_of_the_release() {
        assert_eq!(CURRENT.components.len() + CURRENT.optional.len(), 58);
    }
}
