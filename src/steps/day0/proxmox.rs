//! `day0.proxmox`: the API answers at the plan's address, with the certificate that is trusted, and takes the token.
use super::{Check, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::failures;
use crate::steps::site::Reading;

pub const KIND: &str = "day0.proxmox";

pub fn step(plan: &Plan) -> Check {
    let title = format!("Proxmox VE at {} takes the token {}", plan.site.url, plan.site.token_id);
    let by_hand = format!(
        "curl --cacert pve-root-ca.pem -H \"Authorization: PVEAPIToken={}=$SECRET\" {}/api2/json/version",
        plan.site.token_id, plan.site.url
    );
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site)))
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let version = site.proxmox.version().await;
    let version = version.map_err(|e| failures::proxmox(&e, &format!("ask {}", site.plan.site.url)))?;
    let certificate = match &site.plan.site.fingerprint {
        Some(_) => "its certificate is the pinned one",
        None => "its certificate is verified",
    };
    let summary = format!(
        "Proxmox VE {} answers at {}, {certificate}, and takes {}",
        version.value.version,
        site.proxmox.url(),
        site.proxmox.token_id()
    );
    proof(&summary, &[], vec![of_proxmox(cx, &version)])
}
