//! `day4.proxmox_user/NAME`: a user in Proxmox VE that has the add-on's role everywhere, and no password.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::proxmox::{AclRow, Grantee, UserRow};
use crate::steps::addons::access::{self, Access};
use crate::steps::cluster::part;
use crate::steps::removal::removed;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day4.proxmox_user";
const BAND: Band = Band::new(5, 30);

pub struct ProxmoxUser {
    outline: Outline,
    access: Access,
}

pub fn step(access: Access) -> ProxmoxUser {
    let Access { name, role, user, .. } = access;
    let title = format!("user {user} has role {role}");
    let by_hand = format!("pveum user add {user}\npveum acl modify / --users {user} --roles {role} --propagate 1");
    let outline = outlines::change(StepId::of(KIND, name), 4, title, BAND, by_hand)
        .after([StepId::of(super::proxmox_role::KIND, name)]);
    ProxmoxUser { outline, access }
}

fn grants(row: &AclRow, access: &Access) -> bool {
    row.path == "/" && row.kind == "user" && row.ugid == access.user && row.roleid == access.role && row.propagate
}

/// Why a user is not this run's own; `None` when it is.
fn strange(cx: &dyn Context, site: &Reading, found: &UserRow) -> Option<&'static str> {
    match (site.is_ours(found.comment.as_deref()), access::is_made(cx, KIND, &found.userid)) {
        (false, _) => Some("does not carry this run's mark in its comment"),
        (true, false) => Some("carries this run's mark, but the run's journal does not know that it made it"),
        (true, true) => None,
    }
}

/// The refusal to work with a user that somebody else made.
fn foreign(user: &str, why: &str) -> Failure {
    Failure::refused(
        format!("user {user} exists in Proxmox VE and {why}"),
        format!(
            "look whose it is (pveum user list); if nobody needs it: pveum user delete {user}, and the step goes on"
        ),
    )
}

#[async_trait]
impl Step<Installation> for ProxmoxUser {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Access { user, role, .. } = self.access;
        let users = access::users(site).await?;
        let Some(found) = users.value.iter().find(|u| u.userid == user) else {
            return Ok(Observed::Absent(format!("there is no user {user}")));
        };
        if let Some(why) = strange(cx, site, found) {
            return Ok(Observed::Conflict(foreign(user, why)));
        }
        if !found.enabled {
            let next = format!("if it may act again: pveum user modify {user} --enable 1");
            return Ok(Observed::Conflict(Failure::person(format!("user {user} is disabled"), next)));
        }
        let acl = site.proxmox.acl().await.map_err(|e| failures::proxmox(&e, "read the permissions"))?;
        let Some(grant) = acl.value.iter().find(|row| grants(row, &self.access)) else {
            return Ok(Observed::Absent(format!("user {user} does not have role {role} on / yet")));
        };
        let now = cx.clock().now();
        let user_row = json!({"userid": found.userid, "enable": found.enabled, "comment": found.comment});
        let acl_row =
            json!({"path": grant.path, "ugid": grant.ugid, "roleid": grant.roleid, "propagate": grant.propagate});
        let proof = Proof::new(
            format!("user {user} is this run's and has role {role} on / and below"),
            Evidence::of("Proxmox", now, &part(&users, "the row of this user", [user_row])),
        );
        Ok(Observed::Satisfied(proof.and(Evidence::of("Proxmox", now, &part(&acl, "the row of this user", [acl_row])))))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Access { user, role, .. } = self.access;
        let users = access::users(site).await?;
        match users.value.iter().find(|u| u.userid == user) {
            Some(found) => {
                if let Some(why) = strange(cx, site, found) {
                    return Err(foreign(user, why));
                }
            }
            None => {
                let made = change.proxmox.create_user(user, &site.mark).await;
                made.map_err(|e| failures::proxmox(&e, &format!("create user {user}")))?;
            }
        }
        let given = change.proxmox.set_acl("/", role, &Grantee::User(user.to_string()), true).await;
        given.map_err(|e| failures::proxmox(&e, &format!("give {user} role {role}")))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl Removal<Installation> for ProxmoxUser {
    fn title(&self) -> String {
        format!("delete user {} and what it may do", self.access.user)
    }

    fn by_hand(&self) -> String {
        format!("pveum user delete {}", self.access.user)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let user = self.access.user;
        let users = access::users(site).await?;
        let now = cx.clock().now();
        let evidence = |rows: Vec<Value>| Evidence::of("Proxmox", now, &part(&users, "the user ids", rows));
        let ids = users.value.iter().map(|u| json!(u.userid)).collect();
        let Some(found) = users.value.iter().find(|u| u.userid == user) else {
            return Ok(Observed::Satisfied(Proof::new(format!("there is no user {user}"), evidence(ids))));
        };
        let Some(why) = strange(cx, site, found) else {
            return Ok(Observed::Absent(format!("user {user} is there")));
        };
        let row = json!({"userid": found.userid, "comment": found.comment});
        let proof = Proof::new(format!("user {user} is not this run's: left alone"), evidence(vec![row]));
        Ok(Observed::Satisfied(proof.leaving([Left::new(format!("user {user}"), why)])))
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Observed::Absent(_) = self.gone(cx, site).await? else { return Ok(()) };
        removed(change.proxmox.delete_user(self.access.user).await, &format!("delete user {}", self.access.user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::addons::access::CSI;

    #[test]
    fn only_a_grant_that_reaches_everything_counts() {
        let row = |path: &str, kind: &str, propagate: bool| AclRow {
            path: path.into(),
            roleid: CSI.role.into(),
            ugid: CSI.user.into(),
            kind: kind.into(),
            propagate,
        };
        assert!(grants(&row("/", "user", true), &CSI));
        assert!(!grants(&row("/", "user", false), &CSI) && !grants(&row("/vms", "user", true), &CSI));
        assert!(!grants(&row("/", "group", true), &CSI));
    }
}
