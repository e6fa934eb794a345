//! The machines' common work: bootstrap, etcd members joining one after the other, the VIP, nodes registering.
//!
//! [`settle`] is called after every change; it starts whatever can start now. Split clusters (a second bootstrap)
//! get their own etcd of one member, but no API server: the lab has one Kubernetes.
use super::super::net::Endpoint;
use super::super::world::World;
use super::life::{self, Refused, later};
use super::outside::{ControlPlaneFacts, NodeFacts};
use super::{API_PORT, Api, KUBERNETES_PORT, Machine, Membership, Progress, Service, State, TALOS_VERSION};
use super::{certificate, listen, outside, service, status};
use cozyup_base::clock::{add, between};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const ETCD_RUNS: &str = "Started task etcd (PID 2514) for container etcd";

/// Starts everything that can start now.
pub fn settle(world: &mut World) {
    let vmids: Vec<u32> = world.machines.keys().copied().collect();
    for vmid in &vmids {
        open_api(world, *vmid);
        elect(world, *vmid);
        join(world, *vmid);
        register(world, *vmid);
    }
    for vmid in vmids {
        status::publish(world, vmid);
    }
}

/// From the first data in etcd's directory to its first good health check (`Etcd.HealthSettings`).
const HEALTH_DELAY_S: f64 = 5.0;

pub fn waits_for_bootstrap(machine: &Machine) -> bool {
    machine.etcd.is_none()
        && machine.told.is_none()
        && machine.services.get("etcd").is_some_and(|s| s.state == State::Preparing)
}

/// Begins a new etcd on this machine. Until that has data a second call is taken too: each stops the service that there
/// is and starts another one, which also begins to pull etcd's image anew.
///
/// # Errors
/// [`Refused`] with Talos' own sentence: before the CRI runs, on workers, and where etcd has data.
pub fn bootstrap(world: &mut World, vmid: u32) -> Result<(), Refused> {
    let now = world.now;
    let order = world.random.u64(..);
    let pull = world.scenario.latency.services_s * (1.0 - life::CRI_SHARE);
    let machine = world.machines.get_mut(&vmid).ok_or(Refused::Gone)?;
    machine.log(now, "bootstrap request received");
    if !machine.healthy("cri") {
        return Err(Refused::TooEarly);
    }
    if !machine.control_plane() {
        return Err(Refused::NoControlPlane);
    }
    if machine.etcd.is_some() {
        return Err(Refused::HasData);
    }
    machine.told = Some(order);
    machine.etcd_started = true;
    if machine.images_at > now {
        machine.images_at = add(now, Duration::from_secs_f64(pull.max(0.0)));
    }
    let images = between(now, machine.images_at).as_secs_f64();
    machine.service(now, "etcd", State::Failed, "Failed to run pre stage: context canceled");
    machine.service(now, "etcd", State::Finished, "Bootstrap requested");
    // Another service of the same name, without the events of the first.
    machine.services.remove("etcd");
    machine.waits(now, "etcd", service::ETCD_WAITS);
    machine.service(now, "etcd", State::Preparing, "Running pre state");
    life::finish_boot(world, vmid);
    let starts = (world.scenario.latency.bootstrap_to_etcd_s - HEALTH_DELAY_S).max(0.0);
    later(world, vmid, images + starts, move |world| etcd_begins(world, vmid, order));
    Ok(())
}

/// The etcd that a bootstrap asked for writes its first data; from now on a bootstrap is refused here.
fn etcd_begins(world: &mut World, vmid: u32, order: u64) {
    let now = world.now;
    let (cluster, id) = (world.random.u64(..) | 1, world.random.u64(..) | 1);
    let Some(machine) = world.machines.get(&vmid).filter(|m| m.told == Some(order)) else { return };
    let split = world.machines.values().any(|m| m.etcd.is_some() && same_cluster(m, machine));
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    machine.told = None;
    machine.etcd = Some(Membership { cluster, id, learner: false });
    machine.split = split;
    machine.service(now, "etcd", State::Preparing, "Creating service runner");
    machine.service(now, "etcd", State::Running, ETCD_RUNS);
    machine.health(now, "etcd", false, "context deadline exceeded");
    let healthy = HEALTH_DELAY_S.min(world.scenario.latency.bootstrap_to_etcd_s);
    later(world, vmid, healthy, move |world| etcd_up(world, vmid));
}

/// etcd of a machine that has data starts again after a boot.
pub fn etcd_with_data(world: &mut World, vmid: u32) {
    if let Some(machine) = world.machines.get_mut(&vmid) {
        machine.etcd_started = true;
    }
    if world.machines.get(&vmid).and_then(|m| m.etcd.as_ref()).is_some_and(|e| e.learner) {
        later(world, vmid, world.scenario.latency.join_s, move |world| promote(world, vmid));
    } else {
        etcd_up(world, vmid);
    }
}

fn etcd_up(world: &mut World, vmid: u32) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    if !machine.services.get("etcd").is_some_and(|s| s.running()) {
        machine.service(now, "etcd", State::Running, ETCD_RUNS);
    }
    machine.health(now, "etcd", true, "");
    let serves = !machine.split;
    machine.api_server = if serves { Progress::Underway } else { Progress::No };
    life::finish_boot(world, vmid);
    if serves {
        later(world, vmid, world.scenario.latency.apiserver_s, move |world| api_server_up(world, vmid));
    }
    settle(world);
}

fn promote(world: &mut World, vmid: u32) {
    if let Some(etcd) = world.machines.get_mut(&vmid).and_then(|m| m.etcd.as_mut()) {
        etcd.learner = false;
    }
    etcd_up(world, vmid);
}

fn api_server_up(world: &mut World, vmid: u32) {
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    let Some(config) = machine.config.clone() else { return };
    machine.api_server = Progress::Done;
    let facts = ControlPlaneFacts {
        name: machine.hostname(),
        address: machine.address().0,
        vip: machine.vip(),
        ca_crt_pem: config.kubernetes_ca.crt.clone(),
        ca_key_pem: config.kubernetes_ca.key.as_ref().map(|k| k.expose().clone()).unwrap_or_default(),
        pod_cidr: config.pod_cidr.clone(),
        service_cidr: config.service_cidr.clone(),
        dns_domain: config.dns_domain.clone(),
        kubernetes_version: config.kubernetes_version.clone(),
    };
    let held = facts.vip.filter(|_| machine.vip_held);
    for address in std::iter::once(facts.address).chain(held) {
        listen(world, address, KUBERNETES_PORT, Endpoint::Kubernetes { node: facts.name.clone() });
    }
    outside::control_plane_up(world, facts);
    settle(world);
}

/// Opens the API of a configured machine as soon as it can have a server certificate.
fn open_api(world: &mut World, vmid: u32) {
    let now = world.now;
    if !world.machines.get(&vmid).is_some_and(|m| m.on && matches!(m.api, Api::AwaitingTrustd)) {
        return;
    }
    let Some(identity) = issue(world, vmid) else { return };
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    machine.api = Api::Secure(identity);
    machine.prepares(now, "apid");
    machine.service(now, "apid", State::Running, "Started task apid (PID 1650) for container apid");
    machine.health(now, "apid", true, "");
    let address = machine.address().0;
    listen(world, address, API_PORT, Endpoint::TalosSecure { vmid });
    life::finish_boot(world, vmid);
}

/// A server certificate for the machine as it is now. Control planes sign their own; a worker's is signed by the trustd
/// of a control plane with the same CA, which it finds at the cluster's endpoint and nowhere else: without discovery it
/// knows no other address. Where that is the VIP, nobody signs for a worker before etcd is bootstrapped.
fn issue(world: &World, vmid: u32) -> Option<Arc<certificate::Identity>> {
    let machine = world.machines.get(&vmid)?;
    let config = machine.config.as_ref()?;
    let at_endpoint = |m: &Machine| match config.endpoint_host.parse::<Ipv4Addr>() {
        Ok(host) => m.address().0 == host || (m.vip_held && m.vip() == Some(host)),
        // The lab has no DNS: a name means whichever control plane there is.
        Err(_) => true,
    };
    let key = config.os_ca.key.clone().or_else(|| {
        world.machines.values().filter(|m| m.on && m.healthy("trustd") && at_endpoint(m)).find_map(|m| {
            let other = m.config.as_ref()?;
            let signs = other.os_ca.crt == config.os_ca.crt && other.token == config.token;
            other.os_ca.key.clone().filter(|_| signs)
        })
    })?;
    certificate::secure(machine, config, &key, world.now).ok().map(Arc::new)
}

/// Lets the VIP be taken by this machine when nobody holds it.
fn elect(world: &mut World, vmid: u32) {
    if !world.machines.get(&vmid).is_some_and(|m| can_hold_vip(world, m)) {
        return;
    }
    // Every candidate campaigns; the first to come finds it free, the others find it held.
    later(world, vmid, world.scenario.latency.vip_s, move |world| {
        if world.machines.get(&vmid).is_some_and(|m| can_hold_vip(world, m)) {
            take_vip(world, vmid);
        }
    });
}

/// Whoever campaigns does it in etcd, and not before the kubelet has its image (`network/operator/vip.go`).
fn can_hold_vip(world: &World, machine: &Machine) -> bool {
    let Some(vip) = machine.vip() else { return false };
    let free = world.listeners.keys().all(|at| at.ip() != vip);
    let member = machine.healthy("etcd") && machine.etcd.as_ref().is_some_and(|e| !e.learner) && !machine.split;
    let kubelet = machine.services.get("kubelet").is_some_and(Service::running);
    machine.on && !machine.vip_held && member && kubelet && free && has_quorum(world, machine)
}

fn take_vip(world: &mut World, vmid: u32) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    let Some(vip) = machine.vip() else { return };
    machine.vip_held = true;
    machine.log(now, &format!("enabled shared IP {{\"component\": \"controller-runtime\", \"ip\": \"{vip}\"}}"));
    let node = machine.hostname();
    // The certificate names every address of the machine, so it is made anew.
    if let Some(identity) = issue(world, vmid)
        && let Some(machine) = world.machines.get_mut(&vmid)
    {
        machine.api = Api::Secure(identity);
    }
    if world.machines.get(&vmid).is_some_and(|m| m.api_server == Progress::Done) {
        listen(world, vip, KUBERNETES_PORT, Endpoint::Kubernetes { node });
    }
    listen(world, vip, API_PORT, Endpoint::TalosSecure { vmid });
    settle(world);
}

/// Lets a control plane that waits join the cluster's etcd, one at a time.
fn join(world: &mut World, vmid: u32) {
    let now = world.now;
    let Some(machine) = world.machines.get(&vmid).filter(|m| m.on && m.healthy("kubelet")) else { return };
    if !waits_for_bootstrap(machine) || !api_reachable(world, machine) {
        return;
    }
    let Some(cluster) = world.machines.values().find_map(|m| {
        let etcd = m.etcd.as_ref()?;
        (m.api_server == Progress::Done && same_cluster(m, machine)).then_some(etcd.cluster)
    }) else {
        return;
    };
    let joining = members(world, cluster).any(|m| m.membership.learner);
    if joining {
        return;
    }
    let id = world.random.u64(..) | 1;
    let name = machine.hostname();
    // Whoever joins takes an old line with its own name out of the list first.
    for other in world.machines.values_mut() {
        other.lost.take_if(|lost| lost.membership.cluster == cluster && lost.hostname == name);
    }
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    machine.etcd = Some(Membership { cluster, id, learner: true });
    machine.etcd_started = true;
    machine.service(now, "etcd", State::Preparing, "Creating service runner");
    machine.service(now, "etcd", State::Running, ETCD_RUNS);
    machine.health(now, "etcd", false, "etcdserver: rpc not supported for learner");
    later(world, vmid, world.scenario.latency.join_s, move |world| promote(world, vmid));
}

/// Registers the node with the API as soon as both are there.
fn register(world: &mut World, vmid: u32) {
    let Some(machine) = world.machines.get(&vmid) else { return };
    let ready = machine.on && machine.healthy("kubelet") && machine.registered == Progress::No;
    if !ready || !api_reachable(world, machine) {
        return;
    }
    if let Some(machine) = world.machines.get_mut(&vmid) {
        machine.registered = Progress::Underway;
    }
    later(world, vmid, world.scenario.latency.register_s, move |world| {
        let Some(machine) = world.machines.get_mut(&vmid) else { return };
        let Some(config) = machine.config.clone() else { return };
        machine.registered = Progress::Done;
        let facts = NodeFacts {
            name: machine.hostname(),
            address: machine.address().0,
            role: config.role.as_str().into(),
            vmid,
            uuid: machine.vm.uuid.clone(),
            cores: machine.vm.cores,
            memory_mib: machine.vm.memory_mib,
            mac: machine.vm.mac.clone(),
            labels: config.node_labels.clone(),
            taints: config.taints.clone(),
            kubernetes_version: config.kubernetes_version.clone(),
            talos_version: TALOS_VERSION.into(),
            data_disks: machine.vm.data_disks(),
        };
        outside::register_node(world, facts);
        settle(world);
    });
}

/// True when a Kubernetes API that trusts this machine answers at the address in its config, or on the machine itself.
pub fn api_reachable(world: &World, machine: &Machine) -> bool {
    let Some(config) = &machine.config else { return false };
    let serves = |name: &str| {
        world.machines.values().any(|m| m.api_server == Progress::Done && m.hostname() == name && trusts(m, machine))
    };
    if machine.api_server == Progress::Done {
        return true;
    }
    match config.endpoint_host.parse::<Ipv4Addr>() {
        Ok(host) => match world.listeners.get(&SocketAddr::from((host, config.endpoint_port))) {
            Some(Endpoint::Kubernetes { node }) => serves(node),
            Some(_) | None => false,
        },
        // The lab has no DNS: a name means whichever API server there is.
        Err(_) => world.machines.values().any(|m| m.api_server == Progress::Done && trusts(m, machine)),
    }
}

/// Same Kubernetes CA and bootstrap token.
fn trusts(a: &Machine, b: &Machine) -> bool {
    match (&a.config, &b.config) {
        (Some(a), Some(b)) => a.kubernetes_ca.crt == b.kubernetes_ca.crt && a.bootstrap_token == b.bootstrap_token,
        _ => false,
    }
}

/// Configs of one secrets bundle: same cluster id and etcd CA.
fn same_cluster(a: &Machine, b: &Machine) -> bool {
    match (&a.config, &b.config) {
        (Some(a), Some(b)) => {
            a.cluster_id == b.cluster_id && a.etcd_ca.as_ref().map(|p| &p.crt) == b.etcd_ca.as_ref().map(|p| &p.crt)
        }
        _ => false,
    }
}

/// A line of etcd's member list.
pub struct Member<'a> {
    pub membership: &'a Membership,
    pub hostname: String,
    pub address: Ipv4Addr,
    /// `None`: its data is gone.
    machine: Option<&'a Machine>,
}

impl Member<'_> {
    pub fn healthy(&self) -> bool {
        self.machine.is_some_and(|m| m.on && m.healthy("etcd"))
    }
}

/// The member list of `cluster`, by VMID.
pub fn members(world: &World, cluster: u64) -> impl Iterator<Item = Member<'_>> {
    let lines = world.machines.values().flat_map(|machine| {
        let own = machine.etcd.as_ref().map(|membership| Member {
            membership,
            hostname: machine.hostname(),
            address: machine.address().0,
            machine: Some(machine),
        });
        let lost = machine.lost.as_ref().map(|lost| Member {
            membership: &lost.membership,
            hostname: lost.hostname.clone(),
            address: lost.address,
            machine: None,
        });
        own.into_iter().chain(lost)
    });
    lines.filter(move |member| member.membership.cluster == cluster)
}

/// True when more than half of the voting members of the machine's etcd are healthy.
pub fn has_quorum(world: &World, machine: &Machine) -> bool {
    let Some(etcd) = &machine.etcd else { return false };
    let voters = || members(world, etcd.cluster).filter(|m| !m.membership.learner);
    voters().filter(Member::healthy).count() * 2 > voters().count()
}
