//! `day6.worker_removal`: the Cluster of the workers is deleted, and with it the Secrets that held keys of the cluster: neither
//! object, node, VM, disk nor CD-ROM is left.
//!
//! Cluster API core neither drains nor deletes a node while its whole Cluster goes, so the workers are scaled to nothing first.
use super::worker_scaling::{delete_lost_nodes, scale_to_nothing};
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{foreign, get, is_ours, number, part, proven, seen, text};
use crate::steps::cluster_removal::{ClusterRemoval, Made, none_of};
use crate::steps::site::{Changing, Reading};
use crate::steps::workers::{self, NAME, NAMESPACE};
use crate::steps::{cluster_api, failures, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};

pub const KIND: &str = "day6.worker_removal";
const BAND: Band = Band::new(60, 900);
/// Kinds of which nothing may be left.
const KINDS: [Kind; 8] = [
    Kind::MACHINE_DEPLOYMENT,
    Kind::MACHINE_SET,
    Kind::MACHINE,
    Kind::PROXMOX_MACHINE,
    Kind::PROXMOX_MACHINE_TEMPLATE,
    Kind::PROXMOX_CLUSTER,
    Kind::KAMAJI_CONTROL_PLANE,
    Kind::IP_ADDRESS_CLAIM,
];

pub struct Workers;

pub fn step(_plan: &Plan) -> ClusterRemoval<Workers> {
    let title = "nothing of the workers is left, nor of the keys with which they joined";
    let outline = outlines::change(StepId::new(KIND), 6, title, BAND, Workers.by_hand())
        .after([StepId::new(super::worker_scaling::KIND)])
        .momentary()
        .cleanup();
    ClusterRemoval { outline, made: Workers }
}

/// What is there of the run's Cluster.
enum Left {
    Conflict(Failure),
    /// It goes, or what it made does.
    Going(String),
    /// The deployment asks for machines.
    Workers(i64),
    /// Nothing hangs on it any more.
    Alone(Answer<Value>),
    Nothing,
}

async fn left(site: &Reading) -> Result<Left, Failure> {
    let reader = site.kubernetes()?;
    let Some(cluster) = get(&reader, &Kind::CLUSTER, Some(NAMESPACE), NAME).await? else { return Ok(Left::Nothing) };
    if !is_ours(site, &cluster.value) {
        return Ok(Left::Conflict(foreign(&Kind::CLUSTER, Some(NAMESPACE), NAME, &cluster.value)));
    }
    let (_, machines) = workers::machines(site).await?;
    if !text(&cluster.value, "/metadata/deletionTimestamp").is_empty() {
        let of = machines.first().map_or(String::new(), |machine| format!("; {}", machine.told()));
        return Ok(Left::Going(format!("Cluster {NAME} is being deleted{of}")));
    }
    let deployment = get(&reader, &Kind::MACHINE_DEPLOYMENT, Some(NAMESPACE), NAME).await?;
    let wanted = deployment.as_ref().map_or(0, |d| number(&d.value, "/spec/replicas").unwrap_or(1));
    Ok(match machines.first() {
        _ if wanted > 0 => Left::Workers(wanted),
        Some(machine) => Left::Going(machine.told()),
        None => Left::Alone(cluster),
    })
}

/// The Secrets that the run laid into the namespace: names and uids, never what is in them.
async fn secrets(site: &Reading) -> Result<(Answer<()>, Vec<(String, String)>), Failure> {
    let all = site.kubernetes()?.list(&Kind::SECRET, Some(NAMESPACE), None).await;
    let all = all.map_err(|e| failures::kubernetes(&e, &format!("list the Secrets of {NAMESPACE}")))?;
    let ours = all.value.iter().filter(|s| is_ours(site, s));
    let own = |s: &Value| (text(s, "/metadata/name").to_string(), text(s, "/metadata/uid").to_string());
    let found: Vec<(String, String)> = ours.map(own).collect();
    Ok((part(&all, "Secrets of this run", found.iter().map(|(name, _)| json!(name))), found))
}

/// True when this run gave Cluster API its objects; before that it saw to it that the range was empty.
fn is_of_this_run(cx: &dyn Context) -> bool {
    cx.made().has(&StepId::new(super::workers::KIND))
}

#[async_trait]
impl Made for Workers {
    fn title(&self) -> &'static str {
        "drain and remove the workers that Cluster API made"
    }

    fn by_hand(&self) -> String {
        format!(
            "kubectl scale -n {NAMESPACE} machinedeployment.cluster.x-k8s.io {NAME} --replicas=0\nkubectl delete -n {NAMESPACE} \
             cluster.cluster.x-k8s.io {NAME}\nkubectl delete -n {NAMESPACE} secrets --all\nkubectl get nodes\nqm list"
        )
    }

    async fn look(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let wait =
            |seen: String| Ok(Observed::Underway(Wait::new("the workers and their objects are gone", seen, BAND)));
        match left(site).await? {
            Left::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Left::Going(seen) => return wait(seen),
            Left::Workers(count) => return Ok(Observed::Absent(format!("{count} workers are to be drained first"))),
            Left::Alone(_) => return Ok(Observed::Absent(format!("Cluster {NAME} is there"))),
            Left::Nothing => {}
        }
        let mut readings = match none_of(cx, site, NAMESPACE, &KINDS).await? {
            Ok(readings) => readings,
            Err(object) => return wait(format!("{object} is still there")),
        };
        let (shown, secrets) = secrets(site).await?;
        if let Some((name, _)) = secrets.first() {
            return Ok(Observed::Absent(format!("Secret {name} is there, which holds keys of the cluster")));
        }
        readings.push(seen(cx, &shown));
        let (shown, nodes) = workers::nodes(site).await?;
        if let Some(node) = nodes.first() {
            return Ok(Observed::Absent(format!("node {} is left, and no machine of Cluster API", node.name)));
        }
        readings.push(seen(cx, &shown));
        // Then what lies in the range, if anything, is of the VM that joins nothing, and goes by a step of its own.
        if !is_of_this_run(cx) {
            return proven("this run has given Cluster API no workers", readings);
        }
        cluster_api::nothing_left(cx, site, true, readings).await
    }

    async fn delete(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        match left(site).await? {
            Left::Conflict(failure) => return Err(failure),
            Left::Going(_) => return Ok(()),
            Left::Workers(_) => return scale_to_nothing(site, change).await,
            // No machine needs the keys any more.
            Left::Alone(cluster) => {
                delete_secrets(site, change).await?;
                let uid = text(&cluster.value, "/metadata/uid");
                let deleted = change.kubernetes()?.delete(&Kind::CLUSTER, Some(NAMESPACE), NAME, uid).await;
                return deleted.map_err(|e| failures::kubernetes(&e, &format!("delete Cluster {NAME}")));
            }
            Left::Nothing => {}
        }
        let (_, machines) = workers::machines(site).await?;
        if !machines.is_empty() {
            return Ok(());
        }
        delete_secrets(site, change).await?;
        if !is_of_this_run(cx) {
            return Ok(());
        }
        delete_lost_nodes(site, change).await?;
        cluster_api::delete_cdrom(cx, site, change, BAND).await
    }
}

async fn delete_secrets(site: &Reading, change: &Changing) -> Result<(), Failure> {
    let changer = change.kubernetes()?;
    for (name, uid) in secrets(site).await?.1 {
        let deleted = changer.delete(&Kind::SECRET, Some(NAMESPACE), &name, &uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete Secret {name}")))?;
    }
    Ok(())
}
