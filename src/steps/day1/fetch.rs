//! `day1.fetch`: the Talos image on the jump host, checked and unpacked. Proxmox VE can't unpack xz.
use crate::base::clock::between;
use crate::base::file::{private_dir, write_private};
use crate::base::text::{shorten, size};
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::{ImagePlan, Plan};
use crate::steps::image::body::Body;
use crate::steps::image::image_file::{self, Known};
use crate::steps::image::unpack::{self, Work, disk};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::teardown;
use crate::steps::web::{self, Web};
use crate::steps::{failures, outlines};
use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Method, Response};
use std::path::Path;
use std::time::Duration;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

pub const KIND: &str = "day1.fetch";
const BAND: Band = Band::new(60, 900);
/// The time for which a server is believed that a rejected file is unchanged; after that it is fetched again all the
/// same.
const BELIEVED: Duration = Duration::from_secs(3600);

pub struct Fetch {
    outline: Outline,
    rejected: Mutex<Option<Rejected>>,
}

/// A file with another checksum than the plan's.
struct Rejected {
    version: web::Version,
    at: Timestamp,
    failure: Failure,
}

pub fn step(plan: &Plan) -> Fetch {
    let title = format!("fetch and unpack the Talos {} image", plan.talos.version);
    let by_hand = format!(
        "{}\nsha256sum FILE   # {}\nxz -dc FILE > {}",
        web::curl(plan, "-fLO", &plan.image.url),
        plan.image.sha256,
        image_file::name(plan)
    );
    Fetch { outline: outlines::change(StepId::new(KIND), 1, title, BAND, by_hand), rejected: Mutex::default() }
}

#[async_trait]
impl Step<Installation> for Fetch {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let name = image_file::name(&site.plan);
        if let Some(known) = image_file::cached(site) {
            let evidence = Evidence {
                system: "jump host".into(),
                asked: format!("stat {}", image_file::raw(site).display()),
                answer: format!(
                    "{} bytes, made from sha256 {}: sha256 {}",
                    known.size, known.source_sha256, known.sha256
                ),
                at: cx.clock().now(),
                by_hand: format!("sha256sum {}", image_file::raw(site).display()),
            };
            let summary = format!("{name} is here, {}", size(known.size));
            return Ok(Observed::Satisfied(Proof::new(summary, evidence)));
        }
        // Also after the cache was cleaned nothing has to be fetched that is where it is needed.
        let stored = image_file::stored_everywhere(site).await;
        let stored = stored.map_err(|e| failures::proxmox(&e, "look for the image"))?.unwrap_or_default();
        let mut evidence = stored.iter().map(|answer| Evidence::of("Proxmox", cx.clock().now(), answer));
        let Some(first) = evidence.next() else { return Ok(Observed::Absent(format!("{name} is not here"))) };
        let proof = Proof::new(format!("{name} is on the storage already"), first);
        Ok(Observed::Satisfied(evidence.fold(proof, Proof::and)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, _change: &Changing) -> Result<(), Failure> {
        private_dir(&site.cache).map_err(|e| disk(&e))?;
        let (packed, raw) = (image_file::packed(site), image_file::raw(site));
        let work = Work::new(cx, "the Talos image is here and unpacked", BAND);
        if unpack::sum(&work, &packed).await.ok() != Some(site.plan.image.sha256.to_ascii_lowercase()) {
            self.download(&work, &site.web, &site.plan.image, &packed).await?;
        }
        let made = unpack::unpack(&work, &packed, &raw).await?;
        let known = Known {
            version: 1,
            source_sha256: site.plan.image.sha256.to_ascii_lowercase(),
            sha256: made.sha256,
            size: made.size,
        };
        let text = serde_json::to_vec(&known).map_err(|e| Failure::defect(e.to_string()))?;
        write_private(&image_file::known_path(site), &text).map_err(|e| disk(&e))?;
        // Of no more use; that it can't be removed changes nothing.
        let _ = fs::remove_file(&packed).await;
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait]
impl Removal<Installation> for Fetch {
    fn title(&self) -> String {
        "delete the image from the jump host".into()
    }

    fn by_hand(&self) -> String {
        "rm -r cache".into()
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let note = image_file::known_path(site);
        if site.cache.exists() || note.exists() {
            return Ok(Observed::Absent(format!("{} is there", site.cache.display())));
        }
        let asked = format!("look for {} and {}", site.cache.display(), note.display());
        Ok(Observed::Satisfied(teardown::nothing_here(cx, "no image is on the jump host", asked, &site.cache)))
    }

    async fn remove(&self, _cx: &dyn Context, site: &Reading, _change: &Changing) -> Result<(), Failure> {
        teardown::delete(fs::remove_dir_all(&site.cache).await, &site.cache)?;
        let note = image_file::known_path(site);
        teardown::delete(fs::remove_file(&note).await, &note)
    }
}

impl Fetch {
    /// The image into `to`, there only when its checksum is the plan's. A file that was rejected is not fetched again
    /// while the server says that it is the same one.
    async fn download(&self, work: &Work<'_>, web: &Web, image: &ImagePlan, to: &Path) -> Result<(), Failure> {
        let response = web::ask(web, Method::GET, &image.url).await?;
        let version = web::version(&response);
        let mut rejected = self.rejected.lock().await;
        let now = work.cx.clock().now();
        if let (Some(earlier), Some(version)) = (&*rejected, &version)
            && earlier.version == *version
            && between(earlier.at, now) < BELIEVED
        {
            return Err(earlier.failure.clone());
        }
        let part = to.with_extension("part");
        let is = receive(work, response, &image.url, &part).await?;
        if is.eq_ignore_ascii_case(&image.sha256) {
            return fs::rename(&part, to).await.map_err(|e| disk(&e));
        }
        let failure = Failure::person(
            format!("{} has the sha256 {} instead of {}", image.url, shorten(&is, 20), shorten(&image.sha256, 20)),
            "compare it with the publisher's checksum; correct image.sha256 or image.url in the plan",
        );
        *rejected = version.map(|version| Rejected { version, at: now, failure: failure.clone() });
        Err(failure)
    }
}

/// [`receive_part`], without leaving behind what is refused.
async fn receive(work: &Work<'_>, response: Response, url: &str, part: &Path) -> Result<String, Failure> {
    let received = receive_part(work, response, url, part).await;
    if received.is_err() {
        // It would begin anew anyhow; that it can't be removed changes nothing.
        let _ = fs::remove_file(part).await;
    }
    received
}

/// The body into the file `part`; its SHA-256.
async fn receive_part(work: &Work<'_>, response: Response, url: &str, part: &Path) -> Result<String, Failure> {
    let folder = part.parent().unwrap_or(part);
    let free = unpack::free(folder).map_err(|e| disk(&e))?;
    let mut body = Body::of(response, url, free)?;
    let mut file = fs::File::create(part).await.map_err(|e| disk(&e))?;
    while let Some(piece) = body.next().await? {
        work.go_on()?;
        file.write_all(&piece).await.map_err(|e| disk(&e))?;
        work.report("fetched", body.done, body.total);
    }
    file.sync_all().await.map_err(|e| disk(&e))?;
    Ok(body.sha256())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::{Silent, plan};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// The URL of one file that is not the image; its tag is another one at every `renewed`-th request.
    async fn server(renewed: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/t.raw", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for n in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                let tag = n / renewed;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"{tag}\"\r\n\r\nwrong");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn a_file_with_another_checksum_is_fetched_again_when_it_has_changed_or_an_hour_is_over() {
        crate::base::tls::install_provider();
        let image = ImagePlan { url: server(3).await, ..plan().image };
        let (dir, step) = (tempfile::tempdir().unwrap(), step(&plan()));
        let to = dir.path().join("image.fetched");
        let part = to.with_extension("part");
        let http = Web::new(reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(), None);
        let (now, later) = (Silent::new(), Silent::after(BELIEVED));
        let mut fetched = Vec::new();
        for cx in [&now, &now, &now, &now, &now, &later] {
            let _ = std::fs::remove_file(&part);
            let failure = step.download(&Work::new(cx, "done", BAND), &http, &image, &to).await.unwrap_err();
            assert!(failure.what.contains("instead of aaaaaaaa"), "{failure:?}");
            fetched.push(part.exists());
        }
        assert_eq!(fetched, [true, false, false, true, false, true]);
        assert!(!to.exists());
    }

    /// harm.md S9
    #[tokio::test]
    async fn a_file_that_is_too_long_or_does_not_fit_is_not_fetched_and_leaves_nothing() {
        crate::base::tls::install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/t.raw", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 137438953472\r\n\r\nxxxx";
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let image = ImagePlan { url, ..plan().image };
        let (dir, step, cx) = (tempfile::tempdir().unwrap(), step(&plan()), Silent::new());
        let to = dir.path().join("image.fetched");
        let failure = step
            .download(&Work::new(&cx, "done", BAND), &Web::new(reqwest::Client::new(), None), &image, &to)
            .await
            .unwrap_err();
        assert!(failure.what.contains("128.0 GiB"), "{failure:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
