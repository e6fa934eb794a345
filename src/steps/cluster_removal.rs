//! Steps that remove what Cluster API made, on the way forward and, by the same looks and acts, in a teardown: the VMs would
//! outlive the cluster that made them, so they go first.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Removal, Step, Undo};
use crate::kubernetes::{self, Kind};
use crate::steps::cluster::{is_deleting, is_ours, items, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, halted, teardown};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

/// A Cluster of Cluster API with the VMs that it made, as one thing to be removed.
#[async_trait]
pub trait Made: Send + Sync {
    /// The title of its removal in a teardown.
    fn title(&self) -> &'static str;

    /// The equivalent by hand, one command a line.
    fn by_hand(&self) -> String;

    /// `Satisfied` when nothing of it is left in either system.
    async fn look(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure>;

    async fn delete(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure>;
}

/// The step after which it is gone.
pub struct ClusterRemoval<M> {
    pub outline: Outline,
    pub made: M,
}

/// What is left in a namespace once its Cluster is gone.
pub enum Remains {
    /// Nothing, with the readings that show it.
    Nothing(Vec<Evidence>),
    /// An object that goes, or that somebody else takes along.
    Going(String),
    /// An object of the run's that no Cluster ever took over: the run was cut off between one object and the next.
    Unowned(String),
}

/// True for an object of the run's that nobody will take along.
fn is_unowned(site: &Reading, object: &Value) -> bool {
    is_ours(site, object) && !is_deleting(object) && items(object, "/metadata/ownerReferences").next().is_none()
}

/// # Errors
/// When the cluster can't be asked.
pub async fn remains(cx: &dyn Context, site: &Reading, namespace: &str, kinds: &[Kind]) -> Result<Remains, Failure> {
    let (mut readings, mut unowned) = (Vec::new(), None);
    for kind in kinds {
        let Some(found) = all_of(site, namespace, kind).await? else { continue };
        for object in &found.value {
            let told = format!("{} {}", kind.kind, text(object, "/metadata/name"));
            if !is_unowned(site, object) {
                return Ok(Remains::Going(told));
            }
            unowned = unowned.or(Some(told));
        }
        readings.push(seen(cx, &found));
    }
    Ok(unowned.map_or(Remains::Nothing(readings), Remains::Unowned))
}

/// Deletes the run's objects that no Cluster ever took over.
///
/// # Errors
/// When the cluster can't be asked, or refuses.
pub async fn delete_unowned(site: &Reading, change: &Changing, namespace: &str, kinds: &[Kind]) -> Result<(), Failure> {
    for kind in kinds {
        let Some(found) = all_of(site, namespace, kind).await? else { continue };
        for object in found.value.iter().filter(|object| is_unowned(site, object)) {
            let (name, uid) = (text(object, "/metadata/name"), text(object, "/metadata/uid"));
            let deleted = change.kubernetes()?.delete(kind, Some(namespace), name, uid).await;
            deleted.map_err(|e| failures::kubernetes(&e, &format!("delete {} {name}", kind.kind)))?;
        }
    }
    Ok(())
}

/// `None` where the cluster never came to know the kind: it holds none of it.
async fn all_of(site: &Reading, namespace: &str, kind: &Kind) -> Result<Option<Answer<Vec<Value>>>, Failure> {
    match site.kubernetes()?.list(kind, Some(namespace), None).await {
        Ok(found) => Ok(Some(found)),
        Err(kubernetes::Error::NotFound) => Ok(None),
        Err(e) => Err(failures::kubernetes(&e, &format!("list {}", kind.resource()))),
    }
}

#[async_trait]
impl<M: Made> Step<Installation> for ClusterRemoval<M> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        halted::while_it_goes(site, self.made.look(cx, site).await?, halted::ON_THE_WAY).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.made.delete(cx, site, change).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(5)).await;
    }
}

#[async_trait]
impl<M: Made> Removal<Installation> for ClusterRemoval<M> {
    fn title(&self) -> String {
        self.made.title().into()
    }

    fn by_hand(&self) -> String {
        self.made.by_hand()
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let look =
            async { halted::while_it_goes(site, self.made.look(cx, site).await?, halted::ON_THE_WAY_BACK).await };
        teardown::by_the_cluster(cx, site, look).await
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.made.delete(cx, site, change).await
    }
}
