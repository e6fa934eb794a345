//! `day0.storages`: the storages that the plan names are there, take what is to be put on them, and have room for it.
use super::{Check, hosts, of_proxmox, proof};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::failures;
use crate::steps::image::image_file::{self, Stored};
use crate::steps::site::Reading;
use crate::steps::storages::Judge;
use crate::steps::vm::guests;
use std::collections::{BTreeMap, BTreeSet};

pub const KIND: &str = "day0.storages";

pub fn step(plan: &Plan) -> Check {
    let named = disk_storages(plan).into_iter().collect::<Vec<_>>().join(", ");
    let title = format!("storages {} and {named} take the image and the disks", plan.image.storage);
    Check::new(KIND, title, "pvesm status\ncat /etc/pve/storage.cfg", |cx, site| Box::pin(look(cx, site))).of_hosts()
}

fn disk_storages(plan: &Plan) -> BTreeSet<String> {
    plan.templates().into_iter().map(|template| template.storage).collect()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let plan = &site.plan;
    let guests = guests::read(cx, site).await?;
    let (mut readings, mut rows) = (Vec::new(), BTreeMap::new());
    let configs = site.proxmox.storage_configs().await;
    let configs = configs.map_err(|e| failures::proxmox(&e, "read how the storages are set up"))?;
    for host in hosts(plan) {
        let storages = site.proxmox.storages(host).await;
        let storages = storages.map_err(|e| failures::proxmox(&e, &format!("list the storages of {host}")))?;
        readings.push(of_proxmox(cx, &storages));
        let mut found = storages.value;
        let templates = plan.templates().into_iter().filter(|template| template.host == host);
        let named = templates.map(|template| template.image_storage);
        for name in named.chain([plan.storage_on(host).to_string()]) {
            // Not in the list: it holds other contents, is disabled, or is not there. Asked by its name, it says which.
            if !found.iter().any(|row| row.storage == name)
                && let Ok(row) = site.proxmox.storage(host, &name).await
            {
                found.push(row.value);
            }
        }
        rows.insert(host.to_string(), found);
    }
    readings.push(of_proxmox(cx, &configs));
    let thick = configs.value.iter().filter(|c| c.is_thick()).map(|c| c.storage.clone()).collect();
    let mut judge = Judge::new(plan, &rows, thick);
    for at in judge.images() {
        let stored = image_file::stored(site, &at).await.map_err(|e| failures::proxmox(&e, "look for the image"))?;
        judge.image(&at, !matches!(stored.value, Stored::Whole(..)));
    }
    judge.disks(&guests);
    judge.volumes();
    judge.cdroms();
    if let Some(failure) = judge.failure() {
        return Err(failure);
    }
    let disks = disk_storages(plan).into_iter().collect::<Vec<_>>().join(", ");
    let summary = format!("{} takes the image, {disks} the disks of {} machines", plan.image.storage, plan.nodes.len());
    proof(&summary, &judge.remarks, readings)
}
