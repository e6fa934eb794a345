//! Evidence. A step is proven by readings of the target; a proof without one can't be built.
use super::made::Thing;
use crate::base::answer::Answer;
use crate::base::text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One answer of one system, kept as evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The system that was asked: `Proxmox`, `Talos 10.0.0.201`, `Kubernetes`, `jump host`.
    pub system: String,
    /// The question: a path with its method, a call, a command. Never a secret.
    pub asked: String,
    /// The raw answer, redacted and without control characters.
    pub answer: String,
    /// Time of the answer, by the engine's clock.
    pub at: Timestamp,
    /// A command with which a person can check it.
    pub by_hand: String,
}

impl Evidence {
    /// The evidence of a client's answer.
    pub fn of<T>(system: impl Into<String>, at: Timestamp, answer: &Answer<T>) -> Self {
        Evidence {
            system: system.into(),
            asked: text::clean(&answer.asked),
            answer: text::clean_lines(&answer.raw),
            at,
            by_hand: text::clean(&answer.by_hand),
        }
    }
}

/// A comparison that only a person can make: a value that the target says of itself, and a place that the network does
/// not reach where the right value can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The owner of the value: `cozy-new-cp1 at 10.0.0.201`.
    pub of: String,
    /// The value that the target showed, such as a fingerprint.
    pub value: String,
    /// The place where the right value can be read: `the console of vm 1001`.
    pub with: String,
}

/// A statement that was shown to be true, and the readings that show it: at least one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Proof {
    summary: String,
    first: Evidence,
    more: Vec<Evidence>,
    /// Boxed: few proofs have one, and records are handed about by value.
    compare: Option<Box<Comparison>>,
    remarks: Vec<String>,
    owned: Box<[Thing]>,
    left: Vec<Left>,
    digests: BTreeMap<String, String>,
}

/// A thing that was found and left alone, for lists and summaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// `vm 555 (anns-vm) on pve`
    pub what: String,
    /// A lowercase fragment that follows `because it`: `does not carry this run's mark`.
    pub why: String,
}

impl Left {
    /// Both texts are cleaned and become one line each.
    pub fn new(what: impl AsRef<str>, why: impl AsRef<str>) -> Left {
        Left { what: text::line(what.as_ref()), why: text::line(why.as_ref()) }
    }
}

impl Proof {
    /// `summary` says in one line what is now true, e.g. `vm 1001 runs on pve with 8 cores`.
    pub fn new(summary: impl AsRef<str>, first: Evidence) -> Self {
        Proof {
            summary: text::line(summary.as_ref()),
            first,
            more: Vec::new(),
            compare: None,
            remarks: Vec::new(),
            owned: Box::default(),
            left: Vec::new(),
            digests: BTreeMap::new(),
        }
    }

    /// Names a thing that the step's act made, so that it is told from its copies from now on.
    #[must_use]
    pub fn owning(mut self, thing: Thing) -> Self {
        self.owned = self.owned.into_iter().chain([thing]).collect();
        self
    }

    /// The things that the step's act made; none when it makes nothing that could have a copy.
    pub fn owned(&self) -> &[Thing] {
        &self.owned
    }

    /// Names what the step found and does not touch.
    #[must_use]
    pub fn leaving(mut self, left: impl IntoIterator<Item = Left>) -> Self {
        self.left.extend(left);
        self
    }

    /// The things that the step found and does not touch.
    pub fn left(&self) -> &[Left] {
        &self.left
    }

    /// Adds a reading that the statement rests on as well.
    #[must_use]
    pub fn and(mut self, reading: Evidence) -> Self {
        self.more.push(reading);
        self
    }

    /// Asks the person who opens the next day's gate to compare something first.
    #[must_use]
    pub fn to_compare(mut self, it: Comparison) -> Self {
        let [of, value, with] = [it.of, it.value, it.with].map(|t| text::line(&t));
        self.compare = Some(Box::new(Comparison { of, value, with }));
        self
    }

    /// The comparison that a person is asked for; most proofs have none.
    pub fn comparison(&self) -> Option<&Comparison> {
        self.compare.as_deref()
    }

    /// Something that a person should know or do although the step is proven. The summary of a run and its status show it.
    #[must_use]
    pub fn mind(mut self, remark: impl AsRef<str>) -> Self {
        self.remarks.push(text::line(remark.as_ref()));
        self
    }

    /// Remarks for a person about a step that is proven all the same, one line each.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Keeps the SHA-256 (64 hexadecimal digits) of a thing that nobody could name beforehand, such as a file of a release
    /// or an image: later reads of `what` are compared with it.
    #[must_use]
    pub fn records(mut self, what: impl AsRef<str>, sha256: impl AsRef<str>) -> Self {
        self.digests.insert(text::line(what.as_ref()), text::line(sha256.as_ref()));
        self
    }

    /// The values that [`Proof::records`] kept.
    pub fn digests(&self) -> &BTreeMap<String, String> {
        &self.digests
    }

    /// The statement that is proven, in one line.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The readings, the first one being that with which the proof was made.
    pub fn readings(&self) -> impl Iterator<Item = &Evidence> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    summary: String,
    readings: Vec<Evidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compare: Option<Box<Comparison>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owned: Option<Box<Thing>>,
    /// The others, where the act made several; older versions do not know the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owned_too: Vec<Thing>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<Left>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    digests: BTreeMap<String, String>,
}

impl TryFrom<Stored> for Proof {
    type Error = &'static str;
    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let mut readings = stored.readings.into_iter();
        let first = readings.next().ok_or("a proof without a reading is no proof")?;
        Ok(Proof {
            summary: stored.summary,
            first,
            more: readings.collect(),
            compare: stored.compare,
            remarks: stored.remarks,
            owned: stored.owned.into_iter().map(|thing| *thing).chain(stored.owned_too).collect(),
            left: stored.left,
            digests: stored.digests,
        })
    }
}

impl From<Proof> for Stored {
    fn from(proof: Proof) -> Stored {
        let mut owned = proof.owned.into_vec().into_iter();
        Stored {
            summary: proof.summary,
            readings: std::iter::once(proof.first).chain(proof.more).collect(),
            compare: proof.compare,
            remarks: proof.remarks,
            owned: owned.next().map(Box::new),
            owned_too: owned.collect(),
            left: proof.left,
            digests: proof.digests,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_proof_without_a_reading_is_refused() {
        let error = serde_json::from_str::<Proof>(r#"{"summary":"all fine","readings":[]}"#).unwrap_err();
        assert!(error.to_string().contains("no proof"), "{error}");
    }

    #[test]
    fn a_remark_stays_with_the_proof_and_older_proofs_have_none() {
        let reading = r#"{"system":"Kubernetes","asked":"a","answer":"b","at":"2026-11-29T10:00:00Z","by_hand":"c"}"#;
        let plain = format!(r#"{{"summary":"fine","readings":[{reading}]}}"#);
        let proof = serde_json::from_str::<Proof>(&plain).unwrap();
        assert_eq!(serde_json::to_string(&proof).unwrap(), plain);
        let told = proof.mind("write the\u{1b}[31m record");
        let kept: Proof = serde_json::from_str(&serde_json::to_string(&told).unwrap()).unwrap();
        assert_eq!(kept.remarks().len(), 1);
        assert!(!kept.remarks()[0].contains('\u{1b}'));
    }

    #[test]
    fn what_a_proof_records_is_read_back_and_an_older_proof_recorded_nothing() {
        let reading = Evidence {
            system: "s".into(),
            asked: "a".into(),
            answer: "b".into(),
            at: Timestamp::UNIX_EPOCH,
            by_hand: String::new(),
        };
        let proof = Proof::new("fine", reading).records("chart x 1.2.3", "ab".repeat(32));
        let text = serde_json::to_string(&proof).unwrap();
        assert_eq!(serde_json::from_str::<Proof>(&text).unwrap(), proof);
        let older = text.replace(&format!(r#","digests":{{"chart x 1.2.3":"{}"}}"#, "ab".repeat(32)), "");
        assert!(serde_json::from_str::<Proof>(&older).unwrap().digests().is_empty() && older != text);
    }

    #[test]
    fn one_thing_is_stored_as_older_versions_read_it_and_several_are_all_read_back() {
        let reading = r#"{"system":"Proxmox","asked":"a","answer":"b","at":"2026-11-29T10:00:00Z","by_hand":"c"}"#;
        let plain =
            format!(r#"{{"summary":"fine","readings":[{reading}],"owned":{{"kind":"vm","name":"9500","uid":"a"}}}}"#);
        let one: Proof = serde_json::from_str(&plain).unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), plain);
        let two = one.owning(Thing::new("vm", 9501, Some("b".into())));
        let kept: Proof = serde_json::from_str(&serde_json::to_string(&two).unwrap()).unwrap();
        let names: Vec<&str> = kept.owned().iter().map(|thing| thing.name.as_str()).collect();
        assert_eq!(names, ["9500", "9501"]);
    }
}
