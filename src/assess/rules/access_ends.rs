//! The kubeconfig's own certificate, which ends: Talos gives it for a year.
use super::{Context, Fact, Problem, Rule};

pub const RULE: Rule = Rule {
    id: "access-ends",
    about: "a kubeconfig whose certificate ends soon",
    source: "Talos v1.10: pkg/machinery/constants, KubernetesAdminCertDefaultLifetime",
    check,
};

/// Days before its end from which it is told.
const SOON: i64 = 30;

fn check(of: &Context) -> Vec<Problem> {
    let left = of.snapshot.access_ends.map(|end| end.duration_since(of.snapshot.at).as_hours() / 24);
    let soon = left.filter(|days| *days < SOON);
    soon.map(|days| Problem::warns(Fact::AccessEnds { days })).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_certificate_that_ends_within_a_month_is_told() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.access_ends = Some(days_ago(-5));
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::AccessEnds { days: 5 })]);
    }
}
