//! The name of a task: `UPID:{node}:{pid}:{pstart}:{starttime}:{type}:{id}:{user}:`, nine fields, numbers in hexadecimal.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a task, taken apart; its text is kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upid {
    text: String,
    node: String,
    kind: String,
    id: String,
    user: String,
    /// Unix seconds.
    started: i64,
}

impl Upid {
    /// The node that runs the task, and the only one that answers for it.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// `qmclone`, `qmstart`, …
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The object that the task works on; for `qmclone` the source's VMID, for `imgcopy` nothing.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The user or token that began it: `root@pam`, `cozyup@pve!wizard`.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The time when it began, in Unix seconds.
    pub fn started(&self) -> i64 {
        self.started
    }

    /// The whole text, as calls about the task need it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Upid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split(':').collect();
        let ["UPID", node, pid, pstart, started, kind, id, user, ""] = fields.as_slice() else {
            return Err("not a UPID: it has not the nine fields of one".to_string());
        };
        let hex = |s: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&s.len()) && s.chars().all(|c| c.is_ascii_hexdigit())
        };
        let word = |s: &str| s.chars().all(|c| c.is_ascii_graphic() && c != '/');
        let node_is_a_name = !node.is_empty()
            && node.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !node.starts_with('-')
            && !node.ends_with('-');
        let numbers = hex(pid, 8..=8) && hex(pstart, 8..=9) && hex(started, 8..=8);
        if !node_is_a_name
            || !numbers
            || kind.is_empty()
            || user.is_empty()
            || ![*kind, *id, *user].into_iter().all(word)
        {
            return Err("not a UPID: a field has a form that Proxmox VE does not write".to_string());
        }
        Ok(Upid {
            text: text.to_string(),
            node: node.to_string(),
            kind: kind.to_string(),
            id: id.to_string(),
            user: user.to_string(),
            started: i64::from_str_radix(started, 16).unwrap_or_default(),
        })
    }
}

impl TryFrom<String> for Upid {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Upid> for String {
    fn from(upid: Upid) -> String {
        upid.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLONE: &str = "UPID:pve-1:000A1B2C:05F5E100:68FB0C11:qmclone:9000:cozy@pve!wizard:";

    #[test]
    fn a_upid_tells_its_node_kind_and_id() {
        let upid: Upid = CLONE.parse().unwrap();
        assert_eq!((upid.node(), upid.kind(), upid.id()), ("pve-1", "qmclone", "9000"));
        assert_eq!((upid.user(), upid.started()), ("cozy@pve!wizard", 0x68FB_0C11));
        assert_eq!(upid.to_string(), CLONE);
    }

    #[test]
    fn an_upload_has_no_id_and_a_long_uptime_nine_digits() {
        let upid: Upid = "UPID:a:000A1B2C:105F5E100:68FB0C11:imgcopy::root@pam:".parse().unwrap();
        assert_eq!(upid.id(), "");
    }

    #[test]
    fn what_could_leave_its_place_in_a_path_is_no_upid() {
        for wrong in [
            "",
            "UPID:pve:000A1B2C:05F5E100:68FB0C11:qmclone:9000:cozy@pve",
            "UPID:..:000A1B2C:05F5E100:68FB0C11:qmclone:9000:a@b:",
            "UPID:pve:000A1B2C:05F5E100:68FB0C11:qm/clone:9000:a@b:",
            "UPID:pve:000A1B2C:05F5E100:68FB0C11:qmclone:9 00:a@b:",
            "UPID:pve:XYZA1B2C:05F5E100:68FB0C11:qmclone:9000:a@b:",
        ] {
            assert!(wrong.parse::<Upid>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in "(UPID)?[:a-zA-Z0-9!@/. é]{0,80}") {
            if let Ok(upid) = text.parse::<Upid>() {
                prop_assert_eq!(upid.to_string(), text);
            }
        }
    }
}
