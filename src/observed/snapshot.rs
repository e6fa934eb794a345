//! One kind of thing as it was seen last, for whoever shows it.
use super::contact::Contacts;
use super::notice::Notices;
use super::site::{Machines, Site};
use super::workload::{Events, Gaps, Nodes, Pods, Releases, Tails};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Rises when a reader of an older version would take a value for something that it is not. New keys and kinds do not raise it.
pub const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: u32,
    /// When it was seen, on the run's clock.
    pub at: Timestamp,
    pub view: View,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum View {
    Contacts(Contacts),
    Site(Site),
    Machines(Machines),
    Releases(Releases),
    Nodes(Nodes),
    Pods(Pods),
    Events(Events),
    Gaps(Gaps),
    Tails(Tails),
    Notices(Notices),
    /// Of a newer worker.
    #[serde(other)]
    Unknown,
}

/// The kinds of snapshots; a board keeps the last value of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Contacts,
    Site,
    Machines,
    Releases,
    Nodes,
    Pods,
    Events,
    Gaps,
    Tails,
    Notices,
    Unknown,
}

impl View {
    pub fn kind(&self) -> Kind {
        match self {
            View::Contacts(_) => Kind::Contacts,
            View::Site(_) => Kind::Site,
            View::Machines(_) => Kind::Machines,
            View::Releases(_) => Kind::Releases,
            View::Nodes(_) => Kind::Nodes,
            View::Pods(_) => Kind::Pods,
            View::Events(_) => Kind::Events,
            View::Gaps(_) => Kind::Gaps,
            View::Tails(_) => Kind::Tails,
            View::Notices(_) => Kind::Notices,
            View::Unknown => Kind::Unknown,
        }
    }
}

impl Snapshot {
    pub fn new(at: Timestamp, view: View) -> Snapshot {
        Snapshot { version: VERSION, at, view }
    }

    /// True when this cozyup can read what it says.
    pub fn is_known(&self) -> bool {
        self.version <= VERSION && self.view != View::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_a_newer_kind_or_version_is_read_over() {
        let snapshot = Snapshot::new(Timestamp::UNIX_EPOCH, View::Pods(Pods { total: 3, ..Pods::default() }));
        let text = serde_json::to_string(&snapshot).unwrap();
        assert!(
            text.starts_with(r#"{"version":1,"at":"1970-01-01T00:00:00Z","view":{"of":"pods","total":3"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
        assert!(snapshot.is_known());
        let newer = r#"{"version":1,"at":"1970-01-01T00:00:00Z","view":{"of":"weather","sun":true}}"#;
        assert!(!serde_json::from_str::<Snapshot>(newer).unwrap().is_known());
        assert!(!Snapshot { version: 2, ..snapshot }.is_known());
    }
}
