//! A place of provider components that this machine can't read.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "provider-url",
    severity: Severity::Error,
    overridable: false,
    about: "a place of capmox's or IPAM's components that is no http or https URL and no absolute path",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let readable = |url: &str| super::web_address(url) || (url.starts_with('/') && !url.starts_with("//"));
    let files = super::provider_files(plan).into_iter();
    files
        .filter_map(|file| {
            let url = file.url.filter(|url| !readable(url))?;
            let why = "this machine fetches the components, or reads them from its disk, and hands them to the cluster";
            let key = format!("integration.capmox.{}_url", file.key);
            Some(Problem::new(key, format!("`{url}` is neither"), why, "an https URL, or /path/to/the/file"))
        })
        .collect()
}
