//! `day3.root_tenant`: the tenant that carries the platform's own services is there and can be read.
use crate::cozystack::addons::{TENANT_ROOT, TenantRoot};
use crate::engine::failure::Failure;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{proven, seen};
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, flux, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day3.root_tenant";
const BAND: Band = Band::new(420, 1200);
const RELEASES: [&str; 2] = ["tenant-root", "info"];

pub struct RootTenant {
    outline: Outline,
}

pub fn step() -> RootTenant {
    let by_hand = format!(
        "kubectl get -n {TENANT_ROOT} helmreleases.helm.toolkit.fluxcd.io {}\n\
         kubectl get -n {TENANT_ROOT} tenants.apps.cozystack.io {}",
        RELEASES.join(" "),
        TenantRoot::NAME
    );
    let outline = outlines::check(StepId::new(KIND), 3, "the root tenant is there", BAND, by_hand)
        .after([StepId::new(super::installer::KIND)]);
    RootTenant { outline }
}

#[async_trait]
impl Check<Installation> for RootTenant {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let wait = |text: String| Observed::Underway(Wait::new("the root tenant is ready", text, BAND));
        let mut readings = Vec::new();
        for name in RELEASES {
            match flux::look(cx, &reader, TENANT_ROOT, name).await? {
                flux::Look::Ready(evidence) => readings.push(evidence),
                flux::Look::Lacks(what) => return Ok(wait(what)),
            }
        }
        match reader.get(&Kind::TENANT, Some(TENANT_ROOT), TenantRoot::NAME).await {
            Ok(Some(found)) => readings.push(seen(cx, &found)),
            Ok(None) => return Ok(wait(format!("the API shows no tenant {} yet", TenantRoot::NAME))),
            // Usual while cozystack-api, which serves tenants, comes up.
            Err(e) if e.is_transient() => return Ok(wait(format!("tenants can't be read yet: {e}"))),
            Err(e) => return Err(failures::kubernetes(&e, "read the root tenant")),
        }
        proven(format!("tenant {} and its releases {} are ready", TenantRoot::NAME, RELEASES.join(", ")), readings)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::HELM_RELEASE, Some(TENANT_ROOT), None, Duration::from_secs(4)).await;
    }
}
