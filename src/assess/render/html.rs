//! One HTML page that needs nothing else, reads well on paper, and runs nothing.
use crate::assess::Assessment;
use crate::assess::tell::{Block, Mark, Page, page};
use crate::base::markup;
use crate::base::text::clean;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;\
background:#fff}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #bbb}\
.lead{font-weight:600}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9em}\
th,td{text-align:left;vertical-align:top;padding:.25em .6em .25em 0;border-bottom:1px solid #ddd}.long{overflow-wrap:anywhere}\
ul{padding-left:1.2rem}li{margin:.4rem 0;overflow-wrap:anywhere}.blocks{color:#9b1c1c;font-weight:600}\
.warns{color:#7a4b00;font-weight:600}.notes{color:#444;font-weight:600}@media print{body{margin:0;font-size:11px}\
h2{break-after:avoid}tr,li{break-inside:avoid}}";

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    markup::html(&clean(text))
}

/// The whole page.
pub fn html(of: &Assessment) -> String {
    let Page { title, lead, sections } = page(of);
    let title = escaped(&title);
    let mut out = vec![
        "<!doctype html>".to_string(),
        "<html lang=\"en\"><head><meta charset=\"utf-8\">".into(),
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">".into(),
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            .into(),
        format!("<title>{title}</title><style>{STYLE}</style></head><body>"),
        format!("<h1>{title}</h1>"),
    ];
    out.extend(lead.iter().map(|line| format!("<p class=\"lead\">{}</p>", escaped(line))));
    for section in &sections {
        out.push(format!("<h2>{}</h2>", escaped(section.title)));
        out.extend(section.blocks.iter().map(block));
    }
    out.push("</body></html>".into());
    out.join("\n")
}

fn block(block: &Block) -> String {
    match block {
        Block::Line(line) => format!("<p>{}</p>", escaped(line)),
        Block::Entry { mark, what, details } => {
            let class = match mark {
                Mark::Blocks => "blocks",
                Mark::Warns => "warns",
                Mark::Notes => "notes",
            };
            let details = details.iter().map(|d| format!("<li>{}</li>", escaped(d))).collect::<String>();
            let details = if details.is_empty() { details } else { format!("<ul>{details}</ul>") };
            format!("<ul><li><span class=\"{class}\">{}</span> {}{details}</li></ul>", mark.word(), escaped(what))
        }
        Block::Table { head, rows } => {
            let row = |row: &Vec<String>| {
                let cells = row.iter().map(|cell| markup::html_cell(&clean(cell)));
                format!("<tr>{}</tr>", cells.collect::<String>())
            };
            let rows = rows.iter().map(row).collect::<String>();
            let head = head.iter().map(|name| format!("<th>{}</th>", escaped(name))).collect::<String>();
            format!("<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
        }
    }
}
