//! The plan form's way to the site: who answers there, and what the site offers.
use super::choices;
use super::contact::{Given, OnScreen, Stranger};
use super::rights;
use crate::compose;
use crate::plan::defaults::{self, Defaults};
use crate::plan::model::{Plan, Role};
use crate::plan::offer::{Offer, Rights};
use crate::proxmox;
use crate::steps::failures;
use crate::tui::{Connector, Contact, NoContact};
use std::sync::Arc;
use std::time::Duration;

/// For everything that is asked, on the wall.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn connector() -> Connector {
    Connector(Arc::new(|plan, takes| Box::pin(within(plan, takes))))
}

async fn within(plan: Box<Plan>, takes: bool) -> Result<Contact, NoContact> {
    let url = plan.site.url.to_string();
    tokio::time::timeout(PATIENCE, contact(*plan, takes)).await.unwrap_or_else(|_| {
        Err(NoContact {
            what: format!("{url} has not told all that was asked within {} s", PATIENCE.as_secs()),
            next: "look at the load of its node and the line to it, then connect again".into(),
        })
    })
}

/// Nothing secret is sent before the certificate is accepted. The plan takes the site's values: its rights are asked with those.
async fn contact(plan: Plan, takes: bool) -> Result<Contact, NoContact> {
    let trust = match Given::of_plan(&plan.site).await.map_err(stranger)? {
        OnScreen::Trusted(trust) => trust,
        OnScreen::Asks { fingerprint, described } => return Ok(Contact::Unknown { fingerprint, described }),
    };
    let site = plan.site.clone();
    // A file of a dead network drive, or a named pipe, keeps whoever opens it.
    let (plan, secret) = tokio::task::spawn_blocking(move || {
        let secret = compose::token_secret(&plan);
        (plan, secret)
    })
    .await
    .map_err(|e| no_contact(&e.to_string()))?;
    let secret = secret.map_err(|e| no_contact(&e.to_string()))?;
    let target = proxmox::Target { url: site.url.clone(), token_id: site.token_id.clone(), secret, trust };
    let refused = |e: proxmox::Error| {
        let failure = failures::proxmox(&e, &format!("ask {}", site.url));
        NoContact { what: failure.what, next: failure.next }
    };
    let (reader, _) = proxmox::connect(target).map_err(refused)?;
    let version = reader.version().await.map_err(refused)?.value;
    let mut known = known(&plan);
    let hosts = choices::from_site(&reader, &mut known).await.map_err(refused)?;
    let count = if hosts.len() == 1 { "1 host".to_string() } else { format!("{} hosts", hosts.len()) };
    let site = format!("Proxmox VE {} at {}, {count} online", version.version, site.url);
    let (offered, mut then) = (defaults::plan(&known), plan);
    let mut offer = Offer { site, plan: offered, reasons: known.reasons, hosts, rights: Ok(Rights::default()) };
    if takes {
        offer.take_up(&mut then);
    }
    offer.rights = rights::of(&reader, &then).await;
    Ok(Contact::Met(Box::new(offer)))
}

/// What a person has said already.
fn known(plan: &Plan) -> Defaults {
    let of = |role: Role| plan.nodes.iter().filter(|node| node.role == role).count();
    Defaults {
        name: Some(plan.name.clone()),
        site_url: Some(plan.site.url.clone()),
        fingerprint: plan.site.fingerprint.clone(),
        ca_file: plan.site.ca_file.clone(),
        token_id: Some(plan.site.token_id.clone()),
        token_file: Some(plan.site.token_file.clone()),
        control_planes: Some(of(Role::ControlPlane)),
        workers: of(Role::Worker),
        own: plan.nodes.iter().map(|node| (node.vmid.into(), node.name.clone())).collect(),
        ..Defaults::default()
    }
}

fn stranger(stranger: Stranger) -> NoContact {
    match stranger {
        Stranger::Absent(what) | Stranger::Refused(what) => no_contact(&what),
    }
}

/// Of a text whose last line says what to do.
fn no_contact(text: &str) -> NoContact {
    let (what, next) = text.split_once("\nnext: ").unwrap_or((text, "mend it, then connect again"));
    NoContact { what: what.to_string(), next: next.to_string() }
}
