//! Day 7 as a person sees it: volumes that Proxmox VE and LINSTOR show, that grow, move and are restored, and nothing of them left.
use crate::common::{Kept, ToItsEnd, cozyup, records, text, until};
use crate::day6::{killed_behind, proof, reader};
use cozyup::base::secret::Secret;
use cozyup::kubernetes::Kind;
use cozyup::lab::site::Site;
use serde_json::Value;

/// The volumes of the CSI driver on the storage of Proxmox VE.
fn on_storage(site: &Site) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let all = runtime.block_on(reader(site).storage_content("pve", "local-lvm", "images")).unwrap().value;
    all.into_iter().map(|volume| volume.volid).filter(|volid| volid.contains("pvc-")).collect()
}

/// The slots of the run's VMs that hold such a volume.
fn in_vms(site: &Site) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut found = Vec::new();
    for vmid in [1001, 1002, 1003, 1011] {
        let vmid = cozyup::base::vmid::Vmid::new(vmid).unwrap();
        if let Ok(config) = runtime.block_on(reader(site).vm_config("pve", vmid)) {
            let drives: Vec<String> =
                config.value.drives().map(|(slot, drive)| format!("{vmid} {slot} {}", drive.volid)).collect();
            found.extend(drives.into_iter().filter(|drive| drive.contains("pvc-")));
        }
    }
    found
}

fn list(lab: &Kept, kind: &Kind) -> Vec<Value> {
    let kubeconfig = std::fs::read_to_string(lab.run_folder().join("secrets/kubeconfig")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (reader, _) = cozyup::kubernetes::connect(&Secret::new(kubeconfig), None).unwrap();
        reader.list(kind, None, None).await.unwrap().value
    })
}

fn summary<'a>(records: &'a [Value], step: &str) -> &'a str {
    proof(records, step)["summary"].as_str().unwrap()
}

fn systems(records: &[Value], step: &str) -> Vec<String> {
    let all = proof(records, step)["readings"].as_array().unwrap();
    all.iter().map(|reading| reading["system"].as_str().unwrap().to_string()).collect()
}

/// Nothing of day 7 in any system.
fn nothing_left(lab: &Kept) {
    assert_eq!((on_storage(&lab.site()), in_vms(&lab.site())), (Vec::new(), Vec::new()));
    for kind in [Kind::VOLUME_SNAPSHOT_CONTENT, Kind::VOLUME_SNAPSHOT] {
        let left = list(lab, &kind);
        assert!(left.is_empty(), "{left:#?}");
    }
    let of_test =
        |name: &str| list(lab, &Kind::PERSISTENT_VOLUME).iter().any(|v| v["spec"]["claimRef"]["namespace"] == name);
    assert!(!of_test("cozyup-storage") && !of_test("cozyup-test"));
    // What is left of LINSTOR's resources belongs to volumes that are still there.
    let volumes = list(lab, &Kind::PERSISTENT_VOLUME);
    for resource in list(lab, &Kind::LINSTOR_RESOURCE) {
        let name = resource["spec"]["resource_name"].as_str().unwrap().to_lowercase();
        assert!(volumes.iter().any(|v| v["metadata"]["name"] == name.as_str()), "{name} is left");
    }
}

#[test]
fn volumes_are_shown_by_their_systems_grow_move_are_restored_and_leave_nothing() {
    let lab = Kept::new();
    let run = lab.run_until("7", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    let all = records(&run);
    let shown = summary(&all, "day7.volume/proxmox");
    assert!(shown.contains("local-lvm:vm-9999-pvc-") && shown.contains("at scsi2 of vm 1001"), "{shown}");
    let moved = summary(&all, "day7.moved/proxmox");
    assert!(moved.contains("of vm 1002 and no longer in vm 1001"), "{moved}");
    let grown = summary(&all, "day7.growth/proxmox");
    assert!(grown.contains("2Gi in the cluster and 2.0 GiB in Proxmox VE"), "{grown}");
    for step in ["day7.volume/proxmox", "day7.growth/proxmox", "day7.moved/proxmox", "day7.cleanup"] {
        let systems = systems(&all, step);
        assert!(
            ["Proxmox", "Kubernetes"].iter().all(|system| systems.iter().any(|s| s == system)),
            "{step}: {systems:?}"
        );
    }
    let kept = summary(&all, "day7.volume/replicated");
    assert!(kept.contains("LINSTOR keeps it on") && kept.matches("cozy-new-").count() == 3, "{kept}");
    assert_eq!(summary(&all, "day7.volume/local").matches("cozy-new-").count(), 1);
    assert!(summary(&all, "day7.growth/replicated").contains("2.0 GiB in LINSTOR"));
    for class in ["local", "replicated"] {
        let restored = summary(&all, &format!("day7.snapshot/{class}"));
        assert!(restored.contains("restored from snapshot"), "{restored}");
    }
    // Proxmox CSI takes no snapshots, and a local volume stays where it is.
    let named = |step: &str| all.iter().any(|r| r["step"] == step);
    assert!(!named("day7.snapshot/proxmox") && !named("day7.moved/local") && named("day7.moved/replicated"));
    nothing_left(&lab);
}

/// Killed behind `event` of `step`, and gone on with.
fn goes_on_behind(step: &str, event: &str) {
    let lab = Kept::new();
    killed_behind(lab.state(), step, event);
    let run = lab.run_until("7", &[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    nothing_left(&lab);
}

#[test]
fn a_run_killed_while_a_volume_moves_goes_on_to_the_same_end() {
    goes_on_behind("day7.moved/proxmox", "intended");
}

#[test]
fn a_run_killed_while_a_volume_grows_goes_on_to_the_same_end() {
    goes_on_behind("day7.growth/proxmox", "acted");
}

#[test]
fn a_teardown_of_a_run_killed_with_its_volumes_in_use_leaves_none() {
    let lab = Kept::new();
    killed_behind(lab.state(), "day7.moved/proxmox", "acted");
    until("a volume is in a VM", || (!in_vms(&lab.site()).is_empty()).then_some(()));
    let teardown = cozyup(lab.state(), &["lab", "teardown", "--confirm", "standard"]).ended();
    assert_eq!(teardown.status.code(), Some(0), "{}", text(&teardown));
    assert_eq!(on_storage(&lab.site()), Vec::<String>::new());
}
