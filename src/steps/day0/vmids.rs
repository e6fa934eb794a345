//! `day0.vmids`: the VMIDs and names of the plan are free, or are this run's own.
use super::{Check, of_proxmox, proof};
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, StepId};
use crate::plan::model::Plan;
use crate::proxmox::VmRow;
use crate::steps::site::Reading;
use crate::steps::vm::guests::{self, Guests};
use crate::steps::{failures, kept, neighbours};

pub const KIND: &str = "day0.vmids";

pub fn step(plan: &Plan) -> Check {
    let ids: Vec<String> = wanted(plan).iter().map(|(id, ..)| id.to_string()).collect();
    let title = format!("VMIDs {} and their names are free", ids.join(", "));
    let by_hand = "pvesh get /cluster/resources --type vm\npvesh get /cluster/nextid --vmid VMID";
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

/// VMID, name and Proxmox node, the templates first.
fn wanted(plan: &Plan) -> Vec<(Vmid, String, String)> {
    let templates = plan.templates().into_iter().map(|t| (t.vmid, t.name, t.host));
    templates.chain(plan.nodes.iter().map(|n| (n.vmid, n.name.clone(), n.host.clone()))).collect()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let guests = guests::read(cx, site).await?;
    if let Some(row) = guests.unborn.first() {
        let lock = row.lock.as_deref().unwrap_or("create");
        return Err(Failure::retryable(
            format!("vm {} is being made (locked: {lock}) and shows no mark yet", row.vmid),
            "cozyup looks again when its task may have ended",
        ));
    }
    let mut problems = problems(&site.plan, &guests);
    // While workers stay Cluster API may replace one at any time; the steps about them say whose such a VM is.
    let replaces = cx.made().has(&StepId::new(kept::machines::KIND));
    let in_range = of_cluster_api(&site.plan, &guests);
    let (told, strange) = if replaces { (in_range, Vec::new()) } else { (Vec::new(), in_range) };
    problems.extend(strange);
    let mut readings = vec![of_proxmox(cx, &guests.all)];
    let wanted = wanted(&site.plan);
    for (id, ..) in &wanted {
        // Guests that the token may not see are in no list that it gets, but their VMIDs are taken.
        if guests.is_ours(*id) || guests.strange.contains_key(id) {
            continue;
        }
        let free = site.proxmox.vmid_free(*id).await;
        let free = free.map_err(|e| failures::proxmox(&e, &format!("ask whether VMID {id} is free")))?;
        if !free.value {
            problems.push(format!("VMID {id} is taken by a guest that the token may not see"));
        }
        readings.push(of_proxmox(cx, &free));
    }
    if !problems.is_empty() {
        let next = "give the plan other vmids and names, or remove those guests yourself if nobody needs them";
        return Err(Failure::refused(problems.join("; "), next));
    }
    let own = guests.ours.len();
    let summary = match own {
        0 => format!("{} VMIDs and names are free", wanted.len()),
        _ => format!("{own} of {} VMIDs are this run's own VMs, the others are free", wanted.len()),
    };
    let among = neighbours::around(&site.plan).and_then(|range| {
        neighbours::remark(&range, &neighbours::unknown_in(&range, &guests.all.value, |id| site.plan.has_vmid(id)))
    });
    let remarks: Vec<String> = told.into_iter().chain(among).collect();
    proof(&summary, &remarks, readings)
}

fn problems(plan: &Plan, guests: &Guests) -> Vec<String> {
    let mut problems = Vec::new();
    for (id, name, host) in wanted(plan) {
        let row = guests.all.value.iter().find(|r| r.vmid == id);
        if let (Some(row), Some(whose)) = (row, guests.strange.get(&id)) {
            let called = row.name.as_deref().unwrap_or("without a name");
            problems.push(format!("VMID {id} is taken on {} by {called}, which {whose}", row.node));
        }
        if let Some(row) = row.filter(|r| guests.is_ours(id) && r.node != host) {
            problems.push(format!("vm {id} of this run is on {} and not on {host} as the plan says", row.node));
        }
        if let Some(other) = guests.others().find(|r| r.vmid != id && r.name.as_deref() == Some(&name)) {
            problems.push(format!("{name} is the name of guest {} on {} already", other.vmid, other.node));
        }
    }
    problems
}

/// Guests in the range that the plan keeps for Cluster API, which are not what an earlier session of this run made there.
fn of_cluster_api(plan: &Plan, guests: &Guests) -> Vec<String> {
    let Some((vmids, _)) = plan.day_6() else { return Vec::new() };
    let strange = guests.all.value.iter().filter(|r| vmids.contains(r.vmid) && !guests.is_ours(r.vmid));
    let told = |r: &VmRow| {
        let called = r.name.as_deref().unwrap_or("without a name");
        format!(
            "VMID {} is taken on {} by {called}, and tests.machine_vmids keeps {vmids} for Cluster API",
            r.vmid, r.node
        )
    };
    strange.map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::answer::Answer;
    use crate::proxmox::VmConfig;
    use crate::steps::day0::tests::{guest, plan};
    use std::collections::BTreeMap;

    fn row(vmid: u32, name: &str, node: &str) -> VmRow {
        VmRow { node: node.into(), ..guest(vmid, name) }
    }

    fn guests(all: Vec<VmRow>, ours: &[Vmid]) -> Guests {
        let strange = all.iter().filter(|r| (1001..=1003).contains(&u32::from(r.vmid)) && !ours.contains(&r.vmid));
        Guests {
            strange: strange.map(|r| (r.vmid, "is of the cozyup run x.1".to_string())).collect(),
            ours: ours.iter().map(|id| (*id, VmConfig(BTreeMap::new()))).collect(),
            all: Answer::new("", "", "", all),
            unborn: vec![],
        }
    }

    #[test]
    fn a_strangers_vmid_or_name_is_refused_and_ones_own_is_not() {
        let all = vec![row(150, "cp2", "pve"), row(1001, "cp1", "pve"), row(1003, "old", "pve2")];
        assert_eq!(
            problems(&plan(), &guests(all, &[Vmid::of(1001)])),
            [
                "cp2 is the name of guest 150 on pve already",
                "VMID 1003 is taken on pve2 by old, which is of the cozyup run x.1"
            ]
        );
    }

    #[test]
    fn a_guest_in_the_range_of_cluster_api_is_told() {
        let mut plan = plan();
        plan.tests.machine_vmids = Some("9500-9509".parse().unwrap());
        plan.tests.machine_addresses = Some("10.0.0.180-10.0.0.185".parse().unwrap());
        let told = of_cluster_api(&plan, &guests(vec![row(9503, "anns", "pve"), row(9510, "near", "pve")], &[]));
        assert_eq!(
            told,
            ["VMID 9503 is taken on pve by anns, and tests.machine_vmids keeps 9500-9509 for Cluster API"]
        );
        assert!(of_cluster_api(&plan, &guests(vec![row(9503, "smoke-0", "pve")], &[Vmid::of(9503)])).is_empty());
    }

    #[test]
    fn a_vm_that_was_moved_is_told() {
        let moved = guests(vec![row(1001, "cp1", "pve2")], &[Vmid::of(1001)]);
        assert_eq!(problems(&plan(), &moved), ["vm 1001 of this run is on pve2 and not on pve as the plan says"]);
    }
}
