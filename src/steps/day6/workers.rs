//! `day6.workers`: Cluster API is given a MachineDeployment and all that it needs, and says that its VMs are there.
use crate::cozystack::cluster_api::{Made, Progress};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, Standing, difference, get, seen, standing};
use crate::steps::cluster_api::{self, thing};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::workers::{self, Machine, NAMESPACE};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "day6.workers";
/// capmox clones in full, one after the other where the storage is slow.
const BAND: Band = Band::new(240, 1200);

pub struct WorkersStep {
    outline: Outline,
    count: u32,
}

pub fn step(plan: &Plan) -> WorkersStep {
    let count = plan.workers();
    let title = format!("Cluster API makes {count} workers");
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, workers::by_hand())
        .after([StepId::new(super::worker_namespace::KIND)])
        .momentary();
    WorkersStep { outline, count }
}

/// Those that have a VM, or what the step says while not all have one.
///
/// # Errors
/// What capmox can't do by itself.
fn made(count: u32, machines: &[Machine]) -> Result<Result<Vec<Made>, Wait>, Failure> {
    for machine in machines {
        let anew =
            format!("delete the machine (kubectl delete -n {NAMESPACE} machine.cluster.x-k8s.io {})", machine.name);
        if let Some(failure) = cluster_api::halted(&machine.progress, &anew) {
            return Err(Failure { what: format!("{}: {}", machine.name, failure.what), ..failure });
        }
    }
    let of = |m: &Machine| if let Progress::Made(made) = &m.progress { Some(made.clone()) } else { None };
    let found: Vec<Made> = machines.iter().filter_map(of).collect();
    if found.len() == count as usize && machines.len() == found.len() {
        return Ok(Ok(found));
    }
    let late = machines.iter().find(|m| of(m).is_none());
    let seen = match late {
        Some(machine) => machine.told(),
        None => format!("{} machines of {count}", machines.len()),
    };
    let wait = Wait::new(format!("Cluster API says that {count} VMs are there"), seen, BAND);
    Ok(Err(wait.with_progress(found.len() as u64, count.into(), "VMs")))
}

#[async_trait]
impl Step<Installation> for WorkersStep {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let set = workers::set(site)?;
        let mut objects = set.objects(site.label(), &workers::keys(site)?);
        objects.push(set.deployment(site.label(), self.count));
        let deployment = match standing(site, &objects).await? {
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Absent(what) => return cluster_api::absent(cx, site, KIND, what).await,
            Standing::Applied(mut applied) => applied.pop(),
        };
        let control_plane = get(&site.kubernetes()?, &Kind::KAMAJI_CONTROL_PLANE, Some(NAMESPACE), &set.name).await?;
        let wanted = json!({"status": set.control_plane_status()});
        let (Some(deployment), Some(control_plane)) = (deployment, control_plane) else {
            return Ok(Observed::Absent("the control plane of the workers is gone".into()));
        };
        if let Some(path) = difference(&wanted, &control_plane.value) {
            return Ok(Observed::Absent(format!("KamajiControlPlane {NAMESPACE}/{} differs at {path}", set.name)));
        }
        let (answers, machines) = workers::machines(site).await?;
        let made = match made(self.count, &machines)? {
            Ok(made) => made,
            Err(wait) => return Ok(Observed::Underway(wait)),
        };
        let names: Vec<String> = made.iter().map(|m| format!("vm {} ({})", m.vmid, m.address)).collect();
        let summary = format!("Cluster API says: {} workers, {}", made.len(), names.join(", "));
        let proof = Proof::new(summary, seen(cx, &deployment)).and(seen(cx, &control_plane));
        let proof = answers.iter().fold(proof, |proof, answer| proof.and(seen(cx, answer)));
        Ok(Observed::Satisfied(made.iter().map(thing).fold(proof, Proof::owning)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let set = workers::set(site)?;
        cluster::apply(change, &set.objects(site.label(), &workers::keys(site)?)).await?;
        let (kind, status) = (Kind::KAMAJI_CONTROL_PLANE, set.control_plane_status());
        let written = change.kubernetes()?.patch_status(&kind, Some(NAMESPACE), &set.name, &status).await;
        written.map_err(|e| failures::kubernetes(&e, "write the status of the workers' control plane"))?;
        cluster::apply(change, &[set.deployment(site.label(), self.count)]).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::worker_removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::PROXMOX_MACHINE, Some(NAMESPACE), None, Duration::from_secs(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::vmid::Vmid;

    fn machine(name: &str, progress: Progress) -> Machine {
        let phase = "Provisioning".to_string();
        Machine { name: name.into(), phase, node: None, provider_id: String::new(), progress, drain: None }
    }

    fn vm(vmid: Vmid) -> Progress {
        Progress::Made(Made { vmid, uuid: format!("u-{vmid}"), node: "pve".into(), address: "10.0.0.181".into() })
    }

    #[test]
    fn one_vm_of_two_is_not_enough_and_the_late_one_is_named() {
        let machines = [machine("a", vm(Vmid::of(9500))), machine("b", Progress::WaitsForAddress)];
        let wait = made(2, &machines).unwrap().unwrap_err();
        assert!(wait.seen.contains("b: waits for an address"), "{wait:?}");
        let both = [machine("a", vm(Vmid::of(9500))), machine("b", vm(Vmid::of(9501)))];
        assert_eq!(made(2, &both).unwrap().unwrap().len(), 2);
        // One too many is no success either.
        assert!(made(1, &both).unwrap().is_err());
    }

    #[test]
    fn a_machine_that_capmox_gave_up_is_named_with_the_command_that_makes_it_anew() {
        let gone = Progress::Failed { reason: "InsufficientResources".into(), message: "No vmid".into() };
        let failure = made(2, &[machine("a", vm(Vmid::of(9500))), machine("b", gone)]).unwrap_err();
        assert!(failure.what.starts_with("b: ") && failure.next.contains("machine.cluster.x-k8s.io b"), "{failure:?}");
    }
}
