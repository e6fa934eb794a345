//! `teardown.residue`: a last look over the whole site finds nothing of the run; copies of its mark are named.
use super::orphans::{Marked, marked, named};
use crate::base::day::Day;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::proxmox::UserRow;
use crate::steps::addons::access;
use crate::steps::cluster::part;
use crate::steps::day4::proxmox_user;
use crate::steps::site::{Installation, Reading};
use crate::steps::{neighbours, outlines, owner};
use async_trait::async_trait;
use serde_json::json;

pub const KIND: &str = "teardown.residue";
const BAND: Band = Band::new(10, 60);

/// Proxmox VE shows a volume to who may configure the VM that it names, and rights on a pool end with its members.
const UNSEEN: &str = "a token of one resource pool is shown no disks of VMs that are gone: `pvesm list STORAGE` on a node shows them all";

pub struct Residue {
    outline: Outline,
}

pub fn step(after: Vec<StepId>) -> Residue {
    let title = "nothing of this run is in Proxmox VE any more";
    let by_hand = "grep -l cozyup-run= /etc/pve/nodes/*/qemu-server/*.conf /etc/pve/user.cfg";
    Residue { outline: outlines::check_on(StepId::new(KIND), Day::Teardown, title, BAND, by_hand).after(after) }
}

#[async_trait]
impl Check<Installation> for Residue {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let marked = marked(cx, site).await?;
        let unread = marked.remark();
        let Marked { all, own, copies, .. } = marked;
        let users = access::users_to_remove(cx, site, proxmox_user::KIND).await?;
        let (user, others): (Vec<&UserRow>, Vec<&UserRow>) = users
            .value
            .iter()
            .filter(|u| site.is_ours(u.comment.as_deref()))
            .partition(|u| access::is_made(cx, proxmox_user::KIND, &u.userid));
        if !own.is_empty() || !user.is_empty() {
            let left = user.iter().map(|u| format!("user {}", u.userid)).chain((!own.is_empty()).then(|| named(&own)));
            return Ok(Observed::Conflict(Failure::person(
                format!("something of this run is still there: {}", left.collect::<Vec<_>>().join(", ")),
                "look whether another cozyup works on the same run and stop it; else remove it yourself \
                 (pveum user delete USER, qm destroy VMID)",
            )));
        }
        let left = copies.iter().map(|(row, why)| owner::left(row, why)).chain(others.iter().map(|u| {
            Left::new(format!("user {}", u.userid), "carries this run's mark, but the run's journal knows no such user")
        }));
        let left: Vec<Left> = left.collect();
        let now = cx.clock().now();
        let guests = part(&all, "VMIDs and names", all.value.iter().map(|r| json!([r.vmid, r.name])));
        let comments = part(&users, "ids and comments", users.value.iter().map(|u| json!([u.userid, u.comment])));
        let summary =
            format!("{} guests and {} users are left, none of them this run's own", all.value.len(), users.value.len());
        let proof = Proof::new(summary, Evidence::of("Proxmox", now, &guests)).leaving(left);
        let proof = proof.and(Evidence::of("Proxmox", now, &comments));
        // The copies are told by name already.
        let among = neighbours::around(&site.plan).and_then(|range| {
            let told = |id: Vmid| copies.iter().any(|(row, _)| row.vmid == id);
            neighbours::remark(&range, &neighbours::unknown_in(&range, &all.value, told))
        });
        let unseen = site.plan.site.pool.as_ref().map(|_| UNSEEN.to_string());
        Ok(Observed::Satisfied(among.iter().chain(&unseen).chain(&unread).fold(proof, Proof::mind)))
    }
}
