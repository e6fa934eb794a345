//! The last line: the keys that matter here, or one sentence about what was just done.
//!
//! ```text
//!  Enter open  Tab pane  r retry  g gate  s stop  l log  h help  q quit
//! ```
use super::page::{fit, put, put_line};
use crate::tui::keymap::{self, Context};
use crate::tui::model::{Model, Screen};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

pub fn render(model: &Model, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    if let Some(notice) = &model.notice {
        let text = format!(" {}", theme.safe(&notice.text));
        put(buf, area, &fit(theme, &text, usize::from(area.width)), theme.strong());
        return;
    }
    let mut area = area;
    if let Screen::Run(run) = &model.screen
        && let Some(text) = &run.typing
        && model.context() == Context::Find
    {
        let width = (area.width / 2).min(40);
        put(buf, Rect { width: 2.min(area.width), ..area }, " /", theme.key());
        text.draw(buf, Rect { x: area.x.saturating_add(2), width, ..area }, theme);
        let used = (width + 2).min(area.width);
        area = Rect { x: area.x.saturating_add(used), width: area.width - used, ..area };
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
