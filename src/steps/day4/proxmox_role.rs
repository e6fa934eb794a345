//! `day4.proxmox_role/NAME`: a role in Proxmox VE with exactly the privileges that the add-on needs on one kind of object.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::steps::addons::access::{Access, Role};
use crate::steps::cluster::part;
use crate::steps::removal::removed;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub const KIND: &str = "day4.proxmox_role";
const BAND: Band = Band::new(5, 30);

pub struct ProxmoxRole {
    outline: Outline,
    access: Access,
    role: &'static Role,
}

/// One step for each role of the add-on.
pub fn steps(access: Access) -> impl Iterator<Item = ProxmoxRole> {
    access.roles.iter().map(move |role| {
        let title = format!("role {} holds what {} may do in Proxmox VE", role.name, access.name);
        let by_hand = format!("pveum role add {} --privs \"{}\"", role.name, role.needed().join(" "));
        let outline = outlines::change(StepId::of(KIND, role.step), 4, title, BAND, by_hand);
        ProxmoxRole { outline, access, role }
    })
}

/// The judgement of a role that is there.
enum Found {
    Right,
    /// As an earlier version of cozyup made it for this run, when it stood on `/`.
    Former,
    Other(Failure),
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

impl ProxmoxRole {
    fn judge(&self, found: &BTreeSet<String>, roles: &BTreeMap<String, BTreeSet<String>>, made: bool) -> Found {
        // A role carries no mark: only the journal tells that it may be changed.
        if made && self.role.former(roles).is_some_and(|former| former == *found) {
            return Found::Former;
        }
        match other(self.role.name, found, &self.role.privileges(roles)) {
            Some(failure) => Found::Other(failure),
            None => Found::Right,
        }
    }
}

#[async_trait]
impl Step<Installation> for ProxmoxRole {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let roles = site.proxmox.roles().await.map_err(|e| failures::proxmox(&e, "read the roles"))?;
        let role = self.role.name;
        let Some(found) = roles.value.get(role) else {
            return Ok(Observed::Absent(format!("there is no role {role}")));
        };
        match self.judge(found, &roles.value, site.made(&self.outline.id)) {
            Found::Right => {}
            Found::Former => {
                return Ok(Observed::Absent(format!(
                    "role {role} has what an earlier cozyup gave it on the whole site"
                )));
            }
            Found::Other(conflict) => return Ok(Observed::Conflict(conflict)),
        }
        let row = part(&roles, "the row of this role", [json!({"roleid": role, "privs": found})]);
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &row);
        let summary = format!("role {role} has exactly the {} privileges needed", found.len());
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let roles = site.proxmox.roles().await.map_err(|e| failures::proxmox(&e, "read the roles"))?;
        let role = self.role.name;
        let privileges = self.role.privileges(&roles.value);
        let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
        let Some(found) = roles.value.get(role) else {
            let made = change.proxmox.create_role(role, &privileges).await;
            return made.map_err(|e| failures::proxmox(&e, &format!("create role {role}")));
        };
        match self.judge(found, &roles.value, site.made(&self.outline.id)) {
            Found::Former => {
                let narrowed = change.proxmox.set_role(role, &privileges).await;
                narrowed.map_err(|e| failures::proxmox(&e, &format!("change role {role}")))
            }
            Found::Right => Ok(()),
            Found::Other(conflict) => Err(conflict),
        }
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl Removal<Installation> for ProxmoxRole {
    fn title(&self) -> String {
        format!("delete role {}", self.role.name)
    }

    fn by_hand(&self) -> String {
        format!("pveum role delete {}", self.role.name)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let role = self.role.name;
        let roles = site.proxmox.roles().await.map_err(|e| failures::proxmox(&e, "read the roles"))?;
        let now = cx.clock().now();
        let Some(found) = roles.value.get(role) else {
            let names = part(&roles, "the names", roles.value.keys().map(|name| json!(name)));
            let evidence = Evidence::of("Proxmox", now, &names);
            return Ok(Observed::Satisfied(Proof::new(format!("there is no role {role}"), evidence)));
        };
        // A role carries no mark: only the journal tells who made it.
        if !site.made(&self.outline.id) {
            let row = part(&roles, "the row of this role", [json!({"roleid": role, "privs": found})]);
            return Ok(others(role, now, &row));
        }
        // Others may have the role and would lose its rights; a token without the right to see them finds none.
        let rights = |path: &'static str| async move {
            site.proxmox.permissions_on(path).await.map_err(|e| failures::proxmox(&e, "read the token's rights"))
        };
        let sees_all = rights("/access").await?.value.contains_key("Sys.Audit")
            || rights("/").await?.value.contains_key("Permissions.Modify");
        if !sees_all {
            return Err(Failure::refused(
                format!("look who has role {role}: Proxmox VE shows the token only some of the permissions"),
                "give the token's role Sys.Audit on /access; the step goes on by itself",
            ));
        }
        let acl = site.proxmox.acl().await.map_err(|e| failures::proxmox(&e, "read the permissions"))?;
        // The rights of the add-on's own user go with that user.
        let used: Vec<Value> = acl
            .value
            .iter()
            .filter(|row| row.roleid == role && row.ugid != self.access.user)
            .map(|row| json!([row.path, row.ugid]))
            .collect();
        if used.is_empty() {
            return Ok(Observed::Absent(format!("role {role} is there")));
        }
        let why = "is used by others too";
        let row = part(&roles, "the row of this role", [json!({"roleid": role, "privs": found})]);
        let left = Left::new(format!("role {role}"), why);
        let proof =
            Proof::new(format!("role {role} {why}: left alone"), Evidence::of("Proxmox", now, &row)).leaving([left]);
        Ok(Observed::Satisfied(proof.and(Evidence::of(
            "Proxmox",
            now,
            &part(&acl, "the rows of others with this role", used),
        ))))
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Observed::Absent(_) = self.gone(cx, site).await? else { return Ok(()) };
        removed(change.proxmox.delete_role(self.role.name).await, &format!("delete role {}", self.role.name))
    }
}

/// A role that this run did not make.
fn others(role: &str, now: Timestamp, row: &Answer<()>) -> Observed {
    let proof =
        Proof::new(format!("role {role} was not made by this run: left alone"), Evidence::of("Proxmox", now, row));
    Observed::Satisfied(proof.leaving([Left::new(format!("role {role}"), "was not made by this run")]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// issue 10 A5: only what this run made is taken down from what it was.
    #[test]
    fn a_role_as_an_earlier_cozyup_made_it_is_narrowed_when_the_journal_knows_it() {
        let step = steps(crate::steps::addons::access::CSI).next().unwrap();
        let roles = BTreeMap::new();
        let former = step.role.former(&roles).unwrap();
        assert!(matches!(step.judge(&former, &roles, true), Found::Former));
        assert!(matches!(step.judge(&former, &roles, false), Found::Other(_)));
        assert!(matches!(step.judge(&step.role.privileges(&roles), &roles, false), Found::Right));
    }

    #[test]
    fn a_role_with_other_privileges_is_a_conflict_that_names_them() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert!(other("R", &set(&["a", "b"]), &set(&["b", "a"])).is_none());
        let failure = other("R", &set(&["a", "x"]), &set(&["a", "b"])).unwrap();
        assert!(failure.what.contains("missing [b], more [x]"), "{failure}");
        assert!(failure.next.contains("--privs \"a b\""), "{}", failure.next);
    }
}
