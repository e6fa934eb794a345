//! The end of a session: when it is stopped, when patience is over, and what is put right before.
use super::course::Course;
use super::decide::{Effect, Hand, Verb};
use super::record::{Event, Outcome};
use super::state::{RunState, Status, StepState};
use super::step::StepId;
use crate::base::clock::add;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Ends the session when no act is in hand; what a step keeps disturbed is put right before, as far as one act goes.
pub(super) fn end(state: &RunState, running: &BTreeMap<StepId, Verb>, outcome: Outcome) -> Vec<Effect> {
    if running.values().any(|verb| *verb == Verb::Act) {
        return Vec::new();
    }
    let may_act = state.course != Course::default();
    let open = state.to_put_right().filter(|(_, is_tried)| may_act && !is_tried).map(|(step, _)| step);
    let open: Vec<&StepState> = open.collect();
    if open.iter().any(|step| running.contains_key(&step.outline.id)) {
        // Its look is being cut off.
        return Vec::new();
    }
    let acts = open.iter().flat_map(|step| {
        let id = &step.outline.id;
        let intended = Event::Intended { step: id.clone(), attempt: step.attempt + 1 };
        [Effect::Record(intended), Effect::Start(id.clone(), Verb::Act)]
    });
    let acts: Vec<Effect> = acts.collect();
    if acts.is_empty() { vec![Effect::End(outcome)] } else { acts }
}

/// The run is given up when every step of the day that could go on has been blocked for as long as patience lasts.
pub(super) fn patience_over(
    hand: &Hand<'_>,
    state: &RunState,
    running: &BTreeMap<StepId, Verb>,
    patience: Duration,
    now: Timestamp,
    effects: &[Effect],
) -> Vec<Effect> {
    let Some(over) = patience_ends(hand, state, running, patience, effects) else { return Vec::new() };
    if over > now { vec![Effect::WakeAt(over)] } else { end(state, running, Outcome::Blocked) }
}

fn patience_ends(
    hand: &Hand<'_>,
    state: &RunState,
    running: &BTreeMap<StepId, Verb>,
    patience: Duration,
    effects: &[Effect],
) -> Option<Timestamp> {
    let mut last = None;
    let is_being_ended = |step: &StepState| {
        let mut tried = state.to_put_right().filter(|(_, is_tried)| *is_tried);
        !hand.is_ready(state, step) && tried.any(|(other, _)| other.outline.id == step.outline.id)
    };
    for step in hand.steps.iter().copied().filter(|step| !is_being_ended(step)) {
        match &step.status {
            Status::Proven => {}
            Status::Pending if !hand.is_ready(state, step) => {}
            Status::Blocked { since, .. } => last = last.max(Some(*since)),
            Status::Absent => {
                let starts = |e: &Effect| matches!(e, Effect::Start(id, _) if *id == step.outline.id);
                if running.contains_key(&step.outline.id) || effects.iter().any(starts) {
                    return None;
                }
            }
            Status::Pending | Status::Acting | Status::Acted | Status::Underway | Status::Retrying { .. } => {
                return None;
            }
        }
    }
    if state.gate_waiting().is_some() {
        return None;
    }
    Some(add(last?, patience))
}
