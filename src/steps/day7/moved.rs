//! `day7.moved/CLASS`: the pod goes, another one on another node reads what it wrote, and the volume is there and no longer where it was.
use super::namespace::NAMESPACE;
use super::volume::word;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Wait;
use crate::kubernetes::Kind;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::{self, foreign, get, is_deleting, is_ours, proven, text};
use crate::steps::objects::{self, BAND, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::volumes::{self, Bound};
use crate::steps::{failures, follow, outlines, warnings};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day7.moved";

pub struct Moved {
    outline: Outline,
    class: String,
    claim: String,
    name: String,
    from: NodePlan,
    to: NodePlan,
}

pub fn step(_plan: &Plan, class: &str, (from, to): (&NodePlan, &NodePlan)) -> Moved {
    let (claim, name) = (volumes::claim(class), volumes::mover(class));
    let by_hand = format!(
        "kubectl -n {NAMESPACE} get pods -o wide\nkubectl -n {NAMESPACE} logs {name}\nkubectl get volumeattachments"
    );
    let title = format!("the volume of class {class} moves from {} to {} with what is on it", from.name, to.name);
    let mut after = vec![StepId::of(super::growth::KIND, class)];
    if class != volumes::PROXMOX {
        after.push(StepId::of(super::snapshot::KIND, class));
    }
    let outline = outlines::change(StepId::of(KIND, class), 7, title, BAND, by_hand).after(after).momentary();
    Moved { outline, class: class.to_string(), claim, name, from: from.clone(), to: to.clone() }
}

impl Moved {
    /// The volume where it is now: `Err` with what is still to come.
    async fn place(
        &self,
        cx: &dyn Context,
        site: &Reading,
        bound: &Bound,
    ) -> Result<Result<(String, Vec<Evidence>), String>, Failure> {
        if self.class != volumes::PROXMOX {
            let replicas = volumes::replicas(site, bound.name()).await?;
            let said = format!("LINSTOR keeps it on {}", replicas.told());
            return Ok(Ok((said, vec![cluster::seen(cx, &replicas.shown)])));
        }
        let (before, now) = (volumes::slots(site, &self.from).await?, volumes::slots(site, &self.to).await?);
        if let Some((slot, _)) = before.holding(bound.name()) {
            return Ok(Err(format!("it is still at {slot} of vm {}", before.vmid)));
        }
        let Some((slot, disk)) = now.holding(bound.name()) else {
            return Ok(Err(format!("vm {} does not have it yet", now.vmid)));
        };
        let said = format!("{} is at {slot} of vm {} and no longer in vm {}", disk.volid, now.vmid, before.vmid);
        Ok(Ok((said, vec![now.evidence(cx), before.evidence(cx)])))
    }
}

#[async_trait]
impl Step<Installation> for Moved {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let what = format!("read the volume of class {} on {}", self.class, self.to.name);
        if let Some(observed) = self.first_pod(site, &what).await? {
            return Ok(observed);
        }
        let word = word(site, &self.class);
        let evidence = match objects::written(cx, site, (NAMESPACE, &self.name), &word, &what).await? {
            PodState::Missing => return Ok(Observed::Absent(format!("no pod {} runs", self.name))),
            PodState::Underway(wait) => {
                return warnings::of_volume(site, NAMESPACE, &self.name, &self.class, wait).await;
            }
            PodState::Done { log, .. } if !log.lines().any(|line| line.trim() == word) => {
                return Err(Failure::person(
                    format!("{what}: the test pod {} did not find `{word}`", self.name),
                    format!("the data is not the same: kubectl -n {NAMESPACE} logs {}", self.name),
                ));
            }
            PodState::Done { evidence, .. } => evidence,
        };
        let pod = get(&site.kubernetes()?, &Kind::POD, Some(NAMESPACE), &self.name).await?;
        let on = pod.map(|pod| text(&pod.value, "/spec/nodeName").to_string()).unwrap_or_default();
        if on != self.to.name {
            return Err(Failure::person(
                format!("{what}: the test pod {} runs on {on}", self.name),
                format!("kubectl -n {NAMESPACE} delete pod {}: it is made anew", self.name),
            ));
        }
        let bound = volumes::bound(site, NAMESPACE, &self.claim).await?;
        match self.place(cx, site, &bound).await? {
            Err(seen) => {
                let condition = format!("{} is with {} alone", bound.name(), self.to.name);
                Ok(Observed::Underway(Wait::new(condition, seen, BAND)))
            }
            Ok((said, more)) => {
                let all = evidence.into_iter().chain(bound.evidence(cx)).chain(more).collect();
                proven(format!("what was written on {} is read on {}: {said}", self.from.name, self.to.name), all)
            }
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // The first pod holds the volume, and would for ever.
        if let Some(pod) = get(&site.kubernetes()?, &Kind::POD, Some(NAMESPACE), &self.claim).await? {
            if !is_ours(site, &pod.value) {
                return Err(foreign(&Kind::POD, Some(NAMESPACE), &self.claim, &pod.value));
            }
            // This pod first: while neither is there, the first would be made anew.
            self.make(site, change).await?;
            let uid = text(&pod.value, "/metadata/uid");
            let deleted = change.kubernetes()?.delete(&Kind::POD, Some(NAMESPACE), &self.claim, uid).await;
            return deleted.map_err(|e| failures::kubernetes(&e, &format!("delete pod {}", self.claim)));
        }
        self.make(site, change).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(NAMESPACE), Some(&self.name), Duration::from_secs(3)).await;
    }
}

impl Moved {
    /// The pod that wrote has to go before the volume can; until then there is nothing more to see.
    async fn first_pod(&self, site: &Reading, what: &str) -> Result<Option<Observed>, Failure> {
        let Some(pod) = get(&site.kubernetes()?, &Kind::POD, Some(NAMESPACE), &self.claim).await? else {
            return Ok(None);
        };
        if !is_ours(site, &pod.value) {
            return Ok(Some(Observed::Conflict(foreign(&Kind::POD, Some(NAMESPACE), &self.claim, &pod.value))));
        }
        let seen = format!("pod {} still holds it on {}", self.claim, self.from.name);
        if !is_deleting(&pod.value) {
            return Ok(Some(Observed::Absent(seen)));
        }
        Ok(Some(Observed::Underway(Wait::new(format!("{what}: the first pod is gone"), seen, BAND))))
    }

    async fn make(&self, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let script = "cat /data/proof && sleep 86400";
        let pod = objects::on_node(objects::job(site, script, Some(&self.claim)), &self.to.name);
        objects::apply_anew(site, change, NAMESPACE, &self.name, pod).await
    }
}
