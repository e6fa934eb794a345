//! `day1.image`: the raw image on the storage, as content that a disk can be imported from.
use super::image_file::{self, CONTENT, Stored};
use super::unpack::Work;
use super::vm;
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::{Proof, Reading as Evidence};
use crate::engine::step::{Context, Observed, Outline, Step, StepId};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day1.image";
const BAND: Band = Band::new(60, 900);
const DOING: &str = "upload the image";

pub struct Image {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Image {
    let (name, storage) = (image_file::name(plan), &plan.image.storage);
    let title = format!("put the Talos image on storage {storage} of {}", plan.template.host);
    let by_hand = format!(
        "scp {name} root@{}:/var/lib/vz/import/{name}\npvesm list {storage} --content {CONTENT}",
        plan.template.host
    );
    let outline = outlines::change(StepId::new(KIND), 1, title, BAND, by_hand).after([StepId::new(super::fetch::KIND)]);
    Image { outline }
}

#[async_trait]
impl Step<Installation> for Image {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let stored = image_file::stored(site).await.map_err(|e| failures::proxmox(&e, "look for the image"))?;
        let seen = match &stored.value {
            // The file grows while the task copies it, and has its full size before the task has ended.
            Stored::Whole(volid, bytes) if !follow::is_running(cx, site, DOING).await? => {
                let bytes = bytes.map(|b| format!(", {}", size(b))).unwrap_or_default();
                let evidence = Evidence::of("Proxmox", cx.clock().now(), &stored);
                return Ok(Observed::Satisfied(Proof::new(format!("{volid} is on the storage{bytes}"), evidence)));
            }
            Stored::Whole(volid, _) => format!("{volid} is being written"),
            Stored::Missing => format!("{} is not there", image_file::volume(&site.plan)),
            Stored::Partial(bytes) => format!("{} has only {}", image_file::volume(&site.plan), size(*bytes)),
        };
        vm::absent(cx, site, seen, DOING, BAND).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        follow::earlier_task(cx, site, DOING, BAND).await?;
        let (plan, raw) = (&site.plan, image_file::raw(site));
        let Some(known) = image_file::cached(site) else {
            return Err(Failure::person(
                format!("{DOING}: {} is gone from the cache", raw.display()),
                "stop the run and start it again: it is then fetched anew",
            ));
        };
        let work = Work::new(cx, "the image is uploaded", BAND);
        let told = |done: u64, total: u64| work.tell("sent", done, Some(total));
        let (host, storage, name) = (&plan.template.host, &plan.image.storage, image_file::name(plan));
        let upload = change.proxmox.upload(host, storage, CONTENT, &name, &known.sha256, &raw, told);
        // A cut off upload leaves nothing on the storage, so it need not be waited for.
        let begun = tokio::select! {
            begun = upload => begun,
            failure = stopped(&work) => return Err(failure),
        };
        vm::carry_out(cx, site, begun.map(Some), DOING, BAND).await
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
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
