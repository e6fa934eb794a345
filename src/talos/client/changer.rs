//! The changing side of the Talos API. Nobody gets one from a reader: `act` and `undo` are handed theirs.
use super::facts::Applied;
use super::node::Node;
use super::tls::{FirstUse, SpkiFingerprint};
use crate::base::answer::Answer;
use crate::base::secret::Secret;
use crate::talos::error::Error;
use crate::talos::secrets::ClientCertificate;
use crate::talos::wire::machine::{
    ApplyConfigurationRequest, BootstrapRequest, EtcdRemoveMemberByIdRequest, RebootRequest, ResetPartitionSpec,
    ResetRequest, apply_configuration_request, reboot_request, reset_request,
};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use tonic::Code;

/// Talos checks disks and images while it looks at a config; wall time.
const APPLY: Duration = Duration::from_secs(60);

/// The partitions that a reset wipes: all that is of a cluster, and nothing that boots the node.
const WIPED: [&str; 2] = ["STATE", "EPHEMERAL"];

/// Changes nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changer {
    _made_by_new: (),
}

impl Changer {
    /// A changer for any node; it holds no connection, each call opens its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a node in maintenance its config. The pin makes sure that the cluster's secrets go to the machine that
    /// was looked at, and to no other.
    ///
    /// # Errors
    /// [`Error::Refused`] with the node's words when it does not take the config.
    pub async fn apply_maintenance(
        &self,
        address: IpAddr,
        fingerprint: &SpkiFingerprint,
        config: &Secret<String>,
    ) -> Result<Answer<Applied>, Error> {
        let node = Node::insecure(address, FirstUse::verifier(Some(fingerprint.clone()))).await?;
        apply(&node, config, false).await
    }

    /// Gives a configured node a new config; Talos decides whether it restarts.
    ///
    /// # Errors
    /// [`Error::Refused`] with the node's words when it does not take the config.
    pub async fn apply(
        &self,
        address: IpAddr,
        certificate: &ClientCertificate,
        config: &Secret<String>,
    ) -> Result<Answer<Applied>, Error> {
        let node = Node::mutual(address, certificate).await?;
        apply(&node, config, false).await
    }

    /// Starts a new etcd cluster on this node. Accepted is not done: watch the etcd service. Until etcd has data the node
    /// takes the call again, and each stops the etcd service and starts it anew, which cuts the pull of its image short; one
    /// that comes just when etcd begins to write leaves it stopped.
    /// Never call it for a second node; Talos does not prevent it and the cluster would be two.
    ///
    /// # Errors
    /// [`Error::AlreadyBootstrapped`] when the node has etcd data, [`Error::TimeNotInSync`] when it does not know the
    /// time, [`Error::BootstrapTooEarly`] when it can't yet for another reason.
    pub async fn bootstrap(&self, address: IpAddr, certificate: &ClientCertificate) -> Result<Answer<()>, Error> {
        let node = Node::mutual(address, certificate).await?;
        let mut client = node.machine();
        let request = BootstrapRequest { recover_etcd: false, recover_skip_hash_check: false };
        match node.call(client.bootstrap(request)).await {
            Ok(_) => Ok(accepted(&node, "Bootstrap", "bootstrap", "")),
            Err(error) => Err(bootstrap_refused(error)),
        }
    }

    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn reboot(&self, address: IpAddr, certificate: &ClientCertificate) -> Result<Answer<()>, Error> {
        let node = Node::mutual(address, certificate).await?;
        let mut client = node.machine();
        let request = RebootRequest { mode: reboot_request::Mode::Default.into() };
        let answer = node.call(client.reboot(request)).await?.into_inner();
        let actor = answer.messages.into_iter().next().map(|m| m.actor_id).unwrap_or_default();
        Ok(accepted(&node, "Reboot", "reboot", &actor))
    }

    /// Wipes what the node knows (STATE: its config) and holds (EPHEMERAL: etcd's data, images, logs), takes it out of
    /// etcd when `graceful`, and restarts it into maintenance. Talos' own default wipes the whole disk, the boot loader
    /// too: a VM that was cloned from an image boots from nothing then.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn reset(
        &self,
        address: IpAddr,
        certificate: &ClientCertificate,
        graceful: bool,
    ) -> Result<Answer<()>, Error> {
        let node = Node::mutual(address, certificate).await?;
        let mut client = node.machine();
        let request = ResetRequest {
            graceful,
            reboot: true,
            mode: reset_request::WipeMode::SystemDisk.into(),
            system_partitions_to_wipe: WIPED
                .map(|label| ResetPartitionSpec { label: label.to_string(), wipe: true })
                .into(),
            ..ResetRequest::default()
        };
        let answer = node.call(client.reset(request)).await?.into_inner();
        let actor = answer.messages.into_iter().next().map(|m| m.actor_id).unwrap_or_default();
        Ok(accepted(&node, "Reset", &reset_by_hand(graceful), &actor))
    }

    /// Has the etcd of this node take a member out of its list, one whose machine is no more: one that runs leaves by itself
    /// (Talos v1.11, `EtcdRemoveMemberByID`). A member that is in the list no more is fine.
    ///
    /// # Errors
    /// When the node does not answer, or its etcd has no majority to decide it.
    pub async fn remove_member(
        &self,
        address: IpAddr,
        certificate: &ClientCertificate,
        member: u64,
    ) -> Result<Answer<()>, Error> {
        let node = Node::mutual(address, certificate).await?;
        let mut client = node.machine();
        let by_hand = format!("etcd remove-member {member:016x}");
        let done = node.call(client.etcd_remove_member_by_id(EtcdRemoveMemberByIdRequest { member_id: member })).await;
        match done {
            Ok(_) | Err(Error::Refused { code: Code::NotFound, .. }) => {
                Ok(accepted(&node, "EtcdRemoveMemberByID", &by_hand, ""))
            }
            // Talos hands on what etcd says without a code of its own: no leader, no majority.
            Err(Error::Refused { code: Code::Unknown, text }) => Err(Error::NotReady { text }),
            Err(e) => Err(e),
        }
    }
}

pub(super) async fn apply(node: &Node, config: &Secret<String>, dry_run: bool) -> Result<Answer<Applied>, Error> {
    let mut client = node.machine();
    let request = ApplyConfigurationRequest {
        data: config.expose().clone().into_bytes(),
        mode: apply_configuration_request::Mode::Auto.into(),
        dry_run,
        try_mode_timeout: None,
    };
    let answer = node.call_within(APPLY, client.apply_configuration(request)).await.map_err(config_refused)?;
    let answer = answer.into_inner();
    let message = answer.messages.into_iter().next();
    let message = message.ok_or_else(|| Error::Answer { text: "ApplyConfiguration: no message in it".to_string() })?;
    let applied = Applied { warnings: message.warnings, details: message.mode_details };
    let raw = json!({"warnings": applied.warnings, "details": applied.details}).to_string();
    let by_hand = node.by_hand(if dry_run { "apply-config --dry-run -f CONFIG" } else { "apply-config -f CONFIG" });
    Ok(Answer::new("machine.MachineService/ApplyConfiguration", raw, by_hand, applied))
}

/// The cause of a refused bootstrap, by Talos' code or words.
fn bootstrap_refused(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::AlreadyExists, .. } => Error::AlreadyBootstrapped,
        // Said without a code of its own when the data came while Talos was about it; it has stopped etcd then.
        Error::Refused { code: Code::Unknown, text } if text.ends_with("etcd data directory is not empty") => {
            Error::AlreadyBootstrapped
        }
        Error::Refused { code: Code::FailedPrecondition, text } => too_early(text),
        other => other,
    }
}

/// The reason why a bootstrap is refused for now. Talos has one code for all of them, so its words decide
/// (`Server.Bootstrap`).
fn too_early(text: String) -> Error {
    if text.contains("time is not in sync") { Error::TimeNotInSync { text } } else { Error::BootstrapTooEarly { text } }
}

/// The reason why a config is refused, by Talos' words where its code does not tell (`RuntimeValidate` of the config).
fn config_refused(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::InvalidArgument | Code::Unknown, text }
            if text.contains("install disk") || text.contains("no disks matched") =>
        {
            Error::InstallDisk { text }
        }
        Error::Refused { code: Code::InvalidArgument, text } => Error::ConfigRefused { text },
        Error::Refused { code: Code::Unknown, text } if text.starts_with("failed to parse config") => {
            Error::ConfigRefused { text }
        }
        other => other,
    }
}

/// The `talosctl` verb that brings a node back to maintenance mode and leaves it what it boots from.
pub fn reset_by_hand(graceful: bool) -> String {
    let labels: String = WIPED.iter().map(|label| format!(" --system-labels-to-wipe {label}")).collect();
    format!("reset{}{labels} --reboot", if graceful { "" } else { " --graceful=false" })
}

fn accepted(node: &Node, call: &str, by_hand: &str, actor: &str) -> Answer<()> {
    let raw = json!({"accepted": true, "actor": actor}).to_string();
    Answer::new(format!("machine.MachineService/{call}"), raw, node.by_hand(by_hand), ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As real machined says it when two calls come within moments.
    #[test]
    fn a_bootstrap_that_is_refused_without_a_code_since_there_is_data_is_one_too_many() {
        let refused = |text: &str| bootstrap_refused(Error::Refused { code: Code::Unknown, text: text.into() });
        assert!(matches!(refused("etcd data directory is not empty"), Error::AlreadyBootstrapped));
        assert!(matches!(refused("failed to stop etcd"), Error::Refused { .. }));
    }
}
