//! Properties that hold for any answer of a Proxmox VE API.
#![allow(clippy::panic, clippy::unwrap_used, reason = "compiled for tests and for fuzzing alone")]
use super::cause::{Cause, vanished_meanwhile};
use super::decode::data;
use super::path::{Path, by_hand};
use super::refusal::{Said, forbidden, refusal};
use super::task::{self, LogLine, progress_of, reason_of};
use super::{Upid, access, config, network, site, storage, vm};
use crate::base::known::HIDDEN;
use crate::base::properties::{harmless, harmless_lines};
use crate::base::secret::{SECRET_FIELDS, hide_fields};
use serde_json::{Value, json};

/// Names of tasks, lines of their logs, their ends.
pub fn task(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut log = Vec::new();
    for (line, n) in text.lines().zip(1..) {
        if let Ok(upid) = line.parse::<Upid>() {
            assert_eq!(upid.to_string(), line);
            harmless(&upid);
            let segments = ["nodes", upid.node(), "tasks", upid.as_str()];
            let Ok(path) = Path::of(&segments) else { panic!("{line} leads elsewhere") };
            assert_eq!(path.encoded.split('/').count(), segments.len() + 1, "{line} leaves its place in a path");
            harmless(&by_hand(&path, &[]));
        }
        log.push(LogLine { n, text: line.to_string() });
        let end = task::status(&json!({"status": "stopped", "exitstatus": line}));
        let Ok(Some(exit)) = end.map(|status| status.exit) else { panic!("a stopped task without an end: {line}") };
        harmless(&exit);
        assert!(!(exit.is_success() && line.contains("Permission check failed")), "{line}");
        harmless(&forbidden(line.to_string()).is_transient());
        Cause::of(line).is_passing();
        vanished_meanwhile(line);
    }
    assert!(progress_of(&log).is_none_or(|p| p <= 10_000));
    assert!(reason_of(&log).is_none_or(|reason| reason.len() <= 700));
}

/// An answer is refused, or read into texts that are harmless; a refusal has a text.
pub fn payload(bytes: &[u8]) {
    let body = String::from_utf8_lossy(bytes);
    for status in [400, 401, 403, 500, 501, 595, 596] {
        let error = refusal(&Said {
            status,
            reason: body.lines().next(),
            canonical: "no reason given",
            body: &body,
            wants_login: body.len() % 2 == 1,
            server: body.lines().nth(1),
            location: body.lines().nth(2),
        });
        harmless(&error);
        assert!(!error.to_string().is_empty(), "{error:?}");
    }
    // A body without the envelope is read all the same, so that small inputs reach the readers.
    let Some(mut value) = data(&body).ok().or_else(|| serde_json::from_str(&body).ok()) else { return };
    harmless(&access::permissions(&value).map(|p| (p.on("/vms/101"), p.0)));
    harmless(&access::roles(&value));
    harmless(&access::users(&value));
    harmless(&access::tokens(&value));
    harmless(&access::acl(&value));
    harmless(&site::version(&value));
    harmless(&site::cluster_status(&value));
    harmless(&site::nodes(&value));
    harmless(&site::node_status(&value));
    harmless(&site::node_time(&value));
    harmless(&storage::storages(&value));
    harmless(&storage::volumes(&value));
    harmless(&network::bridges(&value));
    harmless(&network::vnets(&value));
    harmless(&storage::storage_configs(&value));
    harmless(&vm::resources(&value));
    harmless(&vm::vms(&value, "pve"));
    harmless(&vm::vm_status(&value));
    harmless(&task::status(&value));
    harmless(&task::log(&value).map(|log| progress_of(&log)));
    if let Ok(config) = config::config(&value) {
        harmless_lines(&config);
        for key in config.0.keys() {
            harmless_lines(&(config.net(key), config.disk(key)));
        }
        harmless_lines(&(config.cores(), config.sockets(), config.memory(), config.smbios_uuid(), config.net0_mac()));
    }
    hide_fields(&mut value, &|name| SECRET_FIELDS.contains(&name));
    assert!(hides(&value), "{value}");
}

fn hides(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().all(|(key, inside)| match inside {
            Value::String(_) | Value::Number(_) if SECRET_FIELDS.contains(&key.as_str()) => inside == HIDDEN,
            other => hides(other),
        }),
        Value::Array(list) => list.iter().all(hides),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[test]
fn every_task_text_that_was_found_by_fuzzing_keeps_the_property() {
    crate::base::properties::seeds("task", task);
}

#[test]
fn every_answer_that_was_found_by_fuzzing_keeps_the_property() {
    crate::base::properties::seeds("proxmox", payload);
}
