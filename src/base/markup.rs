//! Text of others inside HTML and Markdown, where nothing of it may become markup. Control characters are the caller's to
//! remove (`base::text`).

/// As it stands in an element or in a quoted attribute of HTML.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match reference(c) {
            Some(reference) => out.push_str(reference),
            None if c == '"' => out.push_str("&quot;"),
            None if c == '\'' => out.push_str("&#39;"),
            None => out.push(c),
        }
    }
    out
}

/// Words of more characters may break anywhere; digests and keys are such words.
const LONG: usize = 32;

/// A cell of a table. A column is never narrower than its words, which break behind a slash alone, unless they are long: then
/// the cell has the class `long`.
pub fn html_cell(text: &str) -> String {
    let is_long = text.split(|c: char| c.is_whitespace() || c == '/').any(|word| word.chars().count() > LONG);
    let class = if is_long { " class=\"long\"" } else { "" };
    format!("<td{class}>{}</td>", html(text).replace('/', "/<wbr>"))
}

/// As it stands in a paragraph or in a cell of a table of Markdown.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if let Some(reference) = reference(c) {
            out.push_str(reference);
            continue;
        }
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Of a character that begins markup in both.
fn reference(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(markdown("<b> [a](b) `c` $1|"), "&lt;b&gt; \\[a\\](b) \\`c\\` \\$1\\|");
    }

    /// Seen in a browser: `overflow-wrap: anywhere` for every cell made `prov` and `en` of a narrow column's word.
    #[test]
    fn a_cells_word_breaks_behind_a_slash_alone_unless_it_is_long() {
        assert_eq!(html_cell("proven"), "<td>proven</td>");
        assert_eq!(html_cell("day1.start/cp1"), "<td>day1.start/<wbr>cp1</td>");
        assert_eq!(html_cell(&"f".repeat(64)), format!("<td class=\"long\">{}</td>", "f".repeat(64)));
        assert_eq!(html_cell("</td>"), "<td>&lt;/<wbr>td&gt;</td>");
    }
}
