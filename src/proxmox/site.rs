//! The site: version, cluster and nodes.
use super::fields::{Fields, rows};
use crate::base::tls::Fingerprint;
use serde_json::Value;

/// `GET /version`, or the version in a node's status.
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
    /// 9 of `9.1.2`.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// 1 of `9.1.2`.
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

/// `GET /cluster/status`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// `None` on a node that is in no cluster.
    pub quorate: Option<bool>,
    /// Name of the cluster; `None` on a node that is in no cluster.
    pub name: Option<String>,
    /// The members, the node that answered among them.
    pub nodes: Vec<ClusterNode>,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Name of the node.
    pub name: String,
    /// True when the node that answered sees it in the cluster.
    pub online: bool,
    /// Address of the node in the cluster's own network.
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
    /// Name of the node.
    pub node: String,
    /// `online`, `offline` or `unknown`.
    pub status: String,
    /// Share of all its processors that is in use, 0 to 1.
    pub cpu: Option<f64>,
    /// Number of its logical processors.
    pub maxcpu: Option<u64>,
    /// Memory that is in use.
    pub mem: Option<u64>,
    /// Memory that is built in.
    pub maxmem: Option<u64>,
    /// Seconds since the node started.
    pub uptime: Option<u64>,
    /// SHA-256 of the certificate that the node shows, as the cluster knows it.
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
    /// Number of processor sockets.
    pub sockets: u64,
    /// Name of the processor, such as `AMD EPYC 7402P 24-Core Processor`; may be empty.
    pub model: String,
    /// The processor offers hardware virtualisation, and it is switched on.
    pub hvm: bool,
    /// The processor's flags as in `/proc/cpuinfo`.
    pub flags: Vec<String>,
    /// Memory that is built in.
    pub memory_total: u64,
    /// Memory that is in use, caches not included.
    pub memory_used: u64,
    /// Memory that the node counts as free.
    pub memory_free: u64,
    /// Room that is left on the node's root file system.
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
    fn rows_of_nodes_bear_missing_fields() {
        let n = &nodes(&json!([{"node": "a", "status": "offline"}])).unwrap()[0];
        assert_eq!((n.maxmem, n.ssl_fingerprint.clone()), (None, None));
        assert!(nodes(&json!([{"status": "online"}])).unwrap_err().contains("node"));
    }
}
