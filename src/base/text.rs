//! Text from outside, made safe to show and to keep.
use super::known;
use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// Longest line of a record, in bytes; what a system says of itself in one line is far shorter.
pub const LINE_LIMIT: usize = 2000;
/// Marks on one letter; Vietnamese and Hebrew need three.
const MOST_MARKS: usize = 4;

/// One line without anything that a terminal obeys or a reader can't see: control characters, bidirectional overrides,
/// invisible characters, heaps of combining marks; each run of them becomes one space. Use on everything that came from
/// outside before it reaches a terminal.
pub fn clean(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut marks = 0;
    let mut before = None;
    let mut rest = raw.chars().peekable();
    while let Some(c) = rest.next() {
        let has_width = c.width() != Some(0);
        marks = if has_width { 0 } else { marks + 1 };
        let joins =
            is_joiner(c) && before.is_some_and(needs_joiners) && rest.peek().copied().is_some_and(needs_joiners);
        if joins || !(is_hostile(c) || marks > MOST_MARKS) {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
        before = Some(c);
    }
    out.trim().to_string()
}

/// One word of a command to be pasted into a shell: as it is where it is plain, else in single quotes.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:,=@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// [`clean`], line by line, keeping the line breaks.
pub fn clean_lines(raw: &str) -> String {
    raw.lines().map(|l| clean_keep_indent(&l.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
}

fn clean_keep_indent(line: &str) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), clean(line))
}

/// One line for a record: without secrets, [`clean`], at most [`LINE_LIMIT`] bytes.
pub fn line(raw: &str) -> String {
    shorten(&clean(&known::hide(&ahead(raw, LINE_LIMIT))), LINE_LIMIT)
}

/// [`line()`] for a text of several lines, at most `limit` bytes in all.
pub fn lines(raw: &str, limit: usize) -> String {
    shorten(&clean_lines(&known::hide(&ahead(raw, limit))), limit)
}

/// As much of a text as can matter to its first `limit` bytes once it is cleaned: a megabyte is not worth the work.
fn ahead(raw: &str, limit: usize) -> Cow<'_, str> {
    let most = limit.saturating_mul(16);
    if raw.len() <= most { Cow::Borrowed(raw) } else { Cow::Owned(shorten(raw, most)) }
}

/// True when `clean_lines` has nothing to do; a quick test for texts that are mostly harmless.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b))
}

/// True for characters that a terminal obeys, that change the order of other characters, or that are invisible
/// (Unicode's default ignorable and format characters, with the tags that can hide a whole text).
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Letters of scripts whose spelling needs joiners between them: Arabic to N'Ko, and the Indic ones.
fn needs_joiners(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{7ff}' | '\u{8a0}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
        && !is_hostile(c)
}

/// At most `limit` bytes, cut at a character boundary, with an ellipsis where something was cut.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_string();
    }
    let mut end = limit.saturating_sub(3);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// The first `most` names, and how many more there are: `a, b and 3 more`.
pub fn some<T: AsRef<str>>(names: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut names = names.into_iter();
    let shown: Vec<T> = names.by_ref().take(most).collect();
    let shown = shown.iter().map(T::as_ref).collect::<Vec<&str>>().join(", ");
    match names.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The error and what is behind it, in one line.
pub fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// `5 s`, `4 min 10 s`, `1 h 05 min`: whole seconds, for people.
pub fn format_duration(d: std::time::Duration) -> String {
    let s = d.as_secs();
    match s {
        0..=59 => format!("{s} s"),
        60..=3599 => match s % 60 {
            0 => format!("{} min", s / 60),
            r => format!("{} min {r:02} s", s / 60),
        },
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

/// `4 min`, `1 h 05 min`: what is only roughly known has no seconds.
pub fn about(d: std::time::Duration) -> String {
    match d.as_secs().div_ceil(60) {
        0 | 1 => "1 min".to_string(),
        minutes @ 2..60 => format!("{minutes} min"),
        minutes => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// `1.2 GiB`, `512 KiB`, `17 B`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for u in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = u;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_bidi_overrides_do_not_survive() {
        assert_eq!(clean("\x1b[31mred\x1b[0m \u{202e}evil\r\n"), "[31mred [0m evil");
    }

    #[test]
    fn what_reorders_hides_or_piles_up_does_not_survive_and_honest_text_does() {
        for hostile in [
            "\u{9b}31m",
            "\u{90}q\u{9c}",
            "\x1b]52;c;eA==\x07",
            "\0",
            "\u{200e}",
            "\u{61c}",
            "\u{2066}",
            "\u{2069}",
            "\u{2028}",
            "\u{e0041}",
            "\u{fe0f}",
            "\u{ad}",
            "\u{3164}",
            "\u{fffe}",
            "\u{10ffff}",
            "\u{7f}",
            "\u{85}",
            "\u{200b}",
            "\u{200d}",
        ] {
            let shown = clean(&format!("a{hostile}b"));
            assert!(shown.starts_with("a ") && shown.ends_with('b'), "{hostile:?} became {shown:?}");
            assert!(!shown.chars().any(is_hostile), "{shown:?}");
        }
        for honest in [
            "Größe 5 µm",
            "节点已就绪",
            "नोड तैयार है",
            "می\u{200c}خواهم",
            "Việt Nam",
            "e\u{301}te\u{301}",
            "✓ → …",
            "שָׁלוֹם",
        ] {
            assert_eq!(clean(honest), honest);
        }
        assert_eq!(clean(&format!("e{}x", "\u{301}".repeat(500))), format!("e{} x", "\u{301}".repeat(4)));
    }

    #[test]
    fn a_megabyte_in_one_line_becomes_a_short_one() {
        let long = format!("{}\n{}", "x".repeat(1 << 20), "\u{1b}".repeat(1 << 20));
        assert!(line(&long).len() <= LINE_LIMIT);
        assert!(lines(&long, 100).len() <= 100);
    }

    proptest! {
        #[test]
        fn cleaning_leaves_nothing_hostile_and_changes_nothing_twice(raw in any::<String>(), limit in 0usize..60) {
            for shown in [clean(&raw), line(&raw)] {
                prop_assert!(!shown.contains(|c| is_hostile(c) && !is_joiner(c)), "{:?}", shown);
                prop_assert_eq!(&clean(&shown), &shown);
            }
            let many = lines(&raw, 4096);
            prop_assert!(!many.contains(|c| c != '\n' && is_hostile(c) && !is_joiner(c)), "{:?}", many);
            prop_assert_eq!(&clean_lines(&many), &many);
            prop_assert!(shorten(&raw, limit).len() <= limit.max(3));
            if is_plain(&raw) {
                prop_assert_eq!(clean_lines(&raw), raw.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
            }
        }
    }

    #[test]
    fn shortening_never_splits_a_character() {
        assert_eq!(shorten("ääääää", 7), "ää…");
        assert_eq!(shorten("abc", 7), "abc");
    }

    #[test]
    fn durations_and_sizes_read_like_speech() {
        assert_eq!(format_duration(std::time::Duration::from_secs(250)), "4 min 10 s");
        assert_eq!(format_duration(std::time::Duration::from_secs(3900)), "1 h 05 min");
        assert_eq!(size(1_306_525_696), "1.2 GiB");
        assert_eq!(size(17), "17 B");
    }
}
