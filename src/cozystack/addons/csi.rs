//! Volumes from Proxmox VE storages: the proxmox-csi-plugin chart through Flux.
//!
//! Every schedulable node must carry `topology.kubernetes.io/region` and `…/zone` (the Proxmox node's name), or the
//! driver never registers there.
use super::access::{AUTHORITY, AUTHORITY_KEY, CREDENTIALS, ProxmoxAccess};
use super::{Maker, Object};
use crate::kubernetes::Kind;
use serde_json::{Value, json};

pub const CSI_NAMESPACE: &str = "cozy-proxmox-csi";
pub const CSI_DRIVER_NAME: &str = "csi.proxmox.sinextra.dev";
/// The Secret that the driver reads: `config.yaml`, and beside it the same in parts (`url`, `token`, `secret`).
pub const CSI_CONFIG: &str = "proxmox-csi-config";
const REPOSITORY: &str = "sergelogvinov";

pub struct CsiInput {
    pub proxmox: ProxmoxAccess,
    /// Value of the nodes' region label.
    pub region: String,
    /// Proxmox storage with content `images`.
    pub storage: String,
    pub chart_version: String,
}

/// Namespace, chart repository, what Proxmox VE is verified by, credentials, release; its StorageClass is `proxmox`, never
/// the default one.
///
/// The driver verifies with the list of authorities of its image. Programs in Go also read every file in
/// `/etc/ssl/certs`, so the site's own authority is put there.
pub fn proxmox_csi(run: &str, input: &CsiInput) -> Vec<Object> {
    let maker = Maker::new(run, Some(CSI_NAMESPACE));
    let proxmox = &input.proxmox;
    let url = format!("{}/api2/json", proxmox.url);
    let config = json!({
        // Finds a node's VM by the VMID in its provider id: a name could be that of somebody else's VM, and a search by
        // uuid fails while any host of the Proxmox cluster is down.
        "features": {"provider": "default"},
        "clusters": [{
            "url": url,
            "insecure": proxmox.insecure,
            "token_id": proxmox.token_id,
            "token_secret": proxmox.token_secret.expose(),
            "region": input.region,
        }],
    });
    let remediation = json!({"remediation": {"retries": -1}});
    let path = format!("/etc/ssl/certs/{AUTHORITY}.pem");
    let volumes = json!([{"name": AUTHORITY, "configMap": {"name": AUTHORITY}}]);
    let mounts = json!([{"name": AUTHORITY, "mountPath": path, "subPath": AUTHORITY_KEY, "readOnly": true}]);
    let with = |list: Value| if proxmox.authority.is_some() { list } else { json!([]) };
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
            "existingConfigSecret": CSI_CONFIG,
            "existingConfigSecretKey": "config.yaml",
            "controller": {"podAnnotations": {CREDENTIALS: proxmox.digest()}},
            "extraVolumes": with(volumes),
            "extraVolumeMounts": with(mounts),
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
    let secret = json!({"stringData": {
        "config.yaml": config.to_string(),
        "url": url,
        "token": proxmox.token_id,
        "secret": proxmox.token_secret.expose(),
    }});
    let mut objects =
        vec![maker.system_namespace(CSI_NAMESPACE), maker.object(Kind::HELM_REPOSITORY, REPOSITORY, source)];
    if let Some(pem) = &proxmox.authority {
        objects.push(maker.object(Kind::CONFIG_MAP, AUTHORITY, json!({"data": {AUTHORITY_KEY: pem}})));
    }
    objects.extend([
        maker.object(Kind::SECRET, CSI_CONFIG, secret),
        maker.object(Kind::HELM_RELEASE, "proxmox-csi", release),
    ]);
    objects
}
