//! A path of the API: encoded for the wire, and as a person writes it.
use super::error::Error;
use crate::base::text::quoted;

#[derive(Debug, Clone)]
pub(super) struct Path {
    /// Each segment percent-encoded, so that a `/` in a volume id stays within its segment.
    pub(super) encoded: String,
    pub(super) shown: String,
}

impl Path {
    /// # Errors
    /// [`Error::Target`] for a segment that is empty or would lead elsewhere.
    pub(super) fn of(segments: &[&str]) -> Result<Self, Error> {
        let mut path = Path { encoded: String::new(), shown: String::new() };
        for segment in segments {
            if matches!(*segment, "" | "." | "..") || segment.chars().any(char::is_control) {
                return Err(Error::Target { what: format!("{segment:?} can't be part of an API path") });
            }
            path.encoded.push('/');
            encode(segment, &mut path.encoded);
            path.shown.push('/');
            path.shown.push_str(segment);
        }
        Ok(path)
    }
}

fn encode(segment: &str, into: &mut String) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// `GET /cluster/resources?type=vm`
pub(super) fn asked(method: &str, path: &Path, query: &[(&str, &str)]) -> String {
    let mut line = format!("{method} {}", path.shown);
    for (i, (key, value)) in query.iter().enumerate() {
        line.push(if i == 0 { '?' } else { '&' });
        line.push_str(&format!("{key}={value}"));
    }
    line
}

/// `pvesh get /cluster/resources --type vm`, to be typed on a node.
pub(super) fn by_hand(path: &Path, query: &[(&str, &str)]) -> String {
    let options: String = query.iter().map(|(key, value)| format!(" --{key} {}", quoted(value))).collect();
    format!("pvesh get {}{options}", quoted(&path.shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_id_stays_one_segment_and_reads_as_written() {
        let path = Path::of(&["nodes", "pve", "storage", "local", "content", "local:iso/a b.iso"]).unwrap();
        assert_eq!(path.encoded, "/nodes/pve/storage/local/content/local%3Aiso%2Fa%20b.iso");
        assert_eq!(path.shown, "/nodes/pve/storage/local/content/local:iso/a b.iso");
    }

    #[test]
    fn a_segment_that_leads_elsewhere_is_refused() {
        for wrong in ["", ".", "..", "a\r\nb"] {
            assert!(Path::of(&["nodes", wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_line_by_hand_survives_a_shell() {
        let path = Path::of(&["nodes", "pve", "tasks", "UPID:a:b!c:"]).unwrap();
        assert_eq!(by_hand(&path, &[("start", "0")]), "pvesh get '/nodes/pve/tasks/UPID:a:b!c:' --start 0");
        assert_eq!(asked("GET", &path, &[("a", "1"), ("b", "2")]), "GET /nodes/pve/tasks/UPID:a:b!c:?a=1&b=2");
    }
}
