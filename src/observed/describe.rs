//! The news of a record, with a sentence for what was noticed or asked for.
use super::mending::Mending;
use super::notice::Noticed;
use crate::engine::describe::{self, LogEntry};
use crate::engine::record::{Event, Record};
use crate::engine::state::RunState;

/// As [`describe::describe`], which knows no kind of notice. One of a newer cozyup keeps its name alone.
pub fn describe<'a>(record: &'a Record, state: &RunState) -> Vec<LogEntry<'a>> {
    if let Event::ErrandAsked { errand, .. } | Event::ErrandEnded { errand, .. } = &record.event
        && let Some(known) = errand.read::<Mending>()
    {
        return LogEntry::errand(&record.event, &known.title()).into_iter().collect();
    }
    let known = if let Event::Noticed { notice } = &record.event { notice.read::<Noticed>() } else { None };
    match known {
        Some(known) => {
            vec![LogEntry::noticed(known.is_relief(), format!("{}{}", known.sentence(), meanwhile(&known, state)))]
        }
        None => describe::describe(record, state),
    }
}

/// Whoever reads of a change for the worse is to know when the run itself may have brought it about.
fn meanwhile(noticed: &Noticed, state: &RunState) -> String {
    let steps: Vec<&str> = state.made.disturbing().map(|step| step.as_str()).collect();
    match noticed.is_relief() || steps.is_empty() {
        true => String::new(),
        false => format!("; {} of this run is under way, which may be why", steps.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::describe::News;
    use crate::engine::notice::Notice;
    use jiff::Timestamp;

    fn told(text: &str) -> (News, String) {
        let notice: Notice = serde_json::from_str(text).unwrap();
        let record = Record { seq: 1, at: Timestamp::UNIX_EPOCH, event: Event::Noticed { notice } };
        let told = describe(&record, &RunState::default()).remove(0);
        (told.news, told.text)
    }

    #[test]
    fn what_is_noticed_in_the_middle_of_a_drill_is_told_with_the_drill() {
        let mut state = crate::engine::state::tests::fold(crate::engine::state::tests::disturbed());
        let told = |state: &RunState, text: &str| {
            let notice: Notice = serde_json::from_str(text).unwrap();
            let record = Record { seq: 1, at: Timestamp::UNIX_EPOCH, event: Event::Noticed { notice } };
            describe(&record, state).remove(0).text
        };
        let lost = r#"{"kind":"etcd_member_lost","name":"cp1"}"#;
        assert!(told(&state, lost).ends_with("; day7.off of this run is under way, which may be why"));
        assert!(!told(&state, r#"{"kind":"node_ready","name":"cp1"}"#).contains("day7.off"));
        state = RunState::default();
        assert!(!told(&state, lost).contains("under way"));
    }

    #[test]
    fn a_notice_is_a_sentence_without_control_characters_and_an_unknown_one_is_its_name() {
        let (news, text) = told(r#"{"kind":"node_not_ready","name":"cp1","reason":"a\u001b[31mb"}"#);
        assert_eq!((news, text.as_str()), (News::Noticed { better: false }, "node cp1 is not Ready (a [31mb)"));
        assert_eq!(told(r#"{"kind":"node_ready","name":"cp1"}"#).0, News::Noticed { better: true });
        assert_eq!(told(r#"{"kind":"sang","song":"x"}"#).1, "sang");
    }
}
