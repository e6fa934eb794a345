//! An image URL that is neither https nor http.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "image-scheme",
    severity: Severity::Error,
    overridable: false,
    about: "an image URL that is neither https nor http",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let url = &plan.image.url;
    if super::web_address(url) {
        return Vec::new();
    }
    let why = "this machine fetches the image itself, over HTTP";
    vec![Problem::new("image.url", format!("`{url}` is no https URL"), why, super::release_of(plan).image_url())]
}
