//! The config documents of Talos v1.10.6 and their keys, as Talos' own decoder tells them
//! (`tests/peers/build/talosctl/talosfacts` writes the asset, and tier 2 compares it).
use serde_yaml::{Mapping, Value};
use std::sync::LazyLock;

/// By kind, the v1alpha1 config under an empty one: a mapping describes a mapping (`*` is any key), a list of one a
/// list, a text a scalar.
static DOCUMENTS: LazyLock<Value> = LazyLock::new(|| {
    // A damaged asset would know no document at all, which the tests of this room see.
    serde_yaml::from_str(include_str!("../../../assets/talos/config-keys.json")).unwrap_or_default()
});

/// The keys that a document of this kind may hold; `None` for a kind that is not registered.
pub fn document(kind: &str) -> Option<&'static Value> {
    DOCUMENTS.get(kind)
}

/// The part of a document that Talos does not know, keys sorted; `None` when it knows all of it.
pub fn unknown(known: &Value, value: &Value) -> Option<Value> {
    match (known, value) {
        (Value::Sequence(known), Value::Sequence(items)) => {
            let item = known.first()?;
            let found: Vec<Value> = items.iter().filter_map(|v| unknown(item, v)).collect();
            (!found.is_empty()).then_some(Value::Sequence(found))
        }
        (Value::Mapping(known), Value::Mapping(entries)) => {
            let mut found: Vec<(Value, Value)> = entries
                .iter()
                .filter_map(|(key, value)| {
                    let rest = match known.get(key).or_else(|| known.get("*")) {
                        Some(inner) => unknown(inner, value)?,
                        None => value.clone(),
                    };
                    Some((key.clone(), rest))
                })
                .collect();
            found.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
            (!found.is_empty()).then(|| Value::Mapping(found.into_iter().collect::<Mapping>()))
        }
        _ => None,
    }
}

/// The first value whose form is not the one that Talos reads there, as its decoder puts it.
pub fn misfit(known: &Value, value: &Value) -> Option<String> {
    let into = |go: &str| Some(format!("cannot unmarshal {} into {go}", tag(value)));
    match (known, value) {
        (_, Value::Null) => None,
        (Value::Sequence(known), Value::Sequence(items)) => {
            let item = known.first()?;
            items.iter().find_map(|v| misfit(item, v))
        }
        (Value::Mapping(known), Value::Mapping(entries)) => {
            entries.iter().find_map(|(key, value)| misfit(known.get(key).or_else(|| known.get("*"))?, value))
        }
        (Value::Sequence(_), _) => into("a list"),
        (Value::Mapping(_), _) => into("a mapping"),
        (Value::String(scalar), value) => match (scalar.as_str(), value) {
            ("any", _) | ("bool", Value::Bool(_)) => None,
            // Go's decoder takes any scalar for a text.
            ("string", Value::Bool(_) | Value::Number(_) | Value::String(_)) => None,
            ("bool" | "string", _) => into(scalar),
            // `int`, `uint16` and the like; a number in another notation is still a text here.
            (_, Value::Number(_)) => None,
            (number, Value::String(text)) if text.starts_with("0o") && number.contains("int") => None,
            (number, _) => into(number),
        },
        _ => None,
    }
}

fn tag(value: &Value) -> String {
    let short: String = value.as_str().map(|s| s.chars().take(7).collect()).unwrap_or_default();
    match value {
        Value::Null => "!!null".into(),
        Value::Bool(set) => format!("!!bool `{set}`"),
        Value::Number(number) => format!("!!int `{number}`"),
        Value::String(_) => format!("!!str `{short}`"),
        Value::Sequence(_) => "!!seq".into(),
        Value::Mapping(_) | Value::Tagged(_) => "!!map".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_of_talos_v1_10_are_known_and_later_ones_are_not() {
        assert!(document("").unwrap()["machine"]["install"]["diskSelector"].is_mapping());
        assert!(document("ExtensionServiceConfig").is_some());
        assert!(document("HostnameConfig").is_none());
    }

    #[test]
    fn a_key_below_a_map_of_any_keys_is_still_looked_at() {
        let text = "machine: {registries: {mirrors: {docker.io: {endpoints: [], endpoint: x}}}}";
        let rest = unknown(document("").unwrap(), &serde_yaml::from_str(text).unwrap()).unwrap();
        assert_eq!(rest["machine"]["registries"]["mirrors"]["docker.io"]["endpoint"], "x");
    }

    #[test]
    fn a_list_for_a_flag_is_a_misfit_and_a_number_for_a_text_is_none() {
        let known = document("").unwrap();
        let said = |text: &str| misfit(known, &serde_yaml::from_str(text).unwrap());
        assert_eq!(said("debug: [1]").unwrap(), "cannot unmarshal !!seq into bool");
        assert_eq!(said("machine: {network: {hostname: 123}}"), None);
    }
}
