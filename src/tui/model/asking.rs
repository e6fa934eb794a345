//! What was asked about one thing of the site, and the answer once it has come.
use crate::observed::{Answer, Asker, Mending, Question};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Asking {
    /// `None`: nothing can be asked, as of the record of a run.
    pub asker: Option<Asker>,
    /// Of the last question.
    pub number: u64,
    pub last: Option<Asked>,
    /// The act beside the steps that the person is asked about.
    pub mending: Option<Mending>,
}

#[derive(Debug)]
pub struct Asked {
    pub question: Question,
    /// When it was asked, on the wall.
    pub since: Duration,
    pub answer: Option<Answer>,
}

impl Asking {
    /// Takes the answer to the last question; one that nobody waits for any more is left.
    pub fn take(&mut self, number: u64, answer: Answer) -> bool {
        let waits = self.last.as_mut().filter(|asked| number == self.number && asked.answer.is_none());
        let Some(asked) = waits else { return false };
        asked.answer = Some(answer);
        true
    }

    /// The command with which a person asks the same as was asked last.
    pub fn by_hand(&self) -> Option<&str> {
        let answer = self.last.as_ref()?.answer.as_ref()?;
        answer.as_ref().ok().map(|told| told.by_hand.as_str())
    }
}
