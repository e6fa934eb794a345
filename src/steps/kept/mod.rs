//! The workers that stay: a person asks for a number of them on a validated cluster (docs/adr/010). They share the ranges of
//! day 6, and neither its namespace nor its names.
pub mod cleanup;
pub mod machines;
pub mod namespace;
pub mod nodes;
pub mod pods;
pub mod removal;
pub mod room;
pub mod vms;

use super::catalogue::Steps;
use super::workers::deployed::Asked;
use crate::engine::failure::Failure;
use crate::engine::step::Checked;
use crate::plan::model::Plan;
use std::sync::Arc;

/// The steps after which there are `count` workers in both systems; with 0 those after which there is nothing of them.
pub fn steps(plan: &Plan, count: u32, asked: Asked) -> Steps {
    if plan.day_6().is_none() {
        return Steps::new();
    }
    let room = Arc::new(Checked(room::step(plan, count)));
    if count == 0 {
        return vec![room, Arc::new(removal::step(plan)), Arc::new(cleanup::step(plan))];
    }
    vec![
        room,
        Arc::new(namespace::step(plan)),
        Arc::new(machines::step(plan, count, asked)),
        Arc::new(Checked(vms::step(plan, count))),
        Arc::new(nodes::step(plan, count)),
        Arc::new(pods::step(plan, count)),
    ]
}

/// The reason why this plan can have no such number of workers.
///
/// # Errors
/// With the keys of the plan that are in the way, and how many workers they have room for.
pub fn fits(plan: &Plan, count: u32) -> Result<(), Failure> {
    let Some((vmids, addresses)) = plan.day_6() else {
        let key = match plan.tests.machines() {
            Some(_) => "integration.capmox.enabled is false",
            None => "tests.machine_vmids and tests.machine_addresses are not set",
        };
        return Err(Failure::person(
            format!("the plan keeps nothing for machines that Cluster API makes: {key}"),
            "give the plan what day 6 needs (docs/PLAN.md), prove it with cozyup run PLAN, and set the workers then",
        ));
    };
    let (by_vmids, by_addresses) = plan.tests.room_for_workers().unwrap_or_default();
    let most = by_vmids.min(by_addresses);
    if count <= most {
        return Ok(());
    }
    let short = [
        ("tests.machine_vmids", vmids.to_string(), by_vmids),
        ("tests.machine_addresses", addresses.to_string(), by_addresses),
    ];
    let short = short.into_iter().filter(|(.., room)| *room < count);
    let short: Vec<String> = short.map(|(key, range, room)| format!("{key} ({range}) has room for {room}")).collect();
    Err(Failure::person(
        format!("{count} workers do not fit: {}", short.join(", ")),
        format!("ask for {most} or fewer, or give the plan larger ranges and prove them with cozyup run PLAN"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::step::{Step, Undo};
    use crate::steps::day0::tests::plan;
    use std::collections::BTreeSet;

    fn with_ranges() -> Plan {
        let mut plan = plan();
        plan.tests.machine_vmids = Some("9500-9509".parse().unwrap());
        plan.tests.machine_addresses = Some("10.0.0.180-10.0.0.185".parse().unwrap());
        plan
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_with_the_key_and_the_room() {
        let plan = with_ranges();
        assert!(fits(&plan, 4).is_ok() && fits(&plan, 0).is_ok());
        let failure = fits(&plan, 5).unwrap_err();
        assert!(failure.what.contains("tests.machine_addresses (10.0.0.180-10.0.0.185) has room for 4"), "{failure:?}");
        assert!(!failure.what.contains("machine_vmids") && failure.next.contains("ask for 4"), "{failure:?}");
        assert!(fits(&plan, 6).unwrap_err().what.contains("tests.machine_vmids (9500-9509) has room for 5"));
    }

    #[test]
    fn a_plan_without_day_6_has_no_workers_that_stay_and_says_which_key_is_missing() {
        let mut plan = with_ranges();
        plan.integration.capmox.enabled = false;
        assert!(fits(&plan, 1).unwrap_err().what.contains("integration.capmox.enabled"));
        plan.tests.machine_vmids = None;
        assert!(fits(&plan, 1).unwrap_err().what.contains("tests.machine_vmids"));
        assert!(steps(&plan, 1, Asked::Now).is_empty());
    }

    #[test]
    fn all_that_is_made_goes_with_the_removal_and_every_step_waits_for_one_that_is_there() {
        let plan = with_ranges();
        assert!(matches!(removal::step(&plan).undo(), Undo::By(_)));
        for count in [0, 2] {
            let steps = steps(&plan, count, Asked::Now);
            let ids: BTreeSet<_> = steps.iter().map(|s| s.outline().id.clone()).collect();
            for step in &steps {
                assert!(step.outline().after.iter().all(|id| ids.contains(id)), "{:?}", step.outline());
                match step.undo() {
                    Undo::With(kind) => assert_eq!(kind, removal::KIND, "{}", step.outline().id),
                    Undo::Nothing => assert!(!step.outline().changes, "{}", step.outline().id),
                    Undo::By(_) => assert_eq!(count, 0),
                }
            }
        }
    }
}
