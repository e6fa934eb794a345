//! Markdown, for an issue or a wiki.
use crate::assess::Assessment;
use crate::assess::tell::{Block, Page, page};
use crate::base::markup;
use crate::base::text::clean;

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    markup::markdown(&clean(text))
}

/// The whole document.
pub fn markdown(of: &Assessment) -> String {
    markdown_of(page(of))
}

/// Any page of this form.
pub fn markdown_of(page: Page) -> String {
    let Page { title, lead, sections } = page;
    let mut out = vec![format!("# {}", escaped(&title))];
    out.extend(lead.iter().map(|line| format!("**{}**", escaped(line))));
    for section in &sections {
        out.push(format!("## {}", section.title));
        out.extend(section.blocks.iter().map(block));
    }
    out.join("\n\n")
}

fn block(block: &Block) -> String {
    match block {
        Block::Line(line) => escaped(line),
        Block::Entry { mark, what, details } => {
            let details = details.iter().map(|d| format!("\n  - {}", escaped(d)));
            format!("- **{}** {}{}", mark.word(), escaped(what), details.collect::<String>())
        }
        Block::Table { head, rows } => {
            let row =
                |cells: &mut dyn Iterator<Item = String>| format!("| {} |", cells.collect::<Vec<_>>().join(" | "));
            let mut lines =
                vec![row(&mut head.iter().map(ToString::to_string)), row(&mut head.iter().map(|_| "---".to_string()))];
            lines.extend(rows.iter().map(|cells| row(&mut cells.iter().map(|c| escaped(c)))));
            lines.join("\n")
        }
    }
}
