//! Steps that remove what Cluster API made, on the way forward and, by the same looks and acts, in a teardown: the VMs would
//! outlive the cluster that made them, so they go first.
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Removal, Step, Undo};
use crate::kubernetes::{self, Kind};
use crate::steps::cluster::{seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, teardown};
use async_trait::async_trait;
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

/// The readings that show that the namespace holds nothing of these kinds, or the first object that it holds.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn none_of(
    cx: &dyn Context,
    site: &Reading,
    namespace: &str,
    kinds: &[Kind],
) -> Result<Result<Vec<Evidence>, String>, Failure> {
    let reader = site.kubernetes()?;
    let mut readings = Vec::new();
    for kind in kinds {
        let found = match reader.list(kind, Some(namespace), None).await {
            Ok(found) => found,
            // A cluster that never came to have Cluster API knows no such kind, and holds none of it.
            Err(kubernetes::Error::NotFound) => continue,
            Err(e) => return Err(failures::kubernetes(&e, &format!("list {}", kind.resource()))),
        };
        if let Some(one) = found.value.first() {
            return Ok(Err(format!("{} {}", kind.kind, text(one, "/metadata/name"))));
        }
        readings.push(seen(cx, &found));
    }
    Ok(Ok(readings))
}

#[async_trait]
impl<M: Made> Step<Installation> for ClusterRemoval<M> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        self.made.look(cx, site).await
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
        teardown::by_the_cluster(cx, site, self.made.look(cx, site)).await
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.made.delete(cx, site, change).await
    }
}
