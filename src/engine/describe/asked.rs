//! The words for what people have asked for: a day, an act beside the steps.
use super::{LogEntry, News};
use crate::base::day::Day;
use crate::base::text;
use crate::engine::record::Event;
use crate::engine::state::RunState;

impl<'a> LogEntry<'a> {
    /// An act beside the steps, by the title that whoever knows its kind gives it; `None` for any other event.
    pub fn errand(event: &Event, title: &str) -> Option<LogEntry<'a>> {
        if let Event::ErrandAsked { by, .. } = event {
            return Some(LogEntry::run(News::ErrandAsked, format!("{title}, asked for by {by}")));
        }
        let Event::ErrandEnded { failure, .. } = event else { return None };
        let news = News::ErrandEnded { done: failure.is_none() };
        let said = failure.as_ref().map_or("taken", |failure| &failure.what);
        let next = failure.iter().map(|failure| format!("next: {}", text::clean(&failure.next)));
        Some(LogEntry { more: next.collect(), ..LogEntry::run(news, format!("{title}: {said}")) })
    }
}

pub(super) fn gate_opened<'a>(day: Day, by: &str, state: &RunState) -> Vec<LogEntry<'a>> {
    let opened = LogEntry::run(News::Gate, format!("{day} begun by {by}"));
    // Where nobody was asked, nobody has compared.
    let unseen = if state.gates_asked.contains(&day) { Vec::new() } else { state.to_compare(day) };
    let trusts = unseen.iter().map(|c| {
        LogEntry::run(News::Trusts, format!("{}: {} on first use, not compared with {}", c.of, c.value, c.with))
    });
    [opened].into_iter().chain(trusts).collect()
}
