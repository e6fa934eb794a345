//! `day5.volume/CLASS`: a volume of the class is made, mounted, written and read. For Proxmox volumes the storage of
//! Proxmox itself is asked too.
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, BAND, NAMESPACE, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines, volumes};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day5.volume";

pub struct Volume {
    outline: Outline,
    class: String,
    name: String,
}

pub fn step(_plan: &Plan, class: &str) -> Volume {
    let name = format!("volume-{class}");
    let by_hand = format!("kubectl -n {NAMESPACE} get pvc,pod {name}; kubectl -n {NAMESPACE} logs {name}");
    let title = format!("a volume of class {class} is made, written and read");
    let outline = outlines::change(StepId::of(KIND, class), 5, title, BAND, by_hand)
        .after([StepId::new(super::namespace::KIND)])
        .momentary();
    Volume { outline, class: class.to_string(), name }
}

impl Volume {
    /// The claim as it is bound, and the volume behind it, also in Proxmox where it lives there.
    async fn bound(&self, cx: &dyn Context, site: &Reading) -> Result<Vec<Evidence>, Failure> {
        let bound = volumes::bound(site, NAMESPACE, &self.name).await?;
        let mut evidence = bound.evidence(cx).to_vec();
        if self.class == volumes::PROXMOX {
            let (found, _) = volumes::on_storage(cx, site, &[bound.name().to_string()]).await?;
            let storage = &site.plan.integration.csi.storage;
            let missing = || {
                Failure::retryable(
                    format!("volume {} is bound in Kubernetes and not on storage {storage} of Proxmox", bound.name()),
                    "cozyup looks again; if it stays so, the driver writes to another storage",
                )
            };
            evidence.push(found.into_iter().next().ok_or_else(missing)?.evidence);
        }
        Ok(evidence)
    }
}

#[async_trait]
impl Step<Installation> for Volume {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let what = format!("use a volume of class {}", self.class);
        match objects::pod_state(cx, site, NAMESPACE, &self.name, &what).await? {
            PodState::Missing => Ok(Observed::Absent(format!("there is no pod {}", self.name))),
            PodState::Underway(wait) => Ok(Observed::Underway(wait)),
            PodState::Done { evidence, log } => {
                let mut all = evidence;
                all.extend(self.bound(cx, site).await?);
                let token = objects::token(site, &self.outline.id);
                objects::word_found(
                    &log,
                    &token,
                    all,
                    &format!("a volume of class {} was written and read", self.class),
                )
            }
        }
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let claim = volumes::request(site, &self.class, 1 << 30);
        objects::apply(site, change, &Kind::PERSISTENT_VOLUME_CLAIM, Some(NAMESPACE), &self.name, claim).await?;
        let token = objects::token(site, &self.outline.id);
        let script = format!("echo {token} > /data/proof && sync && cat /data/proof");
        let pod = objects::job(site, &script, Some(&self.name));
        objects::apply(site, change, &Kind::POD, Some(NAMESPACE), &self.name, pod).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(NAMESPACE), Some(&self.name), Duration::from_secs(3)).await;
    }
}
