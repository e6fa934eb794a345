//! The state of a node, told from outside by whom it lets in.
use super::client::facts::Stage;
use super::client::{API_PORT, Maintenance, Secure};
use super::error::{Distrust, Error};
use super::secrets::ClientCertificate;
use crate::base::answer::Answer;
use std::fmt;
use std::net::IpAddr;
use tonic::Code;

/// The state of a node as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// Nothing answers, or not yet: off, starting, between two modes.
    Down(String),
    /// Waits for a config.
    Maintenance,
    /// Configured with our secrets: each side accepted the other's certificate.
    Configured,
    /// Ours, but its clock and this machine's are so far apart that a certificate does not hold.
    OutOfTime(String),
    /// Configured with other secrets, or no Talos at all.
    Foreign(String),
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeState::Down(why) => write!(f, "down: {why}"),
            NodeState::Maintenance => f.write_str("in maintenance mode"),
            NodeState::Configured => f.write_str("configured with this cluster's secrets"),
            NodeState::OutOfTime(why) => write!(f, "out of time: {why}"),
            NodeState::Foreign(why) => write!(f, "foreign: {why}"),
        }
    }
}

/// Asks first with our certificate, where there is one, then without.
pub async fn state_of(address: IpAddr, certificate: Option<&ClientCertificate>) -> Answer<NodeState> {
    let Some(certificate) = certificate else {
        return without_certificate(address, None).await;
    };
    let version = match Secure::connect(address, certificate).await {
        Ok(node) => node.version().await,
        Err(e) => Err(e),
    };
    match version {
        Ok(answer) => answer.map(|_| NodeState::Configured),
        // In maintenance the node shows a certificate of its own making: ask again to tell that from another cluster.
        Err(Error::Untrusted { what, why: Distrust::ServerNotOurs }) => without_certificate(address, Some(what)).await,
        Err(Error::Untrusted { what, why: Distrust::Clocks }) => evidence(address, NodeState::OutOfTime(what)),
        Err(e @ Error::Untrusted { .. }) => evidence(address, NodeState::Foreign(e.to_string())),
        Err(e) if e.is_transient() => evidence(address, NodeState::Down(e.to_string())),
        // Behind mutual TLS it is ours, also when it stumbles.
        Err(
            e @ (Error::Unreachable { .. }
            | Error::NotReady { .. }
            | Error::BootstrapTooEarly { .. }
            | Error::EtcdSilent { .. }
            | Error::Answer { .. }),
        ) => evidence(address, NodeState::Down(e.to_string())),
        // It talks to us behind mutual TLS; what it refuses is another matter.
        Err(
            e @ (Error::Refused { .. }
            | Error::TimeNotInSync { .. }
            | Error::InstallDisk { .. }
            | Error::ConfigRefused { .. }
            | Error::AlreadyBootstrapped),
        ) => evidence_with(address, NodeState::Configured, &e.to_string()),
    }
}

async fn without_certificate(address: IpAddr, distrusted: Option<String>) -> Answer<NodeState> {
    let stage = match Maintenance::connect(address).await {
        Ok(node) => node.machine_stage().await,
        Err(e) => Err(e),
    };
    match stage {
        Ok(answer) if answer.value == Stage::Maintenance => answer.map(|_| NodeState::Maintenance),
        // The secure API is the gate: without it a node is on its way from one mode to the other.
        Ok(answer) => answer.map(|stage| NodeState::Down(format!("{stage}, its API asks for no certificate yet"))),
        Err(Error::Untrusted { what, .. }) => evidence(address, NodeState::Foreign(distrusted.unwrap_or(what))),
        // The resource comes a moment after the API.
        Err(e @ Error::Refused { code: Code::NotFound, .. }) => evidence(address, NodeState::Down(e.to_string())),
        Err(e) if e.is_transient() => evidence(address, NodeState::Down(e.to_string())),
        Err(
            e @ (Error::Unreachable { .. }
            | Error::NotReady { .. }
            | Error::EtcdSilent { .. }
            | Error::TimeNotInSync { .. }
            | Error::BootstrapTooEarly { .. }),
        ) => evidence(address, NodeState::Down(e.to_string())),
        Err(
            e @ (Error::Refused { .. }
            | Error::InstallDisk { .. }
            | Error::ConfigRefused { .. }
            | Error::Answer { .. }
            | Error::AlreadyBootstrapped),
        ) => evidence(address, NodeState::Foreign(e.to_string())),
    }
}

fn evidence(address: IpAddr, state: NodeState) -> Answer<NodeState> {
    let raw = state.to_string();
    evidence_with(address, state, &raw)
}

fn evidence_with(address: IpAddr, state: NodeState, raw: &str) -> Answer<NodeState> {
    let by_hand = format!("talosctl -n {address} get machinestatus --insecure");
    Answer::new(format!("TLS {address}:{API_PORT}"), raw, by_hand, state)
}
