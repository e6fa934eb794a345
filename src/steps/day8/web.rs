//! `day8.web/TENANT`: a pod of the tenant serves, behind a Service: what the tests of its borders ask for.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Wait;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{foreign, get, is_ours, is_true, proven, said, seen, text};
use crate::steps::objects::{self, BAND};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::{self, PORT, TestTenant, WEB};
use crate::steps::{follow, outlines, warnings};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "day8.web";

pub struct Web {
    outline: Outline,
    tenant: &'static TestTenant,
}

pub fn step(_plan: &Plan, tenant: &'static TestTenant) -> Web {
    let TestTenant { name, namespace, .. } = tenant;
    let by_hand = format!("kubectl get -n {namespace} deployment,service,pods -l app={WEB}");
    let outline = outlines::change(StepId::of(KIND, name), 8, format!("a pod of tenant {name} serves"), BAND, by_hand)
        .after([tenant.made_by()])
        .momentary();
    Web { outline, tenant }
}

#[async_trait]
impl Step<Installation> for Web {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (reader, namespace) = (site.kubernetes()?, self.tenant.namespace);
        let mut readings = Vec::new();
        for kind in [Kind::DEPLOYMENT, Kind::SERVICE] {
            let Some(found) = get(&reader, &kind, Some(namespace), WEB).await? else {
                return Ok(Observed::Absent(format!("there is no {} {WEB}", kind.kind)));
            };
            if !is_ours(site, &found.value) {
                return Ok(Observed::Conflict(foreign(&kind, Some(namespace), WEB, &found.value)));
            }
            if kind == Kind::DEPLOYMENT && !is_true(&found.value, "Available") {
                let wait = Wait::new(format!("the pod of {namespace} is ready"), said(&found.value, "Available"), BAND);
                return Ok(Observed::Underway(warnings::beside(site, namespace, &[WEB], wait).await?));
            }
            if kind == Kind::SERVICE && text(&found.value, "/spec/clusterIP").is_empty() {
                return Ok(Observed::Underway(Wait::new("the Service has an address", "none yet", BAND)));
            }
            readings.push(seen(cx, &found));
        }
        proven(format!("Deployment and Service {WEB} of {namespace} are there, and its pod is ready"), readings)
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let namespace = Some(self.tenant.namespace);
        let resources =
            json!({"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}});
        let deployment = tenancy::deployment(site, WEB, &resources);
        objects::apply(site, change, &Kind::DEPLOYMENT, namespace, WEB, deployment).await?;
        let service = json!({"metadata": {"labels": tenancy::labels(site, WEB)},
            "spec": {"selector": {"app": WEB}, "ports": [{"port": PORT, "targetPort": PORT}]}});
        objects::apply(site, change, &Kind::SERVICE, namespace, WEB, service).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        let namespace = Some(self.tenant.namespace);
        follow::object(cx, site, &Kind::DEPLOYMENT, namespace, Some(WEB), Duration::from_secs(3)).await;
    }
}
