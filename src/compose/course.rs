//! The steps of a session: which they are follows from its course and from what the run's journal says.
use super::Refusal;
use crate::base::day::Day;
use crate::base::vmid::Vmid;
use crate::engine::course::Course;
use crate::engine::failure::Failure;
use crate::engine::state::{RunState, StepState};
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::release::Component;
use crate::steps::catalogue::{self, Steps};
use crate::steps::workers::deployed::Asked;
use crate::steps::{kept, teardown};
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
        Course::Forward { .. } => return Ok(standing(plan, components, before)),
        Course::Workers { count } => {
            let refused = |failure: Failure| Refusal::State { what: failure.what, next: failure.next };
            kept::fits(plan, count).and_then(|()| is_validated(plan, &steps, before)).map_err(refused)?;
            steps.extend(kept::steps(plan, count, Asked::Now));
        }
    }
    Ok(steps)
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
        Course::Back { .. } | Course::Workers { .. } => false,
    }
}

fn is_proven(state: &RunState, id: &StepId) -> bool {
    state.step(id).is_some_and(StepState::is_proven)
}

/// Every step of every day is proven, by the last word of the journal.
fn is_validated(plan: &Plan, steps: &Steps, state: &RunState) -> Result<(), Failure> {
    let outlines = steps.iter().map(|s| s.outline());
    let open: Vec<&StepId> = outlines.map(|o| &o.id).filter(|id| !is_proven(state, id)).collect();
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
