//! `day6.worker_scaling`: the MachineDeployment is scaled to nothing: the nodes are drained and gone, and Proxmox VE has no VM of
//! them any more.
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, foreign, get, is_ours, number, part, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::workers::{self, NAME, NAMESPACE};
use crate::steps::{cluster_api, failures, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

pub const KIND: &str = "day6.worker_scaling";
const BAND: Band = Band::new(180, 900);

pub struct WorkerScaling {
    outline: Outline,
}

pub fn step(plan: &Plan) -> WorkerScaling {
    let title = format!("{} workers are drained, removed and gone", plan.workers());
    let by_hand = format!(
        "kubectl scale -n {NAMESPACE} machinedeployment.cluster.x-k8s.io {NAME} --replicas=0\n{}",
        workers::by_hand()
    );
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, by_hand)
        .after([StepId::new(super::worker_pods::KIND)])
        .momentary()
        .cleanup();
    WorkerScaling { outline }
}

#[async_trait]
impl Step<Installation> for WorkerScaling {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let found = get(&reader, &Kind::MACHINE_DEPLOYMENT, Some(NAMESPACE), NAME).await?;
        if let Some(deployment) = &found {
            if !is_ours(site, &deployment.value) {
                let failure = foreign(&Kind::MACHINE_DEPLOYMENT, Some(NAMESPACE), NAME, &deployment.value);
                return Ok(Observed::Conflict(failure));
            }
            let wanted = number(&deployment.value, "/spec/replicas").unwrap_or(1);
            if wanted != 0 {
                return Ok(Observed::Absent(format!(
                    "MachineDeployment {NAMESPACE}/{NAME} asks for {wanted} machines"
                )));
            }
        }
        let wait = |seen| Ok(Observed::Underway(Wait::new("no worker is left in either system", seen, BAND)));
        let (answers, machines) = workers::machines(site).await?;
        if let Some(machine) = machines.first() {
            return wait(machine.told());
        }
        let (shown, nodes) = workers::nodes(site).await?;
        if let Some(node) = nodes.first() {
            if found.is_none() {
                return Ok(Observed::Absent(format!("node {} is left, and no machine of Cluster API", node.name)));
            }
            return wait(format!("{} is still a node of the cluster", node.name));
        }
        let (all, guests) = cluster_api::guests(site).await?;
        if let Some(row) = guests.first() {
            return Err(cluster_api::orphan(row, None));
        }
        let events = reader.list(&Kind::EVENT, Some(NAMESPACE), None).await;
        let events = events.map_err(|e| failures::kubernetes(&e, "list the events of the workers"))?;
        let drains = events.value.iter().filter(|e| text(e, "/reason") == "SuccessfulDrainNode");
        let drained: BTreeSet<&str> = drains.map(|e| text(e, "/involvedObject/name")).collect();
        let rows = drained.iter().map(|name| json!(["SuccessfulDrainNode", name]));
        let mut readings = vec![Evidence::of("Proxmox", cx.clock().now(), &all), seen(cx, &shown)];
        readings.extend(found.iter().map(|deployment| seen(cx, deployment)));
        readings.extend(answers.iter().map(|answer| seen(cx, answer)));
        readings.push(seen(cx, &part(&events, "nodes that Cluster API has drained", rows)));
        // Kubernetes forgets an event after an hour.
        let told = match drained.len() {
            0 => "no event of a drain is kept any more".to_string(),
            count => format!("{count} nodes were drained"),
        };
        proven(format!("{told}; no worker is left, neither node nor VM"), readings)
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        scale_to_nothing(site, change).await?;
        delete_lost_nodes(site, change).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::worker_removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}

/// Asks for no machine any more, where the run's own deployment asks for some.
///
/// # Errors
/// When it is somebody else's, or the cluster refuses.
pub async fn scale_to_nothing(site: &Reading, change: &Changing) -> Result<(), Failure> {
    let kind = Kind::MACHINE_DEPLOYMENT;
    match get(&site.kubernetes()?, &kind, Some(NAMESPACE), NAME).await? {
        None => Ok(()),
        Some(found) if !is_ours(site, &found.value) => Err(foreign(&kind, Some(NAMESPACE), NAME, &found.value)),
        Some(_) => cluster::apply(change, &[workers::set(site)?.deployment(site.label(), 0)]).await,
    }
}

/// Deletes the nodes that stayed when somebody deleted the whole Cluster: they carry the run's label, no machine is theirs,
/// and the range has no VM any more.
///
/// # Errors
/// When the cluster refuses.
pub async fn delete_lost_nodes(site: &Reading, change: &Changing) -> Result<(), Failure> {
    let cluster = get(&site.kubernetes()?, &Kind::CLUSTER, Some(NAMESPACE), NAME).await?;
    let (_, machines) = workers::machines(site).await?;
    let (_, guests) = cluster_api::guests(site).await?;
    if cluster.is_some() || !machines.is_empty() || !guests.is_empty() {
        return Ok(());
    }
    for node in workers::nodes(site).await?.1 {
        workers::delete_node(change, &node).await?;
    }
    Ok(())
}
