//! The API's handlers against a site whose time the test moves by hand; no sockets.
use super::*;
use crate::pve::VmFacts;
use crate::pve::rights::{INSTALLER_ROLE, INSTALLER_TOKEN, INSTALLER_USER};
use crate::scenario::{Fault, FaultKind, Scenario};
use crate::world::World;
use cozyup_base::clock::Clock;
use jiff::Timestamp;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::SystemTime;

mod side_by_side;
mod words;

const IMAGE: u64 = 1_306_525_696;

struct Site {
    lab: Lab,
    who: Who,
}

impl Site {
    fn new(shape: impl FnOnce(&mut Scenario)) -> Self {
        let mut scenario: Scenario =
            serde_yaml::from_str(include_str!("../../../../assets/lab/standard.yaml")).unwrap();
        shape(&mut scenario);
        let now = Timestamp::from_second(1_780_000_000).unwrap();
        let mut world = World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), now);
        // The handlers are tried by somebody who may do everything.
        let rights = &mut world.pve.rights;
        let everything = rights.known();
        if let Some(role) = rights.roles.get_mut(INSTALLER_ROLE) {
            role.privileges = everything;
        }
        let lab = Lab::new(world, Clock::scaled(now, SystemTime::now(), 1.0));
        Site { lab, who: Who { user: INSTALLER_USER.into(), token: Some(INSTALLER_TOKEN.into()) } }
    }

    fn standard() -> Self {
        Site::new(|_| ())
    }

    fn with_fault(kind: FaultKind, heal_s: Option<f64>) -> Self {
        Site::new(|s| s.faults.push(Fault { kind, heal_s, bit_at: None }))
    }

    fn ask(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask_with(method, path, params, None)
    }

    fn ask_with(
        &self,
        method: &str,
        path: &str,
        params: &[(&str, &str)],
        file: Option<upload::Received>,
    ) -> Result<Value, Failure> {
        let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(Into::into).collect();
        let (route, in_path) = route::find(method, &segments).expect("a route");
        let params = params.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let given = Given { params, ..Given::default() };
        let call = call_for(self.who.clone(), "pve".into(), given, in_path, file)?;
        self.lab.with(|w| route::run(w, route, &call)).map(|good| good.data)
    }

    fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &[]).unwrap()
    }

    /// Starts a task; the UPID.
    fn start(&self, method: &str, path: &str, params: &[(&str, &str)]) -> String {
        self.ask(method, path, params).unwrap().as_str().unwrap().to_string()
    }

    fn state(&self, upid: &str) -> Value {
        self.get(&format!("/nodes/pve/tasks/{upid}/status"))
    }

    fn log(&self, upid: &str) -> Vec<String> {
        let lines = self.ask("GET", &format!("/nodes/pve/tasks/{upid}/log"), &[("limit", "0")]).unwrap();
        lines.as_array().unwrap().iter().map(|l| l["t"].as_str().unwrap().to_string()).collect()
    }

    /// Lets the task end, however long it takes, and answers its exit status.
    async fn end(&self, upid: &str) -> String {
        for _ in 0..400 {
            if let Some(exit) = self.state(upid)["exitstatus"].as_str() {
                return exit.to_string();
            }
            wait(0.5).await;
        }
        panic!("{upid} does not end");
    }

    async fn done(&self, method: &str, path: &str, params: &[(&str, &str)]) {
        let upid = self.start(method, path, params);
        assert_eq!(self.end(&upid).await, "OK", "{method} {path}");
    }

    async fn image(&self) {
        let upid = self.upload("talos.raw");
        assert_eq!(self.end(&upid).await, "OK");
    }

    /// A template 9100 from the uploaded image, with a cloud-init drive.
    async fn template(&self) {
        self.image().await;
        self.done("POST", "/nodes/pve/qemu", &TEMPLATE).await;
        self.done("POST", "/nodes/pve/qemu/9100/template", &[]).await;
    }

    fn clone_to(&self, newid: &str, name: &str) -> String {
        let params = [("newid", newid), ("name", name), ("full", "1"), ("storage", "local-lvm")];
        self.start("POST", "/nodes/pve/qemu/9100/clone", &params)
    }

    fn config(&self, vmid: u32) -> Value {
        self.get(&format!("/nodes/pve/qemu/{vmid}/config"))
    }

    fn facts(&self, vmid: u32) -> VmFacts {
        self.lab.look(|w| w.pve.facts(vmid)).unwrap()
    }
}

const TEMPLATE: [(&str, &str); 14] = [
    ("vmid", "9100"),
    ("name", "talos-template"),
    ("ostype", "l26"),
    ("cpu", "host"),
    ("cores", "2"),
    ("memory", "4096"),
    ("scsihw", "virtio-scsi-pci"),
    ("scsi0", "local-lvm:0,import-from=local:import/talos.raw,discard=on,ssd=1"),
    ("ide2", "local-lvm:cloudinit"),
    ("net0", "virtio,bridge=vmbr0"),
    ("boot", "order=scsi0"),
    ("serial0", "socket"),
    ("tags", "talos;Cozystack"),
    ("onboot", "1"),
];

async fn wait(seconds: f64) {
    tokio::time::advance(Duration::from_secs_f64(seconds)).await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_vm_goes_from_image_over_template_and_clone_to_running_with_facts_for_the_lab() {
    let site = Site::standard();
    site.template().await;
    let template = site.config(9100);
    assert_eq!(template["template"], 1);
    assert_eq!(template["scsi0"], "local-lvm:base-9100-disk-0,discard=on,size=1248M,ssd=1");
    assert_eq!(template["tags"], "cozystack;talos");
    assert_eq!(template["memory"], "4096");
    assert_eq!(template["cores"], 2);

    let clone = site.clone_to("1001", "cozy-new-cp1");
    assert_eq!(site.end(&clone).await, "OK");
    site.done("PUT", "/nodes/pve/qemu/1001/resize", &[("disk", "scsi0"), ("size", "50G")]).await;
    let settings = [
        ("cores", "8"),
        ("memory", "24576"),
        ("ipconfig0", "ip=127.86.0.201/24,gw=127.86.0.1"),
        ("nameserver", "127.86.0.1"),
        ("scsi1", "local-lvm:256,discard=on"),
    ];
    site.done("POST", "/nodes/pve/qemu/1001/config", &settings).await;
    let config = site.config(1001);
    assert!(config.get("template").is_none() && config.get("lock").is_none());
    assert_eq!(config["scsi0"], "local-lvm:vm-1001-disk-0,discard=on,size=50G,ssd=1");
    assert_eq!(config["scsi1"], "local-lvm:vm-1001-disk-1,discard=on,size=256G");
    assert_ne!(config["net0"], template["net0"], "a clone has a hardware address of its own");
    assert_ne!(config["smbios1"], template["smbios1"]);
    assert_ne!(config["vmgenid"], template["vmgenid"]);
    assert!(text(&config["net0"]).starts_with("virtio=BC:24:11:"));

    site.done("POST", "/nodes/pve/qemu/1001/status/start", &[]).await;
    let facts = site.facts(1001);
    assert!(facts.running && facts.talos_disk);
    assert_eq!((facts.cores, facts.memory_mib, facts.system_disk_gib), (8, 24576, 50));
    assert_eq!(facts.extra_disks, [("scsi1".to_string(), 256)]);
    assert_eq!(facts.address, Some((Ipv4Addr::new(127, 86, 0, 201), 24)));
    assert_eq!(facts.gateway, Some(Ipv4Addr::new(127, 86, 0, 1)));
    assert_eq!(facts.mac, facts.mac.to_lowercase());
    assert_eq!(format!("uuid={}", facts.uuid), text(&config["smbios1"]));
    assert_eq!(site.get("/nodes/pve/qemu/1001/status/current")["qmpstatus"], "running");
}

#[tokio::test(start_paused = true)]
async fn a_disk_without_an_image_boots_no_talos() {
    let site = Site::standard();
    let params = [("vmid", "700"), ("scsi0", "local-lvm:8"), ("boot", "order=scsi0")];
    site.done("POST", "/nodes/pve/qemu", &params).await;
    assert!(!site.facts(700).talos_disk);
}

#[tokio::test(start_paused = true)]
async fn create_claims_its_vmid_at_once_and_clone_does_not() {
    let site = Site::standard();
    site.image().await;
    let create = site.start("POST", "/nodes/pve/qemu", &TEMPLATE);
    assert_eq!(site.config(9100)["lock"], "create");
    let again = site.ask("POST", "/nodes/pve/qemu", &TEMPLATE).unwrap_err();
    assert_eq!(again.message, "unable to create VM 9100 - VM 9100 already exists on node 'pve'");
    assert_eq!(site.end(&create).await, "OK");

    site.done("POST", "/nodes/pve/qemu/9100/template", &[]).await;
    let clone = site.clone_to("1001", "a");
    let absent = site.ask("GET", "/nodes/pve/qemu/1001/config", &[]).unwrap_err();
    assert_eq!(
        (absent.status, absent.message.as_str()),
        (500, "Configuration file 'nodes/pve/qemu-server/1001.conf' does not exist")
    );
    wait(1.0).await;
    assert_eq!(site.config(1001)["lock"], "clone");
    let locked = site.ask("PUT", "/nodes/pve/qemu/1001/config", &[("cores", "4")]).unwrap_err();
    assert_eq!(locked.message, "VM is locked (clone)");
    let taken = site.ask("POST", "/nodes/pve/qemu/9100/clone", &[("newid", "1001")]).unwrap_err();
    assert_eq!(taken.message, "unable to create VM 1001: config file already exists");
    assert_eq!(site.end(&clone).await, "OK");
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_clone_grows_with_time_and_ends_with_the_verdict() {
    let site = Site::standard();
    site.template().await;
    let clone = site.clone_to("1001", "a");
    wait(12.4).await;
    let half = site.log(&clone);
    assert_eq!(half[0], "create full clone of drive ide2 (local-lvm:vm-9100-cloudinit)");
    assert_eq!(half[1], "  Logical volume \"vm-1001-cloudinit\" created.");
    assert_eq!(half[2], "create full clone of drive scsi0 (local-lvm:base-9100-disk-0)");
    assert_eq!(half[3], "  Logical volume \"vm-1001-disk-0\" created.");
    assert_eq!(half[4], "transferred 0.0 B of 1.2 GiB (0.00%)");
    let percent: f64 = half.last().unwrap().rsplit_once('(').unwrap().1.trim_end_matches("%)").parse().unwrap();
    assert!((48.0..=51.0).contains(&percent), "{half:?}");
    assert_eq!(site.end(&clone).await, "OK");
    let all = site.log(&clone);
    assert_eq!(all[all.len() - 2], "transferred 1.2 GiB of 1.2 GiB (100.00%)");
    assert_eq!(all[all.len() - 1], "TASK OK");
}

#[tokio::test(start_paused = true)]
async fn a_clone_or_a_new_vm_that_is_stopped_takes_back_what_it_made() {
    let site = Site::standard();
    site.template().await;
    let volumes = || site.get("/nodes/pve/storage/local-lvm/content");
    let before = volumes();
    let clone = site.clone_to("1001", "a");
    let new = site.start("POST", "/nodes/pve/qemu", &[&TEMPLATE[1..], &[("vmid", "700")]].concat());
    wait(5.0).await;
    assert_ne!(volumes(), before);
    for upid in [&clone, &new] {
        site.ask("DELETE", &format!("/nodes/pve/tasks/{upid}"), &[]).unwrap();
    }
    assert_eq!(site.state(&clone)["exitstatus"], "clone failed: interrupted by signal");
    assert_eq!(site.state(&new)["exitstatus"], "unable to create VM 700 - received interrupt");
    assert_eq!(volumes(), before);
    wait(60.0).await;
    for vmid in [1001, 700] {
        assert!(site.ask("GET", &format!("/nodes/pve/qemu/{vmid}/config"), &[]).is_err(), "{vmid}");
    }
}

#[tokio::test(start_paused = true)]
async fn linked_clones_do_not_wait_for_each_other() {
    let site = Site::standard();
    site.template().await;
    let refused = [("newid", "1001"), ("storage", "local-lvm"), ("full", "0")];
    let why = site.ask("POST", "/nodes/pve/qemu/9100/clone", &refused).unwrap_err().message;
    assert_eq!(why, "parameter 'storage' not allowed for linked clones");
    let first = site.start("POST", "/nodes/pve/qemu/9100/clone", &[("newid", "1001")]);
    let second = site.start("POST", "/nodes/pve/qemu/9100/clone", &[("newid", "1002")]);
    wait(3.0).await;
    assert_eq!(site.state(&first)["exitstatus"], "OK");
    assert_eq!(site.state(&second)["exitstatus"], "OK");
    assert!(site.facts(1002).talos_disk);
    assert_eq!(site.config(1002)["name"], "Copy-of-VM-talos-template");
}

#[tokio::test(start_paused = true)]
async fn the_clone_lock_fault_fails_clones_until_it_heals() {
    let site = Site::with_fault(FaultKind::CloneLock, Some(30.0));
    site.template().await;
    let first = site.clone_to("1001", "a");
    let why = site.end(&first).await;
    assert!(why.starts_with("clone failed: can't lock file") && why.ends_with("got timeout"), "{why}");
    wait(30.0).await;
    let second = site.clone_to("1001", "a");
    assert_eq!(site.end(&second).await, "OK");
}

/// proxmox.md 2.4
#[tokio::test(start_paused = true)]
async fn a_clone_whose_worker_is_killed_leaves_its_volume_and_no_line_that_names_it() {
    let site = Site::with_fault(FaultKind::CloneKilled, Some(1.0));
    site.template().await;
    let killed = site.clone_to("1001", "a");
    assert_eq!(site.end(&killed).await, "unexpected status");
    let config = site.config(1001);
    assert_eq!(config["lock"], "clone");
    assert!(config.get("scsi0").is_none() && config.get("description").is_none(), "{config}");
    let content = site.get("/nodes/pve/storage/local-lvm/content").to_string();
    assert!(content.contains("vm-1001-disk-0"), "{content}");
}

#[tokio::test(start_paused = true)]
async fn a_full_storage_shows_no_room_and_fails_allocations_in_the_task() {
    let site = Site::with_fault(FaultKind::StorageFull { storage: "local-lvm".into() }, None);
    let state = site.get("/nodes/pve/storage/local-lvm/status");
    assert_eq!(state["avail"], 0);
    assert_eq!(state["used"], state["total"]);
    let upid = site.start("POST", "/nodes/pve/qemu", &[("vmid", "700"), ("scsi0", "local-lvm:8")]);
    let why = site.end(&upid).await;
    assert!(why.starts_with("unable to create VM 700 - lvcreate 'pve/vm-700-disk-0' error:"), "{why}");
    assert!(site.ask("GET", "/nodes/pve/qemu/700/config", &[]).is_err());
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_vm_sits_on_a_taken_vmid_until_the_fault_heals() {
    let site = Site::with_fault(FaultKind::VmidTaken { vmid: 1001 }, Some(60.0));
    let why = site.ask("GET", "/cluster/nextid", &[("vmid", "1001")]).unwrap_err();
    assert_eq!(why.status, 400);
    assert_eq!(why.errors["vmid"], "VM 1001 already exists");
    assert_eq!(site.config(1001)["name"], "someone-elses");
    wait(61.0).await;
    assert_eq!(site.ask("GET", "/cluster/nextid", &[("vmid", "1001")]).unwrap(), "1001");
}

#[tokio::test(start_paused = true)]
async fn a_missing_privilege_is_refused_by_name_and_not_among_the_permissions() {
    let missing = FaultKind::MissingPrivilege { privilege: "Datastore.AllocateTemplate".into() };
    let site = Site::with_fault(missing, None);
    let root = site.get("/access/permissions")["/"].clone();
    assert_eq!(root["Datastore.Audit"], 1);
    assert!(root.get("Datastore.AllocateTemplate").is_none());
    let why = site.ask("POST", "/nodes/pve/storage/local/upload", &[]).unwrap_err();
    assert_eq!(
        (why.status, why.message.as_str()),
        (403, "Permission check failed (/storage/local, Datastore.AllocateTemplate)")
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_right_on_bridges_they_are_left_out_and_cards_are_refused() {
    let site = Site::with_fault(FaultKind::MissingPrivilege { privilege: "SDN.Use".into() }, None);
    let card = [("vmid", "700"), ("net0", "virtio,bridge=vmbr0")];
    let why = site.ask("POST", "/nodes/pve/qemu", &card).unwrap_err().message;
    assert_eq!(why, "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)");
}

#[tokio::test(start_paused = true)]
async fn the_permission_is_checked_before_the_vm_is_looked_for() {
    let mut site = Site::standard();
    site.ask("POST", "/access/users", &[("userid", "guest@pve")]).unwrap();
    let acl = [("path", "/vms/150"), ("roles", "PVEAuditor"), ("users", "guest@pve")];
    site.ask("PUT", "/access/acl", &acl).unwrap();
    site.who = Who { user: "guest@pve".into(), token: None };
    let absent = site.ask("GET", "/nodes/pve/qemu/999/config", &[]).unwrap_err();
    assert_eq!((absent.status, absent.message.as_str()), (403, "Permission check failed (/vms/999, VM.Audit)"));
    let seen = site.get("/nodes/pve/qemu");
    assert_eq!(seen.as_array().unwrap().len(), 1, "lists hold only what the caller may see: {seen}");
    assert_eq!(site.get("/nodes/pve/storage"), serde_json::json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_new_token_is_powerless_until_it_has_an_acl_of_its_own() {
    let mut site = Site::standard();
    site.ask("POST", "/access/roles", &[("roleid", "Csi"), ("privs", "VM.Audit,Datastore.Audit")]).unwrap();
    site.ask("POST", "/access/users", &[("userid", "csi@pve")]).unwrap();
    let made = site.ask("POST", "/access/users/csi@pve/token/csi", &[]).unwrap();
    assert_eq!(made["full-tokenid"], "csi@pve!csi");
    assert!(site.lab.look(|w| w.pve.token_valid("csi@pve!csi", text(&made["value"]))));
    assert!(!site.lab.look(|w| w.pve.token_valid("csi@pve!csi", "guessed")));
    site.ask("PUT", "/access/acl", &[("path", "/"), ("roles", "Csi"), ("users", "csi@pve")]).unwrap();
    let installer = std::mem::replace(&mut site.who, Who { user: "csi@pve".into(), token: Some("csi".into()) });
    assert_eq!(site.get("/access/permissions"), serde_json::json!({}));
    let csi = std::mem::replace(&mut site.who, installer);
    site.ask("PUT", "/access/acl", &[("path", "/"), ("roles", "Csi"), ("tokens", "csi@pve!csi")]).unwrap();
    site.who = csi;
    assert_eq!(site.get("/access/permissions")["/"]["VM.Audit"], 1);

    let unknown = [("roleid", "Old"), ("privs", "VM.Monitor")];
    site.who = Who { user: "root@pam".into(), token: None };
    let why = site.ask("POST", "/access/roles", &unknown).unwrap_err();
    assert_eq!(why.errors["privs"], "invalid format - invalid privilege 'VM.Monitor'\n");
}

#[tokio::test(start_paused = true)]
async fn resize_answers_with_a_task_and_refuses_inside_it() {
    let site = Site::standard();
    site.template().await;
    let clone = site.clone_to("1001", "a");
    site.end(&clone).await;
    for (disk, size, verdict) in [
        ("scsi0", "50G", "OK"),
        ("scsi0", "50G", "OK"),
        ("scsi0", "10G", "shrinking disks is not supported"),
        ("scsi9", "50G", "disk 'scsi9' does not exist"),
        ("scsi0", "+10G", "OK"),
    ] {
        let upid = site.start("PUT", "/nodes/pve/qemu/1001/resize", &[("disk", disk), ("size", size)]);
        assert_eq!(site.end(&upid).await, verdict, "{disk} {size}");
    }
    assert_eq!(site.facts(1001).system_disk_gib, 60);
    let why = site.ask("PUT", "/nodes/pve/qemu/1001/resize", &[("disk", "scsi0"), ("size", "big")]).unwrap_err();
    assert_eq!(why.errors["size"], "value does not match the regex pattern");
}

#[tokio::test(start_paused = true)]
async fn templates_and_running_vms_refuse_in_proxmoxs_words() {
    let site = Site::standard();
    site.template().await;
    let twice = site.ask("POST", "/nodes/pve/qemu/9100/template", &[]).unwrap_err().message;
    assert_eq!(twice, "you can't convert a template to a template");
    let start = site.start("POST", "/nodes/pve/qemu/9100/status/start", &[]);
    assert_eq!(site.end(&start).await, "you can't start a vm if it's a template");

    let start = site.start("POST", "/nodes/pve/qemu/150/status/start", &[]);
    assert_eq!(site.end(&start).await, "VM 150 already running");
    let destroy = site.ask("DELETE", "/nodes/pve/qemu/150", &[]).unwrap_err().message;
    assert_eq!(destroy, "VM 150 is running - destroy failed");
    site.done("POST", "/nodes/pve/qemu/150/status/stop", &[]).await;
    site.done("POST", "/nodes/pve/qemu/150/status/stop", &[]).await;
    site.done("DELETE", "/nodes/pve/qemu/150", &[("purge", "1")]).await;
    assert!(site.ask("GET", "/nodes/pve/qemu/150/config", &[]).is_err());
}

#[tokio::test(start_paused = true)]
async fn destroying_a_vm_gives_its_space_back() {
    let site = Site::standard();
    site.image().await;
    let used = || site.get("/nodes/pve/storage/local-lvm/status")["used"].as_u64().unwrap();
    let before = used();
    site.done("POST", "/nodes/pve/qemu", &TEMPLATE).await;
    assert!(used() > before);
    site.done("DELETE", "/nodes/pve/qemu/9100", &[]).await;
    assert_eq!(used(), before);
}

#[tokio::test(start_paused = true)]
async fn wrong_parameters_are_all_named_at_once() {
    let site = Site::standard();
    let params = [("newid", "abc"), ("full", "true"), ("nmae", "x")];
    let why = site.ask("POST", "/nodes/pve/qemu/150/clone", &params).unwrap_err();
    assert_eq!((why.status, why.message.as_str()), (400, "Parameter verification failed."));
    assert_eq!(why.errors["newid"], "type check ('integer') failed - got 'abc'");
    assert_eq!(why.errors["full"], "type check ('boolean') failed - got 'true'");
    assert_eq!(
        why.errors["nmae"],
        "property is not defined in schema and the schema does not allow additional properties"
    );
    let missing = site.ask("POST", "/nodes/pve/qemu/150/clone", &[]).unwrap_err();
    assert_eq!(missing.errors["newid"], "property is missing and it is not optional");
    let name = site.ask("POST", "/nodes/pve/qemu", &[("vmid", "700"), ("name", "a_b")]).unwrap_err();
    assert_eq!(name.errors["name"], "invalid format - value does not look like a valid DNS name\n");
}

#[tokio::test(start_paused = true)]
async fn what_is_checked_in_a_worker_fails_the_task_and_only_a_change_at_once_is_refused_with_a_status() {
    let mut site = Site::standard();
    site.done("POST", "/nodes/pve/qemu", &[("vmid", "700"), ("boot", "order=scsi0")]).await;
    let boot = [("boot", "order=scsi7")];
    let task = site.start("POST", "/nodes/pve/qemu/700/config", &boot);
    assert_eq!(site.end(&task).await, "invalid bootorder: device 'scsi7' does not exist'");
    let at_once = site.ask("PUT", "/nodes/pve/qemu/700/config", &boot).unwrap_err();
    assert_eq!((at_once.status, at_once.message.as_str()), (500, "invalid bootorder: device 'scsi7' does not exist'"));

    site.ask("POST", "/access/users", &[("userid", "cpu@pve")]).unwrap();
    site.ask("POST", "/access/roles", &[("roleid", "Cpu"), ("privs", "VM.Config.CPU,Datastore.AllocateSpace")])
        .unwrap();
    site.ask("PUT", "/access/acl", &[("path", "/"), ("roles", "Cpu"), ("users", "cpu@pve")]).unwrap();
    site.who = Who { user: "cpu@pve".into(), token: None };
    let disk = [("scsi1", "local-lvm:8")];
    let task = site.start("POST", "/nodes/pve/qemu/700/config", &disk);
    assert_eq!(site.end(&task).await, "403 Permission check failed (/vms/700, VM.Config.Disk)");
    let at_once = site.ask("PUT", "/nodes/pve/qemu/700/config", &disk).unwrap_err();
    assert_eq!((at_once.status, at_once.message.as_str()), (403, "Permission check failed (/vms/700, VM.Config.Disk)"));
}

#[tokio::test(start_paused = true)]
async fn power_is_a_task_also_for_a_vm_that_is_not_there() {
    let site = Site::standard();
    let gone = "Configuration file 'nodes/pve/qemu-server/999.conf' does not exist";
    for (method, path) in [("POST", "start"), ("POST", "stop"), ("POST", "shutdown")] {
        let task = site.start(method, &format!("/nodes/pve/qemu/999/status/{path}"), &[]);
        assert_eq!(site.end(&task).await, gone, "{path}");
    }
    let resize = site.start("PUT", "/nodes/pve/qemu/999/resize", &[("disk", "scsi0"), ("size", "9G")]);
    assert_eq!(site.end(&resize).await, gone);
    let reset = site.ask("POST", "/nodes/pve/qemu/999/status/reset", &[]).unwrap_err();
    assert_eq!(reset.message, "unable to find configuration file for VM 999 on node 'pve'");
}

#[tokio::test(start_paused = true)]
async fn a_base_that_linked_clones_need_stays_where_the_storage_knows_them() {
    let site = Site::new(|s| {
        s.proxmox.storages[1].kind = "zfspool".into();
    });
    site.template().await;
    let clone = [("newid", "1001"), ("full", "0")];
    site.done("POST", "/nodes/pve/qemu/9100/clone", &clone).await;
    assert_eq!(
        site.config(1001)["scsi0"].as_str().unwrap().split(',').next().unwrap(),
        "local-lvm:base-9100-disk-0/vm-1001-disk-0"
    );
    let destroy = site.start("DELETE", "/nodes/pve/qemu/9100", &[]);
    assert_eq!(site.end(&destroy).await, "base volume 'local-lvm:base-9100-disk-0' is still in use by linked cloned");
}

#[tokio::test(start_paused = true)]
async fn drives_are_refused_by_what_their_storage_holds() {
    let site = Site::standard();
    let ask = |drive: &str| site.ask("POST", "/nodes/pve/qemu", &[("vmid", "700"), ("scsi0", drive)]).unwrap_err();
    assert_eq!(ask("nope:8").message, "storage 'nope' does not exist");
    assert_eq!(ask("local:8").errors["storage"], "storage 'local' does not support vm images");
    assert_eq!(
        ask("local-lvm:0,import-from=local:iso/talos.img").errors["scsi0"],
        "local:iso/talos.img has wrong type 'iso' - needs to be 'images' or 'import'"
    );
    assert_eq!(ask("local:iso/talos.iso").errors["scsi0"], "explicit 'media=cdrom' is required for iso images");
    let args = site.ask("POST", "/nodes/pve/qemu", &[("vmid", "700"), ("args", "-x")]).unwrap_err();
    assert_eq!(args.message, "only root can set 'args' config");
}

#[tokio::test(start_paused = true)]
async fn uploads_are_taken_by_file_storages_that_hold_such_content() {
    let site = Site::standard();
    let ask = |storage: &str, content: &str, name: &str, checksum: &str| {
        let file = upload::Received {
            size: 5,
            sha256: "cd".repeat(32),
            checksum: Some("cd".repeat(32)),
            bytes: None,
            qcow2: false,
            disk: 5,
        };
        let params =
            [("content", content), ("filename", name), ("checksum", checksum), ("checksum-algorithm", "sha256")];
        site.ask_with("POST", &format!("/nodes/pve/storage/{storage}/upload"), &params, Some(file))
    };
    let right = "cd".repeat(32);
    let block = ask("local-lvm", "iso", "a.iso", &right).unwrap_err().message;
    assert_eq!(block, "can't upload to storage type 'lvmthin'");
    assert_eq!(
        ask("local", "import", "a.raw.xz", &right).unwrap_err().errors["filename"],
        "invalid filename or wrong extension"
    );
    let wrong = ask("local", "import", "a.raw", &"00".repeat(32)).unwrap();
    let why = site.end(text(&wrong)).await;
    assert!(why.starts_with("checksum mismatch: got 'cdcd"), "{why}");
    let upid = ask("local", "import", "a.raw", &right).unwrap();
    assert_eq!(site.end(text(&upid)).await, "OK");
    let list = site.ask("GET", "/nodes/pve/storage/local/content", &[("content", "import")]).unwrap();
    assert_eq!(list[0]["volid"], "local:import/a.raw");
    assert_eq!(list[0]["size"], 5);
    assert!(list.get(1).is_none());
    site.done("DELETE", "/nodes/pve/storage/local/content/local:import/a.raw", &[]).await;
    assert_eq!(site.get("/nodes/pve/storage/local/content"), serde_json::json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_download_is_idempotent_by_checksum_and_otherwise_finds_no_server() {
    let site = Site::standard();
    site.image().await;
    let ask = |checksum: &str| {
        let params = [
            ("url", "https://factory.example/talos.raw"),
            ("content", "import"),
            ("filename", "talos.raw"),
            ("checksum", checksum),
            ("checksum-algorithm", "sha256"),
        ];
        site.start("POST", "/nodes/pve/storage/local/download-url", &params)
    };
    let same = ask(&"ab".repeat(32));
    assert_eq!(site.end(&same).await, "OK");
    let other = ask(&"00".repeat(32));
    assert!(site.end(&other).await.starts_with("checksum mismatch"));
    let params = [("url", "https://factory.example/b.raw"), ("content", "import"), ("filename", "b.raw")];
    let fresh = site.start("POST", "/nodes/pve/storage/local/download-url", &params);
    assert_eq!(site.end(&fresh).await, "download failed: wget: unable to resolve host address 'factory.example'");
}

#[tokio::test(start_paused = true)]
async fn cluster_resources_show_a_new_vm_without_a_name_until_the_status_daemon_speaks() {
    let site = Site::standard();
    wait(20.1).await;
    site.done("POST", "/nodes/pve/qemu", &[("vmid", "1000"), ("name", "late")]).await;
    let row = |list: Value| list.as_array().unwrap().iter().find(|r| r["vmid"] == 1000).unwrap().clone();
    let list = site.ask("GET", "/cluster/resources", &[("type", "vm")]).unwrap();
    assert_eq!(list[0]["vmid"], 1000, "sorted as text, before 150");
    assert_eq!(row(list)["status"], "unknown");
    wait(10.0).await;
    let row = row(site.ask("GET", "/cluster/resources", &[("type", "vm")]).unwrap());
    assert_eq!((&row["name"], &row["status"], &row["template"]), (&"late".into(), &"stopped".into(), &0.into()));
}

#[tokio::test(start_paused = true)]
async fn a_standalone_host_has_no_cluster_row_and_numbers_itself_zero() {
    let site = Site::standard();
    let status = site.get("/cluster/status");
    assert_eq!(status.as_array().unwrap().len(), 1);
    assert_eq!((&status[0]["type"], &status[0]["nodeid"]), (&"node".into(), &0.into()));
    let two = Site::new(|s| {
        let mut second = s.proxmox.nodes[0].clone();
        second.name = "pve2".into();
        s.proxmox.nodes.push(second);
    });
    let status = two.get("/cluster/status");
    assert_eq!((&status[0]["type"], &status[0]["quorate"]), (&"cluster".into(), &1.into()));
    assert_eq!((&status[1]["ip"], &status[2]["ip"]), (&"127.86.0.1".into(), &"127.86.0.11".into()));
}

#[tokio::test(start_paused = true)]
async fn a_host_reports_itself_with_perls_types() {
    let site = Site::standard();
    let status = site.get("/nodes/pve/status");
    assert_eq!(status["cpuinfo"]["hvm"], "1");
    assert_eq!(status["loadavg"][0], "0.42");
    let flags: Vec<&str> = text(&status["cpuinfo"]["flags"]).split(' ').collect();
    for needed in ["ssse3", "sse4_1", "sse4_2", "popcnt", "cx16"] {
        assert!(flags.contains(&needed), "x86-64-v2 needs {needed}");
    }
    assert_eq!(site.get("/cluster/nextid"), "100");
    let unknown = site.ask("GET", "/nodes/nope/status", &[]).unwrap_err().message;
    assert!(unknown.starts_with("hostname lookup 'nope' failed"), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn the_lab_can_make_and_remove_volumes_of_its_own() {
    let site = Site::standard();
    let make = || site.lab.with(|w| w.pve.create_volume("local-lvm", "vm-9999-pvc-1", 10));
    assert_eq!(make().unwrap(), "local-lvm:vm-9999-pvc-1");
    assert_eq!(make().unwrap_err(), "disk image 'local-lvm:vm-9999-pvc-1' already exists");
    let list = site.get("/nodes/pve/storage/local-lvm/content");
    assert_eq!(list[0]["volid"], "local-lvm:vm-9999-pvc-1");
    assert!(site.lab.with(|w| w.pve.remove_volume("local-lvm:vm-9999-pvc-1")));
    assert!(!site.lab.with(|w| w.pve.remove_volume("local-lvm:vm-9999-pvc-1")));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_taken_from_its_slot_stays_as_unused_until_it_is_removed() {
    let site = Site::standard();
    site.done("POST", "/nodes/pve/qemu", &[("vmid", "700"), ("scsi1", "local-lvm:8")]).await;
    site.ask("PUT", "/nodes/pve/qemu/700/config", &[("delete", "scsi1")]).unwrap();
    assert_eq!(site.config(700)["unused0"], "local-lvm:vm-700-disk-0");
    site.ask("PUT", "/nodes/pve/qemu/700/config", &[("delete", "unused0")]).unwrap();
    assert_eq!(site.get("/nodes/pve/storage/local-lvm/content"), serde_json::json!([]));
    let digest = site.config(700)["digest"].as_str().unwrap().to_string();
    let put = |name: &str| site.ask("PUT", "/nodes/pve/qemu/700/config", &[("name", name), ("digest", &digest)]);
    put("a").unwrap();
    assert_eq!(put("b").unwrap_err().message, "checksum mismatch (file change by other user?)");
}

/// proxmox.md 2.3: a dead NFS server costs everybody who lists storages that hold its contents, and nobody else.
#[tokio::test(start_paused = true)]
async fn a_slow_storage_costs_only_those_who_ask_for_its_contents() {
    let site = Site::standard();
    site.lab.with(|world| {
        if let Some(storage) = world.pve.storages.get_mut("local") {
            storage.latency = std::time::Duration::from_secs(20);
        }
    });
    let patience = |content: Option<&str>| {
        let params = content.map(|c| ("content".to_string(), c.to_string()));
        let call = Call {
            who: crate::pve::rights::Who { user: "root@pam".into(), token: None },
            local: "pve".into(),
            params: params.into_iter().chain([("node".to_string(), "pve".to_string())]).collect(),
            in_path: Vec::new(),
            lists: Default::default(),
            upload: None,
        };
        site.lab.look(|world| super::delay::of_storages(world, &call)).as_secs()
    };
    assert_eq!(patience(None), 20);
    assert_eq!(patience(Some("images")), 0);
    assert_eq!(patience(Some("images,import")), 20);
}
