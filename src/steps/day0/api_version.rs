//! `day0.api_version`: Proxmox VE is new enough, and the nodes that the plan uses are online in a cluster with quorum.
use super::{Check, hosts, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::proxmox::{ClusterStatus, Version};
use crate::steps::site::Reading;
use crate::steps::{failures, kernels};
use std::collections::BTreeSet;

pub const KIND: &str = "day0.api_version";
/// Since libpve-storage-perl 8.3.6 a raw image can be uploaded as content `import`.
const OLDEST: (u32, u32) = (8, 4);

pub fn step(plan: &Plan) -> Check {
    let nodes = hosts(plan).into_iter().collect::<Vec<_>>().join(", ");
    let title = format!("Proxmox VE is {}.{} or newer, {nodes} online", OLDEST.0, OLDEST.1);
    let by_hand = "pveversion\npvecm status";
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let version = site.proxmox.version().await.map_err(|e| failures::proxmox(&e, "ask for the version"))?;
    let found = &version.value;
    if is_too_old(found) {
        return Err(too_old(&format!("Proxmox VE {}", found.version)));
    }
    let cluster = site.proxmox.cluster_status().await.map_err(|e| failures::proxmox(&e, "ask for the cluster"))?;
    let hosts = hosts(&site.plan);
    if let Some(what) = trouble(&cluster.value, &hosts) {
        return Err(Failure::person(
            what,
            "bring the nodes back (pvecm status says more), or change the plan's hosts (template.host, nodes[].host)",
        ));
    }
    // Within a cluster that is being upgraded each node has its own version, and does its own work by it.
    let (mut readings, mut old, mut newer) = (vec![of_proxmox(cx, &version), of_proxmox(cx, &cluster)], vec![], vec![]);
    let mut running = Vec::new();
    for host in &hosts {
        let status = site.proxmox.node_status(host).await;
        let status = status.map_err(|e| failures::proxmox(&e, &format!("read the status of {host}")))?;
        readings.push(of_proxmox(cx, &status));
        running.push((*host, status.value.kernel.clone()));
        let Some(own) = status.value.version() else { continue };
        if is_too_old(&own) {
            old.push(format!("Proxmox VE {} on {host}", own.version));
        } else if (own.major(), own.minor()) != (found.major(), found.minor()) {
            newer.push(format!("{host} runs Proxmox VE {} and the node that answers {}", own.version, found.version));
        }
    }
    if !old.is_empty() {
        return Err(too_old(&old.join(", ")));
    }
    let running: Vec<(&str, Option<&str>)> = running.iter().map(|(host, kernel)| (*host, kernel.as_deref())).collect();
    newer.extend(kernels::remarks(&site.plan, &running));
    let quorum = if cluster.value.quorate.is_some() { "the cluster has quorum" } else { "a node without a cluster" };
    let summary =
        format!("Proxmox VE {}, {quorum}, online: {}", found.version, hosts.into_iter().collect::<Vec<_>>().join(", "));
    proof(&summary, &newer, readings)
}

/// True when the node can't take a raw image over its API.
pub fn is_too_old(version: &Version) -> bool {
    (version.major(), version.minor()) < OLDEST
}

fn too_old(what: &str) -> Failure {
    Failure::refused(
        format!("{what} can't take a raw disk image over its API; {}.{} can", OLDEST.0, OLDEST.1),
        "upgrade Proxmox VE there: apt update && apt full-upgrade within 8.x, or as its guide from 8 to 9 says; or name \
         other hosts in the plan",
    )
}

/// What keeps one from working with these hosts; `None` when all of them are there.
pub fn trouble(cluster: &ClusterStatus, hosts: &BTreeSet<&str>) -> Option<String> {
    if cluster.quorate == Some(false) {
        return Some("the Proxmox cluster has no quorum: nothing in it can be changed".to_string());
    }
    let mut wrong = Vec::new();
    for host in hosts {
        match cluster.nodes.iter().find(|n| n.name == *host) {
            None => {
                let known: Vec<&str> = cluster.nodes.iter().map(|n| n.name.as_str()).collect();
                wrong.push(format!("there is no Proxmox node {host} (there is {})", known.join(", ")));
            }
            Some(node) if !node.online => wrong.push(format!("Proxmox node {host} is offline")),
            Some(_) => {}
        }
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxmox::ClusterNode;

    #[test]
    fn a_node_that_is_missing_or_offline_is_named() {
        let node = |name: &str, online| ClusterNode { name: name.into(), online, ip: None, local: false };
        let nodes = vec![node("pve1", true), node("pve2", false)];
        let mut status = ClusterStatus { quorate: Some(true), name: None, nodes };
        assert_eq!(trouble(&status, &BTreeSet::from(["pve1"])), None);
        assert_eq!(
            trouble(&status, &BTreeSet::from(["pve1", "pve2", "pve3"])).unwrap(),
            "Proxmox node pve2 is offline; there is no Proxmox node pve3 (there is pve1, pve2)"
        );
        status.quorate = Some(false);
        assert!(trouble(&status, &BTreeSet::from(["pve1"])).unwrap().contains("quorum"));
    }
}
