//! Decides the next command: a pure function of the run's state, of the running steps, and of the time.
use super::record::{Event, Outcome};
use super::state::{RunState, Status, StepState};
use super::step::StepId;
use crate::base::clock::add;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The verb of a step that is running at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One look, now.
    Observe,
    /// Wait for a change, then look.
    Watch,
    Act,
}

#[allow(clippy::large_enum_variant, reason = "a handful at a time, and gone at once")]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Record(Event),
    Start(StepId, Verb),
    /// Decide again at this time at the latest.
    WakeAt(Timestamp),
    End(Outcome),
}

#[derive(Debug, Clone)]
pub struct Rules {
    /// The operator who opened all day gates beforehand; with `None` a person is asked.
    pub gates_by: Option<String>,
    /// The time that a run may have only blocked steps before it ends as blocked; `None`: no limit.
    pub patience: Option<Duration>,
}

/// The effects are in the order in which they must happen. An `Intended` record stands before its act.
pub fn decide(state: &RunState, running: &BTreeMap<StepId, Verb>, rules: &Rules, now: Timestamp) -> Vec<Effect> {
    if state.ended.is_some() {
        return Vec::new();
    }
    if state.stop_asked.is_some() {
        let acting = running.values().any(|v| *v == Verb::Act);
        return if acting { Vec::new() } else { vec![Effect::End(Outcome::Stopped)] };
    }
    if state.wanted().all(StepState::is_proven) {
        return vec![Effect::End(Outcome::Proven)];
    }
    let mut effects = Vec::new();
    let mut queues = queue_loads(state);
    let mut gates: BTreeSet<u8> = state.gates.keys().copied().collect();
    let mut asked = state.gates_asked.clone();
    let today = state.wanted().filter(|s| !s.is_proven()).map(|s| s.outline.day).min().unwrap_or(0);
    for step in state.wanted().filter(|s| s.outline.day == today && !running.contains_key(&s.outline.id)) {
        let id = &step.outline.id;
        match &step.status {
            Status::Proven => {}
            Status::Pending => {
                if is_ready(state, step) {
                    effects.push(Effect::Start(id.clone(), Verb::Observe));
                }
            }
            Status::Acted => effects.push(Effect::Start(id.clone(), Verb::Observe)),
            // An act that no longer runs and left no record was cut off: look at the target.
            Status::Acting => effects.push(Effect::Start(id.clone(), Verb::Observe)),
            Status::Underway => effects.push(Effect::Start(id.clone(), Verb::Watch)),
            Status::Retrying { again_at, .. } | Status::Blocked { again_at, .. } => {
                if *again_at <= now {
                    effects.push(Effect::Start(id.clone(), Verb::Observe));
                } else {
                    effects.push(Effect::WakeAt(*again_at));
                }
            }
            Status::Absent => {
                let day = step.outline.day;
                if !gates.contains(&day) {
                    match &rules.gates_by {
                        Some(by) => {
                            effects.push(Effect::Record(Event::GateOpened { day, by: by.clone() }));
                            gates.insert(day);
                        }
                        None => {
                            if asked.insert(day) {
                                let compare = state.to_compare(day);
                                effects.push(Effect::Record(Event::GateAsked { day, compare }));
                            }
                            continue;
                        }
                    }
                }
                if let Some(queue) = &step.outline.queue {
                    let load = queues.entry(queue.name.as_str()).or_insert(0);
                    if *load >= queue.limit {
                        continue;
                    }
                    *load += 1;
                }
                effects.push(Effect::Record(Event::Intended { step: id.clone(), attempt: step.attempt + 1 }));
                effects.push(Effect::Start(id.clone(), Verb::Act));
            }
        }
    }
    if let Some(patience) = rules.patience {
        effects.extend(patience_over(state, running, patience, now, today, &effects));
    }
    effects
}

fn is_ready(state: &RunState, step: &StepState) -> bool {
    step.outline.after.iter().all(|id| state.step(id).is_none_or(StepState::is_proven))
}

fn queue_loads(state: &RunState) -> BTreeMap<&str, usize> {
    let mut loads = BTreeMap::new();
    for step in state.wanted().filter(|s| s.holds_queue()) {
        if let Some(queue) = &step.outline.queue {
            *loads.entry(queue.name.as_str()).or_insert(0) += 1;
        }
    }
    loads
}

/// The run is given up when every step of the day that could go on has been blocked for as long as patience lasts.
fn patience_over(
    state: &RunState,
    running: &BTreeMap<StepId, Verb>,
    patience: Duration,
    now: Timestamp,
    today: u8,
    effects: &[Effect],
) -> Option<Effect> {
    let mut last = None;
    for step in state.wanted().filter(|s| s.outline.day == today) {
        match &step.status {
            Status::Proven => {}
            Status::Pending if !is_ready(state, step) => {}
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
    let over = add(last?, patience);
    Some(if over <= now { Effect::End(Outcome::Blocked) } else { Effect::WakeAt(over) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::Failure;
    use crate::engine::proof::Comparison;
    use crate::engine::state::tests::{at, fold, outline, proof, session};
    use crate::engine::step::Queue;

    fn id(s: &str) -> StepId {
        StepId::new(s)
    }

    fn asking() -> Rules {
        Rules { gates_by: None, patience: None }
    }

    fn unattended() -> Rules {
        Rules { gates_by: Some("--yes".into()), patience: Some(Duration::from_secs(100)) }
    }

    fn absent(step: &str) -> Event {
        Event::Absent { step: id(step), seen: "nothing".into() }
    }

    #[test]
    fn steps_without_open_dependencies_are_observed_at_once_and_others_wait() {
        let state = fold(vec![session(vec![
            outline("day1.a", 1, &[]),
            outline("day1.b", 1, &["day1.a"]),
            outline("day1.c", 1, &[]),
            outline("day2.d", 2, &[]),
        ])]);
        assert_eq!(
            decide(&state, &BTreeMap::new(), &asking(), at(9)),
            [Effect::Start(id("day1.a"), Verb::Observe), Effect::Start(id("day1.c"), Verb::Observe)]
        );
    }

    #[test]
    fn the_first_change_of_a_day_asks_once_and_acts_only_when_the_gate_is_open() {
        let steps = vec![outline("day1.a", 1, &[]), outline("day1.b", 1, &[])];
        let mut events = vec![session(steps), absent("day1.a"), absent("day1.b")];
        let gate = Effect::Record(Event::GateAsked { day: 1, compare: Vec::new() });
        assert_eq!(decide(&fold(events.clone()), &BTreeMap::new(), &asking(), at(9)), [gate]);
        events.push(Event::GateAsked { day: 1, compare: Vec::new() });
        assert_eq!(decide(&fold(events.clone()), &BTreeMap::new(), &asking(), at(9)), []);
        events.push(Event::GateOpened { day: 1, by: "ann".into() });
        let effects = decide(&fold(events), &BTreeMap::new(), &asking(), at(9));
        assert_eq!(effects.first(), Some(&Effect::Record(Event::Intended { step: id("day1.a"), attempt: 1 })));
        assert_eq!(effects.get(1), Some(&Effect::Start(id("day1.a"), Verb::Act)));
        assert_eq!(effects.len(), 4);
    }

    #[test]
    fn the_gate_carries_what_the_day_before_asks_a_person_to_compare() {
        let it = Comparison { of: "cp1".into(), value: "key".into(), with: "its console".into() };
        let proof = proof().to_compare(it.clone());
        let events = vec![
            session(vec![outline("day1.a", 1, &[]), outline("day2.b", 2, &[]), outline("day3.c", 3, &[])]),
            Event::Proven { step: id("day1.a"), proof },
            absent("day2.b"),
        ];
        let state = fold(events);
        let gate = Effect::Record(Event::GateAsked { day: 2, compare: vec![it] });
        assert_eq!(decide(&state, &BTreeMap::new(), &asking(), at(9)), [gate]);
        assert_eq!(state.to_compare(3), []);
    }

    #[test]
    fn a_queue_lets_through_no_more_than_its_limit() {
        let mut a = outline("day1.a", 1, &[]);
        a.queue = Some(Queue { name: "clones".into(), limit: 1 });
        let mut b = outline("day1.b", 1, &[]);
        b.queue.clone_from(&a.queue);
        let mut events = vec![session(vec![a, b]), absent("day1.a"), absent("day1.b")];
        let effects = decide(&fold(events.clone()), &BTreeMap::new(), &unattended(), at(9));
        assert_eq!(effects.iter().filter(|e| matches!(e, Effect::Start(_, Verb::Act))).count(), 1);
        events.push(Event::Intended { step: id("day1.a"), attempt: 1 });
        events.push(Event::Acted { step: id("day1.a") });
        let effects = decide(&fold(events.clone()), &BTreeMap::new(), &unattended(), at(9));
        assert!(!effects.contains(&Effect::Start(id("day1.b"), Verb::Act)), "{effects:?}");
        events.push(Event::Proven { step: id("day1.a"), proof: proof() });
        let effects = decide(&fold(events), &BTreeMap::new(), &unattended(), at(9));
        assert!(effects.contains(&Effect::Start(id("day1.b"), Verb::Act)), "{effects:?}");
    }

    #[test]
    fn a_stop_waits_for_the_acts_in_hand_and_starts_nothing() {
        let state = fold(vec![
            session(vec![outline("day1.a", 1, &[]), outline("day1.b", 1, &[])]),
            Event::StopAsked { by: "ann".into() },
        ]);
        let acting = BTreeMap::from([(id("day1.a"), Verb::Act)]);
        assert_eq!(decide(&state, &acting, &unattended(), at(9)), []);
        let watching = BTreeMap::from([(id("day1.a"), Verb::Watch)]);
        assert_eq!(decide(&state, &watching, &unattended(), at(9)), [Effect::End(Outcome::Stopped)]);
    }

    #[test]
    fn a_blocked_run_ends_only_when_patience_is_over_and_nothing_else_can_go_on() {
        let blocked =
            |step: &str| Event::Blocked { step: id(step), failure: Failure::person("no", "do it"), again_at: at(5000) };
        let steps = vec![outline("day1.a", 1, &[]), outline("day1.b", 1, &["day1.a"])];
        let state = fold(vec![session(steps), blocked("day1.a")]);
        let effects = decide(&state, &BTreeMap::new(), &unattended(), at(50));
        assert_eq!(effects, [Effect::WakeAt(at(5000)), Effect::WakeAt(at(101))]);
        assert!(decide(&state, &BTreeMap::new(), &unattended(), at(101)).contains(&Effect::End(Outcome::Blocked)));

        let steps = vec![outline("day1.a", 1, &[]), outline("day1.b", 1, &[])];
        let state = fold(vec![session(steps), blocked("day1.a")]);
        let running = BTreeMap::from([(id("day1.b"), Verb::Observe)]);
        assert!(!decide(&state, &running, &unattended(), at(500)).contains(&Effect::End(Outcome::Blocked)));
    }

    #[test]
    fn everything_proven_ends_the_run() {
        let state =
            fold(vec![session(vec![outline("day1.a", 1, &[])]), Event::Proven { step: id("day1.a"), proof: proof() }]);
        assert_eq!(decide(&state, &BTreeMap::new(), &asking(), at(9)), [Effect::End(Outcome::Proven)]);
    }
}
