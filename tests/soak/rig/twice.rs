//! Repeat injection: every act, and on the way back every undo, is done twice in a row.
use async_trait::async_trait;
use cozyup::compose::Work;
use cozyup::engine::failure::Failure;
use cozyup::engine::step::{Context, Observed, Outline, Step, Undo};
use cozyup::steps::site::{Changing, Installation, Reading};
use std::sync::{Arc, Mutex};

/// What the second acts said where they said no.
pub type Refusals = Arc<Mutex<Vec<String>>>;

struct Twice {
    step: Arc<dyn Step<Installation>>,
    refusals: Refusals,
}

/// Whether the line of a comparison tells of a task that may well be done twice: it asks for a state, not for one more of
/// something.
pub fn repeats(line: &str) -> bool {
    ["imgcopy", "imgdel", "qmconfig", "resize", "qmstart"].iter().any(|kind| line.starts_with(&format!("task {kind} ")))
}

pub fn acts(work: Work, refusals: &Refusals) -> Work {
    work.with_steps(|step| Arc::new(Twice { step, refusals: refusals.clone() }))
}

#[async_trait]
impl Step<Installation> for Twice {
    fn outline(&self) -> &Outline {
        self.step.outline()
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        self.step.observe(cx, site).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.step.act(cx, site, change).await?;
        let again = self.step.act(cx, site, change).await;
        if let Err(failure) = &again {
            self.refusals.lock().unwrap().push(format!("{}: {}", self.outline().id, failure.what));
        }
        // The engine would look at the target after a refusal; so it does after this.
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        self.step.undo()
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        self.step.changed(cx, site).await;
    }
}
