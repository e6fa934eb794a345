//! A lab whose Talos nodes stand there without a Proxmox round them.
use super::Talosctl;
use cozyup::base::clock::Clock;
use cozyup::base::tls::install_provider;
use cozyup::lab::machine::{self, outside::Vm};
use cozyup::lab::net;
use cozyup::lab::scenario::Scenario;
use cozyup::lab::world::{Lab, World};
use cozyup::talos::config::{self, NodeConfig, Place, Role};
use cozyup::talos::secrets::Bundle;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;

/// Lab seconds per second. A node that nobody bootstraps reboots after 70 minutes, which a busy machine must not reach.
const SPEED: f64 = 120.0;
/// Wall time in which the lab does whatever a test waits for.
pub const SOON: Duration = Duration::from_secs(30);

/// One cluster's secrets for all tests: its RSA key takes a while.
pub static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle::generate(jiff::Timestamp::now()).unwrap());

pub struct Site {
    pub lab: Lab,
    net: Ipv4Addr,
    _held: TcpListener,
    _runtime: Runtime,
}

impl Site {
    /// A lab whose /24 is `127.N.NET.0`: every test has sockets of its own, and every run of the tests an N.
    pub fn new(net: u8) -> Self {
        Site::with(net, |_| ())
    }

    pub fn with(net: u8, change: impl FnOnce(&mut Scenario)) -> Self {
        Site::at_speed(net, SPEED, change)
    }

    /// At `speed` lab seconds per second.
    pub fn at_speed(net: u8, speed: f64, change: impl FnOnce(&mut Scenario)) -> Self {
        install_provider();
        let mut scenario: Scenario = serde_yaml::from_str(include_str!("../../../assets/lab/standard.yaml")).unwrap();
        change(&mut scenario);
        let clock = Clock::scaled(jiff::Timestamp::now(), SystemTime::now(), speed);
        let (net, held) = free(net);
        let lab = Lab::new(World::new(scenario, net, clock.now()), clock);
        let runtime = Runtime::new().unwrap();
        let (timers, sockets) = (lab.clone(), lab.clone());
        let (say, mut problems) = tokio::sync::mpsc::unbounded_channel();
        runtime.spawn(async move { timers.run_timers().await });
        runtime.spawn(async move { net::run(sockets, say).await });
        runtime.spawn(async move {
            while let Some(problem) = problems.recv().await {
                eprintln!("{problem}");
            }
        });
        Site { lab, net, _held: held, _runtime: runtime }
    }

    pub fn address(&self, host: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.net.octets();
        Ipv4Addr::new(a, b, c, host)
    }

    pub fn at(&self, host: u8) -> String {
        self.address(host).to_string()
    }

    /// Switches a VM on; it is VMID 1000 + `host`.
    pub fn start(&self, host: u8) {
        let vm = Vm {
            name: format!("vm{host}"),
            cores: 8,
            memory_mib: 24576,
            mac: mac(host),
            uuid: format!("00000000-0000-4000-8000-0000000000{host:02x}"),
            mtu: 1500,
            system_disk_gib: 50,
            extra_disks: vec![("scsi1".into(), 256)],
            swapped: false,
            address: (self.address(host), 24),
            gateway: Some(self.address(1)),
            nameservers: vec![self.address(1)],
            hostname: Some(format!("vm{host}")),
        };
        self.lab.with(|w| machine::start(w, 1000 + u32::from(host), vm));
    }

    /// The machine config as cozyup writes it; see [`node_config`].
    pub fn config(&self, host: u8) -> String {
        let node = node_config(self.address(0), host);
        config::render(&node, &BUNDLE).unwrap().expose().clone()
    }

    /// `talosctl` with the talosconfig that cozyup writes for these nodes.
    pub fn talosctl(&self, hosts: &[u8]) -> Talosctl {
        let control_planes: Vec<Ipv4Addr> = hosts.iter().filter(|h| **h < 211).map(|h| self.address(*h)).collect();
        let text = BUNDLE.talosconfig("cozy", &control_planes, &control_planes[..1], jiff::Timestamp::now()).unwrap();
        Talosctl::with(text.expose())
    }

    /// Waits for maintenance mode on these nodes, as `talosctl` sees it.
    pub fn in_maintenance(&self, hosts: &[u8]) {
        let talosctl = Talosctl::new();
        for host in hosts {
            eventually("maintenance", || {
                let said = talosctl.say(&["-n", &self.at(*host), "get", "machinestatus", "--insecure"]);
                if said.out.contains("maintenance") { Ok(()) } else { Err(said.err) }
            });
        }
    }

    /// Nodes with their configs, applied by `talosctl`; the API of the control planes answers. A worker's opens only when
    /// the cluster is bootstrapped.
    pub fn configured(&self, hosts: &[u8]) -> Talosctl {
        hosts.iter().for_each(|host| self.start(*host));
        self.in_maintenance(hosts);
        let talosctl = self.talosctl(hosts);
        for host in hosts {
            let file = talosctl.file(&format!("{host}.yaml"), &self.config(*host));
            talosctl.ok(&["-n", &self.at(*host), "apply-config", "--insecure", "-f", &file]);
        }
        for host in hosts.iter().filter(|h| **h < 211) {
            self.answers(&talosctl, *host);
        }
        talosctl
    }

    fn answers(&self, talosctl: &Talosctl, host: u8) {
        eventually("the secure API", || {
            let at = self.at(host);
            let said = talosctl.say(&["-e", &at, "-n", &at, "version"]);
            if said.code == Some(0) { Ok(()) } else { Err(said.err) }
        });
    }

    /// [`Site::configured`] and bootstrapped at the first; every node runs but for the network that CozyStack brings.
    pub fn running(&self, hosts: &[u8]) -> Talosctl {
        let talosctl = self.configured(hosts);
        eventually("bootstrap", || {
            let said = talosctl.say(&["bootstrap"]);
            if said.code == Some(0) { Ok(()) } else { Err(said.err) }
        });
        for host in hosts {
            self.answers(&talosctl, *host);
            eventually("a registered node", || {
                let said = talosctl.say(&["-n", &self.at(*host), "get", "nodestatus"]);
                if said.out.contains(&format!("node{host}")) { Ok(()) } else { Err(said.out + &said.err) }
            });
        }
        talosctl
    }
}

/// What cozyup would say in the config of a node of the /24 `net`: hosts from 211 on are workers.
pub fn node_config(net: Ipv4Addr, host: u8) -> NodeConfig {
    let [a, b, c, _] = net.octets();
    let at = |host| Ipv4Addr::new(a, b, c, host);
    NodeConfig {
        cluster_name: "cozy".into(),
        endpoint: format!("https://{}:6443", at(200)),
        role: if host < 211 { Role::ControlPlane } else { Role::Worker },
        place: Some(Place { hostname: format!("node{host}"), address: at(host), mac: mac(host), mtu: None }),
        subnet: format!("{}/24", at(0)).parse().unwrap(),
        gateway: at(1),
        dns: vec![at(1)],
        ntp: Vec::new(),
        vip: Some(at(200)),
        install_disk: "/dev/sda".into(),
        installer_image: "ghcr.io/cozystack/cozystack/talos:v1.10.6".into(),
        kubernetes_version: "v1.33.3".into(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        dns_domain: "cozy.local".into(),
        node_labels: Default::default(),
        taints: Vec::new(),
        registries: Default::default(),
        cert_sans: Vec::new(),
    }
}

/// The first such net that nobody has, held by a socket at its host 3 as `lab serve` holds its own.
fn free(net: u8) -> (Ipv4Addr, TcpListener) {
    (20..=85)
        .rev()
        .find_map(|n| {
            let held = TcpListener::bind((Ipv4Addr::new(127, n, net, 3), 8005)).ok()?;
            Some((Ipv4Addr::new(127, n, net, 0), held))
        })
        .expect("a free net")
}

pub fn mac(host: u8) -> String {
    format!("bc:24:11:00:00:{host:02x}")
}

/// Tries again until it works, at most [`SOON`].
pub fn eventually<T, E: std::fmt::Debug>(what: &str, mut f: impl FnMut() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        match f() {
            Ok(value) => return value,
            Err(e) if began.elapsed() > SOON => panic!("{what}: {e:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
