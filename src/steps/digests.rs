//! Digests of what gets rights in the cluster and has none in the plan or in the release: what is read first is trusted
//! and recorded, what is read later must be the same.
use crate::base::text;
use crate::engine::failure::Failure;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The digests that proofs of the run recorded, and those that this process has read since.
#[derive(Debug, Default)]
pub struct Digests(Mutex<BTreeMap<String, String>>);

impl Digests {
    /// `recorded` by name of the thing; SHA-256 in hexadecimal digits.
    pub fn new(recorded: BTreeMap<String, String>) -> Self {
        Digests(Mutex::new(recorded))
    }

    /// The SHA-256 that `what` had when it was read first.
    pub fn of(&self, what: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&text::line(what)).cloned()
    }

    /// Notes the digest of `what`, or compares it with the one that was noted.
    ///
    /// # Errors
    /// When it is another one than before; `next` says how a person accepts it.
    pub fn agree(&self, what: &str, sha256: &str, next: &str) -> Result<(), Failure> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = known.entry(text::line(what)).or_insert_with(|| sha256.to_ascii_lowercase());
        if first.eq_ignore_ascii_case(sha256) {
            return Ok(());
        }
        Err(Failure::refused(
            format!("{what} has SHA-256 {sha256} now, and had {first} when this run read it first"),
            format!("find out who changed it; {next}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::{Event, Record};
    use crate::engine::state::RunState;
    use crate::engine::state::tests::proof;
    use crate::engine::step::StepId;
    use jiff::Timestamp;

    /// harm.md S11: the records of one session are what the next one compares with, also when a record could not keep the
    /// name as it is.
    #[test]
    fn what_a_session_read_first_is_compared_in_the_next_one() {
        let signed = format!("manifest https://m.example/a?t={}.{}.x", "eyJhbGciOiJ1".repeat(4), "eyJ".repeat(9));
        for name in ["manifest https://m.example/a", &format!("manifest /a{}", "b".repeat(3000)), &signed] {
            let event = Event::Proven { step: StepId::new("day3.installer"), proof: proof().records(name, "aa") };
            let record = Record { seq: 1, at: Timestamp::UNIX_EPOCH, event };
            let written: Record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
            let digests = Digests::new(RunState::digests([&written]));
            assert_eq!(digests.of(name).as_deref(), Some("aa"), "{name}");
            assert!(digests.agree(name, "ab", "").is_err(), "{name}");
        }
    }

    /// harm.md S11
    #[test]
    fn what_was_read_once_must_be_the_same_later() {
        let digests = Digests::new(BTreeMap::from([("chart a".to_string(), "aa".to_string())]));
        assert!(digests.agree("chart a", "AA", "").is_ok() && digests.agree("chart b", "bb", "").is_ok());
        for (what, sha256) in [("chart a", "ab"), ("chart b", "aa")] {
            let failure = digests.agree(what, sha256, "pin it").unwrap_err();
            assert!(failure.what.contains(what) && failure.what.contains("read it first"), "{failure}");
            assert!(failure.next.ends_with("pin it"), "{}", failure.next);
        }
        assert_eq!(digests.of("chart b").as_deref(), Some("bb"));
    }
}
