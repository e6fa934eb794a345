//! The one world: everything that is simulated is a value in it, and every change happens under its lock.
use super::changes::Changes;
use super::scenario::Scenario;
use super::{disturb, kube, machine, mirror, net, pve, releases};
use cozyup_base::clock::{Clock, add};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

type Action = Box<dyn FnOnce(&mut World) + Send>;

pub struct World {
    /// The time of the current event. A timer runs at the time it was set for, so chains of timers never drift.
    pub now: Timestamp,
    pub started: Timestamp,
    pub scenario: Scenario,
    pub random: fastrand::Rng,
    /// The lab's /24, e.g. `127.86.0.0`: [`World::address`] gives its members.
    pub base: Ipv4Addr,
    pub pve: pve::Pve,
    /// VMs that run Talos or did, by VMID; off, they keep what is on their disk.
    pub machines: BTreeMap<u32, machine::Machine>,
    /// There once the first control plane has bootstrapped.
    pub cluster: Option<kube::Cluster>,
    /// Clusters of tenants, by namespace and name of their control plane.
    pub tenants: BTreeMap<(String, String), kube::tenant::Tenant>,
    /// Set by [`Lab::new`].
    pub clock: Option<Clock>,
    /// Another API server that answers for the cluster on the control planes' addresses: connections are passed on to it.
    /// Whoever sets this keeps it and the store in step (`tests/peers/bridge`).
    pub kubernetes_elsewhere: Option<SocketAddr>,
    /// Cluster API core and the in-cluster address provider run beside that server: the lab's own do nothing.
    pub cluster_api_elsewhere: bool,
    /// The files of the release server; set by `site::start`.
    pub releases: releases::Releases,
    /// The mirror that the nodes have to go through; set by `site::start`.
    pub mirror: Option<mirror::Mirror>,
    /// The sockets that should be open now; `net` makes it so.
    pub listeners: BTreeMap<SocketAddr, net::Endpoint>,
    /// The faults of the network in front of the APIs.
    pub disturbances: disturb::Plan,
    timers: BTreeMap<(Timestamp, u64), Action>,
    next_timer: u64,
}

impl World {
    pub fn new(scenario: Scenario, base: Ipv4Addr, now: Timestamp) -> Self {
        World {
            now,
            started: now,
            random: fastrand::Rng::with_seed(scenario.seed),
            pve: pve::Pve::new(&scenario, base),
            base,
            machines: BTreeMap::new(),
            cluster: None,
            tenants: BTreeMap::new(),
            clock: None,
            kubernetes_elsewhere: None,
            cluster_api_elsewhere: false,
            releases: releases::Releases::default(),
            mirror: None,
            listeners: BTreeMap::new(),
            disturbances: disturb::Plan::of(&scenario.disturbances),
            timers: BTreeMap::new(),
            next_timer: 0,
            scenario,
        }
    }

    /// Address number `host` of the lab's /24.
    pub fn address(&self, host: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.base.octets();
        Ipv4Addr::new(a, b, c, host)
    }

    /// Does `action` after `seconds` of lab time. Latencies come from `scenario.latency`, never from a literal.
    pub fn after(&mut self, seconds: f64, action: impl FnOnce(&mut World) + Send + 'static) {
        let at = add(self.now, Duration::from_secs_f64(seconds.max(0.0)));
        self.next_timer += 1;
        self.timers.insert((at, self.next_timer), Box::new(action));
    }

    pub fn listen(&mut self, at: SocketAddr, endpoint: net::Endpoint) {
        self.listeners.insert(at, endpoint);
    }

    /// Closes the socket and every connection through it.
    pub fn close(&mut self, at: SocketAddr) {
        self.listeners.remove(&at);
    }

    fn run_due(&mut self, until: Timestamp) {
        while let Some(entry) = self.timers.first_entry() {
            let (at, _) = *entry.key();
            if at > until {
                break;
            }
            let action = entry.remove();
            self.now = self.now.max(at);
            action(self);
        }
        self.now = self.now.max(until);
    }
}

/// A handle on the world; cheap to clone.
#[derive(Clone)]
pub struct Lab {
    world: Arc<Mutex<World>>,
    clock: Clock,
    changed: Arc<watch::Sender<u64>>,
    contacts: Arc<AtomicU64>,
    changes: Arc<Changes>,
}

impl Lab {
    pub fn new(mut world: World, clock: Clock) -> Self {
        world.clock = Some(clock.clone());
        Lab {
            world: Arc::new(Mutex::new(world)),
            clock,
            changed: Arc::new(watch::Sender::new(0)),
            contacts: Arc::default(),
            changes: Arc::default(),
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The requests that change something.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The number of connections so far.
    pub fn contacts(&self) -> u64 {
        self.contacts.load(Ordering::Relaxed)
    }

    pub fn note_contact(&self) {
        self.contacts.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs what is due, then `f`, and tells everybody who watches that the world may have changed.
    /// Keep `f` short and never await in it.
    pub fn with<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        let result = {
            let mut world = self.lock();
            let now = self.clock.now();
            world.run_due(now);
            f(&mut world)
        };
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        result
    }

    /// [`Lab::with`] for reading: wakes nobody unless a timer was due.
    pub fn look<R>(&self, f: impl FnOnce(&World) -> R) -> R {
        let now = self.clock.now();
        let mut world = self.lock();
        let due = world.timers.keys().next().is_some_and(|(at, _)| *at <= now);
        world.run_due(now);
        let result = f(&world);
        drop(world);
        if due {
            self.changed.send_modify(|n| *n = n.wrapping_add(1));
        }
        result
    }

    /// Fires after every [`Lab::with`] and every timer.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Runs timers when they are due, for as long as it is polled.
    pub async fn run_timers(&self) {
        let mut changed = self.watch();
        loop {
            let next = self.lock().timers.keys().next().map(|(at, _)| *at);
            let wait = async {
                match next {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => self.look(|_| ()),
                _ = changed.changed() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
