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
}
