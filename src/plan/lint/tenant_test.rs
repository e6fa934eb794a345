//! The tests of tenants while a component that they need is disabled.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "tenant-test",
    severity: Severity::Error,
    overridable: false,
    about: "the tests of tenants while a component that they need is disabled",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let needs = [
        (plan.day_8(), "cozystack-api", "tenants are made through its API", "tests.tenant: false"),
        (plan.database(), "postgres-operator", "it makes the database of the test", "tests.postgres: false"),
    ];
    let lacking =
        |name: &str| super::components(plan).into_iter().find(|(_, n, on)| !on && *n == name).map(|(key, ..)| key);
    needs
        .into_iter()
        .filter(|(is_on, ..)| *is_on)
        .filter_map(|(_, name, why, instead)| {
            let what = format!("a test of day 8 needs {name}");
            Some(Problem::new(lacking(name)?, what, why, format!("a list without it, or {instead}")))
        })
        .collect()
}
