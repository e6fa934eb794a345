//! The sums of what a run makes, right before the first record of a change.
use super::json;
use crate::base::day::Day;
use crate::engine::estimate::estimate;
use crate::engine::record::{Event, Record};
use crate::engine::state::RunState;
use crate::plan::{Plan, Review};

/// True when `record` is the first that asks for a change of the target, or agrees to it; `state` is what was known before.
pub fn is_due(record: &Record, state: &RunState) -> bool {
    let is_gate = matches!(record.event, Event::GateAsked { .. } | Event::GateOpened { .. });
    is_gate && state.course.builds() && state.is_untouched() && state.gates_asked.is_empty() && state.gates.is_empty()
}

/// The sums for the course of the session, as it is when `record` comes.
pub fn of(plan: &Plan, record: &Record, state: &RunState) -> Review {
    let left = estimate(state, record.at).map(|estimate| estimate.left);
    Review::of(plan, |day| state.course.wants(Day::Number(day)), left)
}

pub fn lines(review: &Review) -> Vec<String> {
    let told = review.told().into_iter().map(|(label, text)| format!("  {label:<12} {text}"));
    ["nothing is changed yet; the whole run makes this:".to_string()].into_iter().chain(told).collect()
}

/// One object, as every line of `--json` is.
pub fn json(review: &Review) -> String {
    json::object("review", review)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::course::Course;
    use crate::engine::state::tests::{at, fold, outline, session};
    use crate::engine::step::StepId;
    use crate::plan::defaults::{Defaults, plan};

    fn record(event: Event) -> Record {
        Record { seq: 9, at: at(9), event }
    }

    fn asked() -> Event {
        Event::GateAsked { day: Day::Number(1), compare: Vec::new() }
    }

    fn opened() -> Event {
        Event::GateOpened { day: Day::Number(1), by: "--yes".into() }
    }

    fn begun() -> Event {
        session(vec![outline("day0.a", 0, &[]), outline("day1.a", 1, &["day0.a"]), outline("day2.a", 2, &[])])
    }

    #[test]
    fn it_is_due_once_before_the_first_gate_of_a_run_that_has_changed_nothing() {
        let fresh = fold(vec![begun()]);
        assert!(is_due(&record(asked()), &fresh) && is_due(&record(opened()), &fresh));
        assert!(!is_due(&record(Event::Acted { step: StepId::new("day1.a") }), &fresh));
        assert!(!is_due(&record(opened()), &fold(vec![begun(), asked()])), "it was shown with the question");
        let acts = Event::Intended { step: StepId::new("day1.a"), attempt: 1 };
        let again = fold(vec![begun(), opened(), acts, begun()]);
        assert!(!is_due(&record(Event::GateOpened { day: Day::Number(2), by: "a".into() }), &again));
    }

    #[test]
    fn the_way_back_has_none() {
        let mut back = fold(vec![begun()]);
        back.course = Course::Back { cluster_is_lost: false };
        assert!(!is_due(&record(asked()), &back));
    }

    #[test]
    fn lines_and_json_say_the_same_sums() {
        let review = of(&plan(&Defaults::default()), &record(asked()), &fold(vec![begun()]));
        let lines = lines(&review);
        assert!(lines.iter().any(|l| l.contains("on pve       3 machines: 24 cores, 72 GiB of memory")), "{lines:?}");
        assert!(lines.iter().any(|l| l.contains("time         about ")), "{lines:?}");
        let value: serde_json::Value = serde_json::from_str(&json(&review)).unwrap();
        assert_eq!((&value["kind"], &value["schema"]), (&"review".into(), &json::SCHEMA.into()));
        assert_eq!(value["hosts"]["pve"]["memory_mib"], 72 * 1024);
        assert_eq!(value["vmids"][0], 1001);
    }
}
