//! One record as plain lines: for pipes, logs, screen readers and dumb terminals. No colour, no control characters.
use crate::base::clock::between;
use crate::base::text;
use crate::engine::failure::{Class, Failure};
use crate::engine::record::{Event, Outcome, Record};
use crate::engine::state::RunState;
use crate::engine::step::StepId;
use std::time::Duration;

/// The lines that tell `record`, or none when it is not worth one. `state` is what was known before it.
pub fn lines(record: &Record, state: &RunState) -> Vec<String> {
    let since = state.started.map_or(Duration::ZERO, |s| between(s, record.at)).as_secs();
    let clock = format!("{:02}:{:02}:{:02}", since / 3600, since / 60 % 60, since % 60);
    let line = |word: &str, rest: String| format!("{clock} {word:<8} {rest}");
    let step_line = |word: &str, step: &StepId, rest: &str| line(word, format!("{step}: {rest}"));
    match &record.event {
        Event::Session { run, plan, steps, backwards: true, .. } => {
            vec![line("teardown", format!("of run {run} of plan {plan}: {} steps", steps.len()))]
        }
        Event::Session { run, plan, steps, until, take_over, adopted, .. } => {
            let wanted = steps.iter().filter(|s| s.day <= *until).count();
            let verb = if state.sessions == 0 { "starts" } else { "goes on" };
            let taken = take_over.as_deref().map(|by| line("takeover", format!("asked for by {}", text::clean(by))));
            let begins = line(verb, format!("run {run} of plan {plan}: {wanted} steps, days 0 to {until}"));
            let things = || adopted.iter().map(|a| format!("{} {}", a.thing.kind, a.thing.name)).collect::<Vec<_>>();
            let taken_up = (!adopted.is_empty()).then(|| line("adopts", things().join(", ")));
            taken.into_iter().chain(taken_up).chain([begins]).collect()
        }
        Event::GateAsked { day, compare } => {
            let asks = format!("day {day} changes the target: start with --yes, or open it on the screen");
            let mut out = vec![line("asks", asks)];
            out.extend(compare.iter().map(|c| {
                let [of, value, with] = [&c.of, &c.value, &c.with].map(|t| text::clean(t));
                line("compare", format!("{of}: {value} with {with}"))
            }));
            out
        }
        Event::GateOpened { by, .. } if state.backwards => {
            vec![line("gate", format!("agreed to by {}", text::clean(by)))]
        }
        Event::GateOpened { day, by } => {
            let mut out = vec![line("gate", format!("day {day} opened by {}", text::clean(by)))];
            // Nobody was asked, so nobody has compared.
            if !state.gates_asked.contains(day) {
                out.extend(state.to_compare(*day).iter().map(|c| {
                    line("trusts", format!("{}: {} on first use, not compared with {}", c.of, c.value, c.with))
                }));
            }
            out
        }
        Event::Absent { .. } | Event::Acted { .. } | Event::HandleKept { .. } => Vec::new(),
        Event::Intended { step, attempt } => {
            let known = state.step(step);
            // A step that is refused tries again at every look; that is no news.
            if known.is_some_and(|s| s.last_failure.as_ref().is_some_and(|f| f.class != Class::Retryable)) {
                return Vec::new();
            }
            let title = known.map(|s| s.outline.title.as_str()).unwrap_or_default();
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            vec![step_line("acts", step, &format!("{title}{again}"))]
        }
        Event::Waiting { step, wait } => {
            let known = state.step(step).and_then(|s| s.wait.as_ref());
            // A line per condition, not per glance: what was seen last stands in the status and on the screen.
            match known {
                Some((old, _)) if old.condition == wait.condition => Vec::new(),
                Some(_) | None => {
                    let late = text::spoken(Duration::from_secs(wait.band.late_s));
                    vec![step_line(
                        "waits",
                        step,
                        &format!("until {} ({}); late after {late}", wait.condition, wait.seen),
                    )]
                }
            }
        }
        Event::Proven { step, proof } => {
            let confirmed = state.step(step).is_some_and(|s| s.to_confirm);
            vec![step_line(if confirmed { "holds" } else { "proven" }, step, proof.summary())]
        }
        Event::Failed { step, failure, again_at } => {
            let pause = text::spoken(between(record.at, *again_at));
            let mut out = told("retries", &clock, step, failure);
            out.push(format!("{clock}          again in {pause}"));
            out
        }
        Event::Blocked { step, failure, .. } => {
            // The same cause is told once, not at every look.
            let told_before =
                state.step(step).and_then(|s| s.last_failure.as_ref()).is_some_and(|f| f.is_like(failure));
            if told_before { Vec::new() } else { told("BLOCKED", &clock, step, failure) }
        }
        Event::Drifted { step, why } => vec![step_line("DRIFTED", step, &text::clean(why))],
        Event::Log { step, source, line: text } => {
            vec![step_line("log", step, &format!("{}: {}", text::clean(source), text::clean(text)))]
        }
        Event::RetryAsked { step, by } => vec![step_line("retry", step, &format!("asked by {}", text::clean(by)))],
        Event::ControlTaken { by } => vec![line("control", format!("taken by {}", text::clean(by)))],
        Event::StopAsked { by } => {
            vec![line("stops", format!("asked by {}: the acts in hand end first", text::clean(by)))]
        }
        Event::Ended { outcome } => vec![line(
            "ended",
            match outcome {
                Outcome::Proven => format!("{} of {} steps proven", state.proven(), state.wanted().count()),
                Outcome::Blocked => "a step is blocked; run again when its cause is gone".to_string(),
                Outcome::Stopped => "stopped on request; run again to go on".to_string(),
            },
        )],
    }
}

fn told(word: &str, clock: &str, step: &StepId, failure: &Failure) -> Vec<String> {
    let kind = match failure.class {
        Class::Retryable => "",
        Class::Person => " (needs you)",
        Class::Refused => " (refused)",
        Class::Broken => " (broken)",
    };
    vec![
        format!("{clock} {word:<8} {step}{kind}: {}", text::clean(&failure.what)),
        format!("{clock}          next: {}", text::clean(&failure.next)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::proof::Comparison;
    use crate::engine::state::tests::{at, fold, outline, proof, session};

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
    fn the_gate_tells_what_to_compare_and_a_gate_that_nobody_was_asked_about_what_is_trusted() {
        let it = Comparison { of: "cp1".into(), value: "key".into(), with: "its console".into() };
        let proven = Event::Proven { step: StepId::new("day1.a"), proof: proof().to_compare(it.clone()) };
        let state = fold(vec![session(vec![outline("day1.a", 1, &[]), outline("day2.b", 2, &[])]), proven]);
        let asked = Record { seq: 3, at: at(61), event: Event::GateAsked { day: 2, compare: vec![it] } };
        assert_eq!(lines(&asked, &state)[1], "00:01:01 compare  cp1: key with its console");
        let opened = Record { seq: 3, at: at(61), event: Event::GateOpened { day: 2, by: "--yes".into() } };
        let said = lines(&opened, &state);
        assert_eq!(said[1], "00:01:01 trusts   cp1: key on first use, not compared with its console");
        let mut asked_before = state;
        asked_before.apply(&asked);
        assert_eq!(lines(&opened, &asked_before).len(), 1);
    }

    #[test]
    fn a_proof_is_told_with_its_summary() {
        let state = fold(vec![session(vec![outline("day1.a", 1, &[])])]);
        let record = Record { seq: 2, at: at(5), event: Event::Proven { step: StepId::new("day1.a"), proof: proof() } };
        assert_eq!(lines(&record, &state), ["00:00:05 proven   day1.a: it is so"]);
    }
}
