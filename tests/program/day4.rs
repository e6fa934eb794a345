//! Day 4 in the lab, by the binary: what the add-ons may do in Proxmox VE, and what is said when they do not get through.
use crate::common::{self, Kept, ToItsEnd, cozyup, records, text};
use cozyup::base::disk;
use cozyup::base::secret::Secret;
use cozyup::base::trust::Trust;
use cozyup::base::vmid::Vmid;
use cozyup::kubernetes::{Kind, Reader as KubernetesReader};
use cozyup::proxmox::{self, Changer, CloneOptions, Error, Grantee, Reader, Upid};
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

const CSI: (&str, &str) = ("kubernetes-csi@pve!csi", "proxmox-token-csi");
const CAPMOX: (&str, &str) = ("capmox@pve!capi", "proxmox-token-capmox");
/// Of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

struct Lab {
    kept: Kept,
    runtime: tokio::runtime::Runtime,
}

impl Lab {
    fn of(scenario: &str, day: &str) -> Lab {
        cozyup::base::tls::install_provider();
        Lab { kept: Kept::of(scenario, day), runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    fn block<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    fn connect(&self, token_id: &str, secret: &str) -> (Reader, Changer) {
        let site = self.kept.site();
        proxmox::connect(proxmox::Target {
            url: site.url,
            token_id: token_id.to_string(),
            secret: Secret::new(secret.trim().to_string()),
            trust: Trust::Leaf(site.fingerprint.parse().unwrap()),
        })
        .unwrap()
    }

    fn installer(&self) -> (Reader, Changer) {
        let site = self.kept.site();
        self.connect(&site.token_id, &std::fs::read_to_string(&site.token_file).unwrap())
    }

    /// As the add-on itself asks.
    fn add_on(&self, (token_id, file): (&str, &str)) -> (Reader, Changer) {
        let file = self.kept.run_folder().join("secrets").join(file);
        self.connect(token_id, &std::fs::read_to_string(file).unwrap())
    }

    fn kubernetes(&self) -> KubernetesReader {
        let text = std::fs::read_to_string(self.kept.run_folder().join("secrets/kubeconfig")).unwrap();
        self.block(async { cozyup::kubernetes::connect(&Secret::new(text), None).unwrap().0 })
    }

    /// Of the add-ons' users: path, user and role, without the installer's.
    fn entries(&self) -> Vec<(String, String, String)> {
        let (reader, _) = self.installer();
        let acl = self.block(reader.acl()).unwrap().value;
        let others = acl.into_iter().filter(|row| row.ugid != "cozyup@pve");
        others.map(|row| (row.path, row.ugid, row.roleid)).collect()
    }
}

async fn finished(reader: &Reader, task: Upid) {
    let began = Instant::now();
    while reader.task_status(&task).await.unwrap().value.running {
        assert!(began.elapsed() < common::SOON, "{task} does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn assert_proven(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", text(output));
}

/// Step, text and next action of every `blocked` and `failed` record.
fn complaints(output: &Output) -> Vec<(String, String)> {
    let all = records(output);
    let told = all.iter().filter(|r| r["event"] == "blocked" || r["event"] == "failed");
    let line = |r: &Value| {
        (r["step"].as_str().unwrap().to_string(), format!("{} | {}", r["failure"]["what"], r["failure"]["next"]))
    };
    told.map(line).collect()
}

fn told<'a>(complaints: &'a [(String, String)], step: &str, words: &[&str]) -> &'a str {
    let found = complaints.iter().find(|(s, said)| s == step && words.iter().all(|w| said.contains(w)));
    &found.unwrap_or_else(|| panic!("{step} does not say {words:?} in\n{complaints:#?}")).1
}

fn is_forbidden<T>(answer: Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Forbidden { .. }))
}

/// issue 10 A5: what capmox does to one machine, call by call as its version 0.7.7 makes them, with the token that day 4 made.
async fn a_machines_life(reader: &Reader, changer: &Changer, iso: &std::path::Path) {
    let node = "pve";
    reader.cluster_status().await.unwrap();
    let options =
        CloneOptions { full: true, pool: Some("cozy".into()), ..CloneOptions::linked(Vmid::of(9500), "tenant-1") };
    let outside = CloneOptions { pool: None, newid: Vmid::of(9501), ..options.clone() };
    assert!(is_forbidden(changer.clone_vm(node, Vmid::of(9100), &outside).await), "a machine outside of the pool");
    finished(reader, changer.clone_vm(node, Vmid::of(9100), &options).await.unwrap()).await;
    let sized = [("cores", "2"), ("memory", "4096"), ("tags", "ip_net0"), ("net0", "virtio,bridge=vmbr0")];
    if let Some(task) = changer.configure_vm(node, Vmid::of(9500), &sized).await.unwrap() {
        finished(reader, task).await;
    }
    if let Some(task) = changer.resize_disk(node, Vmid::of(9500), "scsi0", "20G").await.unwrap() {
        finished(reader, task).await;
    }
    assert!(reader.storages(node).await.unwrap().value.iter().any(|s| s.storage == "local"));
    let upload = changer.upload(node, "local", "iso", "user-data-9500.iso", ABC, iso, |_, _| ());
    finished(reader, upload.await.unwrap()).await;
    let cdrom = [("ide0", "local:iso/user-data-9500.iso,media=cdrom"), ("boot", "order=scsi0;ide0")];
    if let Some(task) = changer.configure_vm(node, Vmid::of(9500), &cdrom).await.unwrap() {
        finished(reader, task).await;
    }
    finished(reader, changer.start_vm(node, Vmid::of(9500)).await.unwrap()).await;
    assert!(reader.vm_status(node, Vmid::of(9500)).await.unwrap().value.is_running());
    finished(reader, changer.stop_vm(node, Vmid::of(9500)).await.unwrap()).await;
    if let Some(task) = changer.delete_volume(node, "local", "local:iso/user-data-9500.iso").await.unwrap() {
        finished(reader, task).await;
    }
    finished(reader, changer.destroy_vm(node, Vmid::of(9500)).await.unwrap()).await;
}

/// issue 10 A5, cozystack.md 3: the narrow rights are enough for the work, and reach nobody else's machines.
#[test]
fn the_add_ons_work_with_rights_that_reach_no_machine_of_others_and_leave_none_behind() {
    let lab = Lab::of("in-a-pool", "5");
    let (csi, csi_changer) = lab.add_on(CSI);
    let (capmox, capmox_changer) = lab.add_on(CAPMOX);
    let iso = lab.kept.state().join("user-data-9500.iso");
    std::fs::write(&iso, "abc").unwrap();
    lab.block(async {
        for vmid in [150, 1001, 9100] {
            assert!(is_forbidden(csi_changer.stop_vm("pve", Vmid::of(vmid)).await), "CSI stops vm {vmid}");
            assert!(is_forbidden(csi_changer.destroy_vm("pve", Vmid::of(vmid)).await), "CSI destroys vm {vmid}");
        }
        assert!(is_forbidden(csi.vm_config("pve", Vmid::of(150)).await), "CSI reads a stranger's VM");
        assert!(csi.vm_config("pve", Vmid::of(1001)).await.is_ok(), "it must find its own nodes");
        for changer in [&csi_changer, &capmox_changer] {
            assert!(is_forbidden(changer.stop_vm("pve", Vmid::of(150)).await), "a stranger's VM is stopped");
            assert!(is_forbidden(changer.destroy_vm("pve", Vmid::of(150)).await), "a stranger's VM is destroyed");
            let notes = [("description", "mine")];
            let changed = changer.configure_vm("pve", Vmid::of(150), &notes).await;
            assert!(is_forbidden(changed), "a stranger's VM is changed");
        }
        a_machines_life(&capmox, &capmox_changer, &iso).await;
    });
    let (reader, changer) = lab.installer();
    assert!(lab.block(reader.vm_status("pve", Vmid::of(150))).unwrap().value.is_running());
    assert!(!lab.entries().iter().any(|(path, user, _)| path == "/" && user.starts_with("kubernetes-csi")));

    // As an earlier cozyup left it: all of the role on the whole site.
    let user = Grantee::User("kubernetes-csi@pve".into());
    let former = ["VM.Audit", "VM.Config.Disk", "Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.Audit"];
    lab.block(async {
        changer.set_role("CozyCSI", &former).await.unwrap();
        changer.set_acl("/", "CozyCSI", &user, true).await.unwrap();
        assert!(csi.vm_config("pve", Vmid::of(150)).await.is_ok());
    });
    assert_proven(&lab.kept.run_until("4", &[]));
    let read = lab.block(csi.vm_config("pve", Vmid::of(150)));
    assert!(is_forbidden(read), "the entry on / is still there: {:?}", lab.entries());
    assert_eq!(lab.block(reader.roles()).unwrap().value["CozyCSI"].len(), 2);

    // Somebody else's entry is his, and told.
    lab.block(changer.set_acl("/vms", "PVEAuditor", &user, true)).unwrap();
    let again = lab.kept.run_until("4", &[]);
    assert_proven(&again);
    let said = text(&again);
    assert!(said.contains("somebody gave it role PVEAuditor on /vms too"), "{said}");
    assert!(said.contains("deviation: somebody gave it more"), "{said}");

    leaves_no_entry(&lab);
}

/// A teardown of the lab takes away every entry and role of the add-ons.
fn leaves_no_entry(lab: &Lab) {
    let mut down = cozyup(lab.kept.state(), &["lab", "teardown", "--scenario", "in-a-pool", "--confirm", "in-a-pool"]);
    assert_proven(&down.ended());
    assert_eq!(lab.entries(), [], "entries are left");
    let roles = lab.block(lab.installer().0.roles()).unwrap().value;
    assert!(!roles.keys().any(|role| role.starts_with("CozyC")), "{:?}", roles.keys());
}

/// reports.md B41
#[test]
fn add_ons_whose_pods_do_not_reach_proxmox_are_not_green_and_say_what_to_do_until_they_do() {
    let lab = Lab::of("pods-cut-off", "3");
    let run = lab.kept.run_until("4", &[]);
    assert_proven(&run);
    let all = complaints(&run);
    for step in ["day4.csi", "day4.capmox"] {
        told(&all, step, &["no answer within 20 s", "firewall of Proxmox VE"]);
    }
    // cozystack.md 2.8: what only capmox's log knows.
    told(&all, "day4.capmox", &["CrashLoopBackOff", "i/o timeout"]);
}

/// reports.md B41
#[test]
fn another_server_in_place_of_proxmox_is_told_from_one_that_is_not_reached() {
    let lab = Lab::of("pods-meet-another", "3");
    let run = lab.kept.run_until("4", &[]);
    assert_proven(&run);
    let all = complaints(&run);
    for step in ["day4.csi", "day4.capmox"] {
        told(&all, step, &["it knows no such path (status 501)", "correct site.url"]);
    }
}

fn by_letters(plan: &Path, of: &[(&str, &str)]) {
    let words = std::fs::read_to_string(plan).unwrap();
    let by_letter = |words: String, (slot, letter): &(&str, &str)| {
        let lasting = disk::by_slot(slot);
        assert!(words.contains(&lasting), "{words}");
        words.replace(&lasting, letter)
    };
    std::fs::write(plan, of.iter().fold(words, by_letter)).unwrap();
}

/// reports.md B36: letters change places; what the plan names by its slot does not.
#[test]
fn disks_that_changed_places_stop_a_plan_by_letters_before_a_config_is_sent_and_not_one_by_slot() {
    let kept = Kept::of("disks-swapped", "1");
    let plan = kept.site().plan;
    let right = std::fs::read_to_string(&plan).unwrap();
    by_letters(&plan, &[("scsi0", "/dev/sda")]);
    let by_letter = kept.run_until("4", &["--patience", "30s"]);
    assert_eq!(by_letter.status.code(), Some(1), "{}", text(&by_letter));
    let next = ["Talos runs from /dev/sdb", "drive-scsi0 into talos.install_disk"];
    told(&complaints(&by_letter), "day2.apply/cozy-new-cp1", &next);
    std::fs::write(&plan, &right).unwrap();
    by_letters(&plan, &[("scsi1", "/dev/sdb")]);
    let half = kept.run_until("4", &["--patience", "30s"]);
    let next = ["/dev/sdb, from which Talos runs", "drive-scsi1 into integration.linstor"];
    told(&complaints(&half), "day2.disks", &next);
    std::fs::write(&plan, &right).unwrap();
    assert_proven(&kept.run_until("4", &[]));
}

/// reports.md B41 and cozystack.md 2.14: a token that somebody made anew is made once more, and no pod goes on with the old one.
#[test]
fn a_token_that_was_made_anew_reaches_the_running_pods_before_the_add_ons_are_green_again() {
    let lab = Lab::of("standard", "4");
    let (_, changer) = lab.installer();
    let cluster = lab.kubernetes();
    let mark = |annotation: bool, namespace: &str, labels: &str| -> Vec<String> {
        let pods = lab.block(cluster.list(&Kind::POD, Some(namespace), Some(labels))).unwrap().value;
        let of = |pod: &Value| match annotation {
            true => pod["metadata"]["annotations"]["cozyup.dev/credentials"].as_str().map(String::from),
            false => {
                let env = pod["spec"]["containers"][0]["env"].as_array()?.clone();
                env.iter().find(|e| e["name"] == "COZYUP_CREDENTIALS")?["value"].as_str().map(String::from)
            }
        };
        pods.iter().filter(|p| p["metadata"]["deletionTimestamp"].is_null()).filter_map(of).collect()
    };
    let both = || {
        let csi = mark(true, "cozy-proxmox-csi", "app.kubernetes.io/component=controller");
        (csi, mark(false, "cozy-cluster-api", "cluster.x-k8s.io/provider=infrastructure-proxmox"))
    };
    let before = both();
    assert_eq!((before.0.len(), before.1.len()), (1, 1), "{before:?}");
    // As a person does who lost the secret.
    let stale = lab.kept.run_folder().join("secrets").join(CAPMOX.1);
    let stale = std::fs::read_to_string(stale).unwrap();
    lab.block(async {
        for (user, token) in [("kubernetes-csi@pve", "csi"), ("capmox@pve", "capi")] {
            let row = lab.installer().0.tokens(user).await.unwrap().value.remove(0);
            changer.delete_token(user, token).await.unwrap();
            changer.create_token(user, token, &row.comment.unwrap(), false).await.unwrap();
        }
    });
    assert_proven(&lab.kept.run_until("4", &[]));
    let after = both();
    assert_eq!((after.0.len(), after.1.len()), (1, 1), "{after:?}");
    assert!(before.0 != after.0 && before.1 != after.1, "a pod goes on with the old token: {before:?} {after:?}");
    assert!(lab.block(lab.add_on(CAPMOX).0.version()).is_ok(), "the token that was kept last is taken");
    let dead = lab.connect(CAPMOX.0, &stale).0;
    assert!(matches!(lab.block(dead.version()), Err(Error::Unauthorized { .. })));
}
