//! Volumes whose claim is gone: their data is in no backup, and nobody uses it.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "orphaned-volumes",
    about: "volumes that no claim uses",
    source: "Kubernetes: the phase of a PersistentVolume",
    check,
};

fn check(of: &Context) -> Vec<Problem> {
    let all = of.snapshot.volumes.read.iter();
    let orphans: Vec<_> = all.filter(|v| matches!(v.phase.as_str(), "Released" | "Failed" | "Available")).collect();
    if orphans.is_empty() {
        return Vec::new();
    }
    let bytes = orphans.iter().fold(0, |sum: u64, v| sum.saturating_add(v.bytes));
    let examples = named(orphans.iter().map(|v| format!("{} ({}, {})", v.name, v.class, v.phase)));
    vec![Problem::warns(Fact::Orphans { volumes: orphans.len(), bytes, examples })]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_released_volume_is_an_orphan_and_a_bound_one_is_not() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.volumes.read[0].phase = "Released".into();
        let fact = Fact::Orphans { volumes: 1, bytes: 10 << 30, examples: vec!["pvc-1 (replicated, Released)".into()] };
        assert_eq!(found(&RULE, &cluster), [Problem::warns(fact)]);
    }
}
