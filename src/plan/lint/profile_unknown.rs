//! A profile other than paas-proxmox, hybrid, paas-full.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::release::{PROFILES, release};

pub const RULE: Rule = Rule {
    id: "profile-unknown",
    severity: Severity::Error,
    overridable: false,
    about: "a profile other than paas-proxmox, hybrid, paas-full",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let profile = plan.cozystack.profile.as_str();
    if PROFILES.contains(&profile) {
        return Vec::new();
    }
    let bundle = release(&plan.cozystack.version).is_some_and(|r| r.bundles.contains(&profile));
    let why = if bundle {
        "it is a bundle of the release, but hosted bundles bring no network and distro bundles no tenants; every profile here is made from paas-full"
    } else {
        "a bundle name without a file in the installer image installs nothing (CozyStack v0.37.2, platform chart)"
    };
    vec![Problem::new("cozystack.profile", format!("`{profile}` is no profile"), why, PROFILES.join(", "))]
}
