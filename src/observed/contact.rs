//! When each system answered last, and why it does not answer now.
use crate::base::clock::between;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A system that is asked by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "system", rename_all = "snake_case")]
pub enum Backend {
    Proxmox,
    /// The Talos API of the machine of this name.
    Talos {
        machine: String,
    },
    Kubernetes,
    /// One of a newer cozyup.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Proxmox => f.write_str("Proxmox VE"),
            Backend::Talos { machine } => write!(f, "Talos of {machine}"),
            Backend::Kubernetes => f.write_str("Kubernetes"),
            Backend::Unknown => f.write_str("another system"),
        }
    }
}

/// The reason why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No connection, or one that broke.
    Unreachable,
    /// A connection, and no answer in time.
    Silent,
    /// The system shows a certificate that is not trusted, or takes ours for a stranger's.
    Untrusted,
    /// It does not accept the credentials, or gives them no right.
    Refused,
    /// It answers that it can't serve now.
    NotReady,
    /// An answer that can't be read.
    Answer,
    #[serde(other)]
    Other,
}

impl Cause {
    /// A fragment for a sentence: `Kubernetes: no answer in time`.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Unreachable => "can't be reached",
            Cause::Silent => "no answer in time",
            Cause::Untrusted => "its certificate is not trusted, or ours is not",
            Cause::Refused => "refuses the credentials",
            Cause::NotReady => "not ready to answer",
            Cause::Answer => "an answer that can't be read",
            Cause::Other => "no answer",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    #[serde(flatten)]
    pub backend: Backend,
    /// When it answered last; `None`: never yet.
    pub last: Option<Timestamp>,
    /// Since when, and why, it does not answer; `None` while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<(Timestamp, Cause)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contacts {
    pub all: Vec<Contact>,
}

/// A last answer that moved by less than this is no news; in seconds of the run's clock.
const BEAT: Duration = Duration::from_secs(5);

impl Contacts {
    fn entry(&mut self, backend: &Backend) -> Option<&mut Contact> {
        if !self.all.iter().any(|c| c.backend == *backend) {
            self.all.push(Contact { backend: backend.clone(), last: None, silent: None });
            self.all.sort_by(|a, b| a.backend.cmp(&b.backend));
        }
        self.all.iter_mut().find(|c| c.backend == *backend)
    }

    /// The system answered; says since when it had not.
    pub fn answered(&mut self, backend: &Backend, now: Timestamp) -> Option<Timestamp> {
        let contact = self.entry(backend)?;
        contact.last = Some(now);
        contact.silent.take().map(|(since, _)| since)
    }

    /// The system did not answer; says since when not.
    pub fn failed(&mut self, backend: &Backend, now: Timestamp, cause: Cause) -> Timestamp {
        let Some(contact) = self.entry(backend) else { return now };
        let since = contact.silent.map_or(now, |(since, _)| since);
        contact.silent = Some((since, cause));
        since
    }

    /// True when `other` tells more than that time went on.
    pub fn is_news(&self, other: &Contacts) -> bool {
        self.all.len() != other.all.len()
            || self.all.iter().zip(&other.all).any(|(a, b)| {
                let moved = match (a.last, b.last) {
                    (Some(a), Some(b)) => between(a, b) >= BEAT,
                    (a, b) => a != b,
                };
                a.backend != b.backend || a.silent != b.silent || moved
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_system_that_is_silent_keeps_its_last_answer_and_since_when_it_is() {
        let mut contacts = Contacts::default();
        let talos = Backend::Talos { machine: "cp1".into() };
        assert_eq!(contacts.answered(&talos, at(10)), None);
        assert_eq!(contacts.failed(&talos, at(15), Cause::Silent), at(15));
        assert_eq!(contacts.failed(&talos, at(25), Cause::Unreachable), at(15));
        assert_eq!(contacts.all[0].last, Some(at(10)));
        assert_eq!(contacts.all[0].silent, Some((at(15), Cause::Unreachable)));
        assert_eq!(contacts.answered(&talos, at(30)), Some(at(15)));
        let text = serde_json::to_string(&contacts).unwrap();
        assert_eq!(serde_json::from_str::<Contacts>(&text).unwrap(), contacts);
        assert!(text.contains(r#""system":"talos","machine":"cp1""#), "{text}");
    }

    #[test]
    fn an_answer_a_moment_later_is_no_news_and_silence_is() {
        let mut before = Contacts::default();
        before.answered(&Backend::Proxmox, at(10));
        let mut after = before.clone();
        after.answered(&Backend::Proxmox, at(14));
        assert!(!before.is_news(&after));
        after.answered(&Backend::Proxmox, at(15));
        assert!(before.is_news(&after));
        let mut silent = before.clone();
        silent.failed(&Backend::Proxmox, at(11), Cause::Silent);
        assert!(before.is_news(&silent));
    }
}
