//! Plain text for a terminal.
use crate::assess::Assessment;
use crate::assess::tell::{Block, Page, page};
use crate::base::text::{clean, shorten};
use unicode_width::UnicodeWidthStr;

/// Widest cell of a table but its last, in columns.
const CELL: usize = 44;
/// Longest line.
const LINE: usize = 390;

/// Lines without a break at the end.
pub fn text(of: &Assessment) -> String {
    text_of(page(of))
}

/// Any page of this form.
pub fn text_of(page: Page) -> String {
    let Page { title, lead, sections } = page;
    let mut out = vec![title, String::new()];
    out.extend(lead);
    for section in &sections {
        out.extend([String::new(), section.title.to_string()]);
        section.blocks.iter().for_each(|block| lines(block, &mut out));
    }
    let shown = |line: &String| {
        let indent = line.len() - line.trim_start().len();
        format!("{}{}", " ".repeat(indent), shorten(&clean(line), LINE))
    };
    out.iter().map(shown).collect::<Vec<_>>().join("\n")
}

fn lines(block: &Block, out: &mut Vec<String>) {
    match block {
        Block::Line(line) => out.push(format!("  {line}")),
        Block::Entry { mark, what, details } => {
            out.push(format!("  {:<7} {what}", mark.word()));
            out.extend(details.iter().map(|d| format!("          {d}")));
        }
        Block::Table { head, rows } => {
            let head: Vec<String> = head.iter().map(ToString::to_string).collect();
            let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
            let cell = |text: &String| shorten(&clean(text), CELL);
            let width = |n: usize| all.iter().filter_map(|row| row.get(n)).map(|c| cell(c).width()).max().unwrap_or(0);
            let widths: Vec<usize> = (0..head.len()).map(width).collect();
            for row in all {
                let last = row.len().saturating_sub(1);
                let cells = row.iter().zip(&widths).enumerate().map(|(n, (text, width))| match n == last {
                    true => clean(text),
                    false => {
                        let text = cell(text);
                        format!("{text}{}", " ".repeat((width + 2).saturating_sub(text.width())))
                    }
                });
                out.push(format!("  {}", cells.collect::<String>()));
            }
        }
    }
}
