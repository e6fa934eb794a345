//! A storage for CD-ROMs in a plan that makes none.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "iso-storage-unused",
    severity: Severity::Warning,
    overridable: true,
    about: "a storage for CD-ROMs with machine configs, although configs go over the network",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let unused = plan.talos.iso_storage.as_ref().filter(|_| !plan.by_cdrom());
    unused
        .map(|name| {
            let why =
                "nothing is put there: each machine is given its config over the network, on its first key's word";
            Problem::new(
                "talos.iso_storage",
                format!("`{name}` is not used"),
                why,
                "delivery: cdrom, or no iso_storage",
            )
        })
        .into_iter()
        .collect()
}
