//! `day5.pod`: a real pod runs on a node of its own choice and ends well.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, BAND, NAMESPACE, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day5.pod";
const NAME: &str = "pod";

pub struct Pod {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Pod {
    let by_hand =
        format!("kubectl -n {NAMESPACE} run {NAME} --image={} --restart=Never -- sh -c 'echo hello'", objects::IMAGE);
    let outline = outlines::change(StepId::new(KIND), 5, "a pod starts, writes a word and ends well", BAND, by_hand)
        .after([StepId::new(super::namespace::KIND)])
        .momentary();
    Pod { outline }
}

#[async_trait]
impl Step<Installation> for Pod {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let token = objects::token(site, &self.outline.id);
        match objects::pod_state(cx, site, NAMESPACE, NAME, "run a pod").await? {
            PodState::Missing => Ok(Observed::Absent(format!("there is no pod {NAME}"))),
            PodState::Underway(wait) => Ok(Observed::Underway(wait)),
            PodState::Done { evidence, log } => {
                objects::word_found(&log, &token, evidence, "a pod ran and wrote its word")
            }
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let script = format!("echo {}", objects::token(site, &self.outline.id));
        objects::apply(site, change, &Kind::POD, Some(NAMESPACE), NAME, objects::job(site, &script, None)).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(NAMESPACE), Some(NAME), Duration::from_secs(3)).await;
    }
}
