//! Helm repositories that Flux can't fetch: no chart comes from them, whatever is applied.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "sources-fail",
    about: "Helm repositories that can't be fetched",
    source: "source-controller v1.6: the condition Ready of a HelmRepository",
    check,
};

use crate::assess::verdict::Broken;

fn check(of: &Context) -> Vec<Problem> {
    let all = &of.snapshot.sources.read;
    let failing: Vec<_> = all.iter().filter(|s| s.fails).collect();
    if failing.is_empty() {
        return Vec::new();
    }
    let days = of.snapshot.days(failing.iter().filter_map(|s| s.since).min());
    let sources = named(failing.iter().map(|s| format!("{}/{}", s.namespace, s.name)));
    vec![Problem::blocks(Broken::Releases, Fact::SourcesFail { sources, of: all.len(), days })]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_repository_that_can_not_be_fetched_blocks() {
        let mut cluster = healthy();
        cluster.sources.read[0].fails = true;
        cluster.sources.read[0].since = Some(days_ago(190));
        let fact = Fact::SourcesFail { sources: vec!["cozy-system/cozystack-system".into()], of: 1, days: Some(190) };
        assert_eq!(found(&RULE, &cluster), [Problem::blocks(Broken::Releases, fact)]);
    }
}
