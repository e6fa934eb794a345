//! A later Talos version than the CozyStack release ships.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::version::version;
use crate::release::Release;

pub const RULE: Rule = Rule {
    id: "talos-version",
    severity: Severity::Error,
    overridable: true,
    about: "a later Talos version than the CozyStack release ships",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(release) = Release::known(&plan.cozystack.version) else { return Vec::new() };
    if version(&plan.talos.version).is_none_or(|found| Some(found) <= version(&release.talos.version)) {
        return Vec::new();
    }
    let what = format!("{} is not the Talos of CozyStack {}", plan.talos.version, release.version);
    let why = format!(
        "the release ships and tests {} (packages/core/installer/images/talos/profiles); the image and the configuration are made for it",
        release.talos.version
    );
    vec![Problem::new("talos.version", what, why, release.talos.version.as_str())]
}
