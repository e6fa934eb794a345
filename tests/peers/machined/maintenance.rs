//! A node without a config.
use super::place::Place;
use super::raw::{Raw, taken, within};
use super::transcript::{Transcript, client};
use cozyup::base::secret::Secret;
use cozyup::talos::wire::cosi::resource::{WatchOptions, WatchRequest};
use cozyup::talos::wire::machine::apply_configuration_request::Mode;
use cozyup::talos::wire::machine::{
    ApplyConfigurationRequest, BootstrapRequest, EtcdMemberListRequest, RebootRequest, ResetRequest,
};
use cozyup::talos::wire::time::time_service_client::TimeServiceClient;
use cozyup::talos::{Maintenance, NodeState, SpkiFingerprint, state_of};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// The first control plane.
pub const FIRST: u8 = 201;

/// Types that are asked for by name: type, namespace, id.
const RESOURCES: [(&str, &str, &str); 12] = [
    ("HostnameStatuses.net.talos.dev", "network", "hostname"),
    ("MachineConfigs.config.talos.dev", "config", "v1alpha1"),
    ("MachineStatuses.runtime.talos.dev", "runtime", "machine"),
    ("MachineStatuses.runtime.talos.dev", "runtime", "nothing"),
    ("MachineTypes.config.talos.dev", "config", "machine-type"),
    ("NetworkStatuses.net.talos.dev", "network", "status"),
    ("NodeAddresses.net.talos.dev", "network", "current"),
    ("Nodenames.kubernetes.talos.dev", "k8s", "nodename"),
    ("OSRootSecrets.secrets.talos.dev", "secrets", "os"),
    ("ResolverStatuses.net.talos.dev", "network", "resolvers"),
    ("Nonsense.talos.dev", "runtime", "nothing"),
    ("Versions.runtime.talos.dev", "nowhere", "version"),
];

pub async fn look(place: &Place, told: &mut Transcript) {
    place.start(FIRST);
    let took = place.comes_to(FIRST, &NodeState::Maintenance).await;
    eprintln!("in maintenance after {took:.1?}");
    let address = place.address(FIRST);
    told.ask("maintenance: state without a certificate", state_of(address, None).await.value.to_string());
    let node = Maintenance::connect(address).await.unwrap();
    told.ask("maintenance: version", client(node.version().await.map(|a| a.value)));
    told.ask("maintenance: stage", client(node.machine_stage().await.map(|a| a.value)));
    let links = node.links().await.map(|a| sorted(a.value, |l| l.name.clone()));
    told.ask("maintenance: links", client(links));
    let addresses = node.addresses().await.map(|a| sorted(a.value, |a| format!("{} {}", a.link, a.address)));
    told.ask("maintenance: addresses", place.plain(&client(addresses)));
    told.ask("maintenance: disks", client(node.disks().await.map(|a| a.value)));
    told.ask("maintenance: extensions", client(node.extensions().await.map(|a| a.value)));
    let seen = node.fingerprint().unwrap().clone();
    let again = Maintenance::connect_pinned(address, &seen).await;
    told.ask("maintenance: the key that was seen", again.map_or_else(|e| e.to_string(), |_| "OK".into()));
    let other: SpkiFingerprint = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".parse().unwrap();
    let other = Maintenance::connect_pinned(address, &other).await;
    told.ask("maintenance: another key", place.plain(&client(other)));
    let raw = Raw::open(address, None).await;
    for (kind, namespace, id) in RESOURCES {
        let answer = place.plain(&raw.get(kind, namespace, id).await);
        told.ask(format!("maintenance: get {kind}/{id} in {namespace}"), answer);
    }
    told.ask("maintenance: ids of extensions", raw.ids("ExtensionStatuses.runtime.talos.dev", "runtime").await);
    told.ask("maintenance: ids of services", raw.ids("Services.v1alpha1.talos.dev", "runtime").await);
    told.ask("maintenance: ids of machine configs", raw.ids("MachineConfigs.config.talos.dev", "config").await);
    refused_calls(&raw, told).await;
    watches("maintenance", &raw, told).await;
}

async fn refused_calls(raw: &Raw, told: &mut Transcript) {
    let mut machine = raw.machine();
    let mut ask = |call: &str, answer: String| told.ask(format!("maintenance: call {call}"), answer);
    ask("Version", taken(machine.version(within(SOON, ())).await));
    ask("ServiceList", taken(machine.service_list(within(SOON, ())).await));
    ask("Bootstrap", taken(machine.bootstrap(within(SOON, BootstrapRequest::default())).await));
    ask("Reboot", taken(machine.reboot(within(SOON, RebootRequest::default())).await));
    ask("Reset", taken(machine.reset(within(SOON, ResetRequest::default())).await));
    ask("EtcdMemberList", taken(machine.etcd_member_list(within(SOON, EtcdMemberListRequest::default())).await));
    ask("EtcdStatus", taken(machine.etcd_status(within(SOON, ())).await));
    ask("Kubeconfig", taken(first(machine.kubeconfig(within(SOON, ())).await).await));
    ask("Time", taken(TimeServiceClient::new(raw.channel()).time(within(SOON, ())).await));
}

/// A stream is refused with its first message at the latest.
pub async fn first<T>(
    answer: Result<tonic::Response<tonic::Streaming<T>>, tonic::Status>,
) -> Result<Option<T>, tonic::Status> {
    answer?.into_inner().message().await
}

/// How watches begin, in either mode.
pub async fn watches(mode: &str, raw: &Raw, told: &mut Transcript) {
    let watch = |id: Option<&str>, contents: bool| WatchRequest {
        namespace: "runtime".into(),
        r#type: "MachineStatuses.runtime.talos.dev".into(),
        id: id.map(str::to_string),
        options: Some(WatchOptions { bootstrap_contents: contents, ..WatchOptions::default() }),
        api_version: 1,
    };
    told.ask(format!("{mode}: watch of a type"), raw.watch(watch(None, true), 3).await);
    told.ask(format!("{mode}: watch of one"), raw.watch(watch(Some("machine"), false), 2).await);
    told.ask(format!("{mode}: watch of one that is not there"), raw.watch(watch(Some("nothing"), false), 2).await);
    told.ask(format!("{mode}: watch of one, with its contents"), raw.watch(watch(Some("machine"), true), 2).await);
}

/// Configs that are wrong, each in its own way.
fn wrong(good: &str) -> Vec<(&'static str, String)> {
    let with = |what: &str, instead: &str| {
        assert!(good.contains(what), "{what} is not in the config");
        good.replacen(what, instead, 1)
    };
    vec![
        ("of no bytes", String::new()),
        ("an empty map", "{}\n".into()),
        ("without a version", with("version: v1alpha1\n", "")),
        ("with another version", with("version: v1alpha1\n", "version: v1beta1\n")),
        ("with an unknown key", with("dnsDomain:", "dnsDomian: x\n        dnsDomain:")),
        ("with a list for a text", with("type: controlplane", "type: [controlplane]")),
        ("of an unknown type", with("type: controlplane", "type: master")),
        ("that is not to persist", with("persist: true", "persist: false")),
        (
            "with a subnet that is none",
            with("advertisedSubnets:\n            - ", "advertisedSubnets:\n            - x"),
        ),
        ("with an endpoint that is none", with("endpoint: https://", "endpoint: http//")),
        (
            "with a card by name and by selector",
            with("deviceSelector:", "interface: eth0\n              deviceSelector:"),
        ),
        ("of an unknown document", format!("{good}---\napiVersion: v1alpha1\nkind: Nonsense\n")),
        ("that is no YAML", "version: v1alpha1\n\tmachine: {\n".into()),
        ("with machine alone", "version: v1alpha1\nmachine:\n  type: worker\n".into()),
    ]
}

pub async fn refused_configs(place: &Place, told: &mut Transcript) {
    let address = place.address(FIRST);
    let node = Maintenance::connect(address).await.unwrap();
    let good = place.config(FIRST).expose().clone();
    for (what, text) in wrong(&good) {
        let answer = client(node.dry_run(&Secret::new(text)).await.map(|a| a.value));
        told.ask(format!("maintenance: a config {what}"), place.plain(&answer));
    }
    told.ask("maintenance: dry run", client(node.dry_run(&place.config(FIRST)).await.map(|a| a.value)));
    told.ask("maintenance: dry run of a worker's", client(node.dry_run(&place.config(211)).await.map(|a| a.value)));
    let mut machine = Raw::open(address, None).await.machine();
    for mode in [Mode::NoReboot, Mode::Staged, Mode::Try, Mode::Reboot] {
        let (data, mode_number) = (good.clone().into_bytes(), mode.into());
        let asked = ApplyConfigurationRequest { data, mode: mode_number, dry_run: true, try_mode_timeout: None };
        let answer = machine.apply_configuration(within(SOON, asked)).await;
        let answer = answer.map(|a| a.into_inner().messages.remove(0));
        let shown = answer.map_or_else(|s| super::raw::refusal(&s), |m| format!("{:?}: {}", m.mode(), m.mode_details));
        told.ask(format!("maintenance: dry run, mode {mode:?}"), shown);
    }
}

pub fn sorted<T>(mut items: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    items.sort_by_key(key);
    items
}
