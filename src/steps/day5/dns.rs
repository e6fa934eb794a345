//! `day5.dns`: a pod resolves the name of the API server in the plan's cluster domain.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, BAND, NAMESPACE, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day5.dns";
const NAME: &str = "dns";

pub struct Dns {
    outline: Outline,
    host: String,
}

pub fn step(plan: &Plan) -> Dns {
    let host = format!("kubernetes.default.svc.{}", plan.network.cluster_domain);
    let by_hand = format!("kubectl -n {NAMESPACE} exec POD -- nslookup {host}");
    let outline = outlines::change(StepId::new(KIND), 5, format!("a pod resolves {host}"), BAND, by_hand)
        .after([StepId::new(super::namespace::KIND)])
        .momentary();
    Dns { outline, host }
}

#[async_trait]
impl Step<Installation> for Dns {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let token = objects::token(site, &self.outline.id);
        match objects::pod_state(cx, site, NAMESPACE, NAME, "resolve a name").await? {
            PodState::Missing => Ok(Observed::Absent(format!("there is no pod {NAME}"))),
            PodState::Underway(wait) => Ok(Observed::Underway(wait)),
            PodState::Done { evidence, log } => {
                objects::word_found(&log, &token, evidence, &format!("a pod resolved {}", self.host))
            }
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // The word is written only when the look-up before it succeeded.
        let script = format!("nslookup {} && echo {}", self.host, objects::token(site, &self.outline.id));
        objects::apply(site, change, &Kind::POD, Some(NAMESPACE), NAME, objects::job(site, &script, None)).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(NAMESPACE), Some(NAME), Duration::from_secs(3)).await;
    }
}
