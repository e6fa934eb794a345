//! SeaweedFS: v0.36.0 gives its values another structure.
use super::{Context, Problem, Rule, change};

pub const RULE: Rule = Rule {
    id: "change-seaweedfs",
    about: "SeaweedFS in use, whose values v0.36.0 rewrites",
    source: "cozystack/cozystack v0.36.0: scripts/migrations/19",
    check,
};

use crate::assess::finding::Change;
use crate::assess::snapshot::Release;

fn is_used(release: &Release) -> bool {
    release.is_of_a_tenant() && release.status.name == "seaweedfs"
}

fn check(of: &Context) -> Vec<Problem> {
    change(of, Change::SeaweedFs, is_used)
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
        assert_eq!(found(&RULE, &cluster), [Problem::notes(Fact::ChangeNotInUse { change: Change::SeaweedFs })]);
        cluster.releases.read.push(release("tenant-a", "seaweedfs", Some(true), "InstallSucceeded", 9));
        let problems = found(&RULE, &cluster);
        assert!(matches!(&problems[..], [Problem { fact: Fact::ChangeInUse { count: 1, .. }, .. }]), "{problems:?}");
        assert_eq!(problems[0].severity, crate::assess::finding::Severity::Notes);
        cluster.installer = healthy().installer;
        assert_eq!(found(&RULE, &cluster), []);
    }
}
