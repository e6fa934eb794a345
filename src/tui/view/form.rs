//! The plan as a form.
//!
//! ```text
//!  plan cozy-new  unsaved                        1 error  2 warnings  0 notes
//! >Sections -----|>network -------------------------------------------------
//!   plan         |   subnet          10.0.0.0/24
//!   site       ! | > API address     10.0.0                        x error
//!   machines   x |     `10.0.0` is no IPv4 address: write four numbers
//!   network      |   gateway         10.0.0.1
//!  The cluster's API address ...                    help of the field
//!  Findings ----------------------------------------------------------------
//!   x error    image.sha256: ...
//! ```
//! Below 60 columns sections and fields take turns.
//! Signs at the right of a section or a field: the gravest finding about it.
use super::page::{Page, cell, dialog, fit, pane, put, put_line, row, rows, top_for, wrap};
use super::{form_fetch, form_machines, form_site};
use crate::plan::{Finding, Severity};
use crate::tui::model::form::{Confirm, FieldId, FormModel, FormPane, MACHINES, Prompt, sections};
use crate::tui::model::home::HomeModel;
use crate::tui::model::{Drawn, Model};
use crate::tui::theme::{Sign, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

const SECTIONS_WIDTH: u16 = 17;
const HELP_ROWS: u16 = 3;
const NARROW: u16 = 60;
const WIDE: u16 = 100;

pub fn render(model: &Model, home: &HomeModel, form: &FormModel, top: Rect, body: Rect, buf: &mut Buffer) -> Drawn {
    header(model, home, form, top, buf);
    let findings_rows = (body.height / 4).clamp(2, 12);
    let help_rows = if body.height < 14 { 1 } else { HELP_ROWS };
    let fields_rows = body.height.saturating_sub(findings_rows + help_rows);
    let upper = Rect { height: fields_rows, ..body };
    let help = Rect { y: upper.bottom(), height: help_rows.min(body.height), ..body };
    let lower = Rect { y: help.bottom(), height: findings_rows, ..body };
    // On a narrow screen sections and fields take turns; the table of machines wants more.
    let is_table = form.section_name() == MACHINES && form.pane == FormPane::Fields;
    let sections_width = match (upper.width < if is_table { WIDE } else { NARROW }, form.pane) {
        (false, _) => SECTIONS_WIDTH,
        (true, FormPane::Sections) => upper.width,
        (true, FormPane::Fields | FormPane::Findings) => 0,
    };
    let left = Rect { width: sections_width.min(upper.width), ..upper };
    let right = Rect { x: left.right(), width: upper.width.saturating_sub(left.width), ..upper };
    let section_rows = section_list(model, form, left, buf);
    let (field_rows, table) = fields(model, form, right, buf);
    help_of(model, form, help, buf);
    let finding_rows = findings(model, form, lower, buf);
    overlays(model, home, form, body, buf);
    if let Some((over_max, page)) = form_site::render(model, form, body, buf) {
        return Drawn { page, over_max, table, ..Drawn::default() };
    }
    let page = match form.pane {
        FormPane::Sections => section_rows,
        FormPane::Fields => field_rows,
        FormPane::Findings => finding_rows,
    };
    Drawn { page, table, ..Drawn::default() }
}

/// Mark, word and style of a severity.
fn severity(theme: Theme, severity: Severity) -> (&'static str, &'static str, Style) {
    match severity {
        Severity::Error => (theme.sign(Sign::Error), "error", theme.error()),
        Severity::Warning => (theme.sign(Sign::Warning), "warning", theme.warning()),
        Severity::Note => (theme.sign(Sign::Note), "note", theme.quiet()),
    }
}

fn header(model: &Model, home: &HomeModel, form: &FormModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let place = match &form.path {
        Some(path) => theme.safe(&home.shown_path(path)),
        None => "not saved yet".to_string(),
    };
    let state = if form.is_unsaved() && form.path.is_some() { "  unsaved changes" } else { "" };
    let plural = |n: usize, of: &str| format!("{n} {of}{}", if n == 1 { "" } else { "s" });
    // As many as the list below has; texts that are no values stand at their fields alone.
    let mut counts: Vec<String> =
        [Severity::Error, Severity::Warning, Severity::Note].map(|s| plural(form.count(s), &s.to_string())).to_vec();
    if form.wrong_count() > 0 {
        counts.insert(0, plural(form.wrong_count(), "wrong text"));
    }
    let counts = format!("{} ", counts.join("  "));
    let room = usize::from(area.width).saturating_sub(counts.len() + 1);
    let site = form_site::word(model, form);
    let left = format!(" plan {}  ({place}){state}{site}", theme.safe(&form.plan.name));
    put(buf, area, &cell(theme, &left, room), theme.title());
    let at = u16::try_from(room.saturating_add(1)).unwrap_or(area.width).min(area.width);
    let right = Rect { x: area.x.saturating_add(at), width: area.width.saturating_sub(at), ..area };
    put(buf, right, &counts, theme.strong());
}

fn section_list(model: &Model, form: &FormModel, area: Rect, buf: &mut Buffer) -> usize {
    let theme = model.theme;
    let inner = pane(buf, theme, area, "Sections", form.pane == FormPane::Sections, true);
    let top = top_for(form.section, sections().len(), inner.height);
    let width = usize::from(inner.width);
    rows(buf, inner, top, sections().len(), |n| {
        let name = sections().get(n).copied().unwrap_or_default();
        let here = n == form.section;
        let sign = if here { theme.sign(Sign::Cursor) } else { " " };
        let style = if here && form.pane == FormPane::Sections { theme.selected() } else { theme.plain() };
        let (mark, mark_style) = match form.severity_of(name) {
            Some(grave) => {
                let (mark, _, style) = severity(theme, grave);
                (mark, style)
            }
            None => (" ", theme.plain()),
        };
        let text = cell(theme, &format!(" {sign} {name}"), width.saturating_sub(2));
        Line::from(vec![Span::styled(text, style), Span::styled(format!("{mark} "), mark_style)])
    });
    usize::from(inner.height)
}

/// A line of the pane of fields.
enum FieldLine {
    Sum,
    Machine(usize),
    Field(FieldId),
    /// A part of the reason why the text of the field above is no valid value.
    Reason(String),
    /// How far the file of the digest above is.
    Told(String),
}

/// The rows of a page, and whether they are those of a table.
fn fields(model: &Model, form: &FormModel, area: Rect, buf: &mut Buffer) -> (usize, bool) {
    let theme = model.theme;
    let focused = form.pane == FormPane::Fields;
    let inner = pane(buf, theme, area, form.section_name(), focused, false);
    if let Some(rows) = form_machines::render(model, form, inner, buf) {
        return (rows, true);
    }
    let (lines, cursor) = field_lines(model, form, usize::from(inner.width));
    if lines.is_empty() && form.section_name() == MACHINES {
        put(buf, row(inner, 0), "   no machine: a adds a control plane, w a worker", theme.plain());
    }
    let current = form.current();
    let top = top_for(cursor, lines.len(), inner.height);
    for (n, line) in lines.iter().enumerate().skip(top).take(usize::from(inner.height)) {
        let at = row(inner, n - top);
        match line {
            FieldLine::Sum => form_site::sum(model, form, at, buf),
            FieldLine::Machine(node) => {
                let name = form.plan.nodes.get(*node).map(|n| theme.safe(&n.name)).unwrap_or_default();
                put(buf, at, &format!(" machine {} {name}", node + 1), theme.title());
            }
            FieldLine::Field(id) => field(model, form, *id, current == Some(*id), focused, at, buf),
            FieldLine::Reason(part) => put(buf, at, &format!("     {part}"), theme.error()),
            FieldLine::Told(text) => put(buf, at, &format!("     {text}"), theme.strong()),
        }
    }
    (usize::from(inner.height), false)
}

/// The lines of a section's fields, and the one that has to be seen.
fn field_lines(model: &Model, form: &FormModel, width: usize) -> (Vec<FieldLine>, usize) {
    let (mut lines, mut cursor, mut machine) = (Vec::new(), 0, None);
    if form.section_name() == MACHINES && !form.plan.nodes.is_empty() {
        lines.push(FieldLine::Sum);
    }
    for (n, id) in form.ids().into_iter().enumerate() {
        if let Some(node) = id.node.filter(|_| id.node != machine) {
            machine = Some(node);
            lines.push(FieldLine::Machine(node));
        }
        if n == form.row {
            cursor = lines.len();
        }
        lines.push(FieldLine::Field(id));
        lines.extend(form_fetch::progress(model, form, id).map(FieldLine::Told));
        let wrong = form.wrong(id).map(|wrong| wrong.reason.clone());
        if let Some(reason) = wrong.or_else(|| form_fetch::reason(form, id)) {
            // Whole: what to write instead stands at its end.
            let parts = wrap(&model.theme.safe(&reason), width.saturating_sub(6));
            lines.extend(parts.into_iter().map(FieldLine::Reason));
            if n == form.row {
                // The reason is seen together with its field.
                cursor = lines.len() - 1;
            }
        }
    }
    (lines, cursor)
}

fn field(model: &Model, form: &FormModel, id: FieldId, here: bool, focused: bool, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width);
    let label_width = 22.min(width / 2);
    let sign = if here { theme.sign(Sign::Cursor) } else { " " };
    let label = cell(theme, &format!(" {sign} {}", id.label()), label_width);
    let label_style = if here && focused { theme.selected() } else { theme.plain() };
    let grave = match (form.wrong(id), form.finding_of(id)) {
        (Some(_), _) => Some(Severity::Error),
        (None, Some(finding)) => Some(finding.severity),
        (None, None) => None,
    };
    let list = if form.choices(id).is_empty() { "" } else { " list" };
    let (said, said_style) = grave.map_or((list.to_string(), theme.quiet()), |grave| {
        let (mark, word, style) = severity(theme, grave);
        (format!(" {mark} {word}"), style)
    });
    let value_width = width.saturating_sub(label_width + 1 + 10);
    let value = form.text(id);
    let shown = if value.is_empty() { "(not set)".to_string() } else { theme.safe(&value) };
    let value_style = if value.is_empty() { theme.quiet() } else { theme.plain() };
    let line = Line::from(vec![
        Span::styled(label, label_style),
        Span::styled(format!(" {}", cell(theme, &shown, value_width)), value_style),
        Span::styled(said, said_style),
    ]);
    put_line(buf, area, &line);
    if let Some((edited, text)) = &form.edit
        && *edited == id
    {
        let offset = u16::try_from(label_width + 1).unwrap_or(area.width);
        let wide = u16::try_from(value_width).unwrap_or(0);
        let at = Rect { x: area.x.saturating_add(offset), width: wide.min(area.width.saturating_sub(offset)), ..area };
        put(buf, at, &" ".repeat(value_width), theme.plain());
        text.draw(buf, at, theme);
    }
}

/// Describes the field under the cursor, with the findings of the rules about it.
fn help_of(model: &Model, form: &FormModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let Some(id) = form.current() else { return };
    let mut said = Vec::new();
    match (form.wrong(id), form.finding_of(id)) {
        (None, Some(finding)) => said.push((finding_text(finding), severity(theme, finding.severity).2)),
        (Some(_), _) if !id.example().is_empty() => said.push((format!("e.g. {}", id.example()), theme.strong())),
        (Some(_), _) | (None, None) => {}
    }
    said.insert(0, (id.help().to_string(), theme.quiet()));
    if let Some(hint) = form_fetch::hint(form, id) {
        said.insert(0, (hint, theme.strong()));
    }
    let width = usize::from(area.width).saturating_sub(2);
    let mut y = 0;
    for (text, style) in said {
        for part in wrap(&theme.safe(&text), width) {
            put(buf, row(area, y), &format!(" {part}"), style);
            y += 1;
        }
    }
}

fn finding_text(finding: &Finding) -> String {
    let write = if finding.write.is_empty() { String::new() } else { format!("; write {}", finding.write) };
    format!("{}{write}", finding.what)
}

fn findings(model: &Model, form: &FormModel, area: Rect, buf: &mut Buffer) -> usize {
    let theme = model.theme;
    let focused = form.pane == FormPane::Findings;
    let title = if focused { "Findings: Enter goes to the field, o sets aside" } else { "Findings" };
    let inner = pane(buf, theme, area, title, focused, false);
    if form.findings.is_empty() {
        put(buf, row(inner, 0), " the rules have nothing to say", theme.proven());
        return usize::from(inner.height);
    }
    let width = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut cursor = 0;
    for (n, finding) in form.findings.iter().enumerate() {
        let here = focused && n == form.finding;
        let (mark, word, style) = severity(theme, finding.severity);
        let sign = if here { theme.sign(Sign::Cursor) } else { " " };
        let text = theme.safe(&format!("{}: {}", finding.key, finding_text(finding)));
        let room = width.saturating_sub(13);
        // The selected one is whole: what to write stands at its end.
        let parts = if here { wrap(&text, room) } else { vec![fit(theme, &text, room)] };
        let text_style = if here { theme.selected() } else { theme.plain() };
        for (m, part) in parts.into_iter().enumerate() {
            let lead = if m == 0 { format!(" {sign}{mark} {word:<8} ") } else { " ".repeat(12) };
            lines.push(Line::from(vec![Span::styled(lead, style), Span::styled(part, text_style)]));
        }
        if n == form.finding {
            cursor = lines.len().saturating_sub(1);
        }
    }
    let top = top_for(cursor, lines.len(), inner.height);
    rows(buf, inner, top, lines.len(), |n| lines.get(n).cloned().unwrap_or_default());
    usize::from(inner.height)
}

fn overlays(model: &Model, home: &HomeModel, form: &FormModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    match &form.prompt {
        Some(Prompt::SaveAs(line)) => {
            let inner = dialog(buf, theme, area, ("Save the plan as", theme.edge()), (70, 5));
            line.draw(buf, row(inner, 0), theme);
            put(buf, row(inner, 1), "A YAML file in which every key is explained.", theme.quiet());
            put(buf, row(inner, 2), "Enter saves, Esc goes back.", theme.asks());
        }
        Some(Prompt::Reason { rule, line }) => {
            let inner = dialog(buf, theme, area, (&format!("Set {rule} aside, because"), theme.edge()), (70, 5));
            line.draw(buf, row(inner, 0), theme);
            put(buf, row(inner, 1), "The reason stands in the plan and goes into the record.", theme.quiet());
            put(buf, row(inner, 2), "Enter takes it, Esc goes back.", theme.asks());
        }
        None => {}
    }
    let question = match &form.confirm {
        Some(Confirm::Replace(path)) => Some((
            "Replace the file?",
            format!("{} exists. Comments in it stay, or it is kept as a copy beside it.", home.shown_path(path)),
        )),
        Some(Confirm::Remove(node)) => {
            let name = form.plan.nodes.get(*node).map(|n| n.name.clone()).unwrap_or_default();
            Some(("Remove the machine?", format!("{name} goes from the plan; nothing changes on the site.")))
        }
        Some(Confirm::OtherDigest(file)) => Some(form_fetch::question(form, file)),
        Some(Confirm::Anew) => Some(("Begin anew?", "What was typed and not saved is lost.".to_string())),
        Some(Confirm::Trust { described, .. }) => {
            form_site::trust(model, described, area, buf);
            None
        }
        None => None,
    };
    if let Some((title, text)) = question {
        let width = 70.min(area.width);
        let mut page = Page::new(theme, width.saturating_sub(4));
        page.say(theme.strong(), 0, &text);
        page.say(theme.asks(), 0, "y yes   Esc no");
        let height = u16::try_from(page.len()).unwrap_or(4).saturating_add(2);
        let inner = dialog(buf, theme, area, (title, theme.edge()), (width, height));
        page.draw(buf, inner, 0);
    }
}
