//! `teardown.nothing_left`: a last look over the whole site finds the run's mark nowhere.
use super::strays::{marked, named};
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::TEARDOWN;
use crate::steps::cluster::part;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use serde_json::json;

pub const KIND: &str = "teardown.nothing_left";
const BAND: Band = Band::new(10, 60);

pub struct NothingLeft {
    outline: Outline,
}

pub fn step(after: Vec<StepId>) -> NothingLeft {
    let title = "nothing in Proxmox VE carries this run's mark any more";
    let by_hand = "grep -l cozyup-run= /etc/pve/nodes/*/qemu-server/*.conf /etc/pve/user.cfg";
    NothingLeft { outline: outlines::check(StepId::new(KIND), TEARDOWN, title, BAND, by_hand).after(after) }
}

#[async_trait]
impl Step<Installation> for NothingLeft {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (all, ours) = marked(site).await?;
        let users = site.proxmox.users().await.map_err(|e| failures::proxmox(&e, "read the users"))?;
        let user = users.value.iter().find(|u| site.is_ours(u.comment.as_deref()));
        if !ours.is_empty() || user.is_some() {
            let left =
                user.map(|u| format!("user {}", u.userid)).into_iter().chain((!ours.is_empty()).then(|| named(&ours)));
            return Ok(Observed::Conflict(Failure::person(
                format!("this run's mark is still there: {}", left.collect::<Vec<_>>().join(", ")),
                "look whether another cozyup works on the same run and stop it; else remove it yourself \
                 (pveum user delete USER, qm destroy VMID)",
            )));
        }
        let now = cx.clock().now();
        let guests = part(&all, "VMIDs and names", all.value.iter().map(|r| json!([r.vmid, r.name])));
        let comments = part(&users, "ids and comments", users.value.iter().map(|u| json!([u.userid, u.comment])));
        let summary = format!(
            "{} guests and {} users are left, none with the mark {}",
            all.value.len(),
            users.value.len(),
            site.mark
        );
        let proof = Proof::new(summary, Evidence::of("Proxmox", now, &guests));
        Ok(Observed::Satisfied(proof.and(Evidence::of("Proxmox", now, &comments))))
    }

    async fn act(&self, _cx: &dyn Context, _site: &Reading, _change: &Changing) -> Result<(), Failure> {
        Err(outlines::nothing_to_do(&self.outline))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }
}
