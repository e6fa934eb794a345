//! The words for a record, and the choice of records that are news at all. The screen's log and the line mode both
//! print these words; each adds its own clock, colour and layout.
mod asked;

use super::course::Course;
use super::failure::{Class, Failure};
use super::record::{Event, Outcome, Record};
use super::standing::Standing;
use super::state::{RunState, StepState};
use super::step::StepId;
use super::wait::Wait;
use crate::base::clock::between;
use crate::base::day::Day;
use crate::base::text;
use std::time::Duration;

/// The sort of a piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The first session of a run begins.
    Starts,
    /// A later session of a run begins.
    GoesOn,
    /// A session begins that takes the run back.
    Teardown,
    /// The run was taken from another place.
    TakesOver,
    /// Things of a run whose journal was lost were taken up.
    Adopts,
    /// A day waits for a person.
    Asks,
    /// A value that the person should compare first.
    Compare,
    /// A day was begun, by a person or by `--yes`; in a teardown, the removal was agreed to.
    Gate,
    /// A value that is trusted without a comparison, since nobody was asked for one.
    Trusts,
    /// A step's act is called.
    Acts,
    /// A step waits for a new condition.
    Waits,
    /// A step was proven for the first time, or again after it had drifted.
    Proven,
    /// A proof of an earlier session still holds.
    Holds,
    /// A step failed and is tried again by itself.
    Retries,
    /// A step failed in a new way and needs a person.
    Blocked,
    /// A step was proven and is no longer true.
    Drifted,
    /// A step takes longer than its band allows; no record says so, since only time has passed.
    Late,
    /// A line of a log in the target.
    Log,
    /// A person asked for a look at a step now.
    RetryAsked,
    /// A person asked for an act beside the steps.
    ErrandAsked,
    /// The target has taken what was asked for, or not.
    ErrandEnded {
        /// False when it was refused, or failed.
        done: bool,
    },
    /// Another screen took control of the run.
    Control,
    /// Somebody asked the run to stop.
    Stops,
    /// Something changed in the target beside the steps; whether for the better.
    Noticed {
        /// True when the target got better, such as a node that is ready again.
        better: bool,
    },
    /// The session has ended, in this way.
    Ended(Outcome),
}

impl News {
    /// At most eight letters.
    pub fn word(self) -> &'static str {
        match self {
            News::Starts => "starts",
            News::GoesOn => "goes on",
            News::Teardown => "teardown",
            News::TakesOver => "takeover",
            News::Adopts => "adopts",
            News::Asks => "asks",
            News::Compare => "compare",
            News::Gate => "gate",
            News::Trusts => "trusts",
            News::Acts => Standing::Acts.word(),
            News::Waits => Standing::Waits.word(),
            News::Proven => Standing::Proven.word(),
            News::Holds => "holds",
            News::Retries => Standing::Retries.word(),
            News::Blocked => Standing::Blocked.word(),
            News::Drifted => Standing::Drifted.word(),
            News::Late => Standing::Late.word(),
            News::Log => "log",
            News::RetryAsked => "retry",
            News::ErrandAsked => "asked",
            News::ErrandEnded { done: true } => "done",
            News::ErrandEnded { done: false } => "refused",
            News::Control => "control",
            News::Stops => "stops",
            News::Noticed { .. } => "noticed",
            News::Ended(_) => "ended",
        }
    }

    /// The standing whose mark and colour it has on the screen; `None` for a line of a log and what is like one.
    pub fn standing(self) -> Option<Standing> {
        match self {
            News::Starts
            | News::GoesOn
            | News::Teardown
            | News::TakesOver
            | News::Adopts
            | News::Gate
            | News::ErrandAsked
            | News::Acts => Some(Standing::Acts),
            News::Asks | News::Compare | News::Trusts => Some(Standing::Gate),
            News::Waits => Some(Standing::Waits),
            News::Proven | News::Holds | News::Noticed { better: true } | News::Ended(Outcome::Proven) => {
                Some(Standing::Proven)
            }
            News::Retries | News::RetryAsked => Some(Standing::Retries),
            News::Blocked | News::ErrandEnded { done: false } | News::Ended(Outcome::Blocked) => {
                Some(Standing::Blocked)
            }
            News::Late => Some(Standing::Late),
            News::Drifted | News::Noticed { better: false } => Some(Standing::Drifted),
            News::Stops | News::Ended(Outcome::Stopped) => Some(Standing::Halted),
            News::Log | News::Control | News::ErrandEnded { done: true } => None,
        }
    }
}

/// One piece of news. No text in it has control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// The sort of news, from which word and colour follow.
    pub news: News,
    /// The step that it is about; `None` for news of the run.
    pub step: Option<&'a StepId>,
    /// The failure's class in a word or two: `needs you`, `refused`, `broken`.
    pub class: Option<&'static str>,
    /// The news itself, one line.
    pub text: String,
    /// The next action, or the time at which it goes on.
    pub more: Vec<String>,
}

impl<'a> LogEntry<'a> {
    fn run(news: News, text: impl AsRef<str>) -> LogEntry<'a> {
        LogEntry { news, step: None, class: None, text: text::clean(text.as_ref()), more: Vec::new() }
    }

    /// A notice in the words of who knows its kind.
    pub fn noticed(better: bool, text: impl AsRef<str>) -> LogEntry<'a> {
        LogEntry::run(News::Noticed { better }, text)
    }

    fn step(news: News, step: &'a StepId, text: impl AsRef<str>) -> LogEntry<'a> {
        LogEntry { step: Some(step), ..LogEntry::run(news, text) }
    }

    fn failure(news: News, step: &'a StepId, failure: &Failure) -> LogEntry<'a> {
        let class = match failure.class {
            Class::Retryable => None,
            Class::Person => Some("needs you"),
            Class::Refused => Some("refused"),
            Class::Broken => Some("broken"),
        };
        let next = format!("next: {}", text::clean(&failure.next));
        LogEntry { class, more: vec![next], ..LogEntry::step(news, step, &failure.what) }
    }
}

/// The news of `record`, or nothing where it has none. `state` is what was known before it.
pub fn describe<'a>(record: &'a Record, state: &RunState) -> Vec<LogEntry<'a>> {
    match &record.event {
        Event::Session { .. } => session(&record.event, state),
        Event::GateAsked { day, compare } => {
            let asks = format!("{day} changes the target: start with --yes, or begin it on the screen");
            let compare =
                compare.iter().map(|c| LogEntry::run(News::Compare, format!("{}: {} with {}", c.of, c.value, c.with)));
            [LogEntry::run(News::Asks, asks)].into_iter().chain(compare).collect()
        }
        Event::GateOpened { by, .. } if state.course.is_back() => {
            vec![LogEntry::run(News::Gate, format!("agreed to by {by}"))]
        }
        Event::GateOpened { day, by } => asked::gate_opened(*day, by, state),
        Event::Absent { .. } | Event::Acted { .. } | Event::HandleKept { .. } => Vec::new(),
        Event::Intended { step, attempt } => act(step, *attempt, state.step(step)).into_iter().collect(),
        Event::Waiting { step, wait } => waits(step, wait, state.step(step)).into_iter().collect(),
        Event::Proven { step, proof } => {
            let confirmed = state.step(step).is_some_and(|s| s.to_confirm);
            vec![LogEntry::step(if confirmed { News::Holds } else { News::Proven }, step, proof.summary())]
        }
        Event::Failed { step, failure, again_at } => {
            let mut told = LogEntry::failure(News::Retries, step, failure);
            told.more.push(format!("again in {}", text::format_duration(between(record.at, *again_at))));
            told.more
                .extend(state.narrowed_by(step, failure).map(|q| format!("from now on one at a time: {}", q.name)));
            vec![told]
        }
        Event::Blocked { step, failure, .. } => blocked(step, failure, state.step(step)).into_iter().collect(),
        Event::Drifted { step, why } => vec![LogEntry::step(News::Drifted, step, why)],
        Event::Log { step, source, line } => vec![LogEntry::step(News::Log, step, format!("{source}: {line}"))],
        // The engine knows no kind of it: `observed::describe` finds the words.
        Event::Noticed { notice } => vec![LogEntry::noticed(false, &notice.kind)],
        Event::ErrandAsked { errand, .. } | Event::ErrandEnded { errand, .. } => {
            LogEntry::errand(&record.event, errand.kind()).into_iter().collect()
        }
        Event::RetryAsked { step, by } => vec![LogEntry::step(News::RetryAsked, step, format!("asked by {by}"))],
        Event::ControlTaken { by } => vec![LogEntry::run(News::Control, format!("taken by {by}"))],
        Event::StopAsked { by } => {
            vec![LogEntry::run(News::Stops, format!("asked by {by}: the acts in hand end first"))]
        }
        Event::Ended { outcome } => {
            let text = match outcome {
                Outcome::Proven => format!("{} of {} steps proven", state.proven(), state.wanted().count()),
                Outcome::Blocked => "a step is blocked; run again when its cause is gone".to_string(),
                Outcome::Stopped => "stopped on request; run again to go on".to_string(),
            };
            vec![LogEntry::run(News::Ended(*outcome), text)]
        }
    }
}

fn session<'a>(event: &Event, state: &RunState) -> Vec<LogEntry<'a>> {
    let Event::Session { run, plan, steps, course, take_over, adopted, host, pid, .. } = event else {
        return Vec::new();
    };
    let process = format!("; process {pid} on {host}");
    let wanted = steps.iter().filter(|s| course.wants(s.day)).count();
    let goes_on = |what: String| LogEntry::run(News::GoesOn, format!("run {run} of plan {plan}: {what}{process}"));
    let begins = match course {
        Course::Back { .. } => {
            LogEntry::run(News::Teardown, format!("of run {run} of plan {plan}: {wanted} steps{process}"))
        }
        Course::Workers { count } => goes_on(format!("workers that stay: {count}")),
        Course::Node { name } => goes_on(format!("{name} is removed: {wanted} steps")),
        Course::Forward { until } => {
            let news = if state.sessions == 0 { News::Starts } else { News::GoesOn };
            let days = match until {
                Day::Number(0) => "day 0".to_string(),
                Day::Number(last) => format!("days 0 to {last}"),
                Day::Workers | Day::Teardown => until.to_string(),
            };
            LogEntry::run(news, format!("run {run} of plan {plan}: {wanted} steps, {days}{process}"))
        }
    };
    let taken = take_over.iter().map(|by| LogEntry::run(News::TakesOver, format!("asked for by {by}")));
    let things = adopted.iter().map(|a| format!("{} {}", a.thing.kind, a.thing.name)).collect::<Vec<_>>();
    let adopts = (!things.is_empty()).then(|| LogEntry::run(News::Adopts, things.join(", ")));
    taken.chain(adopts).chain([begins]).collect()
}

/// A step that is known to be blocked tries its act again at every look; that is no news.
fn act<'a>(step: &'a StepId, attempt: u32, known: Option<&StepState>) -> Option<LogEntry<'a>> {
    if known.is_some_and(|s| s.known_blocked) {
        return None;
    }
    let title = known.map(|s| s.outline.title.as_str()).unwrap_or_default();
    let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
    Some(LogEntry::step(News::Acts, step, format!("{title}{again}")))
}

/// A piece of news per condition, not per look: the status and the screen show what was seen last.
fn waits<'a>(step: &'a StepId, wait: &Wait, known: Option<&StepState>) -> Option<LogEntry<'a>> {
    let same = |s: &StepState| s.wait.as_ref().is_some_and(|(old, _)| old.condition == wait.condition);
    // The wait of a blocked step's further try is no more news than the try.
    if known.is_some_and(|s| same(s) || (s.known_blocked && s.is_in_act())) {
        return None;
    }
    let late = text::format_duration(Duration::from_secs(wait.band.late_s));
    Some(LogEntry::step(News::Waits, step, format!("until {} ({}); late after {late}", wait.condition, wait.seen)))
}

/// The same cause is told once, not at every look.
fn blocked<'a>(step: &'a StepId, failure: &Failure, known: Option<&StepState>) -> Option<LogEntry<'a>> {
    let told =
        known.is_some_and(|s| s.known_blocked && s.last_failure.as_ref().is_some_and(|old| old.is_like(failure)));
    (!told).then(|| LogEntry::failure(News::Blocked, step, failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::proof::Comparison;
    use crate::engine::state::tests::{at, fold, outline, proof, session};
    use crate::engine::wait::Band;

    fn id() -> StepId {
        StepId::new("day1.a")
    }

    fn first() -> Event {
        session(vec![outline("day1.a", 1, &[]), outline("day2.b", 2, &[])])
    }

    fn absent() -> Event {
        Event::Absent { step: id(), seen: "nothing".into() }
    }

    fn blocked_by(what: &str) -> Event {
        Event::Blocked { step: id(), failure: Failure::refused(what, "grant it"), again_at: at(9) }
    }

    /// The news of all of them, a word each.
    fn words(events: &[Event]) -> Vec<&'static str> {
        let mut state = RunState::default();
        let mut words = Vec::new();
        for (n, event) in events.iter().enumerate() {
            let record = Record { seq: n as u64 + 1, at: at(n as i64), event: event.clone() };
            words.extend(describe(&record, &state).iter().map(|told| told.news.word()));
            state.apply(&record);
        }
        words
    }

    fn rounds(round: impl Fn(u32) -> Vec<Event>) -> Vec<&'static str> {
        words(&[first()].into_iter().chain((1..=6).flat_map(round)).collect::<Vec<_>>())
    }

    /// house.md 2(c): the screen's log told both records of each try again, the line mode none.
    #[test]
    fn an_act_that_is_refused_at_every_look_is_told_once() {
        let round = |attempt| vec![absent(), Event::Intended { step: id(), attempt }, blocked_by("no right")];
        assert_eq!(rounds(round), ["starts", "acts", "BLOCKED"]);
        let waits = |attempt| {
            let wait = Wait::new("the task ends", format!("{attempt} %"), Band::new(1, 2));
            let tries = Event::Intended { step: id(), attempt };
            vec![absent(), tries, Event::Waiting { step: id(), wait }, blocked_by("no right")]
        };
        assert_eq!(rounds(waits), ["starts", "acts", "waits", "BLOCKED"]);
    }

    /// A retryable failure that lasts is blocked in the end, and its class stays retryable.
    #[test]
    fn a_failure_that_became_a_block_is_told_as_one_once_whatever_its_class() {
        let lasting = || Failure::retryable("no answer", "look at the cable");
        let failed = Event::Failed { step: id(), failure: lasting(), again_at: at(9) };
        let round = |attempt| {
            let blocked = Event::Blocked { step: id(), failure: lasting(), again_at: at(9) };
            let tries = Event::Intended { step: id(), attempt };
            if attempt == 1 { vec![absent(), tries, failed.clone()] } else { vec![absent(), tries, blocked] }
        };
        assert_eq!(rounds(round), ["starts", "acts", "retries", "acts", "BLOCKED"]);
    }

    #[test]
    fn another_cause_and_what_comes_of_a_look_that_a_person_asked_for_are_news() {
        let tries = |attempt| Event::Intended { step: id(), attempt };
        let mut events = vec![first(), absent(), tries(1), blocked_by("no right"), absent(), tries(2)];
        events.extend([blocked_by("no space"), absent(), tries(3), blocked_by("no space")]);
        assert_eq!(words(&events), ["starts", "acts", "BLOCKED", "BLOCKED"]);
        events.extend([Event::RetryAsked { step: id(), by: "ann".into() }, absent(), tries(4), blocked_by("no space")]);
        assert_eq!(words(&events)[4..], ["retry", "acts", "BLOCKED"]);
    }

    #[test]
    fn a_wait_is_told_once_per_condition() {
        let waits = |condition: &str, seen: &str| {
            let wait = Wait::new(condition, seen, Band::new(1, 2));
            Event::Waiting { step: id(), wait }
        };
        let events = [first(), waits("3 members", "1"), waits("3 members", "2"), waits("healthy", "no")];
        assert_eq!(words(&events), ["starts", "waits", "waits"]);
    }

    #[test]
    fn a_blocked_step_says_whose_turn_it_is_and_what_to_do_without_control_characters() {
        let failure = Failure::refused("no VM.Clone on /vms/9100\x1b[31m", "give the token VM.Clone\u{202e}");
        let record = Record { seq: 2, at: at(61), event: Event::Blocked { step: id(), failure, again_at: at(70) } };
        let told = describe(&record, &fold(vec![first()]));
        assert_eq!((told[0].class, told[0].text.as_str()), (Some("refused"), "no VM.Clone on /vms/9100 [31m"));
        assert!(told[0].more[0].starts_with("next: give the token VM.Clone"), "{told:?}");
        assert!(!told[0].more[0].contains('\u{202e}'), "{told:?}");
    }

    #[test]
    fn the_gate_tells_what_to_compare_and_a_gate_that_nobody_was_asked_about_what_is_trusted() {
        let it = Comparison { of: "cp1".into(), value: "key".into(), with: "its console".into() };
        let proven = Event::Proven { step: id(), proof: proof().to_compare(it.clone()) };
        let asked = Event::GateAsked { day: Day::Number(2), compare: vec![it] };
        let opened = Event::GateOpened { day: Day::Number(2), by: "--yes".into() };
        assert_eq!(words(&[first(), proven.clone(), asked.clone()])[2..], ["asks", "compare"]);
        assert_eq!(words(&[first(), proven.clone(), opened.clone()])[2..], ["gate", "trusts"]);
        assert_eq!(words(&[first(), proven, asked, opened])[4..], ["gate"]);
    }

    #[test]
    fn every_word_fits_its_column() {
        let all = [News::Starts, News::Teardown, News::TakesOver, News::Ended(Outcome::Proven), News::Compare];
        assert!(all.iter().all(|news| (1..=8).contains(&news.word().len())));
    }
}
