//! `day5.cleanup`: nothing of the tests is left, neither in Kubernetes nor on the storage of Proxmox.
use crate::base::text::shorten;
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
    Cleanup { outline: outlines::change(StepId::new(KIND), 5, title, BAND, by_hand).after(tests) }
}

/// Names of the volumes bound to claims of the test namespace.
async fn volumes(site: &Reading) -> Result<Vec<String>, Failure> {
    let all = site.kubernetes()?.list(&Kind::PERSISTENT_VOLUME, None, None).await;
    let all = all.map_err(|e| failures::kubernetes(&e, "list the volumes"))?;
    let ours = all.value.iter().filter(|v| objects::text(v, "/spec/claimRef/namespace") == NAMESPACE);
    Ok(ours.map(|v| objects::text(v, "/metadata/name").to_string()).collect())
}

/// The failure to report when somebody put something of their own into the namespace: it would go with it.
async fn inhabited(site: &Reading) -> Result<Option<Failure>, Failure> {
    let mut others = Vec::new();
    for kind in [Kind::PERSISTENT_VOLUME_CLAIM, Kind::POD, Kind::SERVICE] {
        let all = site.kubernetes()?.list(&kind, Some(NAMESPACE), None).await;
        let all = all.map_err(|e| failures::kubernetes(&e, &format!("look what is in namespace {NAMESPACE}")))?;
        let theirs = all.value.iter().filter(|o| !objects::is_ours(site, o));
        others.extend(theirs.map(|o| format!("{} {}", kind.kind, objects::text(o, "/metadata/name"))));
    }
    Ok((!others.is_empty()).then(|| {
        Failure::person(
            format!("namespace {NAMESPACE} holds what this run did not make: {}", shorten(&others.join(", "), 400)),
            format!(
                "move it elsewhere, or delete it (kubectl -n {NAMESPACE} delete ...); the step then goes on by itself"
            ),
        )
    }))
}

#[async_trait]
impl Step<Installation> for Cleanup {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let found = reader.get(&Kind::NAMESPACE, None, NAMESPACE).await;
        let found = found.map_err(|e| failures::kubernetes(&e, "read the test namespace"))?;
        let wait = |seen: String| Ok(Observed::Underway(Wait::new("nothing is left of the tests", seen, BAND)));
        if let Some(namespace) = found {
            if let Some(why) = objects::strange(cx, site, &namespace.value) {
                return Ok(Observed::Conflict(Failure::refused(
                    format!("namespace {NAMESPACE} {why}"),
                    "another run uses it: wait until it has ended; or somebody made it: it stays until they delete it",
                )));
            }
            if objects::text(&namespace.value, "/status/phase") == "Terminating" {
                return wait(format!("namespace {NAMESPACE} is being deleted"));
            }
            return Ok(match inhabited(site).await? {
                Some(failure) => Observed::Conflict(failure),
                None => Observed::Absent(format!("namespace {NAMESPACE} is still there")),
            });
        }
        let left = volumes(site).await?;
        if !left.is_empty() {
            return wait(format!("volumes: {}", left.join(", ")));
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
                    return wait(format!("{} is still on {host}", volume.volid));
                }
                proof = proof.and(Evidence::of("Proxmox", now, &content));
            }
        }
        Ok(Observed::Satisfied(proof))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let doing = format!("delete namespace {NAMESPACE}");
        let found = site.kubernetes()?.get(&Kind::NAMESPACE, None, NAMESPACE).await;
        let Some(found) = found.map_err(|e| failures::kubernetes(&e, &doing))? else { return Ok(()) };
        if let Some(why) = objects::strange(cx, site, &found.value) {
            return Err(Failure::refused(format!("{doing}: it {why}"), "remove it yourself if nobody needs it"));
        }
        if let Some(failure) = inhabited(site).await? {
            return Err(failure);
        }
        let made = volumes(site).await?;
        if !made.is_empty() {
            cx.keep_handle(&made.join(" ")).await?;
        }
        let uid = objects::text(&found.value, "/metadata/uid");
        let deleted = change.kubernetes()?.delete(&Kind::NAMESPACE, None, NAMESPACE, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &doing))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

async fn left_alone(cx: &dyn Context, site: &Reading) -> Result<Option<Observed>, Failure> {
    let reader = site.kubernetes()?;
    let found = reader.get(&Kind::NAMESPACE, None, NAMESPACE).await;
    let found = found.map_err(|e| failures::kubernetes(&e, "read the test namespace"))?;
    let Some((found, why)) = found.and_then(|f| objects::strange(cx, site, &f.value).map(|why| (f, why))) else {
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
        match teardown::no_cluster(cx, site)? {
            Some(proof) => Ok(Observed::Satisfied(proof)),
            None => match self.observe(cx, site).await {
                Err(failure) => teardown::nobody_to_ask(cx, site, failure).await,
                // Somebody else's; their volumes are looked for in the next step.
                Ok(Observed::Conflict(failure)) => {
                    Ok(left_alone(cx, site).await?.unwrap_or(Observed::Conflict(failure)))
                }
                observed => observed,
            },
        }
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.act(cx, site, change).await
    }
}
