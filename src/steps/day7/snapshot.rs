//! `day7.snapshot/CLASS`: a snapshot of the volume is taken, a claim is filled from it, and a pod reads there what was written before.
//! The Proxmox CSI driver takes none, so its class has no such step.
use super::growth::GROWN;
use super::namespace::NAMESPACE;
use super::volume::word;
use crate::cozystack::addons::Object;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::{self, foreign, get, is_ours, ours, text};
use crate::steps::objects::{self, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines, volumes, warnings};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day7.snapshot";
const BAND: Band = Band::new(40, 300);
/// CozyStack's class for LINSTOR's driver.
const CLASS: &str = "linstor-snapshots";

pub struct Snapshot {
    outline: Outline,
    class: String,
    claim: String,
    name: String,
    /// A `local` volume can be restored only where the snapshot lies.
    node: NodePlan,
}

pub fn step(_plan: &Plan, class: &str, node: &NodePlan) -> Snapshot {
    let (claim, name) = (volumes::claim(class), format!("restored-{class}"));
    let by_hand = format!("kubectl -n {NAMESPACE} get volumesnapshots,pvc,pod\nkubectl -n {NAMESPACE} logs {name}");
    let title = format!("a snapshot of the volume of class {class} is taken and read back as a volume of its own");
    let outline = outlines::change(StepId::of(KIND, class), 7, title, BAND, by_hand)
        .after([StepId::of(super::growth::KIND, class)])
        .momentary();
    Snapshot { outline, class: class.to_string(), claim, name, node: node.clone() }
}

impl Snapshot {
    fn objects(&self, site: &Reading) -> [Object; 2] {
        let make = |kind: Kind, spec: Value| {
            ours(site.label(), kind, Some(NAMESPACE), &self.name, json!({"metadata": {}, "spec": spec}))
        };
        let source = json!({"persistentVolumeClaimName": self.claim});
        let from = json!({"apiGroup": Kind::VOLUME_SNAPSHOT.group, "kind": "VolumeSnapshot", "name": self.name});
        let mut claim = volumes::spec(&self.class, GROWN);
        if let Some(spec) = claim.as_object_mut() {
            spec.insert("dataSource".into(), from);
        }
        [
            make(Kind::VOLUME_SNAPSHOT, json!({"volumeSnapshotClassName": CLASS, "source": source})),
            make(Kind::PERSISTENT_VOLUME_CLAIM, claim),
        ]
    }

    /// The snapshot's own word while it is not ready.
    fn open(snapshot: &Value) -> Option<String> {
        if snapshot.pointer("/status/readyToUse") == Some(&json!(true)) {
            return None;
        }
        let why = text(snapshot, "/status/error/message");
        Some(if why.is_empty() { "it is being taken".to_string() } else { why.to_string() })
    }
}

#[async_trait]
impl Step<Installation> for Snapshot {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let kind = Kind::VOLUME_SNAPSHOT;
        let Some(snapshot) = get(&site.kubernetes()?, &kind, Some(NAMESPACE), &self.name).await? else {
            return Ok(Observed::Absent(format!("there is no snapshot {}", self.name)));
        };
        if !is_ours(site, &snapshot.value) {
            return Ok(Observed::Conflict(foreign(&kind, Some(NAMESPACE), &self.name, &snapshot.value)));
        }
        if let Some(seen) = Self::open(&snapshot.value) {
            let wait = Wait::new(format!("snapshot {} is ready", self.name), seen, BAND);
            return Ok(Observed::Underway(wait));
        }
        let (word, what) = (word(site, &self.class), format!("read what a snapshot of class {} holds", self.class));
        match objects::pod_state(cx, site, NAMESPACE, &self.name, &what).await? {
            PodState::Missing => Ok(Observed::Absent(format!("there is no pod {}", self.name))),
            PodState::Underway(wait) => {
                Ok(Observed::Underway(warnings::beside(site, NAMESPACE, &[&self.name], wait).await?))
            }
            PodState::Done { evidence, log } if log.lines().any(|line| line.trim() == word) => {
                let restored = volumes::bound(site, NAMESPACE, &self.name).await?;
                let source = volumes::bound(site, NAMESPACE, &self.claim).await?;
                if restored.name() == source.name() {
                    return Err(Failure::defect(format!(
                        "claim {} has the volume that it was restored from",
                        self.name
                    )));
                }
                let replicas = volumes::replicas(site, restored.name()).await?;
                let summary = format!(
                    "what was in {} is in {}, restored from snapshot {}, which LINSTOR keeps on {}",
                    source.name(),
                    restored.name(),
                    self.name,
                    replicas.told()
                );
                let proof = Proof::new(summary, cluster::seen(cx, &snapshot));
                let more = evidence.into_iter().chain(restored.evidence(cx));
                let proof = more.chain([cluster::seen(cx, &replicas.shown)]).fold(proof, Proof::and);
                Ok(Observed::Satisfied(proof.owning(restored.thing(NAMESPACE))))
            }
            PodState::Done { .. } => Err(Failure::person(
                format!("{what}: the restored volume does not hold `{word}`"),
                format!("kubectl -n {NAMESPACE} logs {}; delete the pod and the claim to try again", self.name),
            )),
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        for object in self.objects(site) {
            let found = get(&site.kubernetes()?, &object.kind, Some(NAMESPACE), &self.name).await?;
            if let Some(found) = found {
                if !is_ours(site, &found.value) {
                    return Err(foreign(&object.kind, Some(NAMESPACE), &self.name, &found.value));
                }
                continue;
            }
            cluster::apply(change, &[object]).await?;
        }
        let pod = objects::on_node(objects::job(site, "cat /data/proof", Some(&self.name)), &self.node.name);
        objects::apply(site, change, &Kind::POD, Some(NAMESPACE), &self.name, pod).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(NAMESPACE), Some(&self.name), Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_failed_says_why() {
        let with = |status: Value| Snapshot::open(&json!({"status": status}));
        assert_eq!(with(json!({"readyToUse": true})), None);
        assert_eq!(with(json!({"readyToUse": false})).as_deref(), Some("it is being taken"));
        let error = json!({"readyToUse": false, "error": {"message": "no room"}});
        assert_eq!(with(error).as_deref(), Some("no room"));
    }
}
