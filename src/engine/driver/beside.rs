//! What comes to the loop beside the answers of steps: notes of acts that go on, and errands of a person.
use super::super::context::{Note, StepContext};
use super::super::course::Course;
use super::super::errand::Errand;
use super::super::failure::{Failure, too_long};
use super::super::journal::JournalError;
use super::super::record::Event;
use super::super::state::RunState;
use super::super::step::{Site, StepId};
use super::{ACT_DEADLINE, LOG_LIMIT, Loop, Verb};

/// The name under which an errand writes into the log.
const ERRAND: &str = "errand";

impl<S: Site> Loop<S> {
    pub(super) fn note(&mut self, note: Note) -> Result<(), JournalError> {
        match note {
            Note::Handle { step, handle, written } => {
                let result = self.record(Event::HandleKept { step, handle });
                // The step may have been cut off while it waited; the handle is on disk all the same.
                let _ = written.send(result.as_ref().map(|_| ()).map_err(ToString::to_string));
                result
            }
            Note::Waiting { step, wait } => {
                let acts = self.running.get(&step) == Some(&Verb::Act);
                let known =
                    self.driver.state.step(&step).and_then(|s| s.wait.as_ref()).is_some_and(|(w, _)| *w == wait);
                if acts && !known { self.record(Event::Waiting { step, wait }) } else { Ok(()) }
            }
            Note::Log { step, source, line } => {
                let count = self.log_lines.entry(step.clone()).or_insert(0);
                *count += 1;
                match *count {
                    n if n < LOG_LIMIT => self.record(Event::Log { step, source, line }),
                    LOG_LIMIT => {
                        self.record(Event::Log { step, source, line: "further lines are left out here".into() })
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Records what a person asks for, then does it, as any act: after the question whether this process may act.
    pub(super) fn errand(&mut self, errand: Errand, by: String) -> Result<(), JournalError> {
        self.record(Event::ErrandAsked { errand: errand.clone(), by })?;
        if let Some(failure) = refusal(&self.driver.state, !self.errands.is_empty()) {
            return self.record(Event::ErrandEnded { errand, failure: Some(failure) });
        }
        let context = StepContext {
            step: StepId::new(ERRAND),
            clock: self.driver.clock.clone(),
            handle: std::sync::Mutex::new(None),
            made: self.driver.state.made.clone(),
            notes: self.notes.clone(),
            stopping: self.stopping.clone(),
        };
        let (reading, changing) = (self.driver.reading.clone(), self.driver.changing.clone());
        self.errands.spawn(async move {
            let act = async {
                S::may_act(&context, &reading, &changing).await?;
                S::errand(&context, &reading, &changing, &errand).await
            };
            let done = tokio::time::timeout(ACT_DEADLINE, act).await;
            (errand, done.unwrap_or_else(|_| Err(too_long("the act", ACT_DEADLINE))))
        });
        Ok(())
    }

    pub(super) fn errand_ended(
        &mut self,
        ended: Result<(Errand, Result<(), Failure>), tokio::task::JoinError>,
    ) -> Result<(), JournalError> {
        // One that has panicked has no name any more; that it did not end stands in the journal.
        let Ok((errand, done)) = ended else { return Ok(()) };
        self.record(Event::ErrandEnded { errand, failure: done.err() })
    }
}

/// The reason why nothing may be asked for now. `busy`: an errand is under way.
fn refusal(state: &RunState, busy: bool) -> Option<Failure> {
    let refused = |what: &str, next: &str| Some(Failure::refused(what, next));
    if state.course == Course::default() {
        return refused("this session only looks: it changes nothing", "ask again in a session of `cozyup run`");
    }
    if state.course.is_back() {
        return refused("the run is being taken back", "let the teardown end");
    }
    if state.stop_asked.is_some() {
        return refused("the run is stopping", "go on with the run, then ask again");
    }
    if busy {
        return refused("another act that was asked for is still under way", "ask again when it has ended");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::day::Day;
    use crate::engine::state::tests::{fold, on_course, session};

    #[test]
    fn a_check_a_teardown_and_a_run_that_stops_do_nothing_that_a_person_asks_for() {
        let on = |course| fold(vec![on_course(session(Vec::new()), course)]);
        let forward = on(Course::Forward { until: Day::Number(10) });
        assert_eq!(refusal(&forward, false), None);
        assert!(refusal(&forward, true).is_some());
        let mut stopping = forward;
        stopping.stop_asked = Some("ann".into());
        for (state, words) in [
            (on(Course::default()), "only looks"),
            (on(Course::Back { cluster_is_lost: false }), "taken back"),
            (stopping, "stopping"),
        ] {
            let why = refusal(&state, false).unwrap();
            assert!(why.what.contains(words), "{why:?}");
        }
    }
}
