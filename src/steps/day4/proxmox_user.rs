//! `day4.proxmox_user/NAME`: a user in Proxmox VE without a password, that has the add-on's roles on the objects which it
//! works with.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::proxmox::{Grantee, UserRow};
use crate::steps::addons::access::{self, Access};
use crate::steps::addons::grants::{self, Difference};
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

pub fn step(plan: &Plan, access: Access) -> ProxmoxUser {
    let Access { name, user, .. } = access;
    let entries = grants::of_plan(plan, &access);
    let title = format!("user {user} has its roles on {} objects and no others", entries.len());
    let by_hand = format!("pveum user add {user}\n{}", grants::by_hand(user, &entries));
    let outline = outlines::change(StepId::of(KIND, name), 4, title, BAND, by_hand)
        .after(access.roles.iter().map(|role| StepId::of(super::proxmox_role::KIND, role.step)));
    ProxmoxUser { outline, access }
}

/// The first difference that is still to be mended, in words.
fn open(user: &str, difference: &Difference) -> Option<String> {
    if let Some(first) = difference.missing.first() {
        let more = difference.missing.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {more} entries more") };
        return Some(format!("user {user} does not have role {} on {}{more} yet", first.role, first.path));
    }
    let first = difference.stale.first()?;
    Some(format!("user {user} has role {} on {}, where nothing of this plan needs it", first.role, first.path))
}

/// The reason why a user is not this run's own; `None` when it is.
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
        let user = self.access.user;
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
        let wanted = grants::of(site, &self.access).await?;
        let acl = site.proxmox.acl().await.map_err(|e| failures::proxmox(&e, "read the permissions"))?;
        let difference = grants::difference(&self.access, &wanted, &acl.value);
        if let Some(what) = open(user, &difference) {
            return Ok(Observed::Absent(what));
        }
        let now = cx.clock().now();
        let user_row = json!({"userid": found.userid, "enable": found.enabled, "comment": found.comment});
        let rows = grants::entries_of(&acl.value, &self.access)
            .map(|row| json!({"path": row.path, "ugid": row.ugid, "roleid": row.roleid, "propagate": row.propagate}));
        let rows = part(&acl, "the rows of this user", rows);
        let mut summary = format!("user {user} is this run's and has its roles on {} objects", wanted.len());
        if let Some((role, path)) = difference.others.first() {
            summary.push_str(&format!("; somebody gave it role {role} on {path} too"));
        }
        let evidence = Evidence::of("Proxmox", now, &part(&users, "the row of this user", [user_row]));
        Ok(Observed::Satisfied(Proof::new(summary, evidence).and(Evidence::of("Proxmox", now, &rows))))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let user = self.access.user;
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
        let wanted = grants::of(site, &self.access).await?;
        let acl = site.proxmox.acl().await.map_err(|e| failures::proxmox(&e, "read the permissions"))?;
        let difference = grants::difference(&self.access, &wanted, &acl.value);
        let grantee = Grantee::User(user.to_string());
        for entry in &difference.missing {
            let given = change.proxmox.set_acl(&entry.path, entry.role, &grantee, entry.propagate).await;
            given.map_err(|e| failures::proxmox(&e, &format!("give {user} role {} on {}", entry.role, entry.path)))?;
        }
        // The user and the role are this run's own, and so is what they were once given. Last, so that nothing is missing
        // in between.
        for entry in &difference.stale {
            let taken = change.proxmox.remove_acl(&entry.path, entry.role, &grantee).await;
            let doing = format!("take role {} on {} from {user}", entry.role, entry.path);
            taken.map_err(|e| failures::proxmox(&e, &doing))?;
        }
        Ok(())
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
        let users = access::users_to_remove(cx, site, KIND).await?;
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
    use crate::steps::day0::tests::plan;

    #[test]
    fn what_is_missing_is_told_before_what_is_too_much() {
        let wanted = grants::of_plan(&plan(), &CSI);
        let stale = wanted.iter().take(1).cloned().collect();
        let mut difference = Difference { missing: wanted.into_iter().collect(), stale, others: Vec::new() };
        assert!(open("u", &difference).unwrap().contains("on /storage/local-lvm and 3 entries more yet"));
        difference.missing.clear();
        assert!(open("u", &difference).unwrap().contains("where nothing of this plan needs it"));
        assert_eq!(open("u", &Difference::default()), None);
    }

    #[test]
    fn by_hand_each_entry_is_a_line_of_its_own() {
        let by_hand = step(&plan(), CSI).outline.by_hand;
        assert!(
            by_hand.contains("pveum acl modify /vms/1001 --users kubernetes-csi@pve --roles CozyCSI --propagate 0")
        );
        assert!(!by_hand.contains("modify / "), "{by_hand}");
    }
}
