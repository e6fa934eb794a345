//! The objects that cozyup lays beside the platform. Each builder returns them in the order in which to apply them;
//! the changing half fills in apiVersion, kind, name and namespace.
mod access;
mod capmox;
mod cluster_credentials;
pub mod components;
mod csi;
mod machine;
mod network;
mod storage;
mod tenant;
mod tenant_cluster;
mod workers;

pub use access::{AUTHORITY, AUTHORITY_KEY, CREDENTIALS, ProxmoxAccess};
pub use capmox::{
    CAPMOX_CREDENTIALS, CLUSTER_API_NAMESPACE, CREDENTIALS_ENV, CapmoxInput, Provider, capmox, has_credentials,
    provider_components,
};
pub use cluster_credentials::cluster_credentials;
pub use csi::{CSI_CONFIG, CSI_DRIVER_NAME, CSI_NAMESPACE, CsiInput, proxmox_csi};
pub use machine::{MachineTest, Network, Shape, machine_test};
pub use network::{METALLB_NAMESPACE, address_pool};
pub use storage::{linstor_pool, storage_classes};
pub use tenant::{TENANT_ROOT, TenantRoot};
pub use tenant_cluster::TenantCluster;
pub use workers::{Keys, Kubeconfig, VALID_UNTIL, Workers};

use crate::kubernetes::Kind;
use serde_json::{Value, json};
use std::fmt;

/// Label by which cozyup's objects are found.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "cozyup");
/// Label that names the run which made an object.
pub const RUN_LABEL: &str = "cozyup.dev/run";

/// An object to apply.
#[derive(Clone, PartialEq)]
pub struct Object {
    pub kind: Kind,
    pub namespace: Option<String>,
    pub name: String,
    /// Without apiVersion, kind and address. May hold a secret.
    pub body: Value,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.namespace.as_deref().map(|ns| format!("{ns}/")).unwrap_or_default();
        write!(f, "{} {place}{}", self.kind.kind, self.name)
    }
}

/// Builds objects that carry the marks of one run.
struct Maker<'a> {
    run: &'a str,
    namespace: Option<&'a str>,
}

impl<'a> Maker<'a> {
    fn new(run: &'a str, namespace: Option<&'a str>) -> Self {
        Maker { run, namespace }
    }

    fn object(&self, kind: Kind, name: &str, content: Value) -> Object {
        self.labelled(kind, name, &[], content)
    }

    fn labelled(&self, kind: Kind, name: &str, labels: &[(&str, &str)], content: Value) -> Object {
        let mut body = content;
        let mut all = serde_json::Map::new();
        for (key, value) in [MANAGED_BY, (RUN_LABEL, self.run)].iter().chain(labels) {
            all.insert((*key).to_string(), json!(value));
        }
        if let Value::Object(fields) = &mut body {
            let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
            if let Value::Object(metadata) = metadata {
                metadata.insert("labels".to_string(), Value::Object(all));
            }
        }
        let namespace = self.namespace.filter(|_| kind.namespaced).map(String::from);
        Object { kind, namespace, name: name.to_string(), body }
    }

    /// A namespace of the platform's kind: outside the tenants' bookkeeping, privileged pods allowed.
    fn system_namespace(&self, name: &str) -> Object {
        let labels = [("cozystack.io/system", "true"), ("pod-security.kubernetes.io/enforce", "privileged")];
        self.labelled(Kind::NAMESPACE, name, &labels, json!({}))
    }
}
