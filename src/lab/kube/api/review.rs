//! `kubectl auth whoami` and `kubectl auth can-i`: what a user is and may.
use super::authorize::{Attributes, allows, rules};
use super::identity::Identity;
use crate::world::World;
use serde_json::{Value, json};

/// The review with its status; which one it is, its kind says.
pub fn answer(world: &World, who: &Identity, mut review: Value) -> Value {
    let (name, groups) = match who {
        Identity::Anonymous => ("system:anonymous", Vec::new()),
        Identity::User { name, groups } => (name.as_str(), groups.clone()),
    };
    if !review.is_object() {
        review = json!({});
    }
    review["status"] = match review["kind"].as_str() {
        Some("SelfSubjectReview") => json!({"userInfo": {"username": name, "groups": groups}}),
        Some("SelfSubjectRulesReview") => {
            let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
            let (paths, resources): (Vec<Value>, Vec<Value>) =
                rules(world, who, namespace).into_iter().partition(|rule| rule["nonResourceURLs"].is_array());
            json!({"incomplete": false, "nonResourceRules": paths, "resourceRules": resources})
        }
        _ => json!({"allowed": allows(world, who, &Attributes::of_review(&review["spec"]))}),
    };
    review
}
