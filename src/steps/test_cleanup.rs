//! The step that removes a namespace of tests with volumes in it: nothing of them is left, neither in Kubernetes nor with LINSTOR nor
//! on the storage of Proxmox.
use super::objects::text;
use super::site::{Changing, Installation, Reading};
use super::test_namespace::TestNamespace;
use super::{failures, outlines, teardown, volumes};
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{part, seen};
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;

const BAND: Band = Band::new(30, 180);

pub struct Cleanup {
    outline: Outline,
    namespace: &'static TestNamespace,
}

impl TestNamespace {
    /// `kind` is that step's, `tests` those that used the namespace.
    pub fn emptied(&'static self, kind: &str, title: &'static str, tests: Vec<StepId>) -> Cleanup {
        let by_hand = format!("kubectl delete namespace {}", self.name);
        let outline = outlines::change_on(StepId::new(kind), self.day, title, BAND, by_hand).after(tests).cleanup();
        Cleanup { outline, namespace: self }
    }
}

fn wait(seen: String) -> Wait {
    Wait::new("nothing is left of the tests", seen, BAND)
}

impl Cleanup {
    /// The names of the volumes that proofs named, and of those that were there before the deletion, kept as the handle.
    fn made(&self, cx: &dyn Context) -> Vec<String> {
        let kept = cx.handle().map(|h| h.split_whitespace().map(str::to_string).collect::<Vec<_>>());
        let mut names = kept.unwrap_or_default();
        names.extend(cx.made().named(&volumes::kind_in(self.namespace.name)).map(str::to_string));
        names.sort();
        names.dedup();
        names
    }
}

#[async_trait]
impl Step<Installation> for Cleanup {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = self.namespace.name;
        if let Some(namespace) = self.namespace.find(site, "read the test namespace").await? {
            return self.namespace.until_gone(cx, site, &namespace.value, wait).await;
        }
        let (left, readings) = volumes::left(cx, site, name, &self.made(cx)).await?;
        if !left.is_empty() {
            return Ok(Observed::Underway(wait(shorten(&left.join(", "), 600))));
        }
        let listed = site.kubernetes()?.list(&Kind::NAMESPACE, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the namespaces"))?;
        let rows = listed.value.iter().map(|n| json!(text(n, "/metadata/name")));
        let first = seen(cx, &part(&listed, "namespaces", rows));
        let proof = Proof::new(format!("namespace {name} and its volumes are gone"), first);
        Ok(Observed::Satisfied(readings.into_iter().fold(proof, Proof::and)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(found) = self.namespace.to_delete(cx, site).await? else { return Ok(()) };
        let mut made = self.made(cx);
        made.extend(volumes::of_namespace(site, self.namespace.name).await?);
        made.sort();
        made.dedup();
        if !made.is_empty() {
            cx.keep_handle(&made.join(" ")).await?;
        }
        self.namespace.delete(change, &found).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

impl Cleanup {
    async fn left_alone(&self, cx: &dyn Context, site: &Reading) -> Result<Option<Observed>, Failure> {
        let name = self.namespace.name;
        let found = self.namespace.find(site, "read the test namespace").await?;
        let Some((found, why)) = found.and_then(|f| self.namespace.strange(cx, site, &f.value).map(|why| (f, why)))
        else {
            return Ok(None);
        };
        let summary = format!("namespace {name} is not this run's: left alone");
        let left = Left::new(format!("namespace {name}"), why);
        let proof = Proof::new(summary, Evidence::of("Kubernetes", cx.clock().now(), &found)).leaving([left]);
        Ok(Some(Observed::Satisfied(proof)))
    }
}

/// The tests' volumes on Proxmox VE would outlive the cluster, so they go before it does.
#[async_trait]
impl Removal<Installation> for Cleanup {
    fn title(&self) -> String {
        format!("delete what the tests left in namespace {}", self.namespace.name)
    }

    fn by_hand(&self) -> String {
        self.outline.by_hand.clone()
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        match teardown::by_the_cluster(cx, site, self.observe(cx, site)).await? {
            // Somebody else's; their volumes are looked for in the next step.
            Observed::Conflict(failure) => Ok(self.left_alone(cx, site).await?.unwrap_or(Observed::Conflict(failure))),
            observed => Ok(observed),
        }
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.act(cx, site, change).await
    }
}
