//! Keys of the section `template`.
use super::{Key, Kind, VMID, key};

pub(super) static TEMPLATE: &[Key] = &[
    key("vmid", "template VMID", VMID, "9100", "VMID of the template."),
    key("name", "template name", Kind::Text, "cozy-talos", "Name of the template: a DNS label."),
    key("host", "template host", Kind::Text, "pve", "Proxmox node on which the template is built."),
    key(
        "storage",
        "disk storage",
        Kind::Text,
        "local-lvm",
        "Storage (content images) for the template's and the clones' disks.",
    ),
    key(
        "copies",
        "templates of other hosts",
        Kind::Rows(COPY),
        "",
        "One more template per host whose machines can't be cloned from this one: a clone goes to another host only over a \
         shared storage.",
    )
    .optional("none, so that template.storage must be shared by all hosts with machines"),
];

static COPY: &[Key] = &[
    key(
        "host",
        "host",
        Kind::Text,
        "pve-b",
        "Proxmox node on which it is built and whose machines are cloned from it.",
    ),
    key("vmid", "VMID", VMID, "9101", "Its VMID; its name is that of the template with the host behind it."),
    key("storage", "disk storage", Kind::Text, "local-lvm", "Storage of that host for its disk and the clones' disks.")
        .optional("one with the name of template.storage"),
    key(
        "image_storage",
        "image storage",
        Kind::Text,
        "local",
        "Storage of that host (content import) that gets an image of its own.",
    )
    .optional("image.storage, which is then shared with that host"),
];
