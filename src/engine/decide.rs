//! Decides the next command: a pure function of the run's state, of the running steps, and of the time.
use super::ending::{end, patience_over};
use super::queue::Loads;
use super::record::{Event, Outcome};
use super::state::{RunState, Status, StepState};
use super::step::StepId;
use crate::base::day::Day;
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
    /// Change the target.
    Act,
}

/// Something that the driver has to do next.
#[allow(clippy::large_enum_variant, reason = "a handful at a time, and gone at once")]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Append this event to the journal and fold it.
    Record(Event),
    /// Begin this verb of a step that does nothing at the moment.
    Start(StepId, Verb),
    /// Decide again at this time at the latest.
    WakeAt(Timestamp),
    /// End the session; nothing runs that could still change the target.
    End(Outcome),
}

/// The operator's choices that hold for the whole session.
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
        return end(state, running, Outcome::Stopped);
    }
    let hand = Hand::of(state);
    if hand.steps.is_empty() {
        return vec![Effect::End(Outcome::Proven)];
    }
    let mut effects = Vec::new();
    let mut entrance = Entrance::of(state, rules);
    for step in hand.steps.iter().filter(|s| !running.contains_key(&s.outline.id)) {
        effects.extend(look(&hand, state, step, now));
        // Steps that it depends on come first when they have drifted too, or are in doubt.
        if step.status == Status::Absent && hand.is_ready(state, step) && !is_doubted(running, step) {
            effects.extend(entrance.act(state, step));
        }
    }
    if let Some(patience) = rules.patience {
        effects.extend(patience_over(&hand, state, running, patience, now, &effects));
    }
    effects
}

/// The steps that the session works on now.
pub(super) struct Hand<'a> {
    pub steps: Vec<&'a StepState>,
    /// They put right what an earlier session left disturbed: nothing comes before them.
    is_first: bool,
}

impl<'a> Hand<'a> {
    fn of(state: &'a RunState) -> Hand<'a> {
        let first = state.first();
        if !first.is_empty() {
            return Hand { steps: first, is_first: true };
        }
        let today = state.today();
        Hand { steps: state.wanted().filter(|s| Some(s.outline.day) == today).collect(), is_first: false }
    }

    pub fn is_ready(&self, state: &RunState, step: &StepState) -> bool {
        self.is_first || is_ready(state, step)
    }
}

/// The look at the target that the step needs now, or when it needs it.
fn look(hand: &Hand<'_>, state: &RunState, step: &StepState, now: Timestamp) -> Option<Effect> {
    let start = |verb| Some(Effect::Start(step.outline.id.clone(), verb));
    match &step.status {
        Status::Proven | Status::Absent => None,
        Status::Pending if hand.is_ready(state, step) => start(Verb::Observe),
        Status::Pending => None,
        // An act that no longer runs and left no record was cut off: look at the target.
        Status::Acted | Status::Acting => start(Verb::Observe),
        Status::Underway => start(Verb::Watch),
        Status::Retrying { again_at, .. } | Status::Blocked { again_at, .. } if *again_at <= now => {
            start(Verb::Observe)
        }
        Status::Retrying { again_at, .. } | Status::Blocked { again_at, .. } => Some(Effect::WakeAt(*again_at)),
    }
}

/// The things that an act has to get past: the gate of its day, and its queue.
struct Entrance<'a> {
    rules: &'a Rules,
    queues: Loads<'a>,
    gates: BTreeSet<Day>,
    asked: BTreeSet<Day>,
}

impl<'a> Entrance<'a> {
    fn of(state: &'a RunState, rules: &'a Rules) -> Entrance<'a> {
        let (gates, asked) = (state.gates.keys().copied().collect(), state.gates_asked.clone());
        Entrance { rules, queues: Loads::of(state), gates, asked }
    }

    /// The act of an absent step, or the question that stands before it, or nothing while its queue is full.
    fn act(&mut self, state: &RunState, step: &'a StepState) -> Vec<Effect> {
        let (id, day) = (&step.outline.id, step.outline.day);
        let mut effects = Vec::new();
        if !self.gates.contains(&day) {
            let Some(by) = &self.rules.gates_by else {
                let compare = || state.to_compare(day);
                return match self.asked.insert(day) {
                    true => vec![Effect::Record(Event::GateAsked { day, compare: compare() })],
                    false => Vec::new(),
                };
            };
            effects.push(Effect::Record(Event::GateOpened { day, by: by.clone() }));
            self.gates.insert(day);
        }
        if let Some(queue) = &step.outline.queue
            && !self.queues.enter(state, queue)
        {
            return effects;
        }
        effects.push(Effect::Record(Event::Intended { step: id.clone(), attempt: step.attempt + 1 }));
        effects.push(Effect::Start(id.clone(), Verb::Act));
        effects
    }
}

fn is_ready(state: &RunState, step: &StepState) -> bool {
    step.outline.after.iter().all(|id| state.step(id).is_none_or(StepState::is_proven))
}

/// True when a step that it depends on is being looked at again, or acted on.
fn is_doubted(running: &BTreeMap<StepId, Verb>, step: &StepState) -> bool {
    step.outline.after.iter().any(|id| running.contains_key(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::course::Course;
    use crate::engine::failure::Failure;
    use crate::engine::proof::Comparison;
    use crate::engine::state::tests::{at, disturbed, drill, fold, on_course, outline, proof, session};

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
        let gate = Effect::Record(Event::GateAsked { day: Day::Number(1), compare: Vec::new() });
        assert_eq!(decide(&fold(events.clone()), &BTreeMap::new(), &asking(), at(9)), [gate]);
        events.push(Event::GateAsked { day: Day::Number(1), compare: Vec::new() });
        assert_eq!(decide(&fold(events.clone()), &BTreeMap::new(), &asking(), at(9)), []);
        events.push(Event::GateOpened { day: Day::Number(1), by: "ann".into() });
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
        let gate = Effect::Record(Event::GateAsked { day: Day::Number(2), compare: vec![it] });
        assert_eq!(decide(&state, &BTreeMap::new(), &asking(), at(9)), [gate]);
        assert_eq!(state.to_compare(Day::Number(3)), []);
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
    fn a_drifted_step_waits_for_what_it_stands_on_and_for_what_is_in_doubt() {
        let drifted = |step: &str| Event::Drifted { step: id(step), why: "gone".into() };
        let proven = |step: &str| Event::Proven { step: id(step), proof: proof() };
        let steps = vec![outline("day1.a", 1, &[]), outline("day1.b", 1, &["day1.a"])];
        let mut events = vec![session(steps), proven("day1.a"), proven("day1.b"), drifted("day1.b"), absent("day1.b")];
        let looking = BTreeMap::from([(id("day1.a"), Verb::Observe)]);
        assert_eq!(decide(&fold(events.clone()), &looking, &unattended(), at(9)), []);
        let alone = decide(&fold(events.clone()), &BTreeMap::new(), &unattended(), at(9));
        assert!(alone.contains(&Effect::Start(id("day1.b"), Verb::Act)), "{alone:?}");
        events.extend([drifted("day1.a"), absent("day1.a")]);
        let both = decide(&fold(events), &BTreeMap::new(), &unattended(), at(9));
        assert!(both.contains(&Effect::Start(id("day1.a"), Verb::Act)), "{both:?}");
        assert!(!both.contains(&Effect::Start(id("day1.b"), Verb::Act)), "{both:?}");
    }

    #[test]
    fn a_session_that_ends_puts_right_first_what_a_step_has_disturbed_and_tries_it_once() {
        let mut events = disturbed();
        events.push(Event::StopAsked { by: "ann".into() });
        let acts = [
            Effect::Record(Event::Intended { step: id("day7.on"), attempt: 1 }),
            Effect::Start(id("day7.on"), Verb::Act),
        ];
        let acting = BTreeMap::from([(id("day7.off"), Verb::Act)]);
        assert_eq!(decide(&fold(events.clone()), &acting, &unattended(), at(9)), [], "an act is in hand");
        assert_eq!(decide(&fold(events.clone()), &BTreeMap::new(), &unattended(), at(9)), acts);
        events.push(Event::Intended { step: id("day7.on"), attempt: 1 });
        let failure = Failure::retryable("no answer", "again");
        events.push(Event::Failed { step: id("day7.on"), failure, again_at: at(99) });
        assert_eq!(decide(&fold(events), &BTreeMap::new(), &unattended(), at(9)), [Effect::End(Outcome::Stopped)]);

        let mut events = disturbed();
        let failure = Failure::person("another word", "look");
        events.push(Event::Blocked { step: id("day7.off"), failure, again_at: at(9000) });
        let over = decide(&fold(events.clone()), &BTreeMap::new(), &unattended(), at(900));
        assert!(over.ends_with(&acts), "{over:?}");
        events.extend([Event::Intended { step: id("day7.on"), attempt: 1 }, Event::Acted { step: id("day7.on") }]);
        let over = decide(&fold(events), &BTreeMap::new(), &unattended(), at(900));
        assert_eq!(over.last(), Some(&Effect::End(Outcome::Blocked)), "{over:?}");
    }

    #[test]
    fn a_session_that_finds_something_disturbed_puts_it_right_before_it_looks_at_anything_else() {
        let mut events = disturbed();
        events.push(session(drill()));
        let look = |step: &str| Effect::Start(id(step), Verb::Observe);
        assert_eq!(decide(&fold(events.clone()), &BTreeMap::new(), &asking(), at(9)), [look("day7.on")]);
        events.push(absent("day7.on"));
        let act = decide(&fold(events.clone()), &BTreeMap::new(), &asking(), at(9));
        assert_eq!(act.last(), Some(&Effect::Start(id("day7.on"), Verb::Act)), "{act:?}");
        events.push(Event::Proven { step: id("day7.on"), proof: proof() });
        assert_eq!(decide(&fold(events), &BTreeMap::new(), &asking(), at(9)), [look("day1.start")]);
        // Who only checks changes nothing, this neither.
        let mut events = disturbed();
        events.push(on_course(session(drill()), Course::default()));
        assert_eq!(fold(events).first().len(), 0);
    }

    #[test]
    fn everything_proven_ends_the_run() {
        let state =
            fold(vec![session(vec![outline("day1.a", 1, &[])]), Event::Proven { step: id("day1.a"), proof: proof() }]);
        assert_eq!(decide(&state, &BTreeMap::new(), &asking(), at(9)), [Effect::End(Outcome::Proven)]);
    }
}
