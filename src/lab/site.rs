//! Starts a lab: picks its addresses, opens its sockets, writes the files that any client needs to use it.
mod parts;

use super::net::{self, Endpoint};
use super::releases::{CAPMOX_NAME, IMAGE_NAME, IPAM_NAME, MANIFEST_NAME, Releases, components_sha256};
use super::scenario::Scenario;
use super::world::{Lab, World};
use super::{critical, disturb, kube, old, scenario, time};
use cozyup_base::api_url::ApiUrl;
use cozyup_base::clock::Clock;
use cozyup_base::disk::BY_ID;
use cozyup_base::file::{own, private_dir, read_regular, write_private};
use cozyup_base::{place, process};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Second octets that the lab tries for its /24, in order.
const NETS: std::ops::RangeInclusive<u8> = 86..=214;
const PROXMOX: u8 = 1;
const RELEASES: u8 = 2;
const RELEASES_PORT: u16 = 8080;
/// First address of the pool: the root ingress gets it.
const POOL_FIRST: u8 = 212;
/// The port of the lab's time server, instead of UDP 123, which only root may open.
pub const TIME_PORT: u16 = 1123;
/// A socket held for as long as the lab lives; nothing answers on it.
const CLAIM: u8 = 3;
const CLAIM_PORT: u16 = 8005;
/// A fast lab's clock starts in the past, so that the certificates made in it are already valid on the wall.
const HEAD_START_H: i64 = 12;

/// Files of a lab's folder, beside `site.json`.
const TOKEN: &str = "token";
const PASSWORD: &str = "password";
const PLAN: &str = "plan.yaml";
/// The storage for disks that the plan names.
const DISKS: &str = "local-lvm";
/// Of `site.json`, in bytes.
const LONGEST: u64 = 1 << 16;

#[derive(Debug, Clone)]
pub struct Options {
    pub scenario: Scenario,
    /// As it was asked for: a name or a file.
    pub scenario_file: String,
    /// Lab seconds in a second of the wall.
    pub speed: f64,
    /// Second octet of the lab's /24; `None`: the first free one.
    pub net: Option<u8>,
    pub dir: PathBuf,
}

/// The places of everything in a running lab; written to `site.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Site {
    pub pid: u32,
    /// When its process began: see [`process::started`].
    #[serde(default)]
    pub started: u64,
    pub scenario: String,
    /// As it was asked for: a name or a file.
    pub scenario_file: String,
    pub speed: f64,
    pub url: ApiUrl,
    pub fingerprint: String,
    pub token_id: String,
    pub token_file: PathBuf,
    /// The password of `root@pam`, for who wants to be the site's administrator.
    pub password_file: PathBuf,
    pub plan: PathBuf,
    /// The clock: it read `clock_origin` at `clock_wall_ms` (milliseconds since 1970 on the wall).
    pub clock_origin: Timestamp,
    pub clock_wall_ms: u64,
    /// The addresses of the names that a run asks for, `NAME=ADDRESS:PORT` each: the registries lead to the release
    /// server, the platform's names to the address that the root ingress gets.
    #[serde(default)]
    pub names: String,
    /// Lab seconds of the critical path to the end of day 6.
    pub critical_path_s: f64,
    /// Access to the old cluster beside the site, where the scenario has one.
    #[serde(default)]
    pub old_kubeconfig: Option<PathBuf>,
}

impl Site {
    pub fn clock(&self) -> Clock {
        let wall = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(self.clock_wall_ms);
        Clock::scaled(self.clock_origin, wall, self.speed)
    }

    /// The site that a lab of this user serves in `dir`, if there is one and its process lives. Nothing is read from a
    /// folder that others have a hand in, and no file outside of it is named, whatever the one in it says.
    pub fn of_running(dir: &Path) -> Option<Site> {
        let file = dir.join("site.json");
        place::way_to(&file).and_then(|()| own(&file)).ok()?;
        let site: Site = serde_json::from_str(&read_regular(&file, LONGEST)?).ok()?;
        let files = (dir.join(TOKEN), dir.join(PASSWORD), dir.join(PLAN));
        let (token_file, password_file, plan) = files;
        let old_kubeconfig = site.old_kubeconfig.as_ref().map(|_| dir.join(old::KUBECONFIG));
        process::is_ours(site.pid, site.started).then_some(Site {
            token_file,
            password_file,
            plan,
            old_kubeconfig,
            ..site
        })
    }
}

/// A lab that serves. Dropping it ends it.
pub struct Running {
    pub lab: Lab,
    pub site: Site,
    pub problems: mpsc::UnboundedReceiver<String>,
    tasks: tokio::task::JoinSet<()>,
    _claim: TcpListener,
}

impl Running {
    /// Serves until dropped.
    pub async fn forever(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn files_of(release: String) -> io::Result<Releases> {
    tokio::task::spawn_blocking(move || Releases::make(&release)).await.map_err(io::Error::other)?
}

/// # Errors
/// When the folder can't be written or no address is free, as a sentence.
pub async fn start(options: Options) -> io::Result<Running> {
    private_dir(&options.dir)?;
    let (base, claim) = pick_net(options.net).await?;
    // Made before the clock starts: a fast clock would have gone far by then.
    let releases = files_of(options.scenario.cozystack.clone()).await?;
    let wall = SystemTime::now();
    let speed = options.speed;
    let now = Timestamp::now();
    let origin = if speed > 1.0 { now.checked_sub(HEAD_START_H.hours()).unwrap_or(now) } else { now };
    let wall_ms = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let clock_wall_ms = u64::try_from(wall_ms).unwrap_or_default();
    let mut world = World::new(options.scenario, base, origin);
    world.releases = releases;
    let can_ingress = net::bind(SocketAddr::from((world.address(PROXMOX), 80))).await.is_ok();
    world.listen(SocketAddr::from((world.address(PROXMOX), 8006)), Endpoint::Proxmox);
    world.listen(SocketAddr::from((world.address(RELEASES), RELEASES_PORT)), Endpoint::Releases);
    parts::ways_out(&mut world, &options.dir)?;
    scenario::occupy(&mut world);
    world.begin_disturbances();
    let (token_file, password_file) = (options.dir.join(TOKEN), options.dir.join(PASSWORD));
    let plan = options.dir.join(PLAN);
    let (token_id, secret) = world.pve.installer_token();
    write_private(&token_file, secret.expose().as_bytes())?;
    write_private(&password_file, world.pve.password().expose().as_bytes())?;
    write_private(&plan, plan_text(&world, &token_id, &token_file, can_ingress).as_bytes())?;
    let beside = old::found(&world, &options.dir)?;
    let site = Site {
        pid: std::process::id(),
        started: process::started(std::process::id()).unwrap_or_default(),
        scenario: world.scenario.name.clone(),
        scenario_file: options.scenario_file,
        speed,
        url: ApiUrl::at(world.address(PROXMOX)),
        fingerprint: world.pve.fingerprint().to_string(),
        token_id,
        token_file,
        password_file,
        plan,
        clock_origin: origin,
        clock_wall_ms,
        names: names(&world),
        critical_path_s: critical::seconds(&critical::chain(&world.scenario, 6)),
        old_kubeconfig: beside.as_ref().map(|_| options.dir.join(old::KUBECONFIG)),
    };
    let lab = Lab::new(world, site.clock());
    let (problems_in, problems) = mpsc::unbounded_channel();
    if !can_ingress {
        let _ = problems_in.send(
            "this account may not listen on port 80, so the lab's plan leaves out the ingress test \
             (root, or net.ipv4.ip_unprivileged_port_start=0, brings it back)"
                .to_string(),
        );
    }
    let mut tasks = tokio::task::JoinSet::new();
    let (timers, sockets) = (lab.clone(), lab.clone());
    tasks.spawn(async move { timers.run_timers().await });
    tasks.spawn(net::run(sockets, problems_in.clone()));
    tell_time(&lab, &problems_in, &mut tasks).await;
    if let Some(old) = beside {
        tasks.spawn(net::run(Lab::new(old, site.clock()), problems_in.clone()));
    }
    tasks.spawn(kube::errands(lab.clone()));
    if lab.look(|w| !w.disturbances.is_empty()) {
        tasks.spawn(disturb::keep(lab.clone(), options.dir.join("disturbances.jsonl")));
    }
    let text = serde_json::to_string_pretty(&site).map_err(io::Error::other)?;
    write_private(&options.dir.join("site.json"), text.as_bytes())?;
    Ok(Running { lab, site, problems, tasks, _claim: claim })
}

async fn tell_time(lab: &Lab, problems: &mpsc::UnboundedSender<String>, tasks: &mut tokio::task::JoinSet<()>) {
    let at = SocketAddr::from((lab.look(|w| w.address(PROXMOX)), TIME_PORT));
    match tokio::net::UdpSocket::bind(at).await {
        Ok(socket) => drop(tasks.spawn(time::serve(socket, lab.clone()))),
        Err(e) => drop(problems.send(format!("the lab can't listen on {at} (UDP): nobody there tells the time ({e})"))),
    }
}

fn names(world: &World) -> String {
    let releases = SocketAddr::from((world.address(RELEASES), RELEASES_PORT));
    let registries = super::releases::REGISTRIES.map(|name| format!("{name}={releases}"));
    let platform = format!("*.{}={}:443", root_host(world), world.address(POOL_FIRST));
    registries.into_iter().chain([platform]).collect::<Vec<_>>().join(",")
}

/// The plan's section `tests`.
fn tests(world: &World, can_ingress: bool) -> String {
    let (addons, _) = addons(world);
    let mut text = format!("tests:\n  pod: true\n  volumes: [{}]\n  load_balancer: true\n  dns: true", volumes(world));
    text.push_str(&format!("\n  ingress: {can_ingress}"));
    if !world.scenario.drills.is_empty() {
        text.push_str(&format!("\n  drills: [{}]", world.scenario.drills.join(", ")));
    }
    text.extend(world.scenario.worker_template.map(|template| format!("\n  worker_template: {template}")));
    // Without capmox nobody makes them.
    if addons {
        let (first, last) = (world.address(180), world.address(185));
        text.push_str(&format!("\n  machine_vmids: 9500-9509\n  machine_addresses: {first}-{last}\n  workers: 2"));
    }
    text
}

fn root_host(world: &World) -> String {
    format!("{}.nip.io", world.address(POOL_FIRST).to_string().replace('.', "-"))
}

/// `127.N.0.0` of the first net that no other lab has, and the socket that claims it: two labs that start in the same
/// moment must not take the same one.
async fn pick_net(wanted: Option<u8>) -> io::Result<(Ipv4Addr, TcpListener)> {
    let try_net = async |n: u8| {
        let claim = net::bind(SocketAddr::from((Ipv4Addr::new(127, n, 0, CLAIM), CLAIM_PORT))).await?;
        net::bind(SocketAddr::from((Ipv4Addr::new(127, n, 0, PROXMOX), 8006))).await?;
        Ok::<_, io::Error>((Ipv4Addr::new(127, n, 0, 0), claim))
    };
    if let Some(n) = wanted {
        return try_net(n).await;
    }
    let mut last = None;
    for n in NETS {
        match try_net(n).await {
            Ok(found) => return Ok(found),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no loopback net is free for the lab")))
}

/// Whether Cluster API's provider and the CSI driver are on: a token of one pool may make no users for them, and the driver
/// needs a storage of one name on all hosts.
fn addons(world: &World) -> (bool, bool) {
    let with = !world.scenario.proxmox.pool_token;
    let storage = world.scenario.proxmox.storages.iter().find(|storage| storage.name == DISKS);
    let has_it = |host: &String| storage.is_some_and(|s| s.nodes.is_empty() || s.nodes.contains(host));
    let everywhere = world.scenario.nodes.iter().all(|node| has_it(&node.host));
    (with, with && everywhere)
}

/// The storages that are tested.
fn volumes(world: &World) -> &'static str {
    if addons(world).1 { "local, replicated, proxmox" } else { "local, replicated" }
}

/// The plan for this lab, as a person would write it.
fn plan_text(world: &World, token_id: &str, token_file: &Path, can_ingress: bool) -> String {
    use std::fmt::Write;
    let at = |host: u8| world.address(host);
    let releases = parts::releases(world, SocketAddr::from((at(RELEASES), RELEASES_PORT)));
    let ((addons, csi), delivery, way_out) = (addons(world), parts::with_mirror(world), parts::way_out(world));
    let crate::scenario::Scenario { name, cozystack, .. } = &world.scenario;
    let mut nodes = String::new();
    for n in &world.scenario.nodes {
        // Writing to a String does not fail.
        let _ = write!(
            nodes,
            "\n  - name: {}\n    role: {}\n    vmid: {}\n    address: {}\n    host: {}\n    cores: {}\n    memory_mib: {}\n    \
             system_disk_gib: {}\n    data_disk_gib: {}",
            n.name,
            n.role,
            n.vmid,
            at(n.address),
            n.host,
            n.cores,
            n.memory_mib,
            n.system_disk_gib,
            n.data_disk_gib
        );
    }
    let subnet = world.base;
    format!(
        "# The plan of the lab `{name}`. The lab wrote it when it started; its addresses are this machine's loopback.
version: 1
name: {name}
site:
  url: https://{pve}:8006
  fingerprint: \"{fingerprint}\"
  token_id: \"{token_id}\"
  token_file: {token_file}
image:
  url: {releases}/{IMAGE_NAME}
  sha256: {image_sha}
  storage: {images}
{template}
nodes:{nodes}
network:
  subnet: {subnet}/24
  gateway: {pve}
  dns: [{pve}]
  ntp: [{pve}]
  bridge: vmbr0{way_out}
  vip: {vip}
  pod_cidr: 10.244.0.0/16
  service_cidr: 10.96.0.0/16
  join_cidr: 100.64.0.0/16
  cluster_domain: cozy.local
  address_pool: [{pool_first}-{pool_last}]
talos:
  version: v1.10.6
  kubernetes: v1.33.3
  installer_image: ghcr.io/cozystack/cozystack/talos:v1.10.6
  install_disk: {BY_ID}scsi0
  delivery: {delivery}
cozystack:
  version: {cozystack}
  profile: paas-proxmox
  root_host: {root_host}
  installer_url: {releases}/{MANIFEST_NAME}
  installer_sha256: {manifest_sha}
  expose: [api, dashboard]
  telemetry: false
integration:
  linstor:
    pool: data
    device: {BY_ID}scsi1
  csi:
    enabled: {csi}
    storage: {DISKS}
    region: pve
    chart_version: 0.3.16
  capmox:
    enabled: {addons}
    version: v0.7.7
    ipam_version: v1.0.3
    components_url: {releases}/{CAPMOX_NAME}
    components_sha256: {capmox_sha}
    ipam_components_url: {releases}/{IPAM_NAME}
    ipam_components_sha256: {ipam_sha}
{tests}
",
        pve = at(PROXMOX),
        fingerprint = world.pve.fingerprint(),
        token_file = parts::with_pool(world, token_file),
        image_sha = world.releases.image_sha256,
        vip = at(200),
        root_host = root_host(world),
        tests = tests(world, can_ingress),
        images = world.scenario.image_storage,
        template = parts::template(world),
        pool_first = at(POOL_FIRST),
        pool_last = at(250),
        manifest_sha = world.releases.manifest_sha256,
        capmox_sha = components_sha256(CAPMOX_NAME),
        ipam_sha = components_sha256(IPAM_NAME),
    )
}
