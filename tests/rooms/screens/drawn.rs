//! A drawn screen as text: its lines, each closed by `|` at the right edge, then the styles of each line that has some.
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// The lines of the screen and, under `-- styles`, for each row `ROW  FIRST-LAST style`, all counted from 1.
pub fn text(buf: &Buffer) -> String {
    let width = usize::from(buf.area.width);
    let mut out = String::new();
    let mut styles = String::new();
    for (n, row) in buf.content.chunks(width).enumerate() {
        out.extend(row.iter().map(Cell::symbol));
        out.push_str("|\n");
        let runs = runs(row);
        if !runs.is_empty() {
            styles.push_str(&format!("{:>2}  {}\n", n + 1, runs.join(", ")));
        }
    }
    if !styles.is_empty() {
        out.push_str("-- styles\n");
        out.push_str(&styles);
    }
    out
}

/// Neighbours of one style together; cells without a style are left out.
fn runs(row: &[Cell]) -> Vec<String> {
    let mut out: Vec<(usize, usize, String)> = Vec::new();
    for (n, cell) in row.iter().enumerate() {
        let style = style(cell);
        match out.last_mut() {
            Some((_, last, same)) if *same == style && *last == n => *last = n + 1,
            _ if style.is_empty() => {}
            _ => out.push((n + 1, n + 1, style)),
        }
    }
    out.into_iter().map(|(first, last, style)| format!("{first}-{last} {style}")).collect()
}

fn style(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(cell.fg.to_string().to_lowercase());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on-{}", cell.bg.to_string().to_lowercase()));
    }
    words.extend(cell.modifier.iter_names().map(|(name, _): (&str, Modifier)| name.to_lowercase()));
    words.join(" ")
}

#[test]
fn the_text_has_lines_edges_and_styles() {
    use ratatui::layout::Rect;
    use ratatui::style::Style;
    let mut buf = Buffer::empty(Rect::new(0, 0, 4, 2));
    buf.set_string(1, 0, "ab", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
    assert_eq!(text(&buf), " ab |\n    |\n-- styles\n 1  2-3 red bold\n");
}
