//! `day5.cleanup`: nothing of the tests is left, neither in Kubernetes nor on the storage of Proxmox.
use super::namespace::OF_TESTS;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::teardown;
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day5.cleanup";
const BAND: Band = Band::new(30, 180);

pub struct Cleanup {
    outline: Outline,
}

pub fn step(_plan: &Plan, tests: Vec<StepId>) -> Cleanup {
    let title = "the tests are removed and nothing of them is left";
    let by_hand = format!("kubectl delete namespace {NAMESPACE}");
    Cleanup { outline: outlines::change(StepId::new(KIND), 5, title, BAND, by_hand).after(tests).cleanup() }
}

fn wait(seen: String) -> Wait {
    Wait::new("nothing is left of the tests", seen, BAND)
}

/// Names of the volumes bound to claims of the test namespace.
async fn volumes(site: &Reading) -> Result<Vec<String>, Failure> {
    let all = site.kubernetes()?.list(&Kind::PERSISTENT_VOLUME, None, None).await;
    let all = all.map_err(|e| failures::kubernetes(&e, "list the volumes"))?;
    let ours = all.value.iter().filter(|v| objects::text(v, "/spec/claimRef/namespace") == NAMESPACE);
    Ok(ours.map(|v| objects::text(v, "/metadata/name").to_string()).collect())
}

#[async_trait]
impl Step<Installation> for Cleanup {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        if let Some(namespace) = OF_TESTS.find(site, "read the test namespace").await? {
            return OF_TESTS.until_gone(cx, site, &namespace.value, wait).await;
        }
        let left = volumes(site).await?;
        if !left.is_empty() {
            return Ok(Observed::Underway(wait(format!("volumes: {}", left.join(", ")))));
        }
        let listed = reader.list(&Kind::NAMESPACE, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the namespaces"))?;
        let names: Vec<&str> = listed.value.iter().map(|n| objects::text(n, "/metadata/name")).collect();
        let now = cx.clock().now();
        let mut evidence = Evidence::of("Kubernetes", now, &listed);
        evidence.answer = names.join(" ");
        let mut proof = Proof::new(format!("namespace {NAMESPACE} and its volumes are gone"), evidence);
        // The names that stood in the cluster before the deletion, kept as the handle.
        let made: Vec<String> =
            cx.handle().map(|h| h.split_whitespace().map(str::to_string).collect()).unwrap_or_default();
        if !made.is_empty() && site.plan.integration.csi.enabled {
            let storage = &site.plan.integration.csi.storage;
            let mut hosts: Vec<&str> = site.plan.nodes.iter().map(|n| n.host.as_str()).collect();
            hosts.sort_unstable();
            hosts.dedup();
            for host in hosts {
                let content = site.proxmox.storage_content(host, storage, "images").await;
                let content = content.map_err(|e| failures::proxmox(&e, &format!("list storage {storage}")))?;
                if let Some(volume) = content.value.iter().find(|v| made.iter().any(|m| v.volid.contains(m))) {
                    return Ok(Observed::Underway(wait(format!("{} is still on {host}", volume.volid))));
                }
                proof = proof.and(Evidence::of("Proxmox", now, &content));
            }
        }
        Ok(Observed::Satisfied(proof))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(found) = OF_TESTS.to_delete(cx, site).await? else { return Ok(()) };
        let made = volumes(site).await?;
        if !made.is_empty() {
            cx.keep_handle(&made.join(" ")).await?;
        }
        OF_TESTS.delete(change, &found).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

async fn left_alone(cx: &dyn Context, site: &Reading) -> Result<Option<Observed>, Failure> {
    let found = OF_TESTS.find(site, "read the test namespace").await?;
    let Some((found, why)) = found.and_then(|f| OF_TESTS.strange(cx, site, &f.value).map(|why| (f, why))) else {
        return Ok(None);
    };
    let summary = format!("namespace {NAMESPACE} is not this run's: left alone");
    let left = Left::new(format!("namespace {NAMESPACE}"), why);
    let proof = Proof::new(summary, Evidence::of("Kubernetes", cx.clock().now(), &found)).leaving([left]);
    Ok(Some(Observed::Satisfied(proof)))
}

/// The tests' volumes on Proxmox VE would outlive the cluster, so they go before it does.
#[async_trait]
impl Removal<Installation> for Cleanup {
    fn title(&self) -> String {
        format!("delete what the tests left in namespace {NAMESPACE}")
    }

    fn by_hand(&self) -> String {
        format!("kubectl delete namespace {NAMESPACE}")
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        match teardown::by_the_cluster(cx, site, self.observe(cx, site)).await? {
            // Somebody else's; their volumes are looked for in the next step.
            Observed::Conflict(failure) => Ok(left_alone(cx, site).await?.unwrap_or(Observed::Conflict(failure))),
            observed => Ok(observed),
        }
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.act(cx, site, change).await
    }
}
