//! The lab's Talos nodes over real sockets, asked with the generated clients.
use cozyup::base::clock::Clock;
use cozyup::base::secret::Secret;
use cozyup::base::tls::install_provider;
use cozyup::base::tls::{ByLeaf, Judge};
use cozyup::lab::machine;
use cozyup::lab::net;
use cozyup::lab::scenario::Scenario;
use cozyup::lab::world::{Lab, World};
use cozyup::talos::config::{self, NodeConfig, Place};
use cozyup::talos::secrets::{Bundle, ClientCertificate};
use cozyup::talos::wire::cluster::HealthCheckRequest;
use cozyup::talos::wire::cluster::cluster_service_client::ClusterServiceClient;
use cozyup::talos::wire::cosi::resource::state_client::StateClient;
use cozyup::talos::wire::cosi::resource::{EventType, GetRequest, ListRequest, WatchOptions, WatchRequest};
use cozyup::talos::wire::machine::machine_service_client::MachineServiceClient;
use cozyup::talos::wire::machine::{
    ApplyConfigurationRequest, BootstrapRequest, EtcdMemberListRequest, EventsRequest, ReadRequest, RebootRequest,
};
use cozyup::talos::wire::talos::resource::definitions::runtime::{MachineStage, MachineStatusSpec};
use cozyup::talos::{Changer, Maintenance, NodeState, Secure, state_of};
use fixture::{Secrets, admin, vm};
use futures::StreamExt;
use prost::Message;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::pki_types::CertificateDer;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};

#[path = "../../src/lab/machine/fixture.rs"]
mod fixture;
use cozyup::lab::machine::outside;

/// Lab seconds per second.
const SPEED: f64 = 300.0;
/// Where a net is claimed; nothing of a lab is there.
const CLAIM: u8 = 3;
const CLAIM_PORT: u16 = 8005;
const STATUS: &str = "MachineStatuses.runtime.talos.dev";

struct Site {
    lab: Lab,
    secrets: Secrets,
    /// Ends with the test, as the next one does.
    _claim: std::net::TcpListener,
    _running: tokio::task::JoinSet<()>,
}

/// A net that no other test has, also not one of another process, and the socket that claims it.
fn free_net() -> (u8, std::net::TcpListener) {
    let claimed = |net: u8| std::net::TcpListener::bind((Ipv4Addr::new(127, 86, net, CLAIM), CLAIM_PORT)).ok();
    (1..=254).find_map(|net| Some((net, claimed(net)?))).expect("a net that is free")
}

impl Site {
    /// A lab whose /24 is `127.86.NET.0`: every test has sockets of its own.
    fn new() -> Self {
        install_provider();
        let (net, claim) = free_net();
        let scenario: Scenario = serde_yaml::from_str(include_str!("../../assets/lab/standard.yaml")).unwrap();
        let clock = Clock::scaled(jiff::Timestamp::now(), SystemTime::now(), SPEED);
        let world = World::new(scenario, Ipv4Addr::new(127, 86, net, 0), clock.now());
        let lab = Lab::new(world, clock);
        let mut running = tokio::task::JoinSet::new();
        let (timers, sockets) = (lab.clone(), lab.clone());
        running.spawn(async move { timers.run_timers().await });
        running.spawn(async move { net::run(sockets, tokio::sync::mpsc::unbounded_channel().0).await });
        Site { lab, secrets: Secrets::in_net(net), _claim: claim, _running: running }
    }

    fn start(&self, vmid: u32, address: u8) {
        let vm = vm(&format!("vm{vmid}"), self.secrets.net, address);
        self.lab.with(|w| machine::start(w, vmid, vm));
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 86, self.secrets.net, host)
    }

    fn at(&self, host: u8) -> String {
        format!("https://{}:50000", self.address(host))
    }

    async fn insecure(&self, host: u8) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new();
        Endpoint::from_shared(self.at(host))
            .unwrap()
            .tls_config_with_verifier(tls, ByLeaf::new(Anybody))
            .unwrap()
            .connect()
            .await
    }

    async fn secure(&self, host: u8, (crt, key): (String, String)) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.secrets.os_ca()))
            .identity(Identity::from_pem(crt, key));
        Endpoint::from_shared(self.at(host)).unwrap().tls_config(tls).unwrap().connect().await
    }

    async fn admin(&self, host: u8) -> Channel {
        eventually("the secure API", || self.secure(host, admin(&self.secrets))).await
    }

    async fn apply(&self, host: u8, text: String) {
        let channel = eventually("maintenance", || self.insecure(host)).await;
        let request = ApplyConfigurationRequest { data: text.into_bytes(), mode: 1, ..Default::default() };
        let reply = MachineServiceClient::new(channel).apply_configuration(request).await.unwrap().into_inner();
        assert_eq!(reply.messages.len(), 1);
    }

    async fn configured(&self, vmid: u32, host: u8) -> Channel {
        self.start(vmid, host);
        self.apply(host, self.secrets.control_plane(&format!("cp{host}"), &self.secrets.address(host))).await;
        self.admin(host).await
    }
}

/// Tries again until it works; at most 300 s of the wall.
async fn eventually<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut f: impl FnMut() -> F,
) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    loop {
        match f().await {
            Ok(value) => return value,
            Err(e) if tokio::time::Instant::now() > deadline => panic!("{what}: {e:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// `--insecure`.
#[derive(Debug)]
struct Anybody;

impl Judge for Anybody {
    fn judge(&self, _: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        Ok(())
    }
}

fn watch(contents: bool, id: Option<&str>) -> WatchRequest {
    WatchRequest {
        namespace: "runtime".into(),
        r#type: STATUS.into(),
        id: id.map(str::to_string),
        options: Some(WatchOptions { bootstrap_contents: contents, ..Default::default() }),
        api_version: 1,
    }
}

fn get(namespace: &str, kind: &str, id: &str) -> GetRequest {
    GetRequest { namespace: namespace.into(), r#type: kind.into(), id: id.into(), options: None }
}

#[tokio::test]
async fn maintenance_mode_allows_what_talos_allows() {
    let site = Site::new();
    site.start(1001, 201);
    let channel = eventually("maintenance", || site.insecure(201)).await;
    let mut state = StateClient::new(channel.clone());
    let mut request = Request::new(get("runtime", STATUS, "machine"));
    // The Go client sends an empty node.
    request.metadata_mut().insert("node", "".parse().unwrap());
    let resource = state.get(request).await.unwrap().into_inner().resource.unwrap();
    let spec = MachineStatusSpec::decode(resource.spec.clone().unwrap().proto_spec.as_slice()).unwrap();
    assert_eq!(spec.stage(), MachineStage::Maintenance);
    assert!(resource.spec.unwrap().yaml_spec.starts_with("stage: maintenance\n"));
    let disks: Vec<_> = state
        .list(ListRequest { namespace: "runtime".into(), r#type: "Disks.block.talos.dev".into(), ..Default::default() })
        .await
        .unwrap()
        .into_inner()
        .map(|d| d.unwrap().resource.unwrap().metadata.unwrap().id)
        .collect()
        .await;
    assert_eq!(disks, ["loop0", "sda", "sdb", "sr0"]);
    let role = state.get(get("config", "MachineTypes.config.talos.dev", "machine-type")).await.unwrap().into_inner();
    assert_eq!(role.resource.unwrap().spec.unwrap().yaml_spec, "unknown\n");
    let config = state.get(get("config", "MachineConfigs.config.talos.dev", "v1alpha1")).await.unwrap_err();
    assert_eq!((config.code(), config.message()), (Code::PermissionDenied, "not authorized"));
    let nothing = state.get(get("runtime", "Nothings.talos.dev", "x")).await.unwrap_err();
    assert_eq!(nothing.message(), "resource type \"Nothings.talos.dev\" is not supported");
    let nowhere = state.get(get("", STATUS, "machine")).await.unwrap_err();
    assert_eq!(nowhere.message(), "namespace \"\" is not supported");
    let mut machine = MachineServiceClient::new(channel);
    let version = machine.version(()).await.unwrap_err();
    assert_eq!(
        (version.code(), version.message()),
        (Code::Unimplemented, "API is not implemented in maintenance mode")
    );
    let bootstrap = machine.bootstrap(BootstrapRequest::default()).await.unwrap_err();
    assert_eq!(bootstrap.message(), "method Bootstrap not implemented");
    let staged =
        machine.apply_configuration(ApplyConfigurationRequest { mode: 3, ..Default::default() }).await.unwrap_err();
    assert_eq!(staged.code(), Code::Unimplemented);
    let dry = ApplyConfigurationRequest {
        data: site.secrets.control_plane("cp1", &site.secrets.address(201)).into_bytes(),
        mode: 1,
        dry_run: true,
        ..Default::default()
    };
    let dry = machine.apply_configuration(dry).await.unwrap().into_inner();
    assert!(dry.messages[0].mode_details.contains("maintenance mode and does not have a config yet"));
}

#[tokio::test]
async fn three_control_planes_form_one_etcd_and_a_bootstrap_once_it_has_data_is_refused() {
    let site = Site::new();
    for (vmid, host) in [(1001, 201), (1002, 202), (1003, 203)] {
        site.start(vmid, host);
    }
    for host in [201, 202, 203] {
        site.apply(host, site.secrets.control_plane(&format!("cp{host}"), &site.secrets.address(host))).await;
    }
    let mut first = MachineServiceClient::new(site.admin(201).await);
    eventually("bootstrap", || {
        let mut first = first.clone();
        async move { first.bootstrap(BootstrapRequest::default()).await }
    })
    .await;
    let third = MachineServiceClient::new(site.admin(203).await);
    let members = eventually("three members", || {
        let mut third = third.clone();
        async move {
            let reply = third.etcd_member_list(EtcdMemberListRequest::default()).await.map_err(|e| e.to_string())?;
            let members = reply.into_inner().messages.remove(0).members;
            let full = members.len() == 3 && members.iter().all(|m| !m.is_learner);
            if full { Ok(members) } else { Err(format!("{members:?}")) }
        }
    })
    .await;
    assert_eq!(members.iter().map(|m| m.hostname.as_str()).collect::<Vec<_>>(), ["cp201", "cp202", "cp203"]);
    let again = first.bootstrap(BootstrapRequest::default()).await.unwrap_err();
    assert_eq!((again.code(), again.message()), (Code::AlreadyExists, "etcd data directory is not empty"));
    // The VIP answers with a certificate that names it.
    let mut vip = MachineServiceClient::new(site.admin(100).await);
    assert_eq!(vip.hostname(()).await.unwrap().into_inner().messages[0].hostname, "cp201");
    let mut kubeconfig = first.kubeconfig(()).await.unwrap().into_inner();
    assert!(kubeconfig.next().await.unwrap().unwrap().bytes.starts_with(&[0x1f, 0x8b]));
    // Through one node to another, and to one that is not there.
    let mut request = Request::new(());
    for node in [site.secrets.address(202), site.secrets.address(250)] {
        request.metadata_mut().append("nodes", node.parse().unwrap());
    }
    let both = first.hostname(request).await.unwrap().into_inner().messages;
    assert_eq!(both[0].hostname, "cp202");
    assert_eq!(both[0].metadata.as_ref().unwrap().hostname, site.secrets.address(202));
    assert!(both[1].metadata.as_ref().unwrap().error.contains("connection refused"));
    // One of three is no majority: etcd says so, and that passes once the others are back.
    site.lab.with(|w| [1002, 1003].map(|vmid| machine::power_off(w, vmid)));
    let (crt_pem, key_pem) = admin(&site.secrets);
    let certificate = ClientCertificate { ca_pem: site.secrets.os_ca().into(), crt_pem, key_pem: Secret::new(key_pem) };
    let secure = Secure::connect(IpAddr::from(site.address(201)), &certificate).await.unwrap();
    let alone = secure.etcd_members().await.unwrap_err();
    assert!(alone.is_transient() && alone.to_string().ends_with("etcdserver: no leader"), "{alone}");
}

#[tokio::test]
async fn only_a_client_certificate_of_the_cluster_gets_in() {
    let site = Site::new();
    let good = site.configured(1001, 201).await;
    MachineServiceClient::new(good).version(()).await.unwrap();
    let version = |channel: Result<Channel, tonic::transport::Error>| async move {
        match channel {
            Ok(channel) => MachineServiceClient::new(channel).version(()).await.map(|_| ()).map_err(|e| e.code()),
            Err(_) => Err(Code::Unknown),
        }
    };
    let strangers = Secrets::in_net(3);
    assert!(version(site.secure(201, admin(&strangers)).await).await.is_err(), "signed by another CA");
    let both = site.secrets.client(&["os:admin"], &[ClientAuth, ServerAuth]);
    assert!(version(site.secure(201, both).await).await.is_err(), "good for servers too");
    assert!(version(site.insecure(201).await).await.is_err(), "none at all");
    let reader = site.secrets.client(&["os:reader"], &[ClientAuth]);
    let mut reader = MachineServiceClient::new(site.secure(201, reader).await.unwrap());
    reader.version(()).await.unwrap();
    let refused = reader.reboot(RebootRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "not authorized"));
}

#[tokio::test]
async fn a_watch_says_hello_and_then_what_changes() {
    let site = Site::new();
    let channel = site.configured(1001, 201).await;
    let mut state = StateClient::new(channel.clone());
    let mut stream = state.watch(watch(true, None)).await.unwrap().into_inner();
    let mut next = async || stream.next().await.unwrap().unwrap().event;
    assert!(next().await.is_empty(), "the first message says that the watch stands");
    assert_eq!(next().await[0].event_type(), EventType::Created);
    assert_eq!(next().await[0].event_type(), EventType::Bootstrapped);
    let client = MachineServiceClient::new(channel);
    eventually("bootstrap", || {
        let mut client = client.clone();
        async move { client.bootstrap(BootstrapRequest::default()).await }
    })
    .await;
    let update = next().await.remove(0);
    assert_eq!(update.event_type(), EventType::Updated);
    let version = |r: Option<cozyup::talos::wire::cosi::resource::Resource>| {
        r.unwrap().metadata.unwrap().version.parse::<u64>().unwrap()
    };
    assert_eq!(version(update.resource), version(update.old) + 1);
    let refused = state.watch(watch(true, Some("machine"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.message(), "bootstrap contents is not implemented for resource watch");
}

#[tokio::test]
async fn events_begin_with_an_empty_one_and_a_reboot_changes_the_boot_id() {
    let site = Site::new();
    let channel = site.configured(1001, 201).await;
    let mut client = MachineServiceClient::new(channel);
    let request = EventsRequest { tail_events: -1, ..Default::default() };
    let mut events = client.events(request).await.unwrap().into_inner();
    assert_eq!(events.next().await.unwrap().unwrap().data.unwrap().type_url, "");
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first.data.unwrap().type_url, "talos/runtime/machine.SequenceEvent");
    async fn boot_id(client: &mut MachineServiceClient<Channel>) -> Result<Vec<u8>, tonic::Status> {
        let path = "/proc/sys/kernel/random/boot_id".to_string();
        let mut stream = client.read(ReadRequest { path }).await?.into_inner();
        stream.next().await.unwrap_or_else(|| Err(tonic::Status::unknown("empty"))).map(|d| d.bytes)
    }
    let before = boot_id(&mut client).await.unwrap();
    client.reboot(RebootRequest::default()).await.unwrap();
    while events.next().await.is_some_and(|e| e.is_ok()) {}
    // For a while the old boot's apid still takes connections.
    let after = eventually("the next boot", || async {
        let mut client = MachineServiceClient::new(site.admin(201).await);
        boot_id(&mut client).await
    })
    .await;
    assert_ne!(after, before);
}

#[tokio::test]
async fn without_the_lldpd_document_the_stage_stays_booting() {
    let site = Site::new();
    // Its trustd signs for the worker, once it holds the VIP.
    let control_plane = MachineServiceClient::new(site.configured(1001, 201).await);
    eventually("bootstrap", || {
        let mut control_plane = control_plane.clone();
        async move { control_plane.bootstrap(BootstrapRequest::default()).await }
    })
    .await;
    site.start(1011, 211);
    let text = site.secrets.worker("w1", &site.secrets.address(211));
    site.apply(211, text.split("---").next().unwrap().to_string()).await;
    let mut worker = MachineServiceClient::new(site.admin(211).await);
    let services = eventually("kubelet", || {
        let mut worker = worker.clone();
        async move {
            let services = worker.service_list(()).await.unwrap().into_inner().messages.remove(0).services;
            let state = |id: &str| services.iter().find(|s| s.id == id).map(|s| s.state.clone()).unwrap_or_default();
            if state("kubelet") == "Running" { Ok(state("ext-lldpd")) } else { Err(state("kubelet")) }
        }
    })
    .await;
    assert_eq!(services, "Waiting");
    let mut state = StateClient::new(site.admin(211).await);
    let resource = state.get(get("runtime", STATUS, "machine")).await.unwrap().into_inner().resource.unwrap();
    let spec = MachineStatusSpec::decode(resource.spec.unwrap().proto_spec.as_slice()).unwrap();
    assert_eq!(spec.stage(), MachineStage::Booting);
    let refused = worker.bootstrap(BootstrapRequest::default()).await.unwrap_err();
    assert_eq!(refused.message(), "bootstrap can only be performed on a control plane node");
}

#[tokio::test]
async fn cozyups_own_client_takes_a_machine_from_maintenance_to_etcd() {
    let site = Site::new();
    site.start(1001, 201);
    let address = IpAddr::from(site.address(201));
    let bundle = tokio::task::spawn_blocking(|| Bundle::generate(jiff::Timestamp::now())).await.unwrap().unwrap();
    let admin = bundle.admin_certificate(jiff::Timestamp::now()).unwrap();
    let maintenance = eventually("maintenance", || Maintenance::connect(address)).await;
    assert_eq!(state_of(address, Some(&admin)).await.value, NodeState::Maintenance);
    assert_eq!(maintenance.version().await.unwrap().value, "v1.10.6");
    // talos.md 5, 7, 8: what a VM of Proxmox VE really shows.
    let addresses: Vec<String> =
        maintenance.addresses().await.unwrap().value.iter().map(|a| format!("{}/{}", a.address, a.prefix)).collect();
    let own = format!("{address}/24");
    for there in [own.as_str(), "fe80::be24:11ff:fe00:c9/64", "127.0.0.1/8", "::1/128"] {
        assert!(addresses.iter().any(|a| a == there), "{there}: {addresses:?}");
    }
    assert!(!addresses.iter().any(|a| a.starts_with("169.254.")), "Talos' DNS for pods comes with the config");
    let disks = maintenance.disks().await.unwrap().value;
    assert!(disks.iter().all(|d| d.serial.is_empty()), "a drive without serial= has none: {disks:?}");
    let own = disks.iter().find(|d| d.dev_path == "/dev/loop0").unwrap();
    assert!(own.readonly && !own.cdrom, "{own:?}");
    assert_eq!(disks.iter().find(|d| d.dev_path == "/dev/sdb").unwrap().size, 256 << 30);
    let extensions = maintenance.extensions().await.unwrap().value;
    assert!(extensions.contains(&("drbd".into(), "9.2.14-v1.10.6".into())), "{extensions:?}");
    let links = maintenance.links().await.unwrap().value;
    let mac = links.iter().find(|l| l.name == "eth0").unwrap().mac.clone();
    let text = config::render(&node_config(&site, mac), &bundle).unwrap();
    maintenance.dry_run(&text).await.unwrap();
    let changer = Changer::new();
    changer.apply_maintenance(address, maintenance.fingerprint().unwrap(), &text).await.unwrap();
    let secure = eventually("the secure API", || async {
        let secure = Secure::connect(address, &admin).await?;
        secure.version().await.map(|_| secure)
    })
    .await;
    assert_eq!(state_of(address, Some(&admin)).await.value, NodeState::Configured);
    let early = secure.etcd_members().await.unwrap_err();
    assert!(matches!(early, cozyup::talos::Error::EtcdSilent { .. }), "{early}");
    eventually("bootstrap", || changer.bootstrap(address, &admin)).await;
    let members = eventually("etcd", || secure.etcd_members()).await.value;
    assert_eq!(members.iter().map(|m| m.hostname.as_str()).collect::<Vec<_>>(), ["cozy-new-cp1"]);
    eventually("the node", || async {
        let unmet = secure.machine_status().await.unwrap().value.unmet;
        if unmet == [("nodeReady".to_string(), "node \"cozy-new-cp1\" is not ready".to_string())] {
            Ok(())
        } else {
            Err(unmet)
        }
    })
    .await;
    let addresses = secure.addresses().await.unwrap().value;
    assert!(addresses.iter().any(|a| a.address == IpAddr::from(site.address(100)) && a.prefix == 32));
    assert!(addresses.iter().any(|a| a.address == IpAddr::from([169, 254, 116, 108]) && a.link == "lo"));
    assert!(!secure.kubeconfig().await.unwrap().value.expose().is_empty());
    assert!(!secure.dmesg(50).await.unwrap().value.is_empty());
    secure.time().await.unwrap();
    let status = secure.etcd_status().await.unwrap().value;
    assert_eq!(status.leader, status.member_id);
}

/// talos.md 3: the node is not away, it waits for an etcd that does not run as long as its caller does.
#[tokio::test]
async fn a_question_to_an_etcd_that_does_not_run_has_no_answer_until_the_callers_deadline() {
    let site = Site::new();
    let channel = site.configured(1001, 201).await;
    let mut client = MachineServiceClient::new(channel);
    let mut members = Request::new(EtcdMemberListRequest { query_local: true });
    members.set_timeout(Duration::from_millis(300));
    let mut status = Request::new(());
    status.set_timeout(Duration::from_millis(300));
    let began = tokio::time::Instant::now();
    let members = client.etcd_member_list(members).await.unwrap_err();
    let status = client.etcd_status(status).await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    // Whose timer is first, ours or the node's, is open; both say that the time is over.
    for said in [members, status] {
        assert!(matches!(said.code(), Code::DeadlineExceeded | Code::Cancelled), "{said}");
    }
}

/// talos.md 10
#[tokio::test]
async fn while_a_node_goes_down_its_apid_answers_for_a_machined_that_is_gone() {
    let site = Site::new();
    site.lab.with(|w| w.scenario.latency.stop_s = 600.0);
    let mut client = MachineServiceClient::new(site.configured(1001, 201).await);
    client.reboot(RebootRequest::default()).await.unwrap();
    let gone = eventually("an apid alone", || {
        let mut client = client.clone();
        async move {
            match client.version(()).await {
                Ok(_) => Err("machined still answers".to_string()),
                Err(status) => Ok(status),
            }
        }
    })
    .await;
    assert_eq!(gone.code(), Code::Unavailable);
    assert!(gone.message().contains("dial unix /system/run/machined/machine.sock"), "{gone}");
}

#[tokio::test]
async fn the_health_check_names_the_nodes_and_stops_at_the_network_that_is_missing() {
    let site = Site::new();
    let channel = site.configured(1001, 201).await;
    let client = MachineServiceClient::new(channel.clone());
    let health = async || {
        let wait = HealthCheckRequest {
            wait_timeout: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
            cluster_info: None,
        };
        let mut lines = Vec::new();
        let mut stream = ClusterServiceClient::new(channel.clone()).health_check(wait).await?.into_inner();
        loop {
            match stream.next().await {
                Some(Ok(line)) => lines.push(line.message),
                Some(Err(status)) => return Ok((lines, status.code())),
                None => return Ok((lines, Code::Ok)),
            }
        }
    };
    let early: Result<(Vec<String>, Code), tonic::Status> = health().await;
    let refused = format!("/api/v1/nodes\": dial tcp {}:6443: connect: connection refused", site.address(100));
    assert!(early.unwrap_err().message().ends_with(&refused));
    eventually("bootstrap", || {
        let mut client = client.clone();
        async move { client.bootstrap(BootstrapRequest::default()).await }
    })
    .await;
    let (lines, code) = eventually("a node in Kubernetes", || async {
        let (lines, code) = health().await.map_err(|e| e.to_string())?;
        if lines[0].contains(&site.address(201).to_string()) { Ok((lines, code)) } else { Err(lines.join("\n")) }
    })
    .await;
    assert_eq!(lines[0], format!("discovered nodes: [\"{}\"]", site.address(201)));
    assert_eq!(lines[1..3], ["waiting for etcd to be healthy: ...", "waiting for etcd to be healthy: OK"]);
    assert_eq!(lines.last().unwrap(), "waiting for all k8s nodes to report ready: some nodes are not ready: [cp201]");
    assert_eq!(code, Code::DeadlineExceeded);
}

fn node_config(site: &Site, mac: String) -> NodeConfig {
    NodeConfig {
        cluster_name: "cozy".into(),
        endpoint: format!("https://{}:6443", site.address(100)),
        role: config::Role::ControlPlane,
        place: Some(Place { hostname: "cozy-new-cp1".into(), address: site.address(201), mac, mtu: None }),
        subnet: format!("{}/24", site.address(0)).parse().unwrap(),
        gateway: site.address(1),
        dns: vec![site.address(1)],
        ntp: Vec::new(),
        vip: Some(site.address(100)),
        install_disk: "/dev/sda".into(),
        installer_image: "ghcr.io/cozystack/cozystack/talos:v1.10.6".into(),
        kubernetes_version: "v1.33.3".into(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        dns_domain: "cozy.local".into(),
        node_labels: Default::default(),
        taints: Vec::new(),
        registries: Default::default(),
        cert_sans: Vec::new(),
    }
}
