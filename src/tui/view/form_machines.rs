//! The machines of the form as a table, one row each, and below it what they take of each host.
//!
//! ```text
//!     NAME          ROLE  VMID  ADDRESS     HOST  CPU    MiB  SYS  DATA
//!   > cozy-new-cp1  cp    1001  10.0.0.201  pve     8  24576   50   256
//!     memory (MiB)  24576
//!  x  cozy-new-cp2  cp    1001  10.0.0.202  pve     8  24576   50   256
//!
//!  HOST  MACHINES  CORES     MEMORY                DISKS
//!  pve   2         16 of 48  48 of 120.0 GiB free  612 of 900 GiB free on local-lvm
//!  together 2 machines: 16 cores, 48 GiB memory, 612 GiB disks
//! ```
use super::form_site;
use super::page::{cell, fit, put, put_line, row, top_for, wrap};
use crate::plan::Severity;
use crate::plan::model::Role;
use crate::plan::taken::{Taken, by_host};
use crate::tui::model::Model;
use crate::tui::model::form::{FieldId, FormModel, FormPane, FormSite, MACHINES};
use crate::tui::theme::{Sign, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// Heads of the columns by the key of the field; true: numbers, which stand at the right.
const HEADS: [(&str, &str, bool); 9] = [
    ("name", "NAME", false),
    ("role", "ROLE", false),
    ("vmid", "VMID", true),
    ("address", "ADDRESS", false),
    ("host", "HOST", false),
    ("cores", "CPU", true),
    ("memory_mib", "MiB", true),
    ("system_disk_gib", "SYS", true),
    ("data_disk_gib", "DATA", true),
];
/// The names of machines and hosts may be cut to so many columns.
const LEAST: usize = 8;
const MOST: usize = 24;
/// Before the first column: a mark and the cursor.
const MARGIN: usize = 4;
const GAP: usize = 2;

enum TableLine {
    Head,
    Machine(usize),
    Edit(FieldId),
    /// Why a text of the machine above is no value.
    Reason(String),
    Blank,
    HostsHead,
    Host(Box<Taken>),
    Sum,
    ForAWhile,
    Hint,
}

/// Draws the table; gives its rows, or `None` when it has no place or nothing to show.
pub fn render(model: &Model, form: &FormModel, area: Rect, buf: &mut Buffer) -> Option<usize> {
    if form.section_name() != MACHINES || form.plan.nodes.is_empty() {
        return None;
    }
    let theme = model.theme;
    let widths = widths(theme, form, usize::from(area.width))?;
    let hosts = match &form.site {
        FormSite::Met { offer, .. } => offer.hosts.as_slice(),
        FormSite::Unasked | FormSite::Asked { .. } | FormSite::Silent(_) => &[],
    };
    let taken = by_host(&form.plan, hosts);
    let (lines, cursor) = lines(theme, form, &taken, usize::from(area.width));
    let top = top_for(cursor, lines.len(), area.height);
    for (n, line) in lines.iter().enumerate().skip(top).take(usize::from(area.height)) {
        let at = row(area, n - top);
        match line {
            TableLine::Head => {
                let heads = HEADS.iter().zip(&widths);
                let cells: Vec<String> = heads.map(|((_, head, right), w)| aligned(theme, head, *w, *right)).collect();
                put(buf, at, &format!("{}{}", " ".repeat(MARGIN), cells.join(&" ".repeat(GAP))), theme.title());
            }
            TableLine::Machine(node) => put_line(buf, at, &machine(theme, form, *node, &widths)),
            TableLine::Edit(id) => edit(theme, form, *id, at, buf),
            TableLine::Reason(part) => put(buf, at, &format!("     {part}"), theme.error()),
            TableLine::Blank => {}
            TableLine::HostsHead => put(buf, at, &host_row(theme, HOST_HEADS.map(String::from)), theme.title()),
            TableLine::Host(taken) => {
                let style = if taken.is_too_much() { theme.warning() } else { theme.plain() };
                put(buf, at, &host(theme, taken), style);
            }
            TableLine::Sum => form_site::sum(model, form, at, buf),
            TableLine::ForAWhile => {
                put(buf, at, " + is for VMs that Cluster API makes for a while", theme.quiet());
            }
            TableLine::Hint => put(buf, at, " c connects: then what is free stands beside it", theme.quiet()),
        }
    }
    Some(usize::from(area.height))
}

/// The lines, and the one that has to be seen.
fn lines(theme: Theme, form: &FormModel, taken: &[Taken], width: usize) -> (Vec<TableLine>, usize) {
    let (mut lines, mut cursor) = (vec![TableLine::Head], 0);
    let current = form.current();
    for (node, ids) in rows(form).enumerate() {
        let here = current.is_some_and(|id| id.node == Some(node));
        lines.push(TableLine::Machine(node));
        if let Some((id, _)) = form.edit.as_ref().filter(|(id, _)| id.node == Some(node)) {
            lines.push(TableLine::Edit(*id));
        }
        for (id, wrong) in ids.iter().filter_map(|id| Some((id, form.wrong(*id)?))) {
            let said = theme.safe(&format!("{}: {}", id.label(), wrong.reason));
            lines.extend(wrap(&said, width.saturating_sub(6)).into_iter().map(TableLine::Reason));
        }
        if here {
            // What stands below the machine is seen together with it.
            cursor = lines.len() - 1;
        }
    }
    lines.extend([TableLine::Blank, TableLine::HostsHead]);
    lines.extend(taken.iter().cloned().map(|taken| TableLine::Host(Box::new(taken))));
    lines.push(TableLine::Sum);
    if taken.iter().any(|taken| taken.for_a_while_mib > 0) {
        lines.push(TableLine::ForAWhile);
    }
    if taken.iter().all(|taken| taken.free.is_none()) {
        lines.push(TableLine::Hint);
    }
    (lines, cursor)
}

/// The fields of each machine.
fn rows(form: &FormModel) -> impl Iterator<Item = Vec<FieldId>> {
    let ids = form.ids_of(MACHINES);
    (0..form.plan.nodes.len()).map(move |node| ids.iter().copied().filter(|id| id.node == Some(node)).collect())
}

/// The text of a cell; a role is told by its first letters.
fn shown(theme: Theme, form: &FormModel, id: FieldId) -> String {
    let text = form.text(id);
    let role = (id.key().ends_with(".role")).then(|| text.parse::<Role>().ok()).flatten();
    match role {
        Some(Role::ControlPlane) => "cp".to_string(),
        Some(Role::Worker) => "wk".to_string(),
        None if text.is_empty() => "-".to_string(),
        None => theme.safe(&text),
    }
}

/// The widths of the columns in so many columns of the screen; `None`: they have no place there.
fn widths(theme: Theme, form: &FormModel, width: usize) -> Option<Vec<usize>> {
    let mut widths: Vec<usize> = HEADS.iter().map(|(_, head, _)| head.width()).collect();
    for ids in rows(form) {
        for (id, widest) in ids.iter().zip(&mut widths) {
            *widest = shown(theme, form, *id).width().clamp(*widest, MOST.max(*widest));
        }
    }
    let whole = |widths: &[usize]| MARGIN + widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    for column in [0, 4] {
        let over = whole(&widths).saturating_sub(width);
        if let Some(widest) = widths.get_mut(column) {
            *widest = widest.saturating_sub(over).max(LEAST.min(*widest));
        }
    }
    (whole(&widths) <= width).then_some(widths)
}

fn aligned(theme: Theme, text: &str, width: usize, right: bool) -> String {
    let room = width.saturating_sub(text.width());
    if right { format!("{}{text}", " ".repeat(room)) } else { cell(theme, text, width) }
}

fn machine(theme: Theme, form: &FormModel, node: usize, widths: &[usize]) -> Line<'static> {
    let (current, focused) = (form.current(), form.pane == FormPane::Fields);
    let ids = rows(form).nth(node).unwrap_or_default();
    let grave = |id: &FieldId| match (form.wrong(*id), form.finding_of(*id)) {
        (Some(_), _) => Some(Severity::Error),
        (None, Some(finding)) => Some(finding.severity),
        (None, None) => None,
    };
    let worst = ids.iter().filter_map(grave).min();
    let mark = worst.map_or((" ", theme.plain()), |worst| marked(theme, worst));
    let here = ids.iter().any(|id| Some(*id) == current);
    let sign = if here { theme.sign(Sign::Cursor) } else { " " };
    let mut spans = vec![Span::styled(format!(" {}", mark.0), mark.1), Span::styled(format!("{sign} "), theme.plain())];
    for (n, ((id, width), (_, _, right))) in ids.iter().zip(widths).zip(HEADS).enumerate() {
        if n > 0 {
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        let style = match grave(id) {
            _ if Some(*id) == current && focused => theme.selected(),
            Some(grave) => marked(theme, grave).1,
            None => theme.plain(),
        };
        let text = fit(theme, &shown(theme, form, *id), *width);
        spans.push(Span::styled(aligned(theme, &text, *width, right), style));
    }
    Line::from(spans)
}

fn marked(theme: Theme, grave: Severity) -> (&'static str, Style) {
    match grave {
        Severity::Error => (theme.sign(Sign::Error), theme.error()),
        Severity::Warning => (theme.sign(Sign::Warning), theme.warning()),
        Severity::Note => (theme.sign(Sign::Note), theme.plain()),
    }
}

/// The text that is being typed, below its machine, as wide as the table.
fn edit(theme: Theme, form: &FormModel, id: FieldId, area: Rect, buf: &mut Buffer) {
    let Some((_, text)) = &form.edit else { return };
    let label = format!("     {}  ", id.label());
    let offset = u16::try_from(label.width()).unwrap_or(area.width).min(area.width);
    put(buf, area, &label, theme.strong());
    text.draw(buf, Rect { x: area.x.saturating_add(offset), width: area.width.saturating_sub(offset), ..area }, theme);
}

const HOST_HEADS: [&str; 5] = ["HOST", "MACHINES", "CORES", "MEMORY", "DISKS"];

fn host_row(theme: Theme, cells: [String; 5]) -> String {
    let [host, machines, cores, memory, disks] = cells;
    let widths = [10, 8, 9, 20];
    let left: Vec<String> =
        [host, machines, cores, memory].iter().zip(widths).map(|(text, width)| cell(theme, text, width)).collect();
    format!(" {} {disks}", left.join(" "))
}

fn host(theme: Theme, taken: &Taken) -> String {
    let share = &taken.share;
    let more = taken.for_a_while_mib.div_ceil(1024);
    let more = if more > 0 { format!("+{more}") } else { String::new() };
    let memory = format!("{}{more}", share.memory_mib.div_ceil(1024));
    let free = taken.free.as_ref();
    let cores = free.map_or(share.cores.to_string(), |free| format!("{} of {}", share.cores, free.cores));
    let memory = match free {
        Some(free) => format!("{memory} of {} GiB free", free.memory_mib / 1024),
        None => format!("{memory} GiB"),
    };
    let disks = share.disks_gib.iter().map(|(storage, gib)| {
        let left = free.and_then(|free| free.disks_gib.iter().find(|(name, _)| name == storage));
        match left {
            Some((_, left)) => format!("{gib} of {left} GiB free on {storage}"),
            None => format!("{gib} GiB on {storage}"),
        }
    });
    let disks = theme.safe(&disks.collect::<Vec<_>>().join(", "));
    host_row(theme, [theme.safe(&taken.host), share.machines.to_string(), cores, memory, disks])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::form::node_fields;

    #[test]
    fn each_field_of_a_machine_has_its_column() {
        assert_eq!(HEADS.map(|(key, _, _)| key).to_vec(), node_fields().iter().map(|f| f.key).collect::<Vec<_>>());
    }
}
