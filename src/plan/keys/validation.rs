//! Keys of the section `tests`: what days 5 to 8 prove with real objects.
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
        "storage",
        "storage tests",
        Kind::Bool,
        "true",
        "Day 7: each of these volumes grows, moves with its pod to another node, and is restored from a snapshot, as far as its class can.",
    )
    .or("true"),
    key(
        "drills",
        "drills",
        Kind::Strings,
        "[]",
        "Day 7: machines of the plan that are powered off in Proxmox VE and on again, one after the other, each while the cluster is proven to bear it.",
    )
    .or("none"),
    key(
        "tenant",
        "tenant tests",
        Kind::Bool,
        "true",
        "Day 8: two tenants are made, do not reach each other, hold their quota, answer under their host, and are removed.",
    )
    .or("true"),
    key(
        "postgres",
        "database test",
        Kind::Bool,
        "true",
        "Day 8, with `tests.tenant`: a Postgres of a tenant keeps a row that its replica gives back.",
    )
    .or("true"),
    key(
        "worker_template",
        "template of a tenant's machines",
        Kind::Int { least: 100, most: 999_999_999 },
        "9200",
        "Day 9: VMID of a template with containerd, kubeadm and kubelet, on the host of the Talos template. A tenant gets a Kubernetes of its \
         own, whose machines are made of it in the same two ranges as day 6's, and all of it is removed again.",
    )
    .optional("day 9 makes no cluster"),
    key(
        "tenant_workers",
        "machines of a tenant",
        Kind::Int { least: 1, most: 20 },
        "1",
        "Day 9: how many machines the tenant's Kubernetes gets, each of the sizes below.",
    )
    .or("1"),
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
    key(
        "workers",
        "workers of day 6",
        Kind::Int { least: 0, most: 20 },
        "2",
        "How many workers Cluster API makes on day 6, in the same two ranges: they join the cluster, carry a pod, and are \
         drained and removed again. 0: none.",
    )
    .or("0"),
    key("worker_cores", "cores of a worker", Kind::Int { least: 1, most: 512 }, "2", "CPU cores of each.").or("2"),
    key(
        "worker_memory_mib",
        "memory of a worker",
        Kind::Int { least: 2048, most: 8 << 20 },
        "4096",
        "Memory of each in MiB, a multiple of 8.",
    )
    .or("4096"),
    key(
        "worker_disk_gib",
        "disk of a worker",
        Kind::Int { least: 10, most: 65536 },
        "20",
        "Disk of each in GiB, on the template's storage.",
    )
    .or("20"),
];
