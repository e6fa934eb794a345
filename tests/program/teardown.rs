//! Teardown in the lab, by the binary: what the run made is gone and proven gone, and nothing else was touched.

use crate::common::{Kept, SOON, ToItsEnd, cozyup, exit, records, send, text, worker_of};
use cozyup::base::{secret::Secret, trust::Trust, vmid::Vmid};
use cozyup::kubernetes::{Changer as KubernetesChanger, Kind, Reader as KubernetesReader};
use cozyup::proxmox::{self, Changer, CloneOptions, Reader, Upid, VmConfig};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{path::Path, process::Output};

const NAME: &str = "standard";

fn teardown(state: &Path, more: &[&str]) -> Output {
    cozyup(state, &[&["lab", "teardown"], more].concat()).ended()
}

fn agreed(state: &Path) -> Output {
    teardown(state, &["--confirm", NAME])
}

/// A lab with a run in it, and what a person at its APIs sees and does.
struct Lab {
    kept: Kept,
    runtime: tokio::runtime::Runtime,
}

impl Lab {
    fn with_run_until(day: &str) -> Lab {
        cozyup::base::tls::install_provider();
        Lab { kept: Kept::with_run_until(day), runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    fn state(&self) -> &Path {
        self.kept.state()
    }

    fn proxmox(&self) -> (Reader, Changer) {
        let site = self.kept.site();
        let secret = std::fs::read_to_string(&site.token_file).unwrap();
        proxmox::connect(proxmox::Target {
            url: site.url,
            token_id: site.token_id,
            secret: Secret::new(secret.trim().to_string()),
            trust: Trust::Leaf(site.fingerprint.parse().unwrap()),
        })
        .unwrap()
    }

    fn kubernetes(&self) -> (KubernetesReader, KubernetesChanger) {
        let text = std::fs::read_to_string(self.kept.run_folder().join("secrets/kubeconfig")).unwrap();
        self.block(async { cozyup::kubernetes::connect(&Secret::new(text), None).unwrap() })
    }

    fn block<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Guests with their names, volumes of every storage, users and roles.
    fn inventory(&self) -> BTreeMap<&'static str, Vec<String>> {
        let (reader, _) = self.proxmox();
        self.block(async {
            let guests = reader.resources().await.unwrap().value;
            let mut volumes = Vec::new();
            for (storage, content) in [("local", "import"), ("local-lvm", "images")] {
                volumes.extend(reader.storage_content("pve", storage, content).await.unwrap().value);
            }
            let users = reader.users().await.unwrap().value;
            let roles = reader.roles().await.unwrap().value;
            let mut all = BTreeMap::from([
                ("guests", guests.iter().map(|g| format!("{} {:?}", g.vmid, g.name)).collect::<Vec<_>>()),
                ("volumes", volumes.iter().map(|v| v.volid.clone()).collect()),
                ("users", users.iter().map(|u| u.userid.clone()).collect()),
                ("roles", roles.keys().cloned().collect()),
            ]);
            all.values_mut().for_each(|v| v.sort());
            all
        })
    }

    /// The description of the run's own VMs.
    fn mark(&self) -> String {
        let (reader, _) = self.proxmox();
        let config = self.block(reader.vm_config("pve", Vmid::of(1001))).unwrap().value;
        let words = config.description().unwrap().to_string();
        words.split_whitespace().find(|w| w.starts_with("cozyup-run=")).unwrap().to_string()
    }

    /// The run's mark as its record has it.
    fn run_mark(&self) -> String {
        let journal = std::fs::read_to_string(self.kept.run_folder().join("journal.jsonl")).unwrap();
        let first: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
        format!("cozyup-run={NAME}.{}", first["run"].as_str().unwrap())
    }

    fn create_vm(&self, vmid: u32, name: &str, description: &str) {
        let (reader, changer) = self.proxmox();
        let options = [
            ("vmid", vmid.to_string()),
            ("name", name.to_string()),
            ("memory", "512".to_string()),
            ("scsi0", "local-lvm:1".to_string()),
            ("description", description.to_string()),
        ];
        self.block(async { finished(&reader, changer.create_vm("pve", &options).await.unwrap()).await });
    }

    /// As a person does who wants one like it; the notes are copied.
    fn clone_vm(&self, source: u32, newid: u32, name: &str, full: bool) {
        let (reader, changer) = self.proxmox();
        let options = CloneOptions { full, ..CloneOptions::linked(Vmid::of(newid), name) };
        let clone = changer.clone_vm("pve", Vmid::of(source), &options);
        self.block(async { finished(&reader, clone.await.unwrap()).await });
    }

    fn config(&self, vmid: u32) -> Option<VmConfig> {
        let (reader, _) = self.proxmox();
        self.block(reader.vm_config("pve", Vmid::of(vmid))).ok().map(|config| config.value)
    }

    fn power(&self, vmid: u32, on: bool) {
        let (reader, changer) = self.proxmox();
        self.block(async {
            let vmid = Vmid::of(vmid);
            let begun = if on { changer.start_vm("pve", vmid).await } else { changer.stop_vm("pve", vmid).await };
            finished(&reader, begun.unwrap()).await;
        });
    }

    fn destroy(&self, vmid: u32) {
        let (reader, changer) = self.proxmox();
        self.block(async { finished(&reader, changer.destroy_vm("pve", Vmid::of(vmid)).await.unwrap()).await });
    }

    fn upload(&self, name: &str) {
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let (reader, changer) = self.proxmox();
        let file = self.state().join(name);
        std::fs::write(&file, "abc").unwrap();
        let begun = changer.upload("pve", "local", "import", name, ABC, &file, |_, _| ());
        self.block(async { finished(&reader, begun.await.unwrap()).await });
    }
}

async fn finished(reader: &Reader, task: Upid) {
    let began = Instant::now();
    while reader.task_status(&task).await.unwrap().value.running {
        assert!(began.elapsed() < SOON, "{task} does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the lab's site holds before anybody ran anything in it.
fn empty_site() -> BTreeMap<&'static str, Vec<String>> {
    Lab::with_run_until("0").inventory()
}

#[test]
fn a_whole_cluster_is_taken_back_and_whatever_was_not_the_runs_own_is_still_there() {
    let before = empty_site();
    let lab = Lab::with_run_until("5");
    assert_ne!(lab.inventory(), before);
    lab.create_vm(3000, "a-stranger", "cozyup-run=other.00000000");
    lab.create_vm(3001, "a-stray", &format!("made by {}", lab.mark()));
    let secrets = lab.kept.run_folder().join("secrets");
    std::fs::write(secrets.join("anns-notes.txt"), "nothing of a run").unwrap();
    // As the plan may have named it before it was edited; nobody can tell.
    lab.upload("cozyup-talos-v1.9.0-0badcafe.raw");

    // What was taken out of the plan since is taken back too.
    let plan = lab.kept.site().plan;
    let words = std::fs::read_to_string(&plan).unwrap();
    let (before_capmox, capmox) = words.split_once("capmox:").unwrap();
    let without = format!("{before_capmox}capmox:{}", capmox.replacen("enabled: true", "enabled: false", 1));
    assert_ne!(without, words);
    std::fs::write(&plan, without).unwrap();

    let listed = text(&teardown(lab.state(), &["--list"]));
    for expected in [
        "stop cozy-new-cp1 (vm 1001)",
        "destroy the template (vm 9100)",
        "delete role CozyCSI",
        "vm 3001 (a-stray) on pve: it carries this run's mark, but the run's journal knows no VM of its VMID",
        "revoke token capmox@pve!capi",
    ] {
        assert!(listed.contains(expected), "{expected} is not in\n{listed}");
    }
    assert!(!listed.contains("3000"), "somebody else's VM is listed:\n{listed}");

    let done = teardown(lab.state(), &["--confirm", NAME, "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let summary = records(&done).pop().unwrap();
    assert_eq!(
        (&summary["course"]["back"]["cluster_is_lost"], &summary["outcome"]),
        (&json!(false), &json!("proven")),
        "{summary:#}"
    );
    for record in records(&done).iter().filter(|r| r["event"] == "proven") {
        assert!(!record["proof"]["readings"].as_array().unwrap().is_empty(), "{record:#}");
    }

    assert!(text(&done).contains("other images of cozyup stay there: local:import/cozyup-talos-v1.9.0-0badcafe.raw"));

    let mut expected = before;
    expected.get_mut("volumes").unwrap().push("local:import/cozyup-talos-v1.9.0-0badcafe.raw".to_string());
    for (vmid, name) in [(3000, "a-stranger"), (3001, "a-stray")] {
        expected.get_mut("guests").unwrap().push(format!("{vmid} Some({name:?})"));
        expected.get_mut("volumes").unwrap().push(format!("local-lvm:vm-{vmid}-disk-0"));
    }
    expected.values_mut().for_each(|v| v.sort());
    assert_eq!(lab.inventory(), expected);
    let left: Vec<_> = std::fs::read_dir(secrets).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["anns-notes.txt"], "secrets are left, or what is nobody's secret is not");

    let again = text(&agreed(lab.state()));
    assert!(again.contains("nothing of standard is there to be removed"), "{again}");
    // And the same run can be made once more, with gates of its own.
    assert_eq!(lab.kept.run_until("1", &[]).status.code(), Some(0));
}

#[test]
fn a_teardown_that_is_killed_again_and_again_comes_to_the_same_end() {
    let before = empty_site();
    let lab = Lab::with_run_until("2");
    for moment in ["undo.day1.start", ":qmstop:", ":qmdestroy:", "undo.day1.template_vm", ":imgdel:"] {
        let printed = lab.state().join("printed");
        let file = std::fs::File::create(&printed).unwrap();
        let mut child =
            cozyup(lab.state(), &["lab", "teardown", "--confirm", NAME, "--json"]).stdout(file).spawn().unwrap();
        let began = Instant::now();
        let read = || String::from_utf8_lossy(&std::fs::read(&printed).unwrap()).into_owned();
        let happened = || read().lines().skip(1).any(|l| l.contains(moment) && !l.contains("\"proven\""));
        while !happened() && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < SOON, "`{moment}` never came:\n{}", read());
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(pid) = worker_of(&lab.kept.run_folder()) {
            send(pid, Signal::KILL).unwrap();
        }
        assert!(exit(&mut child).is_some(), "it does not end with its worker");
    }
    let done = agreed(lab.state());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(lab.inventory(), before);
}

#[test]
fn the_clusters_keys_stay_as_long_as_a_machine_of_it_does() {
    let lab = Lab::with_run_until("2");
    let (_, changer) = lab.proxmox();
    lab.block(changer.configure_vm("pve", Vmid::of(1002), &[("description", "ann was here")])).unwrap();
    let held = teardown(lab.state(), &["--confirm", NAME, "--patience", "20s"]);
    assert_eq!(held.status.code(), Some(1), "{}", text(&held));
    let said = text(&held);
    assert!(said.contains("vm 1002 (cozy-new-cp2) on pve has lost this run's mark"), "{said}");
    assert!(lab.kept.run_folder().join("secrets/secrets.yaml").exists(), "the keys are gone");
    lab.block(changer.configure_vm("pve", Vmid::of(1002), &[("description", lab.run_mark())])).unwrap();
    let done = agreed(lab.state());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
}

#[test]
fn volumes_that_somebody_keeps_on_proxmox_hold_the_teardown_until_they_are_gone() {
    let lab = Lab::with_run_until("4");
    let (_, changer) = lab.kubernetes();
    let claim = json!({"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "proxmox", "resources": {"requests": {"storage": "1Gi"}}}});
    lab.block(changer.apply(&Kind::PERSISTENT_VOLUME_CLAIM, Some("default"), "precious", claim)).unwrap();
    let (reader, _) = lab.kubernetes();
    let pod = json!({"spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.9", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "precious"}}]}});
    lab.block(changer.apply(&Kind::POD, Some("default"), "user", pod)).unwrap();
    let began = Instant::now();
    let volumes = || lab.block(reader.list(&Kind::PERSISTENT_VOLUME, None, None)).unwrap().value;
    let is_there = |all: &[Value]| all.iter().any(|v| v["spec"]["claimRef"]["name"] == "precious");
    while !is_there(&volumes()) {
        assert!(began.elapsed() < SOON, "no volume: {:?}", volumes());
        std::thread::sleep(Duration::from_millis(10));
    }
    let held = teardown(lab.state(), &["--confirm", NAME, "--patience", "30s"]);
    assert_eq!(held.status.code(), Some(1), "{}", text(&held));
    let said = text(&held);
    assert!(said.contains("the cluster is in use: 1 volumes on Proxmox VE belong to it"), "{said}");
    assert!(lab.inventory()["guests"].iter().any(|g| g.starts_with("1001")), "a machine was removed all the same");
}

#[test]
fn nothing_is_removed_without_the_runs_own_name_or_on_a_host_that_does_not_know_the_run() {
    let lab = Lab::with_run_until("1");
    let before = lab.inventory();
    let wrong = teardown(lab.state(), &["--confirm", "standart"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    assert!(text(&wrong).contains("nothing was removed"), "{}", text(&wrong));
    let nobody = teardown(lab.state(), &[]);
    assert_eq!(nobody.status.code(), Some(2), "{}", text(&nobody));
    assert!(text(&nobody).contains("--confirm standard"), "{}", text(&nobody));
    let plan = lab.kept.site().plan;
    let elsewhere = tempfile::tempdir().unwrap();
    let unknown = cozyup(elsewhere.path(), &["teardown", plan.to_str().unwrap(), "--confirm", NAME]).ended();
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
    assert!(text(&unknown).contains("on the jump host that made it"), "{}", text(&unknown));
    assert_eq!(lab.inventory(), before);
}

/// The VMs, users and tokens that a teardown's summary names as left alone.
fn left_alone(output: &Output) -> Vec<String> {
    let summary = records(output).pop().unwrap();
    let all = summary["left_alone"].as_array().cloned().unwrap_or_default();
    all.iter().map(|left| left["what"].as_str().unwrap().to_string()).collect()
}

/// harm.md S2, cozystack.md 2.1 and proxmox.md 2.1: what only carries a copy of the mark is somebody else's, and in nobody's way.
#[test]
fn whatever_only_carries_a_copy_of_the_mark_survives_a_teardown_that_ends_well() {
    let before = empty_site();
    let lab = Lab::with_run_until("1");
    let node = lab.config(1001).unwrap();
    let notes = node.description().unwrap().to_string();
    lab.clone_vm(9100, 555, "anns-talos", true);
    lab.clone_vm(1001, 556, "anns-node", true);
    lab.power(556, true);
    // As a restore without `--unique` makes it: notes, MAC and SMBIOS uuid are those of the VM that was saved.
    let (reader, changer) = lab.proxmox();
    let restored = [
        ("vmid", "557".to_string()),
        ("name", "restored".to_string()),
        ("memory", "512".to_string()),
        ("scsi0", "local-lvm:1".to_string()),
        ("smbios1", node.get("smbios1").unwrap().to_string()),
        ("net0", node.get("net0").unwrap().to_string()),
        ("description", notes.clone()),
    ];
    lab.block(async { finished(&reader, changer.create_vm("pve", &restored).await.unwrap()).await });
    // Into the notes of a VM that was there before the run, and runs.
    lab.block(changer.configure_vm("pve", Vmid::of(150), &[("description", lab.run_mark())])).unwrap();
    // By name one that day 4 would have made, and one that it never would.
    for user in ["capmox@pve", "bob@pve"] {
        lab.block(changer.create_user(user, &lab.run_mark())).unwrap();
        lab.block(changer.create_token(user, "capi", &lab.run_mark(), false)).unwrap();
    }
    let others = [
        "vm 150 (old-cozy1) on pve",
        "vm 555 (anns-talos) on pve",
        "vm 556 (anns-node) on pve",
        "vm 557 (restored) on pve",
    ];

    let listed = text(&teardown(lab.state(), &["--list"]));
    assert!(listed.contains("stop cozy-new-cp1 (vm 1001)") && !listed.contains("destroy vm"), "{listed}");
    for other in others {
        assert!(listed.contains(&format!("{other}: it carries")), "{other} is not told in\n{listed}");
    }
    let done = teardown(lab.state(), &["--confirm", NAME, "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let left = left_alone(&done);
    for other in others.iter().copied().chain(["user bob@pve", "user capmox@pve", "token capmox@pve!capi"]) {
        assert!(left.iter().any(|l| l == other), "{other} is not told in {left:?}");
    }
    for vmid in [555, 556, 557, 150] {
        let there = lab.config(vmid).unwrap_or_else(|| panic!("vm {vmid} was destroyed"));
        assert!(there.description().unwrap().contains(&lab.run_mark()));
    }
    assert!(lab.block(reader.vm_status("pve", Vmid::of(556))).unwrap().value.is_running(), "ann's node was stopped");
    assert!([1001, 1002, 1003, 1011, 9100].iter().all(|vmid| lab.config(*vmid).is_none()));
    assert_eq!(lab.block(reader.tokens("capmox@pve")).unwrap().value.len(), 1);
    assert_eq!(lab.inventory()["guests"].len(), before["guests"].len() + 3);

    // Again, and with another's VMID: nothing more is removed.
    let again = text(&agreed(lab.state()));
    assert!(again.contains("nothing of standard is there to be removed") && again.contains("vm 555"), "{again}");
    let slip = teardown(lab.state(), &["--confirm", NAME, "--also", "151"]);
    assert_eq!(slip.status.code(), Some(2), "{}", text(&slip));
    assert!(
        text(&slip).contains("vm 151") && text(&slip).contains("does not carry this run's mark"),
        "{}",
        text(&slip)
    );
    let named = teardown(lab.state(), &["--confirm", NAME, "--also", "555", "--also", "556", "--json"]);
    assert_eq!(named.status.code(), Some(0), "{}", text(&named));
    assert!(lab.config(555).is_none() && lab.config(556).is_none());
    assert!(lab.config(557).is_some() && lab.config(150).is_some() && lab.config(151).is_some());
}

#[test]
fn a_node_that_was_taken_out_of_the_plan_is_destroyed_and_what_stands_in_a_nodes_place_is_not() {
    let lab = Lab::with_run_until("1");
    // Somebody destroys a node and clones another into its VMID.
    lab.power(1002, false);
    lab.destroy(1002);
    lab.clone_vm(1003, 1002, "anns-own", true);
    // And the plan no longer names the worker.
    let plan = lab.kept.site().plan;
    let words = std::fs::read_to_string(&plan).unwrap();
    let worker = words.lines().position(|l| l.contains("cozy-new-worker1")).unwrap();
    let mut lines: Vec<&str> = words.lines().collect();
    let end = lines.iter().skip(worker + 1).position(|l| l.trim_start().starts_with("- name") || !l.starts_with(' '));
    lines.drain(worker..end.map_or(lines.len(), |n| worker + 1 + n));
    std::fs::write(&plan, lines.join("\n")).unwrap();

    let run = lab.kept.run_until("1", &["--patience", "20s"]);
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    assert!(text(&run).contains("was written for vm 1003"), "{}", text(&run));
    let listed = text(&teardown(lab.state(), &["--list"]));
    assert!(listed.contains("destroy vm 1011 (cozy-new-worker1) on pve: not in the plan"), "{listed}");
    let done = teardown(lab.state(), &["--confirm", NAME, "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert_eq!(left_alone(&done), ["vm 1002 (anns-own) on pve"]);
    assert!(lab.config(1011).is_none() && lab.config(1001).is_none());
    assert_eq!(lab.config(1002).unwrap().name(), Some("anns-own"));
}
