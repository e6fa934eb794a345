//! What a system answered, kept beside the value that was parsed from it, so that a step can show its evidence.

/// A parsed answer together with the question and the raw text it came from.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// What was asked, e.g. `GET /nodes/pve/qemu/1001/config`.
    pub asked: String,
    /// The raw answer, already redacted by the client, at most [`RAW_LIMIT`] bytes.
    pub raw: String,
    /// A command with which a person can ask the same by hand.
    pub by_hand: String,
    pub value: T,
}

/// Longest raw answer kept as evidence, in bytes.
pub const RAW_LIMIT: usize = 4096;

impl<T> Answer<T> {
    pub fn new(asked: impl Into<String>, raw: impl Into<String>, by_hand: impl Into<String>, value: T) -> Self {
        Answer {
            asked: asked.into(),
            // Before it is cut: half a secret is hard to find.
            raw: super::text::shorten(&super::known::hide(&raw.into()), RAW_LIMIT),
            by_hand: by_hand.into(),
            value,
        }
    }

    /// The same evidence around another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { asked: self.asked, raw: self.raw, by_hand: self.by_hand, value: f(self.value) }
    }
}
