//! Keys in the plan form. What is typed goes into the plan at once, or is kept beside it with the reason why not.
use super::{Around, form_fetch, form_machines, form_site, moved};
use crate::plan::finding::Severity;
use crate::plan::lint;
use crate::plan::model::{Override, Plan, Role};
use crate::tui::keymap::Action;
use crate::tui::line::TextLine;
use crate::tui::message::{Cmd, SaveError};
use crate::tui::model::form::{Confirm, FieldId, FormModel, FormPane, MACHINES, Prompt, sections};
use crate::tui::model::home::{HomeModel, Place};
use crossterm::event::KeyEvent;
use std::path::{Path, PathBuf};

pub fn act(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let Some(form) = &mut home.form else {
        home.place = Place::Menu;
        return Vec::new();
    };
    if let Some(confirm) = form.confirm.take() {
        return confirmed(home, confirm, action, around);
    }
    if form.has_list() {
        return form_site::in_list(home, action, around);
    }
    if form.prompt.is_some() {
        return in_prompt(home, action, around);
    }
    if let Some((id, _)) = &form.edit {
        let id = *id;
        in_edit(form, id, action, around);
        return Vec::new();
    }
    if form_machines::takes(form, action, around) {
        return Vec::new();
    }
    match action {
        Action::Back => {
            home.place = Place::Menu;
            Vec::new()
        }
        Action::Save => {
            ask_save(home, around);
            Vec::new()
        }
        Action::Use => open_run(home, around),
        Action::Connect | Action::Anew | Action::Describe => form_site::act(home, action, around),
        Action::Fetch => form_fetch::act(home, around),
        _ => {
            in_form(form, action, around);
            Vec::new()
        }
    }
}

fn confirmed(home: &mut HomeModel, confirm: Confirm, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let Some(form) = &mut home.form else { return Vec::new() };
    if action != Action::Yes {
        return Vec::new();
    }
    match confirm {
        Confirm::Trust { fingerprint, .. } => {
            form.plan.site.fingerprint = Some(fingerprint);
            form.judge();
            form_site::connect(home, around)
        }
        Confirm::Anew => {
            let fetches = form.fetch.is_underway();
            form.begin_anew();
            fetches.then_some(Cmd::StopFetch).into_iter().collect()
        }
        Confirm::OtherDigest(file) => {
            form.trust(file);
            Vec::new()
        }
        Confirm::Replace(path) => {
            vec![form.save(path, true)]
        }
        Confirm::Remove(node) => {
            form.remove(node);
            Vec::new()
        }
    }
}

fn in_prompt(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let Some(form) = &mut home.form else { return Vec::new() };
    if action != Action::Enter {
        form.prompt = None;
        return Vec::new();
    }
    match form.prompt.take() {
        Some(Prompt::SaveAs(line)) if line.text().trim().is_empty() => {
            form.prompt = Some(Prompt::SaveAs(line));
            around.say("type the name of the file");
        }
        Some(Prompt::SaveAs(line)) => {
            let path = home.path_of(&line.text());
            return home.form.as_mut().map(|form| form.save(path, false)).into_iter().collect();
        }
        Some(Prompt::Reason { rule, line }) if line.text().trim().is_empty() => {
            form.prompt = Some(Prompt::Reason { rule, line });
            around.say("a rule is set aside only with a reason");
        }
        Some(Prompt::Reason { rule, line }) => {
            form.plan.overrides.push(Override { rule, reason: line.text().trim().to_string() });
            form.judge();
        }
        None => {}
    }
    Vec::new()
}

fn in_edit(form: &mut FormModel, id: FieldId, action: Action, around: &Around<'_>) {
    // The text is in the plan or beside it already: every way out keeps it.
    form.edit = None;
    match action {
        Action::NextPane => {
            step(form, true);
            edit(form);
        }
        Action::PreviousPane => {
            step(form, false);
            edit(form);
        }
        Action::Down | Action::Up if around.drawn.table => {
            form_machines::moved_to(form, action, 1);
        }
        Action::Down => step(form, true),
        Action::Up => step(form, false),
        _ => {
            let row = form.ids().iter().position(|i| *i == id);
            form.row = row.unwrap_or(form.row);
        }
    }
}

/// To the next or the previous field, over the borders of sections.
fn step(form: &mut FormModel, forward: bool) {
    let last = form.ids().len().saturating_sub(1);
    if forward && form.row < last {
        form.row += 1;
    } else if forward && form.section + 1 < sections().len() {
        form.section += 1;
        form.row = 0;
    } else if !forward && form.row > 0 {
        form.row -= 1;
    } else if !forward && form.section > 0 {
        form.section -= 1;
        form.row = form.ids().len().saturating_sub(1);
    }
}

pub fn edit(form: &mut FormModel) {
    if let Some(id) = form.current() {
        form.pane = FormPane::Fields;
        form.edit = Some((id, TextLine::new(&form.text(id))));
    }
}

pub fn typed(form: &mut FormModel, event: KeyEvent) {
    change(form, |line| line.key(event));
}

pub fn paste(form: &mut FormModel, text: &str) {
    change(form, |line| line.paste(text));
}

/// Edits whatever text is open; a field is judged at once.
fn change(form: &mut FormModel, edit: impl FnOnce(&mut TextLine)) {
    match &mut form.prompt {
        Some(Prompt::SaveAs(line) | Prompt::Reason { line, .. }) => edit(line),
        None => {
            if let Some((id, line)) = &mut form.edit {
                edit(line);
                let (id, text) = (*id, line.text());
                form.put(id, &text);
            }
        }
    }
}

fn in_form(form: &mut FormModel, action: Action, around: &mut Around<'_>) {
    let (at, last) = match form.pane {
        FormPane::Sections => (form.section, sections().len().saturating_sub(1)),
        FormPane::Fields => (form.row, form.ids().len().saturating_sub(1)),
        FormPane::Findings => (form.finding, form.findings.len().saturating_sub(1)),
    };
    if let Some(to) = moved(action, at, last, around.drawn.page) {
        match form.pane {
            FormPane::Sections => {
                form.section = to;
                form.row = 0;
            }
            FormPane::Fields => form.row = to,
            FormPane::Findings => form.finding = to,
        }
        return;
    }
    match action {
        Action::NextPane => {
            form.pane = match form.pane {
                FormPane::Sections => FormPane::Fields,
                FormPane::Fields => FormPane::Findings,
                FormPane::Findings => FormPane::Sections,
            }
        }
        Action::PreviousPane => {
            form.pane = match form.pane {
                FormPane::Sections => FormPane::Findings,
                FormPane::Fields => FormPane::Sections,
                FormPane::Findings => FormPane::Fields,
            }
        }
        Action::Left => form.pane = FormPane::Sections,
        Action::Right => form.pane = FormPane::Fields,
        Action::Enter => match form.pane {
            FormPane::Sections => form.pane = FormPane::Fields,
            FormPane::Fields => enter(form),
            FormPane::Findings => {
                let key = form.findings.get(form.finding).map(|f| f.key.clone()).unwrap_or_default();
                if !form.go_to(&key) {
                    around.say("no single field has it: the section is open");
                }
            }
        },
        Action::Toggle => toggle(form),
        Action::Revert => {
            if let Some(id) = form.current() {
                form.revert(id);
                around.say(format!("{} is {} again", id.label(), form.text(id)));
            }
        }
        Action::AddControlPlane => add(form, Role::ControlPlane, around),
        Action::AddWorker => add(form, Role::Worker, around),
        Action::Remove => match form.current().and_then(|id| id.node) {
            Some(node) => form.confirm = Some(Confirm::Remove(node)),
            None => around.say("go to a machine first: section `machines`"),
        },
        Action::SetAside => set_aside(form, around),
        _ => {}
    }
}

fn enter(form: &mut FormModel) {
    match form.current() {
        Some(id) if id.is_flag() => toggle(form),
        Some(id) if form_site::list(form, id) => {}
        Some(_) | None => edit(form),
    }
}

fn toggle(form: &mut FormModel) {
    if let Some(id) = form.current().filter(|id| id.is_flag()) {
        let to = if form.text(id) == "true" { "false" } else { "true" };
        form.put(id, to);
    }
}

fn add(form: &mut FormModel, role: Role, around: &mut Around<'_>) {
    match form.add(role) {
        Some(node) => {
            form.section = sections().iter().position(|s| *s == MACHINES).unwrap_or(0);
            form.pane = FormPane::Fields;
            form.row = form.ids().iter().position(|id| id.node == Some(node)).unwrap_or(0);
            let name = form.plan.nodes.get(node).map(|n| n.name.clone()).unwrap_or_default();
            around.say(format!("{name} added; d removes it"));
        }
        None => around.say("no name, VMID or address is free for another machine"),
    }
}

fn set_aside(form: &mut FormModel, around: &mut Around<'_>) {
    let Some(finding) = form.findings.get(form.finding).filter(|_| form.pane == FormPane::Findings) else {
        around.say("go to a finding first: Tab");
        return;
    };
    let overridable = lint::rule(&finding.rule).is_some_and(|rule| rule.overridable);
    if !overridable || finding.severity == Severity::Note {
        around.say(format!("{} can't be set aside", finding.rule));
        return;
    }
    form.prompt = Some(Prompt::Reason { rule: finding.rule.clone(), line: TextLine::new("") });
}

fn ask_save(home: &mut HomeModel, around: &mut Around<'_>) {
    let Some(form) = &mut home.form else { return };
    if let Some((id, wrong)) = form.first_wrong() {
        around.say(format!("{}: {}", id.label(), wrong.reason));
        let key = id.key();
        form.go_to(&key);
        return;
    }
    let name = match &form.path {
        Some(path) => path.clone(),
        None => home.home.cwd.join(format!("{}.yaml", form.plan.name)),
    };
    let shown = home.shown_path(&name);
    if let Some(form) = &mut home.form {
        form.prompt = Some(Prompt::SaveAs(TextLine::new(&shown)));
    }
}

fn open_run(home: &mut HomeModel, around: &mut Around<'_>) -> Vec<Cmd> {
    let Some(form) = &mut home.form else { return Vec::new() };
    let errors = form.count(Severity::Error);
    match &form.path {
        _ if form.is_unsaved() => around.say("save the plan first: s"),
        None => around.say("save the plan first: s"),
        Some(_) if errors > 0 => {
            form.pane = FormPane::Findings;
            form.finding = 0;
            around.say(format!("{} to mend first; Enter goes to the field", counted(errors)));
        }
        Some(path) => {
            home.reading = true;
            return vec![Cmd::Load(path.clone())];
        }
    }
    Vec::new()
}

pub fn saved(
    form: &mut FormModel,
    path: &Path,
    plan: Plan,
    result: Result<Option<PathBuf>, SaveError>,
    shown: &str,
    around: &mut Around<'_>,
) {
    form.saving = false;
    match result {
        Ok(aside) => {
            form.path = Some(path.to_path_buf());
            form.saved = plan;
            let errors = form.count(Severity::Error);
            let old = aside.and_then(|aside| Some(aside.file_name()?.to_string_lossy().into_owned()));
            let old = old.map(|name| format!(" (what was there: {name})")).unwrap_or_default();
            around.say(match errors {
                0 => format!("saved as {shown}{old}; x opens its run"),
                n => format!("saved as {shown}{old}; {} to be mended before it can run", counted(n)),
            });
        }
        Err(SaveError::Exists) => form.confirm = Some(Confirm::Replace(path.to_path_buf())),
        Err(SaveError::Failed(reason)) => around.say(format!("not saved: {reason}")),
    }
}

fn counted(errors: usize) -> String {
    if errors == 1 { "1 error".to_string() } else { format!("{errors} errors") }
}
