//! The last line: the keys that matter here, or one sentence about what was just done.
//!
//! ```text
//!  Enter open  Tab pane  r retry  g gate  s stop  l log  h help  q quit
//! ```
use super::page::{fit, put, put_line};
use crate::tui::keymap::{self, Binding, Context};
use crate::tui::line::TextLine;
use crate::tui::model::Model;
use crate::tui::palette;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// The width of a name that is typed.
const NAME: u16 = 14;

pub fn render(model: &Model, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let mut area = area;
    // What is said of a name stands behind the name.
    if model.context() == Context::Palette
        && let Some(text) = &model.palette
    {
        area = typed(theme, " :", text, (area, NAME), buf);
    }
    if let Some(notice) = &model.notice {
        let text = format!(" {}", theme.safe(&notice.text));
        put(buf, area, &fit(theme, &text, usize::from(area.width)), theme.strong());
        return;
    }
    if model.context() == Context::Find
        && let Some(text) = model.typing()
    {
        area = typed(theme, " /", text, (area, 40), buf);
    }
    if model.context() == Context::Palette
        && let Some(text) = &model.palette
    {
        let names: Vec<&str> = palette::matching(&model.screen, &text.text()).iter().map(|c| c.name).collect();
        put(buf, area, &fit(theme, &names.join(" "), usize::from(area.width)), theme.plain());
        return;
    }
    // The first of several keys is enough here; the help has them all.
    let key = |binding: &Binding| binding.shown.split(' ').next().unwrap_or_default();
    let width = |binding: &Binding| 3 + key(binding).width() + binding.short.width();
    // The way to the help and the way out are always seen.
    let (always, here): (Vec<_>, Vec<_>) = keymap::footer(model.context()).partition(|b| b.context == Context::Common);
    let mut line = Line::default();
    let mut room = usize::from(area.width).saturating_sub(always.iter().map(|b| width(b)).sum());
    let fitting = here.into_iter().take_while(|binding| {
        let fits = width(binding) <= room;
        room = room.saturating_sub(width(binding));
        fits
    });
    for binding in fitting.collect::<Vec<_>>().into_iter().chain(always) {
        line.push_span(Span::styled(format!(" {}", key(binding)), theme.key()));
        line.push_span(Span::styled(format!(" {} ", binding.short), theme.plain()));
    }
    put_line(buf, area, &line);
}

/// A text that is typed behind a sign, at most so wide; gives what is left of the line.
fn typed(theme: Theme, sign: &str, text: &TextLine, (area, most): (Rect, u16), buf: &mut Buffer) -> Rect {
    let width = (area.width / 2).min(most);
    put(buf, Rect { width: 2.min(area.width), ..area }, sign, theme.key());
    text.draw(buf, Rect { x: area.x.saturating_add(2), width, ..area }, theme);
    let used = (width + 2).min(area.width);
    Rect { x: area.x.saturating_add(used), width: area.width - used, ..area }
}
