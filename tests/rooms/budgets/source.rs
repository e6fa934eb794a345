//! Rust source as far as a budget needs it: text without comments and literals, functions and matches with their lines.

/// The text with comments, strings and characters blanked out, byte for byte as long and with the same line ends.
pub fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at, out.last().copied());
        if end > at {
            out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at = end;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

/// Where the comment or literal that begins at `at` ends; `at` when none does. `before` is the byte in front of it.
fn literal_end(bytes: &[u8], at: usize, before: Option<u8>) -> usize {
    let rest = &bytes[at..];
    let find = |from: usize, what: &[u8]| {
        let found = rest[from..].windows(what.len()).position(|w| w == what);
        at + found.map_or(rest.len(), |n| from + n + what.len())
    };
    let in_word = before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => find(2, b"*/"),
        [b'"', ..] => quoted(rest, b'"').map_or(bytes.len(), |n| at + n),
        [b'r', b'"' | b'#', ..] | [b'b', b'r', b'"' | b'#', ..] if !in_word || before == Some(b'b') => {
            let start = rest.iter().position(|b| *b == b'r').unwrap() + 1;
            let hashes = rest[start..].iter().take_while(|b| **b == b'#').count();
            if rest.get(start + hashes) != Some(&b'"') {
                return at;
            }
            let close = [b"\"".to_vec(), vec![b'#'; hashes]].concat();
            find(start + hashes + 1, &close)
        }
        // A character, and not a lifetime: it closes after one character or an escape.
        [b'\'', b'\\', ..] => quoted(rest, b'\'').map_or(at, |n| at + n),
        [b'\'', first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if rest.get(1 + width) == Some(&b'\'') { at + width + 2 } else { at }
        }
        _ => at,
    }
}

/// The length of a literal that begins with `quote`, escapes left out.
fn quoted(rest: &[u8], quote: u8) -> Option<usize> {
    let mut n = 1;
    while let Some(b) = rest.get(n) {
        match b {
            b'\\' => n += 2,
            b if *b == quote => return Some(n + 1),
            _ => n += 1,
        }
    }
    None
}

/// The place of the bracket that closes the one at `open`.
fn close_of(text: &[u8], open: usize) -> usize {
    let mut depth = 0usize;
    for (n, b) in text.iter().enumerate().skip(open) {
        match b {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return n;
                }
            }
            _ => {}
        }
    }
    text.len()
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|b| *b == b'\n').count() + 1
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Where the keyword stands as a word of its own.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let bytes = text.as_bytes();
        let before = at.checked_sub(1).and_then(|n| bytes.get(n));
        let after = bytes.get(at + word.len());
        !before.is_some_and(|b| is_word(*b)) && !after.is_some_and(|b| is_word(*b))
    })
}

/// Name and number of lines of every function with a body; takes blanked text.
pub fn functions(text: &str) -> Vec<(String, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for at in words(text, "fn") {
        let name: String =
            text[at + 2..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        let mut n = at;
        while let Some(b) = bytes.get(n) {
            match b {
                b'(' | b'[' => n = close_of(bytes, n),
                b'{' => {
                    found.push((name, line_of(text, close_of(bytes, n)) - line_of(text, at) + 1));
                    break;
                }
                b';' => break,
                _ => {}
            }
            n += 1;
        }
    }
    found
}

/// The enums that the text declares.
pub fn enums(text: &str) -> Vec<String> {
    let name =
        |at: usize| text[at + 4..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    words(text, "enum").map(name).collect()
}

/// Lines of the arms `_ =>` in a match whose other arms name a variant of one of these enums; takes blanked text.
pub fn wildcards(text: &str, ours: &std::collections::BTreeSet<String>) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for at in words(text, "match") {
        let mut n = at;
        while let Some(b) = bytes.get(n) {
            match b {
                b'(' | b'[' => n = close_of(bytes, n),
                b'{' | b';' => break,
                _ => {}
            }
            n += 1;
        }
        if bytes.get(n) != Some(&b'{') {
            continue;
        }
        let patterns = patterns(text, n);
        let named = patterns.iter().any(|(_, pattern)| names_variant(pattern, ours));
        if named {
            let wild = |p: &&(usize, &str)| p.1.trim() == "_" || p.1.trim().starts_with("_ if ");
            found.extend(patterns.iter().filter(wild).map(|(at, _)| line_of(text, *at)));
        }
    }
    found.sort_unstable();
    found
}

/// The patterns of the match whose brace opens at `open`, each with the place where it begins.
fn patterns(text: &str, open: usize) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let end = close_of(bytes, open);
    let mut out = Vec::new();
    let mut begin = open + 1;
    let mut n = begin;
    while n < end {
        match bytes[n] {
            b'{' | b'(' | b'[' => n = close_of(bytes, n),
            b'=' if bytes.get(n + 1) == Some(&b'>') => {
                let skipped = text[begin..n].len() - text[begin..n].trim_start().len();
                out.push((begin + skipped, &text[begin..n]));
                n += 2;
                while n < end && bytes[n].is_ascii_whitespace() {
                    n += 1;
                }
                let is_block = bytes[n] == b'{';
                while n < end && bytes[n] != b',' {
                    if matches!(bytes[n], b'{' | b'(' | b'[') {
                        n = close_of(bytes, n);
                        if is_block {
                            break;
                        }
                    }
                    n += 1;
                }
                begin = n + 1;
                // A comma behind a block belongs to the arm that it ends.
                if is_block && text[begin.min(end)..end].trim_start().starts_with(',') {
                    begin += text[begin..end].find(',').unwrap() + 1;
                    n = begin - 1;
                }
            }
            _ => {}
        }
        n += 1;
    }
    out
}

fn names_variant(pattern: &str, ours: &std::collections::BTreeSet<String>) -> bool {
    pattern.match_indices("::").any(|(at, _)| {
        let before: String =
            pattern[..at].chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let name: String = before.chars().rev().collect();
        let is_variant = pattern[at + 2..].chars().next().is_some_and(char::is_uppercase);
        is_variant && (name == "Self" || ours.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blanked_and_lifetimes_stay() {
        let text = "a /* { */ 'x' '{' '\\'' \"{\\\"}\" r#\"{\"}\"# <'a> // }\nb";
        let out = blanked(text);
        assert_eq!(out.len(), text.len());
        assert!(!out.contains(['{', '}', '"']), "{out}");
        assert!(out.contains("<'a>") && out.ends_with("\nb"), "{out}");
    }

    #[test]
    fn functions_are_measured_from_their_name_to_their_last_brace() {
        let text = "trait T { fn no(&self); }\nfn one() {}\nfn two(f: impl Fn(u8) -> [u8; 2]) -> u8\n{\n  1\n}\n";
        assert_eq!(functions(text), [("one".to_string(), 1), ("two".to_string(), 4)]);
    }

    #[test]
    fn only_wildcards_beside_our_own_variants_count() {
        let ours = enums("pub enum Status { A, B }").into_iter().collect();
        let text = "match x {\n Status::A => 1,\n _ => 2,\n}\nmatch y {\n 1 => { f(Status::A) }\n _ => 2,\n}\n\
                    match z { Some(Status::B) if a => {}\n _ => match k {\n Kind::A => 1,\n _ => 2 } }";
        assert_eq!(wildcards(text, &ours), [3, 10]);
    }
}
