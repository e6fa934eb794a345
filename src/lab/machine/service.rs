//! The services of a Talos machine and what happened to them.
use jiff::Timestamp;
use std::collections::VecDeque;

/// The number of events that Talos keeps of a service.
const KEPT: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Preparing,
    Waiting,
    Starting,
    Running,
    Stopping,
    Finished,
    Failed,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Preparing => "Preparing",
            State::Waiting => "Waiting",
            State::Starting => "Starting",
            State::Running => "Running",
            State::Stopping => "Stopping",
            State::Finished => "Finished",
            State::Failed => "Failed",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Happened {
    pub at: Timestamp,
    pub state: State,
    pub message: String,
}

/// The result of the last health check; `None` in [`Service`]: not known yet, or no check.
#[derive(Debug, Clone)]
pub struct Health {
    pub at: Timestamp,
    pub healthy: bool,
    pub message: String,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub state: State,
    pub health: Option<Health>,
    /// Oldest first.
    pub events: VecDeque<Happened>,
}

impl Service {
    pub fn new(at: Timestamp, state: State, message: &str) -> Self {
        let mut service = Service { state, health: None, events: VecDeque::new() };
        service.note(at, state, message);
        service
    }

    pub fn note(&mut self, at: Timestamp, state: State, message: &str) {
        if state != State::Running {
            self.health = None;
        }
        self.state = state;
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Happened { at, state, message: message.into() });
    }

    pub fn running(&self) -> bool {
        self.state == State::Running
    }

    /// Runs, and its health check, where it has one, is content.
    pub fn healthy(&self) -> bool {
        self.running() && self.health.as_ref().is_none_or(|h| h.healthy)
    }
}
