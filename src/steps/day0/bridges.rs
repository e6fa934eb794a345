//! `day0.bridges`: the bridge is there and active on every Proxmox node that the plan uses.
use super::{Check, hosts, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::{NetworkPlan, Plan};
use crate::proxmox::Bridge;
use crate::steps::failures;
use crate::steps::site::Reading;

pub const KIND: &str = "day0.bridges";

pub fn step(plan: &Plan) -> Check {
    let tag = plan.network.vlan.map(|v| format!(" with VLAN {v}")).unwrap_or_default();
    let title = format!("bridge {}{tag} is active on every host", plan.network.bridge);
    let by_hand = "pvesh get /nodes/NODE/network --type any_bridge";
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let (mut readings, mut problems) = (Vec::new(), Vec::new());
    let hosts = hosts(&site.plan);
    for host in &hosts {
        let bridges = site.proxmox.bridges(host).await;
        let bridges = bridges.map_err(|e| failures::proxmox(&e, &format!("list the bridges of {host}")))?;
        readings.push(of_proxmox(cx, &bridges));
        problems.extend(trouble(host, &bridges.value, &site.plan.network));
    }
    if !problems.is_empty() {
        let next = "mend the network of that node (Node > System > Network), or name another bridge in the plan; a \
                    bridge that the token may not see (SDN.Use) is missing here too";
        return Err(Failure::person(problems.join("; "), next));
    }
    let hosts: Vec<&str> = hosts.into_iter().collect();
    proof(&format!("bridge {} is active on {}", site.plan.network.bridge, hosts.join(", ")), &[], readings)
}

fn trouble(host: &str, bridges: &[Bridge], network: &NetworkPlan) -> Option<String> {
    let name = &network.bridge;
    let Some(bridge) = bridges.iter().find(|b| b.iface == *name) else {
        let others: Vec<&str> = bridges.iter().map(|b| b.iface.as_str()).collect();
        let others = if others.is_empty() { "none".to_string() } else { others.join(", ") };
        return Some(format!("{host} has no bridge {name} (it has {others})"));
    };
    if !bridge.active {
        return Some(format!("bridge {name} is not active on {host}"));
    }
    match network.vlan {
        // Open vSwitch needs no switch for it.
        Some(tag) if !bridge.vlan_aware && bridge.kind != "OVSBridge" => {
            Some(format!("bridge {name} on {host} is not VLAN aware, and the plan uses VLAN {tag}"))
        }
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn a_bridge_must_be_there_active_and_know_vlans_where_one_is_used() {
        let bridge = |iface: &str, active, vlan_aware| Bridge {
            iface: iface.into(),
            kind: "bridge".into(),
            active,
            vlan_aware,
            cidr: None,
        };
        let mut network = plan().network;
        assert_eq!(trouble("pve", &[bridge("vmbr0", true, false)], &network), None);
        assert_eq!(
            trouble("pve", &[bridge("vmbr1", true, false)], &network).unwrap(),
            "pve has no bridge vmbr0 (it has vmbr1)"
        );
        assert!(trouble("pve", &[bridge("vmbr0", false, false)], &network).unwrap().contains("not active"));
        network.vlan = Some(30);
        assert!(trouble("pve", &[bridge("vmbr0", true, false)], &network).unwrap().contains("VLAN aware"));
        assert_eq!(trouble("pve", &[bridge("vmbr0", true, true)], &network), None);
        let ovs = Bridge { kind: "OVSBridge".into(), ..bridge("vmbr0", true, false) };
        assert_eq!(trouble("pve", &[ovs], &network), None);
    }
}
