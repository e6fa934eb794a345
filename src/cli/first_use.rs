//! Digests of a plan in the making, by fetching the files: for `plan new --fetch`, and for the form.
use super::output::print_note;
use crate::base::text::{format_duration, size};
use crate::compose;
use crate::engine::failure::Failure;
use crate::plan::defaults::{self, Defaults};
use crate::plan::model::Plan;
use crate::plan::pin::{FirstUse, Pin};
use crate::steps::first_use;
use crate::tui::{Fetcher, NoContact};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two lines about a fetch.
const TOLD: Duration = Duration::from_secs(5);

pub fn fetcher() -> Fetcher {
    Fetcher(Arc::new(|plan, pin, told| {
        Box::pin(async move {
            let fetched = fetch(&plan, pin, &*told).await;
            fetched.map_err(|failure| NoContact { what: failure.what, next: failure.next })
        })
    }))
}

async fn fetch(plan: &Plan, pin: Pin, told: first_use::Told<'_>) -> Result<FirstUse, Failure> {
    let web = compose::web::web(plan).map_err(|e| {
        Failure::person(
            format!("no HTTP client: {e}"),
            "look at talos.ca_file and network.proxy of the plan, if it names them",
        )
    })?;
    first_use::fetch(&web, plan, pin, Timestamp::now(), told).await
}

/// Fills in the digests of the Talos image and of the installer manifest, telling how far it is.
///
/// # Errors
/// With what was not fetched, and why; the digests of the others are there.
pub async fn fill_in(known: &mut Defaults) -> Result<(), String> {
    let plan = defaults::plan(known);
    let mut failed = Vec::new();
    for pin in [Pin::Image, Pin::Installer] {
        let progress = Progress::of(pin);
        print_note(&format!("fetching the {} from {}", pin.title(), pin.source(&plan)));
        match fetch(&plan, pin, &|done, total| progress.tell(done, total)).await {
            Ok(file) => {
                print_note(&format!("{}: {}, trusted on first use", pin.key(), file.sha256));
                let digest = match pin {
                    Pin::Image => &mut known.image_sha256,
                    Pin::Installer | Pin::Capmox | Pin::Ipam => &mut known.installer_sha256,
                };
                *digest = Some(file.sha256.clone());
                known.trusted.push(file);
            }
            Err(failure) => {
                failed.push(format!("the {} has no digest yet: {}\nnext: {}", pin.title(), failure.what, failure.next))
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// A line now and then.
struct Progress {
    pin: Pin,
    began: Instant,
    /// Of the last line, in seconds.
    told: AtomicU64,
}

impl Progress {
    fn of(pin: Pin) -> Progress {
        Progress { pin, began: Instant::now(), told: AtomicU64::new(0) }
    }

    fn tell(&self, done: u64, total: Option<u64>) {
        let since = self.began.elapsed();
        if since.as_secs() < self.told.load(Ordering::Relaxed) + TOLD.as_secs() {
            return;
        }
        self.told.store(since.as_secs(), Ordering::Relaxed);
        let of = total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
        print_note(&format!("{}: {}{of} in {}", self.pin.title(), size(done), format_duration(since)));
    }
}
