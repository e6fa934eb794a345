//! An image that is not the nocloud one.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "image-platform",
    severity: Severity::Error,
    overridable: false,
    about: "an image that is not the nocloud one",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let file = super::file_of(&plan.image.url);
    if file.contains("nocloud") && !file.contains("metal") {
        return Vec::new();
    }
    let why = "only the nocloud image reads the cloud-init drive with the node's address; metal ignores it (Talos v1.10.6, nocloud platform)";
    vec![Problem::new(
        "image.url",
        format!("`{file}` is not the nocloud image"),
        why,
        super::release_of(plan).image_url(),
    )]
}
