//! The days that a plan's steps are on.
use serde::{Deserialize, Serialize};
use std::fmt;

/// A day of the plan, or what comes after every day: the workers that stay, and the teardown. In JSON `3`, `"workers"` or
/// `"teardown"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub enum Day {
    /// 0 (the check) to [`Day::LAST`].
    Number(u8),
    /// The workers that a person asks for on a validated cluster.
    Workers,
    Teardown,
}

impl Day {
    /// The last day that a plan can have.
    pub const LAST: u8 = 10;
    /// The last day that has steps: at its end the cluster is validated.
    pub const BUILT: u8 = 10;

    /// The day after this one; nothing comes after the last day.
    pub fn next(self) -> Option<Day> {
        match self {
            Day::Number(n) if n < Day::LAST => Some(Day::Number(n + 1)),
            Day::Number(_) | Day::Workers | Day::Teardown => None,
        }
    }
}

/// `day 3`, `the workers`, `the teardown`
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Day::Number(n) => write!(f, "day {n}"),
            Day::Workers => f.write_str("the workers"),
            Day::Teardown => f.write_str("the teardown"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Number(u8),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Workers,
    Teardown,
}

impl TryFrom<Stored> for Day {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Day, String> {
        match stored {
            Stored::Number(n) if n <= Day::LAST => Ok(Day::Number(n)),
            Stored::Number(n) => Err(format!("no plan has a day {n}; the last one is {}", Day::LAST)),
            Stored::Word(Word::Workers) => Ok(Day::Workers),
            Stored::Word(Word::Teardown) => Ok(Day::Teardown),
        }
    }
}

impl From<Day> for Stored {
    fn from(day: Day) -> Stored {
        match day {
            Day::Number(n) => Stored::Number(n),
            Day::Workers => Stored::Word(Word::Workers),
            Day::Teardown => Stored::Word(Word::Teardown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_number_or_one_of_two_words_and_nothing_else() {
        let days = [(Day::Number(0), "0"), (Day::Number(10), "10")];
        for (day, json) in days.into_iter().chain([(Day::Workers, "\"workers\""), (Day::Teardown, "\"teardown\"")]) {
            assert_eq!(serde_json::to_string(&day).unwrap(), json);
            assert_eq!(serde_json::from_str::<Day>(json).unwrap(), day);
        }
        for wrong in ["11", "255", "-1", "\"day\"", "null", "1.5"] {
            assert!(serde_json::from_str::<Day>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_workers_come_after_every_day_and_the_teardown_after_them() {
        assert!(Day::Number(Day::LAST) < Day::Workers && Day::Workers < Day::Teardown);
        assert_eq!(
            (Day::Number(1).next(), Day::Number(10).next(), Day::Teardown.next()),
            (Some(Day::Number(2)), None, None)
        );
    }
}
