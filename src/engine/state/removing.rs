//! A machine that is taken out of the cluster, as the fold knows it.
use super::{RunState, StepState};
use crate::base::day::Day;
use crate::base::label::Label;
use crate::engine::course::Course;
use crate::engine::step::StepId;

/// Kind of the step that makes good a removal that was given up.
pub const MADE_GOOD_BY: &str = "node.back";

impl RunState {
    /// An act of this session is about to be called.
    pub(super) fn removes(&mut self) {
        if let Course::Node { name } = self.course {
            self.removing = Some(name);
        }
    }

    /// The step is proven, which may be the one after which a removal that was given up has left nothing.
    pub(super) fn is_back(&mut self, step: &StepId) {
        let made_good = step.kind() == MADE_GOOD_BY;
        if made_good && self.removing.as_ref().map(Label::as_str) == step.subject() {
            self.removing = None;
        }
    }

    /// Nothing that was proven of the machine is true any more: a run that still plans it makes it anew.
    pub(super) fn is_removed(&mut self, name: Label) {
        self.removing = None;
        let of_it = |step: &&mut StepState| {
            step.outline.day != Day::Teardown && step.outline.id.subject() == Some(name.as_str())
        };
        for step in self.steps.iter_mut().filter(of_it) {
            *step = StepState { attempt: step.attempt, ..StepState::new(step.outline.clone()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::{Event, Outcome};
    use crate::engine::state::tests::{fold, on_course, outline, proof, session};

    fn proven(step: &str) -> Event {
        Event::Proven { step: StepId::new(step), proof: proof() }
    }

    fn begun() -> Vec<Event> {
        let mut undo = outline("undo.day1.clone/cp2", 1, &[]);
        undo.day = Day::Teardown;
        let steps = vec![outline("day1.clone/cp1", 1, &[]), outline("day1.clone/cp2", 1, &[]), undo];
        let removal = on_course(session(steps.clone()), Course::Node { name: "cp2".parse().unwrap() });
        let made = vec![session(steps), proven("day1.clone/cp1"), proven("day1.clone/cp2")];
        let intended = Event::Intended { step: StepId::new("undo.day1.clone/cp2"), attempt: 1 };
        made.into_iter().chain([removal, intended]).collect()
    }

    #[test]
    fn a_machine_that_was_removed_is_to_be_made_anew_and_the_others_stay_proven() {
        let mut events = begun();
        events.extend([proven("undo.day1.clone/cp2"), Event::Ended { outcome: Outcome::Proven }]);
        let state = fold(events);
        let is_proven = |id: &str| state.step(&StepId::new(id)).unwrap().is_proven();
        assert!(is_proven("day1.clone/cp1") && !is_proven("day1.clone/cp2") && is_proven("undo.day1.clone/cp2"));
        assert_eq!((state.removing, state.ended), (None, Some(Outcome::Proven)));
    }

    #[test]
    fn a_removal_that_was_cut_off_is_remembered_until_it_is_made_good() {
        let mut events = begun();
        assert_eq!(fold(events.clone()).removing, Some("cp2".parse().unwrap()));
        // A look alone is no removal.
        events.pop();
        assert_eq!(fold(events.clone()).removing, None);
        let mut events = begun();
        events.extend([session(vec![outline("node.back/cp2", 3, &[])]), proven("node.back/cp2")]);
        assert_eq!(fold(events).removing, None);
    }
}
