//! Days 1 and 2 as a graph: what has to be there before what, for each machine by itself.
use super::schedule::{Graph, Needs};
use crate::machine::CRI_SHARE;
use crate::scenario::{LabNode, Scenario};

/// The order of somebody who builds the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Of cozyup: day 2 begins when every machine is there, and no etcd is begun before each control plane could be asked.
    Cozyup,
    /// Of Terraform with the providers of bpg and siderolabs: no days, all clones at once, and a bootstrap of the first control
    /// plane that asks no other.
    Terraform,
}

/// The graph, and the works that are the ends of days 1 and 2.
pub struct Machines {
    pub graph: Graph,
    pub day_1: usize,
    pub day_2: usize,
}

/// A storage's disks, on a host where it is local.
fn disks(scenario: &Scenario, storage: &str, host: &str) -> (String, f64) {
    let found = scenario.proxmox.storages.iter().find(|s| s.name == storage);
    let place = if found.is_some_and(|s| s.shared) { "" } else { host };
    (format!("{storage} {place}"), found.map_or(1.0, |s| s.streams))
}

fn bandwidth((of, streams): (String, f64)) -> Needs {
    Needs::Bandwidth { of, streams }
}

/// The template that a machine is cloned from.
struct Template {
    host: String,
    storage: String,
    made: usize,
}

pub fn graph(scenario: &Scenario, order: Order) -> Machines {
    let mut graph = Graph::default();
    let templates = templates(scenario, &mut graph);
    // Everything waits for the control planes.
    let mut nodes: Vec<&LabNode> = scenario.nodes.iter().collect();
    if order == Order::Cozyup {
        nodes.sort_by_key(|node| node.role != "controlplane");
    }
    let ready: Vec<(&LabNode, usize)> =
        nodes.into_iter().map(|node| (node, machine(scenario, &mut graph, &templates, node))).collect();
    let all: Vec<usize> = ready.iter().map(|(_, end)| *end).collect();
    let day_1 = graph.add("every machine is there", 0.0, &all, Needs::Nothing);
    let begins = |end: usize| if order == Order::Terraform { end } else { day_1 };
    let booted: Vec<(&LabNode, usize)> =
        ready.into_iter().map(|(node, end)| (node, configured(scenario, &mut graph, node, begins(end)))).collect();
    let day_2 = cluster(scenario, &mut graph, order, &booted);
    Machines { graph, day_1, day_2 }
}

/// Image and templates. A further host's template is imported when the first one is there, and its image when it has one of its
/// own, over the line of the contacted host.
fn templates(scenario: &Scenario, graph: &mut Graph) -> Vec<Template> {
    let l = &scenario.latency;
    let line = || Needs::Bandwidth { of: "the line of the contacted host".into(), streams: 1.0 };
    let fetched = graph.add("fetch the Talos image", l.image_fetch_s, &[], Needs::Nothing);
    let uploaded = graph.add("upload it to the storage", l.upload_task_s, &[fetched], line());
    let disk = |host: &str, storage: Option<&String>| {
        let holds = |s: &&crate::scenario::Storage| {
            s.content.iter().any(|c| c == "images") && (s.nodes.is_empty() || s.nodes.iter().any(|n| n == host))
        };
        let first = || scenario.proxmox.storages.iter().find(holds).map(|s| s.name.clone()).unwrap_or_default();
        storage.cloned().unwrap_or_else(first)
    };
    let host = scenario.nodes.first().map(|n| n.host.clone()).unwrap_or_default();
    let storage = disk(&host, None);
    let imported = |graph: &mut Graph, host: &str, storage: &str, after: &[usize], what: &str| {
        let begun = graph.add(what, l.import_s + l.config_s, after, bandwidth(disks(scenario, storage, host)));
        (begun, graph.then("make the template", l.template_s, begun))
    };
    let (first, made) = imported(graph, &host, &storage, &[uploaded], "import it into the template's disk");
    let mut all = vec![Template { host, storage, made }];
    for copy in &scenario.copies {
        let own = copy
            .image_storage
            .as_ref()
            .map(|_| graph.add("upload it to another host", l.upload_task_s, &[fetched], line()));
        let storage = disk(&copy.host, copy.storage.as_ref());
        let after = [first, own.unwrap_or(uploaded)];
        let what = "import it into the disk of another host's template";
        let (_, made) = imported(graph, &copy.host, &storage, &after, what);
        all.push(Template { host: copy.host.clone(), storage, made });
    }
    all
}

/// A machine from its clone until it answers in maintenance mode, or is ready for its CD-ROM.
fn machine(scenario: &Scenario, graph: &mut Graph, templates: &[Template], node: &LabNode) -> usize {
    let (l, name) = (&scenario.latency, &node.name);
    let template = templates.iter().find(|t| t.host == node.host).or(templates.first());
    let Some(template) = template else { return 0 };
    let (of, streams) = disks(scenario, &template.storage, &template.host);
    let begun = graph.then(format!("begin to clone {name}"), l.config_s, template.made);
    let lock = Needs::Lock(of.clone());
    let allocated = graph.add(format!("allocate the disk of {name}"), l.allocate_s, &[begun], lock);
    let copied = graph.add(format!("copy the disk of {name}"), l.clone_s, &[allocated], bandwidth((of, streams)));
    let configured = graph.then(format!("configure {name}"), l.config_s, copied);
    let resized = graph.then(format!("resize the disk of {name}"), l.resize_s, configured);
    let ready = graph.then(format!("add the data disk of {name}"), l.config_s, resized);
    if scenario.delivery == "cdrom" {
        return ready;
    }
    let started = graph.then(format!("start {name}"), l.start_s, ready);
    graph.then(format!("boot {name} to maintenance mode"), l.boot_to_maintenance_s, started)
}

/// The machine with its config, until its containers can run.
fn configured(scenario: &Scenario, graph: &mut Graph, node: &LabNode, after: usize) -> usize {
    let (l, name) = (&scenario.latency, &node.name);
    let secure = if scenario.delivery == "cdrom" {
        let line = Needs::Bandwidth { of: "the line of the contacted host".into(), streams: 1.0 };
        let sent = graph.add(format!("upload the CD-ROM of {name}"), l.upload_task_s, &[after], line);
        let there = graph.then(format!("put it into {name}"), l.config_s, sent);
        let started = graph.then(format!("start {name}"), l.start_s, there);
        let reads = l.boot_to_maintenance_s + l.apply_to_secure_api_s;
        graph.then(format!("boot {name} and read its config"), reads, started)
    } else {
        graph.then(format!("apply the config of {name}"), l.apply_to_secure_api_s, after)
    };
    graph.then(format!("start the containers of {name}"), l.services_s * CRI_SHARE, secure)
}

/// From the bootstrap to the last member and the last node.
fn cluster(scenario: &Scenario, graph: &mut Graph, order: Order, booted: &[(&LabNode, usize)]) -> usize {
    let l = &scenario.latency;
    let planes: Vec<&(&LabNode, usize)> = booted.iter().filter(|(node, _)| node.role == "controlplane").collect();
    let pulls = l.services_s * (1.0 - CRI_SHARE);
    let asked: Vec<usize> = match order {
        Order::Cozyup => planes.iter().map(|(_, end)| *end).collect(),
        Order::Terraform => planes.iter().take(1).map(|(_, end)| *end).collect(),
    };
    let etcd = graph.add("pull etcd's image and bootstrap etcd", pulls + l.bootstrap_to_etcd_s, &asked, Needs::Nothing);
    // The VIP is held as soon as etcd is healthy, while the API server still starts.
    let serves = graph.then("start the first API server and hold the VIP", l.apiserver_s.max(l.vip_s), etcd);
    let mut ends = Vec::new();
    let mut member = serves;
    for (nth, (node, end)) in booted.iter().enumerate() {
        let pulled = graph.then(format!("start the services of {}", node.name), pulls, *end);
        ends.push(graph.add(format!("register {}", node.name), l.register_s, &[serves, pulled], Needs::Nothing));
        if nth > 0 && node.role == "controlplane" {
            member = graph.add(format!("join {} to etcd", node.name), l.join_s, &[member, pulled], Needs::Nothing);
        }
    }
    ends.push(member);
    graph.add("every machine is a node", 0.0, &ends, Needs::Nothing)
}
