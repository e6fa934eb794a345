//! Claims for which no volume comes.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "claims-pending",
    about: "claims that wait for a volume",
    source: "Kubernetes: the phase of a PersistentVolumeClaim",
    check,
};

use crate::assess::snapshot::Claim;
use jiff::SignedDuration;

/// A claim that is younger is being served.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

fn check(of: &Context) -> Vec<Problem> {
    let at = of.snapshot.at;
    let is_old = |c: &&Claim| c.created.is_some_and(|created| at.duration_since(created) >= GRACE);
    let waiting: Vec<_> = of.snapshot.claims.read.iter().filter(|c| !c.is_bound).filter(is_old).collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    let days = of.snapshot.days(waiting.iter().filter_map(|c| c.created).min());
    let examples = named(waiting.iter().map(|c| format!("{}/{} ({})", c.namespace, c.name, c.class)));
    vec![Problem::warns(Fact::ClaimsPending { claims: waiting.len(), days, examples })]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn an_old_claim_without_a_volume_is_told() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.claims.read[0].is_bound = false;
        let fact =
            Fact::ClaimsPending { claims: 1, days: Some(100), examples: vec!["tenant-a/data (replicated)".into()] };
        assert_eq!(found(&RULE, &cluster), [Problem::warns(fact)]);
    }
}
