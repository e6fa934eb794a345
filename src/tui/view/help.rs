//! The help screen, made from the table of keys and the words of the steps.
//!
//! ```text
//! > Keys and words ------------------------------
//!  A run
//!    Enter              open the step on the full screen
//!    ...
//!  Words of the steps
//!    + proven           read in the target; the reading is kept
//! ```
use super::page::{Page, pane};
use super::{footer, frame_of};
use crate::engine::standing::Standing;
use crate::tui::keymap::{Context, KEYS};
use crate::tui::model::{Drawn, Help, Model};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub fn render(model: &Model, help: Help, area: Rect, buf: &mut Buffer) -> Drawn {
    let theme = model.theme;
    let (_, body, bottom) = frame_of(area, 0);
    let inner = pane(buf, theme, body, "Keys and words", true, false);
    let mut page = Page::new(theme, inner.width);
    // What was asked about, then what holds everywhere, then the rest.
    let first = [help.of, Context::Common, Context::Anywhere];
    let rest = Context::ALL.into_iter().filter(|context| !first.contains(context));
    for context in first.into_iter().chain(rest) {
        page.say(theme.title(), 1, context.title());
        for binding in KEYS.iter().filter(|b| b.context == context) {
            page.pair(theme.plain(), 3, &format!("{:<14}", binding.shown), binding.about);
        }
        page.blank();
    }
    page.say(theme.title(), 1, "Words of the steps");
    for standing in Standing::ALL {
        let label = format!("{} {:<12}", theme.mark(standing), standing.word());
        page.pair(theme.standing(standing), 3, &label, standing.about());
    }
    let over_max = page.draw(buf, inner, help.scroll);
    footer::render(model, bottom, buf);
    Drawn { page: usize::from(inner.height), over_max, ..Drawn::default() }
}
