//! The tables of `docs/PLAN.md`, made from the code that they describe.
use super::defaults::{Defaults, plan};
use super::keys::{self, Kind, Need};
use super::lint::RULES;
use serde_json::Value as Json;

/// Findings of form: what the reader says before there is a plan that rules could judge.
pub const FORM_RULES: &[(&str, &str)] = &[
    ("yaml-syntax", "the text is not one YAML document"),
    ("empty-plan", "the text holds no value at all"),
    ("duplicate-key", "a key stands twice in one section"),
    ("unknown-key", "a key that no plan has; the nearest known one is named"),
    ("missing-key", "a required key is missing or has no value"),
    ("wrong-type", "a number where text is wanted, a text where a list is wanted, and so on"),
    ("wrong-value", "a value outside its range, or not of its form; no text may be empty or hold control characters"),
    ("api-url", "the API URL is not https://HOST[:PORT], or ends in /api2/json"),
];

/// A Markdown table with a row for every key.
pub fn keys_table() -> String {
    let mut out = String::from("| key | type | required | in a new plan | meaning |\n|---|---|---|---|---|\n");
    let new = serde_json::to_value(plan(&Defaults::default())).unwrap_or_default();
    for (path, key) in keys::all() {
        let kind = match key.kind {
            Kind::Int { least, most } => format!("{}, {least} to {most}", key.kind.title()),
            Kind::Text
            | Kind::Bool
            | Kind::Pattern(_)
            | Kind::Strings
            | Kind::List(_)
            | Kind::Section(_)
            | Kind::Rows(_) => key.kind.title(),
        };
        let need = match key.need {
            Need::Required => "yes".to_string(),
            Need::Default(then) | Need::Optional(then) => format!("no: {then}"),
        };
        let value = match key.kind {
            Kind::Section(_) | Kind::Rows(_) => String::new(),
            Kind::Text | Kind::Int { .. } | Kind::Bool | Kind::Pattern(_) | Kind::Strings | Kind::List(_) => new
                .pointer(&format!("/{}", path.replace("[]", "/0").replace('.', "/")))
                .map(in_a_cell)
                .unwrap_or_default(),
        };
        out.push_str(&format!("| `{path}` | {kind} | {need} | {value} | {} |\n", key.about));
    }
    out
}

/// A Markdown table with a row for every rule.
pub fn rules_table() -> String {
    let mut out = String::from("| rule | severity | may be overridden | refuses or warns of |\n|---|---|---|---|\n");
    for (id, about) in FORM_RULES {
        out.push_str(&format!("| `{id}` | error | no | {about} |\n"));
    }
    for rule in RULES {
        let aside = if rule.overridable { "yes" } else { "no" };
        out.push_str(&format!("| `{}` | {} | {aside} | {} |\n", rule.id, rule.severity, rule.about));
    }
    out
}

fn in_a_cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => format!("`{text}`"),
        Json::Array(items) if items.is_empty() => "`[]`".into(),
        Json::Array(items) => items.iter().map(in_a_cell).collect::<Vec<_>>().join(" "),
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => format!("`{value}`"),
    }
}
