//! The screen of a cluster that no run speaks of.
//!
//! ```text
//!  cozyup watch  https://10.0.0.200:6443 as admin                  22:51:07Z
//!  nodes 3/4  releases 20/41  pods 53/54  12 warnings          k8s + <10s
//!  X node cp3 is NotReady: NodeStatusUnknown                       2 more
//! [1 Nodes X] 2 Releases X 3 Pods  4 Events  5 Log
//! ```
//! On a wide and high screen all panes stand one above the other, and there are no tabs.
use super::header::{contacts, worst_line};
use super::page::{fit, pane, put, put_line, row};
use super::run::share;
use super::table::{self, Shown};
use super::{answer, footer, frame_of, narrowed};
use crate::tui::model::cluster::{ClusterModel, ClusterPane};
use crate::tui::model::{Drawn, Model};
use crate::tui::panes::{Grade, Moment, Table, table_of_cluster, time_of_day, troubles_of_cluster};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// From this size on all panes are there.
const ALL: (u16, u16) = (110, 30);

type Tables = Vec<(ClusterPane, Table)>;

pub fn render(model: &Model, seen: &ClusterModel, area: Rect, buf: &mut Buffer) -> Drawn {
    let moment = Moment { now: model.now, wall: model.wall };
    let tables: Tables =
        ClusterPane::ALL.into_iter().map(|pane| (pane, table_of_cluster(seen, pane, moment))).collect();
    let troubles = troubles_of_cluster(&seen.observed, moment);
    let tabs = (area.width < ALL.0 || area.height < ALL.1) && !seen.full;
    let head = 2 + u16::from(!troubles.is_empty() && area.height >= 16);
    let (top, body, bottom) = frame_of(area, head + u16::from(tabs));
    who(model, seen, row(top, 0), buf);
    counts(model, seen, row(top, 1), buf);
    if head > 2 {
        worst_line(model.theme, &troubles, row(top, 2), buf);
    }
    footer::render(model, bottom, buf);
    if seen.full {
        return line(model, seen, &tables, body, buf);
    }
    let page = if tabs {
        tab_row(model, seen, &tables, row(top, usize::from(head)), buf);
        let shown = tables.iter().find(|(pane, _)| *pane == seen.pane);
        shown.map_or(0, |shown| draw(model, seen, shown, body, buf))
    } else {
        stacked(model, seen, &tables, body, buf)
    };
    Drawn { page, tabs, ..Drawn::default() }
}

fn who(model: &Model, seen: &ClusterModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let clock = format!("{}Z ", time_of_day(model.now));
    let user = if seen.user.is_empty() { String::new() } else { format!(" as {}", theme.safe(&seen.user)) };
    let left = format!(" cozyup watch  {}{user}  only reads", theme.safe(&seen.server));
    put(buf, area, &fit(theme, &left, usize::from(area.width).saturating_sub(clock.width() + 1)), theme.title());
    at_the_right(area, &Line::from(Span::styled(clock, theme.strong())), buf);
}

fn counts(model: &Model, seen: &ClusterModel, area: Rect, buf: &mut Buffer) {
    let observed = &seen.observed;
    let not_ended =
        |pods: &crate::observed::Pods| pods.total.saturating_sub(pods.phases.get("Succeeded").copied().unwrap_or(0));
    let parts = [
        observed.nodes().map(|nodes| format!("nodes {}/{}", nodes.ready, nodes.total)),
        observed.releases().map(|releases| format!("releases {}/{}", releases.ready, releases.total)),
        observed.pods().map(|pods| format!("pods {}/{}", pods.ready, not_ended(pods))),
        observed.events().map(|events| format!("warnings {}", events.total)),
    ];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join("  ");
    let health = contacts(model.theme, &observed.ages(model.now, model.wall));
    let room = usize::from(area.width).saturating_sub(health.width() + 1);
    put(buf, area, &fit(model.theme, &format!(" {text}"), room), model.theme.strong());
    at_the_right(area, &health, buf);
}

fn at_the_right(area: Rect, line: &Line<'_>, buf: &mut Buffer) {
    let width = u16::try_from(line.width()).unwrap_or(area.width).min(area.width);
    put_line(buf, Rect { x: area.right().saturating_sub(width), width, ..area }, line);
}

fn tab_row(model: &Model, seen: &ClusterModel, tables: &Tables, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let mut line = Line::default();
    for (pane, table) in tables {
        let here = *pane == seen.pane;
        let (open, close) = if here { ("[", "]") } else { (" ", " ") };
        let style = if here { theme.title() } else { theme.plain() };
        line.push_span(Span::styled(format!("{open}{}", pane.name()), style));
        // A warning tells of what was; the mark is for what is.
        if table.grade >= Grade::Warn && !matches!(pane, ClusterPane::Events | ClusterPane::Log) {
            line.push_span(Span::styled(format!(" {}", theme.grade_mark(table.grade)), theme.grade(table.grade)));
        }
        line.push_span(Span::styled(close, style));
    }
    put_line(buf, area, &line);
}

/// All panes, one above the other; gives the rows of the one that has the keyboard.
fn stacked(model: &Model, seen: &ClusterModel, tables: &Tables, area: Rect, buf: &mut Buffer) -> usize {
    let wanted: Vec<u16> = tables.iter().map(|(_, table)| table::wanted(table)).collect();
    let first = tables.iter().position(|(pane, _)| *pane == seen.pane).unwrap_or(0);
    let mut y = area.y;
    let mut page = 0;
    for (shown, height) in tables.iter().zip(share(area.height, &wanted, first)) {
        let rows = draw(model, seen, shown, Rect { y, height, ..area }, buf);
        if shown.0 == seen.pane {
            page = rows;
        }
        y = y.saturating_add(height);
    }
    page
}

fn draw(model: &Model, seen: &ClusterModel, shown: &(ClusterPane, Table), area: Rect, buf: &mut Buffer) -> usize {
    let (pane, table) = shown;
    let shown = Shown {
        name: pane.name(),
        table,
        picked: seen.picked.get(pane),
        left_out: narrowed(model.theme, seen.problems, seen.find_in(*pane)),
        focused: *pane == seen.pane,
    };
    table::render(model.theme, &shown, area, buf)
}

/// All of the selected line.
fn line(model: &Model, seen: &ClusterModel, tables: &Tables, body: Rect, buf: &mut Buffer) -> Drawn {
    let of = if seen.answer { answer::title(model.theme, &seen.asking) } else { seen.pane.name().to_string() };
    let title = format!("{of}{}", narrowed(model.theme, false, &seen.find));
    let inner = pane(buf, model.theme, body, &title, true, false);
    let table = tables.iter().find(|(pane, _)| *pane == seen.pane).map(|(_, table)| table);
    let mut page = if seen.answer {
        answer::page(model.theme, &seen.asking, model.wall, inner.width)
    } else {
        table::page(model.theme, table, seen.picked.get(&seen.pane), inner.width)
    };
    page.narrow(&seen.find);
    let over_max = page.draw(buf, inner, seen.full_scroll);
    Drawn { over_max, page: usize::from(inner.height), ..Drawn::default() }
}
