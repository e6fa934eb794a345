//! Where the nodes of the suite are: in the lab, or real machined in containers of their own.
use crate::peer;
use crate::talos::site::{self, BUNDLE, Site};
use cozyup::base::secret::Secret;
use cozyup::talos::secrets::ClientCertificate;
use cozyup::talos::{NodeState, config, state_of};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Wall time in which a node comes to whatever the suite waits for; a real one pulls images and waits for health checks.
const PATIENCE: Duration = Duration::from_secs(180);
/// Lab seconds per second: slow enough for a node to wait for its bootstrap while the suite asks it questions.
const SPEED: f64 = 60.0;
/// What `machined/site` lays out.
const NET: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 0);
/// Where the registry of a real site listens.
const REGISTRY: &str = "10.99.0.1:5000";
/// The first waits for its bootstrap as long as it is asked questions, so etcd and API servers come when told.
const NEVER_S: f64 = 1e7;

enum Nodes {
    Lab(Box<Site>),
    Real(Mutex<Vec<Child>>),
}

pub struct Place {
    nodes: Nodes,
    net: Ipv4Addr,
    pub admin: ClientCertificate,
    on: Mutex<Vec<u8>>,
}

impl Place {
    fn of(nodes: Nodes, net: Ipv4Addr) -> Place {
        cozyup::base::tls::install_provider();
        Place { nodes, net, admin: BUNDLE.admin_certificate(jiff::Timestamp::now()).unwrap(), on: Mutex::default() }
    }

    /// Without a kube-apiserver, which a real site of this suite has not got either.
    pub fn lab() -> Place {
        let site = Site::at_speed(41, SPEED, |scenario| {
            scenario.latency.apiserver_s = NEVER_S;
            scenario.latency.bootstrap_to_etcd_s = NEVER_S;
        });
        let net = site.address(0);
        Place::of(Nodes::Lab(Box::new(site)), net)
    }

    /// Only inside of `machined/site`.
    pub fn real() -> Place {
        let place = Place::of(Nodes::Real(Mutex::default()), NET);
        let image =
            |name: &str, program: &str, path: &str| format!("{name}={}={path}", peer::program(program).display());
        let mut registry = Command::new(peer::program("standin"));
        registry.args(["registry", REGISTRY]);
        registry.arg(image("siderolabs/kubelet:v1.33.3", "standin", "/usr/local/bin/kubelet"));
        registry.arg(image("etcd-development/etcd:v3.5.21", "etcd", "/usr/local/bin/etcd"));
        place.run("registry", &mut registry);
        place
    }

    pub fn is_real(&self) -> bool {
        matches!(self.nodes, Nodes::Real(_))
    }

    fn run(&self, name: &str, command: &mut Command) {
        let Nodes::Real(children) = &self.nodes else { panic!("only at a real site") };
        let folder = std::env::var_os("COZYUP_SITE_FOLDER").expect("run by tests/peers/machined/site");
        let log = File::create(Path::new(&folder).join(format!("{name}.log"))).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        children.lock().unwrap().push(child);
    }

    pub fn address(&self, host: u8) -> IpAddr {
        let [a, b, c, _] = self.net.octets();
        IpAddr::from([a, b, c, host])
    }

    /// Switches a node on; it has no config.
    pub fn start(&self, host: u8) {
        self.on.lock().unwrap().push(host);
        match &self.nodes {
            Nodes::Lab(site) => site.start(host),
            Nodes::Real(_) => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/machined/node");
                let (name, address) = (format!("vm{host}"), format!("{}/24", self.address(host)));
                let mut node = Command::new(script);
                node.args([&name, &address, &site::mac(host), &self.address(1).to_string()]);
                self.run(&name, &mut node);
            }
        }
    }

    /// Whether the node whose config calls it `name` was switched on.
    pub fn is_on(&self, name: &str) -> bool {
        self.on.lock().unwrap().iter().any(|host| name == format!("node{host}"))
    }

    /// The machine config as cozyup writes it, and where a real node finds its images.
    pub fn config(&self, host: u8) -> Secret<String> {
        let node = site::node_config(self.net, host);
        let text = config::render(&node, &BUNDLE).unwrap().expose().clone();
        let mirror = |name: &str| {
            format!("            {name}:\n                endpoints:\n                    - http://{REGISTRY}\n")
        };
        let mirrors = format!("        mirrors:\n{}{}", mirror("gcr.io"), mirror("ghcr.io"));
        assert_eq!(text.matches("        mirrors:\n").count(), 1, "{text}");
        Secret::new(text.replace("        mirrors:\n", &mirrors))
    }

    pub async fn state(&self, host: u8) -> NodeState {
        state_of(self.address(host), Some(&self.admin)).await.value
    }

    /// From now on etcd of the lab comes up soon after a bootstrap; until then as late as a bad line to a registry would
    /// have it.
    pub fn let_etcd_come(&self) {
        if let Nodes::Lab(site) = &self.nodes {
            site.lab.with(|world| world.scenario.latency.bootstrap_to_etcd_s = 25.0);
        }
    }

    /// Waits until it is so; the wall time that it took.
    pub async fn eventually(&self, what: &str, mut so: impl AsyncFnMut() -> Result<(), String>) -> Duration {
        let began = Instant::now();
        loop {
            match so().await {
                Ok(()) => return began.elapsed(),
                Err(seen) if began.elapsed() > PATIENCE => {
                    panic!("not in time: {what}; seen: {seen}\n{}", self.last_words())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The ends of the real nodes' logs.
    fn last_words(&self) -> String {
        let folder = std::env::var_os("COZYUP_SITE_FOLDER").filter(|_| self.is_real());
        let logs = folder.into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|f| f.unwrap().path());
        let shown = logs.filter(|path| path.extension().is_some_and(|e| e == "log")).map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" OK [")).collect();
            format!("{}:\n{}\n", path.display(), lines[lines.len().saturating_sub(30)..].join("\n"))
        });
        shown.collect()
    }

    /// Waits until cozyup finds the node in this state.
    pub async fn comes_to(&self, host: u8, wanted: &NodeState) -> Duration {
        self.eventually(&format!("node {host} is {wanted}"), async || {
            let state = self.state(host).await;
            if state == *wanted { Ok(()) } else { Err(state.to_string()) }
        })
        .await
    }

    /// What is the same everywhere: addresses without the site's net.
    pub fn plain(&self, text: &str) -> String {
        let [a, b, c, _] = self.net.octets();
        text.replace(&format!("{a}.{b}.{c}."), "NET.")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Nodes::Real(children) = &self.nodes {
            for mut child in children.lock().unwrap().drain(..) {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
