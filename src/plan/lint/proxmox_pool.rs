//! A name of a resource pool that Proxmox VE would refuse.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "proxmox-pool",
    severity: Severity::Error,
    overridable: false,
    about: "a resource pool's name that Proxmox VE would refuse",
    check,
};

/// Pools may lie in pools, this many deep (pve-access-control, `pve-poolid`).
const DEPTH: usize = 3;

fn check(plan: &Plan) -> Vec<Problem> {
    let fine = |name: &str| {
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let parts: Vec<&str> = name.split('/').collect();
        parts.len() <= DEPTH && parts.iter().all(|part| plain(part) && !matches!(*part, "." | ".."))
    };
    let wrong = plan.site.pool.iter().filter(|name| !fine(name));
    wrong
        .map(|name| {
            let why = "a pool's name has letters, digits, dots, dashes and underscores, with a slash between it and the one it lies in";
            Problem::new("site.pool", format!("`{name}` is no name of a resource pool"), why, "a name that `pvesh get /pools` lists")
        })
        .collect()
}
