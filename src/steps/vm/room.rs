//! Room that disks will take which are not made yet.
use super::guests::Guests;
use crate::plan::choose::WRITTEN_EARLY;
use crate::plan::model::{Plan, Template};
use crate::steps::cluster_api;
use std::collections::BTreeMap;

const GIB: u64 = 1 << 30;

/// In bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// What the disks may grow to.
    pub whole: u64,
    /// What is written before anybody uses the cluster.
    pub early: u64,
}

/// A storage, and the host that it is asked on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub host: String,
    pub storage: String,
}

/// By host, or all of it on one host where the storage is shared. Machines that can't be cloned are left out.
pub fn room(plan: &Plan, guests: &Guests, is_shared: impl Fn(&Template) -> bool) -> BTreeMap<Place, Room> {
    let templates = plan.templates();
    let place = |template: &Template| {
        let same = |other: &&Template| is_shared(template) && is_shared(other) && other.storage == template.storage;
        let host = templates.iter().find(same).unwrap_or(template).host.clone();
        Place { host, storage: template.storage.clone() }
    };
    let mut all: BTreeMap<Place, Room> = BTreeMap::new();
    for node in &plan.nodes {
        let template = plan.template_of(node);
        if node.host != template.host && !is_shared(&template) {
            continue;
        }
        let config = guests.ours.get(&node.vmid);
        let has = |slot: &str| config.and_then(|c| c.disk(slot)).map_or(0, |d| d.size_bytes);
        let missing = (node.system_disk_gib * GIB).saturating_sub(has("scsi0"))
            + (node.data_disk_gib * GIB).saturating_sub(has("scsi1"));
        let room = all.entry(place(&template)).or_default();
        room.whole += missing;
        room.early += if missing > 0 { WRITTEN_EARLY } else { 0 };
    }
    let there = cluster_api::in_range(plan, &guests.all.value).len();
    let to_come = u64::from(plan.most_workers()).saturating_sub(there as u64);
    if to_come > 0 {
        let room = all.entry(place(&plan.first_template())).or_default();
        room.whole += to_come * plan.tests.worker_disk_gib * GIB;
        room.early += to_come * WRITTEN_EARLY;
    }
    all
}
