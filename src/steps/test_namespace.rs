//! A namespace that a day makes for its tests: made with the run's label, told by its uid from others that carry a copy
//! of it, and deleted only while nobody else has put anything into it.
use crate::base::answer::Answer;
use crate::base::day::Day;
use crate::base::text::shorten;
use crate::cozystack::addons::{MANAGED_BY, RUN_LABEL};
use crate::engine::failure::Failure;
use crate::engine::made::Thing;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{self, is_ours, part, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, objects, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

const BAND: Band = Band::new(5, 60);

/// One such namespace.
pub struct TestNamespace {
    pub name: &'static str,
    /// The purpose of the namespace, as the step's title says it: `the tests`.
    pub purpose: &'static str,
    pub day: Day,
    /// KIND of the step that makes it.
    pub made_by: &'static str,
    /// KIND of the step with which it goes in a teardown.
    pub goes_with: &'static str,
    /// Kinds that people put into a namespace, and that would go with it.
    pub kinds: &'static [Kind],
}

impl TestNamespace {
    /// The step that makes it. The system label keeps CozyStack's lineage webhook out of it.
    pub fn step(&'static self) -> Made {
        let (name, purpose) = (self.name, self.purpose);
        let title = format!("namespace {name} is there for {purpose}");
        let by_hand = format!("kubectl create namespace {name}");
        let outline = outlines::change_on(StepId::new(self.made_by), self.day, title, BAND, by_hand);
        // That of workers that stay is there for good.
        let outline = if self.day == Day::Workers { outline } else { outline.momentary() };
        Made { outline, namespace: self }
    }

    /// # Errors
    /// When the cluster can't be asked.
    pub async fn find(&self, site: &Reading, doing: &str) -> Result<Option<Answer<Value>>, Failure> {
        let found = site.kubernetes()?.get(&Kind::NAMESPACE, None, self.name).await;
        found.map_err(|e| failures::kubernetes(&e, doing))
    }

    /// The namespace as the journal keeps it.
    fn thing(&self, namespace: &Value) -> Thing {
        Thing::new("namespace", self.name, Some(text(namespace, "/metadata/uid").to_string()))
    }

    /// The reason why the namespace is not this run's own; `None` when it is.
    pub fn strange(&self, cx: &dyn Context, site: &Reading, namespace: &Value) -> Option<&'static str> {
        cluster::strange(cx, site, &StepId::new(self.made_by), &self.thing(namespace), namespace)
    }

    /// An obstacle to its deletion, or the deletion under way; `Absent` means that the step has to delete it.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    pub async fn until_gone(
        &self,
        cx: &dyn Context,
        site: &Reading,
        namespace: &Value,
        wait: impl FnOnce(String) -> Wait,
    ) -> Result<Observed, Failure> {
        let name = self.name;
        if let Some(why) = self.strange(cx, site, namespace) {
            return Ok(Observed::Conflict(Failure::refused(
                format!("namespace {name} {why}"),
                "another run uses it: wait until it has ended; or somebody made it: it stays until they delete it",
            )));
        }
        if is_terminating(namespace) {
            return Ok(Observed::Underway(wait(format!("namespace {name} is being deleted"))));
        }
        Ok(match self.inhabited(site).await? {
            Some(failure) => Observed::Conflict(failure),
            None => Observed::Absent(format!("namespace {name} is still there")),
        })
    }

    /// The run's own namespace, ready to be deleted; `None` when it is gone already.
    ///
    /// # Errors
    /// When it is not this run's own, or holds what somebody else made.
    pub async fn to_delete(&self, cx: &dyn Context, site: &Reading) -> Result<Option<Answer<Value>>, Failure> {
        let doing = format!("delete namespace {}", self.name);
        let Some(found) = self.find(site, &doing).await? else { return Ok(None) };
        if let Some(why) = self.strange(cx, site, &found.value) {
            return Err(Failure::refused(format!("{doing}: it {why}"), "remove it yourself if nobody needs it"));
        }
        match self.inhabited(site).await? {
            Some(failure) => Err(failure),
            None => Ok(Some(found)),
        }
    }

    /// # Errors
    /// When the cluster refuses.
    pub async fn delete(&self, change: &Changing, found: &Answer<Value>) -> Result<(), Failure> {
        let uid = text(&found.value, "/metadata/uid");
        let deleted = change.kubernetes()?.delete(&Kind::NAMESPACE, None, self.name, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete namespace {}", self.name)))
    }

    /// The refusal when somebody put something of theirs into the namespace: it would go with it.
    async fn inhabited(&self, site: &Reading) -> Result<Option<Failure>, Failure> {
        let name = self.name;
        let mut others = Vec::new();
        for kind in self.kinds {
            let all = site.kubernetes()?.list(kind, Some(name), None).await;
            let all = all.map_err(|e| failures::kubernetes(&e, &format!("look what is in namespace {name}")))?;
            let theirs = all.value.iter().filter(|o| !is_ours(site, o));
            others.extend(theirs.map(|o| format!("{} {}", kind.kind, text(o, "/metadata/name"))));
        }
        Ok((!others.is_empty()).then(|| {
            Failure::person(
                format!("namespace {name} holds what this run did not make: {}", shorten(&others.join(", "), 400)),
                format!(
                    "move it elsewhere, or delete it (kubectl -n {name} delete ...); the step then goes on by itself"
                ),
            )
        }))
    }
}

fn is_terminating(namespace: &Value) -> bool {
    text(namespace, "/status/phase") == "Terminating"
}

/// The step that makes a test namespace.
pub struct Made {
    outline: Outline,
    namespace: &'static TestNamespace,
}

impl Made {
    #[must_use]
    pub fn after(mut self, id: StepId) -> Self {
        self.outline = self.outline.after([id]);
        self
    }
}

#[async_trait]
impl Step<Installation> for Made {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let TestNamespace { name, .. } = self.namespace;
        let Some(found) = self.namespace.find(site, &format!("read namespace {name}")).await? else {
            return Ok(Observed::Absent("no such namespace".into()));
        };
        if let Some(why) = self.namespace.strange(cx, site, &found.value) {
            return Ok(Observed::Conflict(Failure::refused(
                format!("namespace {name} exists and {why}"),
                format!("look what is in it; if nobody needs it: kubectl delete namespace {name}"),
            )));
        }
        if is_terminating(&found.value) {
            let wait = Wait::new(format!("the former {name} is gone"), "it is being deleted", BAND);
            return Ok(Observed::Underway(wait));
        }
        let evidence = Evidence::of("Kubernetes", cx.clock().now(), &found);
        let proof = Proof::new(format!("namespace {name} is active"), evidence);
        Ok(Observed::Satisfied(proof.owning(self.namespace.thing(&found.value))))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let labels = json!({MANAGED_BY.0: MANAGED_BY.1, RUN_LABEL: site.label(), "cozystack.io/system": "true"});
        let body = json!({"metadata": {"labels": labels}});
        objects::apply(site, change, &Kind::NAMESPACE, None, self.namespace.name, body).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(self.namespace.goes_with)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::NAMESPACE, None, Some(self.namespace.name), Duration::from_secs(2)).await;
    }
}

/// The step after which it is gone. Deleted together with a Cluster in it, finalizers would stay.
pub struct Gone {
    outline: Outline,
    namespace: &'static TestNamespace,
}

impl TestNamespace {
    /// `kind` is that step's, `after` the one that emptied the namespace.
    pub fn cleanup(&'static self, kind: &str, after: &str) -> Gone {
        const BAND: Band = Band::new(30, 180);
        let title = format!("namespace {} is gone", self.name);
        let by_hand = format!("kubectl delete namespace {}", self.name);
        let outline = outlines::change_on(StepId::new(kind), self.day, title, BAND, by_hand);
        let outline = outline.after([StepId::new(after)]).cleanup();
        Gone { outline, namespace: self }
    }
}

#[async_trait]
impl Step<Installation> for Gone {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = self.namespace.name;
        let listed = site.kubernetes()?.list(&Kind::NAMESPACE, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the namespaces"))?;
        let Some(found) = listed.value.iter().find(|n| text(n, "/metadata/name") == name) else {
            let rows = listed.value.iter().map(|n| json!(text(n, "/metadata/name")));
            return proven(format!("namespace {name} is gone"), vec![seen(cx, &part(&listed, "namespaces", rows))]);
        };
        let wait = |seen| Wait::new("the namespace is gone", seen, self.outline.band);
        self.namespace.until_gone(cx, site, found, wait).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let Some(found) = self.namespace.to_delete(cx, site).await? else { return Ok(()) };
        self.namespace.delete(change, &found).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(self.namespace.goes_with)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}
