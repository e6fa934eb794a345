//! The last line: the keys that matter here, or one sentence about what was just done.
//!
//! ```text
//!  Enter open  Tab pane  r retry  g gate  s stop  l log  h help  q quit
//! ```
use super::page::{fit, put, put_line};
use crate::tui::keymap;
use crate::tui::model::Model;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

pub fn render(model: &Model, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    if let Some(notice) = &model.notice {
        let text = format!(" {}", theme.safe(notice));
        put(buf, area, &fit(theme, &text, usize::from(area.width)), theme.strong());
        return;
    }
    let mut line = Line::default();
    let mut room = usize::from(area.width);
    for binding in keymap::footer(model.context()) {
        // The first of several keys is enough here; the help has them all.
        let key = binding.shown.split(' ').next().unwrap_or_default();
        let width = 3 + key.width() + binding.short.width();
        if width > room {
            break;
        }
        room -= width;
        line.push_span(Span::styled(format!(" {key}"), theme.key()));
        line.push_span(Span::styled(format!(" {} ", binding.short), theme.plain()));
    }
    put_line(buf, area, &line);
}
