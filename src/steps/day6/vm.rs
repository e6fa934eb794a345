//! `day6.vm`: the VM that Cluster API speaks of is in Proxmox VE, as it was asked for, made by capmox, and alone.
use crate::base::text::size;
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::addons::access::CAPMOX;
use crate::steps::cluster::get;
use crate::steps::cluster_api::{self, NAMESPACE};
use crate::steps::made_vm::{self, Asked, Seen};
use crate::steps::outlines;
use crate::steps::site::{Installation, Reading};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day6.vm";
const BAND: Band = Band::new(10, 120);

pub struct Vm {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Vm {
    let range = cluster_api::range(plan).map(|range| range.to_string()).unwrap_or_default();
    let title = format!("Proxmox VE shows that VM, and no other in {range}");
    let by_hand = "qm list\nqm config VMID\npvesh get /nodes/NODE/tasks --vmid VMID";
    let outline = outlines::check(StepId::new(KIND), 6, title, BAND, by_hand)
        .after([StepId::new(super::machine::KIND)])
        .momentary();
    Vm { outline }
}

#[async_trait]
impl Check<Installation> for Vm {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = cluster_api::test(site)?.machine();
        let told = get(&site.kubernetes()?, &Kind::PROXMOX_MACHINE, Some(NAMESPACE), &name).await?;
        let Some(Progress::Made(made)) = told.as_ref().map(|told| Progress::of(&told.value)) else {
            return Err(Failure::retryable(
                format!("machine {name} of Cluster API is no longer there"),
                "cozyup looks again; day6.machine makes it anew",
            ));
        };
        let (all, guests) = cluster_api::guests(site).await?;
        let row = made_vm::row(&guests, &made)?;
        if let Some(stray) = guests.iter().find(|row| row.vmid != made.vmid) {
            return Err(cluster_api::orphan(stray, Some(made.vmid)));
        }
        let asked = Asked { name, cores: cluster_api::CORES, memory_mib: cluster_api::MEMORY_MIB };
        let Seen { config, cdrom, tasks } = made_vm::see(site, &made, &asked, row).await?;
        let Some(content) = cdrom else {
            return Ok(Observed::Underway(made_vm::wait_for_cdrom(BAND)));
        };
        let name = asked.name;
        let now = cx.clock().now();
        let summary = format!(
            "vm {} ({name}) runs on {} with {} core and {}, made by {}",
            made.vmid,
            row.node,
            cluster_api::CORES,
            size(cluster_api::MEMORY_MIB << 20),
            CAPMOX.user,
        );
        let proof = Proof::new(summary, Evidence::of("Proxmox", now, &config))
            .and(Evidence::of("Proxmox", now, &all))
            .and(Evidence::of("Proxmox", now, &content))
            .and(Evidence::of("Proxmox", now, &tasks));
        let proof = told.iter().fold(proof, |p, told| p.and(Evidence::of("Kubernetes", now, told)));
        Ok(Observed::Satisfied(proof))
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}
