//! Text from outside, made safe to show and to keep.

/// One line without control characters, bidirectional overrides or invisible format characters;
/// each run of them becomes one space. Use on everything that came from outside before it reaches a terminal.
pub fn clean(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        if is_hostile(c) {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.push(c);
        }
    }
    out.trim().to_string()
}

/// [`clean`], line by line, keeping the line breaks.
pub fn clean_lines(raw: &str) -> String {
    raw.lines().map(|l| clean_keep_indent(&l.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
}

fn clean_keep_indent(line: &str) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), clean(line))
}

pub(super) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{fff9}'..='\u{fffb}')
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

/// `5 s`, `4 min 10 s`, `1 h 05 min`: whole seconds, for people.
pub fn spoken(d: std::time::Duration) -> String {
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

    #[test]
    fn escape_sequences_and_bidi_overrides_do_not_survive() {
        assert_eq!(clean("\x1b[31mred\x1b[0m \u{202e}evil\r\n"), "[31mred [0m evil");
    }

    #[test]
    fn shortening_never_splits_a_character() {
        assert_eq!(shorten("ääääää", 7), "ää…");
        assert_eq!(shorten("abc", 7), "abc");
    }

    #[test]
    fn durations_and_sizes_read_like_speech() {
        assert_eq!(spoken(std::time::Duration::from_secs(250)), "4 min 10 s");
        assert_eq!(spoken(std::time::Duration::from_secs(3900)), "1 h 05 min");
        assert_eq!(size(1_306_525_696), "1.2 GiB");
        assert_eq!(size(17), "17 B");
    }
}
