//! `day9.workers`: Cluster API is given the tenant's machines, and says that their VMs are there.
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, Standing, seen, standing};
use crate::steps::cluster_api::{self, thing};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenant_cluster::{self, wanted};
use crate::steps::workers::deployed::{late, made};
use crate::steps::workers::{self, OF_A_TENANT, machines};
use crate::steps::{follow, halted, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day9.workers";
const BAND: Band = Band::new(240, 1200);

pub struct Workers {
    outline: Outline,
    count: u32,
}

pub fn step(plan: &Plan) -> Workers {
    let count = plan.tenant_workers();
    let template = plan.day_9().map(|vmid| vmid.to_string()).unwrap_or_default();
    let title = format!("Cluster API makes {} of the tenant from template {template}", workers::workers(count));
    let outline = outlines::change(StepId::new(KIND), 9, title, BAND, OF_A_TENANT.by_hand());
    Workers { outline: outline.after([StepId::new(super::control_plane::KIND)]).momentary(), count }
}

#[async_trait]
impl Step<Installation> for Workers {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Some(set) = wanted(site).await? else { return Err(tenant_cluster::gone()) };
        let mut applied = match standing(site, &set.machines(site.label(), self.count)).await? {
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            // Nothing may lie in the range before: whatever is there later on is counted.
            Standing::Absent(what) => return cluster_api::absent(site, cx.made().has(&self.outline.id), what).await,
            Standing::Applied(applied) => applied,
        };
        let Some(deployment) = applied.pop() else { return Err(Failure::defect("no machines are asked for")) };
        let (answers, mut machines) = machines(site, &OF_A_TENANT).await?;
        halted::look_closer(cx, site, machines.iter_mut().map(|m| &mut m.progress).collect()).await?;
        let made = match made(&OF_A_TENANT, self.count, &machines)? {
            Ok(made) => made,
            Err(wait) => return late(site, &OF_A_TENANT, &machines, wait).await,
        };
        let names: Vec<String> = made.iter().map(|m| format!("vm {} ({})", m.vmid, m.address)).collect();
        let summary = format!("Cluster API says: {}, {}", workers::workers(self.count), names.join(", "));
        let proof = Proof::new(summary, seen(cx, &deployment));
        let proof = answers.iter().fold(proof, |proof, answer| proof.and(seen(cx, answer)));
        Ok(Observed::Satisfied(made.iter().map(thing).fold(proof, Proof::owning)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(set) = wanted(site).await? else { return Err(tenant_cluster::gone()) };
        cluster::apply(change, &set.machines(site.label(), self.count)).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        let namespace = Some(OF_A_TENANT.namespace);
        follow::object(cx, site, &Kind::PROXMOX_MACHINE, namespace, None, Duration::from_secs(5)).await;
    }
}
