//! The site below the cluster: Proxmox VE, and the machines as Talos tells of them.
use crate::base::vmid::Vmid;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    Running,
    Stopped,
    /// The cluster's status daemon has not told yet, or its node is offline.
    #[serde(other)]
    Unknown,
}

/// A VM of the plan, or its template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    pub vmid: Vmid,
    /// As the plan calls it.
    pub name: String,
    pub template: bool,
    /// `None`: the token sees no such VM. That it is gone is only known when its VMID is free.
    pub there: Option<VmThere>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmThere {
    pub host: String,
    pub power: Power,
    /// `backup`, `clone`, `migrate`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// Share of its processors, in thousandths.
    pub cpu_permille: Option<u32>,
    pub cpus: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes.
    pub memory_max: Option<u64>,
    /// Seconds since it was started.
    pub uptime_s: Option<u64>,
}

/// A node of Proxmox VE that the plan names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub name: String,
    pub online: bool,
    /// Share of its processors, in thousandths. Missing, as the rest, without `Sys.Audit`.
    pub cpu_permille: Option<u32>,
    pub cpus: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes.
    pub memory_max: Option<u64>,
}

/// A storage that the plan names, on one of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    pub name: String,
    pub host: String,
    /// Bytes.
    pub used: u64,
    /// Bytes; 0 while it is not active.
    pub total: u64,
}

impl Storage {
    /// Percent used at which a storage is told of, and at which it is as good as full.
    pub const FILLED: [u8; 2] = [85, 95];

    /// Percent used; 0 of nothing.
    pub fn percent(&self) -> u8 {
        let percent = u128::from(self.used) * 100 / u128::from(self.total.max(1));
        if self.total == 0 { 0 } else { u8::try_from(percent).unwrap_or(100).min(100) }
    }
}

/// A running task on a VM of the plan, or a running task of the run's own token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub upid: String,
    /// `qmclone`, `qmstop`, `vzdump`, ...
    pub kind: String,
    pub host: String,
    pub vmid: Option<Vmid>,
    /// `root@pam`, or `cozyup@pve!wizard` of a token.
    pub user: String,
    /// By the token that this run works with.
    pub ours: bool,
    pub started: Option<Timestamp>,
    /// Hundredths of a percent, where its log counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u64>,
}

/// The run's own things as Proxmox VE shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    pub vms: Vec<Vm>,
    pub hosts: Vec<Host>,
    pub storages: Vec<Storage>,
    /// The first ones of all that count.
    pub tasks: Vec<Task>,
    /// All that count.
    pub tasks_running: usize,
    /// The token sees only its own tasks (no `Sys.Audit` on `/`).
    pub own_tasks_only: bool,
}

impl Site {
    /// Tasks that are listed.
    pub const MOST_TASKS: usize = 20;
}

/// A full or learning member of etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub learner: bool,
}

/// A planned machine as its own Talos API tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub name: String,
    /// `running`, `booting`, ...; `None` before its first answer.
    pub stage: Option<String>,
    pub ready: bool,
    /// `v1.10.6`
    pub version: Option<String>,
    /// Services that are not up, with Talos' own state: the first ones.
    pub services_down: Vec<(String, String)>,
    pub services: usize,
    /// Bytes of its etcd's database; of a control plane whose etcd answers.
    pub etcd_size: Option<u64>,
    /// True when its etcd follows a leader.
    pub etcd_has_leader: Option<bool>,
}

impl Machine {
    /// Services that are listed, of those that are down.
    pub const MOST_SERVICES: usize = 12;
}

/// All planned machines, each with its last answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machines {
    pub machines: Vec<Machine>,
    /// As the first control plane that answers lists them; `None` before etcd answers.
    pub members: Option<Vec<Member>>,
}
