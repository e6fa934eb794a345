//! Acts that a person may ask for beside the steps, as facts, and their sentences.
use crate::base::vmid::Vmid;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mending {
    /// Flux tries a HelmRelease again now, as if it had not failed before.
    ReconcileRelease { namespace: String, name: String },
    /// Proxmox VE starts the VM of a machine of the plan; `name` as the plan calls it.
    StartVm { vmid: Vmid, name: String },
}

impl Mending {
    /// `reconcile release cozy-x/x`, `start vm 1003 (cp3)`
    pub fn title(&self) -> String {
        match self {
            Mending::ReconcileRelease { namespace, name } => format!("reconcile release {namespace}/{name}"),
            Mending::StartVm { vmid, name } => format!("start vm {vmid} ({name})"),
        }
    }
}
