//! The progress of the run: the days that have begun.
use crate::engine::record::{Event, Record};
use crate::engine::step::StepId;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last day of which a step was looked at; `None` before the first.
    pub day: Option<u8>,
    /// The session takes back what others made.
    pub backwards: bool,
}

impl Progress {
    /// The progress of a run whose earlier sessions made these steps true.
    pub fn of<'a>(made: impl IntoIterator<Item = &'a StepId>) -> Progress {
        Progress { day: made.into_iter().filter_map(day).max(), backwards: false }
    }

    /// Takes a record in; says whether it changed anything.
    pub fn take(&mut self, record: &Record) -> bool {
        let before = *self;
        if let Event::Session { course, .. } = &record.event {
            self.backwards = course.is_back();
        }
        self.day = self.day.max(record.event.step().and_then(day));
        *self != before
    }
}

/// The day of `day3.releases/wave-1`; of a teardown's steps none.
fn day(step: &StepId) -> Option<u8> {
    let number: String = step.as_str().strip_prefix("day")?.chars().take_while(char::is_ascii_digit).collect();
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn seen(id: &str) -> Record {
        let event = Event::Absent { step: StepId::new(id), seen: String::new() };
        Record { seq: 1, at: Timestamp::UNIX_EPOCH, event }
    }

    #[test]
    fn a_day_has_begun_when_one_of_its_steps_was_looked_at_here_or_earlier() {
        let mut progress = Progress::default();
        assert!(progress.take(&seen("day1.clone/cp1")) && progress.day == Some(1));
        assert!(!progress.take(&seen("day0.api")) && progress.day == Some(1));
        assert!(!progress.take(&seen("undo.day5.pod")), "a teardown begins no day");
        let made = [StepId::new("day3.settings"), StepId::new("day1.clone/cp1"), StepId::new("teardown.asked")];
        assert_eq!(Progress::of(&made).day, Some(3));
    }
}
