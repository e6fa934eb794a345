//! Proofs of a moment that a new session can't let stand, because a step that is still open needs what they made.
use super::StepState;
use crate::engine::course::Course;
use crate::engine::step::{Outline, StepId};
use std::collections::{BTreeSet, HashMap};

/// The proven momentary steps on which a wanted step stands that is not proven, as long as no cleanup after them has begun, nor a step that disturbs the target:
/// somebody may have removed between two sessions what they made.
pub fn needed(outlines: &[Outline], before: &HashMap<StepId, StepState>, course: Course) -> BTreeSet<StepId> {
    let is_proven = |id: &StepId| before.get(id).is_some_and(StepState::is_proven);
    let has_begun = |id: &StepId| before.get(id).is_some_and(|s| s.is_proven() || s.attempt > 0);
    let is_needed = |outline: &&Outline| {
        let after = dependents(outlines, &outline.id);
        after.iter().any(|o| course.wants(o.day) && !is_proven(&o.id))
            && !after.iter().any(|o| (o.cleanup || o.put_right_by.is_some()) && has_begun(&o.id))
    };
    // What a step has disturbed is right again by now, and is not disturbed once more for the sake of a look.
    let moments = outlines.iter().filter(|o| o.momentary && o.put_right_by.is_none() && is_proven(&o.id));
    moments.filter(is_needed).map(|o| o.id.clone()).collect()
}

/// All steps that come after `id`, directly or through others.
fn dependents<'a>(outlines: &'a [Outline], id: &StepId) -> Vec<&'a Outline> {
    let mut found: Vec<&Outline> = Vec::new();
    let mut from = vec![id];
    while let Some(id) = from.pop() {
        for outline in outlines.iter().filter(|o| o.after.contains(id)) {
            if !found.iter().any(|f| f.id == outline.id) {
                found.push(outline);
                from.push(&outline.id);
            }
        }
    }
    found
}
