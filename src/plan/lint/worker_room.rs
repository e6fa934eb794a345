//! Workers of day 6 for which the plan keeps too few VMIDs or addresses.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "worker-room",
    severity: Severity::Error,
    overridable: false,
    about: "workers of day 6 without VMIDs and addresses, with fewer than two VMIDs each, or with fewer than two addresses more \
            than there are workers",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let tests = &plan.tests;
    let count = tests.workers;
    if count == 0 {
        return Vec::new();
    }
    let key = "tests.workers";
    let (Some((vmids, addresses)), Some((by_vmids, by_addresses))) = (tests.machines(), tests.room_for_workers())
    else {
        // One without the other is told by a rule of its own.
        if tests.machine_vmids.is_some() || tests.machine_addresses.is_some() {
            return Vec::new();
        }
        let what = format!("there are {count} workers and no VMIDs or addresses for them");
        let why = "Cluster API takes them from tests.machine_vmids and tests.machine_addresses";
        return vec![Problem::new(key, what, why, "set both, or workers: 0")];
    };
    let mut problems = Vec::new();
    if by_vmids < count {
        let what = format!("{count} workers and {} VMIDs in {vmids}", vmids.count());
        let why = "capmox sometimes clones a machine twice";
        problems.push(Problem::new(key, what, why, format!("{} VMIDs or more", count.saturating_mul(2))));
    }
    if by_addresses < count {
        let least = u64::from(count).saturating_add(2);
        let what = format!("{count} workers and {} addresses in {addresses}", addresses.count());
        let why = "the first is kept out of the pool, and a removed VM's is free only a little later";
        problems.push(Problem::new(key, what, why, format!("{least} or more")));
    }
    problems
}
