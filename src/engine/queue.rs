//! How full the queues are: a pure reading of the run's state.
use super::state::RunState;
use super::step::Queue;
use std::collections::BTreeMap;

/// What is under way in each queue, and what this decision adds to it.
pub(super) struct Loads<'a> {
    loads: BTreeMap<&'a str, Load>,
}

#[derive(Default)]
struct Load {
    acts: usize,
    /// One of them has not made way yet.
    begins: bool,
}

impl<'a> Loads<'a> {
    pub fn of(state: &'a RunState) -> Loads<'a> {
        let mut loads: BTreeMap<&str, Load> = BTreeMap::new();
        for step in state.wanted().filter(|s| s.holds_queue()) {
            if let Some(queue) = &step.outline.queue {
                let load = loads.entry(queue.name.as_str()).or_default();
                *load = Load { acts: load.acts + 1, begins: load.begins || step.begins() };
            }
        }
        Loads { loads }
    }

    /// Takes a place for an act that begins now; `false` when there is none.
    pub fn enter(&mut self, state: &RunState, queue: &'a Queue) -> bool {
        let load = self.loads.entry(queue.name.as_str()).or_default();
        if load.acts >= state.width(queue) || (queue.one_begins && load.begins) {
            return false;
        }
        *load = Load { acts: load.acts + 1, begins: true };
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::decide::{Effect, Rules, Verb, decide};
    use crate::engine::failure::Failure;
    use crate::engine::record::Event;
    use crate::engine::state::tests::{at, fold, outline, proof, session};
    use crate::engine::step::{Outline, Queue, StepId};
    use crate::engine::wait::{Band, Wait};
    use std::collections::BTreeMap;

    const ALL: [&str; 3] = ["day1.a", "day1.b", "day1.c"];

    fn id(step: &str) -> StepId {
        StepId::new(step)
    }

    fn begun(queue: &Queue) -> Event {
        let queued = |id| Outline { queue: Some(queue.clone()), ..outline(id, 1, &[]) };
        session(ALL.map(queued).to_vec())
    }

    fn absent(step: &str) -> Event {
        Event::Absent { step: id(step), seen: "nothing".into() }
    }

    fn acts(step: &str) -> Event {
        Event::Intended { step: id(step), attempt: 1 }
    }

    /// The steps whose acts are called next.
    fn starts(events: &[Event]) -> Vec<StepId> {
        let rules = Rules { gates_by: Some("--yes".into()), patience: None };
        let effects = decide(&fold(events.to_vec()), &BTreeMap::new(), &rules, at(9));
        let started = |effect: Effect| match effect {
            Effect::Start(id, Verb::Act) => Some(id),
            Effect::Start(..) | Effect::Record(_) | Effect::WakeAt(_) | Effect::End(_) => None,
        };
        effects.into_iter().filter_map(started).collect()
    }

    fn queue(limit: usize, one_begins: bool) -> Queue {
        Queue { name: "clones".into(), limit, one_begins }
    }

    #[test]
    fn a_queue_lets_through_no_more_than_its_limit() {
        let mut events = vec![begun(&queue(1, false)), absent("day1.a"), absent("day1.b")];
        assert_eq!(starts(&events), [id("day1.a")]);
        events.extend([acts("day1.a"), Event::Acted { step: id("day1.a") }]);
        assert_eq!(starts(&events), []);
        events.push(Event::Proven { step: id("day1.a"), proof: proof() });
        assert_eq!(starts(&events), [id("day1.b")]);
    }

    #[test]
    fn in_a_queue_by_turns_the_next_act_begins_when_the_one_before_makes_way() {
        let waits = || Wait::new("the task ends", "it runs", Band::new(60, 300));
        let waiting = |wait| Event::Waiting { step: id("day1.a"), wait };
        let mut events = [vec![begun(&queue(2, true))], ALL.map(absent).to_vec()].concat();
        assert_eq!(starts(&events), [id("day1.a")]);
        events.extend([acts("day1.a"), waiting(waits())]);
        assert_eq!(starts(&events), [], "it has not made way");
        events.push(waiting(waits().making_way()));
        assert_eq!(starts(&events), [id("day1.b")]);
        let both = [events.clone(), vec![acts("day1.b")]].concat();
        assert_eq!(starts(&both), [], "the second has not made way");
        events.extend([acts("day1.b"), Event::Acted { step: id("day1.b") }]);
        assert_eq!(starts(&events), [], "two are the limit");
        events.push(Event::Proven { step: id("day1.a"), proof: proof() });
        assert_eq!(starts(&events), [id("day1.c")]);
    }

    #[test]
    fn what_an_earlier_session_began_is_at_its_beginning_until_it_is_seen_to_make_way() {
        let wait = Wait::new("the task ends", "it runs", Band::new(60, 300));
        let begins = [begun(&queue(2, true)), absent("day1.a"), absent("day1.b"), acts("day1.a")].to_vec();
        let again = [begins, vec![begun(&queue(2, true)), absent("day1.b")]].concat();
        let seen = |wait| [again.clone(), vec![Event::Waiting { step: id("day1.a"), wait }]].concat();
        assert_eq!(starts(&seen(wait.clone())), []);
        assert_eq!(starts(&seen(wait.making_way())), [id("day1.b")]);
    }

    #[test]
    fn a_queue_in_which_acts_stood_in_each_others_way_lets_through_one_in_later_sessions_too() {
        let failure = Failure::retryable("can't lock file", "again").crowded();
        let failed = Event::Failed { step: id("day1.b"), failure, again_at: at(5000) };
        let queue = queue(3, false);
        let events = [begun(&queue), absent("day1.a"), absent("day1.b"), acts("day1.b"), failed].to_vec();
        let looked = [events.clone(), vec![absent("day1.b"), absent("day1.c")]].concat();
        assert_eq!(starts(&looked), [id("day1.a")]);
        let again = [events, vec![begun(&queue)], ALL.map(absent).to_vec()].concat();
        assert_eq!(starts(&again), [id("day1.a")]);
    }
}
