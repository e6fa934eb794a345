//! The form of `resources`: v0.33.0 writes them flat, without `requests` and `limits`.
use super::{Context, Problem, Rule, change};

pub const RULE: Rule = Rule {
    id: "change-resources",
    about: "apps with the old form of resources, which v0.33.0 rewrites",
    source: "cozystack/cozystack v0.33.0: scripts/migrations/16",
    check,
};

use crate::assess::finding::Change;
use crate::assess::snapshot::Release;

fn is_used(release: &Release) -> bool {
    release.is_of_a_tenant() && release.nested_resources
}

fn check(of: &Context) -> Vec<Problem> {
    change(of, Change::Resources, is_used)
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    use crate::assess::finding::Fact;

    #[test]
    fn it_is_told_whether_the_change_meets_anything_and_not_at_all_when_it_lies_behind() {
        let mut cluster = older();
        assert_eq!(found(&RULE, &cluster), [Problem::notes(Fact::ChangeNotInUse { change: Change::Resources })]);
        cluster.releases.read.push(release("tenant-a", "postgres-db", Some(true), "InstallSucceeded", 9));
        cluster.releases.read.last_mut().unwrap().nested_resources = true;
        let problems = found(&RULE, &cluster);
        assert!(matches!(&problems[..], [Problem { fact: Fact::ChangeInUse { count: 1, .. }, .. }]), "{problems:?}");
        assert_eq!(problems[0].severity, crate::assess::finding::Severity::Notes);
        cluster.installer = healthy().installer;
        assert_eq!(found(&RULE, &cluster), []);
    }
}
