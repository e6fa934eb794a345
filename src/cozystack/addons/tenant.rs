//! The services of the root tenant: its etcd (for tenant control planes), its ingress, its monitoring.
use serde_json::{Value, json};

/// Namespace of the root tenant. Its object is `tenants.apps.cozystack.io/root` in there.
pub const TENANT_ROOT: &str = "tenant-root";

/// The services of the root tenant, to be merged into [`crate::kubernetes::Kind::TENANT`] `tenant-root/root`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantRoot {
    pub etcd: bool,
    pub ingress: bool,
    /// Needs a StorageClass named `replicated`.
    pub monitoring: bool,
    pub seaweedfs: bool,
}

impl TenantRoot {
    /// Name of the object.
    pub const NAME: &'static str = "root";

    /// The merge patch. It carries no marks: the object is the platform's.
    pub fn patch(&self, root_host: &str) -> Value {
        json!({"spec": {
            "host": root_host,
            "etcd": self.etcd,
            "ingress": self.ingress,
            "monitoring": self.monitoring,
            "isolated": true,
            "seaweedfs": self.seaweedfs,
        }})
    }

    /// The HelmReleases in [`TENANT_ROOT`] that must become ready, by name.
    pub fn releases(&self) -> Vec<&'static str> {
        let mut names = vec!["tenant-root", "info"];
        for (wanted, releases) in [
            (self.etcd, &["etcd"][..]),
            (self.ingress, &["ingress", "ingress-nginx-system"]),
            (self.monitoring, &["monitoring"]),
            (self.seaweedfs, &["seaweedfs", "seaweedfs-system"]),
        ] {
            if wanted {
                names.extend(releases);
            }
        }
        names
    }
}
