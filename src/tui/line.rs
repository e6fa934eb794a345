//! A text field of one line.
use super::theme::Theme;
use crate::base::text::clean;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use tui_textarea::{CursorMove, TextArea};

/// Longest text that is taken, in characters; no value of a plan comes near it.
const LIMIT: usize = 2000;

#[derive(Debug, Clone)]
pub struct TextLine(TextArea<'static>);

impl TextLine {
    /// The cursor stands behind the text.
    pub fn new(text: &str) -> Self {
        let mut area = TextArea::new(vec![clean(text).chars().take(LIMIT).collect()]);
        area.set_cursor_line_style(Style::new());
        area.move_cursor(CursorMove::End);
        TextLine(area)
    }

    pub fn text(&self) -> String {
        self.0.lines().first().cloned().unwrap_or_default()
    }

    /// Edits by one key; keys that would make a second line do nothing.
    pub fn key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter | KeyCode::Tab | KeyCode::BackTab | KeyCode::Up | KeyCode::Down => {}
            KeyCode::Char('m' | 'j' | 'i') if control => {}
            // As every shell does it; the text area alone would undo.
            KeyCode::Char('u') if control => {
                self.0.delete_line_by_head();
            }
            KeyCode::Char(c) if !control && (!clean(&format!("x{c}x")).contains(c) || self.is_full()) => {}
            _ => {
                self.0.input(key);
            }
        }
    }

    pub fn paste(&mut self, text: &str) {
        let room = LIMIT.saturating_sub(self.text().chars().count());
        self.0.insert_str(clean(text).chars().take(room).collect::<String>());
    }

    fn is_full(&self) -> bool {
        self.text().chars().count() >= LIMIT
    }

    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: Theme) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let mut shown = self.0.clone();
        shown.set_style(theme.strong());
        shown.set_cursor_style(theme.selected());
        // The clone has not the scroll offset of the last frame; the cursor is brought into view anew.
        shown.render(Rect { height: 1, ..area }, buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stays_one_line_whatever_is_typed_or_pasted() {
        let mut line = TextLine::new("ab");
        line.key(KeyEvent::from(KeyCode::Enter));
        line.key(KeyEvent::new(KeyCode::Char('m'), KeyModifiers::CONTROL));
        line.key(KeyEvent::from(KeyCode::Char('c')));
        line.paste("d\ne\x1b[31m");
        assert_eq!(line.text(), "abcd e [31m");
        line.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(line.text(), "");
        line.paste(&"x".repeat(70_000));
        assert_eq!(line.text().len(), LIMIT);
        let mut buf = Buffer::empty(Rect::new(0, 0, 10, 1));
        line.draw(&mut buf, Rect::new(0, 0, 10, 1), Theme::new(false, true));
        line.draw(&mut buf, Rect::new(9, 0, 100, 5), Theme::new(false, true));
    }
}
