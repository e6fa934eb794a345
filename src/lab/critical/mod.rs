//! The shortest time in which cozyup can finish a scenario: the longest path through what must follow what, by the lab's own
//! latencies. Of days 1 and 2 it is the path of a graph under the limits of the site (`schedule`): the lock of a storage, and
//! the bandwidth that copies share. How many copies go side by side is chosen so that the end comes soonest. The later days
//! are a chain.
mod machines;
mod schedule;

pub use machines::Order;

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
    let mut chain = to_the_machines(scenario, until, Order::Cozyup);
    let mut add = |day: u8, what: &str, seconds: f64| {
        if day <= until && seconds > 0.0 {
            chain.push(Link { what: what.to_string(), seconds });
        }
    };
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

/// Days 1 and 2, up to the end of `until`, in this order: the path with as many copies side by side as end it soonest.
pub fn to_the_machines(scenario: &Scenario, until: u8, order: Order) -> Vec<Link> {
    let built = machines::graph(scenario, order);
    let last = match until {
        0 => return Vec::new(),
        1 => built.day_1,
        _ => built.day_2,
    };
    let most = scenario.nodes.len().max(1);
    let widths = match order {
        Order::Cozyup => 1..=most,
        Order::Terraform => most..=most,
    };
    let paths = widths.map(|side_by_side| built.graph.path(&built.graph.spans(side_by_side), last));
    let links =
        |path: Vec<(String, f64)>| path.into_iter().map(|(what, seconds)| Link { what, seconds }).collect::<Vec<_>>();
    let best = paths.map(links).min_by(|a, b| seconds(a).total_cmp(&seconds(b))).unwrap_or_default();
    best.into_iter().filter(|link| link.seconds > 0.0).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn standard(streams: f64) -> Scenario {
        let mut scenario: Scenario = serde_yaml::from_str(include_str!("../../../assets/lab/standard.yaml")).unwrap();
        scenario.proxmox.storages.iter_mut().for_each(|storage| storage.streams = streams);
        scenario
    }

    fn told(chain: &[Link]) -> String {
        chain.iter().map(|link| format!("{:.1} {}\n", link.seconds, link.what)).collect()
    }

    #[test]
    fn copies_side_by_side_shorten_the_path_by_what_the_disks_give_and_no_more() {
        let path = |streams| seconds(&chain(&standard(streams), 1));
        let l = standard(1.0).latency;
        // Up to the first allocation; then four copies of one disk's bandwidth take four times as long, in whichever order.
        let bare = path(100.0) - l.clone_s - 4.0 * l.allocate_s;
        let copying = |copies: f64| {
            bare + l.allocate_s + copies * l.clone_s - 1e-6..=bare + copies * l.clone_s + 4.0 * l.allocate_s
        };
        assert!(copying(4.0).contains(&path(1.0)), "{}", path(1.0));
        assert!(copying(2.0).contains(&path(2.0)), "{}", path(2.0));
        assert!(path(100.0) < path(4.0) + 4.0 * l.allocate_s);
    }

    #[test]
    fn the_links_of_a_path_follow_each_other_to_its_end() {
        let scenario = standard(2.0);
        for until in [1, 2] {
            let built = machines::graph(&scenario, Order::Cozyup);
            let chain = chain(&scenario, until);
            let last = if until == 1 { built.day_1 } else { built.day_2 };
            let ends = (1..=4).map(|side_by_side| built.graph.spans(side_by_side)[last].end);
            let soonest = ends.fold(f64::INFINITY, f64::min);
            assert!((seconds(&chain) - soonest).abs() < 1e-6, "{soonest}\n{}", told(&chain));
        }
    }

    #[test]
    fn a_path_names_what_everything_waits_for() {
        let told = told(&chain(&standard(2.0), 2));
        for link in
            ["fetch the Talos image", "allocate the disk of", "copy the disk of", "bootstrap etcd", "join cozy-new-cp3"]
        {
            assert!(told.contains(link), "{link} is not in\n{told}");
        }
    }
}
