//! `day5.ingress`: the root ingress answers for the dashboard's name, asked at its address from the jump host.
//! The name itself is not resolved: it may get its DNS record later.
use super::load_balancer::fetch;
use crate::cozystack::addons::TENANT_ROOT;
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::day5::objects;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;

pub const KIND: &str = "day5.ingress";
const BAND: Band = Band::new(10, 300);
const SERVICE: &str = "root-ingress-controller";

pub struct Ingress {
    outline: Outline,
    host: String,
}

pub fn step(plan: &Plan) -> Ingress {
    let service = plan.cozystack.expose.iter().find(|e| *e == "dashboard").or(plan.cozystack.expose.first());
    let host = format!("{}.{}", service.map_or("dashboard", String::as_str), plan.cozystack.root_host);
    let by_hand = format!("curl -i -H 'Host: {host}' http://INGRESS_ADDRESS/");
    let outline = outlines::check(StepId::new(KIND), 5, format!("the ingress answers for {host}"), BAND, by_hand);
    Ingress { outline, host }
}

#[async_trait]
impl Step<Installation> for Ingress {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let service = site.kubernetes()?.get(&Kind::SERVICE, Some(TENANT_ROOT), SERVICE).await;
        let service = service.map_err(|e| failures::kubernetes(&e, "read the ingress service"))?;
        let wait = |seen: &str| {
            Ok(Observed::Underway(Wait::new(format!("the ingress answers for {}", self.host), seen, BAND)))
        };
        let Some(service) = service else { return wait(&format!("there is no service {TENANT_ROOT}/{SERVICE}")) };
        let address = objects::text(&service.value, "/status/loadBalancer/ingress/0/ip");
        if address.is_empty() {
            return wait("the service has no address");
        }
        match fetch(cx, site, &format!("http://{address}/"), Some(&self.host)).await {
            // A redirect to https is how CozyStack answers here; 404 is the answer for a name that nobody serves.
            Ok((status, _, evidence)) if (200..400).contains(&status) => {
                let summary = format!("{address} answers {status} for {}", self.host);
                let service = Evidence::of("Kubernetes", cx.clock().now(), &service);
                Ok(Observed::Satisfied(Proof::new(summary, evidence).and(service)))
            }
            Ok((status, _, _)) => wait(&format!("{address} answers {status}")),
            Err(why) => wait(&format!("{address}: {why}")),
        }
    }

    async fn act(&self, _cx: &dyn Context, _site: &Reading, _change: &Changing) -> Result<(), Failure> {
        Err(outlines::nothing_to_do(&self.outline))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }
}
