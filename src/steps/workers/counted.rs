//! The workers' VMs are counted in Proxmox VE: each as it was asked for, and no other.
use super::{Group, Machine, machines};
use crate::base::text::size;
use crate::base::vmid::Vmid;
use crate::cozystack::cluster_api::{Made, Progress};
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::proxmox::VmRow;
use crate::steps::addons::access::CAPMOX;
use crate::steps::cluster::{proven, seen};
use crate::steps::made_vm::{self, Asked, Seen};
use crate::steps::site::{Installation, Reading};
use crate::steps::{cluster_api, outlines};
use async_trait::async_trait;
use std::time::Duration;

const BAND: Band = Band::new(10, 120);

pub struct Counted {
    outline: Outline,
    group: &'static Group,
    count: usize,
}

impl Counted {
    /// As [`super::deployed::Deployed::of`].
    pub fn of(
        id: StepId,
        group: &'static Group,
        plan: &Plan,
        count: u32,
        more: impl FnOnce(Outline) -> Outline,
    ) -> Counted {
        let range = cluster_api::range(plan).map(|range| range.to_string()).unwrap_or_default();
        let title = format!("Proxmox VE shows {count} VMs in {range}, {}", Self::whose(group));
        let by_hand = "qm list\nqm config VMID\npvesh get /nodes/NODE/tasks --vmid VMID";
        let outline = more(outlines::check_on(id, group.day, title, BAND, by_hand));
        Counted { outline, group, count: count as usize }
    }

    /// The history of tasks and the CD-ROM show who made a new VM; both are gone after a while.
    fn whose(group: &Group) -> String {
        match group.stays() {
            true => "those of Cluster API".to_string(),
            false => format!("made by {}", CAPMOX.user),
        }
    }

    /// The readings that show the VM; `None` while its CD-ROM is on its way.
    async fn see(
        &self,
        cx: &dyn Context,
        site: &Reading,
        (made, machine, row): (&Made, &Machine, &VmRow),
    ) -> Result<Option<Vec<Evidence>>, Failure> {
        let (tests, now) = (&site.plan.tests, cx.clock().now());
        let (cores, memory_mib) = (tests.worker_cores, tests.worker_memory_mib);
        let asked = Asked { name: machine.name.clone(), cores, memory_mib };
        if self.group.stays() {
            let config = made_vm::config(site, made, &asked, row).await?;
            return Ok(Some(vec![Evidence::of("Proxmox", now, &config)]));
        }
        let Seen { config, cdrom, tasks } = made_vm::see(site, made, &asked, row).await?;
        // capmox takes it out when the machine has become a node.
        if cdrom.is_none() && machine.node.is_none() {
            return Ok(None);
        }
        let readings = [Evidence::of("Proxmox", now, &config), Evidence::of("Proxmox", now, &tasks)];
        Ok(Some(
            readings.into_iter().chain(cdrom.iter().map(|content| Evidence::of("Proxmox", now, content))).collect(),
        ))
    }
}

#[async_trait]
impl Check<Installation> for Counted {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let tests = &site.plan.tests;
        let (answers, machines) = machines(site, self.group).await?;
        let (all, guests) = cluster_api::guests(site).await?;
        let (mut readings, mut counted) = (vec![Evidence::of("Proxmox", cx.clock().now(), &all)], Vec::new());
        for machine in &machines {
            let Progress::Made(made) = &machine.progress else { continue };
            let row = made_vm::row(&guests, made)?;
            let Some(shown) = self.see(cx, site, (made, machine, row)).await? else {
                return Ok(Observed::Underway(made_vm::wait_for_cdrom(BAND)));
            };
            readings.extend(shown);
            counted.push(made.vmid);
        }
        if counted.len() != self.count {
            return Err(Failure::retryable(
                format!("Cluster API has {} of {} workers", counted.len(), self.count),
                format!("cozyup looks again; {} makes them anew", self.group.made_by),
            ));
        }
        if let Some(stray) = guests.iter().find(|row| !counted.contains(&row.vmid)) {
            return Err(cluster_api::orphan(stray, counted.first().copied()));
        }
        readings.extend(answers.iter().map(|answer| seen(cx, answer)));
        let numbers: Vec<String> = counted.iter().map(Vmid::to_string).collect();
        let summary = format!(
            "{} VMs ({}) run with {} cores and {} each, {}",
            counted.len(),
            numbers.join(", "),
            tests.worker_cores,
            size(tests.worker_memory_mib << 20),
            Self::whose(self.group)
        );
        proven(summary, readings)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}
