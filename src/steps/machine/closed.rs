//! The wait for a node whose Talos API is closed.
use crate::engine::wait::{Band, Wait};
use crate::plan::model::{NodePlan, Role};
use crate::steps::site::Reading;
use crate::talos::secrets::ClientCertificate;
use crate::talos::{NodeState, state_of};
use std::net::{IpAddr, Ipv4Addr};

/// Of a worker, for all that comes before the VIP: the control planes' services, the bootstrap, etcd's first health.
const BEFORE_VIP: Band = Band::new(240, 900);

/// The wait for a node that has its config, or is on its way to it; `band` counts from when nothing else stands before it.
pub async fn wait(site: &Reading, admin: &ClientCertificate, node: &NodePlan, why: &str, band: Band) -> Wait {
    let vip = site.plan.network.vip;
    // Whoever holds the VIP answers there on its Talos API too.
    let held =
        node.role == Role::ControlPlane || state_of(IpAddr::V4(vip), Some(admin)).await.value == NodeState::Configured;
    dark(node, vip, held, why, band)
}

/// Talos opens a worker's API only with a certificate that a control plane signs at the cluster's endpoint (trustd), and
/// nobody holds the VIP before etcd is bootstrapped: a worker's own time begins then.
fn dark(node: &NodePlan, vip: Ipv4Addr, held: bool, why: &str, band: Band) -> Wait {
    if held {
        return Wait::new(format!("{} answers on port 50000 with this cluster's certificate", node.name), why, band);
    }
    let condition =
        format!("a bootstrapped control plane holds the VIP {vip}: the API of {} opens only then", node.name);
    Wait::new(condition, why, BEFORE_VIP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::defaults::{Defaults, plan};

    /// talos.md 1
    #[test]
    fn a_workers_time_begins_when_the_vip_is_held_and_until_then_the_wait_says_so() {
        let plan = plan(&Defaults::default());
        let (node, band) = (&plan.nodes[0], Band::new(30, 180));
        let before = dark(node, plan.network.vip, false, "connection refused", band);
        let after = dark(node, plan.network.vip, true, "connection refused", band);
        assert!(before.condition.contains(&format!("holds the VIP {}", plan.network.vip)), "{}", before.condition);
        assert!(before.band.late_s > after.band.late_s);
        // Another condition is another wait, with a clock of its own.
        assert_ne!(before.condition, after.condition);
    }
}
