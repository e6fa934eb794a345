//! Every key of the plan file, once: the reader, the writer, the form and `docs/PLAN.md` are made from this table.
mod integration;
mod mirror;
mod network;
mod template;
mod validation;

use super::model::{AddressRange, ApiUrl, Delivery, Role, VmidRange};
use crate::base::{tls::Fingerprint, vmid};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// One key of the plan file.
pub struct Key {
    /// The key's own name, without the section that it is in.
    pub name: &'static str,
    /// The label that the form writes beside the field.
    pub label: &'static str,
    /// The kind of value that it takes.
    pub kind: Kind,
    /// Required, or what holds when it is left out.
    pub need: Need,
    /// As a person would write it, in YAML.
    pub example: &'static str,
    /// One or two sentences; also the comment in a written plan.
    pub about: &'static str,
}

/// The kind of value that a key takes.
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number in this range.
    Int {
        /// The smallest number that is accepted.
        least: u64,
        /// The largest number that is accepted.
        most: u64,
    },
    /// `true` or `false`.
    Bool,
    /// Text with a form of its own.
    Pattern(&'static Format),
    /// A list of any texts.
    Strings,
    /// A list of texts that each have this form.
    List(&'static Format),
    /// A section with these keys.
    Section(&'static [Key]),
    /// A list of sections that each have these keys.
    Rows(&'static [Key]),
}

/// A form of text and the rule that guards it.
pub struct Format {
    /// Name of the form, for messages and documents: `IPv4 address`.
    pub title: &'static str,
    /// Id of the rule that a finding about a wrong text carries.
    pub rule: &'static str,
    /// Accepts a text, or says why it has not this form and what to write.
    pub check: fn(&str) -> Result<(), String>,
}

/// The rule for leaving a key out.
pub enum Need {
    /// A plan without it is refused.
    Required,
    /// May be left out; the text says what then holds.
    Default(&'static str),
    /// May be left out; the writer then leaves it out too.
    Optional(&'static str),
}

impl Kind {
    /// The type in words.
    pub fn title(&self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::Int { .. } => "whole number".into(),
            Kind::Bool => "true or false".into(),
            Kind::Pattern(format) => format.title.into(),
            Kind::Strings => "list of texts".into(),
            Kind::List(format) => format!("list: {}", format.title),
            Kind::Section(_) => "section".into(),
            Kind::Rows(_) => "list of sections".into(),
        }
    }
}

const ADDRESS: Format = Format {
    title: "IPv4 address",
    rule: "wrong-value",
    check: |s| {
        s.parse::<Ipv4Addr>().map(drop).map_err(|_| format!("`{s}` is no IPv4 address: write four numbers, 10.0.0.201"))
    },
};
const CIDR: Format = Format {
    title: "IPv4 network",
    rule: "wrong-value",
    check: |s| {
        s.parse::<Ipv4Net>().map(drop).map_err(|_| format!("`{s}` is no IPv4 network: write ADDRESS/BITS, 10.0.0.0/24"))
    },
};
const RANGE: Format =
    Format { title: "address range", rule: "wrong-value", check: |s| s.parse::<AddressRange>().map(drop) };
const VMIDS: Format =
    Format { title: "range of VMIDs", rule: "wrong-value", check: |s| s.parse::<VmidRange>().map(drop) };
const URL: Format = Format { title: "https URL", rule: "api-url", check: |s| s.parse::<ApiUrl>().map(drop) };
const FINGERPRINT: Format =
    Format { title: "SHA-256 fingerprint", rule: "wrong-value", check: |s| s.parse::<Fingerprint>().map(drop) };
const ROLE: Format =
    Format { title: "controlplane or worker", rule: "wrong-value", check: |s| s.parse::<Role>().map(drop) };
const DELIVERY: Format =
    Format { title: "apply or cdrom", rule: "wrong-value", check: |s| s.parse::<Delivery>().map(drop) };
const VMID: Kind = Kind::Int { least: *vmid::VMIDS.start() as u64, most: *vmid::VMIDS.end() as u64 };

const fn key(name: &'static str, label: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Key {
    Key { name, label, kind, need: Need::Required, example, about }
}

impl Key {
    const fn or(mut self, then: &'static str) -> Key {
        self.need = Need::Default(then);
        self
    }

    const fn optional(mut self, then: &'static str) -> Key {
        self.need = Need::Optional(then);
        self
    }
}

pub(super) static PLAN: &[Key] = &[
    key("version", "version", Kind::Int { least: 1, most: 1 }, "1", "Version of the plan file."),
    key(
        "name",
        "name of the run",
        Kind::Text,
        "cozy-new",
        "Name of the run: a-z, 0-9 and dashes, 1 to 40 characters. The state folder and the marks on VMs carry it.",
    ),
    key("site", "site", Kind::Section(SITE), "", "The Proxmox VE site. The token's secret is never in the plan."),
    key("image", "image", Kind::Section(IMAGE), "", "The Talos disk image that CozyStack publishes."),
    key(
        "template",
        "template",
        Kind::Section(template::TEMPLATE),
        "",
        "The VM template from which the nodes are cloned, and those of further hosts.",
    ),
    key("nodes", "nodes", Kind::Rows(NODE), "", "The machines of the cluster, each with fixed ids and addresses."),
    key(
        "network",
        "network",
        Kind::Section(network::NETWORK),
        "",
        "The nodes' network and the cluster's own networks.",
    ),
    key("talos", "talos", Kind::Section(TALOS), "", "Talos Linux and Kubernetes."),
    key("cozystack", "cozystack", Kind::Section(COZYSTACK), "", "The platform."),
    key(
        "integration",
        "integration",
        Kind::Section(integration::INTEGRATION),
        "",
        "Storage and the ties to Proxmox VE.",
    ),
    key(
        "tests",
        "tests",
        Kind::Section(validation::TESTS),
        "",
        "What day 5 proves with real objects, each removed afterwards.",
    )
    .or("all tests"),
    key(
        "overrides",
        "overrides",
        Kind::Rows(OVERRIDE),
        "",
        "Lint rules set aside, each with the reason that goes into the record.",
    )
    .optional("none"),
];

static SITE: &[Key] = &[
    key("url", "API URL", Kind::Pattern(&URL), "https://10.0.0.1:8006", "The API of any node, without /api2/json."),
    key(
        "fingerprint",
        "certificate fingerprint",
        Kind::Pattern(&FINGERPRINT),
        "\"AA:BB:…\"",
        "SHA-256 of the server's certificate, as the Proxmox VE GUI shows it under Certificates.",
    )
    .optional("without ca_file too, the certificate must verify against the system's roots"),
    key(
        "ca_file",
        "authority's file",
        Kind::Text,
        "~/.config/cozyup/site-ca.pem",
        "Instead of fingerprint: file with the authority that signs the site's certificates (pve-root-ca.pem); renewals then pass.",
    )
    .optional("fingerprint, or the system's roots"),
    key("token_id", "token id", Kind::Text, "cozyup@pve!run", "API token, user@realm!name. Only the id."),
    key(
        "token_file",
        "token file",
        Kind::Text,
        "~/.config/cozyup/proxmox.token",
        "File (mode 0600) with the token's secret; ~/ is the home folder. COZYUP_PROXMOX_TOKEN comes first.",
    ),
    key(
        "pool",
        "resource pool",
        Kind::Text,
        "cozy",
        "Resource pool of Proxmox VE that every VM is made in, for a token with rights on a pool only.",
    )
    .optional("in none"),
];

static IMAGE: &[Key] = &[
    key(
        "url",
        "image URL",
        Kind::Text,
        "https://github.com/cozystack/cozystack/releases/download/v0.37.2/nocloud-amd64.raw.xz",
        "Where this machine fetches the image: nocloud, .raw.xz or .raw. It is decompressed here, Proxmox VE can't.",
    ),
    key(
        "sha256",
        "image SHA-256",
        Kind::Text,
        "0123…cdef",
        "SHA-256 of the file at url, 64 lower-case hexadecimal digits, as sha256sum prints them.",
    ),
    key("storage", "image storage", Kind::Text, "local", "Proxmox storage with content type import."),
];

static NODE: &[Key] = &[
    key("name", "name", Kind::Text, "cozy-new-cp1", "VM, Talos and Kubernetes name: a DNS label."),
    key("role", "role", Kind::Pattern(&ROLE), "controlplane", "controlplane or worker."),
    key("vmid", "VMID", VMID, "1001", "VMID of the VM; a lost answer is found again by it."),
    key("address", "address", Kind::Pattern(&ADDRESS), "10.0.0.201", "The node's fixed IPv4 address."),
    key("host", "Proxmox node", Kind::Text, "pve", "Proxmox node that carries the VM."),
    key("cores", "cores", Kind::Int { least: 1, most: 512 }, "8", "CPU cores; documented minimum 8."),
    key(
        "memory_mib",
        "memory (MiB)",
        Kind::Int { least: 1, most: 8 << 20 },
        "24576",
        "Memory in MiB, a multiple of 8; documented minimum 24576.",
    ),
    key(
        "system_disk_gib",
        "system disk (GiB)",
        Kind::Int { least: 1, most: 65536 },
        "50",
        "Talos' disk in GiB; documented minimum 50.",
    ),
    key(
        "data_disk_gib",
        "data disk (GiB)",
        Kind::Int { least: 1, most: 262_144 },
        "256",
        "Raw disk for LINSTOR in GiB; documented minimum 100, recommended 256.",
    ),
];

static TALOS: &[Key] = &[
    key("version", "Talos version", Kind::Text, "v1.10.6", "Must be the version that the CozyStack release ships."),
    key("kubernetes", "Kubernetes version", Kind::Text, "v1.33.3", "Tag of the Kubernetes images, with the v."),
    key(
        "installer_image",
        "installer image",
        Kind::Text,
        "ghcr.io/cozystack/cozystack/talos:v1.10.6",
        "CozyStack's Talos image: it carries the DRBD and ZFS modules.",
    ),
    key(
        "install_disk",
        "install disk",
        Kind::Text,
        "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0",
        "The system disk as the node sees it: scsi0, by the name that stays when the kernel finds the disks in another order.",
    ),
    key(
        "delivery",
        "config delivery",
        Kind::Pattern(&DELIVERY),
        "cdrom",
        "apply: over the network, to whoever answers in maintenance mode. cdrom: by a CD-ROM that Proxmox VE puts into the VM.",
    )
    .or("apply"),
    key(
        "iso_storage",
        "ISO storage",
        Kind::Text,
        "local",
        "With delivery cdrom: Proxmox storage (content iso) that holds each config until its machine is up.",
    )
    .optional("the image's storage"),
    key(
        "mirrors",
        "registry mirrors",
        Kind::Rows(mirror::MIRROR),
        "",
        "Where the nodes pull images from: mirrors that are asked before the registry itself, in their order, or in its place.",
    )
    .optional("the registries themselves, and mirror.gcr.io before docker.io"),
    key(
        "ca_file",
        "further authorities",
        Kind::Text,
        "~/.config/cozyup/company-ca.pem",
        "File with further authorities (PEM) that the nodes trust, as a mirror's own; this machine trusts them for its fetches too.",
    )
    .optional("none"),
];

static COZYSTACK: &[Key] = &[
    key(
        "version",
        "CozyStack version",
        Kind::Text,
        "v0.37.2",
        "A release that this cozyup knows: v0.37.2, or v0.37.10, the last patch of its line.",
    ),
    key(
        "profile",
        "profile",
        Kind::Text,
        "paas-proxmox",
        "paas-proxmox (no KubeVirt), hybrid (KubeVirt too) or paas-full (the bundle as it is).",
    ),
    key(
        "root_host",
        "root host",
        Kind::Text,
        "cozy.example.com",
        "DNS domain of the platform; it and *.it must lead to the first pool address.",
    ),
    key(
        "installer_url",
        "installer URL",
        Kind::Text,
        "https://github.com/cozystack/cozystack/releases/download/v0.37.2/cozystack-installer.yaml",
        "The release's installer manifest.",
    ),
    key(
        "installer_sha256",
        "installer SHA-256",
        Kind::Text,
        "0123…cdef",
        "SHA-256 of the manifest, 64 lower-case hexadecimal digits.",
    )
    .optional("recorded when it is read first, and compared from then on"),
    key(
        "expose",
        "exposed services",
        Kind::Strings,
        "[api, dashboard]",
        "Services on the root ingress: api, dashboard, keycloak, cdi-uploadproxy, vm-exportproxy.",
    )
    .or("none"),
    key("telemetry", "telemetry", Kind::Bool, "false", "Whether the platform reports usage to its makers.").or("false"),
    key("disable", "components left out", Kind::Strings, "[kafka-operator]", "Further components to leave out.")
        .or("none"),
    key("enable", "components switched on", Kind::Strings, "[velero]", "Optional components to switch on.").or("none"),
];

static OVERRIDE: &[Key] = &[
    key("rule", "rule", Kind::Text, "size-below-minimum", "Id of a rule that may be set aside."),
    key("reason", "reason", Kind::Text, "a lab without tenants", "Why; goes into the record."),
];

/// Every key with its path, sections before what is in them; a row's path has `[]`: `nodes[].vmid`.
pub fn all() -> Vec<(String, &'static Key)> {
    fn walk(prefix: &str, keys: &'static [Key], into: &mut Vec<(String, &'static Key)>) {
        for key in keys {
            let path = format!("{prefix}{}", key.name);
            into.push((path.clone(), key));
            match &key.kind {
                Kind::Section(inner) => walk(&format!("{path}."), inner, into),
                Kind::Rows(inner) => walk(&format!("{path}[]."), inner, into),
                Kind::Text | Kind::Int { .. } | Kind::Bool | Kind::Pattern(_) | Kind::Strings | Kind::List(_) => {}
            }
        }
    }
    let mut found = Vec::new();
    walk("", PLAN, &mut found);
    found
}

/// The key at `path`, e.g. `network.vip` or `nodes[].vmid`.
pub fn find(path: &str) -> Option<&'static Key> {
    all().into_iter().find(|(found, _)| found == path).map(|(_, key)| key)
}
