//! The shortest time in which cozyup can finish a scenario: the chain of what must follow what in its order, by the lab's own
//! latencies. A run of cozyup that is faster has skipped something; one that is much slower waits without need. A program that
//! clones side by side, or configures the first machine before the last one is there, can be faster.
use super::kube;
use super::kube::{DRAIN_RETRY_S, REQUEUE_S};
use super::scenario::{Latency, Scenario};

/// One link of the chain, in lab seconds.
#[derive(Debug, Clone)]
pub struct Link {
    pub what: String,
    pub seconds: f64,
}

/// The chain up to the end of day `until`.
pub fn chain(scenario: &Scenario, until: u8) -> Vec<Link> {
    let l = &scenario.latency;
    let control_planes = scenario.nodes.iter().filter(|n| n.role == "controlplane").count();
    let mut chain = Vec::new();
    let mut add = |day: u8, what: &str, seconds: f64| {
        if day <= until && seconds > 0.0 {
            chain.push(Link { what: what.to_string(), seconds });
        }
    };
    add(1, "fetch the Talos image", l.image_fetch_s);
    add(1, "upload it to the storage", l.upload_task_s);
    add(1, "import it into the template's disk", l.import_s);
    of_the_slowest_host(scenario).into_iter().for_each(|(what, seconds)| add(1, what, seconds));
    if scenario.delivery == "cdrom" {
        add(2, "upload the machine's CD-ROM", l.upload_task_s);
        add(2, "put it into the VM", l.config_s);
        add(2, "start it", l.start_s);
        add(2, "boot and read the config", l.boot_to_maintenance_s + l.apply_to_secure_api_s);
    } else {
        add(1, "start it", l.start_s);
        add(1, "boot to maintenance mode", l.boot_to_maintenance_s);
        add(2, "apply the machine config", l.apply_to_secure_api_s);
    }
    add(2, "start the node's services", l.services_s);
    add(2, "bootstrap etcd", l.bootstrap_to_etcd_s);
    // The VIP is held as soon as etcd is healthy, while the API server still starts.
    add(2, "start the first API server and hold the VIP", l.apiserver_s.max(l.vip_s));
    let joins = l.join_s * control_planes.saturating_sub(1) as f64;
    add(2, "join the other control planes and register the nodes", joins.max(l.register_s));
    add(3, "start the CozyStack installer", l.installer_s);
    add(3, "start Flux and create the releases", l.flux_s);
    for (release, seconds) in kube::longest_chain(scenario, "paas-proxmox") {
        add(3, &format!("release {release}"), seconds);
    }
    let release = |name: &str| l.releases.get(name).copied().unwrap_or(l.release_default_s);
    let storage = l.satellite_pool_s;
    let ingress = release("ingress") + release("ingress-nginx-system") + l.load_balancer_s;
    let tenant = storage + release("etcd").max(ingress);
    let integration = tenant.max(release("proxmox-csi")).max(l.capi_provider_s);
    add(4, "integrate storage, tenant services, CSI and Cluster API providers", integration);
    add(5, "run the test pods and volumes", l.volume_bind_s + l.pod_start_s);
    add(5, "remove the tests", l.namespace_delete_s);
    later_days(l).into_iter().for_each(|(day, what, seconds)| add(day, what, seconds));
    chain
}

/// Days 6 to 8.
fn later_days(l: &Latency) -> Vec<(u8, &'static str, f64)> {
    let on = |day: u8, links: &[(&'static str, f64)]| -> Vec<_> { links.iter().map(|(w, s)| (day, *w, *s)).collect() };
    [on(6, &by_cluster_api(l)), on(7, &on_volumes(l)), on(8, &of_tenants(l))].concat()
}

/// Day 1 from the image on. A further host's template is imported when the first one is there, and serves the machines of its host.
fn of_the_slowest_host(scenario: &Scenario) -> [(&'static str, f64); 6] {
    let l = &scenario.latency;
    let of_copy = |host: &str| scenario.nodes.iter().filter(|node| node.host == host).count();
    let of_copies: usize = scenario.copies.iter().map(|copy| of_copy(&copy.host)).sum();
    let clones = |count: usize| l.clone_s * count as f64;
    let copies = scenario.copies.iter().map(|copy| (l.import_s, clones(of_copy(&copy.host))));
    let first = (0.0, clones(scenario.nodes.len() - of_copies));
    let (import, clones) = copies.fold(first, |a, b| if a.0 + a.1 < b.0 + b.1 { b } else { a });
    [
        ("import it into the disk of another host's template", import),
        ("make the template", l.template_s),
        ("clone the VMs, one after the other on one storage", clones),
        ("configure the last VM", l.config_s),
        ("resize its disk", l.resize_s),
        ("add its data disk", l.config_s),
    ]
}

/// Day 6. capmox looks at what is under way every so many seconds, so each of its requests costs as much.
fn by_cluster_api(l: &Latency) -> [(&'static str, f64); 8] {
    let looks = |seconds: f64| (seconds / REQUEUE_S).ceil().max(1.0) * REQUEUE_S;
    let before = looks(l.clone_s) + 2.0 * looks(l.config_s) + looks(l.upload_task_s);
    let requests = before + looks(l.start_s);
    let joins = l.boot_to_maintenance_s + l.apply_to_secure_api_s + l.services_s + l.register_s + l.node_ready_s;
    [
        ("let Cluster API clone, configure and start a VM", requests),
        ("let it stop and destroy the VM", looks(l.stop_s) + looks(l.destroy_s)),
        ("remove its namespace", l.namespace_delete_s),
        ("let it clone, configure and start workers", before + l.start_s),
        ("wait until they are Ready nodes", joins),
        ("run a pod on each", l.pod_start_s),
        ("let it drain, stop and destroy them", DRAIN_RETRY_S + looks(l.stop_s) + looks(l.destroy_s)),
        ("remove their namespace", l.namespace_delete_s),
    ]
}

/// Day 7, by its longest class: that of LINSTOR's replicated volumes, which has every part.
fn on_volumes(l: &Latency) -> [(&'static str, f64); 5] {
    [
        ("bind a volume and write to it", l.volume_bind_s + l.pod_start_s),
        ("let it grow", kube::GROW_S),
        ("take a snapshot, restore and read it", kube::SNAPSHOT_S + l.volume_bind_s + l.pod_start_s),
        ("let its pod go and read it on another node", kube::UNMOUNT_S + l.pod_start_s),
        ("remove the volumes", l.namespace_delete_s + l.volume_delete_s),
    ]
}

/// Day 8, by its longest branch: the database, with one instance after the other.
fn of_tenants(l: &Latency) -> [(&'static str, f64); 5] {
    let instance = l.volume_bind_s + l.pod_start_s;
    [
        ("install the tenants", l.release_default_s),
        ("make the database, its first instance", l.release_default_s.max(instance)),
        ("make its replica", instance),
        ("write a row and read it from the replica", 2.0 * l.pod_start_s + 2.0),
        ("remove the database and the tenants", l.volume_delete_s + l.namespace_delete_s),
    ]
}

pub fn seconds(chain: &[Link]) -> f64 {
    chain.iter().map(|l| l.seconds).sum()
}
