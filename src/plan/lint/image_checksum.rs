//! No SHA-256 of the image, or none of 64 lower-case hexadecimal digits.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "image-checksum",
    severity: Severity::Error,
    overridable: false,
    about: "no SHA-256 of the image, or none of 64 lower-case hexadecimal digits",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    super::checksum("image.sha256", &plan.image.sha256, &plan.image.url)
}
