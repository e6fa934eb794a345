//! The whole cluster at a glance: guests, nodes and storages in one answer, and the tasks of late.
use super::fields::{Fields, rows};
use super::task::TaskExit;
use super::upid::Upid;
use super::vm::vmid;
use crate::base::vmid::Vmid;
use serde_json::Value;

/// `GET /cluster/resources`: what the token may see. The figures come from the status daemons, some ten seconds late.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    /// VMs and containers, templates among them.
    pub guests: Vec<GuestUse>,
    /// The nodes of the cluster.
    pub hosts: Vec<HostUse>,
    /// Storages, one row per node that has them.
    pub storages: Vec<StorageUse>,
}

/// Sizes are bytes. Numbers are missing for the first seconds of a guest.
#[derive(Debug, Clone, PartialEq)]
pub struct GuestUse {
    /// VMID of the VM or container.
    pub vmid: Vmid,
    /// Node that the guest is on.
    pub node: String,
    /// `running`, `stopped` or `unknown`.
    pub status: String,
    /// `clone`, `create`, `backup`, ...
    pub lock: Option<String>,
    /// Share of all its processors, 0 to 1.
    pub cpu: Option<f64>,
    /// Number of its virtual processors.
    pub maxcpu: Option<u64>,
    /// Memory that it uses now.
    pub mem: Option<u64>,
    /// Memory that it may use at most.
    pub maxmem: Option<u64>,
    /// Seconds.
    pub uptime: Option<u64>,
}

/// Sizes are bytes. Numbers are missing without `Sys.Audit` on the node.
#[derive(Debug, Clone, PartialEq)]
pub struct HostUse {
    /// Name of the node.
    pub node: String,
    /// `online`, `offline` or `unknown`.
    pub status: String,
    /// Share of all its processors, 0 to 1.
    pub cpu: Option<f64>,
    /// Number of its logical processors.
    pub maxcpu: Option<u64>,
    /// Memory that is in use, the host's own included.
    pub mem: Option<u64>,
    /// Memory that is built in.
    pub maxmem: Option<u64>,
}

/// A storage as one node sees it; sizes are bytes, 0 while it is not active.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageUse {
    /// Name of the storage.
    pub storage: String,
    /// Node that sees it so.
    pub node: String,
    /// Bytes in use (`disk`).
    pub used: u64,
    /// Its whole size in bytes (`maxdisk`).
    pub total: u64,
}

/// Rows of other types (pools, networks, those of newer versions) are left out.
pub(super) fn overview(data: &Value) -> Result<Overview, String> {
    let mut all = Overview::default();
    for row in rows(data)? {
        match row.need_text("type")?.as_str() {
            "qemu" | "lxc" => all.guests.push(guest(&row)?),
            "node" => all.hosts.push(HostUse {
                node: row.need_text("node")?,
                status: row.text("status").unwrap_or_else(|| "unknown".to_string()),
                cpu: row.float("cpu"),
                maxcpu: row.number("maxcpu"),
                mem: row.number("mem"),
                maxmem: row.number("maxmem"),
            }),
            "storage" => all.storages.push(StorageUse {
                storage: row.need_text("storage")?,
                node: row.need_text("node")?,
                used: row.number("disk").unwrap_or_default(),
                total: row.number("maxdisk").unwrap_or_default(),
            }),
            _ => {}
        }
    }
    Ok(all)
}

fn guest(row: &Fields) -> Result<GuestUse, String> {
    Ok(GuestUse {
        vmid: vmid(row)?,
        node: row.need_text("node")?,
        status: row.text("status").unwrap_or_else(|| "unknown".to_string()),
        lock: row.text("lock").filter(|lock| !lock.is_empty()),
        cpu: row.float("cpu"),
        maxcpu: row.number("maxcpu"),
        mem: row.number("mem"),
        maxmem: row.number("maxmem"),
        uptime: row.number("uptime"),
    })
}

/// A row of `GET /cluster/tasks` or of `GET /nodes/{node}/tasks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Name of the task; it tells node, kind and user.
    pub upid: Upid,
    /// True while the task has not ended.
    pub running: bool,
    /// It has ended as it should, with or without warnings.
    pub succeeded: bool,
}

/// A task whose name can't be read is left out.
pub(super) fn tasks(data: &Value) -> Result<Vec<TaskRow>, String> {
    let row = |row: &Fields| {
        let upid = row.text("upid")?.parse().ok()?;
        let status = row.text("status").filter(|status| !status.is_empty());
        // The cluster's list gives a running task no status, a node's list gives it this one.
        let running = row.get("endtime").is_none() && status.as_deref().is_none_or(|status| status == "RUNNING");
        let succeeded = !running && status.is_some_and(|s| TaskExit::of(&s).is_success());
        Some(TaskRow { upid, running, succeeded })
    };
    Ok(rows(data)?.iter().filter_map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// proxmox.md 11: the rows as 9.1 sends them, a fresh VM among them.
    #[test]
    fn an_overview_has_guests_nodes_and_storages_and_leaves_out_the_rest() {
        let data = json!([
            {"id": "qemu/101", "type": "qemu", "vmid": 101, "node": "pve1", "status": "unknown"},
            {"id": "qemu/102", "type": "qemu", "vmid": "102", "node": "pve1", "status": "running", "template": 0,
             "cpu": 0.25, "maxcpu": 8, "mem": "1024", "maxmem": 2048, "uptime": 77, "lock": "backup"},
            {"id": "node/pve1", "type": "node", "node": "pve1", "status": "online"},
            {"id": "storage/pve1/local", "type": "storage", "storage": "local", "node": "pve1", "disk": 5, "maxdisk": 10},
            {"id": "network/pve1/zone/localnetwork", "type": "network", "node": "pve1"},
        ]);
        let all = overview(&data).unwrap();
        assert_eq!((all.guests.len(), all.hosts.len(), all.storages.len()), (2, 1, 1));
        assert_eq!((all.guests[1].mem, all.guests[1].uptime, all.guests[1].cpu), (Some(1024), Some(77), Some(0.25)));
        assert_eq!(all.hosts[0].cpu, None, "without Sys.Audit");
        assert!(overview(&json!([{"type": "qemu", "vmid": 101}])).unwrap_err().contains("node"));
    }

    #[test]
    fn a_task_runs_until_it_has_an_end_in_either_list() {
        let upid = |pid: u32| format!("UPID:a:{pid:08X}:05F5E100:68FB0C11:qmstop:1003:root@pam:");
        let data = json!([
            {"upid": upid(1), "starttime": 1}, {"upid": upid(2), "status": "RUNNING"},
            {"upid": upid(3), "status": "OK", "endtime": 5}, {"upid": upid(4), "status": "stop failed", "endtime": 5},
            {"upid": "nonsense"},
        ]);
        let told: Vec<_> = tasks(&data).unwrap().iter().map(|t| (t.running, t.succeeded)).collect();
        assert_eq!(told, [(true, false), (true, false), (false, true), (false, false)]);
    }
}
