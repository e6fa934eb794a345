//! The engine's services for a running verb, and the messages to the driver's loop that they become.
use super::failure::Failure;
use super::made::Made;
use super::step::{Context, StepId};
use super::wait::Wait;
use crate::base::clock::Clock;
use crate::base::text;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// A message from a running verb to the loop.
pub(super) enum Note {
    Handle { step: StepId, handle: String, written: oneshot::Sender<Result<(), String>> },
    Waiting { step: StepId, wait: Wait },
    Log { step: StepId, source: String, line: String },
}

/// The context of one verb of one step.
pub(super) struct StepContext {
    pub step: StepId,
    pub clock: Clock,
    pub handle: std::sync::Mutex<Option<String>>,
    pub made: Arc<Made>,
    pub notes: mpsc::UnboundedSender<Note>,
    pub stopping: Arc<AtomicBool>,
}

#[async_trait]
impl Context for StepContext {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn handle(&self) -> Option<String> {
        self.handle.lock().ok().and_then(|h| h.clone())
    }

    fn made(&self) -> &Made {
        &self.made
    }

    async fn keep_handle(&self, handle: &str) -> Result<(), Failure> {
        let lost =
            |why: String| Failure::broken(format!("the journal did not take the handle: {why}"), "see the journal");
        let (written, answer) = oneshot::channel();
        let note = Note::Handle { step: self.step.clone(), handle: handle.to_string(), written };
        self.notes.send(note).map_err(|_| lost("the run has ended".into()))?;
        answer.await.map_err(|_| lost("the run has ended".into()))?.map_err(lost)?;
        if let Ok(mut kept) = self.handle.lock() {
            *kept = Some(handle.to_string());
        }
        Ok(())
    }

    fn waiting(&self, wait: Wait) {
        // As below: without a listener the run has ended.
        let _ = self.notes.send(Note::Waiting { step: self.step.clone(), wait });
    }

    fn log(&self, source: &str, line: &str) {
        // Nobody listens any more only when the run has ended; the line is then of no use.
        let _ = self.notes.send(Note::Log {
            step: self.step.clone(),
            source: source.to_string(),
            line: text::shorten(&text::line(line), 400),
        });
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
