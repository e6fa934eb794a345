//! Machines from Proxmox VE: the Cluster API provider "capmox" and the address provider it needs, installed by the
//! Cluster API operator that CozyStack brings.
//!
//! Apply once HelmRelease capi-providers-core and the CoreProvider are ready; before that the operator only waits.
use super::{Maker, Object};
use crate::base::secret::Secret;
use crate::kubernetes::Kind;
use serde_json::{Value, json};

pub const CLUSTER_API_NAMESPACE: &str = "cozy-cluster-api";
const VARIABLES: &str = "capmox-variables";

pub struct CapmoxInput {
    /// `https://host:8006`: capmox appends the path itself.
    pub url: String,
    /// `user@realm!name`
    pub token_id: String,
    pub token_secret: Secret<String>,
    /// True when capmox can't know the authority of the Proxmox certificate.
    pub insecure: bool,
    /// `v0.7.4`: 0.8 and later speak a newer contract than the core that CozyStack brings.
    pub version: String,
    /// `v1.0.2`
    pub ipam_version: String,
}

/// The credentials, the address provider `in-cluster`, the infrastructure provider `proxmox`.
pub fn capmox(run: &str, input: &CapmoxInput) -> Vec<Object> {
    let maker = Maker::new(run, Some(CLUSTER_API_NAMESPACE));
    let variables = json!({"stringData": {
        "PROXMOX_URL": input.url.trim_end_matches('/'),
        "PROXMOX_TOKEN": input.token_id,
        "PROXMOX_SECRET": input.token_secret.expose(),
        "PROXMOX_INSECURE": input.insecure.to_string(),
    }});
    let ipam = fetch(
        &input.ipam_version,
        "kubernetes-sigs/cluster-api-ipam-provider-in-cluster",
        "ipam-components.yaml",
        &json!({}),
    );
    let infrastructure = fetch(
        &input.version,
        "ionos-cloud/cluster-api-provider-proxmox",
        "infrastructure-components.yaml",
        &json!({"configSecret": {"name": VARIABLES, "namespace": CLUSTER_API_NAMESPACE}}),
    );
    vec![
        maker.object(Kind::SECRET, VARIABLES, variables),
        maker.object(Kind::IPAM_PROVIDER, "in-cluster", ipam),
        maker.object(Kind::INFRASTRUCTURE_PROVIDER, "proxmox", infrastructure),
    ]
}

/// A provider fetched from its GitHub release. The operator reads `releases/TAG/FILE`; the address of a browser's
/// download, `releases/download/TAG/FILE`, makes it look for an asset named `TAG/FILE`.
fn fetch(version: &str, repository: &str, file: &str, more: &Value) -> Value {
    let url = format!("https://github.com/{repository}/releases/{version}/{file}");
    let mut spec = json!({"version": version, "fetchConfig": {"url": url}});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more.clone());
    }
    json!({"spec": spec})
}
