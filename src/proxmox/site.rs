//! What the site has: version, cluster, nodes, storages, bridges.
use super::fields::{Fields, rows, whole};
use crate::base::tls::Fingerprint;
use ipnet::Ipv4Net;
use serde_json::Value;
use std::net::Ipv4Addr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `9.1`
    pub release: String,
    /// `9.1.2`
    pub version: String,
    major: u32,
    minor: u32,
}

impl Version {
    pub fn major(&self) -> u32 {
        self.major
    }

    pub fn minor(&self) -> u32 {
        self.minor
    }
}

pub(super) fn version(data: &Value) -> Result<Version, String> {
    let fields = Fields::of(data)?;
    let version = fields.need_text("version")?;
    let release = fields.text("release").unwrap_or_else(|| version.clone());
    let mut numbers = version.split(['.', '-', '~']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok(Version { release, version, major, minor }),
        _ => Err(format!("`{version}` is no version of Proxmox VE")),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// `None` on a node that is in no cluster.
    pub quorate: Option<bool>,
    pub name: Option<String>,
    pub nodes: Vec<ClusterNode>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    pub name: String,
    pub online: bool,
    pub ip: Option<String>,
    /// The node that answered.
    pub local: bool,
}

pub(super) fn cluster_status(data: &Value) -> Result<ClusterStatus, String> {
    let mut status = ClusterStatus { quorate: None, name: None, nodes: Vec::new() };
    for row in rows(data)? {
        match row.need_text("type")?.as_str() {
            "cluster" => {
                status.quorate = Some(row.flag("quorate"));
                status.name = row.text("name");
            }
            "node" => status.nodes.push(ClusterNode {
                name: row.need_text("name")?,
                online: row.flag("online"),
                ip: row.text("ip"),
                local: row.flag("local"),
            }),
            _ => {}
        }
    }
    Ok(status)
}

/// A row of `GET /nodes`. The numbers are missing without `Sys.Audit` on the node; sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRow {
    pub node: String,
    /// `online`, `offline` or `unknown`.
    pub status: String,
    pub cpu: Option<f64>,
    pub maxcpu: Option<u64>,
    pub mem: Option<u64>,
    pub maxmem: Option<u64>,
    pub uptime: Option<u64>,
    pub ssl_fingerprint: Option<Fingerprint>,
}

pub(super) fn nodes(data: &Value) -> Result<Vec<NodeRow>, String> {
    let row = |r: &Fields| {
        Ok(NodeRow {
            node: r.need_text("node")?,
            status: r.text("status").unwrap_or_else(|| "unknown".to_string()),
            cpu: r.float("cpu"),
            maxcpu: r.number("maxcpu"),
            mem: r.number("mem"),
            maxmem: r.number("maxmem"),
            uptime: r.number("uptime"),
            ssl_fingerprint: r.text("ssl_fingerprint").and_then(|f| f.parse().ok()),
        })
    };
    rows(data)?.iter().map(row).collect()
}

/// `GET /nodes/{node}/status`; sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Logical processors.
    pub cpus: u64,
    pub sockets: u64,
    pub model: String,
    /// The processor offers hardware virtualisation, and it is switched on.
    pub hvm: bool,
    pub flags: Vec<String>,
    pub memory_total: u64,
    pub memory_used: u64,
    pub memory_free: u64,
    pub rootfs_avail: u64,
    /// `pve-manager/9.1.2/9d436f37a0ac4172`
    pub pveversion: String,
    /// Release of the running kernel: `6.14.11-4-pve`.
    pub kernel: Option<String>,
}

impl NodeStatus {
    /// The version of this very node, which may be another than that of the node that was asked: `9.1.2`, 9 and 1.
    pub fn version(&self) -> Option<Version> {
        let text = self.pveversion.split('/').nth(1)?;
        version(&serde_json::json!({ "version": text })).ok()
    }
}

pub(super) fn node_status(data: &Value) -> Result<NodeStatus, String> {
    let fields = Fields::of(data)?;
    let cpu = fields.inside("cpuinfo").ok_or("`cpuinfo` is missing")?;
    let memory = fields.inside("memory").ok_or("`memory` is missing")?;
    let rootfs = fields.inside("rootfs").ok_or("`rootfs` is missing")?;
    Ok(NodeStatus {
        cpus: cpu.need_number("cpus")?,
        sockets: cpu.number("sockets").unwrap_or(1),
        model: cpu.text("model").unwrap_or_default(),
        hvm: cpu.flag("hvm"),
        flags: cpu.parts("flags", &[' ']),
        memory_total: memory.need_number("total")?,
        memory_used: memory.number("used").unwrap_or_default(),
        memory_free: memory.number("free").unwrap_or_default(),
        rootfs_avail: rootfs.number("avail").unwrap_or_default(),
        pveversion: fields.text("pveversion").unwrap_or_default(),
        // Before 8.1 there is only the line of `uname`: `Linux 6.5.11-8-pve #1 SMP ...`.
        kernel: fields
            .inside("current-kernel")
            .and_then(|kernel| kernel.text("release"))
            .or_else(|| fields.text("kversion")?.split_whitespace().nth(1).map(str::to_string)),
    })
}

pub(super) fn node_time(data: &Value) -> Result<i64, String> {
    i64::try_from(Fields::of(data)?.need_number("time")?).map_err(|e| e.to_string())
}

/// A storage as one node sees it; sizes are bytes, 0 while it is not active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageRow {
    pub storage: String,
    /// `dir`, `lvmthin`, `zfspool`, …
    pub kind: String,
    /// `images`, `import`, `iso`, …: sorted.
    pub content: Vec<String>,
    pub active: bool,
    pub enabled: bool,
    pub shared: bool,
    pub total: u64,
    pub used: u64,
    pub avail: u64,
}

/// Sorted by name, and each content too: the server's own order is another one in each answer.
pub(super) fn storages(data: &Value) -> Result<Vec<StorageRow>, String> {
    let all = rows(data)?;
    let mut found: Vec<_> = all.iter().map(|r| Ok(row(r.need_text("storage")?, r))).collect::<Result<_, String>>()?;
    found.sort_by(|a: &StorageRow, b| a.storage.cmp(&b.storage));
    Ok(found)
}

pub(super) fn storage(data: &Value, name: &str) -> Result<StorageRow, String> {
    Ok(row(name.to_string(), &Fields::of(data)?))
}

fn row(storage: String, r: &Fields) -> StorageRow {
    let mut content = r.parts("content", &[',']);
    content.sort();
    StorageRow {
        storage,
        kind: r.text("type").unwrap_or_default(),
        content,
        active: r.flag("active"),
        // Older servers leave the field out for a storage that is not disabled.
        enabled: r.get("enabled").is_none() || r.flag("enabled"),
        shared: r.flag("shared"),
        total: r.number("total").unwrap_or_default(),
        used: r.number("used").unwrap_or_default(),
        avail: r.number("avail").unwrap_or_default(),
    }
}

/// A storage as `/etc/pve/storage.cfg` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    pub storage: String,
    /// `dir`, `lvmthin`, `zfspool`, …
    pub kind: String,
    /// Volumes of a ZFS storage take only the room that is written.
    pub sparse: bool,
    /// Of storages that keep disks as files: `off`, `metadata`, `falloc` or `full`.
    pub preallocation: Option<String>,
}

pub(super) fn storage_configs(data: &Value) -> Result<Vec<StorageConfig>, String> {
    let row = |r: &Fields| {
        Ok(StorageConfig {
            storage: r.need_text("storage")?,
            kind: r.text("type").unwrap_or_default(),
            sparse: r.flag("sparse"),
            preallocation: r.text("preallocation"),
        })
    };
    rows(data)?.iter().map(row).collect()
}

impl StorageConfig {
    /// Whether a new disk takes its whole size at once, and not only what is written to it (pve-storage, Plugin.pm and
    /// ZFSPoolPlugin.pm: a zvol reserves its size unless the storage is sparse).
    pub fn is_thick(&self) -> bool {
        match self.kind.as_str() {
            "lvm" | "iscsi" | "iscsidirect" => true,
            "zfspool" | "zfs" => !self.sparse,
            _ => matches!(self.preallocation.as_deref(), Some("falloc" | "full")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub volid: String,
    pub format: String,
    /// Bytes; since 9.2 the server may leave it out.
    pub size: Option<u64>,
    pub content: String,
    pub vmid: Option<u32>,
}

pub(super) fn volumes(data: &Value) -> Result<Vec<Volume>, String> {
    let row = |r: &Fields| {
        Ok(Volume {
            volid: r.need_text("volid")?,
            format: r.text("format").unwrap_or_default(),
            size: r.number("size"),
            content: r.text("content").unwrap_or_default(),
            vmid: r.get("vmid").and_then(whole).and_then(|n| n.try_into().ok()),
        })
    };
    rows(data)?.iter().map(row).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    pub iface: String,
    /// `bridge`, `OVSBridge` or `vnet`.
    pub kind: String,
    pub active: bool,
    /// A bridge says `bridge_vlan_aware`, a vnet `vlanaware` (pve-network, `PVE/Network/SDN.pm`).
    pub vlan_aware: bool,
    /// What the bridge is joined to, e.g. `eno1`; empty for one without a port.
    pub ports: Vec<String>,
    pub cidr: Option<Ipv4Net>,
    pub gateway: Option<Ipv4Addr>,
}

pub(super) fn bridges(data: &Value) -> Result<Vec<Bridge>, String> {
    let row = |r: &Fields| {
        Ok(Bridge {
            iface: r.need_text("iface")?,
            kind: r.text("type").unwrap_or_default(),
            active: r.flag("active"),
            vlan_aware: r.flag("bridge_vlan_aware") || r.flag("vlanaware"),
            ports: r.parts("bridge_ports", &[' ', ',']).into_iter().filter(|p| p != "none").collect(),
            cidr: r.text("cidr").and_then(|c| c.parse().ok()),
            gateway: r.text("gateway").and_then(|g| g.parse().ok()),
        })
    };
    let mut bridges: Vec<Bridge> = rows(data)?.iter().map(row).collect::<Result<_, String>>()?;
    // The server's list has no order of its own: it comes from the keys of a hash.
    bridges.sort_by(|a, b| a.iface.cmp(&b.iface));
    Ok(bridges)
}

/// A network of the software-defined network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vnet {
    pub vnet: String,
    pub zone: String,
    pub vlan_aware: bool,
}

pub(super) fn vnets(data: &Value) -> Result<Vec<Vnet>, String> {
    let row = |r: &Fields| {
        Ok(Vnet { vnet: r.need_text("vnet")?, zone: r.need_text("zone")?, vlan_aware: r.flag("vlanaware") })
    };
    rows(data)?.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_has_two_numbers() {
        let v = version(&json!({"release": "9.1", "version": "9.1.2", "repoid": "x"})).unwrap();
        assert_eq!((v.major(), v.minor(), v.release.as_str()), (9, 1, "9.1"));
        assert_eq!(version(&json!({"release": "8.4", "version": "8.4-1"})).unwrap().minor(), 4);
        assert!(version(&json!({"version": "nine"})).is_err());
    }

    #[test]
    fn a_node_alone_has_no_quorum_to_speak_of() {
        let alone = json!([{"type": "node", "id": "node/a", "name": "a", "ip": "10.0.0.1", "online": 1, "local": 1}]);
        let status = cluster_status(&alone).unwrap();
        assert_eq!(status.quorate, None);
        assert!(status.nodes[0].online && status.nodes[0].local);
        let lost = json!([{"type": "cluster", "name": "lab", "quorate": 0}, {"type": "quorum-device"}]);
        assert_eq!(cluster_status(&lost).unwrap().quorate, Some(false));
    }

    #[test]
    fn a_node_without_virtualisation_is_read_as_such() {
        let node = |hvm: &str| {
            json!({"cpuinfo": {"cpus": 8, "sockets": 1, "model": "m", "hvm": hvm, "flags": "fpu  vmx cx16"},
                   "memory": {"total": 100, "used": 40, "free": 60}, "rootfs": {"avail": 7}, "pveversion": "pve-manager/9"})
        };
        let status = node_status(&node("1")).unwrap();
        assert!(status.hvm);
        assert_eq!(status.flags, ["fpu", "vmx", "cx16"]);
        assert_eq!(status.version(), None);
        let old = NodeStatus { pveversion: "pve-manager/8.2.7/3e0176e6bb2ade3b".into(), ..status };
        assert_eq!(old.version().map(|v| (v.major(), v.minor())), Some((8, 2)));
        assert!(!node_status(&node("")).unwrap().hvm);
    }

    #[test]
    fn rows_of_storages_volumes_bridges_and_nodes_bear_missing_fields() {
        let s =
            &storages(&json!([{"storage": "local", "type": "dir", "content": "iso,import", "active": 1}])).unwrap()[0];
        assert!(s.active && s.enabled && !s.shared);
        assert_eq!(s.content, ["import", "iso"], "sorted");
        assert!(!storages(&json!([{"storage": "x", "enabled": 0}])).unwrap()[0].enabled);
        let v = &volumes(&json!([{"volid": "l:vm-1-disk-0", "vmid": "101", "content": "images"}])).unwrap()[0];
        assert_eq!((v.vmid, v.size), (Some(101), None));
        let b =
            &bridges(&json!([{"iface": "vmbr0", "type": "bridge", "active": 1, "bridge_vlan_aware": 1}])).unwrap()[0];
        assert!(b.active && b.vlan_aware && b.cidr.is_none());
        let configs = json!([
            {"storage": "a", "type": "zfspool"}, {"storage": "b", "type": "zfspool", "sparse": 1}, {"storage": "c", "type": "lvm"},
            {"storage": "d", "type": "dir", "preallocation": "full"}, {"storage": "e", "type": "lvmthin"},
        ]);
        let thick: Vec<bool> = storage_configs(&configs).unwrap().iter().map(StorageConfig::is_thick).collect();
        assert_eq!(thick, [true, false, true, true, false]);
        let more = json!([
            {"iface": "vmbr1", "type": "bridge", "bridge_ports": "none"}, {"iface": "k8s", "type": "vnet", "vlanaware": 1},
            {"iface": "vmbr0", "bridge_ports": "eno1 eno2", "cidr": "192.168.7.11/24", "gateway": "192.168.7.1"},
        ]);
        let more = bridges(&more).unwrap();
        assert_eq!(more.iter().map(|b| b.iface.as_str()).collect::<Vec<_>>(), ["k8s", "vmbr0", "vmbr1"]);
        assert!(more[0].vlan_aware && more[1].ports == ["eno1", "eno2"] && more[2].ports.is_empty());
        assert_eq!(more[1].gateway, Some(Ipv4Addr::new(192, 168, 7, 1)));
        let n = &nodes(&json!([{"node": "a", "status": "offline"}])).unwrap()[0];
        assert_eq!((n.maxmem, n.ssl_fingerprint.clone()), (None, None));
        assert!(nodes(&json!([{"status": "online"}])).unwrap_err().contains("node"));
    }
}
