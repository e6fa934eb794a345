//! Certificates that have ended, or will before anybody looks again.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "certificates",
    about: "certificates of cert-manager that have ended or end soon",
    source: "cert-manager v1: status.notAfter of a Certificate",
    check,
};

use crate::assess::snapshot::Certificate;
use crate::assess::verdict::Broken;
use jiff::SignedDuration;

/// cert-manager renews earlier than that, at two thirds of a certificate's time or 30 days before its end.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

fn check(of: &Context) -> Vec<Problem> {
    let at = of.snapshot.at;
    let left = |c: &Certificate| c.not_after.map(|end| end.duration_since(at));
    let all = || of.snapshot.certificates.read.iter();
    let ended: Vec<_> = all().filter(|c| left(c).is_some_and(|l| l <= SignedDuration::ZERO)).collect();
    let soon = all().filter(|c| left(c).is_some_and(|l| l > SignedDuration::ZERO && l < SOON));
    let soon: Vec<_> = soon.collect();
    let examples = named(ended.iter().chain(&soon).map(|c| format!("{}/{}", c.namespace, c.name)));
    let fact = Fact::CertificatesEnd { ended: ended.len(), soon: soon.len(), examples };
    match (ended.len(), soon.len()) {
        (0, 0) => Vec::new(),
        (0, _) => vec![Problem::warns(fact)],
        _ => vec![Problem::blocks(Broken::Certificates, fact)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_certificate_that_has_ended_blocks_and_one_that_ends_soon_is_told() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.certificates.read[0].not_after = Some(days_ago(-3));
        let examples = vec!["cozy-linstor/api".to_string()];
        let fact = Fact::CertificatesEnd { ended: 0, soon: 1, examples: examples.clone() };
        assert_eq!(found(&RULE, &cluster), [Problem::warns(fact)]);
        cluster.certificates.read[0].not_after = Some(days_ago(3));
        let fact = Fact::CertificatesEnd { ended: 1, soon: 0, examples };
        assert_eq!(found(&RULE, &cluster), [Problem::blocks(Broken::Certificates, fact)]);
    }
}
