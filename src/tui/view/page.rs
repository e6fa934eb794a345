//! Text in cells: fitting, wrapping, scrolling, and the frames of panes and dialogs.
use crate::tui::theme::{Sign, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Widget};
use std::time::Duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// One line of text, cut at the right edge.
pub fn put(buf: &mut Buffer, area: Rect, text: &str, style: Style) {
    let area = area.intersection(buf.area);
    if !area.is_empty() {
        buf.set_stringn(area.x, area.y, text, usize::from(area.width), style);
    }
}

/// One styled line, cut at the right edge.
pub fn put_line(buf: &mut Buffer, area: Rect, line: &Line<'_>) {
    let area = area.intersection(buf.area);
    if !area.is_empty() {
        buf.set_line(area.x, area.y, line, area.width);
    }
}

/// Row `n` of `area`, empty where there is none.
pub fn row(area: Rect, n: usize) -> Rect {
    match u16::try_from(n) {
        Ok(n) if n < area.height => Rect { y: area.y.saturating_add(n), height: 1, ..area },
        Ok(_) | Err(_) => Rect { height: 0, ..area },
    }
}

/// Lines `top`, `top + 1`, … in the rows of `area`; `line` builds only what is seen.
pub fn rows<'a>(buf: &mut Buffer, area: Rect, top: usize, len: usize, mut line: impl FnMut(usize) -> Line<'a>) {
    for (n, index) in (top..len).take(usize::from(area.height)).enumerate() {
        put_line(buf, row(area, n), &line(index));
    }
}

/// The first line of a list of `len` lines so that line `cursor` is seen, two lines of context where there is room.
pub fn top_for(cursor: usize, len: usize, height: u16) -> usize {
    let height = usize::from(height).max(1);
    let margin = (height / 4).min(2);
    let last_top = len.saturating_sub(height);
    let lowest = (cursor + margin + 1).saturating_sub(height);
    // The list stands still as long as the cursor is in its first page.
    lowest.min(last_top)
}

/// `text` in at most `width` columns, with a sign where something was cut.
pub fn fit(theme: Theme, text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let sign = theme.sign(Sign::More);
    let mut out = String::new();
    let mut used = sign.width();
    if used > width {
        return out;
    }
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > width {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push_str(sign);
    out
}

/// [`fit`], filled with spaces to exactly `width` columns.
pub fn cell(theme: Theme, text: &str, width: usize) -> String {
    let mut out = fit(theme, text, width);
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(out.width())));
    out
}

/// `text` in lines of at most `width` columns, broken at spaces where there are some.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let indent = text.len() - text.trim_start_matches(' ').len();
    let mut lines = Vec::new();
    let mut line = " ".repeat(indent.min(width / 2));
    let mut used = line.width();
    let mut fresh = true;
    for word in text.trim_start_matches(' ').split(' ') {
        let w = word.width();
        if !fresh && used + 1 + w <= width {
            line.push(' ');
            line.push_str(word);
            used += 1 + w;
            continue;
        }
        if !fresh {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        fresh = false;
        for c in word.chars() {
            let w = c.width().unwrap_or(0);
            if used + w > width && used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += w;
        }
    }
    lines.push(line);
    lines
}

/// `12s`, `4m10`, `1h05`, from a hundred hours on `219d`: at most five columns.
pub fn brief(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..=59 => format!("{s}s"),
        60..=3599 => format!("{}m{:02}", s / 60, s % 60),
        3600..360_000 => format!("{}h{:02}", s / 3600, s % 3600 / 60),
        _ => format!("{}d", s / 86_400),
    }
}

/// `brief` of a time that goes on: it changes every few seconds at most, since each change costs bytes on a slow line.
pub fn coarse(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..=9 => brief(d),
        10..=59 => format!("{}s", s / 5 * 5),
        60..=599 => brief(Duration::from_secs(s / 10 * 10)),
        600..=3599 => format!("{}m", s / 60),
        _ => brief(d),
    }
}

/// `[####....]` in `width` columns; the part is clamped to the whole.
pub fn bar(theme: Theme, done: u64, total: u64, width: usize) -> String {
    let inner = width.saturating_sub(2);
    let share = if total == 0 { 0.0 } else { (done.min(total) as f64) / (total as f64) };
    let full = ((share * inner as f64) as usize).min(inner);
    format!("[{}{}]", theme.sign(Sign::BarDone).repeat(full), theme.sign(Sign::BarLeft).repeat(inner - full))
}

/// Whole per cent, 0 to 100.
pub fn percent(done: u64, total: u64) -> u64 {
    if total == 0 { 0 } else { (done.min(total) as f64 / total as f64 * 100.0) as u64 }
}

/// A pane with a rule above, which carries the title, and one at its right where another pane follows.
pub fn pane(buf: &mut Buffer, theme: Theme, area: Rect, title: &str, focused: bool, right: bool) -> Rect {
    let sign = if focused { theme.sign(Sign::Cursor) } else { " " };
    let style = if focused { theme.title() } else { theme.quiet() };
    pane_with(buf, theme, area, Line::from(Span::styled(format!("{sign}{title} "), style)), right)
}

/// [`pane`] with a title of several styles.
pub fn pane_with(buf: &mut Buffer, theme: Theme, area: Rect, title: Line<'static>, right: bool) -> Rect {
    let area = area.intersection(buf.area);
    let sides = if right { Borders::TOP | Borders::RIGHT } else { Borders::TOP };
    let block = Block::new().borders(sides).border_set(theme.border()).border_style(theme.quiet());
    let inner = block.inner(area);
    block.title(title).render(area, buf);
    inner
}

/// An emptied box in the middle of `area`, at most as large as wanted; gives its inside, one column of air at the sides.
pub fn dialog(buf: &mut Buffer, theme: Theme, area: Rect, (title, style): (&str, Style), wanted: (u16, u16)) -> Rect {
    let width = wanted.0.min(area.width);
    let height = wanted.1.min(area.height);
    let outer = Rect {
        x: area.x.saturating_add(area.width.saturating_sub(width) / 2),
        y: area.y.saturating_add(area.height.saturating_sub(height) / 2),
        width,
        height,
    };
    Clear.render(outer, buf);
    let block = Block::bordered()
        .border_set(theme.border())
        .border_style(style)
        .title(Span::styled(format!(" {title} "), theme.strong()));
    let inner = block.inner(outer);
    block.render(outer, buf);
    Rect { x: inner.x.saturating_add(1), width: inner.width.saturating_sub(2), ..inner }
}

/// Lines of text that grow downwards; everything from outside is made safe and wrapped here.
pub struct Page {
    theme: Theme,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl Page {
    pub fn new(theme: Theme, width: u16) -> Self {
        Page { theme, width: usize::from(width).max(1), lines: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn blank(&mut self) {
        self.lines.push(Line::default());
    }

    pub fn line(&mut self, line: Line<'static>) {
        self.lines.push(line);
    }

    /// Wrapped text behind `indent` columns.
    pub fn say(&mut self, style: Style, indent: usize, text: &str) {
        self.pair(style, indent, "", text);
    }

    /// `label text`, the text wrapped beneath itself.
    pub fn pair(&mut self, style: Style, indent: usize, label: &str, text: &str) {
        let label_width = label.width();
        let hang = (indent + label_width).min(self.width / 2);
        let room = self.width.saturating_sub(hang).max(1);
        let safe = self.theme.safe(text);
        for (n, part) in wrap(&safe, room).into_iter().enumerate() {
            let lead = if n == 0 {
                cell(self.theme, &format!("{}{label}", " ".repeat(indent.min(hang))), hang)
            } else {
                " ".repeat(hang)
            };
            self.lines.push(Line::from(vec![Span::styled(lead, self.theme.quiet()), Span::styled(part, style)]));
        }
    }

    /// Text of several lines as it stands, over-long lines wrapped; indentation is kept.
    pub fn block(&mut self, style: Style, indent: usize, text: &str) {
        let indent = indent.min(self.width / 2);
        for line in text.lines() {
            let spaces = line.len() - line.trim_start_matches(' ').len();
            let safe = format!("{}{}", " ".repeat(spaces), self.theme.safe(line));
            for part in wrap(&safe, self.width.saturating_sub(indent)) {
                self.lines.push(Line::from(Span::styled(format!("{}{part}", " ".repeat(indent)), style)));
            }
        }
    }

    /// Only the lines that have this text, whatever its case.
    pub fn narrow(&mut self, find: &str) {
        let find = find.to_lowercase();
        let text =
            |line: &Line<'static>| line.spans.iter().map(|s| s.content.as_ref()).collect::<String>().to_lowercase();
        self.lines.retain(|line| find.is_empty() || text(line).contains(&find));
    }

    /// Draws from line `scroll` on, at most so far that the page stays full; gives the farthest first line.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, scroll: usize) -> usize {
        let farthest = self.lines.len().saturating_sub(usize::from(area.height));
        let visible = self.lines.iter().skip(scroll.min(farthest));
        for (n, line) in visible.take(usize::from(area.height)).enumerate() {
            put_line(buf, row(area, n), line);
        }
        farthest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_breaks_at_spaces_and_keeps_the_indent() {
        assert_eq!(wrap("  one two three", 9), ["  one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("日本語", 3), ["日", "本", "語"]);
        assert!(wrap("日本", 1).iter().all(|l| l.chars().count() <= 1));
    }

    #[test]
    fn bars_and_shares_never_leave_their_bounds() {
        let theme = Theme::new(false, false);
        assert_eq!(bar(theme, 41, 78, 12), "[#####.....]");
        assert_eq!(bar(theme, 200, 100, 12), "[##########]");
        assert_eq!(bar(theme, u64::MAX, 0, 1), "[]");
        assert_eq!((percent(5, 0), percent(7, 5), percent(1, 3)), (0, 100, 33));
    }

    #[test]
    fn the_line_under_the_cursor_is_always_seen() {
        for height in 0..30u16 {
            for cursor in 0..40 {
                let top = top_for(cursor, 40, height);
                assert!(top <= cursor && cursor < top + usize::from(height).max(1), "{cursor} {height} {top}");
            }
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        let theme = Theme::new(false, true);
        assert_eq!(fit(theme, "clone cp1", 6), "clone…");
        assert_eq!(cell(theme, "ab", 4), "ab  ");
        assert_eq!(fit(theme, "abc", 0), "");
    }
}
