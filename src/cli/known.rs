//! The runs of this machine, each with how it stands, for the home screen.
use super::person::who;
use super::runs::{judged, last_runs, name_of};
use crate::base::clock::{Clock, between};
use crate::compose::recorded;
use crate::engine::record::Outcome;
use crate::engine::standing::{Standing, clock_of, standing};
use crate::engine::state::{RunState, StepState};
use crate::plan::day_title;
use crate::session::client;
use crate::session::protocol::Welcome;
use crate::tui::KnownRun;
use futures::future::join_all;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs that are listed; their journals are read.
const MOST: usize = 12;
/// A worker that lives answers at once.
const ANSWER: Duration = Duration::from_millis(500);

/// Newest first.
pub async fn runs(state_dir: &Path) -> Vec<KnownRun> {
    let folders = last_runs(state_dir, MOST);
    join_all(folders.into_iter().map(known)).await.into_iter().flatten().collect()
}

async fn known(folder: PathBuf) -> Option<KnownRun> {
    let read = folder.clone();
    // What can't be read or is somebody else's is no choice here; `status` says why.
    let state = tokio::task::spawn_blocking(move || {
        judged(&read).ok()?;
        Some(RunState::of(&recorded(&read).ok()?))
    });
    let state = state.await.ok().flatten()?;
    // Whatever else it says, it takes no screen now.
    let worker = client::greet(&folder, &who(), ANSWER).await.ok();
    Some(told(folder, &state, worker.as_ref()))
}

fn told(folder: PathBuf, state: &RunState, worker: Option<&Welcome>) -> KnownRun {
    let clock = worker.and_then(|w| w.clock.as_deref()).and_then(Clock::of_spec).unwrap_or_else(Clock::real);
    let now = clock_of(state, clock.now());
    let today = state.today();
    let in_hand = || state.wanted().filter(move |s| Some(s.outline.day) == today);
    let of = |s: &StepState| {
        let standing = standing(s, state, now);
        if worker.is_some() { standing } else { standing.without_a_worker() }
    };
    let worst = in_hand().max_by_key(|s| of(s).severity());
    let gate = state.gate_waiting().filter(|_| worker.is_some());
    let (standing, word) = match (state.ended, gate, worst) {
        (Some(Outcome::Proven), _, _) if state.course.is_back() => (Standing::Proven, "taken back".to_string()),
        (Some(Outcome::Proven), _, _) => (Standing::Proven, "proven".to_string()),
        (Some(Outcome::Blocked), _, _) => (Standing::Blocked, "ended blocked".to_string()),
        (Some(Outcome::Stopped), _, _) => (Standing::Halted, "stopped".to_string()),
        (None, _, _) if worker.is_none() => (Standing::Halted, "no worker".to_string()),
        (None, Some(_), _) => (Standing::Gate, "waits for you".to_string()),
        (None, None, Some(worst)) => (of(worst), of(worst).word().to_string()),
        (None, None, None) => (Standing::Proven, "proven".to_string()),
    };
    let day = today.or_else(|| state.wanted().map(|s| s.outline.day).max());
    let counts = day.map(|day| {
        let steps = || state.wanted().filter(move |s| s.outline.day == day);
        format!("{} {}/{}", day_title(day), steps().filter(|s| s.is_proven()).count(), steps().count())
    });
    let waits = match gate {
        Some(day) => format!("somebody to begin {day}"),
        None => worst.map(why).unwrap_or_default(),
    };
    KnownRun {
        name: name_of(&folder),
        goes_on: worker.is_some(),
        standing,
        word,
        day: counts.unwrap_or_default(),
        waits,
        since: between(state.last.unwrap_or(Timestamp::UNIX_EPOCH), clock.now()),
        who: worker.and_then(|w| w.control.by.as_ref()).map(|(who, _)| who.clone()),
        folder,
    }
}

/// What a step waits for, or why it stands still.
fn why(step: &StepState) -> String {
    match (step.failure(), &step.wait) {
        (Some(failure), _) => failure.what.clone(),
        (None, Some((wait, _))) => wait.condition.clone(),
        (None, None) => step.outline.title.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::day::Day;
    use crate::engine::failure::Failure;
    use crate::engine::record::Event;
    use crate::engine::state::tests::{at, fold, outline, session};
    use crate::engine::step::StepId;
    use crate::session::protocol::Control;

    fn of(events: Vec<Event>, worker: bool) -> KnownRun {
        let begun = vec![session(vec![outline("day0.a", 0, &[]), outline("day1.b", 1, &[])])];
        let welcome = Welcome {
            protocol: 2,
            cozyup: String::new(),
            pid: 1,
            clock: None,
            title: String::new(),
            control: Control { yours: false, by: Some(("ann on pts/3".into(), at(1))) },
        };
        told("/state/runs/site-a".into(), &fold([begun, events].concat()), worker.then_some(&welcome))
    }

    /// screen.md A7: home knew no run.
    #[test]
    fn a_run_says_how_it_stands_what_it_waits_for_and_who_sits_there() {
        let failure = Failure::person("the token may not clone", "give it VM.Clone");
        let blocked = Event::Blocked { step: StepId::new("day0.a"), failure, again_at: at(9) };
        let run = of(vec![blocked.clone()], true);
        assert_eq!((run.name.as_str(), run.word.as_str(), run.goes_on), ("site-a", "BLOCKED", true));
        assert_eq!((run.day.as_str(), run.waits.as_str()), ("Day 0 Check 0/1", "the token may not clone"));
        assert_eq!(run.who.as_deref(), Some("ann on pts/3"));
        let lost = of(vec![blocked], false);
        assert_eq!((lost.word.as_str(), lost.goes_on, lost.who), ("no worker", false, None));
        let gate = of(vec![Event::GateAsked { day: Day::Number(1), compare: Vec::new() }], true);
        assert_eq!((gate.word.as_str(), gate.waits.as_str()), ("waits for you", "somebody to begin day 1"));
        let ended = of(vec![Event::Ended { outcome: Outcome::Stopped }], false);
        assert_eq!((ended.word.as_str(), ended.goes_on), ("stopped", false));
    }
}
