//! Fetches a file that a plan names and gives its SHA-256, for a plan in the making: trusted on first use. Only a file that is
//! whole and what it should be is worth a digest; every later fetch of the run is compared with it.
use crate::base::text::quoted;
use crate::cozystack::addons::Provider;
use crate::cozystack::addons::components::{self, Mount};
use crate::engine::failure::Failure;
use crate::plan::model::Plan;
use crate::plan::pin::{FirstUse, Pin};
use crate::steps::addons::provider_file;
use crate::steps::image::body::Body;
use crate::steps::image::ends::{Ends, NoImage};
use crate::steps::platform::manifest;
use crate::steps::web::{self, Web};
use jiff::Timestamp;
use reqwest::Method;

/// Told how many bytes have come, and how many were announced.
pub type Told<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// The file as it is now. Nothing is kept of it but its digest; dropped, it ends the connection.
///
/// # Errors
/// When it does not come whole, or is something else than the plan's key asks for.
pub async fn fetch(web: &Web, plan: &Plan, pin: Pin, at: Timestamp, told: Told<'_>) -> Result<FirstUse, Failure> {
    let url = match pin {
        Pin::Image => plan.image.url.clone(),
        Pin::Installer => plan.cozystack.installer_url.clone(),
        Pin::Capmox => provider_file::url(plan, Provider::Capmox),
        Pin::Ipam => provider_file::url(plan, Provider::Ipam),
    };
    let (sha256, bytes) = match pin {
        Pin::Image => image(web, &url, told).await?,
        Pin::Installer => {
            let file = manifest::file(plan).fetch_now(web).await?;
            manifest::parse(&file.text, "")?;
            (file.sha256, length(&file.text))
        }
        Pin::Capmox => provider(web, plan, Provider::Capmox, &url).await?,
        Pin::Ipam => provider(web, plan, Provider::Ipam, &url).await?,
    };
    Ok(FirstUse { pin, source: pin.source(plan).to_string(), url, sha256, bytes, at })
}

async fn provider(web: &Web, plan: &Plan, provider: Provider, url: &str) -> Result<(String, u64), Failure> {
    let file = provider_file::of(plan, provider, url).fetch_now(web).await?;
    // As day 4 does it: what this refuses is of no use there.
    components::with_mount(&file.text, &Mount { config_map: "m", path: "/m" })
        .map_err(|e| provider_file::unfit(plan, provider, &e))?;
    Ok((file.sha256, length(&file.text)))
}

async fn image(web: &Web, url: &str, told: Told<'_>) -> Result<(String, u64), Failure> {
    let response = web::ask(web, Method::GET, url).await?;
    web::no_page(&response, url, "image.url")?;
    let mut body = Body::of(response, url, u64::MAX)?;
    if body.total.is_none_or(|total| total == 0) {
        return Err(Failure::person(
            format!("{url} answers without a length, so a file that was cut off can't be told from a whole one"),
            "name a server in image.url that tells it, or write image.sha256 as its publisher tells it",
        ));
    }
    let mut ends = Ends::default();
    while let Some(piece) = body.next().await? {
        ends.see(&piece);
        told(body.done, body.total);
    }
    ends.judge().map_err(|why| unfit(url, why))?;
    let done = body.done;
    Ok((body.sha256(), done))
}

fn unfit(url: &str, why: NoImage) -> Failure {
    match why {
        NoImage::CutOff => Failure::person(
            format!("{url} begins as xz and does not end so: the file was cut off on its way to that server"),
            "fetch it again; if it stays so, name another mirror in image.url",
        ),
        NoImage::Other => Failure::person(
            format!("{url} is neither xz nor a disk that can be started from"),
            format!("look at it (curl -sL {} | file -); correct image.url in the plan", quoted(url)),
        ),
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
