//! The volume behind a claim, as each system has it: the cluster's own objects, the storage and the VMs of Proxmox VE, and
//! LINSTOR's objects.
use super::cluster::{get, number, part, seen, text};
use super::site::Reading;
use super::{failures, objects};
use crate::base::answer::Answer;
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::made::Thing;
use crate::engine::proof::Evidence;
use crate::engine::step::Context;
use crate::kubernetes::{Error, Kind, Reader};
use crate::plan::model::{NodePlan, Plan};
use crate::proxmox::{Disk, VmConfig, Volume};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// StorageClass of the Proxmox CSI driver; every other class of a run is LINSTOR's.
pub const PROXMOX: &str = "proxmox";
/// The class whose volumes LINSTOR keeps on one node, and serves to that node alone.
pub const LOCAL: &str = "local";
/// The class whose volumes LINSTOR keeps on several nodes.
pub const REPLICATED: &str = "replicated";
/// Flags of LINSTOR's `Resource.java`: one without data, and one that goes.
const WITHOUT_DATA: i64 = 1 << 2 | 1 << 1;

/// Copies of a `replicated` volume: three, or as many as there are nodes, since more would stay pending for ever.
pub fn copies(plan: &Plan) -> u8 {
    u8::try_from(plan.nodes.len().min(3)).unwrap_or(3)
}

/// Two nodes on one Proxmox node, or the first two: a volume of a storage of one Proxmox node can be moved only between such.
pub fn pair<'a>(plan: &'a Plan, class: &str) -> Option<(&'a NodePlan, &'a NodePlan)> {
    let with = |same: bool| {
        plan.nodes.iter().enumerate().find_map(|(at, from)| {
            let others = plan.nodes.iter().skip(at + 1);
            others.into_iter().find(|to| !same || to.host == from.host).map(|to| (from, to))
        })
    };
    with(true).or_else(|| with(false).filter(|_| class != PROXMOX))
}

/// The two nodes between which day 7 moves a volume of the class; a `local` one stays where it is.
pub fn route<'a>(plan: &'a Plan, class: &str) -> Option<(&'a NodePlan, &'a NodePlan)> {
    if class == LOCAL { None } else { pair(plan, class) }
}

/// The node whose pod writes to the volume first; `None` in a plan without nodes.
pub fn first_node<'a>(plan: &'a Plan, class: &str) -> Option<&'a NodePlan> {
    pair(plan, class).map(|(from, _)| from).or_else(|| plan.nodes.first())
}

/// Name of the claim and of the pod that writes to it.
pub fn claim(class: &str) -> String {
    format!("volume-{class}")
}

/// Name of the pod that reads it on another node.
pub fn mover(class: &str) -> String {
    format!("moved-{class}")
}

/// `2Gi`
pub fn quantity(bytes: u64) -> String {
    format!("{}Gi", bytes >> 30)
}

/// A claim of a test, without its name.
pub fn request(site: &Reading, class: &str, bytes: u64) -> Value {
    json!({"metadata": {"labels": objects::labels(site)}, "spec": spec(class, bytes)})
}

/// The spec of such a claim.
pub fn spec(class: &str, bytes: u64) -> Value {
    json!({
        "storageClassName": class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": quantity(bytes)}},
    })
}

/// Kind of the volumes of a namespace of tests, as the journal keeps them.
pub fn kind_in(namespace: &str) -> String {
    format!("volume of {namespace}")
}

/// A claim with its volume.
pub struct Bound {
    pub claim: Answer<Value>,
    pub volume: Answer<Value>,
}

impl Bound {
    /// `pvc-UID`; the name of the volume in every system ends so.
    pub fn name(&self) -> &str {
        text(&self.volume.value, "/metadata/name")
    }

    /// The volume as the journal keeps it.
    pub fn thing(&self, namespace: &str) -> Thing {
        Thing::new(&kind_in(namespace), self.name(), None)
    }

    pub fn evidence(&self, cx: &dyn Context) -> [Evidence; 2] {
        [seen(cx, &self.claim), seen(cx, &self.volume)]
    }
}

/// # Errors
/// When the cluster can't be asked, or the claim has no volume.
pub async fn bound(site: &Reading, namespace: &str, claim: &str) -> Result<Bound, Failure> {
    let reader = site.kubernetes()?;
    let gone = |what: &str| Failure::person(format!("{what} of {claim} is gone"), "run again: the test is made anew");
    let found = get(&reader, &Kind::PERSISTENT_VOLUME_CLAIM, Some(namespace), claim).await?;
    let found = found.ok_or_else(|| gone("the claim"))?;
    let name = text(&found.value, "/spec/volumeName").to_string();
    let volume = get(&reader, &Kind::PERSISTENT_VOLUME, None, &name).await?.ok_or_else(|| gone("the volume"))?;
    Ok(Bound { claim: found, volume })
}

/// A volume on the storage of the CSI driver.
pub struct OnStorage {
    pub host: String,
    pub volume: Volume,
    pub evidence: Evidence,
}

/// The Proxmox nodes that carry machines of the plan, each once.
pub fn hosts(plan: &Plan) -> BTreeSet<&str> {
    plan.nodes.iter().map(|node| node.host.as_str()).collect()
}

/// The volumes of these names on the storage of the CSI driver, and what each Proxmox node answered.
///
/// # Errors
/// When Proxmox VE can't be asked.
pub async fn on_storage(
    cx: &dyn Context,
    site: &Reading,
    names: &[String],
) -> Result<(Vec<OnStorage>, Vec<Evidence>), Failure> {
    let storage = &site.plan.integration.csi.storage;
    let (mut found, mut asked) = (Vec::new(), Vec::new());
    for host in hosts(&site.plan) {
        let content = site.proxmox.storage_content(host, storage, "images").await;
        let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {storage} on {host}")))?;
        let ours = || content.value.iter().filter(|v| names.iter().any(|name| v.volid.contains(name)));
        let rows = ours().map(|v| json!({"volid": v.volid, "size": v.size}));
        let evidence = Evidence::of(
            "Proxmox",
            cx.clock().now(),
            &part(&content, &format!("volumes of the tests on {host}"), rows),
        );
        asked.push(evidence.clone());
        let row = |v: &Volume| OnStorage { host: host.to_string(), volume: v.clone(), evidence: evidence.clone() };
        found.extend(ours().map(row));
    }
    Ok((found, asked))
}

/// The configuration of a machine's VM, the part about its SCSI slots.
pub struct Slots {
    pub vmid: Vmid,
    pub config: Answer<VmConfig>,
}

impl Slots {
    /// The slot with the volume in it.
    pub fn holding(&self, name: &str) -> Option<(&str, Disk)> {
        self.config.value.drives().find(|(_, drive)| drive.volid.contains(name))
    }

    pub fn evidence(&self, cx: &dyn Context) -> Evidence {
        let drives = self.config.value.drives().map(|(slot, drive)| json!([slot, drive.volid, drive.size_bytes]));
        let uuid = self.config.value.smbios_uuid();
        let rows = [json!({"smbios uuid": uuid})].into_iter().chain(drives);
        Evidence::of("Proxmox", cx.clock().now(), &part(&self.config, "its SMBIOS uuid and drives", rows))
    }
}

/// # Errors
/// When Proxmox VE can't be asked.
pub async fn slots(site: &Reading, node: &NodePlan) -> Result<Slots, Failure> {
    let doing = format!("read the disks of vm {}", node.vmid);
    let config = site.proxmox.vm_config(&node.host, node.vmid).await.map_err(|e| failures::proxmox(&e, &doing))?;
    Ok(Slots { vmid: node.vmid, config })
}

/// LINSTOR's replicas of a volume: the nodes that hold its data, in capitals as LINSTOR keeps names.
pub struct Replicas {
    pub nodes: BTreeSet<String>,
    pub shown: Answer<()>,
}

impl Replicas {
    pub fn told(&self) -> String {
        self.nodes.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>().join(", ")
    }
}

fn of_linstor(e: &Error) -> Failure {
    match e {
        Error::NotFound => Failure::person(
            "LINSTOR's own objects (resources.internal.linstor.linbit.com, version v1-19-1) are not in this cluster",
            "this LINSTOR keeps them elsewhere or in another version: leave the LINSTOR classes out of tests.volumes, or set \
             tests.storage: false",
        ),
        e => failures::kubernetes(e, "read LINSTOR's objects"),
    }
}

/// # Errors
/// When LINSTOR's objects can't be read.
pub async fn replicas(site: &Reading, name: &str) -> Result<Replicas, Failure> {
    let all = site.kubernetes()?.list(&Kind::LINSTOR_RESOURCE, None, None).await.map_err(|e| of_linstor(&e))?;
    let rows: Vec<&Value> = all.value.iter().filter(|row| is_replica(row, name)).collect();
    let shown = part(&all, &format!("those of {name}"), rows.iter().map(|row| json!(row.pointer("/spec"))));
    let nodes = rows.iter().filter(|row| has_data(row)).map(|row| text(row, "/spec/node_name").to_string()).collect();
    Ok(Replicas { nodes, shown })
}

/// The volumes of which LINSTOR has the data on this node and on no other, by their names in the cluster.
///
/// # Errors
/// When LINSTOR's objects can't be read.
pub async fn alone_on(site: &Reading, node: &str) -> Result<BTreeSet<String>, Failure> {
    let all = site.kubernetes()?.list(&Kind::LINSTOR_RESOURCE, None, None).await.map_err(|e| of_linstor(&e))?;
    Ok(alone(&all.value, node))
}

/// The volumes of which LINSTOR has data on this node, and those of them of which it has none elsewhere, by their names in
/// the cluster; none where there is no LINSTOR.
///
/// # Errors
/// When LINSTOR's objects can't be read.
pub async fn data_on(site: &Reading, node: &str) -> Result<(BTreeSet<String>, BTreeSet<String>), Failure> {
    let all = match site.kubernetes()?.list(&Kind::LINSTOR_RESOURCE, None, None).await {
        Ok(all) => all.value,
        Err(Error::NotFound) => Vec::new(),
        Err(e) => return Err(of_linstor(&e)),
    };
    let here = all.iter().filter(|row| has_data(row) && text(row, "/spec/node_name").eq_ignore_ascii_case(node));
    Ok((here.map(|row| text(row, "/spec/resource_name").to_lowercase()).collect(), alone(&all, node)))
}

fn alone(rows: &[Value], node: &str) -> BTreeSet<String> {
    let with_data = || rows.iter().filter(|row| text(row, "/spec/snapshot_name").is_empty() && has_data(row));
    let name = |row: &Value| text(row, "/spec/resource_name").to_lowercase();
    let is_here = |row: &&Value| text(row, "/spec/node_name").eq_ignore_ascii_case(node);
    let elsewhere: BTreeSet<String> = with_data().filter(|row| !is_here(row)).map(name).collect();
    with_data().filter(is_here).map(name).filter(|name| !elsewhere.contains(name)).collect()
}

fn is_of(row: &Value, name: &str) -> bool {
    text(row, "/spec/resource_name").eq_ignore_ascii_case(name)
}

/// Of the volume itself and not of a snapshot.
fn is_replica(row: &Value, name: &str) -> bool {
    is_of(row, name) && text(row, "/spec/snapshot_name").is_empty()
}

fn has_data(row: &Value) -> bool {
    number(row, "/spec/resource_flags").unwrap_or_default() & WITHOUT_DATA == 0
}

/// Size of the volume in LINSTOR, in bytes; `None` while LINSTOR has none of this name.
///
/// # Errors
/// When LINSTOR's objects can't be read.
pub async fn size_in_linstor(site: &Reading, name: &str) -> Result<(Option<u64>, Answer<()>), Failure> {
    let all = site.kubernetes()?.list(&Kind::LINSTOR_VOLUME_DEFINITION, None, None).await;
    let all = all.map_err(|e| of_linstor(&e))?;
    let row = all.value.iter().find(|row| is_replica(row, name));
    let shown = part(&all, &format!("that of {name}"), row.map(|row| json!(row.pointer("/spec"))));
    let size = row.and_then(|row| number(row, "/spec/vlm_size")).and_then(|kib| u64::try_from(kib).ok());
    Ok((size.map(|kib| kib << 10), shown))
}

/// What is left of the tests' volumes in any system, each by its name, and the answers that say so.
///
/// # Errors
/// When a system can't be asked.
pub async fn left(
    cx: &dyn Context,
    site: &Reading,
    namespace: &str,
    names: &[String],
) -> Result<(Vec<String>, Vec<Evidence>), Failure> {
    let reader = site.kubernetes()?;
    let (mut left, mut readings) = in_the_cluster(cx, &reader, namespace, names).await?;
    if !names.is_empty() && site.plan.integration.csi.enabled {
        let (found, asked) = on_storage(cx, site, names).await?;
        left.extend(found.iter().map(|on| format!("volume {} on {}", on.volume.volid, on.host)));
        readings.extend(asked);
    }
    Ok((left, readings))
}

/// Names of the volumes that claims of the namespace have.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn of_namespace(site: &Reading, namespace: &str) -> Result<Vec<String>, Failure> {
    let all = site.kubernetes()?.list(&Kind::PERSISTENT_VOLUME, None, None).await;
    let all = all.map_err(|e| failures::kubernetes(&e, "list the volumes"))?;
    let ours = all.value.iter().filter(|v| text(v, "/spec/claimRef/namespace") == namespace);
    Ok(ours.map(|v| text(v, "/metadata/name").to_string()).collect())
}

/// One kind of object that may be left, and how to tell that it is of the tests.
type Rule<'a> = (Kind, &'a str, &'a (dyn Fn(&Value) -> bool + Sync));

async fn in_the_cluster(
    cx: &dyn Context,
    reader: &Reader,
    namespace: &str,
    names: &[String],
) -> Result<(Vec<String>, Vec<Evidence>), Failure> {
    let known = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let volume = |v: &Value| text(v, "/spec/claimRef/namespace") == namespace || known(text(v, "/metadata/name"));
    let attachment = |a: &Value| known(text(a, "/spec/source/persistentVolumeName"));
    let content = |c: &Value| text(c, "/spec/volumeSnapshotRef/namespace") == namespace;
    let resource = |r: &Value| known(text(r, "/spec/resource_name"));
    let rules: [Rule<'_>; 4] = [
        (Kind::PERSISTENT_VOLUME, "/metadata/name", &volume),
        (Kind::VOLUME_ATTACHMENT, "/spec/source/persistentVolumeName", &attachment),
        (Kind::VOLUME_SNAPSHOT_CONTENT, "/metadata/name", &content),
        (Kind::LINSTOR_RESOURCE, "/spec/resource_name", &resource),
    ];
    let (mut left, mut readings) = (Vec::new(), Vec::new());
    for (kind, name, is_left) in rules {
        let all = match reader.list(&kind, None, None).await {
            Ok(all) => all,
            // Nothing can be left of a kind that is not there.
            Err(Error::NotFound) => continue,
            Err(e) => return Err(failures::kubernetes(&e, &format!("list what is left of {}", kind.resource()))),
        };
        let rows: Vec<&Value> = all.value.iter().filter(|object| is_left(object)).collect();
        left.extend(rows.iter().map(|row| {
            let node = text(row, "/spec/node_name");
            let on = if node.is_empty() { String::new() } else { format!(" on {}", node.to_lowercase()) };
            format!("{} {}{on}", kind.kind, text(row, name))
        }));
        let shown = rows.iter().map(|row| json!(text(row, name)));
        readings.push(seen(cx, &part(&all, "those of the tests", shown)));
    }
    Ok((left, readings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_counted_by_its_data_and_not_by_its_name_alone() {
        let row = |snapshot: &str, flags: u64| json!({"spec": {"node_name": "CP1", "resource_name": "PVC-A", "snapshot_name": snapshot, "resource_flags": flags}});
        assert!(is_replica(&row("", 0), "pvc-a") && !is_replica(&row("SNAPSHOT-B", 0), "pvc-a"));
        assert!(!is_replica(&row("", 0), "pvc-b"));
        // Diskless, and the node that breaks a tie (260 and 388), and one that is being deleted.
        assert!(
            has_data(&row("", 0)) && !has_data(&row("", 260)) && !has_data(&row("", 388)) && !has_data(&row("", 2))
        );
    }

    #[test]
    fn a_volume_is_alone_on_a_node_when_no_other_one_has_its_data() {
        let row = |node: &str, name: &str, snapshot: &str, flags: u64| json!({"spec": {"node_name": node, "resource_name": name, "snapshot_name": snapshot, "resource_flags": flags}});
        let rows = [
            row("CP1", "PVC-A", "", 0),
            row("CP2", "PVC-A", "", 260),
            row("CP2", "PVC-A", "SNAP", 0),
            row("CP1", "PVC-B", "", 0),
            row("CP2", "PVC-B", "", 0),
            row("CP2", "PVC-C", "", 0),
        ];
        assert_eq!(alone(&rows, "cp1"), BTreeSet::from(["pvc-a".to_string()]));
        assert_eq!(alone(&rows, "cp2"), BTreeSet::from(["pvc-c".to_string()]));
    }

    #[test]
    fn a_proxmox_volume_moves_only_between_machines_of_one_proxmox_node() {
        let mut plan = crate::steps::day0::tests::plan();
        let (from, to) = pair(&plan, PROXMOX).unwrap();
        assert!(from.host == to.host && from.name != to.name);
        for (at, node) in plan.nodes.iter_mut().enumerate() {
            node.host = format!("pve{at}");
        }
        assert!(pair(&plan, PROXMOX).is_none() && pair(&plan, REPLICATED).is_some());
    }
}
