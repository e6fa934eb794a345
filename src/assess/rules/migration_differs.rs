//! A number of migrations that does not belong to the version: an upgrade stopped half-way, or somebody wrote it by hand.
use super::{Context, Fact, Problem, Rule};

pub const RULE: Rule = Rule {
    id: "migration-differs",
    about: "migrations that are not those of the version",
    source: "cozystack/cozystack: scripts/installer.sh and the ConfigMap cozystack-version",
    check,
};

use crate::assess::upgrade::migration_after;

fn check(of: &Context) -> Vec<Problem> {
    let version = of.snapshot.installer.read.version.as_ref();
    let expected = version.filter(|v| v.is_release()).and_then(|v| migration_after(v.number()));
    match (of.snapshot.migration.read, expected) {
        (Some(found), Some(expected)) if found != expected => {
            vec![Problem::warns(Fact::MigrationDiffers { found, expected })]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_number_of_another_release_is_told() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.migration.read = Some(17);
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::MigrationDiffers { found: 17, expected: 21 })]);
    }
}
