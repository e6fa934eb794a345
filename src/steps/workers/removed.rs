//! The Cluster of a group of workers is deleted, and with it the Secrets that held keys of the cluster: neither object, node, VM,
//! disk nor CD-ROM is left.
//!
//! Cluster API core neither drains nor deletes a node while its whole Cluster goes, so the workers are scaled to nothing first.
use super::{Group, delete_node, machines, nodes, set};
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{self, foreign, get, is_deleting, is_ours, number, part, proven, seen, text};
use crate::steps::cluster_removal::{Made, Remains, delete_unowned, remains};
use crate::steps::site::{Changing, Reading};
use crate::steps::{cluster_api, failures};
use async_trait::async_trait;
use serde_json::{Value, json};

pub const BAND: Band = Band::new(60, 900);
/// Kinds of which nothing may be left.
const OF_IT: [Kind; 8] = [
    Kind::MACHINE_DEPLOYMENT,
    Kind::MACHINE_SET,
    Kind::MACHINE,
    Kind::PROXMOX_MACHINE,
    Kind::PROXMOX_MACHINE_TEMPLATE,
    Kind::PROXMOX_CLUSTER,
    Kind::KAMAJI_CONTROL_PLANE,
    Kind::IP_ADDRESS_CLAIM,
];

/// The Cluster of this group.
pub struct Workers(pub &'static Group);

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

async fn left(site: &Reading, group: &Group) -> Result<Left, Failure> {
    let (reader, namespace, name) = (site.kubernetes()?, Some(group.namespace), group.name);
    let Some(cluster) = get(&reader, &Kind::CLUSTER, namespace, name).await? else { return Ok(Left::Nothing) };
    if !is_ours(site, &cluster.value) {
        return Ok(Left::Conflict(foreign(&Kind::CLUSTER, namespace, name, &cluster.value)));
    }
    let (_, machines) = machines(site, group).await?;
    if is_deleting(&cluster.value) {
        let of = machines.first().map_or(String::new(), |machine| format!("; {}", machine.told()));
        return Ok(Left::Going(format!("Cluster {name} is being deleted{of}")));
    }
    let deployment = get(&reader, &Kind::MACHINE_DEPLOYMENT, namespace, name).await?;
    let wanted = deployment.as_ref().map_or(0, |d| number(&d.value, "/spec/replicas").unwrap_or(1));
    Ok(match machines.first() {
        _ if wanted > 0 => Left::Workers(wanted),
        Some(machine) => Left::Going(machine.told()),
        None => Left::Alone(cluster),
    })
}

/// The Secrets that the run laid into the namespace: names and uids, never what is in them.
async fn secrets(site: &Reading, group: &Group) -> Result<(Answer<()>, Vec<(String, String)>), Failure> {
    let namespace = group.namespace;
    let all = site.kubernetes()?.list(&Kind::SECRET, Some(namespace), None).await;
    let all = all.map_err(|e| failures::kubernetes(&e, &format!("list the Secrets of {namespace}")))?;
    let ours = all.value.iter().filter(|s| is_ours(site, s));
    let own = |s: &Value| (text(s, "/metadata/name").to_string(), text(s, "/metadata/uid").to_string());
    let found: Vec<(String, String)> = ours.map(own).collect();
    Ok((part(&all, "Secrets of this run", found.iter().map(|(name, _)| json!(name))), found))
}

/// True when this run gave Cluster API its objects; before that it saw to it that the range was empty.
fn is_of_this_run(cx: &dyn Context, group: &Group) -> bool {
    cx.made().has(&StepId::new(group.made_by))
}

#[async_trait]
impl Made for Workers {
    fn title(&self) -> &'static str {
        self.0.going
    }

    fn by_hand(&self) -> String {
        let Group { namespace, name, .. } = self.0;
        format!(
            "kubectl scale -n {namespace} machinedeployment.cluster.x-k8s.io {name} --replicas=0\nkubectl delete -n {namespace} \
             cluster.cluster.x-k8s.io {name}\nkubectl delete -n {namespace} secrets --all\nkubectl get nodes\nqm list"
        )
    }

    async fn look(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let wait =
            |seen: String| Ok(Observed::Underway(Wait::new("the workers and their objects are gone", seen, BAND)));
        match left(site, self.0).await? {
            Left::Conflict(failure) => return Ok(Observed::Conflict(failure)),
            Left::Going(seen) => return wait(seen),
            Left::Workers(count) => return Ok(Observed::Absent(format!("{count} workers are to be drained first"))),
            Left::Alone(_) => return Ok(Observed::Absent(format!("Cluster {} is there", self.0.name))),
            Left::Nothing => {}
        }
        let mut readings = match remains(cx, site, self.0.namespace, &OF_IT).await? {
            Remains::Nothing(readings) => readings,
            Remains::Going(object) => return wait(format!("{object} is still there")),
            Remains::Unowned(object) => return Ok(Observed::Absent(format!("{object} is left without its Cluster"))),
        };
        let (shown, secrets) = secrets(site, self.0).await?;
        if let Some((name, _)) = secrets.first() {
            return Ok(Observed::Absent(format!("Secret {name} is there, which holds keys of the cluster")));
        }
        readings.push(seen(cx, &shown));
        let (shown, nodes) = nodes(site, self.0).await?;
        if let Some(node) = nodes.first() {
            return Ok(Observed::Absent(format!("node {} is left, and no machine of Cluster API", node.name)));
        }
        readings.push(seen(cx, &shown));
        // Then what lies in the range, if anything, is of the VM that joins nothing, and goes by a step of its own.
        if !is_of_this_run(cx, self.0) {
            return proven("this run has given Cluster API no workers", readings);
        }
        cluster_api::nothing_left(cx, site, true, readings).await
    }

    async fn delete(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        match left(site, self.0).await? {
            Left::Conflict(failure) => return Err(failure),
            Left::Going(_) => return Ok(()),
            Left::Workers(_) => return scale_to_nothing(site, change, self.0).await,
            // No machine needs the keys any more.
            Left::Alone(cluster) => {
                delete_secrets(site, change, self.0).await?;
                let (uid, Group { namespace, name, .. }) = (text(&cluster.value, "/metadata/uid"), self.0);
                let deleted = change.kubernetes()?.delete(&Kind::CLUSTER, Some(namespace), name, uid).await;
                return deleted.map_err(|e| failures::kubernetes(&e, &format!("delete Cluster {name}")));
            }
            Left::Nothing => {}
        }
        let (_, machines) = machines(site, self.0).await?;
        if !machines.is_empty() {
            return Ok(());
        }
        delete_unowned(site, change, self.0.namespace, &OF_IT).await?;
        delete_secrets(site, change, self.0).await?;
        if !is_of_this_run(cx, self.0) {
            return Ok(());
        }
        delete_lost_nodes(site, change, self.0).await?;
        cluster_api::delete_cdrom(cx, site, change, BAND).await
    }
}

async fn delete_secrets(site: &Reading, change: &Changing, group: &Group) -> Result<(), Failure> {
    let changer = change.kubernetes()?;
    for (name, uid) in secrets(site, group).await?.1 {
        let deleted = changer.delete(&Kind::SECRET, Some(group.namespace), &name, &uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete Secret {name}")))?;
    }
    Ok(())
}

/// Asks for no machine any more, where the run's own deployment asks for some.
///
/// # Errors
/// When it is somebody else's, or the cluster refuses.
pub async fn scale_to_nothing(site: &Reading, change: &Changing, group: &Group) -> Result<(), Failure> {
    let (kind, namespace, name) = (Kind::MACHINE_DEPLOYMENT, Some(group.namespace), group.name);
    match get(&site.kubernetes()?, &kind, namespace, name).await? {
        None => Ok(()),
        Some(found) if !is_ours(site, &found.value) => Err(foreign(&kind, namespace, name, &found.value)),
        Some(_) => cluster::apply(change, &[set(site, group)?.deployment(site.label(), 0)]).await,
    }
}

/// Deletes the nodes that stayed when somebody deleted the whole Cluster: they carry its label, no machine is theirs,
/// and the range has no VM any more.
///
/// # Errors
/// When the cluster refuses.
pub async fn delete_lost_nodes(site: &Reading, change: &Changing, group: &Group) -> Result<(), Failure> {
    let cluster = get(&site.kubernetes()?, &Kind::CLUSTER, Some(group.namespace), group.name).await?;
    let (_, machines) = machines(site, group).await?;
    let (_, guests) = cluster_api::guests(site).await?;
    if cluster.is_some() || !machines.is_empty() || !guests.is_empty() {
        return Ok(());
    }
    for node in nodes(site, group).await?.1 {
        delete_node(change, &node).await?;
    }
    Ok(())
}
