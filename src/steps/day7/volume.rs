//! `day7.volume/CLASS`: a pod has written to a volume of the class, and the system that keeps the volume shows it: Proxmox VE on its
//! storage and in the VM of the pod's node, LINSTOR with as many replicas as the class asks for.
use super::namespace::NAMESPACE;
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::made::Thing;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::kubernetes::Kind;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::{self, foreign, get, is_ours, text};
use crate::steps::objects::{self, BAND, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::volumes::{self, Bound};
use crate::steps::{failures, follow, outlines, warnings};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day7.volume";
/// Size that the claim asks for at first, in bytes.
const AT_FIRST: u64 = 1 << 30;

pub struct VolumeStep {
    outline: Outline,
    class: String,
    name: String,
    node: NodePlan,
}

pub fn step(plan: &Plan, class: &str, node: &NodePlan) -> VolumeStep {
    let name = volumes::claim(class);
    let by_hand = match class {
        volumes::PROXMOX => {
            let storage = &plan.integration.csi.storage;
            format!("kubectl get pv\npvesm list {storage} --vmid 9999\nqm config {}", node.vmid)
        }
        _ => "kubectl get pv\nkubectl exec -n cozy-linstor deploy/linstor-controller -- linstor resource list"
            .to_string(),
    };
    let title = match class {
        volumes::PROXMOX => {
            format!("a volume of class {class} is written, and Proxmox VE shows it in the VM of {}", node.name)
        }
        _ => format!("a volume of class {class} is written on {}, and LINSTOR keeps each of its copies", node.name),
    };
    let outline = outlines::change(StepId::of(KIND, class), 7, title, BAND, by_hand)
        .after([StepId::new(super::namespace::KIND)])
        .momentary();
    VolumeStep { outline, class: class.to_string(), name, node: node.clone() }
}

/// The word that the pod writes.
pub fn word(site: &Reading, class: &str) -> String {
    objects::token(site, &StepId::of(KIND, class))
}

impl VolumeStep {
    /// The volume in the system that keeps it: a sentence, and what shows it.
    async fn shown(
        &self,
        cx: &dyn Context,
        site: &Reading,
        bound: &Bound,
        is_mounted: bool,
    ) -> Result<(String, Vec<Evidence>), Failure> {
        if self.class != volumes::PROXMOX {
            return self.in_linstor(cx, site, bound).await;
        }
        let (said, mut readings) = self.on_the_storage(cx, site, bound).await?;
        if !is_mounted {
            return Ok((said, readings));
        }
        let (said_of_vm, more) = self.in_the_vm(cx, site, bound).await?;
        readings.extend(more);
        Ok((format!("{said}, {said_of_vm}"), readings))
    }

    async fn on_the_storage(
        &self,
        cx: &dyn Context,
        site: &Reading,
        bound: &Bound,
    ) -> Result<(String, Vec<Evidence>), Failure> {
        let storage = &site.plan.integration.csi.storage;
        let (found, readings) = volumes::on_storage(cx, site, &[bound.name().to_string()]).await?;
        let Some(on) = found.first() else {
            return Err(Failure::retryable(
                format!("volume {} is bound in Kubernetes and not on storage {storage} of Proxmox VE", bound.name()),
                "cozyup looks again; if it stays so, the driver writes to another storage",
            ));
        };
        // The server may leave the size out; the VM's slot then tells it.
        if on.volume.size.is_some_and(|bytes| bytes < AT_FIRST) {
            return Err(Failure::person(
                format!(
                    "volume {} has {} and not {}",
                    on.volume.volid,
                    size(on.volume.size.unwrap_or_default()),
                    size(AT_FIRST)
                ),
                "look at the log of the driver's controller in namespace cozy-proxmox-csi",
            ));
        }
        Ok((format!("{} is on {}", on.volume.volid, on.host), readings))
    }

    /// The VM of the node on which the pod runs: the one with the node's own system uuid.
    async fn in_the_vm(
        &self,
        cx: &dyn Context,
        site: &Reading,
        bound: &Bound,
    ) -> Result<(String, Vec<Evidence>), Failure> {
        let node = get(&site.kubernetes()?, &Kind::NODE, None, &self.node.name).await?;
        let uuid =
            node.as_ref().map(|n| text(&n.value, "/status/nodeInfo/systemUUID").to_lowercase()).unwrap_or_default();
        let slots = volumes::slots(site, &self.node).await?;
        let vm = slots.config.value.smbios_uuid().unwrap_or_default();
        if uuid != vm {
            return Err(Failure::person(
                format!("node {} says that its machine is {uuid}, and vm {} is {vm}", self.node.name, slots.vmid),
                "the node runs in another VM than the plan says: look at kubectl get node -o yaml and qm config",
            ));
        }
        let Some((slot, _)) = slots.holding(bound.name()) else {
            return Err(Failure::retryable(
                format!(
                    "a pod on {} uses volume {}, and vm {} does not have it",
                    self.node.name,
                    bound.name(),
                    slots.vmid
                ),
                "cozyup looks again; kubectl get volumeattachments tells where the cluster sees it",
            ));
        };
        let said = format!("at {slot} of vm {} ({})", slots.vmid, self.node.name);
        Ok((said, vec![slots.evidence(cx)]))
    }

    async fn in_linstor(
        &self,
        cx: &dyn Context,
        site: &Reading,
        bound: &Bound,
    ) -> Result<(String, Vec<Evidence>), Failure> {
        let replicas = volumes::replicas(site, bound.name()).await?;
        let wanted = if self.class == volumes::REPLICATED { usize::from(volumes::copies(&site.plan)) } else { 1 };
        if replicas.nodes.len() != wanted {
            return Err(Failure::retryable(
                format!(
                    "LINSTOR keeps {} on {} nodes ({}) and not on {wanted}",
                    bound.name(),
                    replicas.nodes.len(),
                    replicas.told()
                ),
                "cozyup looks again; kubectl exec -n cozy-linstor deploy/linstor-controller -- linstor resource list",
            ));
        }
        Ok((format!("LINSTOR keeps it on {}", replicas.told()), vec![cluster::seen(cx, &replicas.shown)]))
    }

    fn thing(bound: &Bound) -> Thing {
        bound.thing(NAMESPACE)
    }

    async fn proven(
        &self,
        cx: &dyn Context,
        site: &Reading,
        evidence: Vec<Evidence>,
        is_mounted: bool,
    ) -> Result<Observed, Failure> {
        let bound = volumes::bound(site, NAMESPACE, &self.name).await?;
        let (said, more) = self.shown(cx, site, &bound, is_mounted).await?;
        let [claim, volume] = bound.evidence(cx);
        let written = if is_mounted { "is written" } else { "is there, and its pod has moved on" };
        let proof = Proof::new(format!("{} {written}: {said}", bound.name()), claim).and(volume);
        let proof = evidence.into_iter().chain(more).fold(proof, Proof::and);
        let alone = self.class == volumes::PROXMOX && volumes::pair(&site.plan, &self.class).is_none();
        let proof = match alone {
            true => proof.mind(format!(
                "no other machine of the plan is on {}: a pod with a volume of a storage of that node alone can't move to \
                 another machine, and day 7 does not try it",
                self.node.host
            )),
            false => proof,
        };
        Ok(Observed::Satisfied(proof.owning(Self::thing(&bound))))
    }
}

#[async_trait]
impl Step<Installation> for VolumeStep {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let what = format!("write to a volume of class {}", self.class);
        match objects::written(cx, site, (NAMESPACE, &self.name), &word(site, &self.class), &what).await? {
            PodState::Underway(wait) => warnings::of_volume(site, NAMESPACE, &self.name, &self.class, wait).await,
            PodState::Done { evidence, log } if log.lines().any(|l| l.trim() == word(site, &self.class)) => {
                self.proven(cx, site, evidence, true).await
            }
            PodState::Done { .. } => Err(Failure::person(
                format!("the test pod {} has written something else", self.name),
                format!("kubectl -n {NAMESPACE} delete pod {}: it is made anew", self.name),
            )),
            // A later step has taken the volume to another node, and its own pod reads it there.
            PodState::Missing => match self.has_moved_on(site).await? {
                true => self.proven(cx, site, Vec::new(), false).await,
                false => Ok(Observed::Absent(format!("no pod {} runs", self.name))),
            },
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let kind = Kind::PERSISTENT_VOLUME_CLAIM;
        match get(&site.kubernetes()?, &kind, Some(NAMESPACE), &self.name).await? {
            // It may have grown since, and no claim shrinks.
            Some(claim) if is_ours(site, &claim.value) => {}
            Some(claim) => return Err(foreign(&kind, Some(NAMESPACE), &self.name, &claim.value)),
            None => {
                let claim = volumes::request(site, &self.class, AT_FIRST);
                let done = change.kubernetes()?.apply(&kind, Some(NAMESPACE), &self.name, claim).await;
                done.map_err(|e| failures::kubernetes(&e, &format!("apply claim {}", self.name)))?;
            }
        }
        let script =
            format!("echo {} > /data/proof && sync && cat /data/proof && sleep 86400", word(site, &self.class));
        let pod = objects::on_node(objects::job(site, &script, Some(&self.name)), &self.node.name);
        objects::apply_anew(site, change, NAMESPACE, &self.name, pod).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(NAMESPACE), Some(&self.name), Duration::from_secs(3)).await;
    }
}

impl VolumeStep {
    async fn has_moved_on(&self, site: &Reading) -> Result<bool, Failure> {
        let mover = volumes::mover(&self.class);
        let found = get(&site.kubernetes()?, &Kind::POD, Some(NAMESPACE), &mover).await?;
        Ok(found.is_some_and(|pod| is_ours(site, &pod.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_says_in_which_system_the_volume_is_shown() {
        let plan = crate::steps::day0::tests::plan();
        let title = |class: &str| step(&plan, class, &plan.nodes[0]).outline.title;
        assert!(title("proxmox").contains("Proxmox VE shows it") && title("local").contains("LINSTOR keeps"));
    }
}
