//! Keys of the section `network`.
use super::{ADDRESS, CIDR, Key, Kind, RANGE, key};

pub(super) static NETWORK: &[Key] = &[
    key("subnet", "subnet", Kind::Pattern(&CIDR), "10.0.0.0/24", "The nodes' network; all nodes share one L2 segment."),
    key("gateway", "gateway", Kind::Pattern(&ADDRESS), "10.0.0.1", "Default gateway of the nodes."),
    key("dns", "DNS servers", Kind::List(&ADDRESS), "[10.0.0.1]", "Name servers of the nodes, one to three."),
    key("ntp", "NTP servers", Kind::Strings, "[pool.ntp.org]", "Time servers of the nodes; empty: the gateway.")
        .or("the gateway"),
    key("bridge", "bridge", Kind::Text, "vmbr0", "Bridge on every Proxmox node."),
    key("vlan", "VLAN", Kind::Int { least: 0, most: 65535 }, "100", "VLAN tag of the nodes' interface, 1 to 4094.")
        .optional("untagged"),
    key("mtu", "MTU", Kind::Int { least: 0, most: 65535 }, "1450", "MTU of the nodes' interface in bytes, 1280 to 9216; at most the bridge's.")
        .optional("what Proxmox VE gives the interface: from 9.0 on the bridge's, before it 1500"),
    key(
        "proxy",
        "proxy",
        Kind::Text,
        "http://proxy.example.org:3128",
        "HTTP proxy through which this machine fetches image and manifests, and the nodes pull their images.",
    )
    .optional("no proxy; HTTPS_PROXY of this machine is not used"),
    key(
        "no_proxy",
        "not by proxy",
        Kind::Strings,
        "[.example.org]",
        "Further servers that are asked past the proxy: names, domains with a dot in front, addresses, networks. The plan's own networks always are.",
    )
    .optional("only the plan's own networks"),
    key(
        "vip",
        "API address (VIP)",
        Kind::Pattern(&ADDRESS),
        "10.0.0.200",
        "The cluster's API address, held by one control plane at a time; free, in the subnet.",
    ),
    key("pod_cidr", "pod network", Kind::Pattern(&CIDR), "10.244.0.0/16", "Network of the pods."),
    key("service_cidr", "service network", Kind::Pattern(&CIDR), "10.96.0.0/16", "Network of the services."),
    key(
        "join_cidr",
        "join network",
        Kind::Pattern(&CIDR),
        "100.64.0.0/16",
        "Kube-OVN's network between node and pods.",
    ),
    key("cluster_domain", "cluster domain", Kind::Text, "cozy.local", "DNS domain inside the cluster."),
    key(
        "address_pool",
        "address pool",
        Kind::List(&RANGE),
        "[10.0.0.212-10.0.0.250]",
        "Ranges for LoadBalancer services: free, outside any DHCP range, at least two addresses.",
    ),
];
