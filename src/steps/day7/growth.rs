//! `day7.growth/CLASS`: the claim asks for more while its pod runs, and has it: in the cluster, and in the system that keeps the volume.
use super::namespace::NAMESPACE;
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::{self, foreign, get, is_ours, proven, said, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::volumes::{self, Bound};
use crate::steps::{failures, follow, outlines, warnings};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day7.growth";
const BAND: Band = Band::new(20, 240);
/// The kubelet's wait for its turn, when the volume itself has grown.
const PENDING: &str = "FileSystemResizePending";
/// Bytes that the claim asks for in the end.
pub const GROWN: u64 = 2 << 30;

pub struct Growth {
    outline: Outline,
    class: String,
    name: String,
    /// The machine on which the pod runs.
    node: NodePlan,
}

pub fn step(_plan: &Plan, class: &str, node: &NodePlan) -> Growth {
    let name = volumes::claim(class);
    let wanted = volumes::quantity(GROWN);
    let by_hand = format!(
        "kubectl -n {NAMESPACE} patch pvc {name} --type merge -p \
         '{{\"spec\":{{\"resources\":{{\"requests\":{{\"storage\":\"{wanted}\"}}}}}}}}'\nkubectl -n {NAMESPACE} get pvc {name}"
    );
    let title = format!("the volume of class {class} grows to {} while it is used", size(GROWN));
    let outline = outlines::change(StepId::of(KIND, class), 7, title, BAND, by_hand)
        .after([StepId::of(super::volume::KIND, class)])
        .momentary();
    Growth { outline, class: class.to_string(), name, node: node.clone() }
}

impl Growth {
    /// The volume's size in the system that keeps it, in bytes, and what shows it.
    async fn size(&self, cx: &dyn Context, site: &Reading, bound: &Bound) -> Result<(u64, Vec<Evidence>), Failure> {
        if self.class != volumes::PROXMOX {
            let (bytes, shown) = volumes::size_in_linstor(site, bound.name()).await?;
            return Ok((bytes.unwrap_or_default(), vec![cluster::seen(cx, &shown)]));
        }
        let (found, mut readings) = volumes::on_storage(cx, site, &[bound.name().to_string()]).await?;
        let listed = found.first().and_then(|on| on.volume.size);
        let slots = volumes::slots(site, &self.node).await?;
        let in_slot = slots.holding(bound.name()).map(|(_, disk)| disk.size_bytes).filter(|bytes| *bytes > 0);
        readings.push(slots.evidence(cx));
        // Where both tell, both have to: the slot's figure is the guest's, the other the storage's.
        Ok((listed.into_iter().chain(in_slot).min().unwrap_or_default(), readings))
    }
}

#[async_trait]
impl Step<Installation> for Growth {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let bound = volumes::bound(site, NAMESPACE, &self.name).await?;
        let claim = &bound.claim.value;
        if !is_ours(site, claim) {
            return Ok(Observed::Conflict(foreign(&Kind::PERSISTENT_VOLUME_CLAIM, Some(NAMESPACE), &self.name, claim)));
        }
        let (asks, wanted) = (text(claim, "/spec/resources/requests/storage"), volumes::quantity(GROWN));
        if asks != wanted {
            return Ok(Observed::Absent(format!("claim {} asks for {asks}", self.name)));
        }
        let wait = |seen: String| {
            let condition = format!("claim {} has {} in both systems", self.name, size(GROWN));
            Wait::new(condition, seen, BAND)
        };
        let has = text(claim, "/status/capacity/storage");
        if has != wanted {
            let why = if cluster::condition(claim, PENDING).is_some() { PENDING } else { "Resizing" };
            let wait = wait(format!("the claim has {has}; {}", said(claim, why)));
            return warnings::of_volume(site, NAMESPACE, &self.name, &self.class, wait).await;
        }
        let (bytes, readings) = self.size(cx, site, &bound).await?;
        if bytes < GROWN {
            return Ok(Observed::Underway(wait(format!("the claim has {has}, and the volume {}", size(bytes)))));
        }
        let all = bound.evidence(cx).into_iter().chain(readings).collect();
        let system = if self.class == volumes::PROXMOX { "Proxmox VE" } else { "LINSTOR" };
        proven(format!("{} has {} in the cluster and {} in {system}", bound.name(), has, size(bytes)), all)
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let kind = Kind::PERSISTENT_VOLUME_CLAIM;
        let doing = format!("let claim {} grow", self.name);
        match get(&site.kubernetes()?, &kind, Some(NAMESPACE), &self.name).await? {
            Some(claim) if !is_ours(site, &claim.value) => {
                return Err(foreign(&kind, Some(NAMESPACE), &self.name, &claim.value));
            }
            Some(_) => {}
            None => return Err(Failure::retryable(format!("{doing}: it is gone"), "cozyup makes it anew")),
        }
        let claim = volumes::request(site, &self.class, GROWN);
        let done = change.kubernetes()?.apply(&kind, Some(NAMESPACE), &self.name, claim).await;
        done.map(drop).map_err(|e| failures::kubernetes(&e, &doing))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        let kind = Kind::PERSISTENT_VOLUME_CLAIM;
        follow::object(cx, site, &kind, Some(NAMESPACE), Some(&self.name), Duration::from_secs(3)).await;
    }
}
