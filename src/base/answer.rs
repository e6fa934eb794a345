//! The answer of a system, kept beside the value that was parsed from it, so that a step can show its evidence.
use super::known;
use super::text::shorten;

/// A parsed answer together with the question and the raw text it came from.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// The question, e.g. `GET /nodes/pve/qemu/1001/config`.
    pub asked: String,
    /// The raw answer, already redacted by the client, at most [`RAW_LIMIT`] bytes.
    pub raw: String,
    /// A command with which a person can ask the same by hand.
    pub by_hand: String,
    pub value: T,
}

/// Longest raw answer kept as evidence, in bytes.
pub const RAW_LIMIT: usize = 4096;

/// Secrets go before it is cut to its length, since half of one is hard to find; of a long answer only the beginning is
/// looked at.
fn kept(raw: &str) -> String {
    shorten(&known::hide(&shorten(raw, 4 * RAW_LIMIT)), RAW_LIMIT)
}

impl<T> Answer<T> {
    pub fn new(asked: impl Into<String>, raw: impl Into<String>, by_hand: impl Into<String>, value: T) -> Self {
        Answer { asked: asked.into(), raw: kept(&raw.into()), by_hand: by_hand.into(), value }
    }

    /// The same evidence around another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { asked: self.asked, raw: self.raw, by_hand: self.by_hand, value: f(self.value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn no_part_of_a_secret_is_left_where_a_long_answer_is_cut() {
        let secret = Secret::new("3b241101-e2bb-4255-8caf-4136c566a962".to_string());
        for before in RAW_LIMIT - 40..RAW_LIMIT {
            let raw = format!("{}{}{}", "x".repeat(before), secret.expose(), "y".repeat(1 << 20));
            let answer = Answer::new("a", raw, "b", ());
            assert!(answer.raw.len() <= RAW_LIMIT && !answer.raw.contains("3b2"), "{}", &answer.raw[RAW_LIMIT - 60..]);
        }
    }
}
