//! `day5.releases`: every HelmRelease of the cluster is Ready, also those that nobody waited for.
use crate::cozystack::Health;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::observed::Fact;
use crate::plan::model::Plan;
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, flux, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day5.releases";
const BAND: Band = Band::new(30, 600);

pub struct Releases {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Releases {
    let title = "every HelmRelease of the cluster is Ready";
    Releases { outline: outlines::check(StepId::new(KIND), 5, title, BAND, "kubectl get hr -A") }
}

#[async_trait]
impl Check<Installation> for Releases {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let all = site.kubernetes()?.releases().await.map_err(|e| failures::kubernetes(&e, "list the releases"))?;
        let (ready, open): (Vec<_>, Vec<_>) = all.value.iter().partition(|r| Health::of(r).is_ready());
        let ready = ready.len();
        // An empty cluster has no release that is not ready: what the profile wants must be there.
        for wanted in site.components.iter() {
            if !all.value.iter().any(|r| r.name == wanted.name && r.namespace == wanted.namespace) {
                return Err(Failure::person(
                    format!("release {}/{} is gone", wanted.namespace, wanted.name),
                    "the platform lost a component: look at the log of deployment cozy-system/cozystack",
                ));
            }
        }
        if let Some(failure) = open.iter().find_map(|r| flux::failure(r, cx.clock().date())) {
            return Err(failure);
        }
        if let Some(first) = open.first() {
            let said = flux::describe(&Health::of(first));
            let seen = format!("{ready} of {}; {}/{}: {said}", all.value.len(), first.namespace, first.name);
            let wait = Wait::new("every HelmRelease is Ready", seen, BAND).with_progress(
                ready as u64,
                all.value.len() as u64,
                "releases",
            );
            return Ok(Observed::Underway(wait));
        }
        let evidence = Evidence::of("Kubernetes", cx.clock().now(), &all);
        Ok(Observed::Satisfied(Proof::new(format!("{ready} HelmReleases, all Ready"), evidence)))
    }

    fn rests_on(&self) -> Vec<Fact> {
        vec![Fact::AllReleasesSound]
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::HELM_RELEASE, None, None, Duration::from_secs(4)).await;
    }
}
