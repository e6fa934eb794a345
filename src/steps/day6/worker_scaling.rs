//! `day6.worker_scaling`: the MachineDeployment is scaled to nothing: the nodes are drained and gone, and Proxmox VE has no VM of
//! them any more.
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{foreign, get, is_ours, number, part, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::workers::removed::{delete_lost_nodes, scale_to_nothing};
use crate::steps::workers::{Group, OF_DAY_6, machines, nodes};
use crate::steps::{cluster_api, failures, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

pub const KIND: &str = "day6.worker_scaling";
const BAND: Band = Band::new(180, 900);

const OF: &Group = &OF_DAY_6;

pub struct WorkerScaling {
    outline: Outline,
}

pub fn step(plan: &Plan) -> WorkerScaling {
    let title = format!("{} workers are drained, removed and gone", plan.workers());
    let by_hand = format!(
        "kubectl scale -n {} machinedeployment.cluster.x-k8s.io {} --replicas=0\n{}",
        OF.namespace,
        OF.name,
        OF.by_hand()
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
        let (reader, namespace, name) = (site.kubernetes()?, OF.namespace, OF.name);
        let found = get(&reader, &Kind::MACHINE_DEPLOYMENT, Some(namespace), name).await?;
        if let Some(deployment) = &found {
            if !is_ours(site, &deployment.value) {
                let failure = foreign(&Kind::MACHINE_DEPLOYMENT, Some(namespace), name, &deployment.value);
                return Ok(Observed::Conflict(failure));
            }
            let wanted = number(&deployment.value, "/spec/replicas").unwrap_or(1);
            if wanted != 0 {
                return Ok(Observed::Absent(format!(
                    "MachineDeployment {namespace}/{name} asks for {wanted} machines"
                )));
            }
        }
        let wait = |seen| Ok(Observed::Underway(Wait::new("no worker is left in either system", seen, BAND)));
        let (answers, machines) = machines(site, OF).await?;
        if let Some(machine) = machines.first() {
            return wait(machine.told());
        }
        let (shown, nodes) = nodes(site, OF).await?;
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
        let events = reader.list(&Kind::EVENT, Some(namespace), None).await;
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
        scale_to_nothing(site, change, OF).await?;
        delete_lost_nodes(site, change, OF).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::worker_removal::KIND)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}
