//! An application that a run makes through CozyStack's own API (`apps.cozystack.io`): a view of a HelmRelease of the same namespace.
//! Told by its uid from another of its name, as a namespace of tests is.
//!
//! It is created and never applied: cozystack-api keeps no fields' owners.
use super::cluster::{self, get, is_deleting, named, seen, text};
use super::site::{Changing, Reading};
use super::{failures, flux, objects};
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::made::Thing;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, StepId};
use crate::kubernetes::Kind;
use serde_json::{Value, json};

/// One such application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application {
    pub kind: Kind,
    pub namespace: &'static str,
    pub name: &'static str,
    /// Name of its HelmRelease.
    pub release: &'static str,
}

/// The state of an application.
pub enum Standing {
    Missing,
    /// Somebody else's, and why it is not the run's.
    Strange(Answer<Value>, &'static str),
    /// It is being deleted.
    Going,
    /// It is the run's, and not ready.
    Lacks(String),
    Ready(Answer<Value>, Evidence),
}

impl Application {
    /// `Tenant tenant-root/cozyuptest`
    pub fn told(&self) -> String {
        named(&self.kind, Some(self.namespace), self.name)
    }

    /// As the journal keeps it.
    pub fn thing(&self, object: &Value) -> Thing {
        let uid = text(object, "/metadata/uid").to_string();
        Thing::new(&self.kind.kind.to_lowercase(), format!("{}/{}", self.namespace, self.name), Some(uid))
    }

    /// The object, when it is there.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    pub async fn find(&self, site: &Reading) -> Result<Option<Answer<Value>>, Failure> {
        get(&site.kubernetes()?, &self.kind, Some(self.namespace), self.name).await
    }

    /// The reason why the object is not this run's own. `made_by` is the step that makes it.
    pub fn strange(&self, cx: &dyn Context, site: &Reading, made_by: &StepId, object: &Value) -> Option<&'static str> {
        cluster::strange(cx, site, made_by, &self.thing(object), object)
    }

    /// # Errors
    /// When the cluster can't be asked, or its release fails.
    pub async fn look(&self, cx: &dyn Context, site: &Reading, made_by: &StepId) -> Result<Standing, Failure> {
        let Some(found) = self.find(site).await? else { return Ok(Standing::Missing) };
        if let Some(why) = self.strange(cx, site, made_by, &found.value) {
            return Ok(Standing::Strange(found, why));
        }
        if is_deleting(&found.value) {
            return Ok(Standing::Going);
        }
        Ok(match flux::look(cx, &site.kubernetes()?, self.namespace, self.release).await? {
            flux::Look::Ready(_) => {
                let evidence = seen(cx, &found);
                Standing::Ready(found, evidence)
            }
            flux::Look::Lacks(lack) => Standing::Lacks(lack),
        })
    }

    /// The refusal to touch another's.
    pub fn refusal(&self, why: &str) -> Failure {
        cluster::not_touched(&self.kind, self.namespace, self.name, why)
    }

    /// Makes it, unless it is there.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub async fn create(&self, site: &Reading, change: &Changing, spec: Value) -> Result<(), Failure> {
        if self.find(site).await?.is_some() {
            return Ok(());
        }
        let object = json!({"metadata": {"labels": objects::labels(site)}, "spec": spec});
        let made = change.kubernetes()?.create(&self.kind, Some(self.namespace), self.name, object).await;
        made.map(drop).map_err(|e| failures::kubernetes(&e, &format!("make {}", self.told())))
    }

    /// # Errors
    /// When the cluster refuses.
    pub async fn delete(&self, change: &Changing, object: &Value) -> Result<(), Failure> {
        let uid = text(object, "/metadata/uid");
        let deleted = change.kubernetes()?.delete(&self.kind, Some(self.namespace), self.name, uid).await;
        deleted.map_err(|e| failures::kubernetes(&e, &format!("delete {}", self.told())))
    }
}
