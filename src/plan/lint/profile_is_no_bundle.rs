//! The profile paas-proxmox or hybrid: what is written to the cluster in its place.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "profile-is-no-bundle",
    severity: Severity::Note,
    overridable: false,
    about: "the profile paas-proxmox or hybrid: what is written to the cluster in its place",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let profile = plan.cozystack.profile.as_str();
    let written = match super::release_of(plan).written_for(profile) {
        None => return Vec::new(),
        Some((bundle, _)) if bundle == profile => return Vec::new(),
        Some((bundle, [])) => format!("bundle-name: {bundle} with nothing disabled"),
        Some((bundle, disabled)) => format!("bundle-name: {bundle} with {} disabled", disabled.join(", ")),
    };
    let why = format!(
        "no CozyStack release has a bundle of this name (v0.37.2, packages/core/platform/bundles): the cluster gets {written}; section integration says what is added"
    );
    vec![Problem::new("cozystack.profile", format!("`{profile}` is a profile of cozyup, not a bundle"), why, "")]
}
