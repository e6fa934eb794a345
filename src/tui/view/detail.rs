//! The pane beside the days: what is known of the selected step or day (`step.rs`, `day.rs`).
use super::page::{Page, pane};
use super::{day, step};
use crate::tui::model::Model;
use crate::tui::model::run::{Pane, Row, RunModel};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The selected step or day as a page; `whole`: with the answers of the target.
pub fn page(model: &Model, run: &RunModel, width: u16, whole: bool) -> Page {
    match run.current() {
        Row::Day(number) => day::page(model, run, number, width),
        Row::Step(id) => match run.state.step(&id) {
            Some(found) => step::page(model, &run.state, found, width, whole),
            None => Page::new(model.theme, width),
        },
    }
}

/// Farthest first line, and the rows; `rule`: something follows at the right.
pub fn render(
    model: &Model,
    run: &RunModel,
    area: Rect,
    buf: &mut Buffer,
    focused: bool,
    rule: bool,
) -> (usize, usize) {
    let inner = pane(buf, model.theme, area, Pane::Detail.title(), focused, rule);
    let page = page(model, run, inner.width, false);
    (page.draw(buf, inner, run.detail_scroll), usize::from(inner.height))
}
