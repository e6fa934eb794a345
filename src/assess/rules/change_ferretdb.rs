//! FerretDB: v0.34.0 brings version 2 on another database, and no migration moves the data.
use super::{Context, Problem, Rule, change};

pub const RULE: Rule = Rule {
    id: "change-ferretdb",
    about: "FerretDB in use, which v0.34.0 does not migrate",
    source: "cozystack/cozystack v0.34.0: packages/apps/ferretdb",
    check,
};

use crate::assess::finding::Change;
use crate::assess::snapshot::Release;

fn is_used(release: &Release) -> bool {
    release.is_of_a_tenant() && release.status.name.starts_with("ferretdb-")
}

fn check(of: &Context) -> Vec<Problem> {
    change(of, Change::FerretDb, is_used)
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
        assert_eq!(found(&RULE, &cluster), [Problem::notes(Fact::ChangeNotInUse { change: Change::FerretDb })]);
        cluster.releases.read.push(release("tenant-a", "ferretdb-db", Some(true), "InstallSucceeded", 9));
        let problems = found(&RULE, &cluster);
        assert!(matches!(&problems[..], [Problem { fact: Fact::ChangeInUse { count: 1, .. }, .. }]), "{problems:?}");
        assert_eq!(problems[0].severity, crate::assess::finding::Severity::Warns);
        cluster.installer = healthy().installer;
        assert_eq!(found(&RULE, &cluster), []);
    }
}
