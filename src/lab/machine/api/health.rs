//! `cluster.ClusterService`: the health check that a control plane runs, check after check, until one takes too long.
//! Checks, limits and words: `pkg/cluster/check` of Talos v1.10.6.
use super::super::super::world::World;
use super::super::{Machine, Progress, Stage, State, cluster, config, outside};
use super::Node;
use cozyup_base::clock::add;
use cozyup_talos_wire::cluster as wire;
use cozyup_talos_wire::common;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use std::net::Ipv4Addr;
use std::time::Duration;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

/// Lab time between two looks.
const POLL: Duration = Duration::from_secs(5);
/// Lab time for one check; a few have another.
const LIMIT: Duration = Duration::from_secs(5 * 60);

pub struct Cluster(pub Node);

enum Verdict {
    Ok,
    Skip,
    Wrong(String),
}

impl From<Option<String>> for Verdict {
    fn from(wrong: Option<String>) -> Self {
        wrong.map_or(Verdict::Ok, Verdict::Wrong)
    }
}

/// A line's subject, its limit, and the look.
type Check = (&'static str, Duration, fn(&Look<'_>) -> Verdict);

const CHECKS: [Check; 16] = [
    ("etcd to be healthy", LIMIT, |look| look.service("etcd")),
    ("etcd members to be consistent across nodes", LIMIT, |look| look.same_members()),
    ("etcd members to be control plane nodes", LIMIT, |_| Verdict::Ok),
    ("apid to be ready", LIMIT, |look| look.apid()),
    ("all nodes memory sizes", LIMIT, |_| Verdict::Ok),
    ("all nodes disk sizes", LIMIT, |_| Verdict::Ok),
    ("no diagnostics", Duration::from_secs(60), |_| Verdict::Ok),
    ("kubelet to be healthy", LIMIT, |look| look.service("kubelet")),
    ("all nodes to finish boot sequence", LIMIT, |look| look.booted()),
    ("all k8s nodes to report", LIMIT, |look| look.reported()),
    ("all control plane static pods to be running", LIMIT, |look| look.static_pods()),
    ("all control plane components to be ready", LIMIT, |look| look.static_pods()),
    ("all k8s nodes to report ready", Duration::from_secs(10 * 60), |look| look.nodes_ready()),
    // CozyStack's cluster has none: Cilium does its work.
    ("kube-proxy to report ready", LIMIT, |_| Verdict::Skip),
    ("coredns to report ready", LIMIT, |_| Verdict::Ok),
    ("all k8s nodes to report schedulable", LIMIT, |_| Verdict::Ok),
];

/// The nodes that are judged, as they are now.
struct Look<'a> {
    world: &'a World,
    /// By address, off or on; `None` where no machine is.
    nodes: Vec<(Ipv4Addr, Option<&'a Machine>)>,
}

impl<'a> Look<'a> {
    fn new(world: &'a World, addresses: &[Ipv4Addr]) -> Self {
        let find = |address: &Ipv4Addr| world.machines.values().find(|m| m.address().0 == *address);
        Look { world, nodes: addresses.iter().map(|a| (*a, find(a))).collect() }
    }

    fn machines(&self) -> impl Iterator<Item = (Ipv4Addr, &'a Machine)> {
        self.nodes.iter().filter_map(|(address, machine)| Some((*address, (*machine)?)))
    }

    fn control_planes(&self) -> impl Iterator<Item = (Ipv4Addr, &'a Machine)> {
        self.machines().filter(|(_, m)| m.control_plane())
    }

    /// Control planes only, the kubelet too.
    fn service(&self, id: &str) -> Verdict {
        let silent: Vec<String> =
            self.control_planes().filter(|(_, m)| !m.on).map(|(a, _)| format!("{a}: {}", refused(a))).collect();
        if !silent.is_empty() {
            return Verdict::Wrong(config::multierror(&silent));
        }
        let wrong: Vec<String> = self
            .control_planes()
            .filter_map(|(address, machine)| {
                let service = machine.services.get(id)?;
                let last = service.events.back()?;
                if last.state != State::Running {
                    let state = last.state.as_str();
                    let (wanted, said) = ("\"Running\"", &last.message);
                    return Some(format!(
                        "{address}: service {id:?} not in expected state {wanted}: current state [{state}] {said}"
                    ));
                }
                (!service.healthy()).then(|| format!("{address}: service is not healthy: {id}"))
            })
            .collect();
        (!wrong.is_empty()).then(|| config::multierror(&wrong)).into()
    }

    fn same_members(&self) -> Verdict {
        let members = |machine: &Machine| -> Vec<String> {
            let etcd = machine.etcd.as_ref();
            etcd.map(|e| cluster::members(self.world, e.cluster).map(|m| m.hostname).collect()).unwrap_or_default()
        };
        let mut control_planes = self.control_planes();
        let Some((_, first)) = control_planes.next() else { return Verdict::Ok };
        let expected = members(first);
        let other = control_planes.map(|(address, m)| (address, members(m))).find(|(_, found)| *found != expected);
        other
            .map(|(address, found)| {
                let (expected, found) = (expected.join(" "), found.join(" "));
                format!("{address}: expected to have [{expected}] members, got [{found}]")
            })
            .into()
    }

    fn apid(&self) -> Verdict {
        let dark = self.nodes.iter().find(|(_, machine)| machine.is_none_or(|m| !m.on || !m.healthy("apid")));
        dark.map(|(address, _)| refused(*address)).into()
    }

    fn booted(&self) -> Verdict {
        let mut stages: Vec<(&str, String)> = self
            .machines()
            .filter(|(_, m)| m.stage != Stage::Running)
            .map(|(address, m)| (m.stage.as_str(), address.to_string()))
            .collect();
        stages.sort();
        let listed: Vec<String> = stages
            .chunk_by(|a, b| a.0 == b.0)
            .filter_map(|of| {
                let nodes: Vec<&str> = of.iter().map(|(_, address)| address.as_str()).collect();
                of.first().map(|(stage, _)| format!("{stage}: [{}]", nodes.join(" ")))
            })
            .collect();
        (!listed.is_empty()).then(|| format!("nodes are not running: {}", listed.join(", "))).into()
    }

    fn reported(&self) -> Verdict {
        let known = outside::nodes(self.world);
        let missing = self.nodes.iter().find(|(address, _)| !known.iter().any(|(_, a)| a == address));
        missing.map(|(address, _)| format!("can't find expected node with IPs [\"{address}\"]")).into()
    }

    fn static_pods(&self) -> Verdict {
        let missing = self.control_planes().find(|(_, m)| m.api_server != Progress::Done);
        missing
            .map(|(address, _)| {
                format!(
                    "missing static pods on node {address}: [kube-system/kube-apiserver kube-system/kube-controller-manager \
                     kube-system/kube-scheduler]"
                )
            })
            .into()
    }

    fn nodes_ready(&self) -> Verdict {
        let nodes = outside::nodes(self.world);
        let late: Vec<&str> =
            nodes.iter().map(|(name, _)| name.as_str()).filter(|n| !outside::node_is_ready(self.world, n)).collect();
        (!late.is_empty()).then(|| format!("some nodes are not ready: [{}]", late.join(" "))).into()
    }
}

/// apid's message about a node that does not answer.
fn refused(address: Ipv4Addr) -> String {
    format!(
        "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp \
         {address}:50000: connect: connection refused\""
    )
}

struct Run {
    node: Node,
    vmid: u32,
    stamp: Option<common::Metadata>,
    nodes: Vec<Ipv4Addr>,
    deadline: Timestamp,
    at: usize,
    /// The beginning of the current check, and the last message about it.
    check: Option<(Timestamp, String)>,
    looked: bool,
}

impl Run {
    fn line(&self, message: String) -> wire::HealthCheckProgress {
        wire::HealthCheckProgress { metadata: self.stamp.clone(), message }
    }

    /// The next line, or the end.
    async fn next(mut self) -> Option<(Result<wire::HealthCheckProgress, Status>, Option<Self>)> {
        let (subject, limit, check) = *CHECKS.get(self.at)?;
        let clock = self.node.lab.clock().clone();
        loop {
            let Some((began, said)) = self.check.clone() else {
                let announced = format!("waiting for {subject}: ...");
                self.check = Some((clock.now(), announced.clone()));
                return Some((Ok(self.line(announced)), Some(self)));
            };
            if std::mem::replace(&mut self.looked, true) {
                clock.sleep(POLL).await;
            }
            let verdict = self.node.read(self.vmid, |world, _| check(&Look::new(world, &self.nodes)));
            let (word, wrong) = match verdict {
                Err(status) => return Some((Err(status), None)),
                Ok(Verdict::Ok) => ("OK".to_string(), false),
                Ok(Verdict::Skip) => ("SKIP".to_string(), false),
                Ok(Verdict::Wrong(why)) => (why, true),
            };
            let text = format!("waiting for {subject}: {}", word.trim());
            if !wrong {
                (self.at, self.check, self.looked) = (self.at + 1, None, false);
            } else if said != text {
                self.check = Some((began, text.clone()));
            } else if clock.now() >= self.deadline.min(add(began, limit)) {
                return Some((Err(Status::deadline_exceeded("context deadline exceeded")), None));
            } else {
                continue;
            }
            return Some((Ok(self.line(text)), Some(self)));
        }
    }
}

/// The nodes that were asked for, else those that Kubernetes knows: without discovery there are no members.
fn nodes(world: &World, machine: &Machine, info: &wire::ClusterInfo) -> Result<Vec<Ipv4Addr>, Status> {
    let given: Vec<&String> = info.control_plane_nodes.iter().chain(&info.worker_nodes).collect();
    if !given.is_empty() {
        let parse = |text: &&String| {
            text.parse().map_err(|_| Status::unknown(format!("ParseAddr({text:?}): unable to parse IP")))
        };
        return given.iter().map(parse).collect();
    }
    if !cluster::api_reachable(world, machine) {
        let endpoint = machine.config.as_ref().map(|c| (c.endpoint.clone(), c.endpoint_host.clone(), c.endpoint_port));
        let (url, host, port) = endpoint.unwrap_or_default();
        return Err(Status::unknown(format!(
            "Get \"{url}/api/v1/nodes\": dial tcp {host}:{port}: connect: connection refused"
        )));
    }
    Ok(outside::nodes(world).into_iter().map(|(_, address)| address).collect())
}

#[tonic::async_trait]
impl wire::cluster_service_server::ClusterService for Cluster {
    async fn health_check(
        &self,
        request: Request<wire::HealthCheckRequest>,
    ) -> Result<Response<BoxStream<wire::HealthCheckProgress>>, Status> {
        let (vmid, stamp) = self.0.target(request.metadata())?;
        let asked = request.into_inner();
        // No time given is no time: the first check is not even announced.
        let wait = asked.wait_timeout.and_then(|d| Duration::try_from(d).ok()).unwrap_or_default();
        let info = asked.cluster_info.unwrap_or_default();
        let nodes = self.0.read(vmid, |world, machine| nodes(world, machine, &info))??;
        let run = Run {
            deadline: add(self.0.lab.clock().now(), wait),
            node: self.0.clone(),
            vmid,
            stamp,
            nodes,
            at: 0,
            check: None,
            looked: false,
        };
        let listed: Vec<String> = run.nodes.iter().map(|a| format!("\"{a}\"")).collect();
        let hello = run.line(format!("discovered nodes: [{}]", listed.join(" ")));
        let lines = stream::unfold(Some(run), |run| async move { run?.next().await });
        Ok(Response::new(Box::pin(stream::iter([Ok(hello)]).chain(lines))))
    }
}
