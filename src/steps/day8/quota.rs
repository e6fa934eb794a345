//! `day8.quota`: the tenant's quota is what was asked for, and a pod beyond it is refused, as the API server told the controller that
//! wanted to make it.
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Exceeded, Kind};
use crate::plan::model::Plan;
use crate::steps::cluster::{condition, foreign, get, is_ours, proven, said, seen, text};
use crate::steps::failures;
use crate::steps::objects;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::{self, FIRST, LIMITS, QUOTA};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day8.quota";
const BAND: Band = Band::new(10, 120);
const NAME: &str = "too-large";
/// Far beyond the quota, and beyond any node.
const MEMORY: &str = "64Gi";
/// The condition of a Deployment whose pods are refused.
const REFUSED: &str = "ReplicaFailure";

pub struct Quota {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Quota {
    let (namespace, name) = (FIRST.namespace, FIRST.name);
    let by_hand = format!(
        "kubectl get -n {namespace} resourcequota {QUOTA} -o yaml\nkubectl describe -n {namespace} deployment {NAME}"
    );
    let title = format!("the quota of tenant {name} is set, and a pod beyond it is refused");
    let outline = outlines::change(StepId::new(KIND), 8, title, BAND, by_hand).after([FIRST.made_by()]).momentary();
    Quota { outline }
}

/// The limit that is not as it was asked for: `requests` of CPU are a part of it that CozyStack chooses.
fn differs(quota: &Value) -> Option<String> {
    LIMITS.into_iter().find_map(|(resource, wanted)| {
        let key = if resource == "storage" { "requests.storage".to_string() } else { format!("limits.{resource}") };
        let hard = quota.pointer("/status/hard").and_then(|hard| hard.get(&key)).and_then(Value::as_str);
        (hard != Some(wanted)).then(|| format!("{key} is {} and not {wanted}", hard.unwrap_or("not limited")))
    })
}

/// The pods of the Deployment that are there.
async fn pods(site: &Reading, namespace: &str) -> Result<usize, Failure> {
    let all = site.kubernetes()?.list(&Kind::POD, Some(namespace), None).await;
    let all = all.map_err(|e| failures::kubernetes(&e, &format!("list the pods of {namespace}")))?;
    Ok(all.value.iter().filter(|pod| text(pod, "/metadata/labels/app") == NAME).count())
}

#[async_trait]
impl Step<Installation> for Quota {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (reader, namespace) = (site.kubernetes()?, FIRST.namespace);
        let wait = |seen: String| Ok(Observed::Underway(Wait::new("the quota holds", seen, BAND)));
        let Some(quota) = get(&reader, &Kind::RESOURCE_QUOTA, Some(namespace), QUOTA).await? else {
            return wait(format!("there is no ResourceQuota {QUOTA} yet"));
        };
        if let Some(what) = differs(&quota.value) {
            return wait(what);
        }
        let Some(large) = get(&reader, &Kind::DEPLOYMENT, Some(namespace), NAME).await? else {
            return Ok(Observed::Absent(format!("there is no Deployment {NAME}")));
        };
        if !is_ours(site, &large.value) {
            return Ok(Observed::Conflict(foreign(&Kind::DEPLOYMENT, Some(namespace), NAME, &large.value)));
        }
        let pods = pods(site, namespace).await?;
        let message =
            condition(&large.value, REFUSED).filter(|c| c.status == "True").map(|c| c.message).unwrap_or_default();
        match Exceeded::read(message) {
            Some(refused) if refused.quota == QUOTA => {
                let summary = format!(
                    "the API server refuses a pod with {} of tenant {}, whose quota is {}",
                    refused.requested, FIRST.name, refused.limited
                );
                proven(summary, vec![seen(cx, &large), seen(cx, &quota)])
            }
            // A pod that is there was let in.
            None if pods > 0 => Err(Failure::person(
                format!("a pod with {MEMORY} was let into tenant {}, whose quota is {}", FIRST.name, LIMITS[1].1),
                format!("look at kubectl describe -n {namespace} resourcequota {QUOTA}"),
            )),
            Some(_) | None => wait(said(&large.value, REFUSED)),
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let resources =
            json!({"requests": {"cpu": "10m", "memory": MEMORY}, "limits": {"cpu": "100m", "memory": MEMORY}});
        let deployment = tenancy::deployment(site, NAME, &resources);
        objects::apply(site, change, &Kind::DEPLOYMENT, Some(FIRST.namespace), NAME, deployment).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::DEPLOYMENT, Some(FIRST.namespace), Some(NAME), Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_counts_when_each_amount_is_the_one_that_was_asked_for() {
        let hard = |memory: &str| json!({"status": {"hard": {"limits.cpu": "8", "requests.cpu": "800m", "limits.memory": memory, "requests.storage": "10Gi"}}});
        assert_eq!(differs(&hard("4Gi")), None);
        assert_eq!(differs(&hard("8Gi")).unwrap(), "limits.memory is 8Gi and not 4Gi");
        assert!(differs(&json!({})).unwrap().contains("not limited"));
    }
}
