//! A made-up site for tests: the machines of the default plan, and a platform of which one release has failed.
use crate::observed::{
    Backend, Cause, Contacts, Event, Events, Host, Machine, Machines, Member, Node, Nodes, Object, Pod, Pods, Power,
    Release, ReleaseState, Releases, Site, Snapshot, Storage, Task, View, Vm, VmThere,
};
use crate::plan::Plan;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The last look of each kind, at a time in seconds.
pub struct Seen {
    pub site: Site,
    pub machines: Machines,
    pub nodes: Nodes,
    pub releases: Releases,
    pub pods: Pods,
    pub events: Events,
    pub contacts: Contacts,
    at: i64,
}

impl Seen {
    /// Everything is as the plan says, but that one release has failed and holds two others back.
    pub fn of(plan: &Plan, second: i64) -> Seen {
        let names: Vec<String> = plan.nodes.iter().map(|n| n.name.clone()).collect();
        let mut contacts = Contacts::default();
        contacts.answered(&Backend::Proxmox, at(second - 2));
        contacts.answered(&Backend::Kubernetes, at(second - 3));
        for name in &names {
            contacts.answered(&Backend::Talos { machine: name.clone() }, at(second - 4));
        }
        Seen {
            site: site(plan),
            machines: machines(plan),
            nodes: Nodes {
                total: names.len(),
                ready: names.len(),
                rows: names.iter().map(|n| node(n, true)).collect(),
            },
            releases: releases(second),
            pods: pods(),
            events: events(second),
            contacts,
            at: second,
        }
    }

    pub fn vm(&mut self, n: usize) -> &mut Vm {
        &mut self.site.vms[n + 1]
    }

    pub fn silent(&mut self, machine: &str, since: i64) {
        self.contacts.failed(&Backend::Talos { machine: machine.into() }, at(since), Cause::Unreachable);
    }

    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let views = [
            View::Contacts(self.contacts.clone()),
            View::Site(self.site.clone()),
            View::Machines(self.machines.clone()),
            View::Nodes(self.nodes.clone()),
            View::Releases(self.releases.clone()),
            View::Pods(self.pods.clone()),
            View::Events(self.events.clone()),
        ];
        views.into_iter().map(|view| Arc::new(Snapshot::new(at(self.at), view))).collect()
    }
}

fn there(power: Power) -> VmThere {
    VmThere {
        host: "pve".into(),
        power,
        lock: None,
        cpu_permille: Some(34),
        cpus: Some(8),
        memory: Some(2 << 30),
        memory_max: Some(24 << 30),
        uptime_s: Some(1560),
    }
}

fn site(plan: &Plan) -> Site {
    let template = Vm {
        vmid: plan.template.vmid,
        name: plan.template.name.clone(),
        template: true,
        there: Some(there(Power::Stopped)),
    };
    let vms = plan.nodes.iter().map(|n| Vm {
        vmid: n.vmid,
        name: n.name.clone(),
        template: false,
        there: Some(there(Power::Running)),
    });
    Site {
        vms: std::iter::once(template).chain(vms).collect(),
        hosts: vec![Host {
            name: "pve".into(),
            online: true,
            cpu_permille: Some(41),
            cpus: Some(64),
            memory: Some(88 << 30),
            memory_max: Some(256 << 30),
        }],
        storages: vec![Storage { name: "local-lvm".into(), host: "pve".into(), used: 300 << 30, total: 4 << 40 }],
        tasks: vec![Task {
            upid: "UPID:pve:0001:backup".into(),
            kind: "vzdump".into(),
            host: "pve".into(),
            vmid: Some(plan.nodes[0].vmid),
            user: "root@pam".into(),
            ours: false,
            started: Some(at(100)),
            progress: Some(4100),
        }],
        tasks_running: 1,
        own_tasks_only: false,
    }
}

fn machines(plan: &Plan) -> Machines {
    let machine = |name: &str, leads: Option<bool>| Machine {
        name: name.into(),
        stage: Some("running".into()),
        ready: true,
        version: Some("v1.10.6".into()),
        services_down: Vec::new(),
        services: 9,
        etcd_size: leads.map(|_| 8 << 20),
        etcd_has_leader: leads,
    };
    let control: Vec<&str> = plan.control_planes().map(|n| n.name.as_str()).collect();
    let all = plan.nodes.iter().map(|n| machine(&n.name, control.contains(&n.name.as_str()).then_some(true)));
    let members = control.iter().map(|name| Member { name: (*name).to_string(), learner: false }).collect();
    Machines { machines: all.collect(), members: Some(members) }
}

pub fn node(name: &str, ready: bool) -> Node {
    Node {
        name: name.into(),
        ready,
        reason: if ready { String::new() } else { "NodeStatusUnknown".into() },
        version: "v1.33.3".into(),
        planned: true,
        ..Node::default()
    }
}

pub fn release(name: &str, state: ReleaseState, after: Option<&str>) -> Release {
    let failed = state == ReleaseState::Failed;
    Release {
        namespace: format!("cozy-{name}"),
        name: name.into(),
        state,
        reason: if failed { "InstallFailed".into() } else { String::new() },
        message: if failed { "context deadline exceeded".into() } else { String::new() },
        revision: "0.37.2".into(),
        failures: if failed { 3 } else { 0 },
        since: Some(at(200)),
        after: after.map(|name| format!("cozy-{name}/{name}")),
        helm_name: None,
        target: None,
    }
}

fn releases(_second: i64) -> Releases {
    let rows = vec![
        release("cert-manager", ReleaseState::Failed, None),
        release("linstor", ReleaseState::Runs, None),
        release("cert-manager-issuers", ReleaseState::Waits, Some("cert-manager")),
        release("snapshot-controller", ReleaseState::Waits, Some("cert-manager-issuers")),
        release("cilium", ReleaseState::Ready, None),
    ];
    Releases { total: rows.len(), ready: 1, troubled: 1, rows }
}

fn pods() -> Pods {
    let pod = Pod {
        namespace: "cozy-cert-manager".into(),
        name: "cert-manager-7c9-x2x".into(),
        phase: "Pending".into(),
        reason: Some("ImagePullBackOff".into()),
        restarts: 6,
        node: "cozy-new-cp2".into(),
        release: Some("cert-manager".into()),
    };
    let phases =
        BTreeMap::from([("Running".to_string(), 53), ("Pending".to_string(), 1), ("Succeeded".to_string(), 2)]);
    Pods { total: 56, ready: 53, phases, troubled: 1, rows: vec![pod] }
}

fn events(second: i64) -> Events {
    let event = |about: &str, of, reason: &str, message: &str, count| Event {
        at: Some(at(second - 20)),
        about: about.into(),
        of: Some(of),
        reason: reason.into(),
        message: message.into(),
        count,
    };
    let pod = Object::Pod { namespace: "cozy-cert-manager".into(), name: "cert-manager-7c9-x2x".into() };
    let node = Object::Node { name: "cozy-new-cp3".into() };
    let rows = vec![
        event("Pod cozy-cert-manager/cert-manager-7c9-x2x", pod, "Failed", "pull: 429 too many requests", 14),
        event("Node cozy-new-cp3", node, "NodeNotReady", "Node cozy-new-cp3 status is now: NodeNotReady", 1),
    ];
    Events { total: 12, rows }
}
