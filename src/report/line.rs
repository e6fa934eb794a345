//! One record as plain lines: for pipes, logs, screen readers and dumb terminals. No colour, no control characters.
use crate::base::clock::between;
use crate::engine::describe::LogEntry;
use crate::engine::record::Record;
use crate::engine::state::RunState;
use crate::observed::describe;
use std::time::Duration;

/// The lines that tell `record`, or none when it has no news. `state` is what was known before it.
pub fn lines(record: &Record, state: &RunState) -> Vec<String> {
    let since = state.started.map_or(Duration::ZERO, |s| between(s, record.at)).as_secs();
    let clock = format!("{:02}:{:02}:{:02}", since / 3600, since / 60 % 60, since % 60);
    describe(record, state).iter().flat_map(|told| lines_of(&clock, told)).collect()
}

fn lines_of(clock: &str, told: &LogEntry<'_>) -> Vec<String> {
    let class = told.class.map(|class| format!(" ({class})")).unwrap_or_default();
    let subject = told.step.map(|step| format!("{step}{class}: ")).unwrap_or_default();
    let first = format!("{clock} {:<8} {subject}{}", told.news.word(), told.text);
    let more = told.more.iter().map(|more| format!("{clock} {:<8} {more}", ""));
    [first].into_iter().chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::Failure;
    use crate::engine::record::Event;
    use crate::engine::state::tests::{at, fold, outline, proof, session};
    use crate::engine::step::StepId;

    #[test]
    fn a_blocked_step_says_why_and_what_to_do_and_says_it_once() {
        let step = StepId::new("day1.a");
        let failure = Failure::refused("no VM.Clone on /vms/9100\x1b[31m", "give the token VM.Clone");
        let event = Event::Blocked { step, failure, again_at: at(20) };
        let before = fold(vec![session(vec![outline("day1.a", 1, &[])])]);
        let record = Record { seq: 2, at: at(61), event: event.clone() };
        assert_eq!(
            lines(&record, &before),
            [
                "00:01:01 BLOCKED  day1.a (refused): no VM.Clone on /vms/9100 [31m",
                "00:01:01          next: give the token VM.Clone"
            ]
        );
        let after = fold(vec![session(vec![outline("day1.a", 1, &[])]), event]);
        assert!(lines(&Record { seq: 3, ..record }, &after).is_empty());
    }

    #[test]
    fn a_proof_is_told_with_its_summary() {
        let state = fold(vec![session(vec![outline("day1.a", 1, &[])])]);
        let record = Record { seq: 2, at: at(5), event: Event::Proven { step: StepId::new("day1.a"), proof: proof() } };
        assert_eq!(lines(&record, &state), ["00:00:05 proven   day1.a: it is so"]);
    }
}
