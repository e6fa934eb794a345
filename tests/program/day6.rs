//! Day 6 as a person sees it: Cluster API makes a VM, Proxmox VE shows it, and nothing of it is left in either.
use crate::common::{Kept, ToItsEnd, cozyup, exit, records, send, text, until, worker_of};
use cozyup::base::secret::Secret;
use cozyup::base::trust::Trust;
use cozyup::lab::site::Site;
use cozyup::proxmox::{self, Changer, Reader, VmRow};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;

const RANGE: std::ops::RangeInclusive<u32> = 9500..=9509;

pub fn reader(site: &Site) -> Reader {
    both(site).0
}

pub fn both(site: &Site) -> (Reader, Changer) {
    cozyup::base::tls::install_provider();
    let secret = std::fs::read_to_string(&site.token_file).unwrap();
    let target = proxmox::Target {
        url: site.url.clone(),
        token_id: site.token_id.clone(),
        secret: Secret::new(secret.trim().to_string()),
        trust: Trust::Leaf(site.fingerprint.parse().unwrap()),
    };
    proxmox::connect(target).unwrap()
}

pub fn guests(reader: &Reader) -> Vec<VmRow> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let all = runtime.block_on(reader.resources()).unwrap().value;
    all.into_iter().filter(|row| RANGE.contains(&row.vmid.into())).collect()
}

pub fn isos(reader: &Reader) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let all = runtime.block_on(reader.storage_content("pve", "local", "iso")).unwrap().value;
    all.into_iter().map(|volume| volume.volid).collect()
}

pub fn proof<'a>(records: &'a [Value], step: &str) -> &'a Value {
    let found = records.iter().find(|r| r["event"] == "proven" && r["step"] == step);
    &found.unwrap_or_else(|| panic!("{step} was not proven"))["proof"]
}

/// The run of the standard lab until its worker has recorded `event` of `step`, and no further.
pub fn killed_behind(state: &Path, step: &str, event: &str) {
    // At the speed of `Kept::run_until`: another one would start another lab.
    killed_in(state, &["lab", "run", "--keep", "--json", "--speed", "240"], step, event);
}

/// This command, until the worker that it starts has recorded `event` of `step`, and no further.
pub fn killed_in(state: &Path, arguments: &[&str], step: &str, event: &str) {
    let printed = state.join("printed");
    let file = std::fs::File::create(&printed).unwrap();
    let mut child = cozyup(state, arguments).stdout(file).spawn().unwrap();
    // Only what is new is read, and the lines of this step alone: on a busy machine the worker would be far ahead else.
    let (mut lines, mut line) = (BufReader::new(std::fs::File::open(&printed).unwrap()), String::new());
    until(&format!("{step} {event}"), || {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended early:\n{}",
            std::fs::read_to_string(&printed).unwrap()
        );
        while lines.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            let whole = std::mem::take(&mut line);
            let record = whole.contains(step).then(|| serde_json::from_str::<Value>(&whole).ok()).flatten();
            if record.is_some_and(|r| r["step"] == step && r["event"] == event) {
                return Some(());
            }
        }
        None
    });
    send(worker_of(&state.join("lab/standard/run")).expect("a worker"), Signal::KILL).unwrap();
    assert!(exit(&mut child).is_some(), "the run does not end with its worker");
}

#[test]
fn a_vm_by_cluster_api_is_read_back_in_proxmox_and_leaves_nothing() {
    let lab = Kept::new();
    let run = lab.run_until("6", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    let records = records(&run);
    let vm = proof(&records, "day6.vm");
    assert!(vm["summary"].as_str().unwrap().contains("made by capmox@pve"), "{vm:#}");
    let systems: Vec<&str> = vm["readings"].as_array().unwrap().iter().map(|r| r["system"].as_str().unwrap()).collect();
    assert!(systems.contains(&"Proxmox") && systems.contains(&"Kubernetes"), "{systems:?}");
    // What Cluster API calls the VM and what Proxmox VE says of it are one.
    let owned = &proof(&records, "day6.machine")["owned"];
    let config = vm["readings"][0]["answer"].as_str().unwrap();
    assert!(config.contains(owned["uid"].as_str().unwrap()), "{owned} is not in {config}");
    let reader = reader(&lab.site());
    assert!(guests(&reader).is_empty(), "{:?}", guests(&reader));
    assert!(!isos(&reader).iter().any(|iso| iso.contains("user-data-")), "{:?}", isos(&reader));
}

#[test]
fn a_teardown_of_a_run_killed_while_cluster_api_makes_its_vm_leaves_no_vm() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.machine", "acted");
    let reader = reader(&lab.site());
    until("capmox has cloned", || (!guests(&reader).is_empty()).then_some(()));
    let teardown = cozyup(lab.state(), &["lab", "teardown", "--confirm", "standard"]).ended();
    assert_eq!(teardown.status.code(), Some(0), "{}", text(&teardown));
    assert!(guests(&reader).is_empty(), "{:?}", guests(&reader));
    assert!(!isos(&reader).iter().any(|iso| iso.contains("user-data-")), "{:?}", isos(&reader));
}

#[test]
fn a_run_killed_while_its_vm_is_removed_goes_on_to_the_same_end() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.removal", "acted");
    let run = lab.run_until("6", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(guests(&reader(&lab.site())).is_empty());
}

/// As capmox leaves one behind whose VM goes between the upload and the drive, or as a person puts one there.
fn put_iso(site: &Site, name: &str) {
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let (reader, changer) = both(site);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, "abc").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let task = changer.upload("pve", "local", "iso", name, ABC, &file, |_, _| ()).await.unwrap();
        while reader.task_status(&task).await.unwrap().value.running {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn a_cd_rom_that_capmox_forgot_goes_with_the_vm() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.removal", "acted");
    put_iso(&lab.site(), "user-data-9501.iso");
    put_iso(&lab.site(), "user-data-950.iso");
    let run = lab.run_until("6", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert_eq!(isos(&reader(&lab.site())), ["local:iso/user-data-950.iso"]);
}

#[test]
fn a_cd_rom_that_lies_in_the_range_before_is_refused_and_left_alone() {
    let lab = Kept::with_run_until("5");
    put_iso(&lab.site(), "user-data-9503.iso");
    let run = lab.run_until("6", &["--patience", "20s"]);
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    let told = text(&run);
    assert!(told.contains("are in use: local:iso/user-data-9503.iso") && told.contains("machine_vmids"), "{told}");
    assert_eq!(isos(&reader(&lab.site())), ["local:iso/user-data-9503.iso"]);
}

#[test]
fn what_somebody_put_into_the_namespace_of_day_6_does_not_go_with_it() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day6.machine", "acted");
    let kubeconfig = std::fs::read_to_string(lab.run_folder().join("secrets/kubeconfig")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (_, changer) = cozyup::kubernetes::connect(&Secret::new(kubeconfig), None).unwrap();
        let body = serde_json::json!({"stringData": {"ann": "hers"}});
        changer.apply(&cozyup::kubernetes::Kind::SECRET, Some("cozyup-vms"), "anns", body).await.unwrap();
    });
    let run = lab.run_until("6", &["--patience", "20s"]);
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    let told = text(&run);
    assert!(told.contains("namespace cozyup-vms holds what this run did not make: Secret anns"), "{told}");
    assert!(guests(&reader(&lab.site())).is_empty(), "the VM is gone all the same");
}
