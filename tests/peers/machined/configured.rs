//! A control plane with its config that waits to be bootstrapped.
use super::maintenance::{FIRST, sorted, watches};
use super::place::Place;
use super::raw::{Raw, within};
use super::transcript::{Transcript, client};
use cozyup::base::secret::Secret;
use cozyup::talos::secrets::Bundle;
use cozyup::talos::wire::machine::apply_configuration_request::Mode;
use cozyup::talos::wire::machine::{ApplyConfigurationRequest, EtcdMemberListRequest, ServiceInfo};
use cozyup::talos::{Changer, Error, Maintenance, NodeState, Secure, state_of};
use std::time::{Duration, Instant};
use tonic::Code;

const SOON: Duration = Duration::from_secs(20);
/// What runs on a node in a container too.
const SERVICES: [&str; 7] = ["apid", "containerd", "cri", "etcd", "kubelet", "machined", "trustd"];

/// Gives a node its config, through the key that it showed; the wall time until it lets us in where it does.
pub async fn give(place: &Place, host: u8) -> String {
    let address = place.address(host);
    let node = Maintenance::connect(address).await.unwrap();
    let applied = Changer::new().apply_maintenance(address, node.fingerprint().unwrap(), &place.config(host)).await;
    client(applied.map(|a| a.value))
}

pub async fn apply(place: &Place, told: &mut Transcript) {
    told.ask("apply: to a control plane", give(place, FIRST).await);
    let took = place.comes_to(FIRST, &NodeState::Configured).await;
    eprintln!("its secure API after {took:.1?}");
    let node = Secure::connect(place.address(FIRST), &place.admin).await.unwrap();
    let took = place
        .eventually("every service is as far as it comes", async || {
            let services = node.services().await.map_err(|e| e.to_string())?.value;
            let up = |id: &&str| match *id {
                "etcd" => services.iter().any(|s| s.id == "etcd" && s.state == "Preparing"),
                id => services.iter().any(|s| s.id == id && s.is_up()),
            };
            if SERVICES.iter().all(up) { Ok(()) } else { Err(format!("{services:?}")) }
        })
        .await;
    eprintln!("its services after {took:.1?}");
}

/// What happened to each service since it was started last, without what is new each time.
pub async fn histories(raw: &Raw, only: &[&str]) -> Vec<(String, String)> {
    let answer = raw.machine().service_list(within(SOON, ())).await.unwrap().into_inner();
    let services: Vec<ServiceInfo> = answer.messages.into_iter().flat_map(|m| m.services).collect();
    let ours = services.into_iter().filter(|s| only.contains(&s.id.as_str()));
    sorted(ours.map(|s| (s.id.clone(), history(s))).collect(), |(id, _)| id.clone())
}

/// Of the conditions only those of the beginning, and of the health only that it is good: how many of them are seen to be
/// met one by one, and how often a check comes too early, is another thing each time.
fn history(service: ServiceInfo) -> String {
    let events = service.events.unwrap_or_default().events;
    let start = events.iter().rposition(|e| e.msg == "Starting service").unwrap_or_default();
    let mut waits = 0;
    let told = events[start..].iter().filter(|e| {
        waits += usize::from(e.state == "Waiting");
        !e.msg.starts_with("Health check failed") && (e.state != "Waiting" || waits == 1)
    });
    let lines: Vec<String> = told.map(|e| format!("{}: {}", e.state, without_numbers(&e.msg))).collect();
    lines.join("\n")
}

/// `PID 1234` as `PID N`.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split("PID ");
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        plain.push_str("PID N");
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain
}

pub async fn look(place: &Place, told: &mut Transcript) {
    let address = place.address(FIRST);
    told.ask("configured: state without a certificate", place.plain(&state_of(address, None).await.value.to_string()));
    let stranger = Bundle::generate(jiff::Timestamp::now()).unwrap();
    let stranger = stranger.admin_certificate(jiff::Timestamp::now()).unwrap();
    let foreign = state_of(address, Some(&stranger)).await.value;
    told.ask("configured: state with another cluster's certificate", place.plain(&foreign.to_string()));
    let node = Secure::connect(address, &place.admin).await.unwrap();
    told.ask("configured: version", client(node.version().await.map(|a| a.value)));
    told.ask("configured: machine status", client(node.machine_status().await.map(|a| a.value)));
    let services = node.services().await.map(|a| {
        let ours = a.value.into_iter().filter(|s| SERVICES.contains(&s.id.as_str()));
        let shown = ours.map(|s| (s.id, s.state, s.healthy, without_numbers(&s.last_message)));
        sorted(shown.collect(), |s| s.0.clone())
    });
    told.ask("configured: services", client(services));
    let raw = Raw::open(address, Some(&place.admin)).await;
    for (id, history) in histories(&raw, &SERVICES).await {
        told.ask(format!("configured: what happened to {id}"), history);
    }
    let addresses = node.addresses().await.map(|a| sorted(a.value, |a| format!("{} {}", a.link, a.address)));
    told.ask("configured: addresses", place.plain(&client(addresses)));
    told.ask("configured: boot id", client(node.boot_id().await.map(|id| id.len())));
    resources(place, &raw, told).await;
    watches("configured", &raw, told).await;
    silent_etcd(place, &node, &raw).await;
}

async fn resources(place: &Place, raw: &Raw, told: &mut Transcript) {
    for (kind, namespace, id) in [
        ("EtcdMembers.etcd.talos.dev", "etcd", "local"),
        ("EtcdSpecs.etcd.talos.dev", "etcd", "etcd"),
        ("HostnameStatuses.net.talos.dev", "network", "hostname"),
        ("Infos.cluster.talos.dev", "cluster", "current"),
        ("MachineTypes.config.talos.dev", "config", "machine-type"),
        ("NodeAddresses.net.talos.dev", "network", "current"),
        ("NodeAddresses.net.talos.dev", "network", "default"),
        ("NodeIPs.kubernetes.talos.dev", "k8s", "kubelet"),
        ("NodeStatuses.kubernetes.talos.dev", "k8s", "node201"),
        ("Nodenames.kubernetes.talos.dev", "k8s", "nodename"),
        ("ResolverStatuses.net.talos.dev", "network", "resolvers"),
        ("TimeServerStatuses.net.talos.dev", "network", "timeservers"),
    ] {
        let answer = raw.get(kind, namespace, id).await;
        // The id of a cluster is made anew for each run of the tests.
        let plain: Vec<&str> = answer.lines().filter(|line| !line.starts_with("clusterId:")).collect();
        told.ask(format!("configured: get {kind}/{id}"), place.plain(&plain.join("\n")));
    }
    // Of what is secret, that it is there and whose it is.
    for (kind, namespace, id) in [
        ("MachineConfigs.config.talos.dev", "config", "v1alpha1"),
        ("OSRootSecrets.secrets.talos.dev", "secrets", "os"),
    ] {
        let answer = raw.get(kind, namespace, id).await;
        told.ask(format!("configured: whose is {kind}/{id}"), answer.lines().next().unwrap_or_default());
    }
    for (kind, namespace) in [
        ("NodeAddresses.net.talos.dev", "network"),
        ("Services.v1alpha1.talos.dev", "runtime"),
        ("StaticPodStatuses.kubernetes.talos.dev", "k8s"),
    ] {
        told.ask(format!("configured: ids of {kind}"), raw.ids(kind, namespace).await);
    }
}

/// While no etcd runs, a question to it has no answer but that the caller's time is over.
async fn silent_etcd(place: &Place, node: &Secure, raw: &Raw) {
    let (mut first, mut second) = (raw.machine(), raw.machine());
    let short = Duration::from_secs(1);
    let began = Instant::now();
    let (members, status) = tokio::join!(
        first.etcd_member_list(within(short, EtcdMemberListRequest { query_local: true })),
        second.etcd_status(within(short, ()))
    );
    assert!(began.elapsed() >= short, "an answer before the time was over");
    // Who says first that the time is over, the node or the library in between, is a matter of moments.
    for over in [members.map(drop), status.map(drop)] {
        let code = over.unwrap_err().code();
        assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{code:?}");
    }
    // The lab's half of this has a test of its own; waiting here would only take time.
    if place.is_real() {
        let (members, status) = tokio::join!(node.etcd_members(), node.etcd_status());
        for error in [members.unwrap_err(), status.unwrap_err()] {
            assert!(matches!(error, Error::EtcdSilent { .. }), "{error:?}");
        }
    }
}

pub async fn dry_runs(place: &Place, told: &mut Transcript) {
    let mut machine = Raw::open(place.address(FIRST), Some(&place.admin)).await.machine();
    let good = place.config(FIRST).expose().clone();
    let with = |what: &str, instead: &str| {
        assert!(good.contains(what), "{what} is not in the config");
        good.replacen(what, instead, 1)
    };
    let own = place.address(FIRST).to_string();
    for (what, mode, text) in [
        ("the same", Mode::Auto, good.clone()),
        ("the same", Mode::NoReboot, good.clone()),
        ("the same", Mode::Reboot, good.clone()),
        ("the same", Mode::Staged, good.clone()),
        ("the same", Mode::Try, good.clone()),
        ("another setting", Mode::Auto, with("gc_thresh1: \"4096\"", "gc_thresh1: \"4097\"")),
        ("one line more", Mode::Auto, with("    sysctls:\n", "    sysctls:\n        vm.nr_hugepages: \"64\"\n")),
        ("another address", Mode::Auto, with(&format!("- {own}/24"), &format!("- {}/24", place.address(209)))),
        ("an unknown key", Mode::Auto, with("dnsDomain:", "dnsDomian: x\n        dnsDomain:")),
        ("no bytes", Mode::Auto, String::new()),
    ] {
        let (data, number) = (Secret::new(text).expose().clone().into_bytes(), mode.into());
        let asked = ApplyConfigurationRequest { data, mode: number, dry_run: true, try_mode_timeout: None };
        let answer = machine.apply_configuration(within(SOON, asked)).await.map(|a| a.into_inner().messages.remove(0));
        let shown = answer.map_or_else(
            |status| super::raw::refusal(&status),
            |message| format!("{:?}: {}", message.mode(), changed(&message.mode_details)),
        );
        told.ask(format!("configured: dry run of {what}, mode {mode:?}"), place.plain(&shown));
    }
}

/// Without what stands around each change, and where: a real node writes its whole config anew, in its own order.
fn changed(details: &str) -> String {
    let kept = details.lines().filter(|line| !line.starts_with(' ') && !line.starts_with("@@ "));
    kept.collect::<Vec<_>>().join("\n")
}
