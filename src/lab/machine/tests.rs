//! A machine's life on paused time, without sockets.
use super::fixture::{Secrets, vm};
use super::life::{self, Refused};
use super::*;
use crate::scenario::Scenario;
use crate::world::{Lab, World};
use cozyup_base::clock::Clock;
use std::time::{Duration, SystemTime};

const CP: [(u32, u8); 3] = [(1001, 201), (1002, 202), (1003, 203)];
const WORKER: (u32, u8) = (1011, 211);

struct Site {
    lab: Lab,
    secrets: Secrets,
}

impl Site {
    fn new() -> Self {
        let scenario: Scenario = serde_yaml::from_str(include_str!("../../../assets/lab/standard.yaml")).unwrap();
        let clock = Clock::scaled("2026-01-01T00:00:00Z".parse().unwrap(), SystemTime::now(), 1.0);
        let world = World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), clock.now());
        Site { lab: Lab::new(world, clock), secrets: Secrets::in_net(0) }
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        self.lab.look(|_| ());
    }

    fn start(&self, (vmid, address): (u32, u8)) {
        self.lab.with(|w| start(w, vmid, vm(&format!("vm{vmid}"), 0, address)));
    }

    fn apply(&self, vmid: u32, text: &str) -> Result<(), Refused> {
        self.lab.with(|w| {
            let config = life::check(w, vmid, text.as_bytes())?;
            life::apply(w, vmid, config, life::When::Now);
            Ok(())
        })
    }

    fn configure(&self, (vmid, address): (u32, u8)) {
        let (name, at) = (format!("cp{vmid}"), format!("127.86.0.{address}"));
        let text = match vmid {
            1011 => self.secrets.worker(&name, &at),
            _ => self.secrets.control_plane(&name, &at),
        };
        self.apply(vmid, &text).unwrap();
    }

    /// Three control planes and a worker, services up, nobody bootstrapped.
    async fn waiting(&self) {
        for node in [CP[0], CP[1], CP[2], WORKER] {
            self.start(node);
        }
        self.pass(36).await;
        for node in [CP[0], CP[1], CP[2], WORKER] {
            self.configure(node);
        }
        self.pass(13 + 46).await;
    }

    fn see<T>(&self, vmid: u32, f: impl FnOnce(&Machine) -> T) -> T {
        self.lab.look(|w| f(&w.machines[&vmid]))
    }

    fn endpoint(&self, host: u8, port: u16) -> Option<Endpoint> {
        self.lab.look(|w| w.listeners.get(&SocketAddr::from((w.address(host), port))).cloned())
    }

    fn status(&self, vmid: u32) -> status::Status {
        self.lab.look(|w| status::of(w, &w.machines[&vmid]))
    }

    fn member(&self, vmid: u32) -> bool {
        self.see(vmid, |m| m.etcd.as_ref().is_some_and(|e| !e.learner) && m.healthy("etcd"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_answers_in_maintenance_mode_only_after_its_boot() {
    let site = Site::new();
    site.start(CP[0]);
    site.pass(34).await;
    assert_eq!(site.endpoint(201, API_PORT), None);
    site.pass(2).await;
    assert_eq!(site.endpoint(201, API_PORT), Some(Endpoint::TalosMaintenance { vmid: 1001 }));
    assert!(site.status(1001).ready);
}

#[tokio::test(start_paused = true)]
async fn an_applied_config_closes_maintenance_and_opens_the_secure_api_later() {
    let site = Site::new();
    site.start(CP[0]);
    site.pass(36).await;
    site.configure(CP[0]);
    assert_eq!(site.endpoint(201, API_PORT), None);
    site.pass(13).await;
    assert_eq!(site.endpoint(201, API_PORT), Some(Endpoint::TalosSecure { vmid: 1001 }));
    assert_eq!(
        site.status(1001).unmet[0],
        ("services", "kubelet not running, etcd not running, trustd not running".into())
    );
}

#[tokio::test(start_paused = true)]
async fn three_control_planes_and_a_worker_become_one_cluster() {
    let site = Site::new();
    site.waiting().await;
    assert_eq!(site.status(1001).stage, Stage::Booting);
    assert_eq!(site.status(1011).stage, Stage::Booting, "its API has no certificate yet");
    assert!(site.see(1001, |m| m.dmesg.from(0).any(|(_, l)| l.contains("please run `talosctl bootstrap`"))));
    site.lab.with(|w| cluster::bootstrap(w, 1001)).unwrap();
    site.pass(26).await;
    assert!(site.member(1001));
    assert_eq!(site.endpoint(201, KUBERNETES_PORT), None);
    assert!(!site.see(1001, |m| m.vip_held));
    site.pass(5).await;
    assert!(site.see(1001, |m| m.vip_held), "etcd is enough");
    assert_eq!(site.endpoint(100, API_PORT), Some(Endpoint::TalosSecure { vmid: 1001 }));
    assert_eq!(site.endpoint(100, KUBERNETES_PORT), None);
    assert_eq!(site.endpoint(211, API_PORT), Some(Endpoint::TalosSecure { vmid: 1011 }));
    site.pass(50).await;
    assert!(!site.see(1002, |m| m.etcd.is_some()), "nobody joins before an API server answers at the VIP");
    site.pass(10).await;
    assert!(site.endpoint(201, KUBERNETES_PORT).is_some());
    assert_eq!(site.endpoint(100, KUBERNETES_PORT), Some(Endpoint::Kubernetes { node: "cp1001".into() }));
    assert!(site.see(1002, |m| m.etcd.as_ref().is_some_and(|e| e.learner)));
    assert!(site.see(1003, |m| m.etcd.is_none()), "one joins at a time");
    site.pass(41).await;
    assert!(site.member(1002));
    site.pass(41).await;
    assert!(site.member(1003));
    site.pass(200).await;
    for vmid in [1001, 1002, 1003, 1011] {
        let status = site.status(vmid);
        assert_eq!(status.stage, Stage::Running, "{vmid}");
        assert_eq!(status.unmet, [("nodeReady", format!("node \"cp{vmid}\" is not ready"))], "no CNI yet");
    }
    assert!(site.endpoint(203, KUBERNETES_PORT).is_some());
}

#[tokio::test(start_paused = true)]
async fn bootstrap_is_refused_too_early_on_workers_and_twice() {
    let site = Site::new();
    site.start(CP[0]);
    site.start(WORKER);
    site.pass(36).await;
    site.configure(CP[0]);
    site.configure(WORKER);
    site.pass(13).await;
    let bootstrap = |vmid| site.lab.with(|w| cluster::bootstrap(w, vmid));
    assert_eq!(bootstrap(1001), Err(Refused::TooEarly));
    site.pass(46).await;
    assert_eq!(bootstrap(1011), Err(Refused::NoControlPlane));
    assert_eq!(bootstrap(1001), Ok(()));
    site.pass(26).await;
    assert_eq!(bootstrap(1001), Err(Refused::HasData));
}

/// talos.md 4
#[tokio::test(start_paused = true)]
async fn a_second_bootstrap_is_taken_until_there_is_data_and_starts_etcd_anew() {
    let site = Site::new();
    site.waiting().await;
    let bootstrap = || site.lab.with(|w| cluster::bootstrap(w, 1001));
    assert_eq!(bootstrap(), Ok(()));
    site.pass(15).await;
    assert_eq!(bootstrap(), Ok(()));
    let events = site.see(1001, |m| m.services["etcd"].events.iter().map(|e| e.state).collect::<Vec<_>>());
    assert_eq!(events, [State::Starting, State::Waiting, State::Preparing], "a service of the same name");
    site.pass(15).await;
    assert!(!site.member(1001), "what the first call began has ended with the second");
    site.pass(11).await;
    assert!(site.member(1001));
    assert_eq!(bootstrap(), Err(Refused::HasData));
}

#[tokio::test(start_paused = true)]
async fn an_early_bootstrap_still_waits_for_the_image_of_etcd() {
    let site = Site::new();
    site.start(CP[0]);
    site.pass(36).await;
    site.configure(CP[0]);
    site.pass(12 + 20).await;
    site.lab.with(|w| cluster::bootstrap(w, 1001)).unwrap();
    site.pass(50).await;
    assert!(!site.member(1001), "the pull began anew: 31.5 s for the image, then 25 s for etcd");
    site.pass(7).await;
    assert!(site.member(1001));
}

#[tokio::test(start_paused = true)]
async fn a_second_bootstrap_on_another_node_splits_the_cluster() {
    let site = Site::new();
    site.waiting().await;
    for vmid in [1001, 1002] {
        site.lab.with(|w| cluster::bootstrap(w, vmid)).unwrap();
    }
    site.pass(300).await;
    assert!(site.see(1002, |m| m.split));
    assert!(!site.see(1001, |m| m.split));
    let cluster = site.see(1002, |m| m.etcd.as_ref().unwrap().cluster);
    assert_eq!(site.lab.look(|w| cluster::members(w, cluster).count()), 1);
    assert_eq!(site.endpoint(202, KUBERNETES_PORT), None);
}

#[tokio::test(start_paused = true)]
async fn without_the_lldpd_document_the_machine_boots_forever_and_reboots_after_seventy_minutes() {
    let site = Site::new();
    site.start(WORKER);
    site.start(CP[0]);
    site.pass(36).await;
    site.configure(CP[0]);
    let text = site.secrets.worker("w1", "127.86.0.211");
    site.apply(1011, text.split("---").next().unwrap()).unwrap();
    site.pass(13 + 46 + 600).await;
    assert_eq!(site.status(1011).stage, Stage::Booting);
    assert_eq!(site.see(1011, |m| m.services["ext-lldpd"].state), State::Waiting);
    let boot = site.see(1011, |m| m.boot_id.clone());
    site.pass(70 * 60).await;
    assert_ne!(site.see(1011, |m| m.boot_id.clone()), boot);
}

#[tokio::test(start_paused = true)]
async fn a_worker_has_no_api_before_a_bootstrapped_control_plane_holds_the_vip() {
    let site = Site::new();
    site.waiting().await;
    assert!(site.endpoint(201, API_PORT).is_some());
    assert_eq!(site.endpoint(211, API_PORT), None, "three control planes run trustd, and none is at the endpoint");
    site.lab.with(|w| cluster::bootstrap(w, 1001)).unwrap();
    site.pass(31).await;
    assert_eq!(site.endpoint(211, API_PORT), Some(Endpoint::TalosSecure { vmid: 1011 }));
}

#[tokio::test(start_paused = true)]
async fn the_vip_moves_when_its_holder_loses_power_and_the_node_comes_back_configured() {
    let site = Site::new();
    site.waiting().await;
    site.lab.with(|w| cluster::bootstrap(w, 1001)).unwrap();
    site.pass(600).await;
    assert!(site.see(1001, |m| m.vip_held));
    site.lab.with(|w| power_off(w, 1001));
    assert_eq!(site.endpoint(201, API_PORT), None);
    assert_eq!(site.endpoint(100, KUBERNETES_PORT), None);
    site.pass(5).await;
    assert_eq!(site.endpoint(100, KUBERNETES_PORT), Some(Endpoint::Kubernetes { node: "cp1002".into() }));
    site.start(CP[0]);
    site.pass(36).await;
    assert_eq!(site.endpoint(201, API_PORT), Some(Endpoint::TalosSecure { vmid: 1001 }));
    site.pass(200).await;
    assert!(site.member(1001));
    assert!(site.see(1002, |m| m.vip_held) && !site.see(1001, |m| m.vip_held));
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_state_and_ephemeral_brings_a_machine_back_to_maintenance_with_nothing_left() {
    let site = Site::new();
    site.waiting().await;
    site.lab.with(|w| cluster::bootstrap(w, 1001)).unwrap();
    site.pass(30).await;
    let wipe = life::Wipe::Partitions { state: true, ephemeral: true };
    site.lab.with(|w| life::reset(w, 1001, "", true, true, wipe));
    site.pass(4).await;
    assert_eq!(site.endpoint(201, API_PORT), None);
    site.pass(40).await;
    assert_eq!(site.endpoint(201, API_PORT), Some(Endpoint::TalosMaintenance { vmid: 1001 }));
    assert!(site.see(1001, |m| m.config.is_none() && m.etcd.is_none()));
}

/// talos.md 2
#[tokio::test(start_paused = true)]
async fn a_reset_of_the_whole_disk_takes_the_boot_loader_too_and_nothing_answers_any_more() {
    let site = Site::new();
    site.waiting().await;
    site.lab.with(|w| life::reset(w, 1001, "", false, true, life::Wipe::Disk));
    site.pass(3600).await;
    assert_eq!(site.endpoint(201, API_PORT), None);
    assert!(site.see(1001, |m| m.on), "Proxmox VE sees a VM that runs");
    // Nor does power help: the disk is what it is until the VM is made anew.
    site.lab.with(|w| power_off(w, 1001));
    site.start(CP[0]);
    site.pass(3600).await;
    assert_eq!(site.endpoint(201, API_PORT), None);
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_state_alone_leaves_etcd_its_data_and_one_of_other_disks_leaves_all() {
    let site = Site::new();
    site.waiting().await;
    site.lab.with(|w| cluster::bootstrap(w, 1001)).unwrap();
    site.pass(30).await;
    site.lab.with(|w| life::reset(w, 1001, "", false, true, life::Wipe::Nothing));
    site.pass(60).await;
    assert_eq!(site.endpoint(201, API_PORT), Some(Endpoint::TalosSecure { vmid: 1001 }));
    let state = life::Wipe::Partitions { state: true, ephemeral: false };
    site.lab.with(|w| life::reset(w, 1001, "", false, true, state));
    site.pass(60).await;
    assert_eq!(site.endpoint(201, API_PORT), Some(Endpoint::TalosMaintenance { vmid: 1001 }));
    assert!(site.see(1001, |m| m.config.is_none() && m.etcd.is_some()));
}

/// talos.md 5
#[tokio::test(start_paused = true)]
async fn a_machine_without_a_config_bears_the_name_of_its_vm() {
    let site = Site::new();
    site.start(CP[0]);
    site.pass(36).await;
    assert_eq!(site.see(1001, Machine::hostname), "vm1001");
    site.configure(CP[0]);
    assert_eq!(site.see(1001, Machine::hostname), "cp1001");
}

#[tokio::test(start_paused = true)]
async fn a_recreated_vm_with_another_uuid_begins_with_an_empty_disk() {
    let site = Site::new();
    site.waiting().await;
    site.lab.with(|w| power_off(w, 1001));
    let mut other = vm("vm1001", 0, 201);
    other.uuid = "00000000-0000-4000-8000-ffffffffffff".into();
    site.lab.with(|w| start(w, 1001, other));
    site.pass(36).await;
    assert_eq!(site.endpoint(201, API_PORT), Some(Endpoint::TalosMaintenance { vmid: 1001 }));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_the_install_disk_because_the_nocloud_image_is_installed_already() {
    let site = Site::new();
    site.start(CP[0]);
    site.pass(36).await;
    let text = site.secrets.control_plane("cp1", "127.86.0.201").replace("disk: /dev/sda", "disk: /dev/sdz");
    site.apply(1001, &text).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_staged_config_waits_for_the_next_boot() {
    let site = Site::new();
    site.waiting().await;
    let text = site.secrets.control_plane("renamed", "127.86.0.201");
    site.lab.with(|w| {
        let config = life::check(w, 1001, text.as_bytes()).unwrap();
        life::apply(w, 1001, config, life::When::NextBoot);
    });
    assert_eq!(site.see(1001, Machine::hostname), "cp1001");
    site.lab.with(|w| life::reboot(w, 1001, ""));
    site.pass(60).await;
    assert_eq!(site.see(1001, Machine::hostname), "renamed");
}

#[tokio::test(start_paused = true)]
async fn a_configured_machine_takes_its_config_again_but_no_other_address() {
    let site = Site::new();
    site.waiting().await;
    site.configure(CP[0]);
    let moved = site.secrets.control_plane("cp1001", "127.86.0.99");
    assert!(matches!(site.apply(1001, &moved), Err(Refused::Moves(..))));
}

#[tokio::test(start_paused = true)]
async fn versions_of_resources_count_up_when_their_spec_changes() {
    let site = Site::new();
    site.start(CP[0]);
    let status = || {
        site.lab.look(|w| {
            let kind = resource::find("MachineStatuses.runtime.talos.dev").unwrap();
            resource::list(w, &w.machines[&1001], kind)["machine"].metadata.clone().unwrap().version
        })
    };
    assert_eq!([status(), status()], ["1", "1"]);
    site.pass(36).await;
    assert_eq!(status(), "2");
}
