//! The things that a run has made, according to its journal: which acts were called, and what tells each thing from its
//! copies.
use super::course::Course;
use super::failure::Class;
use super::proof::Proof;
use super::record::{Event, Outcome};
use super::step::{Outline, StepId};
use super::undo;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One thing in the target, as a VM by its VMID and the uuid that no copy of it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Thing {
    /// `vm`, `volume`, `namespace`
    pub kind: String,
    /// Unique among those of its kind while it is there: `1001`.
    pub name: String,
    /// The id that the target drew for it when it was made; a copy, or another thing made later under the same name,
    /// has another id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl Thing {
    /// A thing of this kind; `uid` is `None` where the target draws no id.
    pub fn new(kind: &str, name: impl ToString, uid: Option<String>) -> Thing {
        Thing { kind: kind.to_string(), name: name.to_string(), uid }
    }

    fn has_the_name_of(&self, other: &Thing) -> bool {
        self.kind == other.kind && self.name == other.name
    }
}

/// A thing of a run whose journal was lost, and the step that would have made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// The step whose act makes things of this name.
    pub step: StepId,
    /// The thing as a person saw it in the target and agreed to.
    pub thing: Thing,
}

/// The journal's answer about a thing that the target shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The run made just this one.
    Known,
    /// The run called the act that makes one of this name, and no proof has told yet which one came of it: a crash came in
    /// between, or the journal is of a version that kept no such thing.
    Open,
    /// The run made one of this name, and this is another.
    Another,
    /// Nothing of this name was ever made.
    Never,
}

/// The fold of a journal's records.
#[derive(Debug, Clone, Default)]
pub struct Made {
    acted: BTreeSet<StepId>,
    /// Of a teardown: what it has called and proven.
    back: BTreeSet<StepId>,
    backwards: bool,
    /// One machine alone is taken back: what was made of the others is still there afterwards.
    in_part: bool,
    /// Called in this session for the first time, and nothing was accepted yet.
    fresh: BTreeSet<StepId>,
    /// Acts that were called since a proof last named what they made.
    open: BTreeSet<StepId>,
    things: BTreeSet<Thing>,
    adopted: bool,
    /// Who puts right what a step disturbs, by the outlines of the last session forward.
    put_right_by: BTreeMap<StepId, StepId>,
    /// Steps whose act has disturbed the target, and who has still to put it right.
    disturbed: BTreeMap<StepId, StepId>,
}

impl Made {
    /// True when records of this kind say anything about what was made.
    pub fn concerns(event: &Event) -> bool {
        match event {
            Event::Session { .. }
            | Event::Intended { .. }
            | Event::HandleKept { .. }
            | Event::Acted { .. }
            | Event::Proven { .. }
            | Event::Blocked { .. }
            | Event::Ended { .. } => true,
            Event::GateAsked { .. }
            | Event::GateOpened { .. }
            | Event::Absent { .. }
            | Event::Waiting { .. }
            | Event::Failed { .. }
            | Event::Drifted { .. }
            | Event::Log { .. }
            | Event::Noticed { .. }
            | Event::RetryAsked { .. }
            | Event::ErrandAsked { .. }
            | Event::ErrandEnded { .. }
            | Event::StopAsked { .. }
            | Event::ControlTaken { .. } => false,
        }
    }

    /// Takes the next record of the journal into account.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Session { course, adopted, steps, .. } => self.begin(*course, adopted, steps),
            Event::Intended { step, .. } if self.backwards => drop(self.back.insert(step.clone())),
            Event::Proven { step, .. } if self.backwards => {
                self.back.insert(step.clone());
                if let Some(undone) = undo::undone(step) {
                    self.open.remove(&undone);
                    self.is_right_again(&undone);
                }
            }
            Event::Intended { step, .. } => {
                if self.acted.insert(step.clone()) {
                    self.fresh.insert(step.clone());
                }
                self.open.insert(step.clone());
            }
            Event::Proven { step, proof } => self.proven(step, proof),
            Event::HandleKept { step, .. } => self.keeps_a_handle(step),
            Event::Acted { step } => drop(self.fresh.remove(step)),
            // Whatever is there later, somebody else put it there.
            Event::Blocked { step, failure, .. } if failure.class == Class::Refused => {
                if self.fresh.remove(step) {
                    self.acted.remove(step);
                    self.open.remove(step);
                }
            }
            Event::Ended { outcome: Outcome::Proven } if self.backwards && !self.in_part => {
                *self = Made { backwards: true, ..Made::default() };
            }
            Event::GateAsked { .. }
            | Event::GateOpened { .. }
            | Event::Absent { .. }
            | Event::Waiting { .. }
            | Event::Failed { .. }
            | Event::Blocked { .. }
            | Event::Drifted { .. }
            | Event::Log { .. }
            | Event::Noticed { .. }
            | Event::RetryAsked { .. }
            | Event::ErrandAsked { .. }
            | Event::ErrandEnded { .. }
            | Event::StopAsked { .. }
            | Event::ControlTaken { .. }
            | Event::Ended { .. } => {}
        }
    }

    fn begin(&mut self, course: Course, adopted: &[Adopted], steps: &[Outline]) {
        let (whole, was_in_part) = (course.is_back(), self.in_part);
        self.in_part = matches!(course, Course::Node { .. });
        self.backwards = whole || self.in_part;
        self.fresh.clear();
        // A teardown that was given up is another one than the next, and the removal of one machine is none.
        if !whole || was_in_part {
            self.back.clear();
        }
        if !whole {
            self.plan_to_put_right(steps);
        }
        for Adopted { step, thing } in adopted {
            self.acted.insert(step.clone());
            self.things.insert(thing.clone());
            self.adopted = true;
        }
    }

    fn proven(&mut self, step: &StepId, proof: &Proof) {
        self.is_right_again(step);
        if !proof.owned().is_empty() {
            self.things.extend(proof.owned().iter().cloned());
            self.open.remove(step);
        }
    }

    fn keeps_a_handle(&mut self, step: &StepId) {
        self.fresh.remove(step);
        if let Some(by) = self.put_right_by.get(step).filter(|_| !self.backwards) {
            self.disturbed.insert(step.clone(), by.clone());
        }
    }

    fn plan_to_put_right(&mut self, steps: &[Outline]) {
        let pairs = steps.iter().filter_map(|o| Some((o.id.clone(), o.put_right_by.clone()?)));
        self.put_right_by = pairs.collect();
        // Of a plan that has such a step no more; the steps that find the target disturbed mend it.
        self.disturbed.retain(|step, _| self.put_right_by.contains_key(step));
    }

    fn is_right_again(&mut self, by: &StepId) {
        self.disturbed.retain(|_, puts_right| puts_right != by);
    }

    /// True from the first handle of the step's act until what it disturbed is proven to be right again; see
    /// [`Outline::put_right_by`].
    pub fn has_disturbed(&self, step: &StepId) -> bool {
        self.disturbed.contains_key(step)
    }

    /// The steps for which [`Made::has_disturbed`] holds.
    pub fn disturbing(&self) -> impl Iterator<Item = &StepId> {
        self.disturbed.keys()
    }

    /// The steps that have still to put something right.
    pub fn to_put_right(&self) -> impl Iterator<Item = &StepId> {
        self.disturbed.values()
    }

    /// True when the step's act was called and not refused, and has not been completely taken back since. In a teardown
    /// it is also true when the teardown has proven the step.
    pub fn has(&self, step: &StepId) -> bool {
        self.acted.contains(step) || self.back.contains(step)
    }

    /// Every step for which [`Made::has`] holds.
    pub fn steps(&self) -> impl Iterator<Item = &StepId> {
        self.acted.union(&self.back)
    }

    /// True when the things of a run without a journal were adopted. Then things may exist that the journal does not
    /// mention.
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// True when the run made a thing of this kind to which the target gave this id, whatever its name.
    pub fn knows(&self, kind: &str, uid: &str) -> bool {
        self.things.iter().any(|thing| thing.kind == kind && thing.uid.as_deref() == Some(uid))
    }

    /// The names of the things of this kind that proofs named.
    pub fn named<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.things.iter().filter(move |thing| thing.kind == kind).map(|thing| thing.name.as_str())
    }

    /// The origin of `thing`. `step` is the step whose act makes things of this name, when the plan has one.
    pub fn origin(&self, step: Option<&StepId>, thing: &Thing) -> Origin {
        if self.things.contains(thing) {
            return Origin::Known;
        }
        if step.is_some_and(|step| self.open.contains(step)) {
            return Origin::Open;
        }
        match self.things.iter().any(|known| known.has_the_name_of(thing)) {
            true => Origin::Another,
            false => Origin::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::course::Course;
    use crate::engine::failure::Failure;
    use crate::engine::state::tests::{at, on_course, outline, proof, session};

    fn id() -> StepId {
        StepId::new("day1.clone/cp1")
    }

    fn vm(uid: &str) -> Thing {
        Thing::new("vm", 1001, Some(uid.into()))
    }

    fn intended() -> Event {
        Event::Intended { step: id(), attempt: 1 }
    }

    fn proven(uid: &str) -> Event {
        Event::Proven { step: id(), proof: proof().owning(vm(uid)) }
    }

    fn forward() -> Event {
        session(vec![outline("day1.clone/cp1", 1, &[])])
    }

    fn backward() -> Event {
        on_course(forward(), Course::Back { cluster_is_lost: false })
    }

    fn made(events: &[Event]) -> Made {
        let mut made = Made::default();
        events.iter().for_each(|event| made.apply(event));
        made
    }

    fn origin(events: &[Event], uid: &str) -> Origin {
        made(events).origin(Some(&id()), &vm(uid))
    }

    #[test]
    fn a_thing_is_the_runs_own_by_the_uid_that_its_proof_named_and_a_copy_is_another() {
        let events = [forward(), intended(), proven("a")];
        assert_eq!(origin(&events, "a"), Origin::Known);
        assert_eq!(origin(&events, "b"), Origin::Another);
        assert_eq!(made(&events).origin(None, &Thing::new("vm", 555, Some("a".into()))), Origin::Never);
    }

    #[test]
    fn between_the_act_and_its_first_proof_any_of_the_name_may_be_it_and_before_the_act_none() {
        assert_eq!(origin(&[forward()], "a"), Origin::Never);
        assert_eq!(origin(&[forward(), intended(), forward()], "a"), Origin::Open);
        // As an older version wrote it.
        assert_eq!(origin(&[forward(), intended(), Event::Proven { step: id(), proof: proof() }], "a"), Origin::Open);
        let refused = Event::Blocked { step: id(), failure: Failure::refused("no", "ask"), again_at: at(9) };
        assert_eq!(origin(&[forward(), intended(), refused], "a"), Origin::Never);
    }

    #[test]
    fn what_was_made_anew_is_known_beside_what_it_replaced() {
        let events = [forward(), intended(), proven("a"), intended()];
        assert_eq!(origin(&events, "b"), Origin::Open);
        let events = [forward(), intended(), proven("a"), intended(), proven("b")];
        assert_eq!((origin(&events, "a"), origin(&events, "b")), (Origin::Known, Origin::Known));
        assert_eq!(origin(&events, "c"), Origin::Another);
    }

    #[test]
    fn a_teardown_that_removed_it_knows_nothing_of_a_later_one_and_one_that_ended_forgets_all() {
        let gone = Event::Proven { step: undo::undo_id(&id()), proof: proof() };
        assert_eq!(origin(&[forward(), intended(), backward(), gone], "a"), Origin::Never);
        let ended = Event::Ended { outcome: Outcome::Proven };
        let over = [forward(), intended(), proven("a"), backward(), ended];
        assert_eq!(origin(&over, "a"), Origin::Never);
        assert!(made(&over).steps().next().is_none());
    }

    #[test]
    fn the_removal_of_one_machine_forgets_nothing_of_the_others_and_is_no_part_of_a_teardown() {
        let undo = undo::undo_id(&id());
        let removal = on_course(forward(), Course::Node { name: "cp1".parse().unwrap() });
        let gone = [
            Event::Intended { step: undo.clone(), attempt: 1 },
            Event::Proven { step: undo.clone(), proof: proof() },
            Event::Ended { outcome: Outcome::Proven },
        ];
        let events: Vec<Event> = [forward(), intended(), proven("a"), removal].into_iter().chain(gone).collect();
        let there = made(&events);
        assert!(there.has(&undo) && there.has(&id()));
        assert_eq!(origin(&events, "b"), Origin::Another);
        for next in [forward(), backward()] {
            let after = made(&[events.clone(), vec![next]].concat());
            assert!(!after.has(&undo) && after.has(&id()), "{after:?}");
        }
        // Made anew, it is known again beside the old one.
        let again = [events, vec![forward(), intended(), proven("b")]].concat();
        assert_eq!(origin(&again, "b"), Origin::Known);
    }

    #[test]
    fn what_was_adopted_is_known_and_counts_as_made() {
        let mut event = forward();
        if let Event::Session { adopted, .. } = &mut event {
            adopted.push(Adopted { step: id(), thing: vm("a") });
        }
        let made = made(&[event]);
        assert!(made.is_adopted() && made.has(&id()));
        assert_eq!(made.origin(Some(&id()), &vm("a")), Origin::Known);
        assert_eq!(made.origin(Some(&id()), &vm("b")), Origin::Another);
    }
}
