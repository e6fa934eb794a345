//! `cluster.ClusterService`: the health check that a control plane runs, check after check, until one takes too long.
use super::super::super::world::World;
use super::super::{Machine, Progress, Stage, cluster, outside};
use super::Node;
use crate::talos::wire::cluster as wire;
use crate::talos::wire::common;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use std::time::Duration;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

/// Lab time between two looks (`pkg/cluster/check`).
const POLL: Duration = Duration::from_secs(5);
/// Lab time for all checks when the client gives none.
const DEFAULT_WAIT: Duration = Duration::from_secs(20 * 60);

pub struct Cluster(pub Node);

/// A line's subject, and what is wrong now.
type Check = (&'static str, fn(&World, &[&Machine]) -> Option<String>);

const CHECKS: [Check; 9] = [
    ("etcd to be healthy", |_, all| unhealthy(all, "etcd", true)),
    ("etcd members to be consistent across nodes", |world, all| {
        let voters = |m: &Machine| m.etcd.as_ref().map_or(0, |e| cluster::members(world, e.cluster).count());
        let expected = all.iter().filter(|m| m.control_plane()).count();
        all.iter()
            .filter(|m| m.control_plane())
            .find(|m| voters(m) != expected)
            .map(|m| format!("{}: expected {expected} etcd members, got {}", m.address().0, voters(m)))
    }),
    ("apid to be ready", |_, all| unhealthy(all, "apid", false)),
    ("kubelet to be healthy", |_, all| unhealthy(all, "kubelet", false)),
    ("all nodes to finish boot sequence", |_, all| {
        listed(all, |m| (m.stage != Stage::Running).then(|| format!("unexpected stage: {}", m.stage.as_str())))
    }),
    ("all k8s nodes to report", |_, all| {
        listed(all, |m| (m.registered != Progress::Done).then(|| "node is not registered".into()))
    }),
    ("all control plane static pods to be running", |_, all| {
        listed(all, |m| {
            (m.control_plane() && m.api_server != Progress::Done).then(|| "kube-apiserver is not ready".into())
        })
    }),
    ("all k8s nodes to report ready", |world, all| {
        listed(all, |m| (!outside::node_is_ready(world, &m.hostname())).then(|| "node is not ready".into()))
    }),
    ("all k8s nodes to report schedulable", |_, _| None),
];

fn listed(all: &[&Machine], wrong: impl Fn(&Machine) -> Option<String>) -> Option<String> {
    all.iter().find_map(|m| wrong(m).map(|why| format!("{}: {why}", m.address().0)))
}

fn unhealthy(all: &[&Machine], service: &str, control_planes_only: bool) -> Option<String> {
    listed(all, |m| {
        let concerned = m.control_plane() || !control_planes_only;
        (concerned && !m.healthy(service)).then(|| format!("service {service:?} not in expected state \"Running\""))
    })
}

struct Run {
    node: Node,
    vmid: u32,
    stamp: Option<common::Metadata>,
    wanted: Vec<String>,
    deadline: Timestamp,
    at: usize,
    said: Option<String>,
    waited: bool,
}

impl Run {
    fn line(&self, message: String) -> wire::HealthCheckProgress {
        wire::HealthCheckProgress { metadata: self.stamp.clone(), message }
    }

    /// The next line, or the end.
    async fn next(mut self) -> Option<(Result<wire::HealthCheckProgress, Status>, Option<Self>)> {
        let (subject, check) = *CHECKS.get(self.at)?;
        loop {
            if std::mem::replace(&mut self.waited, self.said.is_some()) {
                self.node.lab.clock().sleep(POLL).await;
            }
            let wrong = match self.look(check) {
                Ok(wrong) => wrong,
                Err(status) => return Some((Err(status), None)),
            };
            if wrong.is_some() && self.node.lab.clock().now() >= self.deadline {
                return Some((Err(Status::deadline_exceeded("context deadline exceeded")), None));
            }
            let text = match (&wrong, &self.said) {
                (None, _) => format!("waiting for {subject}: OK"),
                (Some(_), None) => format!("waiting for {subject}: ..."),
                (Some(why), Some(_)) => format!("waiting for {subject}: {why}"),
            };
            if wrong.is_none() {
                (self.at, self.said, self.waited) = (self.at + 1, None, false);
            } else if self.said.as_ref() == Some(&text) {
                continue;
            } else {
                self.said = Some(text.clone());
            }
            return Some((Ok(self.line(text)), Some(self)));
        }
    }

    fn look(&self, check: fn(&World, &[&Machine]) -> Option<String>) -> Result<Option<String>, Status> {
        self.node.read(self.vmid, |world, own| {
            let id = |m: &Machine| m.config.as_ref().map(|c| c.cluster_id.clone());
            let asked = |m: &&Machine| match self.wanted.is_empty() {
                true => m.on && id(m) == id(own),
                false => self.wanted.contains(&m.address().0.to_string()),
            };
            let all: Vec<&Machine> = world.machines.values().filter(asked).collect();
            check(world, &all)
        })
    }
}

#[tonic::async_trait]
impl wire::cluster_service_server::ClusterService for Cluster {
    async fn health_check(
        &self,
        request: Request<wire::HealthCheckRequest>,
    ) -> Result<Response<BoxStream<wire::HealthCheckProgress>>, Status> {
        let (vmid, stamp) = self.0.target(request.metadata())?;
        if !self.0.read(vmid, |_, m| m.control_plane())? {
            return Err(Status::unimplemented("cluster health check is only available on controlplane nodes"));
        }
        let asked = request.into_inner();
        let wait = asked.wait_timeout.and_then(|d| Duration::try_from(d).ok()).filter(|d| !d.is_zero());
        let info = asked.cluster_info.unwrap_or_default();
        let wanted: Vec<String> = info.control_plane_nodes.into_iter().chain(info.worker_nodes).collect();
        let run = Run {
            deadline: crate::base::clock::add(self.0.lab.clock().now(), wait.unwrap_or(DEFAULT_WAIT)),
            node: self.0.clone(),
            vmid,
            stamp,
            at: 0,
            said: None,
            waited: false,
            wanted,
        };
        let hello = run.line(format!("discovered nodes: {:?}", run.wanted));
        let lines = stream::unfold(Some(run), |run| async move { run?.next().await });
        Ok(Response::new(Box::pin(stream::iter([Ok(hello)]).chain(lines))))
    }
}
