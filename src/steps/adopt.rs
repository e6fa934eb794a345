//! Taking up a run whose folder was lost: what of it stands in the target. A person looks at the list and agrees; from then
//! on the journal knows these things, and nothing else of that run.
use super::addons::access;
use super::claim::{self, Claim};
use super::day4::{proxmox_token, proxmox_user};
use super::{failures, owner};
use crate::engine::failure::Failure;
use crate::engine::made::{Adopted, Thing};
use crate::engine::proof::Left;
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::proxmox::{Error, Reader};

const DOING: &str = "look for the run that is to be taken up";

/// The part of a lost run that exists in the target.
pub struct Lost {
    pub things: Vec<Adopted>,
    /// A line for each of them.
    pub shown: Vec<String>,
    /// The things that carry its mark and are not adopted.
    pub left: Vec<Left>,
    /// The place that works on the run, according to the template's notes.
    pub holder: Option<Claim>,
}

/// Looks for the run with this mark; the template must carry it.
///
/// # Errors
/// When the template is not there or is another run's, or Proxmox VE does not answer.
pub async fn look(plan: &Plan, reader: &Reader, mark: &str) -> Result<Lost, Failure> {
    let failed = |e: Error| failures::proxmox(&e, DOING);
    let is_its = |text: Option<&str>| text.is_some_and(|t| t.split_whitespace().any(|word| word == mark));
    let template = plan.template.vmid;
    let all = reader.resources().await.map_err(failed)?;
    let mut lost = Lost { things: Vec::new(), shown: Vec::new(), left: Vec::new(), holder: None };
    for row in all.value.iter().filter(|row| row.kind == "qemu") {
        let config = match reader.vm_config(&row.node, row.vmid).await {
            Ok(config) => config.value,
            Err(Error::NotFound { .. } | Error::Forbidden { .. }) => continue,
            Err(e) => return Err(failed(e)),
        };
        let notes = config.description();
        if !is_its(notes) {
            if row.vmid == template {
                return Err(not_there(plan, mark, &format!("{} {}", owner::named(row), claim::whose(notes))));
            }
            continue;
        }
        let Some(step) = owner::maker(plan, row.vmid) else {
            lost.left.push(Left::new(owner::named(row), "is not in the plan"));
            continue;
        };
        if let Some(other) = owner::written_for(notes.unwrap_or_default()).filter(|other| *other != row.vmid) {
            lost.left.push(Left::new(owner::named(row), owner::Strange::WrittenFor(other).to_string()));
            continue;
        }
        if row.vmid == template {
            lost.holder = notes.and_then(Claim::of);
        }
        let thing = owner::thing(row.vmid, &config);
        let uuid = thing.uid.as_deref().unwrap_or("none");
        lost.shown.push(format!("{}, SMBIOS uuid {uuid}", owner::named(row)));
        lost.things.push(Adopted { step, thing });
    }
    if !lost.things.iter().any(|a| a.thing.name == template.to_string()) {
        return Err(not_there(plan, mark, &format!("there is no vm {template} with it")));
    }
    let users = reader.users().await.map_err(failed)?;
    for add_on in [access::CSI, access::CAPMOX] {
        let user = users.value.iter().find(|u| u.userid == add_on.user && is_its(u.comment.as_deref()));
        if user.is_none() {
            continue;
        }
        lost.shown.push(format!("user {}", add_on.user));
        let thing = Thing::new("user", add_on.user, None);
        lost.things.push(Adopted { step: StepId::of(proxmox_user::KIND, add_on.name), thing });
        let tokens = reader.tokens(add_on.user).await.map_err(failed)?;
        if tokens.value.iter().any(|t| t.tokenid == add_on.token && is_its(t.comment.as_deref())) {
            lost.shown.push(format!("token {}", add_on.token_id()));
            let thing = Thing::new("token", add_on.token_id(), None);
            lost.things.push(Adopted { step: StepId::of(proxmox_token::KIND, add_on.name), thing });
        }
    }
    Ok(lost)
}

fn not_there(plan: &Plan, mark: &str, found: &str) -> Failure {
    Failure::refused(
        format!("the template does not carry {mark}: {found}"),
        format!(
            "read the id of the lost run in its notes: qm config {} on {}; a run without a template has nothing to take up",
            plan.template.vmid, plan.template.host
        ),
    )
}
