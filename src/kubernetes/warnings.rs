//! The warnings that the cluster keeps, and no more of each than a pane shows.
use super::kind::Kind;
use super::rows::{Metadata, Row};
use crate::base::text::clean;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A warning that somebody recorded of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStatus {
    /// Namespace of the event, which is that of its object; `default` for objects of the whole cluster.
    pub namespace: String,
    /// The event's own name.
    pub name: String,
    /// Kind and name of the object that it is about.
    pub about: (String, String),
    /// The reporter's one word: `FailedMount`, `BackOff`.
    pub reason: String,
    /// The reporter's sentence, cleaned.
    pub message: String,
    /// Number of times that it was recorded, 1 at the least.
    pub count: u64,
    /// When it was recorded last (`lastTimestamp`, else `eventTime`); `None` where the event has neither.
    pub last: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SlimEvent {
    metadata: Metadata,
    involved_object: SlimAbout,
    reason: String,
    message: String,
    count: Option<i64>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct SlimAbout {
    kind: String,
    name: String,
}

impl Row for EventStatus {
    const KIND: Kind = Kind::EVENT;
    const FIELD: Option<&'static str> = Some("type=Warning");
    type Slim = SlimEvent;

    fn of(slim: &SlimEvent) -> Self {
        let time = |text: &Option<String>| text.as_deref().and_then(|t| t.parse().ok());
        EventStatus {
            namespace: clean(&slim.metadata.namespace),
            name: clean(&slim.metadata.name),
            about: (clean(&slim.involved_object.kind), clean(&slim.involved_object.name)),
            reason: clean(&slim.reason),
            message: clean(&slim.message),
            count: slim.count.and_then(|n| u64::try_from(n).ok()).unwrap_or(1).max(1),
            last: time(&slim.last_timestamp).or_else(|| time(&slim.event_time)),
        }
    }

    fn metadata(slim: &SlimEvent) -> &Metadata {
        &slim.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_warning_tells_what_it_is_about_how_often_and_when() {
        let slim = serde_json::from_value(json!({
            "metadata": {"name": "p.17", "namespace": "a"}, "involvedObject": {"kind": "Pod", "name": "p"},
            "reason": "BackOff", "message": "again\u{1b}[2J", "count": 7, "lastTimestamp": "2026-11-23T10:00:00Z"}));
        let event = EventStatus::of(&slim.unwrap());
        assert_eq!((event.about.1.as_str(), event.count, event.message.as_str()), ("p", 7, "again [2J"));
        assert_eq!(event.last, Some("2026-11-23T10:00:00Z".parse().unwrap()));
        // As events.k8s.io writes them: no count, another time.
        let newer = json!({"lastTimestamp": null, "count": null, "eventTime": "2026-11-23T10:00:00.5Z"});
        let newer = EventStatus::of(&serde_json::from_value(newer).unwrap());
        assert!(newer.count == 1 && newer.last.is_some());
    }
}
