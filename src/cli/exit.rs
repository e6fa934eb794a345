//! The exit codes of every command.
use crate::compose::Refusal;
use crate::engine::record::Outcome;
use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Proven = 0,
    Blocked = 1,
    Usage = 2,
    Stopped = 3,
    /// What was proven is not so any more.
    Differs = 4,
    Locked = 5,
}

impl Exit {
    /// The exit of another process of ours.
    pub fn of(code: u8) -> Exit {
        [Exit::Proven, Exit::Blocked, Exit::Usage, Exit::Stopped, Exit::Differs, Exit::Locked]
            .into_iter()
            .find(|e| *e as u8 == code)
            .unwrap_or(Exit::Usage)
    }
}

impl From<&Refusal> for Exit {
    fn from(refusal: &Refusal) -> Exit {
        match refusal {
            Refusal::Plan(_) | Refusal::State { .. } => Exit::Usage,
            Refusal::Locked(_) => Exit::Locked,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Exit {
        match outcome {
            Outcome::Proven => Exit::Proven,
            Outcome::Blocked => Exit::Blocked,
            Outcome::Stopped => Exit::Stopped,
        }
    }
}
