//! An installer image that is Talos' own, or whose tag is not talos.version.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "installer-image",
    severity: Severity::Error,
    overridable: true,
    about: "an installer image that is Talos' own, or whose tag is not talos.version",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let image = &plan.talos.installer_image;
    let (name, _digest) = image.split_once('@').unwrap_or((image, ""));
    let tag = name.rsplit('/').next().unwrap_or_default().split_once(':').map_or("", |(_, tag)| tag);
    let what = if name.contains("siderolabs/installer") {
        "this image has neither DRBD nor ZFS".to_string()
    } else if tag != plan.talos.version {
        format!("its tag `{tag}` is not talos.version {}", plan.talos.version)
    } else {
        return Vec::new();
    };
    let why = "an upgrade installs this image: CozyStack's own carries the extensions, and its tag is the Talos version (CozyStack v0.37.2 installer)";
    let write = format!("ghcr.io/cozystack/cozystack/talos:{}", plan.talos.version);
    vec![Problem::new("talos.installer_image", what, why, write)]
}
