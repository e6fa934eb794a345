//! `day5.volume/CLASS`: a volume of the class is made, mounted, written and read. For Proxmox volumes the storage of
//! Proxmox itself is asked too.
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, BAND, NAMESPACE, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "day5.volume";
/// StorageClass of the Proxmox CSI driver.
const PROXMOX: &str = "proxmox";

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
        let reader = site.kubernetes()?;
        let failed = |e| failures::kubernetes(&e, &format!("read the volume of {}", self.name));
        let gone = |what: &str| {
            Failure::person(format!("{what} of {} is gone", self.name), "run again: the test is made anew")
        };
        let claim = reader.get(&Kind::PERSISTENT_VOLUME_CLAIM, Some(NAMESPACE), &self.name).await.map_err(failed)?;
        let claim = claim.ok_or_else(|| gone("the claim"))?;
        let volume_name = objects::text(&claim.value, "/spec/volumeName").to_string();
        let volume = reader.get(&Kind::PERSISTENT_VOLUME, None, &volume_name).await.map_err(failed)?;
        let volume = volume.ok_or_else(|| gone("the volume"))?;
        let now = cx.clock().now();
        let mut evidence = vec![Evidence::of("Kubernetes", now, &claim), Evidence::of("Kubernetes", now, &volume)];
        if self.class == PROXMOX {
            evidence.push(self.in_proxmox(cx, site, &volume_name).await?);
        }
        Ok(evidence)
    }

    async fn in_proxmox(&self, cx: &dyn Context, site: &Reading, volume: &str) -> Result<Evidence, Failure> {
        let storage = &site.plan.integration.csi.storage;
        let mut hosts: Vec<&str> = site.plan.nodes.iter().map(|n| n.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            let content = site.proxmox.storage_content(host, storage, "images").await;
            let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {storage} on {host}")))?;
            if let Some(found) = content.value.iter().find(|v| v.volid.contains(volume)) {
                let raw = format!("{} {:?} bytes on {host}", found.volid, found.size.unwrap_or_default());
                let mut evidence = Evidence::of("Proxmox", cx.clock().now(), &content);
                evidence.answer = raw;
                return Ok(evidence);
            }
        }
        Err(Failure::retryable(
            format!("volume {volume} is bound in Kubernetes and not on storage {storage} of Proxmox"),
            "cozyup looks again; if it stays so, the driver writes to another storage",
        ))
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
        let claim = json!({
            "metadata": {"labels": objects::labels(site)},
            "spec": {
                "storageClassName": self.class,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        });
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
