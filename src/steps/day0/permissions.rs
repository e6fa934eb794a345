//! `day0.permissions`: every right that the plan needs, before the first call that would miss one.
use super::{Check, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::rights::look;
use crate::steps::site::Reading;

pub const KIND: &str = "day0.permissions";

pub fn step(plan: &Plan) -> Check {
    let title = format!("the token {} has every right that the plan needs", plan.site.token_id);
    let by_hand = format!("pveum user token permissions {}", plan.site.token_id.replacen('!', " ", 1));
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let looked = look::look(&site.proxmox, &site.plan).await?;
    if let Some(lacking) = looked.lacking(&site.proxmox, &site.plan).await {
        return Err(lacking.failure(&site.plan.site.token_id));
    }
    let summary = format!("{} rights on {} paths are there", looked.privileges().len(), looked.paths());
    proof(&summary, &[], looked.readings.iter().map(|answer| of_proxmox(cx, answer)).collect())
}
