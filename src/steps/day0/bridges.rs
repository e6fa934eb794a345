//! `day0.bridges`: the bridge is there and active on every Proxmox node that the plan uses.
use super::{Check, hosts, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::{NetworkPlan, Plan, USUAL_MTU};
use crate::proxmox::Bridge;
use crate::steps::failures;
use crate::steps::site::Reading;
use std::collections::BTreeSet;

pub const KIND: &str = "day0.bridges";

pub fn step(plan: &Plan) -> Check {
    let tag = plan.network.vlan.map(|v| format!(" with VLAN {v}")).unwrap_or_default();
    let title = format!("bridge {}{tag} is active on every host", plan.network.bridge);
    let by_hand = "pvesh get /nodes/NODE/network --type any_bridge";
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_hosts()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let (mut readings, mut problems, mut remarks, mut mtus) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let hosts = hosts(&site.plan);
    let network = &site.plan.network;
    for host in &hosts {
        let bridges = site.proxmox.bridges(host).await;
        let bridges = bridges.map_err(|e| failures::proxmox(&e, &format!("list the bridges of {host}")))?;
        readings.push(of_proxmox(cx, &bridges));
        mtus.extend(bridges.value.iter().find(|b| b.iface == network.bridge).map(|b| (*host, mtu_of(b))));
        match judge(&bridges.value, network) {
            Ok(None) => {}
            Ok(Some(port)) => remarks.push(format!(
                "bridge {} on {host} is not VLAN aware: Proxmox VE makes a bridge of its own for VLAN {} on {port}",
                network.bridge,
                network.vlan.unwrap_or_default()
            )),
            Err(problem) => problems.push((*host, problem)),
        }
    }
    if !problems.is_empty() {
        let what: Vec<String> = problems.iter().map(|(host, problem)| problem.told(host, network)).collect();
        let next: BTreeSet<String> = problems.iter().map(|(host, problem)| problem.next(host, network)).collect();
        let next: Vec<String> = next.into_iter().collect();
        return Err(Failure::person(
            what.join("; "),
            format!("{}; or name another bridge in the plan", next.join("; ")),
        ));
    }
    remarks.extend(left_open(&mtus, network));
    let hosts: Vec<&str> = hosts.into_iter().collect();
    proof(&format!("bridge {} is active on {}", network.bridge, hosts.join(", ")), &remarks, readings)
}

/// In bytes; `None` where the row does not tell it.
fn mtu_of(bridge: &Bridge) -> Option<u16> {
    bridge.mtu.or_else(|| (bridge.kind != "vnet").then_some(USUAL_MTU))
}

/// The remark about MTUs that the plan leaves to Proxmox VE; `None` when there is nothing to choose.
fn left_open(mtus: &[(&str, Option<u16>)], network: &NetworkPlan) -> Option<String> {
    let unusual = mtus.iter().any(|(_, mtu)| mtu.is_some_and(|mtu| mtu != USUAL_MTU));
    let least = mtus.iter().filter_map(|(_, mtu)| *mtu).min()?;
    (unusual && network.mtu.is_none()).then(|| {
        let each: Vec<String> =
            mtus.iter().filter_map(|(host, mtu)| Some(format!("{} on {host}", (*mtu)?))).collect();
        format!(
            "bridge {} has an MTU of {}: from 9.0 on Proxmox VE gives it to the VMs, before it 1500 whatever the bridge carries; \
             network.mtu: {least} says it for all of them",
            network.bridge,
            each.join(", ")
        )
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Problem {
    /// The token sees no bridge at all.
    NoneSeen,
    /// Those that there are.
    Missing(Vec<String>),
    NotActive,
    /// A bridge without a port, over which Proxmox VE can't make one for the VLAN.
    NoPortForVlan,
    /// A network of the SDN whose VLAN awareness is off.
    VnetNotAware,
    /// The bridge's MTU, below the plan's.
    SmallerMtu(u16),
}

impl Problem {
    fn told(&self, host: &str, network: &NetworkPlan) -> String {
        let name = &network.bridge;
        let tag = network.vlan.unwrap_or_default();
        match self {
            Problem::NoneSeen => format!("{host} shows no bridge at all, so none of the name {name}"),
            Problem::Missing(others) => format!("{host} has no bridge {name} (it has {})", others.join(", ")),
            Problem::NotActive => format!("bridge {name} is not active on {host}"),
            Problem::NoPortForVlan => format!(
                "bridge {name} on {host} is not VLAN aware and is joined to no network card, and the plan uses VLAN {tag}"
            ),
            Problem::VnetNotAware => {
                format!("the SDN network {name} on {host} is not VLAN aware, and the plan uses VLAN {tag}")
            }
            Problem::SmallerMtu(mtu) => format!(
                "bridge {name} on {host} has an MTU of {mtu}, and no VM starts on it with the plan's {}",
                network.mtu.unwrap_or(USUAL_MTU)
            ),
        }
    }

    fn next(&self, host: &str, network: &NetworkPlan) -> String {
        let name = &network.bridge;
        match self {
            Problem::NoneSeen => {
                "most likely the token lacks SDN.Use, without which bridges are left out of the list: \
                                  day0.permissions says how to give it"
                    .to_string()
            }
            Problem::Missing(_) => format!(
                "look at Node {host} > System > Network; a bridge on which the token lacks SDN.Use is missing here too"
            ),
            Problem::NotActive => format!("Node {host} > System > Network > {name}: mend it, then Apply Configuration"),
            Problem::NoPortForVlan => {
                format!("switch on Node {host} > System > Network > {name} > VLAN aware, then Apply Configuration")
            }
            Problem::VnetNotAware => {
                format!("switch on Datacenter > SDN > VNets > {name} > VLAN Aware, then Datacenter > SDN > Apply")
            }
            Problem::SmallerMtu(mtu) => format!(
                "set network.mtu to {mtu}, or Node {host} > System > Network > {name} > MTU to the plan's, then Apply Configuration"
            ),
        }
    }
}

/// The card over which Proxmox VE will make a bridge for the VLAN, where it has to: it does so by itself for a traditional
/// bridge with a port (pve-common, `activate_bridge_vlan` in Network.pm, 8.4 to 9.2).
fn judge(bridges: &[Bridge], network: &NetworkPlan) -> Result<Option<String>, Problem> {
    let Some(bridge) = bridges.iter().find(|b| b.iface == network.bridge) else {
        let others: Vec<String> = bridges.iter().map(|b| b.iface.clone()).collect();
        return Err(if others.is_empty() { Problem::NoneSeen } else { Problem::Missing(others) });
    };
    if !bridge.active {
        return Err(Problem::NotActive);
    }
    // qemu-server refuses to start such a VM (`print_netdevice_full`).
    if let Some(mtu) = mtu_of(bridge).filter(|mtu| network.mtu.is_some_and(|wanted| wanted > *mtu)) {
        return Err(Problem::SmallerMtu(mtu));
    }
    match (network.vlan, bridge.kind.as_str()) {
        // Open vSwitch needs no switch for it.
        (None, _) | (Some(_), "OVSBridge") => Ok(None),
        (Some(_), _) if bridge.vlan_aware => Ok(None),
        (Some(_), "vnet") => Err(Problem::VnetNotAware),
        (Some(_), _) => bridge.ports.first().cloned().map(Some).ok_or(Problem::NoPortForVlan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn bridge(iface: &str, kind: &str) -> Bridge {
        Bridge {
            iface: iface.into(),
            kind: kind.into(),
            active: true,
            vlan_aware: false,
            ports: vec!["eno1".into()],
            cidr: None,
            gateway: None,
            mtu: None,
        }
    }

    #[test]
    fn a_bridge_must_be_there_and_active() {
        let network = plan().network;
        assert_eq!(judge(&[bridge("vmbr0", "bridge")], &network), Ok(None));
        let other = judge(&[bridge("vmbr1", "bridge")], &network).unwrap_err();
        assert_eq!(other.told("pve", &network), "pve has no bridge vmbr0 (it has vmbr1)");
        let off = Bridge { active: false, ..bridge("vmbr0", "bridge") };
        assert_eq!(judge(&[off], &network), Err(Problem::NotActive));
        // reports.md B14: without SDN.Use the list is empty, and no 403 is answered.
        let none = judge(&[], &network).unwrap_err();
        assert!(none.next("pve", &network).starts_with("most likely the token lacks SDN.Use"), "{none:?}");
    }

    /// reports.md B12: the installer's own vmbr0 is such a bridge.
    #[test]
    fn a_traditional_bridge_with_a_card_carries_vlans_and_one_without_names_the_switch() {
        let network = NetworkPlan { vlan: Some(30), ..plan().network };
        let of = |bridge: Bridge| judge(&[bridge], &network);
        assert_eq!(of(bridge("vmbr0", "bridge")), Ok(Some("eno1".into())));
        assert_eq!(of(Bridge { vlan_aware: true, ports: vec![], ..bridge("vmbr0", "bridge") }), Ok(None));
        assert_eq!(of(Bridge { ports: vec![], ..bridge("vmbr0", "OVSBridge") }), Ok(None));
        let alone = of(Bridge { ports: vec![], ..bridge("vmbr0", "bridge") }).unwrap_err();
        let next = alone.next("pve", &network);
        assert_eq!(next, "switch on Node pve > System > Network > vmbr0 > VLAN aware, then Apply Configuration");
    }

    /// reports.md B27
    #[test]
    fn an_mtu_above_the_bridges_is_refused_and_one_that_is_left_open_is_told() {
        let of = |mtu, wanted| {
            let network = NetworkPlan { mtu: wanted, ..plan().network };
            judge(&[Bridge { mtu, ..bridge("vmbr0", "bridge") }], &network)
        };
        assert_eq!(of(Some(1450), Some(1450)), Ok(None));
        assert_eq!(of(Some(9000), Some(1450)), Ok(None));
        assert_eq!(of(Some(1450), Some(1500)), Err(Problem::SmallerMtu(1450)));
        assert_eq!(of(None, Some(9000)), Err(Problem::SmallerMtu(1500)));
        let vnet = Bridge { vlan_aware: true, ..bridge("vmbr0", "vnet") };
        let network = NetworkPlan { mtu: Some(9000), ..plan().network };
        assert_eq!(judge(&[vnet], &network), Ok(None), "a vnet's row says no MTU");
        let mixed = [("pve1", Some(9000)), ("pve2", Some(1500)), ("pve3", None)];
        let told = left_open(&mixed, &plan().network).unwrap();
        assert!(told.contains("9000 on pve1, 1500 on pve2") && told.contains("network.mtu: 1500"), "{told}");
        assert_eq!(left_open(&mixed, &network), None);
        assert_eq!(left_open(&[("pve1", Some(1500))], &plan().network), None);
    }

    /// reports.md B11.
    #[test]
    fn a_vnet_says_by_itself_whether_it_knows_vlans() {
        let network = NetworkPlan { vlan: Some(30), ..plan().network };
        let vnet = bridge("vmbr0", "vnet");
        assert_eq!(judge(std::slice::from_ref(&vnet), &network), Err(Problem::VnetNotAware));
        assert_eq!(judge(&[Bridge { vlan_aware: true, ..vnet.clone() }], &network), Ok(None));
        assert_eq!(judge(&[vnet], &plan().network), Ok(None));
        assert!(Problem::VnetNotAware.next("pve", &network).contains("SDN > VNets > vmbr0 > VLAN Aware"));
    }
}
