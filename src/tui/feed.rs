//! The live log: what happened, a line each, beside the lines that the targets' own logs gave.
use super::standing::Standing;
use crate::base::clock::between;
use crate::base::text::{clean, spoken};
use crate::engine::record::{Event, Outcome, Record};
use crate::engine::state::{RunState, Status};
use crate::engine::step::StepId;
use jiff::Timestamp;
use std::collections::VecDeque;

/// Lines kept in memory; the journal has everything.
pub const LIMIT: usize = 2000;

#[derive(Debug, Clone, PartialEq)]
pub struct FeedLine {
    pub at: Timestamp,
    pub step: Option<StepId>,
    /// `None`: a line of a log.
    pub standing: Option<Standing>,
    pub text: String,
}

#[derive(Debug, Default)]
pub struct Feed(VecDeque<FeedLine>);

impl Feed {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From the newest back.
    pub fn newest(&self) -> impl Iterator<Item = &FeedLine> {
        self.0.iter().rev()
    }

    /// Takes up `record`; `state` is what was known before it. Says whether there is a new line.
    pub fn take(&mut self, record: &Record, state: &RunState) -> bool {
        let Some((step, standing, text)) = told(record, state) else { return false };
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(FeedLine { at: record.at, step: step.cloned(), standing, text: clean(&text) });
        true
    }
}

type Told<'a> = (Option<&'a StepId>, Option<Standing>, String);

fn told<'a>(record: &'a Record, state: &RunState) -> Option<Told<'a>> {
    let known = |step: &StepId| state.step(step);
    match &record.event {
        Event::Session { run, host, pid, backwards, .. } => {
            let verb = match (*backwards, state.sessions) {
                (true, _) => "is taken back",
                (false, 0) => "starts",
                (false, _) => "goes on",
            };
            Some((None, Some(Standing::Acts), format!("run {run} {verb}: process {pid} on {host}")))
        }
        Event::GateAsked { day, .. } => {
            Some((None, Some(Standing::Gate), format!("day {day} waits until you begin it")))
        }
        Event::GateOpened { by, .. } if state.backwards => {
            Some((None, Some(Standing::Acts), format!("agreed to by {by}")))
        }
        Event::GateOpened { day, by } => Some((None, Some(Standing::Acts), format!("day {day} begun by {by}"))),
        Event::Absent { .. } | Event::Acted { .. } | Event::HandleKept { .. } => None,
        Event::Intended { step, attempt } => {
            let title = known(step).map(|s| s.outline.title.clone()).unwrap_or_default();
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            Some((Some(step), Some(Standing::Acts), format!("{title}{again}")))
        }
        Event::Waiting { step, wait } => {
            // A line per condition, not per glance.
            let old = known(step).and_then(|s| s.wait.as_ref()).map(|(wait, _)| wait.condition.as_str());
            (old != Some(wait.condition.as_str()))
                .then(|| (Some(step), Some(Standing::Waits), format!("until {}", wait.condition)))
        }
        Event::Proven { step, proof } => Some((Some(step), Some(Standing::Proven), proof.summary().to_string())),
        Event::Failed { step, failure, again_at } => {
            let pause = spoken(between(record.at, *again_at));
            Some((Some(step), Some(Standing::Retries), format!("{}; again in {pause}", failure.what)))
        }
        Event::Blocked { step, failure, .. } => {
            let told_before = known(step).is_some_and(|s| match &s.status {
                Status::Blocked { failure: old, .. } => old.is_like(failure),
                Status::Pending
                | Status::Absent
                | Status::Acting
                | Status::Acted
                | Status::Underway
                | Status::Retrying { .. }
                | Status::Proven => false,
            });
            (!told_before)
                .then(|| (Some(step), Some(Standing::Blocked), format!("{}; next: {}", failure.what, failure.next)))
        }
        Event::Drifted { step, why } => Some((Some(step), Some(Standing::Drifted), why.clone())),
        Event::Log { step, source, line } => Some((Some(step), None, format!("{source}: {line}"))),
        Event::RetryAsked { step, by } => Some((Some(step), Some(Standing::Retries), format!("asked by {by}"))),
        Event::StopAsked { by } => {
            Some((None, Some(Standing::Halted), format!("stop asked by {by}: the acts in hand end first")))
        }
        Event::ControlTaken { by } => Some((None, None, format!("{by} has control of the run"))),
        Event::Ended { outcome } => Some(match outcome {
            Outcome::Proven => (None, Some(Standing::Proven), "every step is proven".to_string()),
            Outcome::Blocked => (None, Some(Standing::Blocked), "ended: a step is blocked".to_string()),
            Outcome::Stopped => (None, Some(Standing::Halted), "stopped on request".to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Sample;
    use super::*;

    #[test]
    fn a_blocked_step_is_told_once_and_with_what_to_do() {
        let mut feed = Feed::default();
        let mut state = RunState::default();
        for record in Sample::blocked().records() {
            feed.take(&record, &state);
            state.apply(&record);
        }
        let blocked: Vec<_> = feed.newest().filter(|l| l.standing == Some(Standing::Blocked)).collect();
        assert_eq!(blocked.len(), 1, "{blocked:?}");
        assert!(blocked[0].text.contains("next: give the token VM.Clone"), "{blocked:?}");
    }

    #[test]
    fn the_feed_is_bounded() {
        let mut feed = Feed::default();
        let state = RunState::default();
        let event = Event::Log { step: StepId::new("a"), source: "s".into(), line: "l".into() };
        for seq in 0..LIMIT as u64 + 10 {
            feed.take(&Record { seq, at: Timestamp::UNIX_EPOCH, event: event.clone() }, &state);
        }
        assert_eq!(feed.len(), LIMIT);
    }
}
