//! Cluster API is given a MachineDeployment and all that it needs, and says that its VMs are there.
use super::keys::{self, Access};
use super::{Group, Machine, machines, workers};
use crate::cozystack::addons::Keys;
use crate::cozystack::cluster_api::{Made, Progress};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{self, Standing, difference, get, is_ours, number, seen, standing};
use crate::steps::cluster_api::{self, thing};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, halted, outlines};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// capmox clones in full, one after the other where the storage is slow.
const BAND: Band = Band::new(240, 1200);

/// When a person asked for this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// For this session.
    Now,
    /// For an earlier one: if somebody else has scaled the deployment since, nobody has agreed to scale it back.
    Before,
}

pub struct Deployed {
    outline: Outline,
    group: &'static Group,
    count: u32,
    asked: Asked,
}

impl Deployed {
    /// `more` says what comes before the step, and of what its proof speaks.
    pub fn of(group: &'static Group, count: u32, asked: Asked, more: impl FnOnce(Outline) -> Outline) -> Deployed {
        let title = match group.stays() {
            true => format!("Cluster API keeps {}", workers(count)),
            false => format!("Cluster API makes {}", workers(count)),
        };
        let id = StepId::new(group.made_by);
        let outline = more(outlines::change_on(id, group.day, title, BAND, group.by_hand()));
        Deployed { outline, group, count, asked }
    }

    /// What stands in the way before anything is compared: the number that somebody else asked for meanwhile.
    async fn scaled(&self, site: &Reading) -> Result<Option<Failure>, Failure> {
        let Group { namespace, name, .. } = self.group;
        let found = get(&site.kubernetes()?, &Kind::MACHINE_DEPLOYMENT, Some(namespace), name).await?;
        let Some(found) = found.filter(|found| self.asked == Asked::Before && is_ours(site, &found.value)) else {
            return Ok(None);
        };
        let wanted = number(&found.value, "/spec/replicas").unwrap_or(1);
        Ok((wanted != i64::from(self.count)).then(|| scaled_by_another(self.group, wanted, self.count)))
    }

    /// Nothing is there, or not all: where Cluster API has nothing yet, the range has to be empty.
    async fn absent(&self, cx: &dyn Context, site: &Reading, what: String) -> Result<Observed, Failure> {
        let Group { namespace, name, made_by, .. } = self.group;
        let has_begun = cx.made().has(&StepId::new(made_by))
            && (!self.group.stays()
                || get(&site.kubernetes()?, &Kind::CLUSTER, Some(namespace), name).await?.is_some());
        cluster_api::absent(site, has_begun, what).await
    }
}

fn scaled_by_another(group: &Group, wanted: i64, count: u32) -> Failure {
    Failure::person(
        format!(
            "MachineDeployment {}/{} asks for {wanted} machines, and cozyup was last asked for {count}",
            group.namespace, group.name
        ),
        format!("say which number is right: cozyup workers set PLAN {wanted}, or cozyup workers set PLAN {count}"),
    )
}

fn told_until(until: Option<Timestamp>) -> String {
    until.map(|until| format!("; Cluster API's kubeconfig is valid until {}", until.strftime("%F"))).unwrap_or_default()
}

/// Not all have a VM yet: the wait, or what a person has to do first.
///
/// # Errors
/// When a person has to do something, or one of the systems can't be asked.
pub async fn late(site: &Reading, group: &Group, machines: &[Machine], mut wait: Wait) -> Result<Observed, Failure> {
    let waits = |machine: &Machine| machine.progress == Progress::WaitsForAddress;
    if machines.iter().any(waits)
        && let Some(failure) = halted::exhausted(site, group.namespace).await?
    {
        return Err(failure);
    }
    wait.seen = halted::beside_capmox(site, wait.seen).await?;
    Ok(Observed::Underway(wait))
}

/// Those that have a VM, or what the step says while not all have one.
///
/// # Errors
/// What capmox can't do by itself.
pub fn made(group: &Group, count: u32, machines: &[Machine]) -> Result<Result<Vec<Made>, Wait>, Failure> {
    for machine in machines {
        let anew = format!(
            "delete the machine (kubectl delete -n {} machine.cluster.x-k8s.io {})",
            group.namespace, machine.name
        );
        if let Some(failure) = halted::failure(&machine.progress, &anew) {
            return Err(Failure { what: format!("{}: {}", machine.name, failure.what), ..failure });
        }
    }
    let of = |m: &Machine| if let Progress::Made(made) = &m.progress { Some(made.clone()) } else { None };
    let found: Vec<Made> = machines.iter().filter_map(of).collect();
    if found.len() == count as usize && machines.len() == found.len() {
        return Ok(Ok(found));
    }
    let late = machines.iter().find(|m| of(m).is_none()).or_else(|| machines.iter().find(|m| m.phase == "Deleting"));
    let seen = match late {
        Some(machine) => machine.told(),
        None => format!("{} machines of {count}", machines.len()),
    };
    let wait = Wait::new(format!("Cluster API says that {count} VMs are there"), seen, BAND);
    Ok(Err(wait.with_progress(found.len() as u64, count.into(), "VMs")))
}

#[async_trait]
impl Step<Installation> for Deployed {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let set = super::set(site, self.group)?;
        if let Some(failure) = self.scaled(site).await? {
            return Ok(Observed::Conflict(failure));
        }
        let (kubeconfig, until) = match keys::access(cx, site, self.group, &set.kubeconfig_secret()).await? {
            Access::Run(kubeconfig) => (Some(kubeconfig), None),
            Access::Held(until) => (None, Some(until)),
            Access::Due(why) => return self.absent(cx, site, why).await,
            Access::Conflict(failure) => return Ok(Observed::Conflict(failure)),
        };
        let keys = Keys { kubeconfig, ..keys::to_join(site, self.group)? };
        let mut objects = set.objects(site.label(), &keys);
        objects.push(set.deployment(site.label(), self.count));
        let deployment = match standing(site, &objects).await? {
            Standing::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Standing::Absent(what) => return self.absent(cx, site, what).await,
            Standing::Applied(mut applied) => applied.pop(),
        };
        let (kind, namespace) = (Kind::KAMAJI_CONTROL_PLANE, self.group.namespace);
        let control_plane = get(&site.kubernetes()?, &kind, Some(namespace), &set.name).await?;
        let wanted = json!({"status": set.control_plane_status()});
        let (Some(deployment), Some(control_plane)) = (deployment, control_plane) else {
            return Ok(Observed::Absent("the control plane of the workers is gone".into()));
        };
        if let Some(path) = difference(&wanted, &control_plane.value) {
            return Ok(Observed::Absent(format!("KamajiControlPlane {namespace}/{} differs at {path}", set.name)));
        }
        let (answers, mut machines) = machines(site, self.group).await?;
        halted::look_closer(cx, site, machines.iter_mut().map(|m| &mut m.progress).collect()).await?;
        let made = match made(self.group, self.count, &machines)? {
            Ok(made) => made,
            Err(wait) => return late(site, self.group, &machines, wait).await,
        };
        let names: Vec<String> = made.iter().map(|m| format!("vm {} ({})", m.vmid, m.address)).collect();
        let summary = format!("Cluster API says: {}, {}{}", workers(self.count), names.join(", "), told_until(until));
        let proof = Proof::new(summary, seen(cx, &deployment)).and(seen(cx, &control_plane));
        let proof = answers.iter().fold(proof, |proof, answer| proof.and(seen(cx, answer)));
        Ok(Observed::Satisfied(made.iter().map(thing).fold(proof, Proof::owning)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let set = super::set(site, self.group)?;
        let kubeconfig = match keys::access(cx, site, self.group, &set.kubeconfig_secret()).await? {
            Access::Run(kubeconfig) => Some(kubeconfig),
            Access::Held(_) => None,
            Access::Due(_) => Some(keys::kubeconfig(cx, site)?),
            Access::Conflict(failure) => return Err(failure),
        };
        let keys = Keys { kubeconfig, ..keys::to_join(site, self.group)? };
        cluster::apply(change, &set.objects(site.label(), &keys)).await?;
        let (kind, status) = (Kind::KAMAJI_CONTROL_PLANE, set.control_plane_status());
        let written = change.kubernetes()?.patch_status(&kind, Some(self.group.namespace), &set.name, &status).await;
        written.map_err(|e| failures::kubernetes(&e, "write the status of the workers' control plane"))?;
        cluster::apply(change, &[set.deployment(site.label(), self.count)]).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(self.group.removed_by)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::PROXMOX_MACHINE, Some(self.group.namespace), None, Duration::from_secs(5))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::vmid::Vmid;
    use crate::steps::workers::{KEPT, OF_DAY_6};

    fn machine(name: &str, progress: Progress) -> Machine {
        let phase = "Provisioning".to_string();
        Machine {
            name: name.into(),
            phase,
            node: None,
            bootstrapped: false,
            provider_id: String::new(),
            progress,
            drain: None,
        }
    }

    fn vm(vmid: Vmid) -> Progress {
        Progress::Made(Made { vmid, uuid: format!("u-{vmid}"), node: "pve".into(), address: "10.0.0.181".into() })
    }

    #[test]
    fn one_vm_of_two_is_not_enough_and_the_late_one_is_named() {
        let machines = [machine("a", vm(Vmid::of(9500))), machine("b", Progress::WaitsForAddress)];
        let wait = made(&OF_DAY_6, 2, &machines).unwrap().unwrap_err();
        assert!(wait.seen.contains("b: waits for an address"), "{wait:?}");
        let both = [machine("a", vm(Vmid::of(9500))), machine("b", vm(Vmid::of(9501)))];
        assert_eq!(made(&OF_DAY_6, 2, &both).unwrap().unwrap().len(), 2);
        // One too many is no success either.
        assert!(made(&OF_DAY_6, 1, &both).unwrap().is_err());
    }

    #[test]
    fn a_machine_that_capmox_gave_up_is_named_with_the_command_that_makes_it_anew() {
        let gone = Progress::Failed { reason: "InsufficientResources".into(), message: "No vmid".into() };
        let failure = made(&OF_DAY_6, 2, &[machine("a", vm(Vmid::of(9500))), machine("b", gone)]).unwrap_err();
        assert!(failure.what.starts_with("b: ") && failure.next.contains("machine.cluster.x-k8s.io b"), "{failure:?}");
    }

    #[test]
    fn a_machine_that_goes_is_named_while_there_are_too_many() {
        let going =
            Machine { phase: "Deleting".into(), drain: Some("3 pods".into()), ..machine("b", vm(Vmid::of(9501))) };
        let wait = made(&KEPT, 1, &[machine("a", vm(Vmid::of(9500))), going]).unwrap().unwrap_err();
        assert_eq!(wait.seen, "b: its node is being drained (3 pods)");
    }

    #[test]
    fn a_number_that_somebody_else_asked_for_is_told_with_both_ways_out() {
        let failure = scaled_by_another(&KEPT, 5, 2);
        assert!(failure.next.contains("set PLAN 5") && failure.next.contains("set PLAN 2"), "{failure:?}");
    }
}
