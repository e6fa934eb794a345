//! The two roles of a machine in the cluster.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The role of a machine; `controlplane` and `worker` in the plan, as in Talos' `machine.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs etcd and the Kubernetes control plane; CozyStack lets workloads run there too.
    ControlPlane,
    /// Runs workloads only.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::ControlPlane => "controlplane",
            Role::Worker => "worker",
        })
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "controlplane" => Ok(Role::ControlPlane),
            "worker" => Ok(Role::Worker),
            other => Err(format!("`{other}` is no role: write controlplane or worker")),
        }
    }
}
