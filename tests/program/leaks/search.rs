//! Looks for secrets in texts, by itself: it shares nothing with what hides them.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::path::Path;

/// So many characters of a secret in a row are a leak.
const PIECE: usize = 16;

#[derive(Default)]
pub struct Secrets(HashMap<[u8; PIECE], String>);

impl Secrets {
    /// A value as it is and in every look of base64, also within something longer.
    pub fn add(&mut self, name: &str, value: &str) {
        assert!(value.len() >= PIECE, "{name} is too short to be looked for");
        let looks = [
            value.to_string(),
            STANDARD.encode(value),
            STANDARD.encode(format!("x{value}"))[2..].to_string(),
            STANDARD.encode(format!("xx{value}"))[3..].to_string(),
        ];
        for look in looks {
            // The end of a base64 text depends on what follows.
            for piece in look.trim_end_matches('=').as_bytes().windows(PIECE).rev().skip(2) {
                self.0.insert(piece.try_into().unwrap(), name.to_string());
            }
        }
    }

    /// Everything in the folder of a run's secrets; tokens whole, of documents the values of secret fields.
    pub fn add_folder(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            self.add_text(&name, &text);
        }
    }

    pub fn add_text(&mut self, name: &str, text: &str) {
        if !text.trim().contains('\n') {
            return self.add(name, text.trim());
        }
        let fields = ["key:", "client-key-data:", "token:", "secret:", "bootstraptoken:", "secretboxencryptionsecret:"];
        for line in text.lines().map(|l| l.trim().trim_start_matches("- ")) {
            let Some(value) = fields.iter().find_map(|f| line.strip_prefix(f)) else { continue };
            let value = value.trim().trim_matches(['"', '\'']);
            let inside = STANDARD.decode(value).ok().and_then(|d| String::from_utf8(d).ok());
            match inside.filter(|pem| pem.starts_with("-----BEGIN")) {
                // The middle of a key: how keys begin and what stands beside them in certificates is no secret.
                Some(pem) => {
                    let body: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
                    self.add(&format!("{name}: a key"), &body[24..52.min(body.len())]);
                }
                None if value.len() >= PIECE => self.add(&format!("{name}: {line}"), value),
                None => {}
            }
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn must_not_be_in(&self, place: &str, text: &str) {
        assert!(!text.is_empty(), "nothing was looked at in {place}");
        for (at, piece) in text.as_bytes().windows(PIECE).enumerate() {
            let piece: &[u8; PIECE] = piece.try_into().unwrap();
            if let Some(name) = self.0.get(piece) {
                let around = &text.as_bytes()[at.saturating_sub(120)..(at + 60).min(text.len())];
                panic!("{place} shows {name}: {}", String::from_utf8_lossy(around));
            }
        }
    }
}

/// Nothing but printable characters and line breaks: no escape sequence, no C1, no bidirectional or invisible character.
pub fn must_be_harmless(place: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|e| panic!("{place} is not UTF-8: {e}"));
    let strange = |c: char| {
        c != '\n' && c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    if let Some(at) = text.find(strange) {
        let around: String = text[at..].chars().take(60).collect();
        panic!("{place} holds {around:?} at byte {at}");
    }
}
