//! The calls that only a configured node answers.
use super::Secure;
use super::facts::{self, EtcdMember, EtcdStatus, NodeTime, Service};
use super::resources::VOLUMES;
use crate::base::answer::Answer;
use crate::base::secret::Secret;
use crate::base::text;
use crate::talos::error::Error;
use crate::talos::wire::common::Data;
use crate::talos::wire::machine::{DmesgRequest, EtcdMemberListRequest, LogsRequest, ReadRequest, ServiceInfo};
use crate::talos::wire::talos::resource::definitions::block;
use crate::talos::wire::time::time_service_client::TimeServiceClient;
use serde_json::json;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

/// `VolumePhaseReady` (Talos v1.10.6, `resources/block`).
const VOLUME_READY: i32 = 6;
/// For an answer of the node's etcd; wall time, and less than for a call as such.
const ETCD: Duration = Duration::from_secs(5);
/// The longest boot id that is read, in bytes: it has 36 and a line break.
const BOOT_ID_LIMIT: usize = 64;
/// The line that a node writes into its kernel log when it takes a bootstrap.
const TAKEN: &str = "service[etcd](Finished): Bootstrap requested";
/// The longest log that is read, in bytes; Talos' own ring of the kernel's is smaller.
const LOG_LIMIT: usize = 8 << 20;
/// The longest kubeconfig archive that is read, in bytes.
const KUBECONFIG_LIMIT: usize = 1 << 20;

fn asked(call: &str) -> String {
    format!("machine.MachineService/{call}")
}

fn first<T>(messages: Vec<T>, call: &str) -> Result<T, Error> {
    messages.into_iter().next().ok_or_else(|| Error::Answer { text: format!("{call}: no message in it") })
}

/// What comes on a stream until it ends or is longer than `limit` bytes; `then` is written behind each item.
async fn collected(
    mut stream: Streaming<Data>,
    limit: usize,
    then: impl Fn(&[u8]) -> &'static [u8],
) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    while let Some(item) = stream.message().await? {
        bytes.extend_from_slice(&item.bytes);
        bytes.extend_from_slice(then(&item.bytes));
        if bytes.len() > limit {
            break;
        }
    }
    Ok(bytes)
}

impl Secure {
    /// The version as `v1.10.6`.
    ///
    /// # Errors
    /// When the node does not answer, or does not accept our certificate.
    pub async fn version(&self) -> Result<Answer<String>, Error> {
        let mut client = self.node.machine();
        let answer = self.node.call(client.version(())).await?.into_inner();
        let message = first(answer.messages, "Version")?;
        let version = message.version.ok_or_else(|| Error::Answer { text: "Version: no version in it".to_string() })?;
        let platform = message.platform.unwrap_or_default();
        let raw = json!({"tag": version.tag, "arch": version.arch, "platform": platform.name, "mode": platform.mode});
        Ok(Answer::new(asked("Version"), raw.to_string(), self.node.by_hand("version"), version.tag))
    }

    /// True when a partition that Talos manages (`STATE`, `EPHEMERAL`) exists and is in use.
    ///
    /// # Errors
    /// When the node does not answer, or does not know the partition yet.
    pub async fn volume_is_ready(&self, volume: &str) -> Result<Answer<bool>, Error> {
        let answer = self.node.get::<block::VolumeStatusSpec>(VOLUMES, volume).await?;
        Ok(answer.map(|spec| spec.phase == VOLUME_READY))
    }

    /// # Errors
    /// When the node does not answer.
    pub async fn services(&self) -> Result<Answer<Vec<Service>>, Error> {
        let mut client = self.node.machine();
        let answer = self.node.call(client.service_list(())).await?.into_inner();
        let services: Vec<Service> = first(answer.messages, "ServiceList")?.services.into_iter().map(service).collect();
        let raw: Vec<_> = services
            .iter()
            .map(|s| json!({"id": s.id, "state": s.state, "healthy": s.healthy, "last": s.last_message}))
            .collect();
        Ok(Answer::new(asked("ServiceList"), json!(raw).to_string(), self.node.by_hand("services"), services))
    }

    /// Runs a call that the node hands on to its etcd. Where none runs Talos waits for it as long as its caller does: that
    /// must not read as a node that is away.
    async fn etcd<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
        match tokio::time::timeout(ETCD, self.node.call(work)).await {
            Ok(answer) => answer.map_err(etcd_says),
            Err(_) => Err(Error::EtcdSilent { address: self.node.address(), seconds: ETCD.as_secs() }),
        }
    }

    /// The members as the node's own etcd knows them. Look at the etcd service first: this waits while none runs.
    ///
    /// # Errors
    /// When the node does not answer; [`Error::EtcdSilent`] while it runs no etcd, another transient one while etcd has no
    /// leader.
    pub async fn etcd_members(&self) -> Result<Answer<Vec<EtcdMember>>, Error> {
        let mut client = self.node.machine();
        let request = EtcdMemberListRequest { query_local: true };
        let answer = self.etcd(client.etcd_member_list(request)).await?.into_inner();
        let members: Vec<EtcdMember> = first(answer.messages, "EtcdMemberList")?
            .members
            .into_iter()
            .map(|m| EtcdMember { id: m.id, hostname: m.hostname, learner: m.is_learner, peer_urls: m.peer_urls })
            .collect();
        let raw: Vec<_> = members
            .iter()
            .map(|m| {
                let id = format!("{:016x}", m.id);
                json!({"id": id, "hostname": m.hostname, "learner": m.learner, "peers": m.peer_urls})
            })
            .collect();
        Ok(Answer::new(asked("EtcdMemberList"), json!(raw).to_string(), self.node.by_hand("etcd members"), members))
    }

    /// # Errors
    /// When the node does not answer; [`Error::EtcdSilent`] while it runs no etcd.
    pub async fn etcd_status(&self) -> Result<Answer<EtcdStatus>, Error> {
        let mut client = self.node.machine();
        let answer = self.etcd(client.etcd_status(())).await?.into_inner();
        let status = first(answer.messages, "EtcdStatus")?.member_status;
        let status = status.ok_or_else(|| Error::Answer { text: "EtcdStatus: no status in it".to_string() })?;
        let raw = json!({
            "member": format!("{:016x}", status.member_id), "leader": format!("{:016x}", status.leader),
            "learner": status.is_learner, "db_size": status.db_size, "errors": status.errors,
        });
        let value = EtcdStatus {
            member_id: status.member_id,
            leader: status.leader,
            learner: status.is_learner,
            database_size: u64::try_from(status.db_size).unwrap_or_default(),
            errors: status.errors,
        };
        Ok(Answer::new(asked("EtcdStatus"), raw.to_string(), self.node.by_hand("etcd status"), value))
    }

    /// The id that tells this boot of the node from any other.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn boot_id(&self) -> Result<String, Error> {
        let mut client = self.node.machine();
        let path = "/proc/sys/kernel/random/boot_id".to_string();
        let bytes = self
            .node
            .call(async {
                let stream = client.read(ReadRequest { path }).await?.into_inner();
                collected(stream, BOOT_ID_LIMIT, |_| b"").await
            })
            .await?;
        let text = String::from_utf8_lossy(&bytes).trim().to_string();
        let is_id = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if is_id { Ok(text) } else { Err(Error::Answer { text: "Read: no boot id".to_string() }) }
    }

    /// The last `lines` lines of the kernel log.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn dmesg(&self, lines: usize) -> Result<Answer<Vec<String>>, Error> {
        let mut client = self.node.machine();
        let bytes = self
            .node
            .call(async {
                let stream = client.dmesg(DmesgRequest { follow: false, tail: false }).await?.into_inner();
                // Talos puts one line into each item, and no line break at its end.
                collected(stream, LOG_LIMIT, |item| if item.ends_with(b"\n") { b"" } else { b"\n" }).await
            })
            .await?;
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        let kept: Vec<String> =
            all.get(all.len().saturating_sub(lines)..).unwrap_or_default().iter().map(ToString::to_string).collect();
        Ok(Answer::new(asked("Dmesg"), kept.join("\n"), self.node.by_hand("dmesg"), kept))
    }

    /// The last `lines` lines of the log of one of Talos' own services.
    ///
    /// # Errors
    /// When the node does not answer, or has no log of the service.
    pub async fn service_log(&self, service: &str, lines: u32) -> Result<Answer<String>, Error> {
        let mut client = self.node.machine();
        let request = LogsRequest {
            namespace: "system".to_string(),
            id: service.to_string(),
            tail_lines: i32::try_from(lines).unwrap_or(i32::MAX),
            ..LogsRequest::default()
        };
        let bytes = self
            .node
            .call(async {
                let stream = client.logs(request).await?.into_inner();
                collected(stream, LOG_LIMIT, |_| b"").await
            })
            .await?;
        let log = text::clean_lines(&String::from_utf8_lossy(&bytes));
        let by_hand = self.node.by_hand(&format!("logs {} --tail {lines}", text::quoted(service)));
        Ok(Answer::new(asked("Logs"), log.clone(), by_hand, log))
    }

    /// True when the node has taken a bootstrap in this boot. Its service list does not say so: the etcd that a bootstrap asks
    /// for looks like the one that waited. The kernel log has the line of the one that was stopped for it
    /// (`BootstrapEtcd`, `ServiceRunner.UpdateState`).
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn has_taken_a_bootstrap(&self) -> Result<bool, Error> {
        let log = self.dmesg(usize::MAX).await?;
        Ok(log.value.iter().any(|line| line.contains(TAKEN)))
    }

    /// The node's clock beside its time server's, which the node asks now.
    ///
    /// # Errors
    /// When the node or its time server does not answer.
    pub async fn time(&self) -> Result<Answer<NodeTime>, Error> {
        let mut client = TimeServiceClient::new(self.node.channel());
        let answer = self.node.call(client.time(())).await?.into_inner();
        let message = first(answer.messages, "Time")?;
        let missing = || Error::Answer { text: "Time: a time is missing".to_string() };
        let value = NodeTime {
            server: message.server,
            local: facts::timestamp(message.localtime).ok_or_else(missing)?,
            remote: facts::timestamp(message.remotetime).ok_or_else(missing)?,
        };
        let raw = json!({"server": value.server, "local": value.local.to_string(), "remote": value.remote.to_string()});
        Ok(Answer::new("time.TimeService/Time", raw.to_string(), self.node.by_hand("time"), value))
    }

    /// The `.tar.gz` with the admin's kubeconfig, as the node sends it. Its tar has no end mark: read one entry only.
    ///
    /// # Errors
    /// When the node does not answer, or is no control plane.
    pub async fn kubeconfig(&self) -> Result<Answer<Secret<Vec<u8>>>, Error> {
        let mut client = self.node.machine();
        let bytes = self
            .node
            .call(async {
                let mut stream = client.kubeconfig(()).await?.into_inner();
                let mut bytes = Vec::new();
                while let Some(item) = stream.message().await? {
                    bytes.extend_from_slice(&item.bytes);
                    if bytes.len() > KUBECONFIG_LIMIT {
                        break;
                    }
                }
                Ok(bytes)
            })
            .await?;
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Err(Error::Answer { text: "Kubeconfig: no gzip archive".to_string() });
        }
        let raw = format!("an archive of {} bytes (not shown: it holds a key)", bytes.len());
        Ok(Answer::new(asked("Kubeconfig"), raw, self.node.by_hand("kubeconfig"), Secret::new(bytes)))
    }
}

/// Talos hands on what its etcd client says without a code of its own: no leader, a learner, no answer in time.
/// All of it passes.
fn etcd_says(error: Error) -> Error {
    match error {
        // No certificate of etcd's either: the node has not come so far, e.g. since it does not know the time.
        Error::Refused { code: Code::Unknown, text } => Error::NotReady { text },
        other => other,
    }
}

pub(in crate::talos) fn service(info: ServiceInfo) -> Service {
    let health = info.health.unwrap_or_default();
    let event = info.events.unwrap_or_default().events.pop().map(|e| e.msg).unwrap_or_default();
    // The last check of an earlier start says nothing about a service that does not run.
    let checked = info.state == "Running" && !health.last_message.is_empty();
    Service {
        id: info.id,
        state: info.state,
        healthy: (!health.unknown).then_some(health.healthy),
        last_message: if checked { health.last_message } else { event },
    }
}
