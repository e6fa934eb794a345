//! `day0.proxmox`: the API answers at the plan's address, with the certificate that is trusted, and takes the token.
use super::{Check, of_proxmox, proof};
use crate::base::trust::Trust;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::proxmox::{Validity, probe_certificate};
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
    let (certificate, remarks) = certificate(cx, site).await;
    let summary = format!(
        "Proxmox VE {} answers at {}, {certificate}, and takes {}",
        version.value.version,
        site.proxmox.url(),
        site.proxmox.token_id()
    );
    proof(&summary, &remarks, vec![of_proxmox(cx, &version)])
}

/// The words for what the certificate is trusted by, and remarks about its end. A pinned certificate is trusted after its
/// end too; other programs that verify it are not so lenient.
async fn certificate(cx: &dyn Context, site: &Reading) -> (&'static str, Vec<String>) {
    let trusted = match site.proxmox.trust() {
        Trust::Leaf(_) => "its certificate is the pinned one",
        Trust::Authority(_) => "its certificate is signed by the pinned authority",
        Trust::System => "its certificate is verified",
    };
    // It answered a moment ago; one that does not now is told by the next question.
    let Ok(shown) = probe_certificate(site.proxmox.url()).await else { return (trusted, Vec::new()) };
    let end = shown.certificate.not_after.strftime("%Y-%m-%d");
    let remark = match shown.certificate.validity(cx.clock().date()) {
        Validity::Good => None,
        Validity::EndsSoon => {
            Some(format!("its certificate ends on {end}; the one that comes then has another fingerprint"))
        }
        Validity::Ended => Some(format!(
            "its certificate ended on {end}: renew it on the node (pvecm updatecerts --force), then pin the new one"
        )),
    };
    (trusted, remark.into_iter().collect())
}
