//! The services of a Talos machine and what happened to them.
use jiff::Timestamp;
use std::collections::VecDeque;

/// What each service waits for at first, in Talos' order: its volumes, other services, conditions
/// (`services/*.go`: `Volumes`, `DependsOn`, `Condition`).
pub const APID_WAITS: &str = "service \"containerd\" to be \"up\", api certificates";
pub const CRI_WAITS: &str = "volume \"/var/lib\" to be mounted, volume \"/var/lib/cni\" to be mounted, \
                             volume \"/var/lib/containerd\" to be mounted, volume \"/var/run\" to be mounted, \
                             volume \"/var/run/lock\" to be mounted, network";
pub const ETCD_WAITS: &str = "volume \"/var/lib\" to be mounted, volume \"ETCD\" to be mounted, \
                              service \"cri\" to be \"up\", time sync, network, etcd spec";
pub const KUBELET_WAITS: &str = "volume \"/var/lib\" to be mounted, volume \"/var/lib/kubelet\" to be mounted, \
                                 volume \"/var/log\" to be mounted, volume \"/var/log/audit\" to be mounted, \
                                 volume \"/var/log/containers\" to be mounted, volume \"/var/log/pods\" to be mounted, \
                                 volume \"/var/lib/kubelet/seccomp\" to be mounted, \
                                 volume \"/var/lib/kubelet/seccomp/profiles\" to be mounted, \
                                 volume \"/var/log/audit/kube\" to be mounted, volume \"/var/mnt\" to be mounted, \
                                 service \"cri\" to be \"up\", time sync, network";
pub const TRUSTD_WAITS: &str = "service \"containerd\" to be \"up\", time sync, network";

/// The two containerds of a node: of its own services, and of pods.
pub const CONTAINERD_RUNS: &str = "Process Process([\"/bin/containerd\" \"--address\" \
                                   \"/system/run/containerd/containerd.sock\" \"--state\" \"/system/run/containerd\" \
                                   \"--root\" \"/system/var/lib/containerd\"]) started with PID 1402";
pub const CRI_RUNS: &str = "Process Process([\"/bin/containerd\" \"--address\" \"/run/containerd/containerd.sock\" \
                            \"--config\" \"/etc/cri/containerd.toml\"]) started with PID 1724";

/// The number of events that Talos keeps of a service.
const KEPT: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Preparing,
    Waiting,
    Starting,
    Running,
    Stopping,
    Finished,
    Failed,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Preparing => "Preparing",
            State::Waiting => "Waiting",
            State::Starting => "Starting",
            State::Running => "Running",
            State::Stopping => "Stopping",
            State::Finished => "Finished",
            State::Failed => "Failed",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Happened {
    pub at: Timestamp,
    pub state: State,
    pub message: String,
}

/// The result of the last health check; `None` in [`Service`]: not known yet, or no check.
#[derive(Debug, Clone)]
pub struct Health {
    pub at: Timestamp,
    pub healthy: bool,
    pub message: String,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub state: State,
    pub health: Option<Health>,
    /// Oldest first.
    pub events: VecDeque<Happened>,
}

impl Service {
    pub fn new(at: Timestamp, state: State, message: &str) -> Self {
        let mut service = Service { state, health: None, events: VecDeque::new() };
        service.note(at, state, message);
        service
    }

    pub fn note(&mut self, at: Timestamp, state: State, message: &str) {
        if state != State::Running {
            self.health = None;
        }
        self.state = state;
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Happened { at, state, message: message.into() });
    }

    pub fn running(&self) -> bool {
        self.state == State::Running
    }

    /// Runs, and its health check, where it has one, is content.
    pub fn healthy(&self) -> bool {
        self.running() && self.health.as_ref().is_none_or(|h| h.healthy)
    }
}
