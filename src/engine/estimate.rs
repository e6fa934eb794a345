//! How long a run still takes, if nothing goes wrong: the bands of the steps that are left, corrected by how long the steps
//! before them took on this site. Time at gates is a person's and is not counted.
use super::standing::late;
use super::state::{RunState, Status, StepState};
use super::step::StepId;
use crate::base::clock::between;
use crate::base::day::Day;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// The time that is left of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// If nothing goes wrong, and nobody waits at a gate.
    pub left: Duration,
    /// Something is late or fails, so that nobody knows when it goes on.
    pub at_least: bool,
}

/// Bounds of the correction by what was measured, so that one odd step does not make an estimate absurd.
const LEAST: f64 = 0.2;
const MOST: f64 = 5.0;

/// `None` when nothing is left, and when the run has ended.
pub fn estimate(state: &RunState, now: Timestamp) -> Option<Estimate> {
    if state.ended.is_some() || state.wanted().all(StepState::is_proven) {
        return None;
    }
    let measured = Measured::of(state);
    let mut left = 0.0;
    let mut days: BTreeMap<Day, Vec<&StepState>> = BTreeMap::new();
    for step in state.wanted() {
        days.entry(step.outline.day).or_default().push(step);
    }
    for steps in days.values() {
        left += makespan(state, steps, &measured, now);
    }
    let stands = |s: &StepState| match s.status {
        Status::Blocked { .. } | Status::Retrying { .. } => true,
        Status::Pending | Status::Absent | Status::Acting | Status::Acted | Status::Underway | Status::Proven => {
            late(s, now).is_some()
        }
    };
    Some(Estimate { left: Duration::from_secs_f64(left), at_least: state.wanted().any(stands) })
}

/// Seconds that steps took, beside those that were expected.
#[derive(Default)]
struct Measured {
    /// By kind: how many, and all their seconds.
    kinds: HashMap<String, (u32, f64)>,
    ratio: f64,
}

impl Measured {
    fn of(state: &RunState) -> Measured {
        let mut measured = Measured { ratio: 1.0, ..Measured::default() };
        let (mut took, mut usual) = (0.0, 0.0);
        for step in state.wanted().filter(|s| s.is_proven()) {
            let (Some(started), Some(finished)) = (step.started, step.finished) else { continue };
            let seconds = between(started, finished).as_secs_f64();
            let kind = measured.kinds.entry(step.outline.id.kind().to_string()).or_default();
            *kind = (kind.0 + 1, kind.1 + seconds);
            // What was there already says nothing about how long making it takes.
            if step.attempt > 0 {
                took += seconds;
                usual += step.outline.band.usual_s as f64;
            }
        }
        if usual > 0.0 {
            measured.ratio = (took / usual).clamp(LEAST, MOST);
        }
        measured
    }

    /// Seconds that a whole step takes.
    fn expects(&self, step: &StepState) -> f64 {
        let usual = step.outline.band.usual_s as f64;
        match self.kinds.get(step.outline.id.kind()) {
            Some((n, seconds)) => (seconds / f64::from(*n)).max(usual * LEAST.min(self.ratio)),
            None => usual * self.ratio,
        }
    }

    fn expects_yet(&self, step: &StepState, now: Timestamp) -> f64 {
        let running = step.holds_queue().then_some(step.started).flatten();
        (self.expects(step) - running.map_or(0.0, |since| between(since, now).as_secs_f64())).max(0.0)
    }
}

/// Seconds until the last of these steps is proven, when each begins as soon as those before it are, and as its queue lets it.
fn makespan(state: &RunState, steps: &[&StepState], measured: &Measured, now: Timestamp) -> f64 {
    let mut ends: HashMap<&StepId, f64> = HashMap::new();
    let mut queues: HashMap<&str, Vec<f64>> = HashMap::new();
    let mut open: Vec<&StepState> = steps.iter().copied().filter(|s| !s.is_proven()).collect();
    // Those that hold a place in a queue keep it.
    open.sort_by_key(|s| !s.holds_queue());
    let mut left: HashSet<&StepId> = open.iter().map(|s| &s.outline.id).collect();
    let mut last: f64 = 0.0;
    while !open.is_empty() {
        let waits = |s: &StepState| s.outline.after.iter().any(|id| left.contains(id));
        // In a circle none comes first, and a run with one would not begin.
        let at = open.iter().position(|s| !waits(s)).unwrap_or(0);
        let step = open.remove(at);
        left.remove(&step.outline.id);
        let ready = step.outline.after.iter().filter_map(|id| ends.get(id)).copied().fold(0.0, f64::max);
        let takes = measured.expects_yet(step, now);
        let end = match &step.outline.queue {
            None => ready + takes,
            Some(queue) => {
                let places =
                    queues.entry(queue.name.as_str()).or_insert_with(|| vec![0.0; state.width(queue).clamp(1, 64)]);
                let free = places.iter_mut().min_by(|a, b| a.total_cmp(b));
                free.map_or(ready + takes, |free| {
                    *free = ready.max(*free) + takes;
                    *free
                })
            }
        };
        ends.insert(&step.outline.id, end);
        last = last.max(end);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::{Event, Outcome};
    use crate::engine::state::tests::{at, fold, outline, proof, session};
    use crate::engine::step::{Outline, Queue};
    use crate::engine::wait::Band;

    fn step(id: &str, day: u8, after: &[&str], usual: u64) -> Outline {
        Outline { band: Band::new(usual, usual * 5), ..outline(id, day, after) }
    }

    fn clone(n: u32) -> Outline {
        let queue = Some(Queue { name: "clone".into(), limit: 1, one_begins: false });
        Outline { queue, ..step(&format!("day1.clone/{n}"), 1, &[], 60) }
    }

    fn seconds(state: &RunState, now: i64) -> (u64, bool) {
        let it = estimate(state, at(now)).unwrap();
        (it.left.as_secs(), it.at_least)
    }

    #[test]
    fn days_follow_each_other_steps_run_side_by_side_and_a_queue_one_by_one() {
        let steps = vec![step("day0.a", 0, &[], 5), step("day0.b", 0, &["day0.a"], 10), clone(1), clone(2), clone(3)];
        let steps = [steps, vec![step("day1.start", 1, &["day1.clone/3"], 30), step("day2.a", 2, &[], 100)]].concat();
        assert_eq!(seconds(&fold(vec![session(steps)]), 1), (15 + 180 + 30 + 100, false));
    }

    /// `fold` dates its records a second apart, from second 1 on.
    #[test]
    fn what_was_measured_corrects_what_is_expected_and_a_step_on_its_way_counts_in_part() {
        let id = |n: u32| StepId::new(&format!("day1.clone/{n}"));
        let acts = |n| Event::Intended { step: id(n), attempt: 1 };
        let mut events = vec![session(vec![clone(1), clone(2), step("day1.other", 1, &[], 100)]), acts(1)];
        events.push(Event::Proven { step: id(1), proof: proof() });
        // One second instead of 60: the other clone takes 12 s, the bound, and the other kind a fifth.
        assert_eq!(seconds(&fold(events.clone()), 3), (20, false));
        events.push(acts(2));
        let state = fold(events);
        assert_eq!(seconds(&state, 4).0, 20);
        assert!(seconds(&state, 100_000).1, "what is late has no end that anybody knows");
    }

    #[test]
    fn a_run_that_has_ended_or_has_nothing_left_takes_no_more_time() {
        let begun = vec![session(vec![step("day0.a", 0, &[], 5)])];
        let ended = [begun.clone(), vec![Event::Ended { outcome: Outcome::Stopped }]].concat();
        assert_eq!(estimate(&fold(ended), at(9)), None);
        let done = [begun, vec![Event::Proven { step: StepId::new("day0.a"), proof: proof() }]].concat();
        assert_eq!(estimate(&fold(done), at(9)), None);
        assert_eq!(estimate(&RunState::default(), at(9)), None);
    }

    #[test]
    fn steps_that_wait_for_each_other_do_not_hold_the_estimate() {
        let steps = vec![step("day0.a", 0, &["day0.b"], 5), step("day0.b", 0, &["day0.a"], 5)];
        assert_eq!(seconds(&fold(vec![session(steps)]), 1).0, 10);
    }
}
