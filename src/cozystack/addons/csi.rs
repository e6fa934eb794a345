//! Volumes from Proxmox VE storages: the proxmox-csi-plugin chart through Flux.
//!
//! Every schedulable node must carry `topology.kubernetes.io/region` and `…/zone` (the Proxmox node's name), or the
//! driver never registers there.
use super::{Maker, Object};
use crate::base::secret::Secret;
use crate::kubernetes::Kind;
use serde_json::json;

pub const CSI_NAMESPACE: &str = "cozy-proxmox-csi";
pub const CSI_DRIVER_NAME: &str = "csi.proxmox.sinextra.dev";
const CONFIG: &str = "proxmox-csi-config";
const REPOSITORY: &str = "sergelogvinov";

pub struct CsiInput {
    /// `https://host:8006`, without a path.
    pub url: String,
    /// `user@realm!name`
    pub token_id: String,
    pub token_secret: Secret<String>,
    /// True when the driver can't know the authority of the Proxmox certificate.
    pub insecure: bool,
    /// Value of the nodes' region label.
    pub region: String,
    /// Proxmox storage with content `images`.
    pub storage: String,
    pub chart_version: String,
}

/// Namespace, chart repository, credentials, release; its StorageClass is `proxmox`, never the default one.
pub fn proxmox_csi(run: &str, input: &CsiInput) -> Vec<Object> {
    let maker = Maker::new(run, Some(CSI_NAMESPACE));
    let config = json!({
        // Finds a node's VM by its SMBIOS uuid, so nodes need no provider id.
        "features": {"provider": "capmox"},
        "clusters": [{
            "url": format!("{}/api2/json", input.url.trim_end_matches('/')),
            "insecure": input.insecure,
            "token_id": input.token_id,
            "token_secret": input.token_secret.expose(),
            "region": input.region,
        }],
    });
    let remediation = json!({"remediation": {"retries": -1}});
    let release = json!({"spec": {
        "interval": "5m",
        "install": remediation,
        "upgrade": remediation,
        "dependsOn": [
            {"name": "cilium", "namespace": "cozy-cilium"},
            {"name": "kubeovn", "namespace": "cozy-kubeovn"},
        ],
        // Not chartRef: CozyStack's lineage webhook crashes on releases that use it (fixed in v0.37.3).
        "chart": {"spec": {
            "chart": "proxmox-csi-plugin",
            "version": input.chart_version,
            "sourceRef": {"kind": "HelmRepository", "name": REPOSITORY},
        }},
        "values": {
            "existingConfigSecret": CONFIG,
            "existingConfigSecretKey": "config.yaml",
            "storageClass": [{
                "name": "proxmox",
                "storage": input.storage,
                "reclaimPolicy": "Delete",
                "fstype": "ext4",
                "ssd": true,
                "cache": "none",
            }],
        },
    }});
    let source = json!({"spec": {"type": "oci", "interval": "1h", "url": "oci://ghcr.io/sergelogvinov/charts"}});
    // JSON is YAML, and quotes what YAML would read as something else.
    let secret = json!({"stringData": {"config.yaml": config.to_string()}});
    vec![
        maker.system_namespace(CSI_NAMESPACE),
        maker.object(Kind::HELM_REPOSITORY, REPOSITORY, source),
        maker.object(Kind::SECRET, CONFIG, secret),
        maker.object(Kind::HELM_RELEASE, "proxmox-csi", release),
    ]
}
