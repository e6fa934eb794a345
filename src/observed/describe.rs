//! The news of a record, with a sentence for what was noticed.
use super::notice::Noticed;
use crate::engine::describe::{self, LogEntry};
use crate::engine::record::{Event, Record};
use crate::engine::state::RunState;

/// As [`describe::describe`], which knows no kind of notice. One of a newer cozyup keeps its name alone.
pub fn describe<'a>(record: &'a Record, state: &RunState) -> Vec<LogEntry<'a>> {
    let known = if let Event::Noticed { notice } = &record.event { notice.read::<Noticed>() } else { None };
    match known {
        Some(known) => vec![LogEntry::noticed(known.is_relief(), known.sentence())],
        None => describe::describe(record, state),
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
    fn a_notice_is_a_sentence_without_control_characters_and_an_unknown_one_is_its_name() {
        let (news, text) = told(r#"{"kind":"node_not_ready","name":"cp1","reason":"a\u001b[31mb"}"#);
        assert_eq!((news, text.as_str()), (News::Noticed { better: false }, "node cp1 is not Ready (a [31mb)"));
        assert_eq!(told(r#"{"kind":"node_ready","name":"cp1"}"#).0, News::Noticed { better: true });
        assert_eq!(told(r#"{"kind":"sang","song":"x"}"#).1, "sang");
    }
}
