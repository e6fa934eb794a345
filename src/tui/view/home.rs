//! The home screen, the file prompt and the choice of a lab.
//!
//! ```text
//!  cozyup  from a bare Proxmox VE site to a validated CozyStack cluster
//!  Runs ---------------------------------------------------------------
//!     RUN          STATE          DAY                     FOR  WAITS FOR
//! > X site-a       blocked        Day 3 Platform 9/13     19m  cert-manager ...
//!   New plan      Fill in a form; the result is a file ...
//!   Open plan     Run or go on with a plan file; ...
//!   Try the lab   The same run against a simulated site ...
//!   Quit          Leave. Runs keep what they have proven.
//!  Known plans ---------------------------------------------------
//!   blocked  plans/cozy-new.yaml
//! ```
use super::page::{Page, cell, coarse, dialog, fit, pane, put, put_line, row, rows, top_for, wrap};
use super::{footer, form, frame_of, table};
use crate::plan::Severity;
use crate::tui::model::home::{Entry, HomeModel, Place};
use crate::tui::model::{Drawn, Model};
use crate::tui::panes::{Column, column};
use crate::tui::theme::{Sign, Theme};
use crate::tui::{HomeChoice, KnownRun};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

pub fn render(model: &Model, home: &HomeModel, area: Rect, buf: &mut Buffer) -> Drawn {
    let (top, body, bottom) = frame_of(area, 1);
    let drawn = match (home.place, &home.form) {
        (Place::Form, Some(plan)) => form::render(model, home, plan, top, body, buf),
        (Place::Menu, _) | (Place::Form, None) => {
            title(model, top, buf, "from a bare Proxmox VE site to a validated CozyStack cluster");
            menu(model, home, body, buf)
        }
        (Place::Open, _) => {
            title(model, top, buf, "open a plan file");
            open(model, home, body, buf)
        }
        (Place::Lab, _) => {
            title(model, top, buf, "the lab: a simulated Proxmox, Talos and cluster on this machine");
            lab(model, home, body, buf)
        }
    };
    if let Some(choice) = &home.leaving {
        leaving(model, home, choice, body, buf);
    }
    footer::render(model, bottom, buf);
    drawn
}

fn title(model: &Model, area: Rect, buf: &mut Buffer, text: &str) {
    put(buf, area, &fit(model.theme, &format!(" cozyup  {text}"), usize::from(area.width)), model.theme.title());
}

static RUNS: [Column; 6] = [
    column("RUN", 16),
    column("STATE", 13),
    column("DAY", 22),
    column("FOR", 6).right().rank(1),
    column("BY", 14).rank(3),
    column("WAITS FOR", 10).grows().rank(2),
];

/// The runs that there are, above everything else; gives what is left of `area`.
fn runs(model: &Model, home: &HomeModel, area: Rect, buf: &mut Buffer) -> Rect {
    let theme = model.theme;
    let all = &home.home.runs;
    if all.is_empty() {
        return area;
    }
    // A title, the heads, and up to a third of the screen.
    let most = (area.height / 3).max(3);
    let height = u16::try_from(all.len()).unwrap_or(u16::MAX).saturating_add(2).min(most).min(area.height);
    let here = home.cursor < all.len();
    let inner = pane(buf, theme, Rect { height, ..area }, "Runs", here, false);
    let widths = table::widths(&RUNS, usize::from(inner.width).saturating_sub(table::LEAD));
    let heads: Vec<&str> = RUNS.iter().map(|c| c.head).collect();
    let lead = " ".repeat(table::LEAD);
    put(buf, row(inner, 0), &format!("{lead}{}", table::cells(theme, &RUNS, &widths, &heads)), theme.quiet());
    let list = Rect { y: inner.y.saturating_add(1), height: inner.height.saturating_sub(1), ..inner };
    let top = top_for(if here { home.cursor } else { 0 }, all.len(), list.height);
    rows(buf, list, top, all.len(), |n| match all.get(n) {
        Some(run) => run_line(theme, &widths, run, here && home.cursor == n, usize::from(list.width)),
        None => Line::default(),
    });
    Rect { y: area.y.saturating_add(height), height: area.height.saturating_sub(height), ..area }
}

fn run_line(theme: Theme, widths: &[usize], run: &KnownRun, here: bool, width: usize) -> Line<'static> {
    let who = run.who.clone().unwrap_or_default();
    let cells = [run.name.clone(), run.word.clone(), run.day.clone(), coarse(run.since), who, run.waits.clone()];
    let text = cell(theme, &table::cells(theme, &RUNS, widths, &cells), width.saturating_sub(table::LEAD));
    let sign = if here { theme.sign(Sign::Cursor) } else { " " };
    let (mark, style) = (theme.mark(run.standing), theme.standing(run.standing));
    let (mark_style, style) = if here { (theme.selected(), theme.selected()) } else { (style, theme.plain()) };
    Line::from(vec![
        Span::styled(format!("{sign} "), style),
        Span::styled(format!("{mark} "), mark_style),
        Span::styled(text, style),
    ])
}

fn menu(model: &Model, home: &HomeModel, area: Rect, buf: &mut Buffer) -> Drawn {
    let theme = model.theme;
    let area = runs(model, home, area, buf);
    let before = home.home.runs.len();
    let width = usize::from(area.width);
    // A sentence that has no room beside its entry is wrapped beneath itself, or cut where the screen is low too.
    let room = width.saturating_sub(18);
    let whole: usize = Entry::ALL.iter().map(|e| wrap(e.about(), room).len()).sum();
    let lines = if whole < usize::from(area.height) { usize::MAX } else { 1 };
    let mut y = 1;
    for (n, entry) in Entry::ALL.into_iter().enumerate() {
        let here = home.cursor == before + n;
        let sign = if here { theme.sign(Sign::Cursor) } else { " " };
        let unsaved = entry == Entry::New && home.has_unsaved();
        let about = match entry == Entry::New {
            true if unsaved => "Go on with the form: it holds unsaved changes.",
            true if home.form.is_none() && home.home.draft.is_some() => "Go on with the draft that was kept.",
            true | false => entry.about(),
        };
        let about = if lines == 1 { fit(theme, about, room) } else { about.to_string() };
        for (m, part) in wrap(&about, room).into_iter().take(lines).enumerate() {
            let lead = if m == 0 { format!(" {sign} {:<13} ", entry.title()) } else { " ".repeat(17) };
            let style = if here && m == 0 { theme.selected() } else { theme.strong() };
            put_line(
                buf,
                row(area, y),
                &Line::from(vec![Span::styled(lead, style), Span::styled(part, theme.plain())]),
            );
            y += 1;
        }
    }
    let used = u16::try_from(y).unwrap_or(u16::MAX).saturating_add(1).min(area.height);
    let rest = Rect { y: area.y.saturating_add(used), height: area.height.saturating_sub(used), ..area };
    if home.home.plans.is_empty() || rest.height == 0 {
        return Drawn { page: home.lines(), ..Drawn::default() };
    }
    plans(model, home, rest, buf)
}

fn plans(model: &Model, home: &HomeModel, rest: Rect, buf: &mut Buffer) -> Drawn {
    let theme = model.theme;
    let width = usize::from(rest.width);
    let before = home.home.runs.len();
    let inner = pane(buf, theme, rest, "Known plans", home.cursor >= before + Entry::ALL.len(), false);
    let plans = &home.home.plans;
    let cursor = home.cursor.checked_sub(before + Entry::ALL.len());
    let top = top_for(cursor.unwrap_or(0), plans.len(), inner.height);
    // The text about a plan may be a sentence, so it has the room behind the longest path, half of the width at least.
    let widest = plans.iter().map(|(path, _)| theme.safe(&home.shown_path(path)).width()).max().unwrap_or(0);
    let widest = widest.min(width / 2);
    rows(buf, inner, top, plans.len(), |n| match plans.get(n) {
        Some((path, word)) => {
            let here = cursor == Some(n);
            let sign = if here { theme.sign(Sign::Cursor) } else { " " };
            let path = cell(theme, &theme.safe(&home.shown_path(path)), widest);
            let word = fit(theme, &theme.safe(word), width.saturating_sub(widest + 5));
            let style = if here { theme.selected() } else { theme.plain() };
            Line::from(Span::styled(format!(" {sign} {path}  {word}"), style))
        }
        None => Line::default(),
    });
    Drawn { page: usize::from(inner.height), ..Drawn::default() }
}

fn open(model: &Model, home: &HomeModel, area: Rect, buf: &mut Buffer) -> Drawn {
    let theme = model.theme;
    put(buf, row(area, 1), " plan file", theme.strong());
    let field = Rect { x: area.x.saturating_add(12), width: area.width.saturating_sub(13), ..row(area, 1) };
    home.path.draw(buf, field, theme);
    let from = theme.safe(&format!("relative to {}, ~/ is your home folder", home.home.cwd.display()));
    put(buf, row(area, 2), &fit(theme, &format!(" {from}"), usize::from(area.width)), theme.quiet());
    let rest = Rect { y: area.y.saturating_add(4), height: area.height.saturating_sub(4), ..area };
    if home.reading {
        put(buf, row(rest, 0), " reading ...", theme.working());
        return Drawn::default();
    }
    let Some((_, bad)) = &home.bad else { return Drawn::default() };
    let inner = Rect { x: rest.x.saturating_add(1), width: rest.width.saturating_sub(2), ..rest };
    let mut page = Page::new(theme, inner.width);
    page.pair(theme.error(), 0, &format!("{} error: ", theme.sign(Sign::Error)), &bad.what);
    page.pair(theme.strong(), 0, "next: ", &bad.next);
    if bad.decoded.is_some() {
        page.say(theme.plain(), 0, "or press Ctrl-E: the form shows each error at its field");
    }
    for finding in &bad.findings {
        page.blank();
        let (style, sign) = match finding.severity {
            Severity::Error => (theme.error(), theme.sign(Sign::Error)),
            Severity::Warning => (theme.warning(), theme.sign(Sign::Warning)),
            Severity::Note => (theme.quiet(), theme.sign(Sign::Note)),
        };
        let at = if finding.line > 0 { format!("line {}: ", finding.line) } else { String::new() };
        let key = if finding.key.is_empty() { String::new() } else { format!("{} ", finding.key) };
        page.pair(style, 0, &format!("{sign} {} ", finding.severity), &format!("{at}{key}{}", finding.what));
        if !finding.why.is_empty() {
            page.pair(theme.plain(), 2, "why   ", &finding.why);
        }
        if !finding.write.is_empty() {
            page.pair(theme.strong(), 2, "write ", &finding.write);
        }
    }
    Drawn { page: usize::from(inner.height), over_max: page.draw(buf, inner, home.bad_scroll), ..Drawn::default() }
}

fn lab(model: &Model, home: &HomeModel, area: Rect, buf: &mut Buffer) -> Drawn {
    let theme = model.theme;
    put(buf, row(area, 1), " speed", theme.strong());
    let field = Rect { x: area.x.saturating_add(12), width: area.width.saturating_sub(13), ..row(area, 1) };
    home.speed.draw(buf, field, theme);
    match home.speed() {
        Ok(speed) => {
            let text = format!(" {speed} lab seconds pass in a second; the plan takes about 20 lab minutes");
            put(buf, row(area, 2), &fit(theme, &text, usize::from(area.width)), theme.quiet());
        }
        Err(reason) => {
            let text = format!(" {} error: {}", theme.sign(Sign::Error), theme.safe(&reason));
            put(buf, row(area, 2), &fit(theme, &text, usize::from(area.width)), theme.error());
        }
    }
    let rest = Rect { y: area.y.saturating_add(4), height: area.height.saturating_sub(4), ..area };
    let inner = pane(buf, theme, rest, "Scenarios", true, false);
    let scenarios = &home.home.scenarios;
    let about_width = usize::from(inner.width).saturating_sub(25);
    let top = top_for(home.scenario, scenarios.len(), inner.height);
    rows(buf, inner, top, scenarios.len(), |n| match scenarios.get(n) {
        Some((name, about)) => {
            let here = n == home.scenario;
            let sign = if here { theme.sign(Sign::Cursor) } else { " " };
            let style = if here { theme.selected() } else { theme.strong() };
            Line::from(vec![
                Span::styled(format!(" {sign} {} ", cell(theme, &theme.safe(name), 20)), style),
                Span::styled(fit(theme, &theme.safe(about), about_width), theme.plain()),
            ])
        }
        None => Line::default(),
    });
    Drawn { page: usize::from(inner.height), ..Drawn::default() }
}

fn leaving(model: &Model, home: &HomeModel, choice: &HomeChoice, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let saving = home.form.as_ref().is_some_and(|form| form.saving);
    let title = if saving { "The plan is being saved" } else { "Unsaved changes" };
    let inner = dialog(buf, theme, area, (title, theme.edge()), (64, 5));
    let what = match choice {
        HomeChoice::Quit => "Quit",
        HomeChoice::Attach(_) | HomeChoice::Look(_) => "Open the run",
        HomeChoice::Open(_) => "Open the other plan",
        HomeChoice::Lab { .. } => "Start the lab",
    };
    let state = match saving {
        true => "This screen closes by itself when the file is written.",
        false => "Not saved as a file yet; what was typed stays as a draft.",
    };
    put(buf, row(inner, 0), state, theme.strong());
    put(buf, row(inner, 1), &format!("{what}?"), theme.plain());
    put(buf, row(inner, 2), "y yes   Esc no, back to where I was", theme.asks());
}
