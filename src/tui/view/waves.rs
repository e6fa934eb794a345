//! The HelmReleases of day 3, wave by wave, as far as the records know them: until the worker's observer has seen a release.
//!
//! ```text
//!  HelmReleases -------------------
//!  + proven   release wave 1 is Ready
//!             cilium, kubeovn are Ready
//!  ~ waits    release wave 2 is Ready       3 of 8
//!             cert-manager: install retries exhausted
//! ```
use super::page::{Page, pane};
use crate::engine::standing::{clock_of, standing};
use crate::engine::state::{RunState, StepState};
use crate::tui::model::Model;
use crate::tui::model::run::RunModel;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The kind of the steps that wait for a wave.
const KIND: &str = "day3.releases";

pub fn waves(state: &RunState) -> impl Iterator<Item = &StepState> {
    state.wanted().filter(|s| s.outline.id.kind() == KIND)
}

pub fn render(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let inner = pane(buf, theme, area, "HelmReleases", false, false);
    let now = clock_of(&run.state, model.now);
    let mut page = Page::new(theme, inner.width);
    // The wave in hand is brought into view.
    let mut first_open = None;
    for step in waves(&run.state) {
        if first_open.is_none() && !step.is_proven() {
            first_open = Some(page.len().saturating_sub(1));
        }
        let standing = standing(step, &run.state, now);
        let label = format!("{} {:<9}", theme.mark(standing), standing.word());
        page.pair(theme.standing(standing), 0, &label, &step.outline.title);
        let seen = match (&step.wait, &step.proof) {
            (Some((wait, _)), _) => {
                let count = wait.progress.as_ref().map(|p| format!("{} of {} {}: ", p.done, p.total, p.unit));
                format!("{}{}", count.unwrap_or_default(), wait.seen)
            }
            (None, Some(proof)) => proof.summary().to_string(),
            (None, None) => continue,
        };
        page.say(theme.plain(), 11, &seen);
    }
    page.draw(buf, inner, first_open.unwrap_or(0));
}
