//! The screen of a run.
//!
//! ```text
//! below 110 columns           from 110                      from 150
//! +----------------------+    +-------------------------+    +-------------------------+
//! | header               |    | header                  |    | header                  |
//! | tabs                 |    | tabs                    |    | steps      | Proxmox    |
//! | one pane; the steps  |    | steps      | one pane   |    |            | Talos      |
//! | beside their detail  |    |            | of the     |    | detail     | releases   |
//! |                      |    | detail     | site       |    |            | pods       |
//! | log                  |    | log                     |    |            | events     |
//! | footer               |    | footer                  |    | log                     |
//! +----------------------+    +-------------------------+    | footer                  |
//!                                                            +-------------------------+
//! ```
//! Before something of the site was seen the steps and their detail have all of it. Below 70 columns the detail has the width
//! alone; a low screen has no log beside the rest.
use super::page::{Page, pane};
use super::table::Shown;
use super::{answer, detail, dialogs, footer, frame_of, header, log, narrowed, table, tabs, tree};
use crate::engine::standing::clock_of;
use crate::plan::Review;
use crate::tui::model::run::{Full, Pane, RunModel};
use crate::tui::model::{Drawn, Model};
use crate::tui::panes::Table;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// From this width on the steps have a pane of the site beside them.
const TWO: u16 = 110;
/// From this width on all panes are there.
const ALL: u16 = 150;
/// Below this height there is no room for all of them.
const ALL_ROWS: u16 = 14;
/// Below this width the steps have no detail beside them.
const BESIDE: u16 = 70;

pub fn render(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) -> Drawn {
    let with_all = area.width >= ALL && !run.observed.is_empty();
    let with_tabs = run.full.is_none() && !with_all;
    let head = header::height(model, run, area.height);
    let (top, body, bottom) = frame_of(area, head + u16::from(with_tabs));
    header::render(model, run, Rect { height: head.min(top.height), ..top }, buf);
    footer::render(model, bottom, buf);
    let mut drawn = match run.full {
        Some(full) => whole(model, run, full, body, buf),
        None => panes(model, run, body, buf),
    };
    if with_tabs && top.height > head {
        let row = Rect { y: top.y.saturating_add(head), height: 1, ..top };
        let here = run.keyboard(drawn.tabs);
        let shown = if drawn.tabs || here == Pane::Log || run.observed.is_empty() { here } else { run.beside() };
        tabs::render(model, run, shown, row, buf);
    }
    if let Some(dialog) = &run.dialog {
        let (over_max, page) = dialogs::render(model, run, dialog, body, buf);
        drawn.over_max = over_max;
        drawn.page = page;
    }
    drawn
}

fn whole(model: &Model, run: &RunModel, full: Full, body: Rect, buf: &mut Buffer) -> Drawn {
    let (over_max, page) = match full {
        Full::Log => (0, log::render(model, run, body, buf, true, true)),
        Full::Detail => {
            let inner = pane(
                buf,
                model.theme,
                body,
                &format!("Detail and evidence{}", narrowed(model.theme, run.problems, &run.find)),
                true,
                false,
            );
            let mut page = detail::page(model, run, inner.width, true);
            page.narrow(&run.find);
            (page.draw(buf, inner, run.full_scroll), usize::from(inner.height))
        }
        Full::Item(of) | Full::Answer(of) => {
            let is_answer = matches!(full, Full::Answer(_));
            let what = if is_answer { answer::title(model.theme, &run.asking) } else { of.title().to_string() };
            let title = format!("{what}{}", narrowed(model.theme, run.problems, &run.find));
            let inner = pane(buf, model.theme, body, &title, true, false);
            let mut page = item(model, run, full, of, inner.width);
            page.narrow(&run.find);
            (page.draw(buf, inner, run.full_scroll), usize::from(inner.height))
        }
        Full::Findings => {
            let inner = pane(
                buf,
                model.theme,
                body,
                &format!(
                    "Warnings and notes of the plan, and what it makes{}",
                    narrowed(model.theme, run.problems, &run.find)
                ),
                true,
                false,
            );
            let mut page = findings(model, run, inner.width);
            page.narrow(&run.find);
            (page.draw(buf, inner, run.full_scroll), usize::from(inner.height))
        }
    };
    Drawn { page, over_max, tabs: body.width < TWO, ..Drawn::default() }
}

/// All that is known of the selected line of a pane, or the answer to what was asked about it.
fn item(model: &Model, run: &RunModel, full: Full, of: Pane, width: u16) -> Page {
    if matches!(full, Full::Answer(_)) {
        return answer::page(model.theme, &run.asking, model.wall, width);
    }
    table::page(model.theme, table::of(model, run, of).as_ref(), run.picked.get(&of), width)
}

fn findings(model: &Model, run: &RunModel, width: u16) -> Page {
    let mut page = Page::new(model.theme, width);
    if run.findings.is_empty() {
        page.say(model.theme.plain(), 0, "none");
    }
    for finding in &run.findings {
        page.block(model.theme.plain(), 0, finding);
        page.blank();
    }
    if let Some(review) = run.review(clock_of(&run.state, model.now)) {
        page.say(model.theme.strong(), 0, "What the whole run makes:");
        review_lines(model, &review, &mut page);
    }
    page
}

/// The sums of what a run makes, a label and a sentence each.
pub fn review_lines(model: &Model, review: &Review, page: &mut Page) {
    for (label, text) in review.told() {
        page.pair(model.theme.plain(), 1, &format!("{label:<12} "), &text);
    }
}

fn panes(model: &Model, run: &RunModel, body: Rect, buf: &mut Buffer) -> Drawn {
    let tabs = body.width < TWO;
    let focus = run.keyboard(tabs);
    let log_height = match body.height {
        0..=12 => 0,
        13..=27 => 6,
        28..=40 => 9,
        _ => 13,
    };
    if focus == Pane::Log && (tabs || log_height == 0) {
        let page = log::render(model, run, body, buf, true, false);
        return Drawn { page, tabs, ..Drawn::default() };
    }
    let upper = Rect { height: body.height.saturating_sub(log_height), ..body };
    let lower = Rect { y: upper.bottom(), height: log_height, ..body };
    if log_height > 0 {
        log::render(model, run, lower, buf, focus == Pane::Log, false);
    }
    let mut drawn = match (tabs, focus.is_of_site()) {
        (true, true) => of_site(model, run, focus, upper, buf, true),
        (true, false) => steps(model, run, focus, upper, buf),
        (false, _) if run.observed.is_empty() && !focus.is_of_site() => steps(model, run, focus, upper, buf),
        (false, _) => columns(model, run, focus, upper, buf),
    };
    if focus == Pane::Log {
        drawn.page = usize::from(log_height.saturating_sub(1));
    }
    Drawn { tabs, ..drawn }
}

fn of_site(model: &Model, run: &RunModel, of: Pane, area: Rect, buf: &mut Buffer, focused: bool) -> Drawn {
    let page = table::of(model, run, of).map_or(0, |seen| draw(model, run, (of, &seen), area, buf, focused));
    Drawn { page, ..Drawn::default() }
}

/// One pane of the site; gives the rows that a page of it has.
fn draw(
    model: &Model,
    run: &RunModel,
    (of, table): (Pane, &Table),
    area: Rect,
    buf: &mut Buffer,
    focused: bool,
) -> usize {
    let left_out = narrowed(model.theme, run.problems, run.find_in(of));
    let name = of.name();
    let shown = Shown { name: &name, table, picked: run.picked.get(&of), left_out, focused };
    table::render(model.theme, &shown, area, buf)
}

/// The steps beside the detail of the selected one.
fn steps(model: &Model, run: &RunModel, focus: Pane, area: Rect, buf: &mut Buffer) -> Drawn {
    let with_detail = |area: Rect, buf: &mut Buffer| {
        let (detail_max, page) = detail::render(model, run, area, buf, focus == Pane::Detail, false);
        Drawn { page, detail_max, ..Drawn::default() }
    };
    if area.width < BESIDE {
        return match focus {
            Pane::Detail => with_detail(area, buf),
            Pane::Days | Pane::Proxmox | Pane::Talos | Pane::Releases | Pane::Pods | Pane::Events | Pane::Log => {
                let page = tree::render(model, run, area, buf, focus == Pane::Days, false);
                Drawn { page, ..Drawn::default() }
            }
        };
    }
    let days = if area.width >= TWO { 66 } else { area.width / 2 };
    let left = Rect { width: days, ..area };
    let right = Rect { x: left.right(), width: area.width.saturating_sub(days), ..area };
    let page = tree::render(model, run, left, buf, focus == Pane::Days, true);
    let beside = with_detail(right, buf);
    Drawn { page: if focus == Pane::Detail { beside.page } else { page }, ..beside }
}

/// The steps above the detail of the selected one; beside them one pane of the site, or all of them.
fn columns(model: &Model, run: &RunModel, focus: Pane, area: Rect, buf: &mut Buffer) -> Drawn {
    let with_all = area.width >= ALL && area.height >= ALL_ROWS;
    let left_width = if area.width >= ALL { 66 } else { 52 };
    let left = Rect { width: left_width, ..area };
    let right = Rect { x: left.right(), width: area.width.saturating_sub(left_width), ..area };
    let most = if area.height < 12 { 0 } else { area.height * 2 / 5 };
    let wanted = detail::page(model, run, left.width.saturating_sub(1), false).len();
    let below = most.min(u16::try_from(wanted).unwrap_or(u16::MAX).saturating_add(1));
    let above = Rect { height: left.height.saturating_sub(below), ..left };
    let lower = Rect { y: above.bottom(), height: below, ..left };
    let mut drawn = Drawn::default();
    if below == 0 && focus == Pane::Detail {
        (drawn.detail_max, drawn.page) = detail::render(model, run, left, buf, true, true);
    } else {
        drawn.page = tree::render(model, run, above, buf, focus == Pane::Days, true);
        let (detail_max, page) = detail::render(model, run, lower, buf, focus == Pane::Detail, true);
        drawn.detail_max = detail_max;
        if focus == Pane::Detail {
            drawn.page = page;
        }
    }
    let shown = if with_all {
        all(model, run, focus, right, buf)
    } else {
        let beside = run.beside();
        of_site(model, run, beside, right, buf, focus == beside).page
    };
    if focus.is_of_site() {
        drawn.page = shown;
    }
    drawn
}

/// All panes of the site, one above the other; gives the rows of the one that has the keyboard.
fn all(model: &Model, run: &RunModel, focus: Pane, area: Rect, buf: &mut Buffer) -> usize {
    let tables: Vec<(Pane, Table)> =
        Pane::OF_SITE.into_iter().filter_map(|pane| Some((pane, table::of(model, run, pane)?))).collect();
    let wanted: Vec<u16> = tables.iter().map(|(_, seen)| table::wanted(seen)).collect();
    let first = if focus.is_of_site() { focus } else { run.beside() };
    let first = tables.iter().position(|(pane, _)| *pane == first).unwrap_or(0);
    let heights = share(area.height, &wanted, first);
    let mut y = area.y;
    let mut page = 0;
    for ((pane, seen), height) in tables.iter().zip(heights) {
        let rows = draw(model, run, (*pane, seen), Rect { y, height, ..area }, buf, *pane == focus);
        if *pane == focus {
            page = rows;
        }
        y = y.saturating_add(height);
    }
    page
}

/// Rows for each: a title for all, half of it for the `first` where it wants so much, then one by one; what is left over
/// goes to the last.
pub(super) fn share(rows: u16, wanted: &[u16], first: usize) -> Vec<u16> {
    let mut heights: Vec<u16> = wanted.iter().map(|_| 0).collect();
    let mut left = rows;
    for height in &mut heights {
        *height = left.min(1);
        left -= *height;
    }
    if let (Some(height), Some(wanted)) = (heights.get_mut(first), wanted.get(first)) {
        let more = wanted.saturating_sub(*height).min(rows / 2).min(left);
        *height += more;
        left -= more;
    }
    while left > 0 {
        let before = left;
        for (height, wanted) in heights.iter_mut().zip(wanted) {
            if left > 0 && *height < *wanted {
                *height += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    if let Some(height) = heights.last_mut() {
        *height += left;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pane_keeps_its_title_and_the_one_that_matters_gets_half() {
        assert_eq!(share(30, &[8, 6, 50, 1, 20], 2), [4, 4, 18, 1, 3]);
        assert_eq!(share(30, &[3, 1, 1, 1, 1], 0), [3, 1, 1, 1, 24]);
        assert_eq!(share(3, &[9, 9, 9, 9, 9], 4), [1, 1, 1, 0, 0]);
        assert_eq!(share(0, &[9], 0), [0]);
    }
}
