//! The site of the lab's standard plan as the observer sees it in the middle of day 3.
use super::person::at;
use super::runs::the_plan;
use cozyup::observed::{
    Backend, Cause, Contacts, Event, Events, Host, Machine, Machines, Member, Node, Nodes, Object, Pod, Pods, Power,
    Release, ReleaseState, Releases, Site, Snapshot, Storage, Tail, Tails, Task, View, Vm, VmThere,
};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Seen {
    pub contacts: Contacts,
    pub site: Site,
    pub machines: Machines,
    pub nodes: Nodes,
    pub cluster: Option<(Releases, Pods, Events)>,
}

impl Seen {
    /// Second 400: everything runs, one release has failed and holds others back.
    pub fn platform() -> Seen {
        let names: Vec<String> = the_plan().nodes.iter().map(|n| n.name.clone()).collect();
        let mut contacts = Contacts::default();
        contacts.answered(&Backend::Proxmox, at(398));
        contacts.answered(&Backend::Kubernetes, at(399));
        for name in &names {
            contacts.answered(&Backend::Talos { machine: name.clone() }, at(397));
        }
        let node = |name: &String| Node {
            name: name.clone(),
            ready: true,
            reason: String::new(),
            version: "v1.33.3".into(),
            planned: true,
            ..Node::default()
        };
        Seen {
            contacts,
            site: site(5),
            machines: machines(),
            nodes: Nodes { total: 4, ready: 4, rows: names.iter().map(node).collect() },
            cluster: Some((releases(), pods(), events())),
        }
    }

    /// Day 1: two machines are there, the second one is being cloned.
    pub fn cloning() -> Seen {
        let mut contacts = Contacts::default();
        contacts.answered(&Backend::Proxmox, at(173));
        let mut site = site(3);
        for vm in &mut site.vms[1..3] {
            let there = vm.there.as_mut().unwrap();
            there.power = Power::Stopped;
        }
        site.vms[2].there.as_mut().unwrap().lock = Some("clone".into());
        site.tasks = vec![Task {
            upid: "UPID:pve:000A1B2C:01:clone:9100:cozyup@pve!installer:".into(),
            kind: "qmclone".into(),
            host: "pve".into(),
            vmid: Some(the_plan().template.vmid),
            user: "cozyup@pve!installer".into(),
            ours: true,
            started: Some(at(158)),
            progress: Some(4100),
        }];
        site.tasks_running = 1;
        Seen { contacts, site, machines: Machines::default(), nodes: Nodes::default(), cluster: None }
    }

    /// The third machine was stopped, and nothing answers for it.
    pub fn with_a_stopped_machine(mut self) -> Seen {
        self.site.vms[3].there.as_mut().unwrap().power = Power::Stopped;
        self.nodes.ready = 3;
        self.nodes.rows[2].ready = false;
        self.contacts.failed(&Backend::Talos { machine: "cozy-new-cp3".into() }, at(340), Cause::Unreachable);
        self.site.tasks.push(Task {
            upid: "UPID:pve:000A1B2D:02:vzdump:1001:root@pam:".into(),
            kind: "vzdump".into(),
            host: "pve".into(),
            vmid: Some(the_plan().nodes[0].vmid),
            user: "root@pam".into(),
            ours: false,
            started: Some(at(300)),
            progress: None,
        });
        self.site.tasks_running += 1;
        self
    }

    /// Of a cluster that no run speaks of: no machine, and nodes of three kinds.
    pub fn alone(mut self) -> Vec<Arc<Snapshot>> {
        let node = |name: &str, role: &str| Node {
            name: name.into(),
            ready: true,
            version: "v1.32.1".into(),
            roles: Some(role.to_string()).filter(|role| !role.is_empty()).into_iter().collect(),
            created: Some(at(399 - 219 * 86_400)),
            ..Node::default()
        };
        let broken = Node {
            ready: false,
            reason: "NodeStatusUnknown".into(),
            pressures: vec!["DiskPressure".into()],
            ..node("mgr-cozy3", "control-plane")
        };
        let rows = vec![
            broken,
            node("mgr-cozy1", "control-plane"),
            node("mgr-cozy2", "control-plane"),
            Node { cordoned: true, ..node("mgr.example.org", "") },
        ];
        self.nodes = Nodes { total: 4, ready: 3, rows };
        self.contacts.all.retain(|contact| contact.backend == Backend::Kubernetes);
        let of_cluster = |snapshot: &Arc<Snapshot>| !matches!(snapshot.view, View::Site(_) | View::Machines(_));
        self.snapshots().into_iter().filter(of_cluster).collect()
    }

    /// The cluster does not answer any more.
    pub fn with_a_silent_cluster(mut self) -> Seen {
        self.contacts.failed(&Backend::Kubernetes, at(310), Cause::Unreachable);
        self
    }

    pub fn snapshots(self) -> Vec<Arc<Snapshot>> {
        let mut views = vec![View::Contacts(self.contacts), View::Site(self.site)];
        if let Some((releases, pods, events)) = self.cluster {
            views.extend([View::Machines(self.machines), View::Nodes(self.nodes)]);
            views.extend([View::Releases(releases), View::Pods(pods), View::Events(events), View::Tails(tails())]);
        }
        views.into_iter().map(|view| Arc::new(Snapshot::new(at(399), view))).collect()
    }
}

/// The template and the machines, of which the first `there` are there.
fn site(there: usize) -> Site {
    let plan = the_plan();
    let seen = |n: usize, power| {
        (n < there).then(|| VmThere {
            host: "pve".into(),
            power,
            lock: None,
            cpu_permille: Some(31),
            cpus: Some(8),
            memory: Some(2 << 30),
            memory_max: Some(24 << 30),
            uptime_s: Some(240),
        })
    };
    let template = Vm {
        vmid: plan.template.vmid,
        name: plan.template.name.clone(),
        template: true,
        there: seen(0, Power::Stopped),
    };
    let machines = plan.nodes.iter().enumerate().map(|(n, node)| Vm {
        vmid: node.vmid,
        name: node.name.clone(),
        template: false,
        there: seen(n + 1, Power::Running),
    });
    Site {
        vms: std::iter::once(template).chain(machines).collect(),
        hosts: vec![Host {
            name: "pve".into(),
            online: true,
            cpu_permille: Some(41),
            cpus: Some(64),
            memory: Some(88 << 30),
            memory_max: Some(256 << 30),
        }],
        storages: vec![
            Storage { name: "local".into(), host: "pve".into(), used: 91 << 30, total: 100 << 30 },
            Storage { name: "local-lvm".into(), host: "pve".into(), used: 300 << 30, total: 4 << 40 },
        ],
        tasks: Vec::new(),
        tasks_running: 0,
        own_tasks_only: false,
    }
}

fn machines() -> Machines {
    let plan = the_plan();
    let control: Vec<String> = plan.control_planes().map(|n| n.name.clone()).collect();
    let machine = |name: &String| Machine {
        name: name.clone(),
        stage: Some("running".into()),
        ready: true,
        version: Some("v1.10.6".into()),
        services_down: Vec::new(),
        services: if control.contains(name) { 10 } else { 7 },
        etcd_size: control.contains(name).then_some(8 << 20),
        etcd_has_leader: control.contains(name).then_some(true),
    };
    let mut machines: Vec<Machine> = plan.nodes.iter().map(|n| machine(&n.name)).collect();
    machines[3].services_down = vec![("kubelet".into(), "Waiting".into())];
    let members = control.iter().map(|name| Member { name: name.clone(), learner: false }).collect();
    Machines { machines, members: Some(members) }
}

fn releases() -> Releases {
    let release = |namespace: &str, name: &str, state, after: Option<&str>| {
        let failed = state == ReleaseState::Failed;
        let message = "Helm install failed for release cozy-cert-manager/cert-manager with chart \
                       cozy-cert-manager@0.37.2: context deadline exceeded";
        Release {
            namespace: namespace.into(),
            name: name.into(),
            state,
            reason: if failed { "InstallFailed".into() } else { String::new() },
            message: if failed { message.into() } else { String::new() },
            revision: "0.37.2".into(),
            failures: if failed { 3 } else { 0 },
            since: Some(at(350)),
            after: after.map(str::to_string),
            helm_name: None,
            target: None,
        }
    };
    let (failed, waits, ready) = (ReleaseState::Failed, ReleaseState::Waits, ReleaseState::Ready);
    let root = Some("cozy-cert-manager/cert-manager");
    let issuers = Some("cozy-cert-manager/cert-manager-issuers");
    let rows = vec![
        release("cozy-cert-manager", "cert-manager", failed, None),
        release("cozy-kubeovn", "kubeovn-plunger", ReleaseState::Runs, None),
        release("cozy-cert-manager", "cert-manager-issuers", waits, root),
        release("cozy-cluster-api", "capi-operator", waits, root),
        release("cozy-etcd-operator", "etcd-operator", waits, root),
        release("cozy-kubeovn-webhook", "kubeovn-webhook", waits, root),
        release("cozy-linstor", "piraeus-operator", waits, issuers),
        release("cozy-snapshot-controller", "snapshot-controller", waits, issuers),
        release("cozy-cilium", "cilium", ready, None),
        release("cozy-fluxcd", "fluxcd", ready, None),
        release("cozy-fluxcd", "fluxcd-operator", ready, None),
        release("cozy-kubeovn", "kubeovn", ready, None),
        release("cozy-reloader", "reloader", ready, None),
    ];
    Releases { total: rows.len(), ready: 5, troubled: 1, rows }
}

fn pods() -> Pods {
    let pod = |name: &str, reason: Option<&str>, restarts, node: &str| Pod {
        namespace: "cozy-cert-manager".into(),
        name: name.into(),
        phase: "Pending".into(),
        reason: reason.map(str::to_string),
        restarts,
        node: node.into(),
        release: Some("cert-manager".into()),
    };
    let rows = vec![
        pod("cert-manager-7c9fb8dd5-x2x4q", Some("ImagePullBackOff"), 0, "cozy-new-cp2"),
        pod("cert-manager-webhook-6d9c-8zk2p", Some("CrashLoopBackOff"), 6, "cozy-new-worker1"),
        pod("cert-manager-cainjector-5b8-q7w1m", Some("ContainerCreating"), 0, "cozy-new-cp1"),
    ];
    let phases =
        BTreeMap::from([("Running".to_string(), 51), ("Pending".to_string(), 3), ("Succeeded".to_string(), 2)]);
    Pods { total: 56, ready: 51, phases, troubled: 3, rows }
}

/// The end of the log of the container that crashes.
fn tails() -> Tails {
    let lines = ["looks for its lease, try 59", "E1130 00:06:59 main.go:12] no lease within 60 s: giving up"];
    let tail = Tail {
        namespace: "cozy-cert-manager".into(),
        pod: "cert-manager-webhook-6d9c-8zk2p".into(),
        container: "webhook".into(),
        earlier: true,
        lines: lines.map(String::from).to_vec(),
    };
    Tails { rows: vec![tail] }
}

fn events() -> Events {
    let event = |second, about: &str, reason: &str, message: &str, count| Event {
        at: Some(at(second)),
        about: about.into(),
        of: of(about),
        reason: reason.into(),
        message: message.into(),
        count,
    };
    let rows = vec![
        event(
            395,
            "Pod cozy-cert-manager/cert-manager-7c9fb8dd5-x2x4q",
            "Failed",
            "Failed to pull image \"quay.io/jetstack/cert-manager-controller:v1.17.2\": 429 Too Many Requests",
            14,
        ),
        event(
            390,
            "Pod cozy-cert-manager/cert-manager-webhook-6d9c-8zk2p",
            "BackOff",
            "Back-off restarting failed container webhook",
            22,
        ),
        event(350, "HelmRelease cozy-cert-manager/cert-manager", "InstallFailed", "context deadline exceeded", 3),
        event(120, "Node cozy-new-worker1", "InvalidDiskCapacity", "invalid capacity 0 on image filesystem", 1),
    ];
    Events { total: 9, rows }
}

/// The thing that an event is about.
fn of(about: &str) -> Option<Object> {
    let (kind, name) = about.split_once(' ')?;
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let (namespace, name) = (namespace.to_string(), name.to_string());
    match kind {
        "Pod" => Some(Object::Pod { namespace, name }),
        "HelmRelease" => Some(Object::Release { namespace, name }),
        "Node" => Some(Object::Node { name }),
        _ => None,
    }
}
