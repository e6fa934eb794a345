//! PEM as Go writes it (64 columns, `\n`), read whatever label Talos put on it.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use zeroize::Zeroizing;

/// PKCS#8 inside; Talos' own label, which most other readers do not know.
pub const ED25519_KEY: &str = "ED25519 PRIVATE KEY";
/// SEC1 inside, with the curve named.
pub const EC_KEY: &str = "EC PRIVATE KEY";
/// PKCS#1 inside.
pub const RSA_KEY: &str = "RSA PRIVATE KEY";
pub const CERTIFICATE: &str = "CERTIFICATE";

pub fn encode(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut out = String::with_capacity(body.len() + body.len() / 64 + 64);
    // Writing to a String does not fail.
    let _ = writeln!(out, "-----BEGIN {label}-----");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        let _ = writeln!(out, "{line}");
        rest = more;
    }
    let _ = writeln!(out, "-----END {label}-----");
    out
}

/// The DER of the first block of `text`, whatever its label.
pub fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (label, after) = after.split_once("-----")?;
    let (body, _) = after.split_once(&format!("-----END {label}-----"))?;
    let body = Zeroizing::new(body.split_ascii_whitespace().collect::<String>());
    STANDARD.decode(body.as_str()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written_whatever_its_label() {
        let der: Vec<u8> = (0..200).collect();
        let text = encode(ED25519_KEY, &der);
        assert!(text.starts_with("-----BEGIN ED25519 PRIVATE KEY-----\n") && text.ends_with("KEY-----\n"), "{text}");
        assert!(text.lines().all(|l| l.len() <= 64));
        assert_eq!(decode(&text).unwrap().as_slice(), der);
        assert_eq!(decode(&text.replace('\n', "\r\n")).unwrap().as_slice(), der);
        assert!(decode("-----BEGIN X-----\nAAAA").is_none());
    }
}
