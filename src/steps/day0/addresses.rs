//! `day0.addresses`: nobody else answers on the addresses of the nodes, the VIP and the pool.
use super::{Check, of_jump_host, of_proxmox, proof};
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, StepId};
use crate::plan::model::{NodePlan, Plan};
use crate::steps::day2::bootstrap;
use crate::steps::site::Reading;
use crate::steps::vm::guests::{self, Guests};
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::TcpStream;

pub const KIND: &str = "day0.addresses";
/// On the wall; a neighbour answers within milliseconds.
const DEADLINE: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 64;
const POOL_LIMIT: usize = 64;
const PORTS: [u16; 6] = [22, 80, 443, 6443, 8006, 50000];
const POOL_PORTS: [u16; 2] = [80, 443];

pub fn step(plan: &Plan) -> Check {
    let title = format!("nobody answers at the addresses of {} machines, the VIP and the pool", plan.nodes.len());
    let by_hand = format!("nc -zvw1 {} 6443; ip neigh show {}", plan.network.vip, plan.network.vip);
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

/// Addresses to ask, each with its ports. What this run has made already answers rightly: with a cluster that is the VIP and the
/// pool too, as long as one control plane of it is there.
fn targets(plan: &Plan, guests: &Guests, has_cluster: bool) -> BTreeMap<Ipv4Addr, &'static [u16]> {
    let mut targets: BTreeMap<Ipv4Addr, &'static [u16]> = BTreeMap::new();
    let is_there = |n: &NodePlan| guests.is_ours(n.vmid);
    let is_made = if has_cluster { plan.control_planes().any(is_there) } else { plan.control_planes().all(is_there) };
    if !is_made {
        let pool = plan.network.address_pool.iter().flat_map(|r| u32::from(r.first)..=u32::from(r.last));
        targets.extend(pool.take(POOL_LIMIT).map(|a| (Ipv4Addr::from(a), POOL_PORTS.as_slice())));
        targets.insert(plan.network.vip, &PORTS);
    }
    // A VM of day 6 that an earlier session left behind may answer.
    if let Some((vmids, range)) = plan.day_6()
        && !guests.all.value.iter().any(|row| vmids.contains(row.vmid))
    {
        let addresses = (u32::from(range.first)..=u32::from(range.last)).take(POOL_LIMIT);
        targets.extend(addresses.map(|a| (Ipv4Addr::from(a), PORTS.as_slice())));
    }
    for node in &plan.nodes {
        if guests.is_ours(node.vmid) {
            targets.remove(&node.address);
        } else {
            targets.insert(node.address, &PORTS);
        }
    }
    targets
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let guests = guests::read(cx, site).await?;
    let targets = targets(&site.plan, &guests, cx.made().has(&StepId::new(bootstrap::KIND)));
    let places: Vec<(Ipv4Addr, u16)> =
        targets.iter().flat_map(|(address, ports)| ports.iter().map(|port| (*address, *port))).collect();
    let mut taken: BTreeMap<Ipv4Addr, String> = stream::iter(places)
        .map(|(address, port)| async move { Some((address, probe(address, port).await?)) })
        .buffer_unordered(AT_ONCE)
        .filter_map(|found| async { found })
        .collect()
        .await;
    // Filled by the attempts above also where a host keeps silent on every port.
    let neighbours = std::fs::read_to_string("/proc/net/arp").unwrap_or_default();
    for (address, mac) in complete(&neighbours) {
        if targets.contains_key(&address) && !address.is_loopback() {
            taken.entry(address).or_insert_with(|| format!("{mac} answers for it"));
        }
    }
    if !taken.is_empty() {
        let list: Vec<String> = taken.iter().map(|(address, how)| format!("{address} ({how})")).collect();
        return Err(Failure::refused(
            format!("{} of the plan's addresses are in use: {}", list.len(), shorten(&list.join(", "), 600)),
            next(taken.len(), targets.len()),
        ));
    }
    if targets.is_empty() {
        return proof("all addresses are those of this run's own VMs", &[], vec![of_proxmox(cx, &guests.all)]);
    }
    let list: Vec<String> = targets.keys().map(ToString::to_string).collect();
    let asked = format!("TCP connect within 1 s to {} addresses, then /proc/net/arp", list.len());
    let answer = format!("nothing answers at {}", list.join(", "));
    let by_hand = format!("nc -zvw1 {} 22; ip neigh", site.plan.network.vip);
    let summary = format!("nobody answers at {} addresses", list.len());
    proof(&summary, &[], vec![of_jump_host(cx, asked, answer, by_hand), of_proxmox(cx, &guests.all)])
}

/// Of so many addresses, some are free in any network.
const MANY: usize = 8;

fn next(taken: usize, asked: usize) -> &'static str {
    if taken == asked && asked >= MANY {
        "every address that was asked answers, so perhaps something in between does (a transparent proxy, a gateway that takes \
         connections for others): look from a machine in that network (arping ADDRESS); else give the plan addresses that \
         nobody has and no DHCP server hands out"
    } else {
        "give the plan addresses that nobody has and no DHCP server hands out, or turn those machines off"
    }
}

/// Describes the answer that shows that somebody has the address; `None` when nothing answers.
async fn probe(address: Ipv4Addr, port: u16) -> Option<String> {
    match tokio::time::timeout(DEADLINE, TcpStream::connect((address, port))).await {
        Ok(Ok(_)) => Some(format!("port {port} is open")),
        Ok(Err(e)) => refused(address, port, e.kind()),
        Err(_) => None,
    }
}

/// A refusal is an answer, so there is a host; but on loopback this machine itself refuses for every address.
fn refused(address: Ipv4Addr, port: u16, kind: ErrorKind) -> Option<String> {
    (kind == ErrorKind::ConnectionRefused && !address.is_loopback()).then(|| format!("port {port} refuses"))
}

/// Neighbours whose hardware address is known, of the kernel's table.
fn complete(table: &str) -> Vec<(Ipv4Addr, String)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, flags, mac, ..] = fields.as_slice() else { return None };
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
        // ATF_COM; a neighbour that kept silent has no hardware address.
        let known = flags & 2 != 0 && *mac != "00:00:00:00:00:00";
        Some((address.parse().ok()?, (*mac).to_string())).filter(|_| known)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reports.md, "Seen beside the reports": 43 of 43 addresses of a network that was not there.
    #[test]
    fn where_every_address_answers_something_in_between_is_named() {
        assert!(next(43, 43).contains("transparent proxy"));
        for (taken, asked) in [(42, 43), (1, 1), (3, 3)] {
            assert!(!next(taken, asked).contains("in between"));
        }
    }
    use crate::base::answer::Answer;
    use crate::base::vmid::Vmid;
    use crate::proxmox::VmConfig;
    use crate::steps::day0::tests::plan;

    fn guests(ours: &[u32]) -> Guests {
        Guests {
            all: Answer::new("", "", "", vec![]),
            ours: ours.iter().map(|id| (Vmid::of(*id), VmConfig(BTreeMap::new()))).collect(),
            strange: BTreeMap::new(),
            unborn: vec![],
        }
    }

    #[test]
    fn what_this_run_has_made_is_not_asked() {
        let mut plan = plan();
        plan.tests.machine_addresses = None;
        let all = targets(&plan, &guests(&[]), false);
        assert!(all.contains_key(&plan.network.vip) && all.contains_key(&plan.nodes[0].address));
        assert_eq!(all[&plan.nodes[0].address], PORTS);
        assert_eq!(all[&plan.network.address_pool[0].first], POOL_PORTS);
        let some = targets(&plan, &guests(&[1001]), false);
        assert!(!some.contains_key(&plan.nodes[0].address) && some.contains_key(&plan.network.vip));
        assert_eq!(targets(&plan, &guests(&[1001, 1002, 1003]), false), BTreeMap::new());
        // A control plane of a cluster is replaced: its own address alone is to be free.
        let replaced: Vec<Ipv4Addr> = targets(&plan, &guests(&[1001, 1003]), true).into_keys().collect();
        assert_eq!(replaced, [plan.nodes[1].address]);
        assert!(targets(&plan, &guests(&[]), true).contains_key(&plan.network.vip));
    }

    #[test]
    fn the_addresses_of_day_6_are_asked_until_its_vm_is_there() {
        let plan = plan();
        let (_, range) = plan.day_6().unwrap();
        assert_eq!(targets(&plan, &guests(&[]), false)[&range.first], PORTS);
    }

    #[test]
    fn a_large_pool_is_asked_only_in_part() {
        let mut plan = plan();
        plan.tests.machine_addresses = None;
        plan.network.address_pool = vec!["10.1.0.0-10.1.255.255".parse().unwrap()];
        assert_eq!(targets(&plan, &guests(&[]), false).len(), POOL_LIMIT + 1 + plan.nodes.len());
    }

    #[test]
    fn a_refusal_shows_a_host_but_not_on_loopback() {
        let at = |a: &str, kind| refused(a.parse().unwrap(), 22, kind);
        assert_eq!(at("10.0.0.5", ErrorKind::ConnectionRefused).unwrap(), "port 22 refuses");
        assert_eq!(at("127.7.0.5", ErrorKind::ConnectionRefused), None);
        assert_eq!(at("10.0.0.5", ErrorKind::HostUnreachable), None);
    }

    #[tokio::test]
    async fn an_open_port_is_found_also_on_loopback() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(probe(Ipv4Addr::LOCALHOST, port).await.unwrap(), format!("port {port} is open"));
        drop(listener);
        assert_eq!(probe(Ipv4Addr::LOCALHOST, port).await, None);
    }

    #[test]
    fn only_neighbours_with_a_hardware_address_count() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.0.0.1         0x1         0x2         52:54:00:12:34:56     *        eth0\n\
                     10.0.0.9         0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                     nonsense\n";
        assert_eq!(complete(table), [("10.0.0.1".parse().unwrap(), "52:54:00:12:34:56".to_string())]);
    }
}
