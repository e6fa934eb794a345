//! The Talos client against a small server of the generated stubs, over real sockets on port 50000.
use cozyup::base::secret::Secret;
use cozyup::talos::client::facts::Stage;
use cozyup::talos::secrets::{Bundle, ClientCertificate};
use cozyup::talos::watch::{Change, MACHINE_STATUS, SERVICES, wait_for_change};
use cozyup::talos::wire::common::{Data, NetIpPrefix};
use cozyup::talos::wire::cosi::resource::state_server::{State, StateServer};
use cozyup::talos::wire::cosi::resource::{
    Event, EventType, GetRequest, GetResponse, ListRequest, ListResponse, Metadata, Resource, Spec, WatchRequest,
    WatchResponse,
};
use cozyup::talos::wire::machine::machine_service_server::{MachineService, MachineServiceServer};
use cozyup::talos::wire::machine::{self, ServiceInfo, VersionInfo};
use cozyup::talos::wire::talos::resource::definitions::{block, network, runtime};
use cozyup::talos::{Changer, Distrust, Error, Maintenance, NodeState, Secure, SpkiFingerprint, state_of};
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use prost::Message;
use rcgen::{CertificateParams, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status};

static OURS: LazyLock<Bundle> = LazyLock::new(|| Bundle::generate(Timestamp::now()).unwrap());
pub(super) static THEIRS: LazyLock<Bundle> = LazyLock::new(|| Bundle::generate(Timestamp::now()).unwrap());

fn admin(bundle: &Bundle) -> ClientCertificate {
    bundle.admin_certificate(Timestamp::now()).unwrap()
}

/// A node as a value; the stage is shared with the test.
#[derive(Clone)]
pub(super) struct Fake {
    stage: Arc<Mutex<runtime::MachineStage>>,
    changed: Arc<Notify>,
    watched: Arc<Notify>,
    bootstrap: Arc<Mutex<Result<(), Status>>>,
    applied: Arc<Mutex<Vec<String>>>,
    /// In place of an answer to a config.
    no_config: Arc<Mutex<Option<Status>>>,
    resets: Arc<Mutex<Vec<machine::ResetRequest>>>,
    /// How long etcd takes for an answer.
    etcd_takes: Arc<Mutex<Duration>>,
    maintenance: bool,
}

impl Fake {
    pub(super) fn new(maintenance: bool) -> Self {
        let stage = if maintenance { runtime::MachineStage::Maintenance } else { runtime::MachineStage::Booting };
        Fake {
            stage: Arc::new(Mutex::new(stage)),
            changed: Arc::default(),
            watched: Arc::default(),
            bootstrap: Arc::new(Mutex::new(Ok(()))),
            applied: Arc::default(),
            no_config: Arc::default(),
            resets: Arc::default(),
            etcd_takes: Arc::default(),
            maintenance,
        }
    }

    fn machine_status(&self) -> Resource {
        let unmet = runtime::UnmetCondition { name: "services".into(), reason: "etcd not running".into() };
        let spec = runtime::MachineStatusSpec {
            stage: (*self.stage.lock().unwrap()).into(),
            status: Some(runtime::MachineStatusStatus { ready: false, unmet_conditions: vec![unmet] }),
        };
        resource("machine", "stage: booting\n", &spec)
    }
}

fn resource(id: &str, yaml: &str, spec: &impl Message) -> Resource {
    Resource {
        metadata: Some(Metadata { id: id.into(), version: "1".into(), phase: "running".into(), ..Metadata::default() }),
        spec: Some(Spec { proto_spec: spec.encode_to_vec(), yaml_spec: yaml.into() }),
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl State for Fake {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let request = request.into_inner();
        let found = match request.r#type.as_str() {
            "MachineStatuses.runtime.talos.dev" => self.machine_status(),
            "Versions.runtime.talos.dev" => {
                resource("version", "version: v1.10.6\n", &runtime::VersionSpec { version: "v1.10.6".into() })
            }
            other => return Err(Status::permission_denied(format!("resource type {other:?} is not supported"))),
        };
        assert_eq!(found.metadata.as_ref().unwrap().id, request.id);
        Ok(Response::new(GetResponse { resource: Some(found) }))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Answers<ListResponse>>, Status> {
        let found = match request.into_inner().r#type.as_str() {
            "LinkStatuses.net.talos.dev" => vec![resource(
                "eth0",
                "hardwareAddr: bc:24:11:00:00:11\n",
                &network::LinkStatusSpec {
                    hardware_addr: vec![0xbc, 0x24, 0x11, 0, 0, 0x11],
                    operational_state: 6,
                    ..Default::default()
                },
            )],
            "AddressStatuses.net.talos.dev" => vec![resource(
                "eth0/10.0.0.201/24",
                "address: 10.0.0.201/24\n",
                &network::AddressStatusSpec {
                    address: Some(NetIpPrefix { ip: vec![10, 0, 0, 201], prefix_length: 24 }),
                    link_name: "eth0".into(),
                    ..Default::default()
                },
            )],
            "Disks.block.talos.dev" => vec![
                resource(
                    "sda",
                    &format!("dev_path: /dev/sda\n{}", crate::talos_limits::padding()),
                    &block::DiskSpec { size: 50 << 30, dev_path: "/dev/sda".into(), ..Default::default() },
                ),
                resource(
                    "sr0",
                    &format!("cdrom: true\n{}", crate::talos_limits::padding()),
                    &block::DiskSpec { cdrom: true, dev_path: "/dev/sr0".into(), ..Default::default() },
                ),
            ],
            "ExtensionStatuses.runtime.talos.dev" => {
                let metadata =
                    runtime::ExtensionMetadata { name: "drbd".into(), version: "9.2.13".into(), ..Default::default() };
                let spec = runtime::ExtensionStatusSpec { image: "000.sqsh".into(), metadata: Some(metadata) };
                vec![resource("0", "metadata: {}\n", &spec)]
            }
            other => return Err(Status::permission_denied(format!("resource type {other:?} is not supported"))),
        };
        let items: Vec<_> = found.into_iter().map(|r| Ok(ListResponse { resource: Some(r) })).collect();
        Ok(Response::new(stream::iter(items).boxed()))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Answers<WatchResponse>>, Status> {
        let request = request.into_inner();
        assert_eq!(request.api_version, 1);
        let event = |fake: &Fake, kind: EventType| Event {
            resource: Some(fake.machine_status()),
            event_type: kind.into(),
            ..Event::default()
        };
        let mut start = vec![event(self, EventType::Created)];
        if request.id.is_none() {
            start.extend([event(self, EventType::Created), event(self, EventType::Bootstrapped)]);
        }
        let hello = [Ok(WatchResponse { event: vec![] }), Ok(WatchResponse { event: start })];
        let fake = self.clone();
        fake.watched.notify_one();
        let later = stream::once(async move {
            fake.changed.notified().await;
            Ok(WatchResponse { event: vec![event(&fake, EventType::Updated)] })
        });
        Ok(Response::new(stream::iter(hello).chain(later).chain(stream::pending()).boxed()))
    }
}

#[tonic::async_trait]
impl MachineService for Fake {
    async fn version(&self, _: Request<()>) -> Result<Response<machine::VersionResponse>, Status> {
        if self.maintenance {
            return Err(Status::unimplemented("API is not implemented in maintenance mode"));
        }
        let version = VersionInfo { tag: "v1.10.6".into(), ..VersionInfo::default() };
        let message = machine::Version { version: Some(version), ..machine::Version::default() };
        Ok(Response::new(machine::VersionResponse { messages: vec![message] }))
    }

    async fn apply_configuration(
        &self,
        request: Request<machine::ApplyConfigurationRequest>,
    ) -> Result<Response<machine::ApplyConfigurationResponse>, Status> {
        let request = request.into_inner();
        let text = String::from_utf8(request.data).unwrap();
        if let Some(refused) = self.no_config.lock().unwrap().clone() {
            return Err(refused);
        }
        if !text.starts_with("version: v1alpha1") {
            return Err(Status::invalid_argument("configuration validation failed: no version"));
        }
        if !request.dry_run {
            self.applied.lock().unwrap().push(text);
        }
        let message = machine::ApplyConfiguration { warnings: vec!["mind the gap".into()], ..Default::default() };
        Ok(Response::new(machine::ApplyConfigurationResponse { messages: vec![message] }))
    }

    async fn bootstrap(
        &self,
        _: Request<machine::BootstrapRequest>,
    ) -> Result<Response<machine::BootstrapResponse>, Status> {
        self.bootstrap.lock().unwrap().clone()?;
        *self.bootstrap.lock().unwrap() = Err(Status::already_exists("etcd data directory is not empty"));
        Ok(Response::new(machine::BootstrapResponse { messages: vec![machine::Bootstrap::default()] }))
    }

    async fn reset(&self, request: Request<machine::ResetRequest>) -> Result<Response<machine::ResetResponse>, Status> {
        self.resets.lock().unwrap().push(request.into_inner());
        Ok(Response::new(machine::ResetResponse { messages: vec![machine::Reset::default()] }))
    }

    async fn service_list(&self, _: Request<()>) -> Result<Response<machine::ServiceListResponse>, Status> {
        let healthy = machine::ServiceHealth { healthy: true, ..Default::default() };
        let event = machine::ServiceEvent { msg: "Running pre state".into(), ..Default::default() };
        let services = vec![
            ServiceInfo { id: "apid".into(), state: "Running".into(), health: Some(healthy), ..Default::default() },
            ServiceInfo {
                id: "etcd".into(),
                state: "Preparing".into(),
                events: Some(machine::ServiceEvents { events: vec![event] }),
                health: Some(machine::ServiceHealth { unknown: true, ..Default::default() }),
            },
        ];
        let message = machine::ServiceList { metadata: None, services };
        Ok(Response::new(machine::ServiceListResponse { messages: vec![message] }))
    }

    async fn etcd_member_list(
        &self,
        request: Request<machine::EtcdMemberListRequest>,
    ) -> Result<Response<machine::EtcdMemberListResponse>, Status> {
        assert!(request.into_inner().query_local);
        let takes = *self.etcd_takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        let member = machine::EtcdMember {
            id: u64::MAX,
            hostname: "cp1".into(),
            peer_urls: vec!["https://10.0.0.201:2380".into()],
            is_learner: true,
            ..Default::default()
        };
        let message = machine::EtcdMembers { members: vec![member], ..Default::default() };
        Ok(Response::new(machine::EtcdMemberListResponse { messages: vec![message] }))
    }

    async fn dmesg(&self, _: Request<machine::DmesgRequest>) -> Result<Response<Answers<Data>>, Status> {
        let line = |n: i32| Ok(Data { metadata: None, bytes: format!("line {n}").into_bytes() });
        Ok(Response::new(stream::iter((1..=5).map(line).collect::<Vec<_>>()).boxed()))
    }
}

/// Serves `fake` on port 50000 of `address`, with a certificate of `signer`; with `clients` only those get in.
/// Gives the server's SPKI fingerprint through the first connection of whoever asks.
pub async fn serve(fake: &Fake, address: Ipv4Addr, signer: &Bundle, mutual: bool) -> tokio::task::JoinHandle<()> {
    let file: serde_yaml::Value = serde_yaml::from_str(signer.to_yaml().unwrap().expose()).unwrap();
    let decoded = |key: &str| {
        use base64::Engine;
        let text = file["certs"]["os"][key].as_str().unwrap();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
    };
    let ca_pem = decoded("crt");
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, KeyPair::from_pem(&decoded("key")).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(address))];
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = if mutual {
        let ca = x509_parser::pem::parse_x509_pem(ca_pem.as_bytes()).unwrap().1.contents;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca)).unwrap();
        builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
        )
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![leaf.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((address, 50000)).await.unwrap();
    let incoming = stream::unfold((listener, acceptor), |(listener, acceptor)| async {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(tls) = acceptor.accept(tcp).await {
                return Some((Ok::<_, std::io::Error>(tls), (listener, acceptor)));
            }
        }
    });
    let (machine, state) = (MachineServiceServer::new(fake.clone()), StateServer::new(fake.clone()));
    tokio::spawn(async move {
        tonic::transport::Server::builder()
            .add_service(machine)
            .add_service(state)
            .serve_with_incoming(incoming)
            .await
            .unwrap();
    })
}

pub(super) fn at(host: u8) -> (Ipv4Addr, IpAddr) {
    let address = Ipv4Addr::new(127, 99, 50, host);
    (address, IpAddr::V4(address))
}

#[tokio::test]
async fn a_node_in_maintenance_shows_what_it_is_and_takes_a_config_from_the_pinned_connection() {
    let (bind, address) = at(1);
    let fake = Fake::new(true);
    let _server = serve(&fake, bind, &THEIRS, false).await;
    let node = Maintenance::connect(address).await.unwrap();

    let stage = node.machine_stage().await.unwrap();
    assert_eq!(stage.value, Stage::Maintenance);
    assert_eq!(stage.asked, "cosi get MachineStatuses.runtime.talos.dev/machine");
    assert_eq!(stage.by_hand, "talosctl -n 127.99.50.1 get machinestatus machine -o yaml --insecure");
    assert_eq!(node.version().await.unwrap().value, "v1.10.6");
    let links = node.links().await.unwrap();
    assert_eq!((links.value[0].mac.as_str(), links.value[0].up), ("bc:24:11:00:00:11", true));
    assert_eq!(links.raw, "eth0:\n  hardwareAddr: bc:24:11:00:00:11\n");
    let addresses = node.addresses().await.unwrap().value;
    assert_eq!((addresses[0].address.to_string().as_str(), addresses[0].prefix), ("10.0.0.201", 24));
    let disks = node.disks().await.unwrap().value;
    assert_eq!((disks[0].dev_path.as_str(), disks[0].size, disks[1].cdrom), ("/dev/sda", 50 << 30, true));
    assert_eq!(node.extensions().await.unwrap().value, [("drbd".to_string(), "9.2.13".to_string())]);

    let pin = node.fingerprint().unwrap().clone();
    let config = Secret::new("version: v1alpha1\n".to_string());
    node.dry_run(&config).await.unwrap();
    assert!(fake.applied.lock().unwrap().is_empty());
    let applied = Changer::new().apply_maintenance(address, &pin, &config).await.unwrap();
    assert_eq!(applied.value.warnings, ["mind the gap"]);
    assert_eq!(fake.applied.lock().unwrap().len(), 1);

    let error = Changer::new().apply_maintenance(address, &pin, &Secret::new("x".to_string())).await.unwrap_err();
    assert!(matches!(&error, Error::ConfigRefused { text } if text.contains("validation failed")), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_config_with_secrets_never_reaches_a_node_with_another_key() {
    let (bind, address) = at(2);
    let fake = Fake::new(true);
    let _server = serve(&fake, bind, &THEIRS, false).await;
    let other: SpkiFingerprint = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap();
    let config = Secret::new("version: v1alpha1\n".to_string());
    for error in [
        Maintenance::connect_pinned(address, &other).await.unwrap_err(),
        Changer::new().apply_maintenance(address, &other, &config).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Untrusted { why: Distrust::OtherKey, .. }), "{error}");
    }
    assert!(fake.applied.lock().unwrap().is_empty());
    let seen = Maintenance::connect(address).await.unwrap().fingerprint().unwrap().clone();
    Maintenance::connect_pinned(address, &seen).await.unwrap().version().await.unwrap();
}

#[tokio::test]
async fn a_configured_node_is_read_over_mutual_tls() {
    let (bind, address) = at(3);
    let fake = Fake::new(false);
    let _server = serve(&fake, bind, &OURS, true).await;
    let node = Secure::connect(address, &admin(&OURS)).await.unwrap();
    let version = node.version().await.unwrap();
    assert_eq!((version.value.as_str(), version.asked.as_str()), ("v1.10.6", "machine.MachineService/Version"));
    let status = node.machine_status().await.unwrap().value;
    assert_eq!((status.stage, status.ready), (Stage::Booting, false));
    assert_eq!(status.unmet, [("services".to_string(), "etcd not running".to_string())]);
    let services = node.services().await.unwrap().value;
    assert_eq!((services[0].healthy, services[1].healthy), (Some(true), None));
    assert_eq!(services[1].last_message, "Running pre state");
    let members = node.etcd_members().await.unwrap();
    assert_eq!((members.value[0].id, members.value[0].learner), (u64::MAX, true));
    assert!(members.raw.contains("ffffffffffffffff"), "{}", members.raw);
    assert_eq!(node.dmesg(2).await.unwrap().value, ["line 4", "line 5"]);
    let error = node.etcd_status().await.unwrap_err();
    assert!(matches!(error, Error::Refused { code: tonic::Code::Unimplemented, .. }), "{error}");
}

#[tokio::test]
async fn the_state_of_a_node_is_told_by_whom_it_lets_in() {
    let ours = admin(&OURS);
    let (bind, address) = at(4);
    let down = state_of(address, Some(&ours)).await;
    assert!(matches!(&down.value, NodeState::Down(why) if why.contains("refused")), "{:?}", down.value);

    let fake = Fake::new(true);
    let server = serve(&fake, bind, &THEIRS, false).await;
    assert_eq!(state_of(address, Some(&ours)).await.value, NodeState::Maintenance);
    assert_eq!(state_of(address, None).await.value, NodeState::Maintenance);
    *fake.stage.lock().unwrap() = runtime::MachineStage::Booting;
    let leaving = state_of(address, Some(&ours)).await.value;
    assert!(matches!(&leaving, NodeState::Down(why) if why.contains("booting")), "{leaving:?}");
    server.abort();
    let _ = server.await;

    let (bind, address) = at(5);
    let _server = serve(&Fake::new(false), bind, &OURS, true).await;
    // The alert comes after the handshake and races with the first call: ask often.
    for _ in 0..25 {
        let configured = state_of(address, Some(&ours)).await;
        assert_eq!(configured.value, NodeState::Configured);
        assert!(configured.raw.contains("v1.10.6"), "{}", configured.raw);
        let asks = state_of(address, None).await.value;
        assert!(matches!(&asks, NodeState::Foreign(why) if why.contains("asks for a client certificate")), "{asks:?}");
        let other = state_of(address, Some(&admin(&THEIRS))).await.value;
        assert!(matches!(&other, NodeState::Foreign(why) if why.contains("not one of this cluster")), "{other:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_of_another_cluster_is_refused_and_said_so() {
    let (bind, address) = at(6);
    let _server = serve(&Fake::new(false), bind, &OURS, true).await;
    let theirs = admin(&THEIRS);
    let mixed = ClientCertificate { ca_pem: admin(&OURS).ca_pem, ..theirs };
    for _ in 0..25 {
        let error = match Secure::connect(address, &mixed).await {
            Ok(node) => node.version().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, Error::Untrusted { why: Distrust::OursRefused, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_second_bootstrap_is_told_from_one_too_early() {
    let (bind, address) = at(7);
    let fake = Fake::new(false);
    let _server = serve(&fake, bind, &OURS, true).await;
    let (change, ours) = (Changer::new(), admin(&OURS));
    *fake.bootstrap.lock().unwrap() = Err(Status::failed_precondition("bootstrap is not available yet"));
    let early = change.bootstrap(address, &ours).await.unwrap_err();
    assert!(matches!(&early, Error::BootstrapTooEarly { text } if text == "bootstrap is not available yet"), "{early}");
    assert!(early.is_transient());
    *fake.bootstrap.lock().unwrap() = Err(Status::failed_precondition("time is not in sync yet"));
    let clockless = change.bootstrap(address, &ours).await.unwrap_err();
    assert!(matches!(clockless, Error::TimeNotInSync { .. }), "{clockless}");
    assert!(!clockless.is_transient(), "somebody has to let the node reach its time servers");
    *fake.bootstrap.lock().unwrap() = Ok(());
    change.bootstrap(address, &ours).await.unwrap();
    let second = change.bootstrap(address, &ours).await.unwrap_err();
    assert!(matches!(second, Error::AlreadyBootstrapped), "{second}");
}

/// talos.md 2: with no label Talos wipes the whole disk, its boot loader too.
#[tokio::test]
async fn a_reset_names_the_partitions_and_leaves_what_boots() {
    let (bind, address) = at(9);
    let fake = Fake::new(false);
    let _server = serve(&fake, bind, &OURS, true).await;
    let answer = Changer::new().reset(address, &admin(&OURS), false).await.unwrap();
    let asked = fake.resets.lock().unwrap().remove(0);
    let labels: Vec<_> = asked.system_partitions_to_wipe.iter().map(|p| (p.label.as_str(), p.wipe)).collect();
    assert_eq!(labels, [("STATE", true), ("EPHEMERAL", true)]);
    assert!(asked.reboot && asked.user_disks_to_wipe.is_empty());
    let by_hand = "reset --graceful=false --system-labels-to-wipe STATE --system-labels-to-wipe EPHEMERAL --reboot";
    assert!(answer.by_hand.ends_with(by_hand), "{}", answer.by_hand);
}

/// reports.md B37
#[tokio::test]
async fn why_a_config_is_not_taken_is_a_cause_and_not_only_a_text() {
    let (bind, address) = at(10);
    let fake = Fake::new(true);
    let _server = serve(&fake, bind, &OURS, false).await;
    let config = cozyup::base::secret::Secret::new("version: v1alpha1".to_string());
    let node = Maintenance::connect(address).await.unwrap();
    let refused = async |status: Status| {
        *fake.no_config.lock().unwrap() = Some(status);
        node.dry_run(&config).await.unwrap_err()
    };
    for text in [
        "configuration validation failed: 1 error occurred: * specified install disk does not exist: /dev/sda",
        "runtime configuration validation failed: no disks matched the expression: disk.size >= 1u",
    ] {
        let error = refused(Status::invalid_argument(text)).await;
        assert!(matches!(&error, Error::InstallDisk { text: said } if said == text), "{error:?}");
    }
    let unread = refused(Status::unknown("failed to parse config: unknown keys found during decoding:")).await;
    assert!(matches!(unread, Error::ConfigRefused { .. }), "{unread:?}");
    let invalid = refused(Status::invalid_argument("configuration validation failed: x")).await;
    assert!(matches!(invalid, Error::ConfigRefused { .. }), "{invalid:?}");
    let other = refused(Status::unimplemented("API is not implemented in agent mode")).await;
    assert!(matches!(other, Error::Refused { .. }), "{other:?}");
}

/// talos.md 3
#[tokio::test]
async fn an_etcd_that_does_not_answer_is_not_a_node_that_is_away() {
    let (bind, address) = at(11);
    let fake = Fake::new(false);
    let _server = serve(&fake, bind, &OURS, true).await;
    *fake.etcd_takes.lock().unwrap() = Duration::from_secs(60);
    let node = Secure::connect(address, &admin(&OURS)).await.unwrap();
    let silent = node.etcd_members().await.unwrap_err();
    assert!(matches!(silent, Error::EtcdSilent { .. }) && silent.is_transient(), "{silent:?}");
    assert!(silent.to_string().contains("answers, but its etcd has not"), "{silent}");
}

#[tokio::test]
async fn a_watch_ends_at_the_first_event_after_its_start_or_at_the_deadline() {
    let (bind, address) = at(8);
    let fake = Fake::new(false);
    let _server = serve(&fake, bind, &OURS, true).await;
    let ours = admin(&OURS);
    let long = Duration::from_secs(60);
    for (kind, id) in [(MACHINE_STATUS, Some("machine")), (SERVICES, None)] {
        let change = async {
            fake.watched.notified().await;
            fake.changed.notify_one();
        };
        let (seen, ()) = tokio::join!(wait_for_change(address, &ours, kind, id, long), change);
        assert_eq!(seen.unwrap(), Change::Seen);
    }
    let quiet = wait_for_change(address, &ours, MACHINE_STATUS, Some("machine"), Duration::from_millis(300)).await;
    assert_eq!(quiet.unwrap(), Change::None);
}
