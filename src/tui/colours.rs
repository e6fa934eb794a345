//! The codes of the sixteen colours. The library writes them as entries of the table of 256 (`38;5;1`); terminals that know
//! only the old form (`31`) would ignore or misread that.

/// The longest sequence that is looked at; a style has fewer parts.
const LONGEST: usize = 64;

/// Rewrites a stream; a sequence that is cut at the end of one write waits for the next one.
#[derive(Debug, Default)]
pub struct Colours {
    rest: Vec<u8>,
}

impl Colours {
    pub fn plain(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(all.len());
        let mut left = all.as_slice();
        while let Some(escape) = left.iter().position(|byte| *byte == 0x1b) {
            let (before, from) = left.split_at(escape);
            out.extend_from_slice(before);
            let parameters = from.iter().skip(2).take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
            let end = 2 + parameters;
            let is_begun = from.len() < 2 || from.get(1) == Some(&b'[');
            if is_begun && from.len() <= end && from.len() < LONGEST {
                self.rest = from.to_vec();
                return out;
            }
            let style = from.get(2..end).filter(|_| is_begun && from.get(end) == Some(&b'm'));
            let taken = match style.and_then(|style| std::str::from_utf8(style).ok()) {
                Some(style) => {
                    out.extend_from_slice(format!("\x1b[{}m", old_form(style)).as_bytes());
                    end + 1
                }
                None => {
                    out.push(0x1b);
                    1
                }
            };
            left = from.get(taken..).unwrap_or_default();
        }
        out.extend_from_slice(left);
        out
    }
}

/// `1;38;5;9` as `1;91`.
fn old_form(style: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut parts = style.split(';').collect::<Vec<_>>().into_iter().peekable();
    while let Some(part) = parts.next() {
        let ground = match part {
            "38" => Some(30),
            "48" => Some(40),
            _other => None,
        };
        let (Some(ground), Some(&kind)) = (ground, parts.peek()) else {
            out.push(part.to_string());
            continue;
        };
        // `5;N` is an entry of the table, `2;R;G;B` a colour of its own.
        let more: Vec<&str> = parts.by_ref().take(if kind == "5" { 2 } else { 4 }).collect();
        match more.get(1).and_then(|n| n.parse::<u16>().ok()).filter(|_| kind == "5") {
            Some(n @ 0..8) => out.push((ground + n).to_string()),
            Some(n @ 8..16) => out.push((ground + 60 + n - 8).to_string()),
            Some(_) | None => {
                out.push(part.to_string());
                out.extend(more.into_iter().map(str::to_string));
            }
        }
    }
    out.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(parts: &[&str]) -> String {
        let mut colours = Colours::default();
        let out: Vec<u8> = parts.iter().flat_map(|part| colours.plain(part.as_bytes())).collect();
        String::from_utf8(out).unwrap()
    }

    /// screen.md B17
    #[test]
    fn the_sixteen_colours_go_out_in_the_form_that_every_terminal_knows() {
        assert_eq!(plain(&["a\x1b[38;5;1mb\x1b[48;5;3mc\x1b[38;5;9md"]), "a\x1b[31mb\x1b[43mc\x1b[91md");
        assert_eq!(plain(&["\x1b[38;5;0;48;5;3;1m\x1b[39;49m"]), "\x1b[30;43;1m\x1b[39;49m");
        let other = "\x1b[38;5;200m\x1b[38;2;1;5;9m\x1b[1m\x1b[2;3H\x1b[?2026h\x1b7";
        assert_eq!(plain(&[other, "x"]), format!("{other}x"));
    }

    #[test]
    fn a_code_that_is_cut_between_two_writes_is_put_together() {
        let whole = "x\x1b[38;5;12my\x1b[48;5;0mz";
        for cut in 0..=whole.len() {
            let (head, tail) = whole.split_at(cut);
            assert_eq!(plain(&[head, tail]), "x\x1b[94my\x1b[40mz", "{cut}");
        }
    }
}
