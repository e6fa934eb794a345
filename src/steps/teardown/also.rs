//! `teardown.also`: the VMs that a person named beside what the journal knows carry the run's mark, so that a slip of the
//! finger names nobody's VM.
use crate::base::day::Day;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::proxmox::Error;
use crate::steps::cluster::part;
use crate::steps::site::{Installation, Reading};
use crate::steps::{claim, failures, outlines, owner};
use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeSet;

pub const KIND: &str = "teardown.also";
const BAND: Band = Band::new(5, 60);
const DOING: &str = "look at the VMs named with --also";

pub struct Also {
    outline: Outline,
}

pub fn step(also: &BTreeSet<Vmid>) -> Also {
    let ids = also.iter().map(Vmid::to_string).collect::<Vec<_>>();
    let title = format!("VMs named with --also carry this run's mark: {}", ids.join(", "));
    let by_hand = ids.iter().map(|id| format!("qm config {id} | grep description")).collect::<Vec<_>>().join("\n");
    Also { outline: outlines::check_on(StepId::new(KIND), Day::Teardown, title, BAND, by_hand) }
}

#[async_trait]
impl Check<Installation> for Also {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let all = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, DOING))?;
        let named = || all.value.iter().filter(|r| site.also.contains(&r.vmid));
        let mut others = Vec::new();
        for row in named() {
            let whose = match site.vm_config(&row.node, row.vmid).await {
                _ if row.kind != "qemu" => "is no virtual machine".to_string(),
                Ok(config) if site.is_ours(config.value.description()) => continue,
                Ok(config) => claim::whose(config.value.description()),
                // Gone since the list was made.
                Err(Error::NotFound { .. }) => continue,
                Err(Error::Forbidden { .. }) => "can't be read with this token".to_string(),
                Err(e) => return Err(failures::proxmox(&e, DOING)),
            };
            others.push(format!("{} {whose}", owner::named(row)));
        }
        for vmid in site.also.iter().filter(|id| !named().any(|r| r.vmid == **id)) {
            // One that went in an earlier teardown is named in vain and does no harm; one that is hidden may be anybody's.
            if !site.proxmox.vmid_free(*vmid).await.map_err(|e| failures::proxmox(&e, DOING))?.value {
                others.push(format!("VMID {vmid} is of a guest that the token does not see"));
            }
        }
        if !others.is_empty() {
            return Ok(Observed::Conflict(Failure::refused(
                format!("--also can name only what carries this run's mark: {}", others.join("; ")),
                "leave that VMID out; if nobody needs that guest, remove it yourself",
            )));
        }
        let rows = part(&all, "the VMs named with --also", named().map(|r| json!([r.vmid, r.name, r.node])));
        let evidence = Evidence::of("Proxmox", cx.clock().now(), &rows);
        let summary =
            format!("{} of {} VMs named with --also are there, with the mark", named().count(), site.also.len());
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }
}
