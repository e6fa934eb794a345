//! A Talos version below the one of the CozyStack release, or no version at all.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::version::version;
use crate::release::Release;

pub const RULE: Rule = Rule {
    id: "talos-too-old",
    severity: Severity::Error,
    overridable: false,
    about: "a Talos version below the one of the CozyStack release, or no version at all",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(release) = Release::known(&plan.cozystack.version) else { return Vec::new() };
    if version(&plan.talos.version).is_some_and(|found| Some(found) >= version(&release.talos.version)) {
        return Vec::new();
    }
    let what = format!("`{}` is not {} or later", plan.talos.version, release.talos.version);
    let why = format!(
        "CozyStack {} is built on Talos {}: older ones lack its DRBD and ZFS modules",
        release.version, release.talos.version
    );
    vec![Problem::new("talos.version", what, why, release.talos.version.as_str())]
}
