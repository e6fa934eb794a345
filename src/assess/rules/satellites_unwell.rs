//! LINSTOR's satellites that are not available or not configured: volumes on them have fewer copies than they should.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "satellites-unwell",
    about: "LINSTOR satellites that are not well",
    source: "piraeus-operator v2: the conditions of a LinstorSatellite",
    check,
};

use crate::assess::verdict::Broken;

fn check(of: &Context) -> Vec<Problem> {
    let unwell: Vec<_> = of.snapshot.satellites.read.iter().filter(|s| !s.unmet.is_empty()).collect();
    if unwell.is_empty() {
        return Vec::new();
    }
    let satellites = named(unwell.iter().map(|s| format!("{} (not {})", s.name, s.unmet.join(", "))));
    vec![Problem::blocks(Broken::Storage, Fact::SatellitesUnwell { satellites })]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_satellite_that_is_not_available_blocks() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.satellites.read[0].unmet = vec!["Available".into()];
        let fact = Fact::SatellitesUnwell { satellites: vec!["cp1 (not Available)".into()] };
        assert_eq!(found(&RULE, &cluster), [Problem::blocks(Broken::Storage, fact)]);
    }
}
