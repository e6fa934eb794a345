//! Guests as the lists and `status/current` show them.
use super::fields::{Fields, rows};
use crate::base::vmid::Vmid;
use serde_json::Value;

/// A row of `/cluster/resources?type=vm` or of `/nodes/{node}/qemu`; sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmRow {
    /// VMID of the guest.
    pub vmid: Vmid,
    /// Missing for the first seconds of a VM.
    pub name: Option<String>,
    /// Node that the guest is on.
    pub node: String,
    /// `qemu` or `lxc`; both share the VMIDs.
    pub kind: String,
    /// `running`, `stopped` or `unknown`.
    pub status: String,
    /// True when the guest is a template.
    pub template: bool,
    /// Number of its virtual processors.
    pub maxcpu: Option<u64>,
    /// Memory that it may use at most.
    pub maxmem: Option<u64>,
    /// Size of its boot disk.
    pub maxdisk: Option<u64>,
    /// Its tags; empty without any.
    pub tags: Vec<String>,
    /// `clone`, `create`, `backup`, …
    pub lock: Option<String>,
    /// Resource pool that it is in; `None` also where the list does not say.
    pub pool: Option<String>,
}

pub(super) const TAG_SEPARATORS: [char; 3] = [';', ',', ' '];

pub(super) fn vmid(fields: &Fields) -> Result<Vmid, String> {
    Vmid::try_from(fields.need_number("vmid")?)
}

fn vm(row: &Fields, node: Option<&str>) -> Result<VmRow, String> {
    Ok(VmRow {
        vmid: vmid(row)?,
        name: row.text("name").filter(|n| !n.is_empty()),
        node: node.map_or_else(|| row.need_text("node"), |n| Ok(n.to_string()))?,
        kind: row.text("type").unwrap_or_else(|| "qemu".to_string()),
        status: row.text("status").unwrap_or_else(|| "unknown".to_string()),
        template: row.flag("template"),
        maxcpu: row.number("maxcpu").or_else(|| row.number("cpus")),
        maxmem: row.number("maxmem"),
        maxdisk: row.number("maxdisk"),
        tags: row.parts("tags", &TAG_SEPARATORS),
        lock: row.text("lock"),
        pool: row.text("pool"),
    })
}

pub(super) fn resources(data: &Value) -> Result<Vec<VmRow>, String> {
    rows(data)?.iter().map(|r| vm(r, None)).collect()
}

pub(super) fn vms(data: &Value, node: &str) -> Result<Vec<VmRow>, String> {
    rows(data)?.iter().map(|r| vm(r, Some(node))).collect()
}

/// `status/current`. The counters are bytes since the start; they tell a booting guest from a dead one.
#[derive(Debug, Clone, PartialEq)]
pub struct VmStatus {
    /// `running` or `stopped`.
    pub status: String,
    /// Also `paused`, `prelaunch`, …
    pub qmpstatus: String,
    /// Seconds.
    pub uptime: u64,
    /// Bytes received.
    pub netin: u64,
    /// Bytes sent.
    pub netout: u64,
    /// Bytes read from disks.
    pub diskread: u64,
    /// Bytes written to disks.
    pub diskwrite: u64,
    /// Share of all its processors, 0 to 1.
    pub cpu: f64,
}

impl VmStatus {
    /// True also while it is paused.
    pub fn is_running(&self) -> bool {
        self.status == "running"
    }
}

pub(super) fn vm_status(data: &Value) -> Result<VmStatus, String> {
    let fields = Fields::of(data)?;
    let status = fields.need_text("status")?;
    let counter = |key| fields.number(key).unwrap_or_default();
    Ok(VmStatus {
        qmpstatus: fields.text("qmpstatus").unwrap_or_else(|| status.clone()),
        status,
        uptime: counter("uptime"),
        netin: counter("netin"),
        netout: counter("netout"),
        diskread: counter("diskread"),
        diskwrite: counter("diskwrite"),
        cpu: fields.float("cpu").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_vm_of_the_first_seconds_has_no_name() {
        let new = json!([{"id": "qemu/101", "type": "qemu", "vmid": 101, "node": "a", "status": "unknown"}]);
        let row = &resources(&new).unwrap()[0];
        assert_eq!((row.vmid, row.name.as_deref(), row.template), (Vmid::of(101), None, false));
    }

    #[test]
    fn tags_and_locks_are_read_and_a_nodes_own_list_names_the_node() {
        let list = json!([{"vmid": "9000", "name": "t", "template": 1, "tags": "a;b", "lock": "clone", "cpus": 4}]);
        let row = &vms(&list, "pve").unwrap()[0];
        assert_eq!((row.node.as_str(), row.template, row.maxcpu), ("pve", true, Some(4)));
        assert_eq!(row.tags, ["a", "b"]);
        assert_eq!(row.lock.as_deref(), Some("clone"));
        assert!(resources(&list).is_err(), "without a node in the cluster's list");
    }

    #[test]
    fn a_stopped_vm_has_no_counters() {
        let status = vm_status(&json!({"status": "stopped", "qmpstatus": "stopped"})).unwrap();
        assert!(!status.is_running());
        assert_eq!(status.netin, 0);
    }
}
