//! `day6.cleanup`: the namespace of day 6 is gone. It is deleted last: together with its Cluster, finalizers would stay.
use super::namespace::OF_VMS;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{part, proven, seen, text};
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
            let evidence = seen(cx, &part(&listed, "namespaces", rows));
            return proven(format!("namespace {NAMESPACE} is gone"), vec![evidence]);
        };
        let wait = |seen| Wait::new("the namespace is gone", seen, BAND);
        OF_VMS.until_gone(cx, site, namespace, wait).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(found) = OF_VMS.to_delete(cx, site).await? else { return Ok(()) };
        OF_VMS.delete(change, &found).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
