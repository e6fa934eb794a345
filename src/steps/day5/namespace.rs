//! `day5.namespace`: a namespace of the tests' own. The system label keeps CozyStack's lineage webhook out of it.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day5.namespace";
const BAND: Band = Band::new(5, 60);

pub struct Namespace {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Namespace {
    let by_hand = format!("kubectl create namespace {NAMESPACE}");
    let title = format!("namespace {NAMESPACE} is there for the tests");
    Namespace { outline: outlines::change(StepId::new(KIND), 5, title, BAND, by_hand).momentary() }
}

#[async_trait]
impl Step<Installation> for Namespace {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let found = site.kubernetes()?.get(&Kind::NAMESPACE, None, NAMESPACE).await;
        let Some(found) = found.map_err(|e| failures::kubernetes(&e, "read the test namespace"))? else {
            return Ok(Observed::Absent("no such namespace".into()));
        };
        if let Some(why) = objects::strange(cx, site, &found.value) {
            return Ok(Observed::Conflict(Failure::refused(
                format!("namespace {NAMESPACE} exists and {why}"),
                format!("look what is in it; if nobody needs it: kubectl delete namespace {NAMESPACE}"),
            )));
        }
        if objects::text(&found.value, "/status/phase") == "Terminating" {
            let wait = Wait::new(format!("the former {NAMESPACE} is gone"), "it is being deleted", BAND);
            return Ok(Observed::Underway(wait));
        }
        let evidence = Evidence::of("Kubernetes", cx.clock().now(), &found);
        let proof = Proof::new(format!("namespace {NAMESPACE} is active"), evidence);
        Ok(Observed::Satisfied(proof.owning(objects::thing(&found.value))))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let mut labels = objects::labels(site);
        if let Some(map) = labels.as_object_mut() {
            map.insert("cozystack.io/system".into(), Value::from("true"));
        }
        let body = json!({"metadata": {"labels": labels}});
        objects::apply(site, change, &Kind::NAMESPACE, None, NAMESPACE, body).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NAMESPACE, None, Some(NAMESPACE), Duration::from_secs(2)).await;
    }
}
