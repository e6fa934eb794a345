//! A build that nobody released: which changes are in it, only its builder knows.
use super::{Context, Fact, Problem, Rule};

pub const RULE: Rule = Rule {
    id: "version-unofficial",
    about: "a CozyStack that is no release",
    source: "git describe: TAG-COMMITS-gHASH",
    check,
};

fn check(of: &Context) -> Vec<Problem> {
    let version = of.snapshot.installer.read.version.as_ref().filter(|v| !v.is_release());
    version.map(|v| Problem::warns(Fact::Unofficial { version: v.clone() })).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_build_between_two_releases_is_told_and_a_release_is_not() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        let version = crate::assess::Version::of_tag("v0.28.0-54-g22cf18ff").unwrap();
        cluster.installer.read.version = Some(version.clone());
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::Unofficial { version })]);
    }
}
