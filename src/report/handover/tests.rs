use super::{HandOver, html, markdown, svg};
use crate::base::day::Day;
use crate::engine::course::Course;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::record::{Event, Outcome, Record};
use crate::engine::state::tests::{at, on_course, outline, session};
use crate::engine::step::StepId;
use crate::engine::wait::{Band, Wait};

/// Whatever a name, an answer or a person could try: markup of each form, control characters, a secret.
const HOSTILE: &str =
    "</title></svg><script>alert(1)</script> ![x](http://evil) `|a|` \u{1b}[31m\u{202e} \"' onload=x <img src=x>";
const TOKEN: &str = "PVEAPIToken=cozyup@pve!installer=11111111-2222-4333-8444-555555555555";

fn reading(answer: &str) -> Evidence {
    let text = format!("{answer} {HOSTILE}");
    Evidence { system: text.clone(), asked: text.clone(), answer: format!("{text}\n{TOKEN}"), at: at(3), by_hand: text }
}

fn records(events: Vec<Event>) -> Vec<Record> {
    let record = |(n, event): (usize, Event)| Record { seq: n as u64 + 1, at: at(n as i64 * 100), event };
    events.into_iter().enumerate().map(record).collect()
}

fn id(id: &str) -> StepId {
    StepId::new(id)
}

/// A step that waited, failed, was proven late, drifted, and was proven again; one that is open.
fn eventful() -> Vec<Record> {
    let wait = |condition: &str| Wait::new(condition, "not yet", Band::new(1, 2));
    let proof = Proof::new(format!("it is so {HOSTILE}"), reading("one"))
        .and(reading("two"))
        .mind(format!("mind {HOSTILE}"))
        .leaving([Left::new(format!("vm {HOSTILE}"), "is not ours")])
        .records(format!("chart {HOSTILE}"), "ab".repeat(32));
    let mut first = outline("day1.a", 1, &[]);
    first.title = HOSTILE.to_string();
    records(vec![
        session(vec![first.clone(), outline("day1.b", 1, &["day1.a"])]),
        Event::GateOpened { day: Day::Number(1), by: format!("ann {HOSTILE}") },
        Event::Intended { step: id("day1.a"), attempt: 1 },
        Event::Failed {
            step: id("day1.a"),
            failure: Failure::retryable(format!("no {HOSTILE}"), "again"),
            again_at: at(400),
        },
        Event::Waiting { step: id("day1.a"), wait: wait(HOSTILE) },
        Event::Proven { step: id("day1.a"), proof: proof.clone() },
        Event::Drifted { step: id("day1.a"), why: format!("gone {HOSTILE}") },
        Event::Proven { step: id("day1.a"), proof },
        Event::Blocked {
            step: id("day1.b"),
            failure: Failure::person("a right is missing", "give it"),
            again_at: at(900),
        },
        Event::Ended { outcome: Outcome::Blocked },
    ])
}

#[test]
fn the_record_tells_failures_waits_drifts_and_what_is_open() {
    let record = HandOver::of(&eventful(), "p", None);
    assert_eq!(record.headline(), "blocked (to the end of day 10): 1 of 2 steps proven");
    let step = &record.steps[0];
    assert!(step.proven && step.late && step.attempts == 1, "{step:?}");
    assert_eq!((step.failures.len(), step.drifts.len(), step.evidence.len()), (1, 1, 2));
    let wait = &step.waits[0];
    assert_eq!((wait.from, wait.to), (at(400), at(500)));
    assert!(record.risks.iter().any(|r| r.about == "day1.b" && r.what == "a right is missing" && r.next == "give it"));
    assert!(record.risks.iter().any(|r| r.about == "day1.a" && r.what.starts_with("mind ")));
    assert_eq!((record.left_alone.len(), record.digests.len(), record.gates.len()), (1, 1, 1));
    assert_eq!(record.sessions[0].outcome, Some(Outcome::Blocked));
}

#[test]
fn nothing_that_others_wrote_is_markup_or_reaches_a_terminal_in_any_form() {
    let record = HandOver::of(&eventful(), "p", None);
    let forms = [html::page(&record), svg::document(&record), markdown::document(&record), record.json()];
    for form in &forms {
        assert!(!form.contains('\u{1b}') && !form.contains('\u{202e}'), "{form}");
        assert!(!form.contains("11111111-2222"), "a token is in it: {form}");
        assert!(form.contains("evil") || form.starts_with("<svg"), "the test would not see it");
    }
    for form in &forms[..3] {
        assert!(!form.contains("<script") && !form.contains("<img"), "{form}");
    }
    for form in &forms[..2] {
        assert!(!form.contains("\"' onload"), "{form}");
    }
    // The page's own picture is the only one that ends.
    assert_eq!(forms[0].matches("</svg>").count(), 1);
    assert_eq!(forms[0].matches("</title>").count(), 1 + forms[1].matches("</title>").count());
    let cells = forms[2].lines().filter(|line| line.starts_with("| day1.a"));
    for row in cells.filter(|line| line.contains("proven")) {
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 6, "a bar of others ends no cell: {row}");
    }
    assert!(!forms[2].contains("![x]"), "{}", forms[2]);
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let page = html::page(&HandOver::of(&eventful(), "p", None));
    let tags: String = page.split('<').filter_map(|t| t.split('>').next()).collect::<Vec<_>>().join("\n");
    for outside in ["src=", "href=", "@import", "url(http"] {
        assert!(!tags.contains(outside), "{outside} in {tags}");
    }
    assert!(page.contains("default-src 'none'") && page.contains("@media print"));
}

#[test]
fn a_run_that_was_torn_down_keeps_what_it_had_proven_and_tells_no_way_in() {
    let mut events: Vec<Event> = eventful().into_iter().map(|r| r.event).collect();
    let access = outline("day2.access", 2, &[]);
    events.insert(9, Event::Proven { step: id("day2.access"), proof: Proof::new("in", reading("x")) });
    if let Event::Session { steps, .. } = &mut events[0] {
        steps.push(access);
    }
    assert!(!HandOver::of(&records(events.clone()), "p", None).access.is_empty());
    let mut undo = outline("undo.day1.a", 1, &[]);
    undo.day = Day::Teardown;
    events.push(on_course(session(vec![undo]), Course::Back { cluster_is_lost: false }));
    events.push(Event::Proven { step: id("undo.day1.a"), proof: Proof::new("vm 1001 is gone", reading("x")) });
    events.push(Event::Ended { outcome: Outcome::Proven });
    let record = HandOver::of(&records(events), "p", None);
    assert_eq!(record.headline(), "proven (teardown): 1 of 1 steps proven");
    let ids: Vec<&str> = record.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["day1.a", "day1.b", "day2.access", "undo.day1.a"]);
    assert!(record.access.is_empty() && record.sessions.len() == 2);
}

#[test]
fn a_record_without_any_event_or_of_a_killed_worker_is_told_all_the_same() {
    for count in 0..=eventful().len() {
        let record = HandOver::of(&eventful()[..count], "p", None);
        assert!(html::page(&record).ends_with("</html>\n") && svg::document(&record).ends_with("</svg>\n"));
        assert!(!markdown::document(&record).contains("NaN"));
    }
    let killed = HandOver::of(&eventful()[..4], "p", None);
    assert_eq!((killed.sessions[0].outcome, killed.outcome.word()), (None, "running"));
}
