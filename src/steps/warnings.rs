//! The cluster's own warnings about an object that is waited for: the driver's words stand nowhere else.
use super::cluster::text;
use super::failures;
use super::site::Reading;
use crate::base::text::{clean, shorten};
use crate::engine::failure::Failure;
use crate::engine::wait::Wait;
use crate::kubernetes::Kind;
use serde_json::Value;

/// The wait, with the last warning about one of these objects of the namespace.
///
/// # Errors
/// When the events can't be listed.
pub async fn beside(site: &Reading, namespace: &str, names: &[&str], mut wait: Wait) -> Result<Wait, Failure> {
    let events = site.kubernetes()?.list(&Kind::EVENT, Some(namespace), None).await;
    let events = events.map_err(|e| failures::kubernetes(&e, &format!("list the events of {namespace}")))?;
    if let Some(warning) = last(&events.value, names) {
        wait.seen = format!("{}; {warning}", wait.seen);
    }
    Ok(wait)
}

/// `VolumeResizeFailed: resize volume …`
fn last(events: &[Value], names: &[&str]) -> Option<String> {
    let about = |e: &&Value| text(e, "/type") == "Warning" && names.contains(&text(e, "/involvedObject/name"));
    let latest = events.iter().filter(about).max_by_key(|e| text(e, "/lastTimestamp").to_string())?;
    let said = format!("{}: {}", text(latest, "/reason"), text(latest, "/message"));
    Some(shorten(&clean(&said), 300))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_warning_about_the_object_itself_is_told() {
        let event = |kind: &str, name: &str, at: &str, message: &str| {
            json!({"type": kind, "reason": "VolumeResizeFailed", "message": message, "lastTimestamp": at,
                "involvedObject": {"name": name}})
        };
        let all = [
            event("Warning", "volume-a", "2026-01-01T00:00:02Z", "403\u{1b}[2J no"),
            event("Warning", "volume-a", "2026-01-01T00:00:01Z", "older"),
            event("Warning", "volume-b", "2026-01-01T00:00:03Z", "another"),
            event("Normal", "volume-a", "2026-01-01T00:00:04Z", "fine"),
        ];
        let told = last(&all, &["volume-a"]).unwrap();
        assert!(told.starts_with("VolumeResizeFailed: 403") && !told.contains('\u{1b}'), "{told}");
        assert_eq!(last(&all, &["volume-c"]), None);
    }
}
