//! The live log: the news of the run, a line each, beside the lines that the targets' own logs gave.
use crate::base::text::clean;
use crate::engine::describe::{LogEntry, News};
use crate::engine::record::Record;
use crate::engine::state::RunState;
use crate::engine::step::StepId;
use crate::observed::describe;
use jiff::Timestamp;
use std::collections::VecDeque;

/// Lines kept in memory; the journal has everything.
pub const LIMIT: usize = 2000;

#[derive(Debug, Clone, PartialEq)]
pub struct FeedLine {
    pub at: Timestamp,
    pub step: Option<StepId>,
    pub news: News,
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

    /// A step has become late, which no record says.
    pub fn say_late(&mut self, at: Timestamp, step: &StepId, text: &str) {
        self.push(FeedLine { at, step: Some(step.clone()), news: News::Late, text: clean(text) });
    }

    fn push(&mut self, line: FeedLine) {
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    /// Takes up `record`; `state` is what was known before it. Returns how many lines are new.
    pub fn take(&mut self, record: &Record, state: &RunState) -> usize {
        let told = describe(record, state);
        for LogEntry { news, step, class, text, more } in &told {
            let class = class.map(|class| format!("({class}) ")).unwrap_or_default();
            let more: String = more.iter().map(|more| format!("; {more}")).collect();
            let text = format!("{class}{text}{more}");
            self.push(FeedLine { at: record.at, step: step.cloned(), news: *news, text });
        }
        told.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Sample, at};
    use super::*;
    use crate::engine::failure::Failure;
    use crate::engine::record::Event;
    use std::sync::Arc;

    fn fed(records: &[Arc<Record>]) -> Feed {
        let mut feed = Feed::default();
        let mut state = RunState::default();
        for record in records {
            feed.take(record, &state);
            state.apply(record);
        }
        feed
    }

    #[test]
    fn a_blocked_step_is_told_once_and_with_what_to_do() {
        let feed = fed(&Sample::blocked().records());
        let blocked: Vec<_> = feed.newest().filter(|l| l.news == News::Blocked).collect();
        assert_eq!(blocked.len(), 1, "{blocked:?}");
        assert!(blocked[0].text.contains("next: give the token VM.Clone"), "{blocked:?}");
    }

    /// house.md 2(c): twelve lines in a minute of a refused clone, where the line mode had two.
    #[test]
    fn six_rounds_of_a_refused_act_are_two_lines() {
        let clone = || StepId::new("day1.clone/cp2");
        let mut sample = Sample::late_clone();
        let before = fed(&sample.records()).len();
        for round in 1..=6_u32 {
            let second = 70 + i64::from(round) * 10;
            let refused = Failure::refused("no VM.Clone on /vms/9100", "give the token VM.Clone");
            sample = sample
                .then(second, Event::Absent { step: clone(), seen: "no vm 1002".into() })
                .then(second, Event::Intended { step: clone(), attempt: round })
                .then(second, Event::Blocked { step: clone(), failure: refused, again_at: at(second + 10) });
        }
        let feed = fed(&sample.records());
        assert_eq!(feed.len() - before, 2, "{:?}", feed.newest().take(12).collect::<Vec<_>>());
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
