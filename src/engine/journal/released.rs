//! The journals of released versions, as these wrote them.
use super::*;
use crate::engine::state::tests::{at, outline, session};
use crate::engine::step::StepId;

/// Every event of the version that was released first, as it wrote them; a newer version goes on from there.
#[test]
fn a_journal_of_the_first_released_version_is_read_and_gone_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let old = include_str!("../../../tests/fixtures/journal-0.1.0.jsonl");
    std::fs::write(&path, old).unwrap();
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    assert_eq!((recovered.records.len(), recovered.torn), (old.lines().count(), 0));
    let state = crate::engine::state::RunState::of(&recovered.records);
    assert_eq!((state.run.as_str(), state.plan.as_str()), ("0a0b0c0d", "cozy"));
    assert_eq!(state.step(&StepId::new("day0.proxmox")).unwrap().drifted.as_deref(), Some("gone"));
    let clone = state.step(&StepId::new("day1.clone/cp1")).unwrap();
    assert!(clone.is_proven() && clone.handle.as_deref().is_some_and(|h| h.contains(":qmclone:")), "{clone:?}");
    assert!(state.made.steps().any(|step| step.as_str() == "day1.clone/cp1"), "what that version made is the run's");
    let next = Record { seq: journal.next_seq(), at: at(9), event: session(vec![outline("day1.a", 1, &[])]) };
    journal.append(&next).unwrap();
    assert_eq!(Journal::read(&path).unwrap().records.last(), Some(&next));
}
