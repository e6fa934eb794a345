//! `day1.image`: the raw image on the storage, as content that a disk can be imported from.
use crate::base::text::{shorten, size};
use crate::engine::failure::Failure;
use crate::engine::made::{Origin, Thing};
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::{Plan, Template};
use crate::proxmox::{Error, TaskExit};
use crate::steps::follow::{self, Kept};
use crate::steps::image::image_file::{self, CONTENT, Stored};
use crate::steps::image::unpack::Work;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::vm;
use crate::steps::{failures, outlines, uploads};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.image";
const BAND: Band = Band::new(60, 900);
const DOING: &str = "upload the image";
const REMOVING: &str = "delete the image";
/// Kind of a [`Thing`] that is a volume.
const VOLUME: &str = "volume";

pub struct Image {
    outline: Outline,
    /// The template whose host and storage get it.
    at: Template,
    volume: String,
}

pub fn step(plan: &Plan, template: &Template) -> Image {
    let (name, storage, host) = (image_file::name(plan), &template.image_storage, &template.host);
    let title = format!("put the Talos image on storage {storage} of {host}");
    let by_hand = format!("scp {name} root@{host}:/var/lib/vz/import/{name}\npvesm list {storage} --content {CONTENT}");
    let outline = outlines::change(super::of_template(KIND, template), 1, title, BAND, by_hand)
        .after([StepId::new(super::fetch::KIND)]);
    Image { outline, at: template.clone(), volume: image_file::volume(plan, template) }
}

/// Returns what is proven, or else what is seen in its place.
fn standing(stored: &Stored, kept: &Kept, volume: &str) -> Result<String, String> {
    match stored {
        Stored::Whole(volid, bytes) => match kept {
            // The file grows while the task copies it, and has its full size before the task has ended.
            Kept::Running => Err(format!("{volid} is being written")),
            // Nothing else tells a part from the whole where the server tells no size.
            Kept::Ended(TaskExit::Failed { text: why, .. }) if bytes.is_none() => {
                Err(format!("{volid} may be incomplete: its upload ended with `{why}`"))
            }
            Kept::Ended(_) | Kept::Unknown => {
                let bytes = bytes.map(|b| format!(", {}", size(b))).unwrap_or_default();
                Ok(format!("{volid} is on the storage{bytes}"))
            }
        },
        Stored::Missing => Err(format!("{volume} is not there")),
        Stored::Partial(bytes) => Err(format!("{volume} has only {}", size(*bytes))),
    }
}

#[async_trait]
impl Step<Installation> for Image {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        // In this order: a task that ends between the two has left its file.
        let kept = self.copying(cx, site, DOING).await?;
        let stored =
            image_file::stored(site, &self.at).await.map_err(|e| failures::proxmox(&e, "look for the image"))?;
        Ok(match standing(&stored.value, &kept, &self.volume) {
            Ok(summary) => {
                let proof = Proof::new(summary, Evidence::of("Proxmox", cx.clock().now(), &stored));
                Observed::Satisfied(match self.is_own(cx) {
                    true => proof.owning(self.thing()),
                    false => proof,
                })
            }
            Err(seen) => vm::absent_unless(kept == Kept::Running, seen, DOING, BAND),
        })
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        follow::earlier_task(cx, site, DOING, BAND).await?;
        let raw = image_file::raw(site);
        let Some(known) = image_file::cached(site) else {
            return Err(Failure::person(
                format!("{DOING}: {} is gone from the cache", raw.display()),
                "stop the run and start it again: it is then fetched anew",
            ));
        };
        let work = Work::new(cx, "the image is uploaded", BAND);
        let told = |done: u64, total: u64| work.report("sent", done, Some(total));
        let (host, storage, name) = (&self.at.host, &self.at.image_storage, image_file::name(&site.plan));
        let upload = change.proxmox.upload(host, storage, CONTENT, &name, &known.sha256, &raw, told);
        // An upload that is cut off leaves nothing on the storage; one that was whole is found by its task.
        let begun = tokio::select! {
            begun = upload => begun,
            failure = stopped(&work) => return Err(failure),
        };
        vm::carry_out(cx, site, begun.map(Some), DOING, BAND).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl Removal<Installation> for Image {
    fn title(&self) -> String {
        format!("delete the image {}", self.named())
    }

    fn by_hand(&self) -> String {
        format!("pvesm free {}", self.volume)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let kept = self.copying(cx, site, REMOVING).await?;
        let stored =
            image_file::stored(site, &self.at).await.map_err(|e| failures::proxmox(&e, "look for the image"))?;
        let there = match &stored.value {
            Stored::Whole(volid, _) => format!("{volid} is there"),
            Stored::Partial(bytes) => format!("{} is there with {}", self.volume, size(*bytes)),
            Stored::Missing if kept == Kept::Running => format!("{} is being written", self.volume),
            Stored::Missing => {
                let evidence = Evidence::of("Proxmox", cx.clock().now(), &stored);
                let others =
                    image_file::others(site, &self.at).await.map_err(|e| failures::proxmox(&e, "look for images"))?;
                let others = match others.as_slice() {
                    [] => String::new(),
                    // Without a mark nobody knows whose they are.
                    list => format!("; other images of cozyup stay there: {}", shorten(&list.join(", "), 400)),
                };
                let summary = format!("there is no {}{others}", self.named());
                return Ok(Observed::Satisfied(Proof::new(summary, evidence)));
            }
        };
        if !self.is_own(cx) {
            let evidence = Evidence::of("Proxmox", cx.clock().now(), &stored);
            let summary = format!("{} was not put there by this run: left alone", self.volume);
            let left =
                Left::new(format!("image {}", self.named()), "was not put there by this run, as its journal says");
            return Ok(Observed::Satisfied(Proof::new(summary, evidence).leaving([left])));
        }
        Ok(vm::absent_unless(kept == Kept::Running, there, REMOVING, BAND))
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        follow::earlier_task(cx, site, REMOVING, BAND).await?;
        if !self.is_own(cx) {
            return Ok(());
        }
        match change.proxmox.delete_volume(&self.at.host, &self.at.image_storage, &self.volume).await {
            Err(Error::NotFound { .. }) => Ok(()),
            begun => vm::carry_out(cx, site, begun, REMOVING, BAND).await,
        }
    }
}

impl Image {
    async fn copying(&self, cx: &dyn Context, site: &Reading, doing: &str) -> Result<Kept, Failure> {
        uploads::copying(cx, site, &self.at.host, &image_file::name(&site.plan), doing).await
    }

    /// Storages of several hosts have the same name, and so have the volumes on them.
    fn thing(&self) -> Thing {
        Thing::new(VOLUME, self.named(), None)
    }

    fn named(&self) -> String {
        if self.at.is_copy { format!("{} on {}", self.volume, self.at.host) } else { self.volume.clone() }
    }

    /// A volume carries no mark, and the plan may name another one than it did: only the journal tells who brought this one.
    fn is_own(&self, cx: &dyn Context) -> bool {
        match cx.made().origin(Some(&self.outline.id), &self.thing()) {
            Origin::Known | Origin::Open => true,
            Origin::Another | Origin::Never => false,
        }
    }
}

async fn stopped(work: &Work<'_>) -> Failure {
    loop {
        if let Err(failure) = work.go_on() {
            return failure;
        }
        work.cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_unknown_size_is_whole_only_when_its_upload_did_not_fail() {
        let failed = Kept::Ended(TaskExit::of("unexpected status"));
        let stored = |bytes| Stored::Whole("local:import/t.raw".into(), bytes);
        assert!(standing(&stored(None), &failed, "t").unwrap_err().contains("incomplete"));
        assert!(standing(&stored(Some(5)), &failed, "t").is_ok());
        assert!(standing(&stored(None), &Kept::Ended(TaskExit::Warnings(1)), "t").is_ok());
        assert!(standing(&stored(Some(5)), &Kept::Running, "t").unwrap_err().contains("being written"));
    }
}
