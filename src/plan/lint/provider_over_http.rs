//! Provider components over plain http without their SHA-256.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "provider-over-http",
    severity: Severity::Error,
    overridable: true,
    about: "components of capmox or IPAM over plain http without their SHA-256",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let files = super::provider_files(plan).into_iter();
    files
        .filter(|file| file.sha256.is_none() && file.url.is_some_and(|url| url.starts_with("http://")))
        .map(|file| {
            let why = "a provider gets rights on the whole cluster: without TLS and without a checksum anybody on the way \
                       could write it";
            let key = format!("integration.capmox.{}_url", file.key);
            let write = format!("an https URL, or integration.capmox.{}_sha256", file.key);
            Problem::new(key, "is fetched with nothing to check it by", why, write)
        })
        .collect()
}
