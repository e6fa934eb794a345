//! `day4.proxmox_role/NAME`: a role in Proxmox VE with exactly the privileges that the add-on needs.
use super::access::Access;
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId};
use crate::engine::wait::Band;
use crate::steps::cluster::part;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

pub const KIND: &str = "day4.proxmox_role";
const BAND: Band = Band::new(5, 30);

pub struct ProxmoxRole {
    outline: Outline,
    access: Access,
}

pub fn step(access: Access) -> ProxmoxRole {
    let title = format!("role {} holds what {} may do in Proxmox VE", access.role, access.name);
    let by_hand = format!("pveum role add {} --privs \"{}\"", access.role, access.needed().join(" "));
    let outline = outlines::change(StepId::of(KIND, access.name), 4, title, BAND, by_hand);
    ProxmoxRole { outline, access }
}

/// A role carries no mark, so only its privileges can tell whether it is the one that is meant.
fn other(role: &str, found: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Option<Failure> {
    let list = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join(" ");
    if found == wanted {
        return None;
    }
    let wanted_list: Vec<&str> = wanted.iter().map(String::as_str).collect();
    Some(Failure::refused(
        format!(
            "role {role} exists with other privileges: missing [{}], more [{}]",
            list(wanted, found),
            list(found, wanted)
        ),
        format!(
            "if the role is yours to change: pveum role modify {role} --privs \"{}\"; the step then goes on",
            wanted_list.join(" ")
        ),
    ))
}

#[async_trait]
impl Step<Installation> for ProxmoxRole {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let roles = site.proxmox.roles().await.map_err(|e| failures::proxmox(&e, "read the roles"))?;
        let role = self.access.role;
        let Some(found) = roles.value.get(role) else {
            return Ok(Observed::Absent(format!("there is no role {role}")));
        };
        if let Some(conflict) = other(role, found, &self.access.privileges(&roles.value)) {
            return Ok(Observed::Conflict(conflict));
        }
        let row = part(&roles, "the row of this role", [json!({"roleid": role, "privs": found})]);
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &row);
        let summary = format!("role {role} has exactly the {} privileges needed", found.len());
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let roles = site.proxmox.roles().await.map_err(|e| failures::proxmox(&e, "read the roles"))?;
        if roles.value.contains_key(self.access.role) {
            return Ok(());
        }
        let privileges = self.access.privileges(&roles.value);
        let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
        let made = change.proxmox.create_role(self.access.role, &privileges).await;
        made.map_err(|e| failures::proxmox(&e, &format!("create role {}", self.access.role)))
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_with_other_privileges_is_a_conflict_that_names_them() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert!(other("R", &set(&["a", "b"]), &set(&["b", "a"])).is_none());
        let failure = other("R", &set(&["a", "x"]), &set(&["a", "b"])).unwrap();
        assert!(failure.what.contains("missing [b], more [x]"), "{failure}");
        assert!(failure.next.contains("--privs \"a b\""), "{}", failure.next);
    }
}
