//! `kubectl auth whoami` and `kubectl auth can-i`: what a user is and may.
use super::identity::Identity;
use serde_json::{Value, json};

/// The review with its status; which one it is, its kind says.
pub fn answer(who: &Identity, mut review: Value) -> Value {
    let (name, mut groups) = match who {
        Identity::Anonymous => ("system:anonymous".to_string(), vec!["system:unauthenticated".to_string()]),
        Identity::User { name, groups } => (name.clone(), groups.clone()),
    };
    if !review.is_object() {
        review = json!({});
    }
    let status = if review["kind"] == "SelfSubjectReview" {
        groups.push("system:authenticated".into());
        json!({"userInfo": {"username": name, "groups": groups}})
    } else {
        let path = review.pointer("/spec/nonResourceAttributes/path").is_some();
        json!({"allowed": path || who.is_master()})
    };
    review["status"] = status;
    review
}
