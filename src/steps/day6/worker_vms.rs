//! `day6.worker_vms`: the workers' VMs are counted in Proxmox VE: each as it was asked for, made by capmox, and no other.
use crate::base::text::size;
use crate::base::vmid::Vmid;
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::steps::addons::access::CAPMOX;
use crate::steps::cluster::{proven, seen};
use crate::steps::made_vm::{self, Asked, Seen};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{cluster_api, outlines, workers};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day6.worker_vms";
const BAND: Band = Band::new(10, 120);

pub struct WorkerVms {
    outline: Outline,
    count: usize,
}

pub fn step(plan: &Plan) -> WorkerVms {
    let range = cluster_api::range(plan).map(|range| range.to_string()).unwrap_or_default();
    let count = plan.workers();
    let title = format!("Proxmox VE shows {count} VMs in {range}, made by capmox");
    let by_hand = "qm list\nqm config VMID\npvesh get /nodes/NODE/tasks --vmid VMID";
    let outline = outlines::check(StepId::new(KIND), 6, title, BAND, by_hand)
        .after([StepId::new(super::workers::KIND)])
        .momentary();
    WorkerVms { outline, count: count as usize }
}

#[async_trait]
impl Step<Installation> for WorkerVms {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let tests = &site.plan.tests;
        let (answers, machines) = workers::machines(site).await?;
        let (all, guests) = cluster_api::guests(site).await?;
        let now = cx.clock().now();
        let (mut readings, mut counted) = (vec![Evidence::of("Proxmox", now, &all)], Vec::new());
        for machine in &machines {
            let Progress::Made(made) = &machine.progress else { continue };
            let row = made_vm::row(&guests, made)?;
            let (cores, memory_mib) = (tests.worker_cores, tests.worker_memory_mib);
            let asked = Asked { name: machine.name.clone(), cores, memory_mib };
            let Seen { config, cdrom, tasks } = made_vm::see(site, made, &asked, row).await?;
            // capmox takes it out when the machine has become a node.
            if cdrom.is_none() && machine.node.is_none() {
                return Ok(Observed::Underway(made_vm::wait_for_cdrom(BAND)));
            }
            readings.push(Evidence::of("Proxmox", now, &config));
            readings.push(Evidence::of("Proxmox", now, &tasks));
            readings.extend(cdrom.iter().map(|content| Evidence::of("Proxmox", now, content)));
            counted.push(made.vmid);
        }
        if counted.len() != self.count {
            return Err(Failure::retryable(
                format!("Cluster API has {} of {} workers", counted.len(), self.count),
                "cozyup looks again; day6.workers makes them anew",
            ));
        }
        if let Some(stray) = guests.iter().find(|row| !counted.contains(&row.vmid)) {
            return Err(cluster_api::orphan(stray, counted.first().copied()));
        }
        readings.extend(answers.iter().map(|answer| seen(cx, answer)));
        let numbers: Vec<String> = counted.iter().map(Vmid::to_string).collect();
        let summary = format!(
            "{} VMs ({}) run with {} cores and {} each, made by {}",
            counted.len(),
            numbers.join(", "),
            tests.worker_cores,
            size(tests.worker_memory_mib << 20),
            CAPMOX.user
        );
        proven(summary, readings)
    }

    async fn act(&self, _cx: &dyn Context, _site: &Reading, _change: &Changing) -> Result<(), Failure> {
        Err(outlines::nothing_to_do(&self.outline))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}
