//! A machine's name that is copied like a number.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest DNS label, in bytes (RFC 1035, 2.3.4).
const LONGEST: usize = 63;

/// RFC 1123 label: 1 to 63 of a-z, 0-9 and `-`, no dash at either end.
pub fn is_dns_label(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A DNS label: 1 to 63 lower-case letters, digits and dashes, as a plan names its machines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label {
    length: u8,
    bytes: [u8; LONGEST],
}

impl Label {
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        // Only ASCII comes in.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// The text is no DNS label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a machine: 1 to 63 lower-case letters, digits and dashes, with no dash at either end")]
pub struct NoLabel(String);

impl FromStr for Label {
    type Err = NoLabel;

    fn from_str(text: &str) -> Result<Label, NoLabel> {
        let refused = || NoLabel(crate::text::shorten(&crate::text::clean(text), 80));
        if !is_dns_label(text) {
            return Err(refused());
        }
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..text.len()).ok_or_else(refused)?.copy_from_slice(text.as_bytes());
        Ok(Label { length: u8::try_from(text.len()).map_err(|_| refused())?, bytes })
    }
}

impl TryFrom<String> for Label {
    type Error = NoLabel;

    fn try_from(text: String) -> Result<Label, NoLabel> {
        text.parse()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> String {
        label.as_str().to_string()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_kept_whole_and_anything_else_is_refused_in_words() {
        let longest = "a".repeat(LONGEST);
        for name in ["cp1", "cozy-new-worker1", longest.as_str()] {
            let label: Label = name.parse().unwrap();
            assert_eq!(label.as_str(), name);
            assert_eq!(serde_json::from_str::<Label>(&serde_json::to_string(&label).unwrap()).unwrap(), label);
        }
        let long = "a".repeat(LONGEST + 1);
        for name in ["", "Cp1", "a.b", "-a", "a-", "a b", "ä", "\u{1b}[31m", long.as_str()] {
            let refused = name.parse::<Label>().unwrap_err().to_string();
            assert!(refused.contains("is no name of a machine") && !refused.contains('\u{1b}'), "{refused}");
        }
    }
}
