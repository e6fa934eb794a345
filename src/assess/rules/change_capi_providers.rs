//! The release capi-providers: v0.32.0 deletes it and installs four in its place, so that providers added by hand may go.
use super::{Context, Problem, Rule, change};

pub const RULE: Rule = Rule {
    id: "change-capi-providers",
    about: "Cluster API providers, which v0.32.0 installs anew",
    source: "cozystack/cozystack v0.32.0: scripts/migrations/14",
    check,
};

use crate::assess::finding::Change;
use crate::assess::snapshot::Release;

fn is_used(release: &Release) -> bool {
    release.status.name == "capi-providers"
}

fn check(of: &Context) -> Vec<Problem> {
    change(of, Change::ClusterApiProviders, is_used)
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
        assert_eq!(
            found(&RULE, &cluster),
            [Problem::notes(Fact::ChangeNotInUse { change: Change::ClusterApiProviders })]
        );
        cluster.releases.read.push(release("cozy-cluster-api", "capi-providers", Some(true), "InstallSucceeded", 9));
        let problems = found(&RULE, &cluster);
        assert!(matches!(&problems[..], [Problem { fact: Fact::ChangeInUse { count: 1, .. }, .. }]), "{problems:?}");
        assert_eq!(problems[0].severity, crate::assess::finding::Severity::Notes);
        cluster.installer = healthy().installer;
        assert_eq!(found(&RULE, &cluster), []);
    }
}
