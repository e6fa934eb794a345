//! A cluster in which nothing tells the version of CozyStack.
use super::{Context, Fact, Problem, Rule};

pub const RULE: Rule = Rule {
    id: "version-unknown",
    about: "a CozyStack whose version can't be told",
    source: "cozystack/cozystack: packages/core/installer/templates/cozystack.yaml",
    check,
};

fn check(of: &Context) -> Vec<Problem> {
    let installer = &of.snapshot.installer;
    // Where it could not be read, the gap says so.
    if installer.missing.is_some() || installer.read.version.is_some() {
        return Vec::new();
    }
    vec![Problem::warns(Fact::VersionUnknown { image: installer.read.image.clone() })]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_tag_that_names_no_version_is_told_and_what_could_not_be_read_is_a_gap() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.installer.read.version = None;
        cluster.installer.read.image = "installer:latest".into();
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::VersionUnknown { image: "installer:latest".into() })]);
        cluster.installer.missing = Some(crate::assess::snapshot::Missing::NotServed);
        assert_eq!(found(&RULE, &cluster), []);
    }
}
