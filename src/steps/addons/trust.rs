//! The facts about Proxmox VE that an add-on is given: its URL, the add-on's identity there, and the means to verify
//! the server.
use crate::base::answer::Answer;
use crate::cozystack::addons::ProxmoxAccess;
use crate::engine::failure::Failure;
use crate::proxmox::Anchor;
use crate::steps::addons::access::Access;
use crate::steps::failures;
use crate::steps::site::Reading;

pub struct Trust {
    pub access: ProxmoxAccess,
    /// As Proxmox VE shows its certificates.
    pub anchor: Answer<Anchor>,
}

/// # Errors
/// When the token's secret can't be read, or Proxmox VE can't be asked.
pub async fn of(site: &Reading, access: Access) -> Result<Trust, Failure> {
    let plan = &site.plan;
    let anchor = site.proxmox.anchor(&plan.template.host, plan.site.fingerprint.as_ref()).await;
    let anchor = anchor.map_err(|e| failures::proxmox(&e, "read by what its certificate can be verified"))?;
    let access = ProxmoxAccess {
        url: plan.site.url.clone(),
        token_id: access.token_id(),
        token_secret: access.secret(site)?,
        authority: anchor.value.pem().map(String::from),
        insecure: anchor.value.is_nothing(),
    };
    Ok(Trust { access, anchor })
}

/// The words for the means by which an add-on verifies Proxmox VE, for the summary of its proof.
pub fn describe(anchor: &Anchor) -> String {
    match anchor {
        Anchor::Authority { .. } => "it verifies Proxmox VE by the site's own authority".to_string(),
        Anchor::Public => "it verifies Proxmox VE by the authorities that every system knows".to_string(),
        Anchor::Leaf { until, .. } => {
            let day = until.strftime("%F");
            format!("it knows Proxmox VE by its present certificate, until {day}: run again when it has another one")
        }
        Anchor::Nothing { why } => {
            format!("deviation: it does not verify the certificate of Proxmox VE (insecure: true), since {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cozystack.md 2.2: the proof must not say that a certificate is verified when it is not, nor the other way round.
    #[test]
    fn a_deviation_is_told_exactly_when_nothing_is_verified() {
        let all = [
            Anchor::Authority { pem: String::new() },
            Anchor::Public,
            Anchor::Leaf { pem: String::new(), until: "2027-01-02T03:04:05Z".parse().unwrap() },
            Anchor::Nothing { why: "its certificate is not for pve".to_string() },
        ];
        for anchor in all {
            assert_eq!(describe(&anchor).contains("deviation"), anchor.is_nothing(), "{anchor:?}");
        }
    }
}
