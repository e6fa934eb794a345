//! A profile other than paas-proxmox, hybrid, paas-full.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "profile-unknown",
    severity: Severity::Error,
    overridable: false,
    about: "a profile other than paas-proxmox, hybrid, paas-full",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let profile = plan.cozystack.profile.as_str();
    let release = super::release_of(plan);
    if release.written_for(profile).is_some() {
        return Vec::new();
    }
    let why = if release.bundles.iter().any(|bundle| bundle == profile) {
        "it is a bundle of the release, but hosted bundles bring no network and distro bundles no tenants; every profile here is made from paas-full"
    } else {
        "a bundle name without a file in the installer image installs nothing (CozyStack v0.37.2, platform chart)"
    };
    let known: Vec<&str> = release.profiles().map(|(name, _)| name).collect();
    vec![Problem::new("cozystack.profile", format!("`{profile}` is no profile"), why, known.join(", "))]
}
