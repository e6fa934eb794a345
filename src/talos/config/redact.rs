//! Machine configs, talosconfig and kubeconfig without their secrets, to be kept as evidence.
use super::yaml;
use crate::base::secret::SECRET_FIELDS;
use serde_yaml::Value;

/// Talos' own placeholder.
const HIDDEN: &str = "******";

/// The documents of `text` with every secret value as `******`. What is no YAML is not shown at all.
pub fn redacted(text: &str) -> String {
    let Ok(documents) = serde_saphyr::from_multiple::<Value>(text) else {
        return "(not YAML: not shown)".to_string();
    };
    let shown: Result<Vec<String>, String> = documents
        .into_iter()
        .map(|mut document| {
            hide(&mut document);
            yaml::text(&document)
        })
        .collect();
    shown.map_or_else(|_| "(not shown)".to_string(), |all| all.join("---\n"))
}

fn hide(value: &mut Value) {
    match value {
        Value::Mapping(entries) => {
            for (key, value) in entries.iter_mut() {
                let secret = key.as_str().is_some_and(|k| SECRET_FIELDS.contains(&k));
                if secret && value.as_str().is_none_or(|s| !s.is_empty()) {
                    *value = HIDDEN.into();
                } else {
                    hide(value);
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(hide),
        Value::Tagged(tagged) => hide(&mut tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
