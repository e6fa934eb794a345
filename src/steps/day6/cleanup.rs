//! `day6.cleanup`: the namespace of day 6 is gone. It is deleted last: together with its Cluster, finalizers would stay.
use super::namespace::strange;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{part, text};
use crate::steps::cluster_api::NAMESPACE;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "day6.cleanup";
const BAND: Band = Band::new(30, 180);

pub struct Cleanup {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Cleanup {
    let title = format!("namespace {NAMESPACE} is gone");
    let by_hand = format!("kubectl delete namespace {NAMESPACE}");
    let outline =
        outlines::change(StepId::new(KIND), 6, title, BAND, by_hand).after([StepId::new(super::removal::KIND)]);
    Cleanup { outline }
}

#[async_trait]
impl Step<Installation> for Cleanup {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let listed = site.kubernetes()?.list(&Kind::NAMESPACE, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the namespaces"))?;
        let found = listed.value.iter().find(|n| text(n, "/metadata/name") == NAMESPACE);
        let Some(namespace) = found else {
            let rows = listed.value.iter().map(|n| json!(text(n, "/metadata/name")));
            let evidence = Evidence::of("Kubernetes", cx.clock().now(), &part(&listed, "namespaces", rows));
            return Ok(Observed::Satisfied(Proof::new(format!("namespace {NAMESPACE} is gone"), evidence)));
        };
        if let Some(why) = strange(cx, site, namespace) {
            return Ok(Observed::Conflict(Failure::refused(
                format!("namespace {NAMESPACE} {why}"),
                "another run uses it: wait until it has ended; or somebody made it: it stays until they delete it",
            )));
        }
        if text(namespace, "/status/phase") == "Terminating" {
            let seen = format!("namespace {NAMESPACE} is being deleted");
            return Ok(Observed::Underway(Wait::new("the namespace is gone", seen, BAND)));
        }
        Ok(Observed::Absent(format!("namespace {NAMESPACE} is still there")))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let doing = format!("delete namespace {NAMESPACE}");
        let found = site.kubernetes()?.get(&Kind::NAMESPACE, None, NAMESPACE).await;
        let Some(found) = found.map_err(|e| failures::kubernetes(&e, &doing))? else { return Ok(()) };
        if let Some(why) = strange(cx, site, &found.value) {
            return Err(Failure::refused(format!("{doing}: it {why}"), "remove it yourself if nobody needs it"));
        }
        let uid = text(&found.value, "/metadata/uid");
        let deleted = change.kubernetes()?.delete(&Kind::NAMESPACE, None, NAMESPACE, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &doing))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
