//! `day0.capacity`: each Proxmox node can carry what the plan puts on it.
use super::{Check, hosts, of_proxmox, proof};
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::choose::HOST_MEMORY;
use crate::plan::model::{NodePlan, Plan};
use crate::proxmox::{NodeStatus, VmRow};
use crate::steps::image::image_file;
use crate::steps::site::Reading;
use crate::steps::vm::guests::{self, Guests};
use crate::steps::{cluster_api, failures};

pub const KIND: &str = "day0.capacity";
const GIB: u64 = 1 << 30;
/// Of x86-64-v2, without which Talos does not boot.
const FLAGS: [&str; 5] = ["cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"];
/// Virtual processors for each real one.
const OVERCOMMIT: u64 = 3;
/// Guests that a refusal names; who runs hundreds of them is helped by the largest.
const NAMED: usize = 5;
/// An upload is spooled on the root file system of the node that takes it.
const SPOOL: u64 = 3 * GIB;

pub fn step(plan: &Plan) -> Check {
    let hosts = hosts(plan).into_iter().collect::<Vec<_>>().join(", ");
    let title = format!("{hosts} can carry {} machines", plan.nodes.len());
    let by_hand = "pvesh get /nodes/NODE/status\npvesh get /cluster/resources --type vm";
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_hosts()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let guests = guests::read(cx, site).await?;
    let (mut readings, mut problems, mut remarks) = (vec![of_proxmox(cx, &guests.all)], Vec::new(), Vec::new());
    for host in hosts(&site.plan) {
        let status = site.proxmox.node_status(host).await;
        let status = status.map_err(|e| failures::proxmox(&e, &format!("read the status of {host}")))?;
        readings.push(of_proxmox(cx, &status));
        let (wrong, said) = on_host(&site.plan, host, &status.value, &guests);
        problems.extend(wrong);
        remarks.extend(said);
    }
    if !problems.is_empty() {
        let next = "stop guests that are not needed, give the plan's machines less (memory_mib: 16384 each at the least, with an \
                    override of size-below-minimum), or spread them over more nodes";
        return Err(Failure::person(problems.join("; "), next));
    }
    let cores: u32 = site.plan.nodes.iter().map(|n| n.cores).sum();
    let memory: u64 = site.plan.nodes.iter().map(|n| n.memory_mib << 20).sum();
    proof(&format!("there is room for {cores} virtual processors and {}", size(memory)), &remarks, readings)
}

/// Returns what prevents the plan's machines on this host, and what is worth a remark.
fn on_host(plan: &Plan, host: &str, status: &NodeStatus, guests: &Guests) -> (Vec<String>, Vec<String>) {
    let others: Vec<&VmRow> = guests.others().filter(|g| g.node == host && !g.template).collect();
    let planned: Vec<&NodePlan> = plan.nodes.iter().filter(|n| n.host == host).collect();
    // The VMs of day 6 are clones of the template, on its host; workers that stay are there by now.
    let beside = if plan.template.host == host { of_cluster_api(plan, guests) } else { 0 };
    let (wrong, mut said) = judge(host, status, &others, &planned, beside);
    // Whichever host is contacted gets the image once for each host that has one of its own.
    let spool = SPOOL * image_file::places(plan).len() as u64;
    if status.rootfs_avail < spool {
        said.push(format!("an upload through {host} has only {} on its root file system", size(status.rootfs_avail)));
    }
    (wrong, said)
}

/// What prevents them on a site without guests.
#[cfg(test)]
pub fn refusals(plan: &Plan, host: &str, status: &NodeStatus) -> Vec<String> {
    on_host(plan, host, status, &Guests::none()).0
}

/// Memory that machines of Cluster API take or will take, in bytes: those of the run that are there, or what days 6 and 9 need.
fn of_cluster_api(plan: &Plan, guests: &Guests) -> u64 {
    let own = guests.all.value.iter().filter(|g| cluster_api::may_have_made(plan, g.vmid) && guests.is_ours(g.vmid));
    (plan.machines_memory_mib() << 20).max(own.filter_map(|guest| guest.maxmem).sum())
}

/// The processor features that are missing for any machine.
pub fn processor(host: &str, status: &NodeStatus) -> Vec<String> {
    let mut wrong = Vec::new();
    if !status.hvm {
        wrong.push(format!("{host} offers no hardware virtualisation: switch it on in the BIOS"));
    }
    let lacking: Vec<&str> = FLAGS.into_iter().filter(|f| !status.flags.iter().any(|has| has == f)).collect();
    if !lacking.is_empty() {
        wrong.push(format!("the processor of {host} lacks {}, which Talos needs", lacking.join(", ")));
    }
    wrong
}

/// Returns what prevents the machines, and what is worth a remark. `others` are the node's guests that are not in the
/// plan; `beside` is the memory of what comes beside the plan's machines, in bytes.
fn judge(
    host: &str,
    status: &NodeStatus,
    others: &[&VmRow],
    planned: &[&NodePlan],
    beside: u64,
) -> (Vec<String>, Vec<String>) {
    let (mut wrong, mut said) = (processor(host, status), Vec::new());
    for node in planned.iter().filter(|n| u64::from(n.cores) > status.cpus) {
        wrong.push(format!("{} wants {} cores and {host} has {}", node.name, node.cores, status.cpus));
    }
    let runs = |g: &&&VmRow| g.status != "stopped";
    let memory = |guests: &mut dyn Iterator<Item = &&VmRow>| guests.filter_map(|g| g.maxmem).sum::<u64>();
    let ours = planned.iter().map(|n| n.memory_mib << 20).sum::<u64>() + beside;
    let usable = status.memory_total.saturating_sub(HOST_MEMORY);
    let running = memory(&mut others.iter().filter(runs));
    let stopped = memory(&mut others.iter().filter(|g| !runs(g)));
    if ours + running > usable {
        let running_ones: Vec<&VmRow> = others.iter().filter(runs).copied().collect();
        wrong.push(format!(
            "{host} has {} for guests, running ones may take {}{}, the plan wants {}: {} are missing",
            size(usable),
            size(running),
            largest(&running_ones),
            size(ours),
            size((ours + running).saturating_sub(usable))
        ));
    } else if ours + running + stopped > usable {
        said.push(format!("{host} could not carry its stopped guests ({}) beside the plan's", size(stopped)));
    }
    let cores: u64 = planned.iter().map(|n| u64::from(n.cores)).sum::<u64>()
        + others.iter().filter(runs).filter_map(|g| g.maxcpu).sum::<u64>();
    if cores > OVERCOMMIT * status.cpus {
        said.push(format!("{cores} virtual processors will share {} on {host}", status.cpus));
    }
    (wrong, said)
}

/// The guests that a person would have to think about, the largest ones first.
fn largest(guests: &[&VmRow]) -> String {
    let mut guests: Vec<(u64, String)> = guests
        .iter()
        .map(|g| {
            (g.maxmem.unwrap_or_default(), format!("{} {}", g.vmid, g.name.as_deref().unwrap_or("without a name")))
        })
        .collect();
    guests.sort_by_key(|(memory, name)| (std::cmp::Reverse(*memory), name.clone()));
    let rest = guests.len().saturating_sub(NAMED);
    let mut told: Vec<String> =
        guests.iter().take(NAMED).map(|(memory, name)| format!("{name} {}", size(*memory))).collect();
    if rest > 0 {
        told.push(format!("{rest} more"));
    }
    if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn host(memory_gib: u64) -> NodeStatus {
        NodeStatus {
            cpus: 16,
            sockets: 1,
            model: "m".into(),
            hvm: true,
            flags: FLAGS.map(String::from).to_vec(),
            memory_total: memory_gib * GIB,
            memory_used: 0,
            memory_free: 0,
            rootfs_avail: 50 * GIB,
            pveversion: String::new(),
            kernel: None,
        }
    }

    fn guest(memory_gib: u64, status: &str) -> VmRow {
        let one = crate::steps::day0::tests::guest(150, "old");
        VmRow { status: status.into(), maxcpu: Some(4), maxmem: Some(memory_gib * GIB), ..one }
    }

    fn judged(status: &NodeStatus, others: &[VmRow]) -> (Vec<String>, Vec<String>) {
        let plan = plan();
        judge("pve", status, &others.iter().collect::<Vec<_>>(), &plan.nodes.iter().collect::<Vec<_>>(), 0)
    }

    #[test]
    fn memory_is_what_running_guests_may_take_and_stopped_ones_are_a_remark() {
        // 3 x 24 GiB + 2 GiB for the host.
        assert_eq!(judged(&host(74), &[]), (vec![], vec![]));
        assert_eq!(judged(&host(90), &[guest(16, "running")]), (vec![], vec![]));
        let (wrong, _) = judged(&host(89), &[guest(16, "running")]);
        assert_eq!(
            wrong,
            [
                "pve has 87.0 GiB for guests, running ones may take 16.0 GiB (150 old 16.0 GiB), the plan wants 72.0 GiB: 1.0 GiB are missing"
            ]
        );
        let (wrong, said) = judged(&host(89), &[guest(16, "stopped")]);
        assert!(wrong.is_empty() && said[0].contains("stopped guests (16.0 GiB)"), "{said:?}");
    }

    #[test]
    fn a_processor_that_talos_can_not_use_is_refused_with_what_it_lacks() {
        let old = NodeStatus { hvm: false, cpus: 4, flags: vec!["ssse3".into(), "cx16".into()], ..host(256) };
        let (wrong, _) = judged(&old, &[]);
        assert!(wrong[0].contains("virtualisation"));
        assert_eq!(wrong[1], "the processor of pve lacks popcnt, sse4_1, sse4_2, which Talos needs");
        assert_eq!(wrong[2], "cp1 wants 8 cores and pve has 4");
    }

    #[test]
    fn shared_processors_are_only_a_remark() {
        let small = NodeStatus { cpus: 8, ..host(256) };
        let (wrong, said) = judged(&small, &[guest(1, "running")]);
        assert_eq!((wrong, said), (vec![], vec!["28 virtual processors will share 8 on pve".to_string()]));
    }
}
