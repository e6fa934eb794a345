//! Makes a run ready in this process.
use crate::compose::{self, Options, Prepared, Refusal};
use std::time::{Duration, Instant};

/// The time that a lock may outlive the process that held it.
const LOCK: Duration = Duration::from_secs(2);

/// A worker that was killed a moment ago may hold the lock for as long as the kernel needs to end it.
///
/// # Errors
/// See [`compose::prepare`].
pub async fn prepare(options: Options) -> Result<Prepared, Refusal> {
    let began = Instant::now();
    loop {
        match compose::prepare(options.clone()) {
            Err(Refusal::Locked(_)) if began.elapsed() < LOCK => tokio::time::sleep(LOCK / 100).await,
            other => return other,
        }
    }
}
