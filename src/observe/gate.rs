//! The choice of notices that pass: each change once, and never a flood.
use crate::base::clock::between;
use crate::observed::Noticed;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::mem::discriminant;
use std::time::Duration;

/// The same of the same subject is no news before this; seconds of the run's clock.
const AGAIN: Duration = Duration::from_secs(600);
/// At most so many notices pass within [`SPAN`].
const MOST: u32 = 20;
const SPAN: Duration = Duration::from_secs(60);
/// Subjects that are remembered; the oldest go first.
const SUBJECTS: usize = 500;

#[derive(Debug, Default)]
pub struct Gate {
    last: BTreeMap<String, (Timestamp, Noticed)>,
    span_began: Option<Timestamp>,
    passed: u32,
    left_out: u64,
}

impl Gate {
    /// The notices to tell now that `notice` came: none, it alone, or also the number of those left out before it.
    pub fn pass(&mut self, notice: Noticed, now: Timestamp) -> Vec<Noticed> {
        let subject = notice.subject();
        let known =
            self.last.get(&subject).is_some_and(|(at, last)| is_the_same(last, &notice) && between(*at, now) < AGAIN);
        if known {
            return Vec::new();
        }
        if self.span_began.is_none_or(|began| between(began, now) >= SPAN) {
            self.span_began = Some(now);
            self.passed = 0;
        }
        if self.passed >= MOST {
            self.left_out += 1;
            return Vec::new();
        }
        self.passed += 1;
        self.remember(subject, &notice, now);
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then_some(Noticed::Suppressed { count: left_out }).into_iter().chain([notice]).collect()
    }

    fn remember(&mut self, subject: String, notice: &Noticed, now: Timestamp) {
        self.last.insert(subject, (now, notice.clone()));
        if self.last.len() > SUBJECTS {
            let oldest = self.last.iter().min_by_key(|(_, (at, _))| *at).map(|(subject, _)| subject.clone());
            oldest.map(|subject| self.last.remove(&subject));
        }
    }
}

/// Times and figures may differ between two that tell the same.
fn is_the_same(last: &Noticed, now: &Noticed) -> bool {
    match (last, now) {
        (Noticed::ReleaseFailed { times: last, .. }, Noticed::ReleaseFailed { times, .. }) => last == times,
        (Noticed::StorageFilled { percent: last, .. }, Noticed::StorageFilled { percent, .. }) => last == percent,
        (Noticed::VmStopped { task: last, .. }, Noticed::VmStopped { task, .. }) => last == task,
        (last, now) => discriminant(last) == discriminant(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn not_ready(name: &str) -> Noticed {
        Noticed::NodeNotReady { name: name.into(), reason: "NodeStatusUnknown".into() }
    }

    #[test]
    fn a_change_is_told_once_and_again_after_it_was_different() {
        let mut gate = Gate::default();
        assert_eq!(gate.pass(not_ready("cp1"), at(0)).len(), 1);
        assert_eq!(gate.pass(not_ready("cp1"), at(30)).len(), 0);
        assert_eq!(gate.pass(not_ready("cp2"), at(30)).len(), 1);
        assert_eq!(gate.pass(Noticed::NodeReady { name: "cp1".into() }, at(40)).len(), 1);
        assert_eq!(gate.pass(not_ready("cp1"), at(50)).len(), 1);
        assert_eq!(gate.pass(not_ready("cp1"), at(650)).len(), 1, "after ten minutes it is worth a word again");
    }

    #[test]
    fn a_flood_is_cut_and_its_size_is_told_later() {
        let mut gate = Gate::default();
        let told: usize = (0..2000).map(|n| gate.pass(not_ready(&format!("n{n}")), at(1)).len()).sum();
        assert_eq!(told, 20);
        let later = gate.pass(not_ready("late"), at(61));
        assert_eq!(later, [Noticed::Suppressed { count: 1980 }, not_ready("late")]);
        for n in 0..3000 {
            gate.pass(not_ready(&format!("m{n}")), at(100 + n * 10));
        }
        assert!(gate.last.len() <= SUBJECTS);
    }
}
