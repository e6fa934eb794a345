//! `day3.api_services`: CozyStack's own API answers through the cluster's.
use crate::engine::failure::Failure;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{get, is_true, proven, said, seen};
use crate::steps::site::{Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day3.api_services";
const BAND: Band = Band::new(420, 1200);
const NAMES: [&str; 2] = ["v1alpha1.apps.cozystack.io", "v1alpha1.core.cozystack.io"];

pub struct ApiServices {
    outline: Outline,
}

pub fn step() -> ApiServices {
    let by_hand = format!("kubectl get apiservices {}", NAMES.join(" "));
    let outline = outlines::check(StepId::new(KIND), 3, "the API of CozyStack answers", BAND, by_hand)
        .after([StepId::new(super::installer::KIND)]);
    ApiServices { outline }
}

#[async_trait]
impl Check<Installation> for ApiServices {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let (mut readings, mut lacks) = (Vec::new(), Vec::new());
        for name in NAMES {
            match get(&reader, &Kind::API_SERVICE, None, name).await? {
                Some(found) if is_true(&found.value, "Available") => readings.push(seen(cx, &found)),
                Some(found) => lacks.push(format!("{name}: {}", said(&found.value, "Available"))),
                None => lacks.push(format!("there is no {name} yet")),
            }
        }
        if lacks.is_empty() {
            return proven(format!("{} are available", NAMES.join(" and ")), readings);
        }
        Ok(Observed::Underway(Wait::new("both API services are available", lacks.join("; "), BAND)))
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::API_SERVICE, None, None, Duration::from_secs(4)).await;
    }
}
