//! A LINSTOR pool name that LINSTOR or ZFS would refuse.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "linstor-pool-name",
    severity: Severity::Error,
    overridable: false,
    about: "a LINSTOR pool name that LINSTOR or ZFS would refuse",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let pool = plan.integration.linstor.pool.as_str();
    let fits = (3..=48).contains(&pool.len())
        && pool.starts_with(|c: char| c.is_ascii_alphabetic())
        && pool.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    // ZFS keeps these words, and words that begin with the first three, for itself.
    let reserved =
        ["mirror", "raidz", "draid"].iter().any(|word| pool.starts_with(word)) || ["spare", "log"].contains(&pool);
    if fits && !reserved {
        return Vec::new();
    }
    let why = "at least 3 characters (piraeus CRD), a letter first, and none of ZFS' own words";
    vec![Problem::new("integration.linstor.pool", format!("`{pool}` is no pool name"), why, "pool: data")]
}
