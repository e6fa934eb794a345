//! `day4.proxmox_token/NAME`: the add-on's API token exists, its secret is kept, and with it one may do what is needed.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::proxmox::{Error, TokenRow, UserRow};
use crate::steps::addons::access::{self, Access};
use crate::steps::addons::grants;
use crate::steps::cluster::part;
use crate::steps::removal::removed;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub const KIND: &str = "day4.proxmox_token";
const BAND: Band = Band::new(5, 30);

pub struct ProxmoxToken {
    outline: Outline,
    access: Access,
}

pub fn step(access: Access) -> ProxmoxToken {
    let Access { name, user, token, .. } = access;
    let title = format!("token {} works and its secret is kept", access.token_id());
    let by_hand =
        format!("pveum user token add {user} {token} --privsep 0\npveum user token permissions {user} {token}");
    let outline = outlines::change(StepId::of(KIND, name), 4, title, BAND, by_hand)
        .after([StepId::of(super::proxmox_user::KIND, name)]);
    ProxmoxToken { outline, access }
}

impl ProxmoxToken {
    /// The token as Proxmox lists it; none while its user is not there. Of a user that is not there Proxmox VE answers every
    /// question about tokens with a bare 403, whoever asks, so the users are asked for first.
    async fn listed(&self, site: &Reading, users: &Answer<Vec<UserRow>>) -> Result<Option<Answer<TokenRow>>, Failure> {
        if !users.value.iter().any(|u| u.userid == self.access.user) {
            return Ok(None);
        }
        match site.proxmox.tokens(self.access.user).await {
            Ok(tokens) => {
                let Some(row) = tokens.value.iter().find(|t| t.tokenid == self.access.token).cloned() else {
                    return Ok(None);
                };
                let shown = json!({"tokenid": row.tokenid, "comment": row.comment, "privsep": row.privsep});
                Ok(Some(part(&tokens, "the row of this token", [shown]).map(|()| row)))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failures::proxmox(&e, &format!("read the tokens of {}", self.access.user))),
        }
    }

    /// The reason why the token is not this run's own; `None` when it is.
    fn strange(&self, cx: &dyn Context, site: &Reading, row: &TokenRow) -> Option<&'static str> {
        match (site.is_ours(row.comment.as_deref()), access::is_made(cx, KIND, self.access.user)) {
            (false, _) => Some("does not carry this run's mark in its comment"),
            (true, false) => Some("carries this run's mark, but the run's journal does not know that it made it"),
            (true, true) => None,
        }
    }

    fn foreign(&self, why: &str) -> Failure {
        let Access { user, token, .. } = self.access;
        Failure::refused(
            format!("token {} exists and {why}", self.access.token_id()),
            format!(
                "look whose it is (pveum user token list {user}); if nobody needs it: pveum user token remove {user} {token}"
            ),
        )
    }

    fn doing(&self) -> String {
        format!("ask as {} what it may do", self.access.token_id())
    }

    /// The token's rights on each of these paths; `None` when Proxmox does not take the kept secret.
    async fn permissions(&self, site: &Reading, paths: &BTreeSet<&str>) -> Result<Option<Rights>, Failure> {
        let reader = self.access.reader(site)?;
        let mut all = Rights::new();
        for path in paths {
            match reader.permissions_on(path).await {
                Ok(answer) => drop(all.insert((*path).to_string(), answer)),
                Err(Error::Unauthorized { .. }) => return Ok(None),
                Err(e) => return Err(failures::proxmox(&e, &self.doing())),
            }
        }
        Ok(Some(all))
    }
}

/// The token's rights, by path.
type Rights = BTreeMap<String, Answer<BTreeMap<String, bool>>>;
/// Above everything that an add-on works with: what its token may do there reaches strangers' objects.
const ABOVE: [&str; 4] = ["/", "/vms", "/storage", "/nodes"];

/// The rights that the token lacks: `VM.Audit on /vms/1001`.
fn lacks(needed: &BTreeMap<String, BTreeSet<&'static str>>, rights: &Rights) -> Vec<String> {
    let of_path = |(path, wanted): (&String, &BTreeSet<&'static str>)| {
        let has = rights.get(path).map(|answer| &answer.value);
        let missing = wanted.iter().copied().filter(|p| !has.is_some_and(|has| has.contains_key(*p)));
        let missing: Vec<&str> = missing.collect();
        (!missing.is_empty()).then(|| format!("{} on {path}", missing.join(" ")))
    };
    needed.iter().filter_map(of_path).collect()
}

/// The rights above its own objects that it does not need: somebody gave them to the user.
fn more(needed: &BTreeMap<String, BTreeSet<&'static str>>, rights: &Rights) -> Vec<String> {
    let of_path = |path: &&str| {
        let has = &rights.get(*path)?.value;
        let wanted = needed.get(*path);
        let much: Vec<&str> = has
            .iter()
            // An entry of ours on the path itself ends there, and does nothing for other kinds of objects.
            .filter(|(privilege, below)| **below && !wanted.is_some_and(|w| w.contains(privilege.as_str())))
            .map(|(privilege, _)| privilege.as_str())
            .collect();
        // The needed privileges differ between versions by one of the guest agent.
        let much: Vec<&str> = much.into_iter().filter(|p| wanted.is_none() || !is_of_agent(p)).collect();
        (!much.is_empty()).then(|| format!("{} on {path}", much.join(" ")))
    };
    ABOVE.iter().filter_map(of_path).collect()
}

fn is_of_agent(privilege: &str) -> bool {
    privilege == "VM.Monitor" || privilege.starts_with("VM.GuestAgent.")
}

#[async_trait]
impl Step<Installation> for ProxmoxToken {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let id = self.access.token_id();
        let Some(listed) = self.listed(site, &access::users(site).await?).await? else {
            return Ok(Observed::Absent(format!("there is no token {id}")));
        };
        if let Some(why) = self.strange(cx, site, &listed.value) {
            return Ok(Observed::Conflict(self.foreign(why)));
        }
        if listed.value.privsep {
            return Ok(Observed::Absent(format!("token {id} is separated from its user's rights")));
        }
        let path = self.access.secret_path(site);
        if !path.exists() {
            return Ok(Observed::Absent(format!("the secret of token {id} was never kept in {}", path.display())));
        }
        let wanted = grants::of(site, &self.access).await?;
        let needed = grants::needed(&self.access, &wanted);
        let paths: BTreeSet<&str> = needed.keys().map(String::as_str).chain(ABOVE).collect();
        let Some(rights) = self.permissions(site, &paths).await? else {
            return Ok(Observed::Absent(format!("the kept secret is not that of token {id}")));
        };
        let lacks = lacks(&needed, &rights);
        if !lacks.is_empty() {
            return Err(Failure::refused(
                format!("token {id} lacks {}", lacks.join(", ")),
                format!(
                    "see what it has (pveum user token permissions {} {}) and who took it away",
                    self.access.user, self.access.token
                ),
            ));
        }
        let now = cx.clock().now();
        let mut summary = format!("token {id} is taken and has what it needs on {} objects", needed.len());
        match more(&needed, &rights) {
            much if much.is_empty() => summary.push_str(", and nothing on the whole site"),
            much => summary.push_str(&format!("; deviation: somebody gave it more: {}", much.join(", "))),
        }
        let mut proof = Proof::new(summary, Evidence::of("Proxmox", now, &listed));
        for answer in rights.values() {
            proof = proof.and(Evidence::of(format!("Proxmox as {id}"), now, answer));
        }
        Ok(Observed::Satisfied(proof))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Access { user, token, .. } = self.access;
        let id = self.access.token_id();
        if let Some(listed) = self.listed(site, &access::users(site).await?).await? {
            if let Some(why) = self.strange(cx, site, &listed.value) {
                return Err(self.foreign(why));
            }
            // Its secret was told once and is lost: only a new token has one again.
            match change.proxmox.delete_token(user, token).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(e) => return Err(failures::proxmox(&e, &format!("delete token {id}"))),
            }
        }
        let made = change.proxmox.create_token(user, token, &site.mark, false).await;
        let (full_id, secret) = made.map_err(|e| failures::proxmox(&e, &format!("create token {id}")))?;
        change.keep_secret(&self.access.secret_name(), &secret)?;
        if full_id != id {
            return Err(Failure::defect(format!("Proxmox calls the new token {full_id} and not {id}")));
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
impl Removal<Installation> for ProxmoxToken {
    fn title(&self) -> String {
        format!("revoke token {}", self.access.token_id())
    }

    fn by_hand(&self) -> String {
        format!("pveum user token remove {} {}", self.access.user, self.access.token)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let id = self.access.token_id();
        let now = cx.clock().now();
        let users = access::users_to_remove(cx, site, super::proxmox_user::KIND).await?;
        if let Some(listed) = self.listed(site, &users).await? {
            let Some(why) = self.strange(cx, site, &listed.value) else {
                return Ok(Observed::Absent(format!("token {id} is there")));
            };
            let summary = format!("token {id} is not this run's: left alone");
            let proof = Proof::new(summary, Evidence::of("Proxmox", now, &listed));
            return Ok(Observed::Satisfied(proof.leaving([Left::new(format!("token {id}"), why)])));
        }
        let known = users.value.iter().any(|u| u.userid == self.access.user);
        let ids = part(&users, "the user ids", users.value.iter().map(|u| json!(u.userid)));
        let why = if known { "its user has no such token" } else { "its user does not exist" };
        let summary = format!("there is no token {id}: {why}");
        Ok(Observed::Satisfied(Proof::new(summary, Evidence::of("Proxmox", now, &ids))))
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Observed::Absent(_) = self.gone(cx, site).await? else { return Ok(()) };
        let deleted = change.proxmox.delete_token(self.access.user, self.access.token).await;
        removed(deleted, &format!("revoke token {}", self.access.token_id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::addons::access::{CAPMOX, CSI};
    use crate::steps::day0::tests::plan;

    fn rights(all: &[(&str, &[(&str, bool)])]) -> Rights {
        let one = |(path, has): &(&str, &[(&str, bool)])| {
            let has = has.iter().map(|(p, below)| ((*p).to_string(), *below)).collect();
            ((*path).to_string(), Answer::new("", "", "", has))
        };
        all.iter().map(one).collect()
    }

    /// issue 10 A5
    #[test]
    fn a_token_must_have_its_privileges_on_each_of_its_objects() {
        let needed = grants::needed(&CSI, &grants::of_plan(&plan(), &CSI));
        let mut has: Rights = needed
            .iter()
            .map(|(path, all)| {
                let all = all.iter().map(|p| ((*p).to_string(), false)).collect();
                (path.clone(), Answer::new("", "", "", all))
            })
            .collect();
        assert!(lacks(&needed, &has).is_empty());
        has.get_mut("/vms/1002").unwrap().value.remove("VM.Audit");
        assert_eq!(lacks(&needed, &has), ["VM.Audit on /vms/1002"]);
    }

    #[test]
    fn what_it_may_do_on_the_whole_site_is_told() {
        let needed = grants::needed(&CSI, &grants::of_plan(&plan(), &CSI));
        let all = rights(&[("/", &[("VM.PowerMgmt", true)]), ("/vms", &[("VM.PowerMgmt", true)]), ("/storage", &[])]);
        assert_eq!(more(&needed, &all), ["VM.PowerMgmt on /", "VM.PowerMgmt on /vms"]);
        let needed = grants::needed(&CAPMOX, &grants::of_plan(&plan(), &CAPMOX));
        let all = rights(&[
            ("/", &[("Sys.Audit", false), ("VM.Audit", false)]),
            ("/vms", &[("VM.PowerMgmt", true), ("VM.Monitor", true)]),
        ]);
        assert!(more(&needed, &all).is_empty(), "what the plan without a pool needs is no surprise");
    }
}
