//! The steps of a session: which they are follows from its course and from what the run's journal says.
use super::Refusal;
use crate::base::day::Day;
use crate::base::label::Label;
use crate::base::vmid::Vmid;
use crate::engine::course::Course;
use crate::engine::failure::Failure;
use crate::engine::state::{RunState, StepState};
use crate::engine::step::StepId;
use crate::plan::model::{NodePlan, Plan};
use crate::release::Component;
use crate::steps::catalogue::{self, Steps};
use crate::steps::workers::deployed::Asked;
use crate::steps::{kept, node, teardown};
use std::collections::BTreeSet;

/// # Errors
/// When the course is one for a validated cluster and this one is not, or the plan has no room for what it asks.
pub fn steps(
    course: Course,
    plan: &Plan,
    components: &[Component],
    also: &BTreeSet<Vmid>,
    before: &RunState,
) -> Result<Steps, Refusal> {
    let mut steps = catalogue::steps(plan, components);
    match course {
        Course::Back { cluster_is_lost } => return Ok(teardown::steps(plan, components, cluster_is_lost, also)),
        Course::Forward { until } => return forward(plan, components, before, until),
        Course::Node { name } => {
            let refused = |failure: Failure| Refusal::State { what: failure.what, next: failure.next };
            let machine = planned(plan, name.as_str(), before).map_err(refused)?;
            no_other_removal(before, Some(name)).map_err(refused)?;
            was_validated(plan, &steps, before, machine).map_err(refused)?;
            let removal = node::steps(plan, machine);
            steps = standing(plan, components, before);
            steps.extend(removal);
        }
        Course::Workers { count } => {
            let refused = |failure: Failure| Refusal::State { what: failure.what, next: failure.next };
            let is_whole = || no_other_removal(before, None).and_then(|()| is_validated(plan, &steps, before));
            kept::fits(plan, count).and_then(|()| is_whole()).map_err(refused)?;
            steps.extend(kept::steps(plan, count, Asked::Now));
        }
    }
    Ok(steps)
}

/// [`standing`], and what makes good a removal that was begun and given up.
fn forward(plan: &Plan, components: &[Component], before: &RunState, until: Day) -> Result<Steps, Refusal> {
    let mut steps = standing(plan, components, before);
    let Some(name) = before.removing.filter(|_| until > Day::Number(0)) else { return Ok(steps) };
    match plan.nodes.iter().find(|node| node.name == name.as_str()) {
        Some(machine) => steps.push(node::made_good(machine)),
        None => {
            return Err(Refusal::State {
                what: format!(
                    "the removal of {name} was begun and is not complete, and the plan has no {name} any more"
                ),
                next: format!(
                    "put {name} back into the plan, complete its removal with cozyup teardown PLAN --node {name}, and take \
                     it out of the plan then"
                ),
            });
        }
    }
    Ok(steps)
}

/// One thing at a time: no machine but this one is half removed.
fn no_other_removal(before: &RunState, this: Option<Label>) -> Result<(), Failure> {
    match before.removing.filter(|name| Some(*name) != this) {
        None => Ok(()),
        Some(other) => Err(Failure::person(
            format!("the removal of {other} was begun and is not complete"),
            format!("complete it: cozyup teardown PLAN --node {other}; or give it up: cozyup run PLAN"),
        )),
    }
}

/// The machine of this name.
fn planned<'a>(plan: &'a Plan, name: &str, before: &RunState) -> Result<&'a NodePlan, Failure> {
    let named = plan.nodes.iter().find(|node| node.name == name);
    named.ok_or_else(|| {
        let was_there = before.steps.iter().any(|step| step.outline.id.subject() == Some(name));
        let names: Vec<&str> = plan.nodes.iter().map(|node| node.name.as_str()).collect();
        let next = match was_there {
            true => {
                format!("put {name} back into the plan, remove it with this command, and take it out of the plan then")
            }
            false => format!("name one of its machines: {}", names.join(", ")),
        };
        Failure::person(format!("plan {} has no machine {name}", plan.name), next)
    })
}

/// Every step of every day was proven once, but for those about the machine that goes: what of it is true now, the removal's
/// own look says.
fn was_validated(plan: &Plan, steps: &Steps, state: &RunState, node: &NodePlan) -> Result<(), Failure> {
    let was_proven = |id: &StepId| state.step(id).is_some_and(|step| step.is_proven() || step.proof.is_some());
    all_proven(plan, steps, state, |id| id.subject() == Some(&node.name) || was_proven(id))
}

/// Every step of the plan, and those of the workers that stay. Once it is proven that none is left, nobody asks for them any more.
pub fn standing(plan: &Plan, components: &[Component], before: &RunState) -> Steps {
    let mut steps = catalogue::steps(plan, components);
    let kept = before.workers.map(|count| kept::steps(plan, count, Asked::Before)).unwrap_or_default();
    if before.workers != Some(0) || !kept.iter().all(|s| is_proven(before, &s.outline().id)) {
        steps.extend(kept);
    }
    steps
}

/// True when a session on this course makes the cluster's secrets.
pub fn makes_secrets(course: Course) -> bool {
    match course {
        Course::Forward { until } => until >= Day::Number(2),
        Course::Back { .. } | Course::Workers { .. } | Course::Node { .. } => false,
    }
}

fn is_proven(state: &RunState, id: &StepId) -> bool {
    state.step(id).is_some_and(StepState::is_proven)
}

/// Every step of every day is proven, by the last word of the journal.
fn is_validated(plan: &Plan, steps: &Steps, state: &RunState) -> Result<(), Failure> {
    all_proven(plan, steps, state, |id| is_proven(state, id))
}

fn all_proven(
    plan: &Plan,
    steps: &Steps,
    state: &RunState,
    is_proven: impl Fn(&StepId) -> bool,
) -> Result<(), Failure> {
    let outlines = steps.iter().map(|s| s.outline());
    let open: Vec<&StepId> = outlines.map(|o| &o.id).filter(|id| !is_proven(id)).collect();
    let Some(first) = open.first() else { return Ok(()) };
    let what = match state.sessions {
        0 => format!("plan {} has no run here, so there is no cluster of it", plan.name),
        _ => format!(
            "the cluster of {} is not validated: {} steps are not proven, the first is {first}",
            plan.name,
            open.len()
        ),
    };
    Err(Failure::person(what, "prove it first: cozyup run PLAN"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Event;
    use crate::engine::state::tests::{fold, on_course, proof, session};
    use crate::plan::defaults::{Defaults, plan};

    fn with_ranges() -> Plan {
        let mut plan = plan(&Defaults::default());
        plan.tests.machine_vmids = Some("9500-9509".parse().unwrap());
        plan.tests.machine_addresses = Some("10.0.0.180-10.0.0.185".parse().unwrap());
        plan
    }

    fn on(course: Course, before: &RunState) -> Result<Vec<String>, Refusal> {
        let steps = steps(course, &with_ranges(), &[], &BTreeSet::new(), before)?;
        Ok(steps.iter().map(|s| s.outline().id.to_string()).filter(|id| id.contains("kept.")).collect())
    }

    /// A run in which everything is proven but `open`.
    fn proven_but(open: &str) -> Vec<Event> {
        let outlines: Vec<_> = catalogue::steps(&with_ranges(), &[]).iter().map(|s| s.outline().clone()).collect();
        let ids: Vec<StepId> = outlines.iter().map(|o| o.id.clone()).filter(|id| id.as_str() != open).collect();
        let proven = ids.into_iter().map(|step| Event::Proven { step, proof: proof() });
        [session(outlines)].into_iter().chain(proven).collect()
    }

    #[test]
    fn workers_are_refused_until_every_step_of_every_day_is_proven() {
        let workers = Course::Workers { count: 2 };
        let none = on(workers, &RunState::default()).unwrap_err().to_string();
        assert!(none.contains("has no run here") && none.contains("cozyup run PLAN"), "{none}");
        let open = on(workers, &fold(proven_but("day5.dns"))).unwrap_err().to_string();
        assert!(open.contains("not validated: 1 steps") && open.contains("day5.dns"), "{open}");
        assert_eq!(on(workers, &fold(proven_but(""))).unwrap().len(), 6);
        let many = on(Course::Workers { count: 9 }, &fold(proven_but(""))).unwrap_err().to_string();
        assert!(many.contains("tests.machine_vmids"), "{many}");
    }

    fn removal(name: &str, before: &RunState) -> Result<Vec<String>, String> {
        let course = Course::Node { name: name.parse().unwrap() };
        let steps = steps(course, &with_ranges(), &[], &BTreeSet::new(), before).map_err(|e| e.to_string())?;
        let of_course = steps.iter().map(|s| s.outline()).filter(|outline| course.wants(outline.day));
        Ok(of_course.map(|outline| outline.id.to_string()).collect())
    }

    #[test]
    fn a_machine_is_removed_from_a_validated_cluster_alone_and_by_its_name_in_the_plan() {
        let plan = with_ranges();
        let name = plan.nodes[1].name.as_str();
        assert!(removal(name, &RunState::default()).unwrap_err().contains("has no run here"));
        let open = removal(name, &fold(proven_but("day5.dns"))).unwrap_err();
        assert!(open.contains("not validated: 1 steps") && open.contains("cozyup run PLAN"), "{open}");
        // What is open of the machine itself does not hold its removal.
        let ids = removal(name, &fold(proven_but(&format!("day1.configure/{name}")))).unwrap();
        assert!(ids.iter().all(|id| id.ends_with(&format!("/{name}"))), "{ids:?}");
        assert!(ids.first().is_some_and(|id| id.starts_with("node.bearing/")), "{ids:?}");
        let unknown = removal("nobody", &fold(proven_but(""))).unwrap_err();
        assert!(unknown.contains("has no machine nobody") && unknown.contains(name), "{unknown}");
    }

    #[test]
    fn a_run_after_a_removal_that_was_cut_off_makes_it_good_or_says_what_is_left_to_do() {
        let (plan, mut before) = (with_ranges(), fold(proven_but("")));
        before.removing = Some(plan.nodes[1].name.parse().unwrap());
        let forward = Course::Forward { until: Day::Number(10) };
        let ids = |plan: &Plan, before: &RunState| {
            let steps = steps(forward, plan, &[], &BTreeSet::new(), before).map_err(|e| e.to_string())?;
            Ok::<_, String>(steps.iter().map(|s| s.outline().id.to_string()).collect::<Vec<_>>())
        };
        assert!(ids(&plan, &before).unwrap().contains(&format!("node.back/{}", plan.nodes[1].name)));
        assert!(!ids(&plan, &fold(proven_but(""))).unwrap().iter().any(|id| id.starts_with("node.")));
        // Neither another machine goes nor are workers set meanwhile; the removal itself may be completed.
        let held = removal(plan.nodes[2].name.as_str(), &before).unwrap_err();
        assert!(held.contains(&format!("the removal of {} was begun", plan.nodes[1].name)), "{held}");
        assert!(
            on(Course::Workers { count: 1 }, &before).unwrap_err().to_string().contains("give it up: cozyup run PLAN")
        );
        assert!(removal(plan.nodes[1].name.as_str(), &before).is_ok());
        before.removing = Some("elsewhere".parse().unwrap());
        assert!(ids(&plan, &before).unwrap_err().contains("put elsewhere back into the plan"));
    }

    #[test]
    fn a_later_run_looks_at_workers_that_stay_and_not_at_those_that_are_proven_gone() {
        let forward = Course::Forward { until: Day::Number(6) };
        assert!(on(forward, &fold(proven_but(""))).unwrap().is_empty());
        let set = |count, gone: &[&str]| {
            let steps = catalogue::steps(&with_ranges(), &[]);
            let mut outlines: Vec<_> = steps.iter().map(|s| s.outline().clone()).collect();
            outlines.extend(kept::steps(&with_ranges(), count, Asked::Now).iter().map(|s| s.outline().clone()));
            let mut events = proven_but("");
            events.push(on_course(session(outlines), Course::Workers { count }));
            events.extend(gone.iter().map(|id| Event::Proven { step: StepId::new(id), proof: proof() }));
            fold(events)
        };
        assert_eq!(on(forward, &set(2, &[])).unwrap().len(), 6);
        assert_eq!(on(forward, &set(0, &["kept.room"])).unwrap().len(), 3);
        assert!(on(forward, &set(0, &["kept.room", "kept.removal", "kept.cleanup"])).unwrap().is_empty());
        // What the session about the workers did not look at is as it was known before.
        assert_eq!(on(Course::Workers { count: 1 }, &set(2, &[])).unwrap().len(), 6);
    }
}
