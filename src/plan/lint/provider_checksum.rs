//! A SHA-256 of provider components that is none.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "provider-checksum",
    severity: Severity::Error,
    overridable: false,
    about: "a SHA-256 of capmox's or IPAM's components that is none",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let files = super::provider_files(plan).into_iter();
    files
        .filter_map(|file| {
            let key = format!("integration.capmox.{}_sha256", file.key);
            Some(super::checksum(&key, file.sha256?, file.url.unwrap_or("URL")))
        })
        .flatten()
        .collect()
}
