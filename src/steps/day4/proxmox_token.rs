//! `day4.proxmox_token/NAME`: the add-on's API token exists, its secret is kept, and with it one may do what is needed.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::proxmox::{Error, Permissions, Target, TokenRow, connect};
use crate::steps::addons::access::{self, Access};
use crate::steps::cluster::part;
use crate::steps::removal::removed;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::json;
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
    async fn listed(&self, site: &Reading) -> Result<Option<Answer<TokenRow>>, Failure> {
        if !access::users(site).await?.value.iter().any(|u| u.userid == self.access.user) {
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

    /// Why the token is not this run's own; `None` when it is.
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

    /// What the token says of itself; `None` when Proxmox does not take the kept secret.
    async fn permissions(&self, site: &Reading) -> Result<Option<Answer<Permissions>>, Failure> {
        let doing = format!("ask as {} what it may do", self.access.token_id());
        let target = Target {
            url: site.plan.site.url.to_string(),
            token_id: self.access.token_id(),
            secret: self.access.secret(site)?,
            trust: site.proxmox.trust().clone(),
        };
        let (reader, _) = connect(target).map_err(|e| failures::proxmox(&e, &doing))?;
        match reader.permissions().await {
            Ok(permissions) => Ok(Some(permissions)),
            Err(Error::Unauthorized { .. }) => Ok(None),
            Err(e) => Err(failures::proxmox(&e, &doing)),
        }
    }
}

/// The privileges that the token lacks on `/`.
fn lacks(permissions: &Permissions, needed: &'static [&'static str]) -> Vec<&'static str> {
    let has = permissions.on("/");
    needed.iter().copied().filter(|p| !has.contains_key(*p)).collect()
}

#[async_trait]
impl Step<Installation> for ProxmoxToken {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let id = self.access.token_id();
        let Some(listed) = self.listed(site).await? else {
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
        let Some(permissions) = self.permissions(site).await? else {
            return Ok(Observed::Absent(format!("the kept secret is not that of token {id}")));
        };
        let lacks = lacks(&permissions.value, self.access.needed());
        if !lacks.is_empty() {
            return Err(Failure::refused(
                format!("token {id} lacks {} on /", lacks.join(" ")),
                format!("see what it has: pveum user token permissions {} {}", self.access.user, self.access.token),
            ));
        }
        let now = cx.clock().now();
        let summary = format!("token {id} is taken and has all {} privileges on /", self.access.needed().len());
        let proof = Proof::new(summary, Evidence::of(format!("Proxmox as {id}"), now, &permissions));
        Ok(Observed::Satisfied(proof.and(Evidence::of("Proxmox", now, &listed))))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Access { user, token, .. } = self.access;
        let id = self.access.token_id();
        if let Some(listed) = self.listed(site).await? {
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
        if let Some(listed) = self.listed(site).await? {
            let Some(why) = self.strange(cx, site, &listed.value) else {
                return Ok(Observed::Absent(format!("token {id} is there")));
            };
            let summary = format!("token {id} is not this run's: left alone");
            let proof = Proof::new(summary, Evidence::of("Proxmox", now, &listed));
            return Ok(Observed::Satisfied(proof.leaving([Left::new(format!("token {id}"), why)])));
        }
        let users = access::users(site).await?;
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
    use crate::steps::addons::access::CSI;
    use std::collections::BTreeMap;

    #[test]
    fn a_token_must_have_every_privilege_at_the_root() {
        let granted = |privileges: &[&str]| {
            let all = privileges.iter().map(|p| (p.to_string(), true)).collect::<BTreeMap<_, _>>();
            Permissions(BTreeMap::from([("/".to_string(), all)]))
        };
        assert!(lacks(&granted(CSI.needed()), CSI.needed()).is_empty());
        assert_eq!(lacks(&granted(&CSI.needed()[1..]), CSI.needed()), ["VM.Audit"]);
    }
}
