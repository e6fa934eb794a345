//! Keys of the section `integration`: what ties the cluster to Proxmox VE.
use super::{Key, Kind, key};

pub(super) static INTEGRATION: &[Key] = &[
    key("linstor", "linstor", Kind::Section(LINSTOR), "", "Replicated storage on the data disks."),
    key("csi", "csi", Kind::Section(CSI), "", "Proxmox CSI: volumes on a Proxmox storage."),
    key("capmox", "capmox", Kind::Section(CAPMOX), "", "Cluster API provider for Proxmox VE, with in-cluster IPAM."),
];

static LINSTOR: &[Key] = &[
    key("pool", "LINSTOR pool", Kind::Text, "data", "Name of the storage pool on every node."),
    key(
        "device",
        "LINSTOR device",
        Kind::Text,
        "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi1",
        "The data disk as the node sees it: scsi1, by the name that stays as well.",
    ),
];

static CSI: &[Key] = &[
    key("enabled", "Proxmox CSI", Kind::Bool, "true", "Whether to install the driver."),
    key("storage", "CSI storage", Kind::Text, "local-lvm", "Proxmox storage (content images) for volumes."),
    key("region", "CSI region", Kind::Text, "pve", "Value of topology.kubernetes.io/region on every node."),
    key("chart_version", "CSI chart version", Kind::Text, "0.3.16", "Version of the chart proxmox-csi-plugin."),
];

static CAPMOX: &[Key] = &[
    key("enabled", "capmox", Kind::Bool, "true", "Whether to install the provider."),
    key("version", "capmox version", Kind::Text, "v0.7.7", "Below v0.8: later ones need a newer Cluster API."),
    key("ipam_version", "IPAM version", Kind::Text, "v1.0.3", "Below v1.1, for the same reason."),
    key(
        "components_url",
        "capmox components",
        Kind::Text,
        "https://mirror.example.com/infrastructure-components.yaml",
        "Where this machine takes capmox's components from, a URL or an absolute path; the cluster fetches nothing.",
    )
    .optional("the release of that version on GitHub"),
    key(
        "components_sha256",
        "capmox SHA-256",
        Kind::Text,
        "0123…cdef",
        "SHA-256 of capmox's components, 64 lower-case hexadecimal digits.",
    )
    .optional("recorded when they are read first, and compared from then on"),
    key(
        "ipam_components_url",
        "IPAM components",
        Kind::Text,
        "https://mirror.example.com/ipam-components.yaml",
        "Where this machine takes IPAM's components from, a URL or an absolute path.",
    )
    .optional("the release of that version on GitHub"),
    key(
        "ipam_components_sha256",
        "IPAM SHA-256",
        Kind::Text,
        "0123…cdef",
        "SHA-256 of IPAM's components, 64 lower-case hexadecimal digits.",
    )
    .optional("recorded when they are read first, and compared from then on"),
];
