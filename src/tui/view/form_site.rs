//! What lies over the form of a site that was asked: its certificate, what it said, a list to choose from.
//!
//! ```text
//! +- template.storage -------------------------------------+
//! | > local-lvm   3.6 TiB free, on pve1, pve2              |
//! |   nas         812.0 GiB free, shared by pve1, pve2     |
//! +--------------------------------------------------------+
//! ```
use super::page::{Page, cell, dialog, put_line, row, rows, top_for};
use crate::plan::offer::Rights;
use crate::tui::model::Model;
use crate::tui::model::form::{FormFetch, FormModel, FormSite, List};
use crate::tui::theme::{Sign, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

const WIDTH: u16 = 76;

/// Draws what is open; gives the farthest first line and the number of lines of a page.
pub fn render(model: &Model, form: &FormModel, area: Rect, buf: &mut Buffer) -> Option<(usize, usize)> {
    match form.list? {
        List::Said { scroll } => Some(said(model, form, scroll, area, buf)),
        List::Of { id, at } => {
            let choices = form.choices(id);
            let theme = model.theme;
            let height = u16::try_from(choices.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
            let inner = dialog(buf, theme, area, (&id.key(), theme.edge()), (WIDTH, height));
            let widest = choices.iter().map(|c| theme.safe(&c.value).width()).max().unwrap_or(0);
            let top = top_for(at, choices.len(), inner.height);
            let width = usize::from(inner.width);
            rows(buf, inner, top, choices.len(), |n| {
                let Some(choice) = choices.get(n) else { return Line::default() };
                let sign = if n == at { theme.sign(Sign::Cursor) } else { " " };
                let text = format!(
                    "{sign} {}  {}",
                    cell(theme, &theme.safe(&choice.value), widest),
                    theme.safe(&choice.about)
                );
                let style = if n == at { theme.selected() } else { theme.plain() };
                Line::from(Span::styled(cell(theme, &text, width), style))
            });
            Some((0, usize::from(inner.height)))
        }
    }
}

fn said(model: &Model, form: &FormModel, scroll: usize, area: Rect, buf: &mut Buffer) -> (usize, usize) {
    let theme = model.theme;
    let width = WIDTH.min(area.width);
    let mut page = Page::new(theme, width.saturating_sub(4));
    match &form.site {
        FormSite::Met { offer, taken } => {
            page.say(theme.proven(), 0, &offer.site);
            rights(theme, &mut page, &offer.rights);
            let took = match (taken, &form.path) {
                (0, Some(_)) => "The plan has a file, so its values stay: Enter on a field shows a list.".to_string(),
                (0, None) => "The plan has the site's values already.".to_string(),
                (1, _) => "1 value of the plan was taken from it, because:".to_string(),
                (n, _) => format!("{n} values of the plan were taken from it, because:"),
            };
            page.say(theme.plain(), 0, &took);
            for reason in &offer.reasons {
                page.say(theme.plain(), 2, reason);
            }
            page.say(
                theme.quiet(),
                0,
                "Fields marked `list` have more to choose from: Enter. Day 0 proves the rights for the plan as it is then.",
            );
            let there = offer.rights.as_ref().map(|rights| rights.there.join(", ")).unwrap_or_default();
            if !there.is_empty() {
                page.say(theme.quiet(), 0, &format!("Privileges that are there: {there}."));
            }
        }
        FormSite::Silent(why) => {
            page.say(theme.error(), 0, &why.what);
            page.say(theme.strong(), 0, &format!("next: {}", why.next));
        }
        FormSite::Unasked | FormSite::Asked { .. } => {}
    }
    let height = u16::try_from(page.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let inner = dialog(buf, theme, area, ("The site", theme.edge()), (width, height));
    (page.draw(buf, inner, scroll), usize::from(inner.height))
}

/// The token's rights: what is missing, and the commands that give it.
fn rights(theme: Theme, page: &mut Page, rights: &Result<Rights, String>) {
    match rights {
        Ok(rights) if rights.missing.is_empty() => {
            let (token, count) = (&rights.token, rights.there.len());
            page.say(theme.proven(), 0, &format!("{token} has all {count} privileges that the plan needs."));
        }
        Ok(rights) => {
            let (token, count) = (&rights.token, rights.missing.len());
            let noun = if count == 1 { "1 right".to_string() } else { format!("{count} rights") };
            page.say(theme.error(), 0, &format!("{token} lacks {noun} that the plan needs:"));
            rights.missing.iter().for_each(|missing| page.say(theme.error(), 2, missing));
            page.say(theme.strong(), 0, &format!("next: {}", rights.next));
            if !rights.commands.is_empty() {
                page.say(theme.asks(), 0, "c copies the commands; afterwards Esc and c ask again.");
            }
        }
        Err(why) => page.say(theme.warning(), 0, &format!("The token's rights were not read, day 0 will: {why}")),
    }
}

/// The question whether the certificate is the right one.
pub fn trust(model: &Model, described: &str, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let width = WIDTH.min(area.width);
    let mut page = Page::new(theme, width.saturating_sub(4));
    for line in described.lines() {
        page.say(theme.plain(), 0, line.trim());
    }
    page.blank();
    page.say(theme.strong(), 0, "Nothing secret was sent. No authority of this machine vouches for it: compare the SHA-256 with what the node's own console shows:");
    page.say(theme.plain(), 2, "pvenode cert info");
    page.say(theme.asks(), 0, "y it is the same, go on   Esc no");
    let height = u16::try_from(page.len()).unwrap_or(u16::MAX).saturating_add(2);
    let inner = dialog(buf, theme, area, ("Is it this certificate?", theme.edge()), (width, height));
    page.draw(buf, inner, 0);
}

/// How the form stands with the site, for the header.
pub fn word(model: &Model, form: &FormModel) -> String {
    if let FormFetch::Underway { since, done, total, .. } = &form.fetch {
        let part = total.filter(|t| *t > 0).map(|t| format!(" {} %", done.saturating_mul(100) / t)).unwrap_or_default();
        return format!("  fetch{part}, {} s", model.wall.saturating_sub(*since).as_secs());
    }
    match &form.site {
        FormSite::Unasked => "  site unread: c".to_string(),
        FormSite::Asked { since } => format!("  asks site, {} s", model.wall.saturating_sub(*since).as_secs()),
        FormSite::Silent(_) => "  site silent: i".to_string(),
        FormSite::Met { .. } if form.rights().is_some_and(|rights| !rights.missing.is_empty()) => {
            "  lacks rights: i".to_string()
        }
        FormSite::Met { .. } => "  site read: i".to_string(),
    }
}

/// The sum of all machines, above them.
pub fn sum(model: &Model, form: &FormModel, area: Rect, buf: &mut Buffer) {
    let nodes = &form.plan.nodes;
    let cores: u64 = nodes.iter().map(|n| u64::from(n.cores)).sum();
    let memory: u64 = nodes.iter().map(|n| n.memory_mib).sum();
    let disks: u64 = nodes.iter().map(|n| n.system_disk_gib + n.data_disk_gib).sum();
    let text = format!(
        " together {} machines: {cores} cores, {} GiB memory, {disks} GiB disks",
        nodes.len(),
        memory.div_ceil(1024)
    );
    put_line(
        buf,
        row(area, 0),
        &Line::from(Span::styled(cell(model.theme, &text, usize::from(area.width)), model.theme.quiet())),
    );
}
