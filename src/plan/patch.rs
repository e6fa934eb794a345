//! Writes a changed plan into the text that a person has written: only what has changed is written anew, so that comments stay.
use super::keys::{self, Key, Kind};
use super::load::decode;
use super::model::Plan;
use super::pin::FirstUse;
use super::tree::{self, Entry, Node, Value};
use super::write;
use crate::base::file;
use serde_json::Value as Json;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The first words of what [`FirstUse::remark`] says, as a comment.
const REMARK: &str = "# Trusted on first use:";

/// Most copies of one plan that are kept aside.
const COPIES: u32 = 100;

/// Writes `plan` into the file at `path` (mode 0644): of a plan that is there only what has changed, so that a person's comments stay.
/// Where that can't be done the whole file is written anew, and what was there is kept in a file beside it, whose name is returned.
///
/// # Errors
/// The operating system's, with the file's name in front; the old file is then still whole.
pub fn rewrite(path: &Path, plan: &Plan, trusted: &[FirstUse]) -> io::Result<Option<PathBuf>> {
    if fs::symlink_metadata(path).is_err() {
        return write::save(path, plan, trusted).map(|()| None);
    }
    // A file that is no text, or too long, is no plan.
    let old = file::read_text(path).ok();
    if let Some(text) = old.as_deref().and_then(|old| patched(old, plan, trusted)) {
        return file::write_public(path, text.as_bytes()).map(|()| None);
    }
    let aside = match fs::metadata(path) {
        Ok(found) if found.is_file() => Some(keep_aside(path, found.permissions().mode())?),
        Ok(_) | Err(_) => None,
    };
    write::save(path, plan, trusted)?;
    Ok(aside)
}

/// A copy under the first free name of `NAME.bak`, `NAME.bak.2`, ... with the same mode.
fn keep_aside(path: &Path, mode: u32) -> io::Result<PathBuf> {
    let bytes = fs::read(path)?;
    for n in 1..=COPIES {
        let mut name = path.as_os_str().to_owned();
        name.push(if n == 1 { ".bak".to_string() } else { format!(".bak.{n}") });
        let aside = PathBuf::from(name);
        match fs::OpenOptions::new().write(true).create_new(true).mode(mode & 0o777).open(&aside) {
            Ok(mut file) => {
                file.write_all(&bytes)?;
                file.sync_all()?;
                return Ok(aside);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", aside.display()))),
        }
    }
    Err(io::Error::other(format!("{}: there are {COPIES} copies of it already; remove some", path.display())))
}

/// The old text with the values of `plan`; `None` when the old text is no plan, or has a form in which a value can't be replaced by
/// itself. Reading the new text gives `plan`.
pub fn patched(old: &str, plan: &Plan, trusted: &[FirstUse]) -> Option<String> {
    let before = decode(old, "").ok()?.plan;
    let root = tree::read(old).ok()?;
    let (was, is) = (serde_json::to_value(&before).ok()?, serde_json::to_value(plan).ok()?);
    let mut patch = Patch { lines: old.lines().map(String::from).collect(), edits: Vec::new() };
    let Value::Map(entries) = &root.value else { return None };
    patch.section("", keys::PLAN, entries, (&was, &is)).ok()?;
    for file in trusted.iter().filter(|file| file.holds(plan)) {
        patch.remark(entries, file);
    }
    for pin in super::pin::Pin::ALL {
        if (pin.source(&before), pin.digest(&before)) != (pin.source(plan), pin.digest(plan)) {
            patch.forget_remark(entries, pin.key());
        }
    }
    let text = patch.text();
    (decode(&text, "").ok()?.plan == *plan).then_some(text)
}

/// A part of the text that is replaced: so many lines from a line on, counted from 1.
struct Edit {
    from: usize,
    lines: usize,
    by: Vec<String>,
}

struct Patch {
    lines: Vec<String>,
    edits: Vec<Edit>,
}

/// The last line on which a part of the value stands.
fn end(node: &Node) -> usize {
    let inner = match &node.value {
        Value::List(items) => items.iter().map(end).max(),
        Value::Map(entries) => entries.iter().map(|entry| end(&entry.node).max(entry.place.line)).max(),
        Value::Null | Value::Flag(_) | Value::Whole(_) | Value::Number | Value::Text(_) => None,
    };
    node.place.line.max(inner.unwrap_or(0))
}

/// The entries of a map of which each stands on lines of its own, below its name.
fn block(node: &Node) -> Option<&[Entry]> {
    let Value::Map(entries) = &node.value else { return None };
    let stand_apart = entries.windows(2).all(|pair| match pair {
        [one, next] => next.place.line > end(&one.node).max(one.place.line),
        _ => true,
    });
    (stand_apart && !entries.is_empty()).then_some(entries)
}

fn name_of(row: &Json) -> Option<&str> {
    row.get("name").and_then(Json::as_str)
}

impl Patch {
    /// Brings the keys of one section from what was to what is.
    fn section(
        &mut self,
        within: &str,
        keys: &'static [Key],
        entries: &[Entry],
        (was, is): (&Json, &Json),
    ) -> io::Result<()> {
        let (first, last) = (
            entries.first().map_or(1, |first| first.place.line),
            entries.iter().map(|entry| end(&entry.node).max(entry.place.line)).max().unwrap_or(0),
        );
        let mut new = Vec::new();
        for key in keys {
            let value = |of: &Json| of.get(key.name).filter(|value| !value.is_null()).cloned();
            let (before, now) = (value(was), value(is));
            let path = format!("{within}{}", key.name);
            match (entries.iter().find(|entry| entry.name == key.name), now) {
                (_, now) if before == now => {}
                (Some(entry), Some(now)) => self.entry(&path, key, entry, (&before.unwrap_or_default(), &now))?,
                (Some(entry), None) => self.replace(entry.place.line, end(&entry.node), Vec::new()),
                (None, Some(now)) => {
                    let indent = entries.first().map_or(0, |first| first.place.column - 1);
                    let by = write::value(indent, &path, key, &now)?;
                    match self.left_out(indent, key.name, (first, last)) {
                        Some(below) => self.edits.push(Edit { from: below + 1, lines: 0, by }),
                        None => new.extend(by),
                    }
                }
                (None, None) => {}
            }
        }
        if !new.is_empty() {
            self.edits.push(Edit { from: last + 1, lines: 0, by: new });
        }
        Ok(())
    }

    /// The last of the comment lines that show a key which is left out: `# vlan: 100`. The last key of a section may stand below `last`.
    fn left_out(&self, indent: usize, name: &str, (first, last): (usize, usize)) -> Option<usize> {
        let air = " ".repeat(indent);
        let shown = format!("{air}# {name}:");
        let is_comment = |line: &&String| line.trim_start().starts_with('#');
        let behind = self.lines.get(last..).unwrap_or_default().iter().take_while(is_comment).count();
        let lines = self.lines.get(first - 1..last + behind)?;
        let at = lines.iter().position(|line| line.starts_with(&shown))?;
        let more = lines.get(at + 1..).unwrap_or_default().iter();
        Some(first + at + more.take_while(|line| line.starts_with(&format!("{air}#   "))).count())
    }

    fn entry(&mut self, path: &str, key: &'static Key, entry: &Entry, (was, is): (&Json, &Json)) -> io::Result<()> {
        let is_below = entry.node.place.line > entry.place.line;
        match (&key.kind, &entry.node.value) {
            (Kind::Section(inner), _) if is_below && block(&entry.node).is_some() => {
                self.section(&format!("{path}."), inner, block(&entry.node).unwrap_or_default(), (was, is))
            }
            (Kind::Rows(inner), Value::List(rows)) if is_below && self.rows(inner, rows, (was, is))? => Ok(()),
            (Kind::Section(_) | Kind::Rows(_), _) => self.whole(path, key, entry, is),
            (Kind::Text | Kind::Int { .. } | Kind::Bool | Kind::Pattern(_) | Kind::Strings | Kind::List(_), _) => {
                self.whole(path, key, entry, is)
            }
        }
    }

    /// Writes the value anew where it stands, with the comment behind it.
    fn whole(&mut self, path: &str, key: &'static Key, entry: &Entry, is: &Json) -> io::Result<()> {
        let (line, column) = (entry.place.line, entry.place.column);
        let mut by = write::value(column - 1, path, key, is)?;
        let old = self.lines.get(line - 1).cloned().unwrap_or_default();
        let lead: String = old.chars().take(column - 1).collect();
        let behind = trailing(&old).map(|comment| format!(" {comment}")).unwrap_or_default();
        if let Some(first) = by.first_mut() {
            *first = format!("{lead}{}{behind}", first.trim_start());
        }
        self.replace(line, end(&entry.node), by);
        Ok(())
    }

    /// False where the rows can't be brought along one by one.
    fn rows(&mut self, keys: &'static [Key], rows: &[Node], (was, is): (&Json, &Json)) -> io::Result<bool> {
        let (Some(was), Some(is)) = (was.as_array(), is.as_array()) else { return Ok(false) };
        let blocks: Vec<Option<&[Entry]>> = rows.iter().map(block).collect();
        if rows.len() != was.len() || is.is_empty() || blocks.iter().any(Option::is_none) {
            return Ok(false);
        }
        // Rows are the same by their place, or by their names where some were added or removed.
        let stays = |row: &Json| is.iter().any(|new| name_of(new).is_some() && name_of(new) == name_of(row));
        let kept: Vec<usize> = match was.len() == is.len() {
            true => (0..was.len()).collect(),
            false => (0..was.len()).filter(|n| was.get(*n).is_some_and(stays)).collect(),
        };
        let same = |(n, old): (usize, &usize)| {
            let names = was.get(*old).and_then(name_of).zip(is.get(n).and_then(name_of));
            was.len() == is.len() || names.is_some_and(|(old, new)| old == new)
        };
        if kept.is_empty() || kept.len() > is.len() || !kept.iter().enumerate().all(|(n, old)| same((n, old))) {
            return Ok(false);
        }
        for (n, row) in rows.iter().enumerate().filter(|(n, _)| !kept.contains(n)) {
            debug_assert!(n < was.len());
            self.replace(row.place.line, end(row), Vec::new());
        }
        for (new, old) in kept.iter().enumerate() {
            if let (Some(Some(entries)), Some(was), Some(is)) = (blocks.get(*old), was.get(*old), is.get(new)) {
                self.section("", keys, entries, (was, is))?;
            }
        }
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(false) };
        let added = is.get(kept.len()..).unwrap_or_default();
        if !added.is_empty() {
            let by = write::rows(first.place.column.saturating_sub(3), keys, added)?;
            self.edits.push(Edit { from: end(last) + 1, lines: 0, by });
        }
        Ok(true)
    }

    fn replace(&mut self, from: usize, to: usize, by: Vec<String>) {
        self.edits.push(Edit { from, lines: to.max(from) + 1 - from, by });
    }

    /// The line of a key such as `image.sha256`.
    fn line_of(entries: &[Entry], path: &str) -> Option<(usize, usize)> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let entry = entries.iter().find(|entry| entry.name == name)?;
        match (rest, &entry.node.value) {
            (None, _) => Some((entry.place.line, entry.place.column)),
            (Some(rest), Value::Map(inner)) => Patch::line_of(inner, rest),
            (Some(_), _) => None,
        }
    }

    /// The lines of the remark above this line, as a range; empty where there is none.
    fn remark_above(&self, line: usize) -> std::ops::Range<usize> {
        let is_comment = |n: &usize| self.lines.get(n - 1).is_some_and(|text| text.trim_start().starts_with('#'));
        let comments = (1..line).rev().take_while(is_comment);
        let begins = |n: &usize| self.lines.get(n - 1).is_some_and(|text| text.trim_start().starts_with(REMARK));
        comments.into_iter().find(begins).map_or(line..line, |from| from..line)
    }

    /// Says above the digest that it was trusted on first use.
    fn remark(&mut self, entries: &[Entry], file: &FirstUse) {
        let Some((line, column)) = Patch::line_of(entries, file.pin.key()) else { return };
        let by = write::comment(column - 1, &file.remark());
        let there = self.remark_above(line);
        if self.lines.get(there.start - 1..there.end - 1).is_some_and(|old| old != by) || there.is_empty() {
            self.edits.push(Edit { from: there.start, lines: there.len(), by });
        }
    }

    /// What was said of another file, or of another digest, is not so any more.
    fn forget_remark(&mut self, entries: &[Entry], key: &str) {
        let Some((line, _)) = Patch::line_of(entries, key) else { return };
        let there = self.remark_above(line);
        if !there.is_empty() && !self.edits.iter().any(|edit| edit.from == there.start && edit.lines == there.len()) {
            self.edits.push(Edit { from: there.start, lines: there.len(), by: Vec::new() });
        }
    }

    /// From the end on, so that the numbers of the lines before stay true. Of those at one place what is replaced comes first, and of what
    /// is put before it the first stays in front.
    fn text(mut self) -> String {
        self.edits.sort_by_key(|edit| (edit.from, edit.lines > 0));
        for edit in self.edits.into_iter().rev() {
            let from = (edit.from - 1).min(self.lines.len());
            let to = (from + edit.lines).min(self.lines.len());
            self.lines.splice(from..to, edit.by);
        }
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The comment behind a value on its line.
fn trailing(line: &str) -> Option<&str> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return line.get(at..),
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, _) => {}
        }
        before = c;
    }
    None
}

#[cfg(test)]
mod tests;
