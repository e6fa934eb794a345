//! `machine.MachineService` of one machine.
use super::super::super::world::World;
use super::super::{Machine, Service, TALOS_VERSION, cluster, kubeconfig, life, status, talosconfig};
use super::stream::{self, Look};
use super::{Node, timestamp};
use crate::base::clock::between;
use crate::talos::wire::{common, machine as wire};
use std::time::Duration;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

/// Wall time between an accepted change and its start, so that the answer leaves before its socket closes.
const FLUSH: Duration = Duration::from_millis(50);

pub struct Api(pub Node);

type Reply<T> = Result<Response<T>, Status>;

impl Node {
    /// Does `change` when the answer is on its way.
    pub fn soon(&self, change: impl FnOnce(&mut World) + Send + 'static) {
        let lab = self.lab.clone();
        tokio::spawn(async move {
            tokio::time::sleep(FLUSH).await;
            lab.with(change);
        });
    }

    fn actor(&self) -> String {
        self.lab.with(|world| crate::lab::kube::store::uuid(&mut world.random))
    }

    /// `what` is for control planes alone.
    fn control_plane_only(&self, vmid: u32, what: &str) -> Result<(), Status> {
        match self.read(vmid, |_, m| m.control_plane())? {
            true => Ok(()),
            false => Err(Status::unimplemented(format!("{what} is only available on control plane nodes"))),
        }
    }
}

fn data(bytes: impl Into<Vec<u8>>, metadata: &Option<common::Metadata>) -> common::Data {
    common::Data { metadata: metadata.clone(), bytes: bytes.into() }
}

fn service(id: &str, service: &Service) -> wire::ServiceInfo {
    let events = service
        .events
        .iter()
        .map(|e| wire::ServiceEvent {
            msg: e.message.clone(),
            state: e.state.as_str().into(),
            ts: Some(timestamp(e.at)),
        })
        .collect();
    wire::ServiceInfo {
        id: id.into(),
        state: service.state.as_str().into(),
        events: Some(wire::ServiceEvents { events }),
        health: Some(super::health(service)),
    }
}

fn members(world: &World, machine: &Machine) -> Result<Vec<wire::EtcdMember>, Status> {
    let etcd = running_etcd(machine)?;
    if !cluster::has_quorum(world, machine) {
        return Err(Status::unknown("etcdserver: no leader"));
    }
    let line = |member: cluster::Member<'_>| wire::EtcdMember {
        id: member.membership.id,
        hostname: member.hostname,
        peer_urls: vec![format!("https://{}:2380", member.address)],
        client_urls: vec![format!("https://{}:2379", member.address)],
        is_learner: member.membership.learner,
    };
    Ok(cluster::members(world, etcd.cluster).map(line).collect())
}

fn running_etcd(machine: &Machine) -> Result<&super::super::Membership, Status> {
    machine.etcd.as_ref().filter(|_| machine.services.get("etcd").is_some_and(Service::running)).ok_or_else(|| {
        Status::unknown("error building etcd client: dial tcp 127.0.0.1:2379: connect: connection refused")
    })
}

#[tonic::async_trait]
impl wire::machine_service_server::MachineService for Api {
    async fn apply_configuration(
        &self,
        request: Request<wire::ApplyConfigurationRequest>,
    ) -> Reply<wire::ApplyConfigurationResponse> {
        let (metadata, _, asked) = request.into_parts();
        self.0.each(
            &metadata,
            |messages| wire::ApplyConfigurationResponse { messages },
            |vmid| self.0.apply(vmid, &asked),
        )
    }

    async fn bootstrap(&self, request: Request<wire::BootstrapRequest>) -> Reply<wire::BootstrapResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::BootstrapResponse { messages },
            |vmid| {
                self.0.lab.with(|world| cluster::bootstrap(world, vmid))?;
                Ok(wire::Bootstrap::default())
            },
        )
    }

    async fn dmesg(&self, request: Request<wire::DmesgRequest>) -> Reply<BoxStream<common::Data>> {
        let (vmid, stamp) = self.0.target(request.metadata())?;
        let asked = request.into_inner();
        let node = self.0.clone();
        let mut position = if asked.tail { self.0.read(vmid, |_, m| m.dmesg.end())? } else { 0 };
        Ok(stream::follow(&self.0.lab, move |_| {
            let (items, end) = node.read(vmid, |_, m| {
                (m.dmesg.from(position).map(|(_, line)| data(line.as_bytes(), &stamp)).collect(), m.dmesg.end())
            })?;
            position = end;
            Ok(Look { items, more: asked.follow })
        }))
    }

    async fn etcd_member_list(
        &self,
        request: Request<wire::EtcdMemberListRequest>,
    ) -> Reply<wire::EtcdMemberListResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::EtcdMemberListResponse { messages },
            |vmid| {
                self.0.control_plane_only(vmid, "member list")?;
                let members = self.0.read(vmid, members)??;
                Ok(wire::EtcdMembers { members, ..Default::default() })
            },
        )
    }

    async fn etcd_status(&self, request: Request<()>) -> Reply<wire::EtcdStatusResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::EtcdStatusResponse { messages },
            |vmid| {
                self.0.control_plane_only(vmid, "etcd status")?;
                self.0.read(vmid, |world, machine| {
                    let etcd = running_etcd(machine)?;
                    // The first member leads for as long as it is there.
                    let leader = cluster::members(world, etcd.cluster).find(cluster::Member::healthy);
                    let index = 1000 + machine.events.end();
                    let status = wire::EtcdMemberStatus {
                        protocol_version: "3.5.21".into(),
                        db_size: 24 << 20,
                        db_size_in_use: 9 << 20,
                        leader: leader.map_or(0, |m| m.membership.id),
                        raft_index: index,
                        raft_term: 2,
                        raft_applied_index: index,
                        errors: Vec::new(),
                        is_learner: etcd.learner,
                        member_id: etcd.id,
                    };
                    Ok(wire::EtcdStatus { member_status: Some(status), ..Default::default() })
                })?
            },
        )
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Reply<BoxStream<wire::Event>> {
        let (vmid, stamp) = self.0.target(request.metadata())?;
        let asked = request.into_inner();
        let node = self.0.clone();
        let mut position = self.0.read(vmid, |world, m| tail(world, m, &asked))?;
        let mut greeted = false;
        Ok(stream::follow(&self.0.lab, move |lab| {
            // Readiness comes from Kubernetes, which tells no machine about it.
            if node.read(vmid, status::changed)? {
                lab.with(|world| status::tell(world, vmid));
            }
            let mut items = Vec::new();
            if !std::mem::replace(&mut greeted, true) {
                items.push(wire::Event {
                    data: Some(prost_types::Any::default()),
                    metadata: stamp.clone(),
                    ..Default::default()
                });
            }
            position = node.read(vmid, |_, m| {
                let wanted =
                    |e: &&super::super::Event| asked.with_actor_id.is_empty() || e.actor == asked.with_actor_id;
                items.extend(m.events.from(position).map(|(_, e)| e).filter(wanted).map(|e| wire::Event {
                    metadata: stamp.clone(),
                    data: Some(prost_types::Any { type_url: e.type_url.clone(), value: e.value.clone() }),
                    id: e.id.clone(),
                    actor_id: e.actor.clone(),
                }));
                m.events.end()
            })?;
            Ok(Look { items, more: true })
        }))
    }

    async fn generate_client_configuration(
        &self,
        request: Request<wire::GenerateClientConfigurationRequest>,
    ) -> Reply<wire::GenerateClientConfigurationResponse> {
        let (metadata, _, asked) = request.into_parts();
        self.0.each(
            &metadata,
            |messages| wire::GenerateClientConfigurationResponse { messages },
            |vmid| {
                if !self.0.read(vmid, |_, m| m.control_plane())? {
                    let text = "client configuration (talosconfig) can't be generated on worker nodes";
                    return Err(Status::failed_precondition(text));
                }
                let lasts = asked.crt_ttl.map_or(0, |ttl| ttl.seconds);
                if lasts <= 0 {
                    return Err(Status::invalid_argument("crt_ttl should be positive"));
                }
                let lasts = time::Duration::seconds(lasts);
                let made = self.0.read(vmid, |world, m| {
                    m.config.as_ref().map(|config| talosconfig::new(config, &asked.roles, lasts, world.now))
                })?;
                let made = made.unwrap_or_else(|| Err("the machine has no config".into())).map_err(Status::unknown)?;
                Ok(wire::GenerateClientConfiguration {
                    metadata: None,
                    ca: made.ca.into_bytes(),
                    crt: made.crt.into_bytes(),
                    key: made.key.into_bytes(),
                    talosconfig: made.text.into_bytes(),
                })
            },
        )
    }

    async fn hostname(&self, request: Request<()>) -> Reply<wire::HostnameResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::HostnameResponse { messages },
            |vmid| {
                let hostname = self.0.read(vmid, |_, m| m.hostname())?;
                Ok(wire::Hostname { hostname, ..Default::default() })
            },
        )
    }

    async fn kubeconfig(&self, request: Request<()>) -> Reply<BoxStream<common::Data>> {
        let (vmid, stamp) = self.0.target(request.metadata())?;
        self.0.control_plane_only(vmid, "kubeconfig")?;
        let text = self.0.read(vmid, |world, machine| {
            let config = machine.config.as_ref().ok_or_else(|| Status::unavailable("the machine has no config"))?;
            kubeconfig::text(config, world.now).map_err(Status::unknown)
        })??;
        Ok(stream::once(vec![data(kubeconfig::archive(text.as_bytes()), &stamp)]))
    }

    async fn load_avg(&self, request: Request<()>) -> Reply<wire::LoadAvgResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::LoadAvgResponse { messages },
            |vmid| {
                let busy = self.0.read(vmid, |_, m| m.services.values().filter(|s| s.running()).count())?;
                let load = busy as f64 * 0.07;
                Ok(wire::LoadAvg { load1: load, load5: load * 0.9, load15: load * 0.6, ..Default::default() })
            },
        )
    }

    async fn logs(&self, request: Request<wire::LogsRequest>) -> Reply<BoxStream<common::Data>> {
        let (vmid, stamp) = self.0.target(request.metadata())?;
        let asked = request.into_inner();
        let node = self.0.clone();
        let mut sent: Option<usize> = None;
        Ok(stream::follow(&self.0.lab, move |_| {
            let lines: Vec<String> = node
                .read(vmid, |_, m| {
                    let service = m.services.get(&asked.id)?;
                    Some(
                        service
                            .events
                            .iter()
                            .map(|e| format!("{} {}: {}\n", e.at, e.state.as_str(), e.message))
                            .collect(),
                    )
                })?
                .ok_or_else(|| Status::unknown(missing_log(&asked)))?;
            let skip = sent.unwrap_or_else(|| match usize::try_from(asked.tail_lines) {
                Ok(wanted) => lines.len().saturating_sub(wanted),
                Err(_) => 0,
            });
            sent = Some(lines.len());
            let items = lines.into_iter().skip(skip).map(|line| data(line, &stamp)).collect();
            Ok(Look { items, more: asked.follow })
        }))
    }

    async fn memory(&self, request: Request<()>) -> Reply<wire::MemoryResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::MemoryResponse { messages },
            |vmid| {
                let total = self.0.read(vmid, |_, m| m.vm.memory_mib * 1024)?;
                let meminfo = wire::MemInfo {
                    memtotal: total,
                    memfree: total / 2,
                    memavailable: total / 10 * 7,
                    buffers: 4096,
                    cached: total / 5,
                };
                Ok(wire::Memory { meminfo: Some(meminfo), ..Default::default() })
            },
        )
    }

    async fn mounts(&self, request: Request<()>) -> Reply<wire::MountsResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::MountsResponse { messages },
            |vmid| {
                let size = self.0.read(vmid, |_, m| m.vm.system_disk_gib << 30)?;
                let stat = |filesystem: &str, size: u64, mounted_on: &str| wire::MountStat {
                    filesystem: filesystem.into(),
                    size,
                    available: size / 10 * 8,
                    mounted_on: mounted_on.into(),
                };
                let stats = vec![stat("/dev/sda6", size, "/var"), stat("/dev/sda5", 100 << 20, "/system/state")];
                Ok(wire::Mounts { stats, ..Default::default() })
            },
        )
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Reply<BoxStream<common::Data>> {
        let (vmid, stamp) = self.0.target(request.metadata())?;
        let path = request.into_inner().path;
        let content = match path.as_str() {
            "/proc/sys/kernel/random/boot_id" => self.0.read(vmid, |_, m| format!("{}\n", m.boot_id))?,
            "/etc/os-release" => format!("NAME=\"Talos\"\nID=talos\nVERSION_ID={TALOS_VERSION}\n"),
            "/proc/cmdline" => "talos.platform=nocloud console=tty1 console=ttyS0 net.ifnames=0\n".into(),
            _ => return Err(Status::not_found(format!("stat {path}: no such file or directory"))),
        };
        Ok(stream::once(vec![data(content, &stamp)]))
    }

    async fn reboot(&self, request: Request<wire::RebootRequest>) -> Reply<wire::RebootResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::RebootResponse { messages },
            |vmid| {
                let actor_id = self.0.actor();
                let actor = actor_id.clone();
                self.0.soon(move |world| life::reboot(world, vmid, &actor));
                Ok(wire::Reboot { actor_id, ..Default::default() })
            },
        )
    }

    async fn reset(&self, request: Request<wire::ResetRequest>) -> Reply<wire::ResetResponse> {
        let (metadata, _, asked) = request.into_parts();
        self.0.each(
            &metadata,
            |messages| wire::ResetResponse { messages },
            |vmid| {
                let actor_id = self.0.actor();
                let actor = actor_id.clone();
                self.0.soon(move |world| life::reset(world, vmid, &actor, asked.graceful, asked.reboot));
                Ok(wire::Reset { actor_id, ..Default::default() })
            },
        )
    }

    async fn service_list(&self, request: Request<()>) -> Reply<wire::ServiceListResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::ServiceListResponse { messages },
            |vmid| {
                let services = self.0.read(vmid, |_, m| m.services.iter().map(|(id, s)| service(id, s)).collect())?;
                Ok(wire::ServiceList { services, ..Default::default() })
            },
        )
    }

    async fn shutdown(&self, request: Request<wire::ShutdownRequest>) -> Reply<wire::ShutdownResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::ShutdownResponse { messages },
            |vmid| {
                let actor_id = self.0.actor();
                let actor = actor_id.clone();
                self.0.soon(move |world| life::shutdown(world, vmid, &actor));
                Ok(wire::Shutdown { actor_id, ..Default::default() })
            },
        )
    }

    async fn version(&self, request: Request<()>) -> Reply<wire::VersionResponse> {
        self.0.each(
            request.metadata(),
            |messages| wire::VersionResponse { messages },
            |_| {
                Ok(wire::Version {
                    metadata: None,
                    version: Some(wire::VersionInfo {
                        tag: TALOS_VERSION.into(),
                        sha: "undefined".into(),
                        built: String::new(),
                        go_version: "go1.24.5".into(),
                        os: "linux".into(),
                        arch: "amd64".into(),
                    }),
                    platform: Some(wire::PlatformInfo { name: "nocloud".into(), mode: "cloud".into() }),
                    features: Some(wire::FeaturesInfo { rbac: true }),
                })
            },
        )
    }
}

/// The lab has the logs of Talos' own services, not those of pods.
fn missing_log(asked: &wire::LogsRequest) -> String {
    match asked.namespace.as_str() {
        "system" => format!("log {:?} was not registered", asked.id),
        _ => format!("container {:?} not found", asked.id),
    }
}

/// Where a stream of events begins.
fn tail(world: &World, machine: &Machine, asked: &wire::EventsRequest) -> u64 {
    let ring = &machine.events;
    let first_with = |wanted: &dyn Fn(&super::super::Event) -> bool| {
        ring.from(0).find(|(_, e)| wanted(e)).map_or(ring.end(), |(at, _)| at)
    };
    if !asked.tail_id.is_empty() {
        first_with(&|e| e.id > asked.tail_id)
    } else if asked.tail_seconds > 0 {
        let seconds = u64::from(asked.tail_seconds.unsigned_abs());
        first_with(&|e| between(e.at, world.now).as_secs() <= seconds)
    } else if asked.tail_events < 0 {
        0
    } else {
        ring.end().saturating_sub(u64::from(asked.tail_events.unsigned_abs()))
    }
}
