//! Keys of the section `tests`: what days 5 and 6 prove with real objects.
use super::{Key, Kind, RANGE, VMIDS, key};

pub(super) static TESTS: &[Key] = &[
    key("pod", "pod test", Kind::Bool, "true", "A pod starts and answers.").or("true"),
    key(
        "volumes",
        "volume tests",
        Kind::Strings,
        "[local, replicated, proxmox]",
        "StorageClasses on which a real volume is made, written and read.",
    )
    .or("[local, replicated, proxmox]"),
    key("load_balancer", "LoadBalancer test", Kind::Bool, "true", "A pool address answers from this machine.")
        .or("true"),
    key("dns", "DNS test", Kind::Bool, "true", "Names resolve inside the cluster.").or("true"),
    key("ingress", "ingress test", Kind::Bool, "true", "The root ingress answers for the root host.").or("true"),
    key(
        "machine_vmids",
        "VMIDs of day 6",
        Kind::Pattern(&VMIDS),
        "9500-9509",
        "VMIDs for the VMs that Cluster API makes on day 6 and removes again: free, and nobody else's.",
    )
    .optional("day 6 makes no VM"),
    key(
        "machine_addresses",
        "addresses of day 6",
        Kind::Pattern(&RANGE),
        "10.0.0.180-10.0.0.185",
        "Addresses for these VMs, three at the least: free, and outside any DHCP range.",
    )
    .optional("day 6 makes no VM"),
];
