//! Waiting for a node's next event instead of asking it over and over.
use super::client::Secure;
use super::error::Error;
use super::secrets::ClientCertificate;
use super::wire::cosi::resource::{Event, EventType, WatchOptions, WatchRequest};
use std::net::IpAddr;
use std::time::Duration;

pub use super::client::resources::{Kind, MACHINE_STATUS, SERVICES};

/// The result of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something of this type changed: look again.
    Seen,
    /// Nothing changed until the deadline.
    None,
}

/// Returns at the first event after the contents that the watch starts with, or when `deadline` (wall time) is over.
/// `id`: one resource; without it all of the type.
///
/// # Errors
/// When the node does not answer, or ends the watch.
pub async fn wait_for_change(
    address: IpAddr,
    certificate: &ClientCertificate,
    kind: Kind,
    id: Option<&str>,
    deadline: Duration,
) -> Result<Change, Error> {
    let node = Secure::connect(address, certificate).await?;
    let node = node.node();
    let request = WatchRequest {
        namespace: kind.namespace.to_string(),
        r#type: kind.name.to_string(),
        id: id.map(str::to_string),
        // Talos does not serve the option for a single resource: that watch starts with the resource anyway.
        options: Some(WatchOptions { bootstrap_contents: id.is_none(), ..WatchOptions::default() }),
        api_version: 1,
    };
    let mut client = node.resources();
    let watching = async {
        let mut stream = client.watch(request).await?.into_inner();
        let mut seen_start = false;
        while let Some(response) = stream.message().await? {
            for event in response.event {
                match what(&event) {
                    EventType::Errored => return Ok(Err(event.error.unwrap_or_default())),
                    EventType::Noop => {}
                    EventType::Bootstrapped => seen_start = true,
                    EventType::Created | EventType::Updated | EventType::Destroyed if seen_start => return Ok(Ok(())),
                    // A single resource's watch starts with exactly one event and no mark.
                    EventType::Created | EventType::Updated | EventType::Destroyed => seen_start = id.is_some(),
                }
            }
        }
        Ok(Err("the node ended it".to_string()))
    };
    match tokio::time::timeout(deadline, watching).await {
        Err(_) => Ok(Change::None),
        Ok(Ok(Ok(()))) => Ok(Change::Seen),
        Ok(Ok(Err(why))) => {
            Err(Error::Unreachable { address, what: format!("the watch on {} ended: {why}", kind.name) })
        }
        Ok(Err(status)) => Err(node.error(&status)),
    }
}

fn what(event: &Event) -> EventType {
    EventType::try_from(event.event_type).unwrap_or(EventType::Noop)
}
