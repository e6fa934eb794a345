//! A site that others use too: a token of one resource pool, and somebody's linked clone of the run's template.
use super::common::{ToItsEnd, cozyup, records, send, text};
use cozyup::base::secret::Secret;
use cozyup::base::trust::Trust;
use cozyup::base::vmid::Vmid;
use cozyup::lab::site::Site;
use cozyup::proxmox::{self, Changer, CloneOptions, Reader, Upid};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

/// A lab of a scenario with a run in it.
struct Lab {
    state: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    /// A name, or a file.
    scenario: String,
    name: &'static str,
}

impl Lab {
    fn of(name: &'static str) -> Lab {
        cozyup::base::tls::install_provider();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Lab { state: tempfile::tempdir().unwrap(), runtime, scenario: name.to_string(), name }
    }

    /// With a scenario of its own.
    fn written(name: &'static str, scenario: &str) -> Lab {
        let mut lab = Lab::of(name);
        let file = lab.state.path().join(format!("{name}.yaml"));
        std::fs::write(&file, scenario).unwrap();
        lab.scenario = file.to_str().unwrap().to_string();
        lab
    }

    fn folder(&self) -> PathBuf {
        self.state.path().join("lab").join(self.name)
    }

    fn run_until(&self, day: &str) -> Output {
        let arguments =
            ["lab", "run", "--scenario", &self.scenario, "--keep", "--json", "--speed", "240", "--until", day];
        cozyup(self.state.path(), &arguments).ended()
    }

    fn teardown(&self, more: &[&str]) -> Output {
        let arguments = ["lab", "teardown", "--scenario", &self.scenario, "--confirm", self.name, "--json"];
        cozyup(self.state.path(), &[&arguments[..], more].concat()).ended()
    }

    fn proxmox(&self) -> (Reader, Changer) {
        let site = Site::of_running(&self.folder()).expect("the lab serves on");
        let secret = std::fs::read_to_string(&site.token_file).unwrap();
        proxmox::connect(proxmox::Target {
            url: site.url,
            token_id: site.token_id,
            secret: Secret::new(secret.trim().to_string()),
            trust: Trust::Leaf(site.fingerprint.parse().unwrap()),
        })
        .unwrap()
    }

    fn block<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// VMIDs that the token sees.
    fn vmids(&self) -> Vec<u32> {
        let (reader, _) = self.proxmox();
        let mut all: Vec<u32> = self.block(reader.resources()).unwrap().value.iter().map(|r| r.vmid.into()).collect();
        all.sort_unstable();
        all
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(site) = Site::of_running(&self.folder()) {
            // It may have ended in this moment.
            let _ = send(site.pid, Signal::TERM);
        }
    }
}

async fn finished(reader: &Reader, task: Upid) {
    let began = Instant::now();
    while reader.task_status(&task).await.unwrap().value.running {
        assert!(began.elapsed() < Duration::from_secs(60), "{task} does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// reports.md B17: everything but the add-ons, and the way back, with rights in a pool.
#[test]
fn a_token_of_one_resource_pool_is_enough_for_a_run_and_for_taking_it_back() {
    let lab = Lab::of("pool-token");
    let run = lab.run_until("5");
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert_eq!(lab.vmids(), [1001, 1002, 1003, 1011, 9100], "the token sees its pool alone");
    let again = lab.run_until("1");
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    let back = lab.teardown(&[]);
    assert_eq!(back.status.code(), Some(0), "{}", text(&back));
    let (reader, _) = lab.proxmox();
    assert_eq!(lab.vmids(), [0_u32; 0]);
    for (vmid, free) in [(1001, true), (9100, true), (150, false)] {
        assert_eq!(lab.block(reader.vmid_free(Vmid::of(vmid))).unwrap().value, free, "{vmid}");
    }
}

/// cozystack.md 2.1 and proxmox.md: on a storage that layers disks the template can't go before its linked clones.
#[test]
fn a_linked_clone_of_the_template_holds_the_teardown_and_is_left_alone_until_its_owner_is_done() {
    let lab = Lab::written(
        "thin-zfs",
        "extends: standard\nname: thin-zfs\nabout: Disks on ZFS that is thin.\nproxmox:\n  storages:\n    \
         - { name: local, kind: dir, content: [iso, vztmpl, backup, import], total_gib: 400, used_gib: 40 }\n    \
         - { name: local-lvm, kind: zfspool, sparse: true, content: [images, rootdir], total_gib: 4000, used_gib: 100 }\n",
    );
    let run = lab.run_until("1");
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    let (reader, changer) = lab.proxmox();
    let options = CloneOptions::linked(Vmid::of(555), "anns-linked");
    lab.block(async { finished(&reader, changer.clone_vm("pve", Vmid::of(9100), &options).await.unwrap()).await });

    let held = lab.teardown(&["--patience", "20s"]);
    assert_eq!(held.status.code(), Some(1), "{}", text(&held));
    let blocked = records(&held).pop().unwrap()["blocked"].to_string();
    assert!(blocked.contains("linked clones need the template's disk: vm 555 (anns-linked) on pve"), "{blocked}");
    let left = lab.vmids();
    assert!(left.contains(&555) && left.contains(&9100) && !left.contains(&1001), "{left:?}");
    // What Proxmox VE itself says to whoever tries all the same.
    let task = lab.block(changer.destroy_vm("pve", Vmid::of(9100))).unwrap();
    lab.block(finished(&reader, task.clone()));
    let exit = lab.block(reader.task_status(&task)).unwrap().value.exit.unwrap();
    assert!(matches!(exit, proxmox::TaskExit::Failed { cause: proxmox::Cause::InUse, .. }), "{exit:?}");

    let task = lab.block(changer.destroy_vm("pve", Vmid::of(555))).unwrap();
    lab.block(finished(&reader, task));
    let done = lab.teardown(&[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(!lab.vmids().contains(&9100));
}
