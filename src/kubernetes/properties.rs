//! The properties that hold for any answer of a Kubernetes API and for any kubeconfig.
#![allow(clippy::panic, clippy::unwrap_used, reason = "compiled for tests and for fuzzing alone")]
use super::connect::configuration;
use super::error::Error;
use super::evidence;
use super::kind::Kind;
use super::nodes::NodeStatus;
use super::pods::PodStatus;
use super::reader::{Page, Version, parse};
use super::rows::{ReleaseStatus, Row};
use crate::base::properties::{harmless, harmless_lines};
use crate::base::secret::Secret;
use kube::core::{Status, WatchEvent};
use serde_json::Value;
use std::fmt::Debug;

/// A list's page, an object, a watch's line, an error or a kubeconfig: refused, or read into texts that are harmless.
pub fn payload(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    rows::<PodStatus>(text);
    rows::<NodeStatus>(text);
    rows::<ReleaseStatus>(text);
    harmless_lines(&parse::<Version>("GET /version", text).err());
    if let Ok(status) = serde_json::from_str::<Status>(text) {
        harmless(&Error::of_status(&status));
    }
    if let Ok(object) = serde_json::from_str::<Value>(text) {
        let kept = evidence::redacted(&Kind::SECRET, &object);
        for field in ["data", "stringData"] {
            let values = kept.get(field).and_then(Value::as_object);
            assert!(values.is_none_or(|v| v.values().all(|v| v == "[redacted]")), "{kept}");
        }
    }
    kubeconfig(text);
}

fn rows<R: Row + Debug + PartialEq>(text: &str) {
    let slims = match parse::<Page<R::Slim>>("GET /x", text) {
        Ok(page) => page.items.unwrap_or_default(),
        Err(e) => {
            harmless(&e);
            Vec::new()
        }
    };
    let heard = text.lines().filter_map(|line| match serde_json::from_str::<WatchEvent<R::Slim>>(line) {
        Ok(WatchEvent::Added(slim) | WatchEvent::Modified(slim) | WatchEvent::Deleted(slim)) => Some(slim),
        Ok(WatchEvent::Error(status)) => {
            harmless(&Error::of_status(&status));
            None
        }
        Ok(WatchEvent::Bookmark(_)) | Err(_) => None,
    });
    for slim in slims.into_iter().chain(heard) {
        let row = R::of(&slim);
        harmless(&row);
        // The evidence is the part that was read: the same row comes out of it.
        let kept = serde_json::to_string(&slim).unwrap_or_else(|e| panic!("no evidence of {row:?}: {e}"));
        let again = serde_json::from_str::<R::Slim>(&kept).unwrap_or_else(|e| panic!("{kept}: {e}"));
        assert_eq!(R::of(&again), row);
    }
}

fn kubeconfig(text: &str) {
    // These name files, which are the reader's own and none of the property.
    if text.contains("certificate-authority") && !text.contains("certificate-authority-data") {
        return;
    }
    match configuration(&Secret::new(text.to_string()), None) {
        Ok(config) => {
            assert_eq!(config.cluster_url.scheme_str(), Some("https"));
            assert!(!config.accept_invalid_certs && config.proxy_url.is_none() && config.auth_info.exec.is_none());
        }
        Err(e) => harmless(&e),
    }
}

#[test]
fn every_answer_that_was_found_by_fuzzing_keeps_the_property() {
    crate::base::properties::seeds("kubernetes", payload);
}
