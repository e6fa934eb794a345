//! Every secret value that this process has held, and texts without them.
//!
//! A text is searched for any `WINDOW` bytes in a row of any value, so a value that was cut, wrapped or quoted in part is
//! found as well: as it is, in base64 (also inside of something longer), percent-encoded, and quoted as JSON. Kept are
//! keyed hashes, no copies of the values. Tokens and passwords are also found in capitals and without dashes, and all that in
//! hexadecimal, base32 and base64.
use super::secret::SECRET_FIELDS;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::{LazyLock, PoisonError, RwLock};
use zeroize::{Zeroize, Zeroizing};

/// The text that replaces a hidden value.
pub const HIDDEN: &str = "[secret]";
const WINDOW: usize = 12;
/// A shorter value is likely an ordinary word: hiding it would garble innocent text and protect nothing.
const SHORTEST: usize = 8;
/// Longer than any token or password.
const SHORT: usize = 256;

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

#[derive(Default)]
struct Known {
    keys: RandomState,
    values: HashSet<u64>,
    /// Hashes of windows by their length: `WINDOW`, and less for values that are shorter.
    windows: BTreeMap<usize, HashSet<u64>>,
    /// A bit for how a window begins: most places of a text are done with after one look at it.
    beginnings: Vec<u64>,
}

/// 128 KiB: of 30,000 windows, what a cluster's secrets come to, one in thirty places is looked at closer.
const BEGINNINGS: usize = 1 << 14;

/// Word and bit of a window's first four bytes.
fn beginning(window: &[u8]) -> Option<(usize, u64)> {
    let number = u32::from_le_bytes(*window.first_chunk()?).wrapping_mul(0x9e37_79b1) >> 12;
    Some((usize::try_from(number / 64).ok()?, 1 << (number % 64)))
}

/// Remembers a secret: one value (a token, a password), a private key in PEM, or a text with secrets in known fields.
pub(super) fn remember(secret: &[u8]) {
    let Ok(text) = std::str::from_utf8(secret) else { return };
    let text = text.trim();
    let is_new = {
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        let hash = known.keys.hash_one(text);
        known.values.insert(hash)
    };
    if !is_new {
        return;
    }
    // Beside its id, which is no secret and is shown.
    let text = match text.rsplit_once('=') {
        Some((id, secret)) if id.contains('!') && id.contains('@') && !id.contains('\n') => secret,
        _ => text,
    };
    if let Ok(document @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        remember_fields(document);
    } else if let Some(body) = private_key(text) {
        remember_value(body);
    } else if text.contains('\n') {
        text.lines().filter_map(field).for_each(|value| remember(value.as_bytes()));
    } else if let Some(inside) =
        STANDARD.decode(text).ok().map(Zeroizing::new).filter(|i| i.starts_with(b"-----BEGIN "))
    {
        // Its own windows would be those of every PEM text.
        remember(&inside);
    } else {
        remember_value(text);
    }
}

/// The lines between the first and the last of a PEM text.
fn private_key(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("-----BEGIN ")?;
    let (kind, body) = inside.split_once("-----")?;
    kind.ends_with("PRIVATE KEY").then(|| body.split("-----END").next().unwrap_or(body))
}

/// The value of `key: value` when the key is that of a secret.
fn field(line: &str) -> Option<&str> {
    let (key, value) = line.trim_start_matches([' ', '-']).split_once(':')?;
    let value = value.trim().trim_matches(['"', '\'']);
    SECRET_FIELDS.contains(&key.trim_matches(['"', '\''])).then_some(value)
}

fn remember_fields(document: Value) {
    match document {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::String(mut text) if SECRET_FIELDS.contains(&key.as_str()) => {
                        remember(text.as_bytes());
                        text.zeroize();
                    }
                    other => remember_fields(other),
                }
            }
        }
        Value::Array(items) => items.into_iter().for_each(remember_fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn remember_value(value: &str) {
    if value.len() < SHORTEST {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.take(value.as_bytes());
    known.take_base64(value.as_bytes());
    let quoted = Zeroizing::new(serde_json::to_string(value).unwrap_or_default());
    known.take(quoted.trim_matches('"').as_bytes());
    known.take(percent_encoded(value).as_bytes());
    if value.len() <= SHORT {
        for other in spellings(value) {
            known.take_spelling(other.as_bytes());
        }
        if let Some(number) = number(value) {
            known.take_base64(&number);
        }
    }
}

/// The spellings in which a well-meaning program may write a token or password: in capitals or small letters, with and
/// without dashes. There are no such copies of keys and certificates.
fn spellings(value: &str) -> [Zeroizing<String>; 6] {
    let bare: Zeroizing<String> = Zeroizing::new(value.chars().filter(|c| *c != '-').collect());
    let cased =
        |text: &str| [text.to_string(), text.to_ascii_uppercase(), text.to_ascii_lowercase()].map(Zeroizing::new);
    let ([a, b, c], [d, e, f]) = (cased(value), cased(&bare));
    [a, b, c, d, e, f]
}

/// The number that a UUID writes in hexadecimal digits.
fn number(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits: Zeroizing<Vec<u32>> =
        Zeroizing::new(value.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)).collect::<Option<_>>()?);
    let bytes = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | *digit as u8));
    (digits.len() == 32).then(|| Zeroizing::new(bytes.collect()))
}

/// RFC 4648, capitals, without padding.
fn base32(bytes: &[u8]) -> Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    let (mut kept, mut bits) = (0_u32, 0);
    let mut put = |five: u32| out.push(LETTERS.get((five & 31) as usize).map_or('A', |b| char::from(*b)));
    for byte in bytes {
        kept = kept << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(kept >> bits);
        }
        kept &= 31;
    }
    if bits > 0 {
        put(kept << (5 - bits));
    }
    out
}

fn percent_encoded(value: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(value.len() * 3));
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            // Can't fail: it goes into a String.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

impl Known {
    /// A text as it is, in hexadecimal digits, in base32 and in base64.
    fn take_spelling(&mut self, text: &[u8]) {
        let (hex, base32) = (Zeroizing::new(super::text::hex(text)), base32(text));
        self.take(text);
        self.take_base64(text);
        for encoded in [&hex, &base32] {
            self.take(encoded.as_bytes());
            self.take(Zeroizing::new(encoded.to_ascii_uppercase()).as_bytes());
            self.take(Zeroizing::new(encoded.to_ascii_lowercase()).as_bytes());
        }
    }

    /// In base64 a value has three looks, by where in the whole it begins; what its neighbours have a part in is cut off.
    fn take_base64(&mut self, value: &[u8]) {
        for (before, first) in [("", 0), ("x", 2), ("xx", 3)] {
            let shifted = Zeroizing::new([before.as_bytes(), value].concat());
            let last = shifted.len() / 3 * 4;
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let encoded = Zeroizing::new(engine.encode(shifted.as_slice()));
                self.take(encoded.as_bytes().get(first..last).unwrap_or_default());
            }
        }
    }

    fn take(&mut self, value: &[u8]) {
        let length = value.len().min(WINDOW);
        if length < SHORTEST {
            return;
        }
        self.beginnings.resize(BEGINNINGS, 0);
        let hashes = self.windows.entry(length).or_default();
        for window in value.windows(length).filter(|w| !w.contains(&b'\n')) {
            hashes.insert(self.keys.hash_one(window));
            if let Some((word, bit)) = beginning(window)
                && let Some(word) = self.beginnings.get_mut(word)
            {
                *word |= bit;
            }
        }
    }

    /// The places of known values, in order and apart from each other.
    fn places(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        let mut add = |from: usize, to: usize| match places.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            Some(_) | None => places.push((from, to)),
        };
        for at in 0..text.len() {
            let begins = text.get(at..).and_then(beginning);
            if begins.is_none_or(|(word, bit)| self.beginnings.get(word).is_none_or(|w| w & bit == 0)) {
                continue;
            }
            for (length, hashes) in &self.windows {
                let window = text.get(at..at + length);
                if window.is_some_and(|w| hashes.contains(&self.keys.hash_one(w))) {
                    add(at, at + length);
                }
            }
        }
        places
    }
}

/// `text` with [`HIDDEN`] in the place of every secret that this process knows, and of what has the form of one: private
/// keys, credentials of HTTP, signed tokens.
pub fn hide(text: &str) -> Cow<'_, str> {
    let places = {
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        if known.windows.is_empty() { Vec::new() } else { known.places(text.as_bytes()) }
    };
    let known_hidden = replaced(text, &places);
    let places = forms(&known_hidden);
    if places.is_empty() { known_hidden } else { Cow::Owned(replaced(&known_hidden, &places).into_owned()) }
}

fn replaced<'a>(text: &'a str, places: &[(usize, usize)]) -> Cow<'a, str> {
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for &(from, to) in places {
        let (from, to) = (text.floor_char_boundary(from), text.ceil_char_boundary(to));
        out.push_str(text.get(at..from).unwrap_or_default());
        out.push_str(HIDDEN);
        at = at.max(to);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

/// The places of texts that have the form of a secret, whoever it belongs to. It takes one pass: no byte is examined
/// twice, since a server may send a form that begins at every third letter.
fn forms(text: &str) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    keys(text, &mut places);
    for mark in ["PVEAPIToken=", "PVEAuthCookie=", "Bearer ", "Basic ", "eyJ"] {
        let mut at = 0;
        while let Some(found) = text.get(at..).and_then(|rest| rest.find(mark)).map(|i| at + i) {
            let from = if mark == "eyJ" { found } else { found + mark.len() };
            let word = word(text.get(from..).unwrap_or_default());
            let skipped = if mark == "PVEAPIToken=" { word.find('=').map_or(0, |i| i + 1) } else { 0 };
            let value = word.get(skipped..).unwrap_or_default();
            let is_one = value.len() >= 16 && value.contains(|c: char| c.is_ascii_digit());
            // A signed token has three parts; of several in one word the first begins all of them.
            let is_signed = mark != "eyJ" || value.bytes().filter(|b| *b == b'.').count() >= 2 && value.len() >= 40;
            if is_one && is_signed {
                places.push((from + skipped, from + word.len()));
            }
            at = (from + word.len()).max(found + mark.len());
        }
    }
    places.sort_unstable();
    places.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        kept.1 = if overlaps { kept.1.max(next.1) } else { kept.1 };
        overlaps
    });
    places
}

/// The text up to the next space, quote or sign that ends a value.
fn word(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || "\"'\\,;<>".contains(c)).next().unwrap_or_default()
}

/// The bodies of private keys in PEM; one without an end reaches to the end of the text.
fn keys(text: &str, places: &mut Vec<(usize, usize)>) {
    const BEGIN: &str = "-----BEGIN ";
    let mut at = 0;
    while let Some(begin) = text.get(at..).and_then(|rest| rest.find(BEGIN)).map(|i| at + i + BEGIN.len()) {
        let rest = text.get(begin..).unwrap_or_default();
        let Some(label) = rest.find("-----") else { return };
        at = begin + label;
        if rest.get(..label).is_some_and(|label| label.ends_with("PRIVATE KEY")) {
            let from = at + "-----".len();
            let body = text.get(from..).unwrap_or_default();
            at = from + body.find("-----END").unwrap_or(body.len());
            places.push((from, at));
        }
    }
}

#[cfg(test)]
mod tests;
