//! `day6.namespace`: a namespace of day 6's own. The system label keeps CozyStack's lineage webhook out of it.
use crate::cozystack::addons::{MANAGED_BY, RUN_LABEL};
use crate::engine::failure::Failure;
use crate::engine::made::{Origin, Thing};
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{is_ours, text};
use crate::steps::cluster_api::NAMESPACE;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day6.namespace";
const BAND: Band = Band::new(5, 60);

pub struct Namespace {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Namespace {
    let title = format!("namespace {NAMESPACE} is there for the VMs of Cluster API");
    let by_hand = format!("kubectl create namespace {NAMESPACE}");
    Namespace { outline: outlines::change(StepId::new(KIND), 6, title, BAND, by_hand).momentary() }
}

/// The namespace as the journal keeps it.
fn thing(namespace: &Value) -> Thing {
    Thing::new("namespace", NAMESPACE, Some(text(namespace, "/metadata/uid").to_string()))
}

/// Why the namespace is not this run's own. A label can be copied, as by a restore of a backup; the uid is drawn anew.
pub fn strange(cx: &dyn Context, site: &Reading, namespace: &Value) -> Option<&'static str> {
    if !is_ours(site, namespace) {
        return Some("does not carry this run's label");
    }
    match cx.made().origin(Some(&StepId::new(KIND)), &thing(namespace)) {
        Origin::Known | Origin::Open => None,
        Origin::Another | Origin::Never => Some("carries this run's label, but is not the one that this run made"),
    }
}

#[async_trait]
impl Step<Installation> for Namespace {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let found = site.kubernetes()?.get(&Kind::NAMESPACE, None, NAMESPACE).await;
        let Some(found) = found.map_err(|e| failures::kubernetes(&e, "read the namespace of day 6"))? else {
            return Ok(Observed::Absent("no such namespace".into()));
        };
        if let Some(why) = strange(cx, site, &found.value) {
            return Ok(Observed::Conflict(Failure::refused(
                format!("namespace {NAMESPACE} exists and {why}"),
                format!("look what is in it; if nobody needs it: kubectl delete namespace {NAMESPACE}"),
            )));
        }
        if text(&found.value, "/status/phase") == "Terminating" {
            let wait = Wait::new(format!("the former {NAMESPACE} is gone"), "it is being deleted", BAND);
            return Ok(Observed::Underway(wait));
        }
        let proof = Proof::new(
            format!("namespace {NAMESPACE} is active"),
            Evidence::of("Kubernetes", cx.clock().now(), &found),
        );
        Ok(Observed::Satisfied(proof.owning(thing(&found.value))))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let labels = json!({MANAGED_BY.0: MANAGED_BY.1, RUN_LABEL: site.label(), "cozystack.io/system": "true"});
        let body = json!({"metadata": {"labels": labels}});
        let applied = change.kubernetes()?.apply(&Kind::NAMESPACE, None, NAMESPACE, body).await;
        applied.map(drop).map_err(|e| failures::kubernetes(&e, &format!("apply Namespace {NAMESPACE}")))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NAMESPACE, None, Some(NAMESPACE), Duration::from_secs(2)).await;
    }
}
