//! etcd is bootstrapped, and a worker that waited for it is let in.
use super::configured::{give, histories};
use super::maintenance::{FIRST, first, sorted};
use super::place::Place;
use super::raw::{Raw, taken, within};
use super::transcript::{Transcript, client};
use cozyup::talos::wire::machine::{BootstrapRequest, EtcdMemberListRequest};
use cozyup::talos::{Changer, NodeState, Secure};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
pub const WORKER: u8 = 211;
const VIP: u8 = 200;

/// A worker gets its certificate from a control plane at the cluster's endpoint, and nobody holds that before there is an
/// etcd: its API stays closed.
pub async fn worker_waits(place: &Place, told: &mut Transcript) {
    place.start(WORKER);
    place.comes_to(WORKER, &NodeState::Maintenance).await;
    told.ask("apply: to a worker", give(place, WORKER).await);
    place
        .eventually("the worker has left maintenance", async || match place.state(WORKER).await {
            NodeState::Down(_) => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
    let first = Secure::connect(place.address(FIRST), &place.admin).await.unwrap();
    // Long enough for a control plane to open its own.
    tokio::time::sleep(Duration::from_secs(2)).await;
    told.ask("before the bootstrap: the worker", place.plain(&place.state(WORKER).await.to_string()));
    let vip = matches!(place.state(VIP).await, NodeState::Down(_));
    told.ask("before the bootstrap: nobody has the VIP", vip.to_string());
    let etcd = first.services().await.map(|a| a.value.into_iter().find(|s| s.id == "etcd").map(|s| s.state));
    told.ask("before the bootstrap: etcd", client(etcd));
}

/// Once and not twice: a real etcd starts within moments, and a second call in the very moment stops it for good.
pub async fn once(place: &Place, told: &mut Transcript) {
    let (address, changer) = (place.address(FIRST), Changer::new());
    place.let_etcd_come();
    told.ask("bootstrap: the first", client(changer.bootstrap(address, &place.admin).await.map(|a| a.value)));
    let node = Secure::connect(address, &place.admin).await.unwrap();
    let took = place
        .eventually("etcd is healthy", async || {
            let services = node.services().await.map_err(|e| e.to_string())?.value;
            let etcd = services.into_iter().find(|s| s.id == "etcd").ok_or("no etcd")?;
            if etcd.is_up() { Ok(()) } else { Err(etcd.to_string()) }
        })
        .await;
    eprintln!("etcd healthy after {took:.1?}");
    told.ask("bootstrap: once there is data", client(changer.bootstrap(address, &place.admin).await.map(|a| a.value)));
}

pub async fn look(place: &Place, told: &mut Transcript) {
    let address = place.address(FIRST);
    let took = place.comes_to(VIP, &NodeState::Configured).await;
    eprintln!("the VIP answers after {took:.1?}");
    let took = place.comes_to(WORKER, &NodeState::Configured).await;
    eprintln!("the worker's API after {took:.1?}");
    let node = Secure::connect(address, &place.admin).await.unwrap();
    let members = node.etcd_members().await.map(|a| a.value);
    let status = node.etcd_status().await.map(|a| a.value);
    if let (Ok(members), Ok(status)) = (&members, &status) {
        assert_eq!((status.member_id, status.leader), (members[0].id, members[0].id));
    }
    let shown = members.map(|all| all.into_iter().map(|m| (m.hostname, m.learner, m.peer_urls)).collect::<Vec<_>>());
    told.ask("bootstrapped: members", place.plain(&client(shown)));
    told.ask("bootstrapped: etcd status", client(status.map(|s| (s.learner, s.errors))));
    let raw = Raw::open(address, Some(&place.admin)).await;
    let asked = within(SOON, EtcdMemberListRequest { query_local: true });
    let list = raw.machine().etcd_member_list(asked).await.map(|a| a.into_inner().messages.remove(0));
    let list = list.map(|m| (m.legacy_members, m.members.into_iter().map(|m| m.client_urls).collect::<Vec<_>>()));
    told.ask("bootstrapped: clients' addresses of the members", place.plain(&client(list)));
    let addresses = node.addresses().await.map(|a| sorted(a.value, |a| format!("{} {}", a.link, a.address)));
    told.ask("bootstrapped: addresses", place.plain(&client(addresses)));
    for (id, history) in histories(&raw, &["etcd"]).await {
        told.ask(format!("bootstrapped: what happened to {id}"), history);
    }
    ready(place, "control plane", FIRST, told).await;
    let member = raw.get("EtcdMembers.etcd.talos.dev", "etcd", "local").await;
    told.ask("bootstrapped: whose is the member", member.lines().next().unwrap_or_default());
    let current = raw.get("NodeAddresses.net.talos.dev", "network", "current").await;
    told.ask("bootstrapped: its addresses as a node", place.plain(&current));
    told.ask("bootstrapped: static pods", raw.ids("StaticPodStatuses.kubernetes.talos.dev", "k8s").await);
    told.ask("bootstrapped: kubeconfig", client(node.kubeconfig().await.map(|_| "an archive")));
    worker(place, told).await;
}

async fn worker(place: &Place, told: &mut Transcript) {
    let raw = Raw::open(place.address(WORKER), Some(&place.admin)).await;
    ready(place, "worker", WORKER, told).await;
    for (id, history) in histories(&raw, &["apid", "kubelet"]).await {
        told.ask(format!("worker: what happened to {id}"), history);
    }
    let mut machine = raw.machine();
    let mut ask = |call: &str, answer: String| told.ask(format!("worker: call {call}"), answer);
    ask("Bootstrap", taken(machine.bootstrap(within(SOON, BootstrapRequest::default())).await));
    ask("EtcdMemberList", taken(machine.etcd_member_list(within(SOON, EtcdMemberListRequest::default())).await));
    ask("EtcdStatus", taken(machine.etcd_status(within(SOON, ())).await));
    ask("Kubeconfig", taken(first(machine.kubeconfig(within(SOON, ())).await).await));
}

/// Talos' part is done, and Kubernetes' has not begun: there is no API server.
async fn ready(place: &Place, who: &str, host: u8, told: &mut Transcript) {
    let node = Secure::connect(place.address(host), &place.admin).await.unwrap();
    place
        .eventually(&format!("the {who} runs"), async || {
            let status = node.machine_status().await.map_err(|e| e.to_string())?.value;
            let waits = status.unmet.iter().any(|(name, _)| name == "services");
            if status.stage.to_string() == "running" && !waits { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    told.ask(
        format!("bootstrapped: machine status of the {who}"),
        client(node.machine_status().await.map(|a| a.value)),
    );
}
