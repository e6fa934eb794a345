//! An image fetched over plain http.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "image-over-http",
    severity: Severity::Note,
    overridable: false,
    about: "an image fetched over plain http",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if !plan.image.url.starts_with("http://") {
        return Vec::new();
    }
    let why = "nobody is sure of the sender; the checksum in image.sha256 is, so it must come from another place";
    vec![Problem::new("image.url", "is fetched without TLS", why, "an https URL where there is one")]
}
