//! A Kubernetes version of another minor than the release's, or written without the v.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::version::version;
use crate::release::Release;

pub const RULE: Rule = Rule {
    id: "kubernetes-version",
    severity: Severity::Error,
    overridable: true,
    about: "a Kubernetes version of another minor than the release's, or written without the v",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(release) = Release::known(&plan.cozystack.version) else { return Vec::new() };
    let minor = |text: &str| version(text).map(|(major, minor, _)| (major, minor));
    let found = &plan.talos.kubernetes;
    if found.starts_with('v') && minor(found) == minor(&release.talos.kubernetes) {
        return Vec::new();
    }
    let what = format!("`{found}` is no patch of the minor version of {}", release.talos.kubernetes);
    let why = format!(
        "Talos {} brings {}, and CozyStack {} is tested with it",
        release.talos.version, release.talos.kubernetes, release.version
    );
    vec![Problem::new("talos.kubernetes", what, why, release.talos.kubernetes.as_str())]
}
