//! Writes a plan as YAML in which every key is explained.
use super::keys::{self, Key, Kind, Need};
use super::model::Plan;
use super::pin::FirstUse;
use crate::base::file::write_public;
use crate::base::text::clean;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const WIDTH: usize = 110;

/// Replaces the file at `path` by [`render_with`]'s text (mode 0644). Comments that a person added are not kept: [`super::rewrite`]
/// keeps them.
///
/// # Errors
/// The operating system's, with the file's name in front.
pub fn save(path: &Path, plan: &Plan, trusted: &[FirstUse]) -> io::Result<()> {
    write_public(path, render_with(plan, trusted)?.as_bytes())
}

/// The plan as text; decoding it gives the same plan back.
///
/// # Errors
/// When the YAML writer refuses a value; no value of a decoded plan makes it.
pub fn render(plan: &Plan) -> io::Result<String> {
    render_with(plan, &[])
}

/// [`render`], with a comment above each digest that was trusted on first use.
///
/// # Errors
/// As [`render`].
pub fn render_with(plan: &Plan, trusted: &[FirstUse]) -> io::Result<String> {
    let json = serde_json::to_value(plan).map_err(io::Error::other)?;
    let remarks = trusted.iter().filter(|file| file.holds(plan)).map(|file| (file.pin.key(), file.remark())).collect();
    let mut writer = Writer { text: String::new(), remarks };
    writer.comment(
        0,
        "A plan of cozyup. Every key and every rule: docs/PLAN.md. Check it with `cozyup plan check FILE`.",
    );
    writer.section(0, "", keys::PLAN, &json, true)?;
    Ok(writer.text)
}

/// The lines of a key with its value, without a word about it.
pub(super) fn value(indent: usize, path: &str, key: &'static Key, value: &Json) -> io::Result<Vec<String>> {
    let mut writer = Writer::default();
    writer.value(indent, path, key, value, false)?;
    Ok(writer.text.lines().map(String::from).collect())
}

/// The lines of rows, each with its dash.
pub(super) fn rows(indent: usize, keys: &'static [Key], rows: &[Json]) -> io::Result<Vec<String>> {
    let mut writer = Writer::default();
    writer.rows(indent, keys, rows, false)?;
    Ok(writer.text.lines().map(String::from).collect())
}

/// The lines of a comment.
pub(super) fn comment(indent: usize, text: &str) -> Vec<String> {
    let mut writer = Writer::default();
    writer.comment(indent, &clean(text));
    writer.text.lines().map(String::from).collect()
}

/// A heading and items as comments, and an empty line behind them.
pub fn comments(heading: &str, items: &[String]) -> String {
    let mut writer = Writer::default();
    if items.is_empty() {
        return writer.text;
    }
    writer.comment(0, heading);
    items.iter().for_each(|item| writer.comment(0, &format!("- {}", clean(item))));
    writer.text.push('\n');
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
    /// A further comment above a key, by its whole name.
    remarks: BTreeMap<&'static str, String>,
}

impl Writer {
    /// `within` stands before the names of the keys: `image.`
    fn section(
        &mut self,
        indent: usize,
        within: &str,
        keys: &'static [Key],
        json: &Json,
        explained: bool,
    ) -> io::Result<()> {
        for key in keys {
            if indent == 0 && matches!(key.kind, Kind::Section(_) | Kind::Rows(_)) {
                self.text.push('\n');
            }
            let Some(value) = json.get(key.name).filter(|v| !v.is_null()) else {
                if explained {
                    self.left_out(indent, key);
                }
                continue;
            };
            if explained {
                self.comment(indent, key.about);
            }
            let path = format!("{within}{}", key.name);
            if let Some(remark) = self.remarks.remove(path.as_str()) {
                self.comment(indent, &clean(&remark));
            }
            self.value(indent, &path, key, value, explained)?;
        }
        Ok(())
    }

    fn value(&mut self, indent: usize, path: &str, key: &'static Key, value: &Json, explained: bool) -> io::Result<()> {
        let name = key.name;
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match &key.kind {
            Kind::Section(inner) => {
                self.line(indent, &format!("{name}:"));
                self.section(indent + 2, &format!("{path}."), inner, value, explained)?;
            }
            Kind::Rows(_) | Kind::Strings | Kind::List(_) if items.is_empty() => {
                self.line(indent, &format!("{name}: []"));
            }
            Kind::Rows(inner) => {
                self.line(indent, &format!("{name}:"));
                self.rows(indent + 2, inner, items, explained)?;
            }
            Kind::Strings | Kind::List(_) => {
                self.line(indent, &format!("{name}:"));
                for item in items {
                    self.line(indent + 2, &format!("- {}", scalar(item)?));
                }
            }
            Kind::Text | Kind::Int { .. } | Kind::Bool | Kind::Pattern(_) => {
                self.line(indent, &format!("{name}: {}", scalar(value)?));
            }
        }
        Ok(())
    }

    /// The keys of a row are explained once, above the first.
    fn rows(&mut self, indent: usize, keys: &'static [Key], rows: &[Json], explained: bool) -> io::Result<()> {
        for key in keys.iter().filter(|_| explained) {
            self.comment(indent, &format!("{}: {}", key.name, key.about));
        }
        for row in rows {
            let mut inside = Writer::default();
            inside.section(0, "", keys, row, false)?;
            for (n, line) in inside.text.lines().enumerate() {
                self.line(indent, &format!("{} {line}", if n == 0 { "-" } else { " " }));
            }
        }
        Ok(())
    }

    /// A key that the plan does not set, shown as a comment that a person can take the `#` from.
    fn left_out(&mut self, indent: usize, key: &Key) {
        let Need::Optional(then) = key.need else { return };
        self.comment(indent, &format!("{} Left out: {then}.", key.about));
        if let Kind::Rows(inner) = &key.kind {
            self.comment(indent, &format!("{}:", key.name));
            for (n, key) in inner.iter().enumerate() {
                let dash = if n == 0 { "-" } else { " " };
                self.line(indent, &format!("#   {dash} {}: {}", key.name, key.example));
            }
        } else {
            self.comment(indent, &format!("{}: {}", key.name, key.example));
        }
    }

    fn comment(&mut self, indent: usize, text: &str) {
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && indent + 3 + line.chars().count() + word.chars().count() > WIDTH {
                self.line(indent, &format!("# {line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(indent, &format!("# {line}"));
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// One value on one line, quoted where YAML 1.1 or 1.2 would read something else.
fn scalar(value: &Json) -> io::Result<String> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let mut text = serde_saphyr::to_string_with_options(value, options).map_err(io::Error::other)?;
    if text.trim_end().contains('\n') {
        // A double-quoted JSON text is YAML too, and never more than one line.
        text = value.to_string();
    }
    Ok(text.trim_end().to_string())
}
