//! `day9.cleanup`: the tenant is removed, and nothing of it is left: no namespace, policy or release.
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::Plan;
use crate::steps::cluster::{is_deleting, proven, text};
use crate::steps::outlines;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::{THIRD, going};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub const KIND: &str = "day9.cleanup";
const BAND: Band = Band::new(30, 300);

pub struct Cleanup {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Cleanup {
    let by_hand = format!(
        "kubectl delete -n tenant-root tenants.apps.cozystack.io {}\nkubectl get namespaces,ciliumclusterwidenetworkpolicies",
        THIRD.name
    );
    let title = format!("tenant {} is removed, and nothing of it is left", THIRD.name);
    let outline = outlines::change(StepId::new(KIND), 9, title, BAND, by_hand);
    Cleanup { outline: outline.after([StepId::new(super::removal::KIND)]).cleanup() }
}

fn wait(seen: impl AsRef<str>) -> Observed {
    Observed::Underway(Wait::new("nothing is left of the tenant", seen, BAND))
}

/// What Kamaji and Cluster API leave while they go.
fn is_of_the_cluster(object: &Value) -> bool {
    !text(object, "/metadata/labels/kamaji.clastix.io~1name").is_empty()
}

#[async_trait]
impl Step<Installation> for Cleanup {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let application = THIRD.application();
        if let Some(found) = application.find(site).await? {
            if let Some(why) = application.strange(cx, site, &THIRD.made_by(), &found.value) {
                return Ok(Observed::Conflict(application.refusal(why)));
            }
            if is_deleting(&found.value) {
                return Ok(wait(format!("{} is being deleted", application.told())));
            }
            return Ok(match going::inhabited(site, &THIRD, is_of_the_cluster).await? {
                Some(failure) => Observed::Conflict(failure),
                None => Observed::Absent(format!("{} is still there", application.told())),
            });
        }
        let (left, readings) = going::traces(cx, site, &[&THIRD]).await?;
        if !left.is_empty() {
            return Ok(wait(shorten(&left.join(", "), 600)));
        }
        proven(format!("{} and its policies are gone", THIRD.namespace), readings)
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let application = THIRD.application();
        let Some(found) = application.find(site).await? else { return Ok(()) };
        if let Some(why) = application.strange(cx, site, &THIRD.made_by(), &found.value) {
            return Err(application.refusal(why));
        }
        match going::inhabited(site, &THIRD, is_of_the_cluster).await? {
            Some(failure) => Err(failure),
            None => application.delete(change, &found.value).await,
        }
    }

    /// The tenant goes with the cluster; what would outlive it goes by a step of its own.
    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
