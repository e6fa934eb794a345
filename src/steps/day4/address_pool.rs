//! `day4.address_pool`: MetalLB gives LoadBalancer services addresses of the plan's ranges and announces them.
use crate::cozystack::addons::{METALLB_NAMESPACE, Object, address_pool};
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, Standing, proven, seen, standing};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day4.address_pool";
const BAND: Band = Band::new(10, 120);

pub struct AddressPool {
    outline: Outline,
}

pub fn step(plan: &Plan) -> AddressPool {
    let title = format!("LoadBalancer services get addresses of {}", ranges(plan).join(", "));
    let by_hand = format!("kubectl get -n {METALLB_NAMESPACE} ipaddresspools.metallb.io,l2advertisements.metallb.io");
    AddressPool { outline: outlines::change(StepId::new(KIND), 4, title, BAND, by_hand) }
}

fn ranges(plan: &Plan) -> Vec<String> {
    plan.network.address_pool.iter().map(ToString::to_string).collect()
}

fn objects(site: &Reading) -> Vec<Object> {
    address_pool(site.label(), &ranges(&site.plan))
}

#[async_trait]
impl Step<Installation> for AddressPool {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        match standing(site, &objects(site)).await? {
            Standing::Absent(seen) => Ok(Observed::Absent(seen)),
            Standing::Conflict(failure) => Ok(Observed::Conflict(failure)),
            Standing::Applied(applied) => {
                let summary = format!("MetalLB holds and announces {}", ranges(&site.plan).join(", "));
                proven(summary, applied.iter().map(|a| seen(cx, a)).collect())
            }
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // While MetalLB's webhook is not up yet the API refuses; that is worth another try and comes back as such.
        cluster::apply(change, &objects(site)).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::IP_ADDRESS_POOL, Some(METALLB_NAMESPACE), None, Duration::from_secs(2)).await;
    }
}
