//! The scenarios of `assets/lab`, which are a part of the binary.

/// The scenarios that come with cozyup, by name.
pub const ALL: [(&str, &str); 24] = [
    ("standard", include_str!("../../assets/lab/standard.yaml")),
    ("missing-right", include_str!("../../assets/lab/missing-right.yaml")),
    ("storage-full", include_str!("../../assets/lab/storage-full.yaml")),
    ("vmid-taken", include_str!("../../assets/lab/vmid-taken.yaml")),
    ("address-taken", include_str!("../../assets/lab/address-taken.yaml")),
    ("clone-lock", include_str!("../../assets/lab/clone-lock.yaml")),
    ("release-stuck", include_str!("../../assets/lab/release-stuck.yaml")),
    ("bad-line", include_str!("../../assets/lab/bad-line.yaml")),
    ("by-cdrom", include_str!("../../assets/lab/by-cdrom.yaml")),
    ("drills", include_str!("../../assets/lab/drills.yaml")),
    ("never-heals", include_str!("../../assets/lab/never-heals.yaml")),
    ("local-storages", include_str!("../../assets/lab/local-storages.yaml")),
    ("local-templates", include_str!("../../assets/lab/local-templates.yaml")),
    ("local-names", include_str!("../../assets/lab/local-names.yaml")),
    ("nas-beside-local", include_str!("../../assets/lab/nas-beside-local.yaml")),
    ("thick-zfs", include_str!("../../assets/lab/thick-zfs.yaml")),
    ("later-patch", include_str!("../../assets/lab/later-patch.yaml")),
    ("upgraded", include_str!("../../assets/lab/upgraded.yaml")),
    ("in-a-pool", include_str!("../../assets/lab/in-a-pool.yaml")),
    ("pool-token", include_str!("../../assets/lab/pool-token.yaml")),
    ("disks-swapped", include_str!("../../assets/lab/disks-swapped.yaml")),
    ("pods-cut-off", include_str!("../../assets/lab/pods-cut-off.yaml")),
    ("old-cluster", include_str!("../../assets/lab/old-cluster.yaml")),
    ("pods-meet-another", include_str!("../../assets/lab/pods-meet-another.yaml")),
];
