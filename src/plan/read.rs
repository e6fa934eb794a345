//! Walks a document along the table of keys: every misplaced, missing or misshapen value becomes a finding,
//! all of them in one pass; what is left is a plan.
use super::finding::{Finding, Severity};
use super::keys::{self, Format, Key, Kind, Need};
use super::model::{PLAN_VERSION, Plan};
use super::names::nearest;
use super::tree::{Entry, Node, Place, Value};
use crate::base::text::{clean, shorten};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Places of the values in the text by key, `nodes[2].vmid`.
pub type Places = BTreeMap<String, Place>;

/// # Errors
/// Every finding is an error of form.
pub fn plan(document: &Node, file: &str) -> Result<(Plan, Places), Vec<Finding>> {
    let mut reader = Reader { file, findings: Vec::new(), places: Places::new() };
    if let Some(finding) = reader.other_version(document) {
        return Err(vec![finding]);
    }
    let json = reader.section("", Place::START, keys::PLAN, document);
    if !reader.findings.is_empty() {
        reader.findings.sort_by_key(|f| (f.line, f.column));
        return Err(reader.findings);
    }
    match serde_json::from_value(Json::Object(json)) {
        Ok(plan) => Ok((plan, reader.places)),
        Err(error) => {
            // The table let something through that the model refuses; the model has the last word.
            reader.error("wrong-value", Place::START, "", error.to_string(), "", "see docs/PLAN.md");
            Err(reader.findings)
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    findings: Vec<Finding>,
    places: Places,
}

impl Reader<'_> {
    fn error(&mut self, rule: &str, place: Place, key: &str, what: String, why: &str, write: &str) {
        self.findings.push(Finding {
            rule: rule.into(),
            severity: Severity::Error,
            file: self.file.into(),
            line: place.line,
            column: place.column,
            key: key.into(),
            what,
            why: why.into(),
            write: write.into(),
        });
    }

    /// A plan of another version has other keys: one finding says so in place of a hundred.
    fn other_version(&mut self, document: &Node) -> Option<Finding> {
        let Value::Map(entries) = &document.value else { return None };
        let version = entries.iter().find(|e| e.name == "version")?;
        match version.node.value {
            Value::Whole(found) if found != i128::from(PLAN_VERSION) => {
                let what = format!("this cozyup reads plan version {PLAN_VERSION}, the file has {found}");
                let why = "the meaning of keys may differ between versions";
                self.error(
                    "plan-version",
                    version.node.place,
                    "version",
                    what,
                    why,
                    "version: 1, or use the cozyup that wrote it",
                );
                self.findings.pop()
            }
            Value::Null
            | Value::Flag(_)
            | Value::Whole(_)
            | Value::Number
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => None,
        }
    }

    fn section(&mut self, path: &str, place: Place, keys: &'static [Key], node: &Node) -> Map<String, Json> {
        let mut json = Map::new();
        let nothing = Vec::new();
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &nothing,
            other => {
                let what = format!("is {}, not a section", kind_of(other));
                self.error(
                    "wrong-type",
                    node.place,
                    path,
                    what,
                    "a section holds `key: value` lines",
                    "see docs/PLAN.md",
                );
                return json;
            }
        };
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        for entry in entries {
            let at = join(path, &entry.name);
            if let Some(first) = seen.insert(entry.name.as_str(), entry.place) {
                let what = format!("stands twice, first in line {}", first.line);
                let why = "YAML wants unique keys; readers disagree on which one counts";
                self.error("duplicate-key", entry.place, &at, what, why, "one of the two");
            } else if let Some(key) = keys.iter().find(|k| k.name == entry.name) {
                if let Some(value) = self.value(&at, entry, key) {
                    json.insert(key.name.into(), value);
                }
            } else {
                self.unknown(path, entry, keys);
            }
        }
        for key in keys {
            if matches!(key.need, Need::Required) && !seen.contains_key(key.name) {
                let at = join(path, key.name);
                self.error("missing-key", place, &at, "is missing".into(), key.about, &written(key));
            }
        }
        json
    }

    fn unknown(&mut self, path: &str, entry: &Entry, keys: &'static [Key]) {
        let name = shorten(&clean(&entry.name), 60);
        let at = join(path, &name);
        let lower = name.to_lowercase();
        let secret = ["secret", "password", "token"].iter().any(|word| lower.contains(word));
        let known: Vec<&str> = keys.iter().map(|k| k.name).collect();
        let (why, write) = match nearest(&name, known.iter().copied()) {
            Some(near) => ("a key that is not read would be a wish not fulfilled".to_string(), format!("{near}:")),
            None if secret => (
                "the plan never holds a secret".to_string(),
                "the secret into the file that site.token_file names".to_string(),
            ),
            None => (format!("known here: {}", known.join(", ")), "nothing, or one of the known keys".to_string()),
        };
        self.error("unknown-key", entry.place, &at, "is no key of the plan".into(), &why, &write);
    }

    fn value(&mut self, at: &str, entry: &Entry, key: &'static Key) -> Option<Json> {
        let node = &entry.node;
        let place = match key.kind {
            Kind::Section(_) | Kind::Rows(_) | Kind::Strings | Kind::List(_) => entry.place,
            Kind::Text | Kind::Int { .. } | Kind::Bool | Kind::Pattern(_) => node.place,
        };
        self.places.insert(at.into(), place);
        if matches!(node.value, Value::Null) && !matches!(key.kind, Kind::Section(_)) {
            if matches!(key.need, Need::Required) {
                self.error("missing-key", entry.place, at, "has no value".into(), key.about, &written(key));
            }
            return None;
        }
        match &key.kind {
            Kind::Section(inner) => Some(Json::Object(self.section(at, entry.place, inner, node))),
            Kind::Rows(inner) => self.rows(at, inner, node),
            Kind::Int { least, most } => self.whole(at, key, node, *least, *most),
            Kind::Bool => match node.value {
                Value::Flag(flag) => Some(Json::Bool(flag)),
                Value::Null | Value::Whole(_) | Value::Number | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                    self.wrong_type(at, key, node, "true or false")
                }
            },
            Kind::Text => self.text(at, key, node, None).map(Json::String),
            Kind::Pattern(format) => self.text(at, key, node, Some(format)).map(Json::String),
            Kind::Strings => self.texts(at, key, node, None),
            Kind::List(format) => self.texts(at, key, node, Some(format)),
        }
    }

    fn rows(&mut self, at: &str, keys: &'static [Key], node: &Node) -> Option<Json> {
        let Value::List(items) = &node.value else {
            let what = format!("is {}, not a list", kind_of(&node.value));
            self.error("wrong-type", node.place, at, what, "a list has a `- ` before each item", "see docs/PLAN.md");
            return None;
        };
        let mut rows = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let at = format!("{at}[{i}]");
            self.places.insert(at.clone(), item.place);
            rows.push(Json::Object(self.section(&at, item.place, keys, item)));
        }
        Some(Json::Array(rows))
    }

    fn whole(&mut self, at: &str, key: &Key, node: &Node, least: u64, most: u64) -> Option<Json> {
        let Value::Whole(number) = node.value else {
            return self.wrong_type(at, key, node, "a whole number without quotes");
        };
        match u64::try_from(number) {
            Ok(fits) if (least..=most).contains(&fits) => Some(Json::from(fits)),
            Ok(_) | Err(_) => {
                let what = format!("{number} is outside {least} to {most}");
                self.error("wrong-value", node.place, at, what, key.about, &written(key));
                None
            }
        }
    }

    fn texts(&mut self, at: &str, key: &Key, node: &Node, format: Option<&Format>) -> Option<Json> {
        let Value::List(items) = &node.value else { return self.wrong_type(at, key, node, "a list") };
        let mut texts = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let at = format!("{at}[{i}]");
            self.places.insert(at.clone(), item.place);
            texts.extend(self.text(&at, key, item, format).map(Json::String));
        }
        Some(Json::Array(texts))
    }

    fn text(&mut self, at: &str, key: &Key, node: &Node, format: Option<&Format>) -> Option<String> {
        let Value::Text(text) = &node.value else {
            self.wrong_type(at, key, node, "text; put quotes around it if it looks like something else");
            return None;
        };
        match plain(text).and_then(|()| format.map_or(Ok(()), |f| (f.check)(text))) {
            Ok(()) => Some(text.clone()),
            Err(what) => {
                let rule = format.map_or("wrong-value", |f| f.rule);
                let why = if rule == "api-url" {
                    "clients append /api2/json themselves, and doubling it answers 501 or 404 (facts: Proxmox VE API, capmox)"
                } else {
                    key.about
                };
                self.error(rule, node.place, at, what, why, &written(key));
                None
            }
        }
    }

    fn wrong_type(&mut self, at: &str, key: &Key, node: &Node, wanted: &str) -> Option<Json> {
        let what = format!("is {}, it must be {wanted}", kind_of(&node.value));
        self.error("wrong-type", node.place, at, what, key.about, &written(key));
        None
    }
}

/// Checks the rules for every text of a plan: not empty, one line, nothing that a terminal would obey.
///
/// # Errors
/// The fault, as a fragment.
pub fn plain(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("is empty".into())
    } else if clean(text) != text {
        Err("has a line break, a control character, or a space at an end".into())
    } else {
        Ok(())
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

fn written(key: &Key) -> String {
    if key.example.is_empty() {
        format!("{}: …, see docs/PLAN.md", key.name)
    } else {
        format!("{}: {}", key.name, key.example)
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Flag(_) => "true or false",
        Value::Whole(_) => "a whole number",
        Value::Number => "a number with a fraction or an exponent",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a section",
    }
}
