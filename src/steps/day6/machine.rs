//! `day6.machine`: Cluster API is given the whole chain of objects for one VM, and says that the VM is there.
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, Standing, seen, standing, text};
use crate::steps::cluster_api::{self, NAMESPACE, words};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, halted, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day6.machine";
/// capmox clones in full, and looks every ten seconds at what is under way.
const BAND: Band = Band::new(180, 900);

pub struct Machine {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Machine {
    let title = "Cluster API makes a VM";
    let by_hand = format!(
        "kubectl get -n {NAMESPACE} clusters.cluster.x-k8s.io,machines.cluster.x-k8s.io,{}\nqm list",
        Kind::PROXMOX_MACHINE.resource()
    );
    let after = [super::namespace::KIND, super::lone_machines::KIND].map(StepId::new);
    Machine { outline: outlines::change(StepId::new(KIND), 6, title, BAND, by_hand).after(after).momentary() }
}

/// The observation of a machine that is not made yet.
///
/// # Errors
/// When a person has to do something first, or the cluster can't be asked.
async fn underway(cx: &dyn Context, site: &Reading, mut progress: Progress) -> Result<Observed, Failure> {
    halted::look_closer(cx, site, vec![&mut progress]).await?;
    let anew = format!("delete the Cluster (kubectl delete -n {NAMESPACE} cluster.cluster.x-k8s.io smoke)");
    if let Some(failure) = halted::failure(&progress, &anew) {
        return Err(failure);
    }
    if progress == Progress::WaitsForAddress
        && let Some(failure) = halted::exhausted(site, NAMESPACE).await?
    {
        return Err(failure);
    }
    let seen = halted::beside_capmox(site, words(&progress)).await?;
    Ok(Observed::Underway(Wait::new("Cluster API says that the VM is there", seen, BAND)))
}

#[async_trait]
impl Step<Installation> for Machine {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let applied = match standing(site, &cluster_api::all(site)?).await? {
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Applied(applied) => applied,
            Standing::Absent(what) => return cluster_api::absent(site, cx.made().has(&StepId::new(KIND)), what).await,
        };
        // In the order of the objects.
        let [_, _, cluster, vm, machine] = applied.as_slice() else {
            return Err(Failure::defect("Cluster API was given other objects than five"));
        };
        let phase = text(&machine.value, "/status/phase").to_string();
        let made = match Progress::of(&vm.value) {
            Progress::Made(made) => made,
            progress => return underway(cx, site, progress).await,
        };
        // `Running` would need a node, and this VM joins nothing.
        if phase != "Provisioned" {
            let seen = format!("the VM is vm {}, and the Machine is `{phase}`", made.vmid);
            return Ok(Observed::Underway(Wait::new("the Machine is Provisioned", seen, BAND)));
        }
        let summary = format!("Cluster API says: vm {} on {}, {}", made.vmid, made.node, made.address);
        let proof = Proof::new(summary, seen(cx, vm)).and(seen(cx, machine)).and(seen(cx, cluster));
        Ok(Observed::Satisfied(proof.owning(cluster_api::thing(&made))))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        cluster::apply(change, &cluster_api::all(site)?).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::PROXMOX_MACHINE, Some(NAMESPACE), None, Duration::from_secs(5)).await;
    }
}
