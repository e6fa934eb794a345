//! The plan as a form. The plan is the state; only texts that are no value yet are kept beside it.
mod fetch;
mod site;

pub use fetch::FormFetch;
pub use site::{FormSite, List};

use crate::base::tls::Fingerprint;
use crate::plan::draft::Draft;
use crate::plan::finding::{Finding, Severity};
use crate::plan::form::{Field, NodeField, fields, next_node, node_fields};
use crate::plan::keys::{self, Kind};
use crate::plan::lint;
use crate::plan::model::{Plan, Role};
use crate::plan::pin::FirstUse;
use crate::tui::keymap::Context;
use crate::tui::line::TextLine;
use crate::tui::message::Cmd;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The section of the rows of `nodes`.
pub const MACHINES: &str = "machines";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormPane {
    Sections,
    Fields,
    Findings,
}

/// A field: a key of the plan, or a key of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldId {
    pub node: Option<usize>,
    field: usize,
}

/// A text that is no value of its field, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub text: String,
    pub reason: String,
}

#[derive(Debug)]
pub enum Prompt {
    SaveAs(TextLine),
    /// The reason for an override.
    Reason {
        rule: String,
        line: TextLine,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    Replace(PathBuf),
    Remove(usize),
    /// The certificate that the site shows is the right one.
    Trust {
        fingerprint: Fingerprint,
        described: String,
    },
    /// Throw away what was typed.
    Anew,
    /// Take the digest of what is there now in place of the plan's.
    OtherDigest(FirstUse),
}

#[derive(Debug)]
pub struct FormModel {
    pub plan: Plan,
    /// As it was opened or saved.
    pub saved: Plan,
    /// The file where it was opened or saved.
    pub path: Option<PathBuf>,
    /// It is being written.
    pub saving: bool,
    wrong: BTreeMap<FieldId, Wrong>,
    pub pane: FormPane,
    pub section: usize,
    /// Into [`FormModel::ids`] of the section.
    pub row: usize,
    pub finding: usize,
    pub edit: Option<(FieldId, TextLine)>,
    pub prompt: Option<Prompt>,
    pub confirm: Option<Confirm>,
    pub site: FormSite,
    pub list: Option<List>,
    pub fetch: FormFetch,
    /// The digests that were had by fetching, also former ones.
    pub trusted: Vec<FirstUse>,
    /// The draft as it was kept last; `None`: there is none.
    kept: Option<Draft>,
    /// The findings of the rules about `plan`, the gravest first.
    pub findings: Vec<Finding>,
}

static SECTIONS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut sections: Vec<&'static str> = Vec::new();
    for field in fields() {
        if !sections.contains(&field.section) {
            sections.push(field.section);
        }
    }
    let after = sections.iter().position(|s| *s == "template").map_or(sections.len(), |at| at + 1);
    sections.insert(after, MACHINES);
    sections
});

pub fn sections() -> &'static [&'static str] {
    &SECTIONS
}

enum Of {
    Plan(&'static Field),
    Node(usize, &'static NodeField),
}

impl FieldId {
    fn of(self) -> Option<Of> {
        match self.node {
            None => fields().get(self.field).map(Of::Plan),
            Some(node) => node_fields().get(self.field).map(|f| Of::Node(node, f)),
        }
    }

    pub fn label(self) -> &'static str {
        self.of().map_or("", |of| match of {
            Of::Plan(f) => f.label,
            Of::Node(_, f) => f.label,
        })
    }

    pub fn help(self) -> &'static str {
        self.of().map_or("", |of| match of {
            Of::Plan(f) => f.help,
            Of::Node(_, f) => f.help,
        })
    }

    /// As findings name it: `network.vip`, `nodes[2].vmid`.
    pub fn key(self) -> String {
        self.of().map_or(String::new(), |of| match of {
            Of::Plan(f) => f.key.to_string(),
            Of::Node(node, f) => format!("nodes[{node}].{}", f.key),
        })
    }

    fn schema(self) -> Option<&'static keys::Key> {
        self.of().and_then(|of| match of {
            Of::Plan(f) => keys::find(f.key),
            Of::Node(_, f) => keys::find(&format!("nodes[].{}", f.key)),
        })
    }

    pub fn is_flag(self) -> bool {
        self.schema().is_some_and(|key| matches!(key.kind, Kind::Bool))
    }

    pub fn example(self) -> &'static str {
        self.schema().map_or("", |key| key.example)
    }
}

impl FormModel {
    pub fn new(plan: Plan, path: Option<PathBuf>) -> Self {
        let mut form = FormModel {
            saved: plan.clone(),
            plan,
            path,
            saving: false,
            wrong: BTreeMap::new(),
            pane: FormPane::Sections,
            section: 0,
            row: 0,
            finding: 0,
            edit: None,
            prompt: None,
            confirm: None,
            site: FormSite::Unasked,
            list: None,
            fetch: FormFetch::Nothing,
            trusted: Vec::new(),
            kept: None,
            findings: Vec::new(),
        };
        form.judge();
        form
    }

    pub fn context(&self) -> Context {
        match (&self.confirm, &self.prompt, &self.edit) {
            (Some(_), _, _) => Context::Confirm,
            (None, Some(_), _) => Context::Prompt,
            (None, None, _) if self.has_list() => Context::List,
            (None, None, Some(_)) => Context::Edit,
            (None, None, None) => Context::Form,
        }
    }

    pub fn is_unsaved(&self) -> bool {
        self.plan != self.saved || !self.wrong.is_empty()
    }

    pub fn section_name(&self) -> &'static str {
        sections().get(self.section).copied().unwrap_or_default()
    }

    /// The fields of a section, in the order of the file.
    pub fn ids_of(&self, section: &str) -> Vec<FieldId> {
        if section == MACHINES {
            let of_node = |node| (0..node_fields().len()).map(move |field| FieldId { node: Some(node), field });
            return (0..self.plan.nodes.len()).flat_map(of_node).collect();
        }
        let in_section = fields().iter().enumerate().filter(|(_, f)| f.section == section);
        in_section.map(|(field, _)| FieldId { node: None, field }).collect()
    }

    /// The fields of all sections.
    pub fn all_ids(&self) -> Vec<FieldId> {
        sections().iter().flat_map(|section| self.ids_of(section)).collect()
    }

    pub fn ids(&self) -> Vec<FieldId> {
        self.ids_of(self.section_name())
    }

    /// The field under the cursor.
    pub fn current(&self) -> Option<FieldId> {
        self.ids().get(self.row).copied()
    }

    /// The content of the field: the value, or the text that is no valid value.
    pub fn text(&self, id: FieldId) -> String {
        match self.wrong.get(&id) {
            Some(wrong) => wrong.text.clone(),
            None => value(&self.plan, id),
        }
    }

    pub fn wrong(&self, id: FieldId) -> Option<&Wrong> {
        self.wrong.get(&id)
    }

    /// The first field with a text that is no value.
    pub fn first_wrong(&self) -> Option<(FieldId, &Wrong)> {
        self.wrong.iter().next().map(|(id, wrong)| (*id, wrong))
    }

    pub fn wrong_count(&self) -> usize {
        self.wrong.len()
    }

    /// Takes a text for a field: into the plan when it is a value, else beside it with the reason.
    pub fn put(&mut self, id: FieldId, text: &str) {
        if self.fetch.pin().is_some_and(|pin| !self.fetch.is_underway() && pin.key() == id.key()) {
            self.fetch = FormFetch::Nothing;
        }
        let result = match id.of() {
            Some(Of::Plan(field)) => (field.set)(&mut self.plan, text),
            Some(Of::Node(node, field)) => field.put(&mut self.plan, node, text),
            None => Ok(()),
        };
        match result {
            Ok(()) => {
                self.wrong.remove(&id);
            }
            Err(reason) => {
                self.wrong.insert(id, Wrong { text: text.to_string(), reason });
            }
        }
        self.judge();
    }

    /// `replace`: a file that is there already may go.
    pub fn save(&mut self, path: PathBuf, replace: bool) -> Cmd {
        self.saving = true;
        Cmd::Save { path, plan: Box::new(self.plan.clone()), trusted: self.trusted.clone(), replace }
    }

    /// The field as it was opened or saved; a machine that was not there then stays as it is.
    pub fn revert(&mut self, id: FieldId) {
        if id.node.is_none_or(|node| node < self.saved.nodes.len()) {
            self.put(id, &value(&self.saved, id));
        }
    }

    /// The machine's place in the list, or `None` when no name, VMID or address is free.
    pub fn add(&mut self, role: Role) -> Option<usize> {
        let node = next_node(&self.plan, role)?;
        self.plan.nodes.push(node);
        self.judge();
        Some(self.plan.nodes.len() - 1)
    }

    pub fn remove(&mut self, node: usize) {
        if node >= self.plan.nodes.len() {
            return;
        }
        self.plan.nodes.remove(node);
        // The machines behind it move up, and so do the texts that are kept for them.
        self.wrong = std::mem::take(&mut self.wrong)
            .into_iter()
            .filter(|(id, _)| id.node != Some(node))
            .map(|(id, wrong)| (FieldId { node: id.node.map(|n| if n > node { n - 1 } else { n }), ..id }, wrong))
            .collect();
        self.row = self.row.min(self.ids().len().saturating_sub(1));
        self.judge();
    }

    /// Asks the rules again.
    pub fn judge(&mut self) {
        self.findings = lint::lint(&self.plan);
        self.findings.sort_by_key(|f| f.severity);
        self.finding = self.finding.min(self.findings.len().saturating_sub(1));
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }

    /// The gravest finding about a field.
    pub fn finding_of(&self, id: FieldId) -> Option<&Finding> {
        let key = id.key();
        self.findings.iter().find(|f| names(&f.key, &key))
    }

    /// The gravest severity in a section, a text that is no value counting as an error.
    pub fn severity_of(&self, section: &str) -> Option<Severity> {
        let ids = self.ids_of(section);
        if ids.iter().any(|id| self.wrong.contains_key(id)) {
            return Some(Severity::Error);
        }
        let about = |f: &&Finding| section_of(&f.key) == section;
        self.findings.iter().filter(about).map(|f| f.severity).min()
    }

    /// Puts the cursor on the field that a finding names; false when no field has it.
    pub fn go_to(&mut self, key: &str) -> bool {
        let section = section_of(key);
        let Some(at) = sections().iter().position(|s| *s == section) else { return false };
        let row = self.ids_of(section).iter().position(|id| names(key, &id.key()) || id.key().starts_with(key));
        self.section = at;
        self.row = row.unwrap_or(0);
        self.pane = FormPane::Fields;
        row.is_some()
    }
}

fn value(plan: &Plan, id: FieldId) -> String {
    match id.of() {
        Some(Of::Plan(field)) => (field.get)(plan),
        Some(Of::Node(node, field)) => field.of(plan, node),
        None => String::new(),
    }
}

/// True when a finding's key is the field's or lies in it: `network.dns[1]` lies in `network.dns`.
fn names(found: &str, key: &str) -> bool {
    found.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

fn section_of(key: &str) -> &str {
    if key.starts_with("nodes") {
        return MACHINES;
    }
    match key.split_once(['.', '[']) {
        Some((section, _)) => section,
        None if sections().contains(&key) => key,
        None => "plan",
    }
}
