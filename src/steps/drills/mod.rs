//! Drills: a machine of the run is powered off in Proxmox VE and on again, and the cluster is watched meanwhile.
pub mod bearing;
pub mod etcd;
pub mod pods;
pub mod power;

use crate::plan::model::NodePlan;

/// `vm 1002 (cozy-new-cp2)`
pub fn told(node: &NodePlan) -> String {
    format!("vm {} ({})", node.vmid, node.name)
}
