//! Changes that a person wants to know, as facts, and the one place that makes a sentence of each.
use super::contact::{Backend, Cause};
use crate::base::text::{format_duration, size};
use crate::base::vmid::Vmid;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A task of Proxmox VE, and who began it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOf {
    pub upid: String,
    /// `qmstop`, `qmshutdown`, `qmdestroy`, ...
    pub kind: String,
    /// `root@pam`, or `cozyup@pve!wizard` of a token.
    pub user: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Noticed {
    /// A VM of the run stopped. Without a task: from inside, or with its host.
    VmStopped {
        vmid: Vmid,
        name: String,
        host: String,
        task: Option<TaskOf>,
    },
    /// A VM that had stopped runs again.
    VmRuns {
        vmid: Vmid,
        name: String,
        host: String,
        task: Option<TaskOf>,
    },
    /// A VM was off for a moment and runs anew.
    VmRebooted {
        vmid: Vmid,
        name: String,
        host: String,
        task: Option<TaskOf>,
    },
    /// The VMID is free.
    VmGone {
        vmid: Vmid,
        name: String,
        task: Option<TaskOf>,
    },
    /// Somebody else's task on a VM of the run.
    ForeignTask {
        vmid: Vmid,
        name: String,
        host: String,
        task: TaskOf,
    },
    HostOffline {
        host: String,
    },
    HostOnline {
        host: String,
    },
    /// Used and total are bytes; `percent` is the threshold that was passed.
    StorageFilled {
        storage: String,
        host: String,
        used: u64,
        total: u64,
        percent: u8,
    },
    EtcdMemberLost {
        name: String,
    },
    NodeNotReady {
        name: String,
        reason: String,
    },
    NodeReady {
        name: String,
    },
    NodeGone {
        name: String,
    },
    /// `times`: failed attempts in a row.
    ReleaseFailed {
        namespace: String,
        name: String,
        times: u64,
        reason: String,
        message: String,
    },
    /// Flux tries no more.
    ReleaseStalled {
        namespace: String,
        name: String,
        reason: String,
        message: String,
    },
    /// Seconds of the run's clock.
    BackendSilent {
        backend: Backend,
        cause: Cause,
        for_s: u64,
    },
    /// Seconds of the run's clock.
    BackendAnswers {
        backend: Backend,
        after_s: u64,
    },
    /// Notices that were left out, since there were too many.
    Suppressed {
        count: u64,
    },
}

/// A change, and when it was noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticedAt {
    pub at: Timestamp,
    pub notice: Noticed,
}

/// The changes of a cluster that no run speaks of, and so no journal keeps: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    /// At most [`Notices::MOST`].
    pub rows: Vec<NoticedAt>,
}

impl Notices {
    pub const MOST: usize = 100;

    pub fn add(&mut self, at: Timestamp, notice: Noticed) {
        self.rows.insert(0, NoticedAt { at, notice });
        self.rows.truncate(Notices::MOST);
    }
}

impl Noticed {
    /// [`Noticed::subject`] of what is told of this VM.
    pub fn subject_of_vm(vmid: Vmid) -> String {
        format!("vm {vmid}")
    }

    /// The user whose task it was, as far as a task tells.
    pub fn by(&self) -> Option<&str> {
        let task = match self {
            Noticed::VmStopped { task, .. }
            | Noticed::VmRuns { task, .. }
            | Noticed::VmRebooted { task, .. }
            | Noticed::VmGone { task, .. } => task.as_ref(),
            Noticed::ForeignTask { task, .. } => Some(task),
            Noticed::HostOffline { .. }
            | Noticed::HostOnline { .. }
            | Noticed::StorageFilled { .. }
            | Noticed::EtcdMemberLost { .. }
            | Noticed::NodeNotReady { .. }
            | Noticed::NodeReady { .. }
            | Noticed::NodeGone { .. }
            | Noticed::ReleaseFailed { .. }
            | Noticed::ReleaseStalled { .. }
            | Noticed::BackendSilent { .. }
            | Noticed::BackendAnswers { .. }
            | Noticed::Suppressed { .. } => None,
        };
        task.map(|task| task.user.as_str())
    }

    /// The subject of the notice: of two with the same subject the later one alone is true.
    pub fn subject(&self) -> String {
        match self {
            Noticed::VmStopped { vmid, .. }
            | Noticed::VmRuns { vmid, .. }
            | Noticed::VmRebooted { vmid, .. }
            | Noticed::VmGone { vmid, .. } => Noticed::subject_of_vm(*vmid),
            Noticed::ForeignTask { task, .. } => task.upid.clone(),
            Noticed::HostOffline { host } | Noticed::HostOnline { host } => format!("host {host}"),
            Noticed::StorageFilled { storage, host, .. } => format!("storage {host}/{storage}"),
            Noticed::EtcdMemberLost { name } => format!("etcd {name}"),
            Noticed::NodeNotReady { name, .. } | Noticed::NodeReady { name } | Noticed::NodeGone { name } => {
                format!("node {name}")
            }
            Noticed::ReleaseFailed { namespace, name, .. } | Noticed::ReleaseStalled { namespace, name, .. } => {
                format!("release {namespace}/{name}")
            }
            Noticed::BackendSilent { backend, .. } | Noticed::BackendAnswers { backend, .. } => backend.to_string(),
            Noticed::Suppressed { .. } => "notices".to_string(),
        }
    }

    /// True when it tells of something that went well again.
    pub fn is_relief(&self) -> bool {
        match self {
            Noticed::VmRuns { .. }
            | Noticed::HostOnline { .. }
            | Noticed::NodeReady { .. }
            | Noticed::BackendAnswers { .. } => true,
            Noticed::VmStopped { .. }
            | Noticed::VmRebooted { .. }
            | Noticed::VmGone { .. }
            | Noticed::ForeignTask { .. }
            | Noticed::HostOffline { .. }
            | Noticed::StorageFilled { .. }
            | Noticed::EtcdMemberLost { .. }
            | Noticed::NodeNotReady { .. }
            | Noticed::NodeGone { .. }
            | Noticed::ReleaseFailed { .. }
            | Noticed::ReleaseStalled { .. }
            | Noticed::BackendSilent { .. }
            | Noticed::Suppressed { .. } => false,
        }
    }

    /// The sentence without the VM, for the line of a machine: `was stopped by root@pam (qmstop)`; `None` where it tells of no VM's power.
    pub fn of_power(&self) -> Option<String> {
        let by = |task: &Option<TaskOf>, nobody: &str| match task {
            Some(task) => format!(" by {} ({})", task.user, task.kind),
            None => nobody.to_string(),
        };
        match self {
            Noticed::VmStopped { task, .. } => {
                Some(format!("was stopped{}", by(task, ", and no task stopped it: from inside, or a crash")))
            }
            Noticed::VmRuns { task, .. } => Some(format!("runs again{}", started_by(task.as_ref()))),
            Noticed::VmRebooted { task, .. } => {
                Some(format!("was rebooted{}", by(task, ", and no task tells who did it")))
            }
            Noticed::VmGone { .. }
            | Noticed::ForeignTask { .. }
            | Noticed::HostOffline { .. }
            | Noticed::HostOnline { .. }
            | Noticed::StorageFilled { .. }
            | Noticed::EtcdMemberLost { .. }
            | Noticed::NodeNotReady { .. }
            | Noticed::NodeReady { .. }
            | Noticed::NodeGone { .. }
            | Noticed::ReleaseFailed { .. }
            | Noticed::ReleaseStalled { .. }
            | Noticed::BackendSilent { .. }
            | Noticed::BackendAnswers { .. }
            | Noticed::Suppressed { .. } => None,
        }
    }

    /// The sentence, without a full stop. Texts of the target stand in it as they came: whoever prints it cleans it.
    pub fn sentence(&self) -> String {
        match self {
            Noticed::VmStopped { vmid, name, host, .. }
            | Noticed::VmRuns { vmid, name, host, .. }
            | Noticed::VmRebooted { vmid, name, host, .. } => {
                format!("vm {vmid} ({name}) on {host} {}", self.of_power().unwrap_or_default())
            }
            Noticed::VmGone { vmid, name, task } => {
                let how = task.as_ref().map(|t| format!(": removed by {} ({})", t.user, t.kind)).unwrap_or_default();
                format!("vm {vmid} ({name}) is gone{how}")
            }
            Noticed::ForeignTask { vmid, name, host, task } => {
                format!("{} runs {} on vm {vmid} ({name}) on {host}", task.user, task.kind)
            }
            Noticed::HostOffline { host } => format!("Proxmox node {host} is offline"),
            Noticed::HostOnline { host } => format!("Proxmox node {host} is online again"),
            Noticed::StorageFilled { storage, host, used, total, percent } => {
                format!(
                    "storage {storage} of {host} is more than {percent} % full: {} of {}",
                    size(*used),
                    size(*total)
                )
            }
            Noticed::EtcdMemberLost { name } => format!("etcd no longer lists {name} as a full member"),
            Noticed::NodeNotReady { name, reason } => format!("node {name} is not Ready ({})", known(reason)),
            Noticed::NodeReady { name } => format!("node {name} is Ready again"),
            Noticed::NodeGone { name } => format!("node {name} is no longer registered in Kubernetes"),
            Noticed::ReleaseFailed { namespace, name, times, reason, message } => {
                let times = if *times == 1 { "once".to_string() } else { format!("{times} times in a row") };
                format!("release {namespace}/{name} failed {times} ({})", joined(reason, message))
            }
            Noticed::ReleaseStalled { namespace, name, reason, message } => {
                format!("Flux has given up release {namespace}/{name} ({})", joined(reason, message))
            }
            Noticed::BackendSilent { backend, cause, for_s } => {
                format!("{backend} has not answered for {}: {}", duration(*for_s), cause.as_str())
            }
            Noticed::BackendAnswers { backend, after_s } => {
                format!("{backend} answers again, after {}", duration(*after_s))
            }
            Noticed::Suppressed { count } => format!("{count} more changes were noticed and are left out here"),
        }
    }
}

fn duration(seconds: u64) -> String {
    format_duration(Duration::from_secs(seconds))
}

fn started_by(task: Option<&TaskOf>) -> String {
    task.map(|task| format!(", started by {} ({})", task.user, task.kind)).unwrap_or_default()
}

fn known(reason: &str) -> &str {
    if reason.is_empty() { "no reason given" } else { reason }
}

fn joined(reason: &str, message: &str) -> String {
    let parts: Vec<&str> = [reason, message].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "no reason given".to_string() } else { parts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_tells_the_task_and_the_user_and_one_from_inside_says_so() {
        let task = TaskOf { upid: "UPID:x".into(), kind: "qmstop".into(), user: "root@pam".into() };
        let stopped = |task| Noticed::VmStopped { vmid: Vmid::of(1003), name: "cp3".into(), host: "pve".into(), task };
        assert_eq!(stopped(Some(task)).sentence(), "vm 1003 (cp3) on pve was stopped by root@pam (qmstop)");
        assert!(stopped(None).sentence().contains("no task stopped it"));
        assert!(!stopped(None).is_relief());
        let task = TaskOf { upid: "UPID:y".into(), kind: "qmreboot".into(), user: "carol@pve".into() };
        let rebooted =
            Noticed::VmRebooted { vmid: Vmid::of(1003), name: "cp3".into(), host: "pve".into(), task: Some(task) };
        assert_eq!(rebooted.sentence(), "vm 1003 (cp3) on pve was rebooted by carol@pve (qmreboot)");
        assert_eq!((rebooted.by(), rebooted.subject()), (Some("carol@pve"), stopped(None).subject()));
    }

    #[test]
    fn facts_come_back_from_the_journal_as_they_were() {
        let failed = Noticed::ReleaseFailed {
            namespace: "cozy-linstor".into(),
            name: "linstor".into(),
            times: 3,
            reason: "InstallFailed".into(),
            message: String::new(),
        };
        let silent = Noticed::BackendSilent {
            backend: Backend::Talos { machine: "cp1".into() },
            cause: Cause::Silent,
            for_s: 60,
        };
        for notice in [failed, silent] {
            let text = serde_json::to_string(&notice).unwrap();
            assert_eq!(serde_json::from_str::<Noticed>(&text).unwrap(), notice, "{text}");
        }
    }
}
