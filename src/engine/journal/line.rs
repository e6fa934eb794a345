//! One line: the record's own keys, then `"v"`, then `"sum"`, in this place in every version.
//!
//! The sum is the first 8 bytes of SHA-256 over the sum of the line before and this line without its own.
use super::version_1;
use crate::base::json;
use crate::engine::record::Record;
use aws_lc_rs::digest;

/// Version of a line. It counts up when an older cozyup must not go on with what a newer one wrote.
pub const VERSION: u64 = 2;
const SUM_LENGTH: usize = 16;
/// `,"sum":"0123456789abcdef"}`
const TAIL_LENGTH: usize = SUM_LENGTH + 10;

/// In hexadecimal; nothing before the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(Option<[u8; SUM_LENGTH]>);

impl Sum {
    fn after(self, open: &str) -> Sum {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.as_str().as_bytes());
        context.update(open.as_bytes());
        context.update(b"}");
        let digest = context.finish();
        let digits = digest.as_ref().iter().flat_map(|b| [b >> 4, b & 15]);
        let mut sum = [0; SUM_LENGTH];
        for (slot, digit) in sum.iter_mut().zip(digits) {
            *slot = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        Sum(Some(sum))
    }

    fn as_str(&self) -> &str {
        self.0.as_ref().and_then(|sum| std::str::from_utf8(sum).ok()).unwrap_or_default()
    }
}

/// The reason why a line is not a record.
#[derive(Debug)]
pub enum Flaw {
    /// It has no end.
    Torn,
    Damaged(String),
    /// It is as it was written, and this cozyup does not know it.
    Newer(String),
}

/// # Errors
/// None that a record of this program could have.
pub fn encode(record: &Record, previous: Sum) -> Result<(String, Sum), serde_json::Error> {
    let body = serde_json::to_string(record)?;
    let open = format!("{},\"v\":{VERSION}", body.strip_suffix('}').unwrap_or(&body));
    Ok(sealed(open, previous))
}

/// The line of a body without its last brace.
pub fn sealed(mut open: String, previous: Sum) -> (String, Sum) {
    let sum = previous.after(&open);
    open.push_str(",\"sum\":\"");
    open.push_str(sum.as_str());
    open.push_str("\"}\n");
    (open, sum)
}

/// # Errors
/// See [`Flaw`].
pub fn decode(line: &[u8], previous: Sum) -> Result<(Record, Sum), Flaw> {
    let line = line.strip_suffix(b"\n").ok_or(Flaw::Torn)?;
    let text = std::str::from_utf8(line).map_err(|_| Flaw::Damaged("it is not UTF-8".into()))?;
    let (open, tail) = text
        .len()
        .checked_sub(TAIL_LENGTH)
        .and_then(|end| text.split_at_checked(end))
        .filter(|(_, tail)| tail.starts_with(",\"sum\":\"") && tail.ends_with("\"}"))
        .ok_or_else(|| Flaw::Damaged("its checksum is missing".into()))?;
    let sum = previous.after(open);
    if tail.get(8..8 + SUM_LENGTH) != Some(sum.as_str()) {
        return Err(Flaw::Damaged("its checksum does not fit the lines before it".into()));
    }
    let record = match open.rsplit_once(",\"v\":").and_then(|(_, version)| version.parse().ok()) {
        Some(VERSION) => json::read(text.as_bytes()),
        Some(1) => version_1::read(text.as_bytes()),
        Some(version) => {
            return Err(Flaw::Newer(format!("its version is {version}, this cozyup reads 1 to {VERSION}")));
        }
        None => return Err(Flaw::Newer("it does not say its version where every line does".into())),
    };
    // The checksum fits, so it was written like this.
    Ok((record.map_err(|e| Flaw::Newer(e.to_string()))?, sum))
}
