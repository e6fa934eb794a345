//! `machine.MachineService` of one machine.
use super::super::super::world::World;
use super::super::{Machine, Service, TALOS_VERSION, cluster, life, talosconfig};
use super::{Node, etcd, streams, timestamp};
use cozyup_talos_wire::{common, machine as wire};
use std::time::Duration;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};
use wire::reset_request::WipeMode;

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

    /// See [`Lab::change`](crate::world::Lab::change).
    async fn change<R: Send + 'static>(&self, method: &str, act: impl Future<Output = R> + Send + 'static) -> R {
        self.lab.change(format!("{method} vm {}", self.vmid), act).await
    }

    fn actor(&self) -> String {
        self.lab.with(|world| crate::kube::store::uuid(&mut world.random))
    }

    /// `what` is for control planes alone.
    pub fn control_plane_only(&self, vmid: u32, what: &str) -> Result<(), Status> {
        match self.read(vmid, |_, m| m.control_plane())? {
            true => Ok(()),
            false => Err(Status::unimplemented(format!("{what} is only available on control plane nodes"))),
        }
    }
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
    let etcd = etcd::running(machine).ok_or_else(|| Status::deadline_exceeded(etcd::LATE))?;
    if etcd.learner {
        return Err(Status::unknown("etcdserver: rpc not supported for learner"));
    }
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

/// The parts of the disk that a reset will wipe; a label names a partition, none means the disk as a whole.
fn wipe(asked: &wire::ResetRequest) -> Result<life::Wipe, Status> {
    let mode = asked.mode();
    if asked.system_partitions_to_wipe.is_empty() {
        return Ok(match mode {
            WipeMode::All | WipeMode::SystemDisk => life::Wipe::Disk,
            WipeMode::UserDisks => life::Wipe::Nothing,
        });
    }
    if mode == WipeMode::UserDisks {
        let text = "reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter";
        return Err(Status::unknown(text));
    }
    let known = ["META", "STATE", "EPHEMERAL"];
    if let Some(other) = asked.system_partitions_to_wipe.iter().find(|p| !known.contains(&p.label.as_str())) {
        let label = &other.label;
        return Err(Status::unknown(format!(
            "failed to get volume status with label {label:?}: resource \
             VolumeStatuses.block.talos.dev(runtime/{label}@undefined) doesn't exist"
        )));
    }
    let wiped = |label: &str| asked.system_partitions_to_wipe.iter().any(|p| p.label == label && p.wipe);
    Ok(life::Wipe::Partitions { state: wiped("STATE"), ephemeral: wiped("EPHEMERAL") })
}

#[tonic::async_trait]
impl wire::machine_service_server::MachineService for Api {
    async fn apply_configuration(
        &self,
        request: Request<wire::ApplyConfigurationRequest>,
    ) -> Reply<wire::ApplyConfigurationResponse> {
        let (metadata, _, asked) = request.into_parts();
        let (node, is_change) = (self.0.clone(), !asked.dry_run);
        let apply = async move {
            node.each(
                &metadata,
                |messages| wire::ApplyConfigurationResponse { messages },
                |vmid| node.apply(vmid, &asked),
            )
        };
        if is_change { self.0.change("ApplyConfiguration", apply).await } else { apply.await }
    }

    async fn bootstrap(&self, request: Request<wire::BootstrapRequest>) -> Reply<wire::BootstrapResponse> {
        let node = self.0.clone();
        let bootstrap = async move {
            node.each(
                request.metadata(),
                |messages| wire::BootstrapResponse { messages },
                |vmid| {
                    node.lab.with(|world| cluster::bootstrap(world, vmid))?;
                    Ok(wire::Bootstrap::default())
                },
            )
        };
        self.0.change("Bootstrap", bootstrap).await
    }

    async fn dmesg(&self, request: Request<wire::DmesgRequest>) -> Reply<BoxStream<common::Data>> {
        let (metadata, _, asked) = request.into_parts();
        self.0.stream(&metadata, |vmid, stamp| streams::dmesg(&self.0, vmid, stamp, &asked))
    }

    async fn etcd_member_list(
        &self,
        request: Request<wire::EtcdMemberListRequest>,
    ) -> Reply<wire::EtcdMemberListResponse> {
        etcd::dial(&self.0, request.metadata()).await;
        self.0.each(
            request.metadata(),
            |messages| wire::EtcdMemberListResponse { messages },
            |vmid| {
                self.0.control_plane_only(vmid, "member list")?;
                let members = self.0.read(vmid, members)??;
                let legacy_members = members.iter().map(|m| m.hostname.clone()).collect();
                Ok(wire::EtcdMembers { members, legacy_members, ..Default::default() })
            },
        )
    }

    async fn etcd_remove_member_by_id(
        &self,
        request: Request<wire::EtcdRemoveMemberByIdRequest>,
    ) -> Reply<wire::EtcdRemoveMemberByIdResponse> {
        etcd::dial(&self.0, request.metadata()).await;
        let (metadata, _, asked) = request.into_parts();
        self.0.each(
            &metadata,
            |messages| wire::EtcdRemoveMemberByIdResponse { messages },
            |vmid| {
                self.0.control_plane_only(vmid, "etcd remove member")?;
                self.0.lab.with(|world| etcd::remove_member(world, vmid, asked.member_id))?;
                Ok(wire::EtcdRemoveMemberById::default())
            },
        )
    }

    async fn etcd_snapshot(&self, request: Request<wire::EtcdSnapshotRequest>) -> Reply<BoxStream<common::Data>> {
        etcd::dial(&self.0, request.metadata()).await;
        self.0.stream(request.metadata(), |vmid, stamp| etcd::snapshot(&self.0, vmid, stamp))
    }

    async fn etcd_status(&self, request: Request<()>) -> Reply<wire::EtcdStatusResponse> {
        etcd::dial(&self.0, request.metadata()).await;
        self.0.each(
            request.metadata(),
            |messages| wire::EtcdStatusResponse { messages },
            |vmid| {
                self.0.control_plane_only(vmid, "etcd status")?;
                self.0.read(vmid, |world, machine| {
                    let etcd = etcd::running(machine).ok_or_else(|| {
                        Status::deadline_exceeded(format!("failed to query etcd status: {}", etcd::LATE))
                    })?;
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
        let (metadata, _, asked) = request.into_parts();
        self.0.stream(&metadata, |vmid, stamp| streams::events(&self.0, vmid, stamp, &asked))
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
        self.0.stream(request.metadata(), |vmid, stamp| streams::kubeconfig(&self.0, vmid, stamp))
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
        let (metadata, _, asked) = request.into_parts();
        self.0.stream(&metadata, |vmid, stamp| streams::logs(&self.0, vmid, stamp, &asked))
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
                let (size, system) = self.0.read(vmid, |_, m| (m.vm.system_disk_gib << 30, m.vm.system_disk()))?;
                let stat = |partition: u8, size: u64, mounted_on: &str| wire::MountStat {
                    filesystem: format!("/dev/{system}{partition}"),
                    size,
                    available: size / 10 * 8,
                    mounted_on: mounted_on.into(),
                };
                let stats = vec![stat(6, size, "/var"), stat(5, 100 << 20, "/system/state")];
                Ok(wire::Mounts { stats, ..Default::default() })
            },
        )
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Reply<BoxStream<common::Data>> {
        let (metadata, _, asked) = request.into_parts();
        self.0.stream(&metadata, |vmid, stamp| streams::read(&self.0, vmid, stamp, &asked.path))
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
                let wipe = wipe(&asked)?;
                let actor_id = self.0.actor();
                let actor = actor_id.clone();
                self.0.soon(move |world| life::reset(world, vmid, &actor, asked.graceful, asked.reboot, wipe));
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
