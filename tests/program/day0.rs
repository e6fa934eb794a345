//! Day 0 against sites of other shapes than the standard one, as `cozyup check` and `cozyup plan new` meet them.

use crate::common::{Served, ToItsEnd, cozyup, records, text};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

struct Lab {
    state: tempfile::TempDir,
    served: Served,
}

impl Lab {
    /// A built-in scenario, or the text of one.
    fn new(scenario: &str) -> Lab {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("mine.yaml");
        let name = if scenario.contains('\n') {
            fs::write(&file, scenario).unwrap();
            file.to_str().unwrap()
        } else {
            scenario
        };
        let served = Served::start(name, "60", &state.path().join("site"));
        Lab { state, served }
    }

    /// The lab's plan with a text replaced.
    fn plan(&self, old: &str, new: &str) -> PathBuf {
        let text = fs::read_to_string(&self.served.site.plan).unwrap();
        assert!(text.contains(old), "{text}");
        let path = self.state.path().join("changed.yaml");
        fs::write(&path, text.replace(old, new)).unwrap();
        path
    }

    /// Each step of day 0 and what came of it: `proven` with its summary, or `blocked` with cause and next action.
    fn check(&self, plan: &PathBuf) -> Vec<(String, String)> {
        let mut command = cozyup(self.state.path(), &["check", "--once", "--json"]);
        let output = command.arg(plan).env("COZYUP_CLOCK", self.served.clock()).ended();
        let told = |r: &Value| match r["event"].as_str() {
            Some("proven") => Some(format!("proven {} {}", r["proof"]["summary"], r["proof"]["remarks"])),
            Some("blocked" | "failed") => Some(format!("blocked {} | {}", r["failure"]["what"], r["failure"]["next"])),
            _ => None,
        };
        let all = records(&output);
        assert!(all.iter().any(|r| told(r).is_some()), "{}", text(&output));
        all.iter().filter_map(|r| Some((r["step"].as_str()?.to_string(), told(r)?))).collect()
    }
}

fn of<'a>(told: &'a [(String, String)], step: &str) -> &'a str {
    let found = told.iter().rev().find(|(s, _)| s == step);
    &found.unwrap_or_else(|| panic!("nothing of {step}: {told:#?}")).1
}

/// reports.md B02: `plan new` never writes a plan that day 0 of the same site refuses.
#[test]
fn a_new_plan_for_hosts_with_local_storages_has_a_template_on_each_of_them() {
    let lab = Lab::new("local-storages");
    let told = lab.check(&lab.served.site.plan);
    let storages = of(&told, "day0.storages");
    assert!(storages.starts_with("blocked") && storages.contains("put all nodes on pve1"), "{storages}");
    let entries = "[{host: pve2, vmid: 9101, image_storage: local}, {host: pve3, vmid: 9102, image_storage: local}]";
    assert!(storages.contains(entries), "{storages}");

    let new = lab.state.path().join("new.yaml");
    let site = &lab.served.site;
    let arguments = [
        "plan",
        "new",
        new.to_str().unwrap(),
        "--url",
        site.url.as_str(),
        "--fingerprint",
        &site.fingerprint,
        "--token-id",
        &site.token_id,
        "--token-file",
    ];
    let output = cozyup(lab.state.path(), &arguments).arg(&site.token_file).ended();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let plan = fs::read_to_string(&new).unwrap();
    for copy in ["- host: pve2\n      vmid: 9101\n      image_storage: local", "- host: pve3\n      vmid: 9102"] {
        assert!(plan.contains(copy), "{plan}");
    }
    assert_eq!(plan.matches("\n    host: pve").count(), 3, "one machine on each: {plan}");
    assert!(plan.contains("a template on each of pve1, pve2, pve3"), "{plan}");
    assert!(plan.contains("network.bridge: vmbr0, since its network holds the API's address"), "{plan}");
    assert!(plan.contains("subnet: 127."), "the network is the bridge's: {plan}");
    // What only a person can know.
    let plan = plan.replace("FILL-IN", &"a".repeat(64));
    // Nothing is asked outside of this machine.
    fs::write(&new, plan.replacen("https://github.com/", "http://127.0.0.1:9/", 1)).unwrap();
    let told = lab.check(&new);
    for step in ["day0.storages", "day0.capacity", "day0.bridges", "day0.permissions", "day0.vmids", "day0.api_version"]
    {
        assert!(of(&told, step).starts_with("proven"), "{}", of(&told, step));
    }
}

/// reports.md B19.
#[test]
fn zfs_that_is_not_thin_has_to_have_room_for_whole_disks() {
    let lab = Lab::new("thick-zfs");
    let told = lab.check(&lab.served.site.plan);
    assert!(of(&told, "day0.storages").contains("1.2 TiB are needed at once"), "{}", of(&told, "day0.storages"));
}

/// reports.md B20; proxmox.md part 2 §3: a cluster under upgrade.
#[test]
fn an_upgraded_site_is_told_the_whole_command_and_an_old_host_by_its_own_version() {
    let lab = Lab::new("upgraded");
    let told = lab.check(&lab.served.site.plan);
    let storages = of(&told, "day0.storages");
    assert!(storages.contains("pvesm set local --content backup,iso,vztmpl,import"), "{storages}");
    assert!(of(&told, "day0.api_version").starts_with("proven"), "{told:#?}");
    let text = fs::read_to_string(&lab.served.site.plan).unwrap();
    let path = lab.state.path().join("old.yaml");
    fs::write(&path, text.replace("name: cozy-talos-v1-10-6\n  host: pve", "name: cozy-talos-v1-10-6\n  host: old"))
        .unwrap();
    let version = of(&lab.check(&path), "day0.api_version").to_string();
    assert!(version.contains("Proxmox VE 8.2.7 on old"), "{version}");
}

/// proxmox.md 2.3: of each enabled storage that holds what is asked for Proxmox VE waits for an answer, of one after the other.
#[test]
fn a_dead_storage_that_the_plan_does_not_need_holds_up_nothing() {
    let lab = Lab::new(
        "extends: standard\nname: dead-nas\nabout: A backup server that answers nobody.\nproxmox:\n  storages:\n    \
         - { name: local, kind: dir, content: [iso, vztmpl, backup, import], total_gib: 400, used_gib: 40 }\n    \
         - { name: local-lvm, kind: lvmthin, content: [images, rootdir], total_gib: 4000, used_gib: 300 }\n    \
         - { name: nas, kind: nfs, content: [backup], total_gib: 400, used_gib: 40, shared: true, latency_s: 7200 }\n",
    );
    let told = lab.check(&lab.served.site.plan.clone());
    assert!(told.iter().all(|(_, said)| said.starts_with("proven")), "{told:#?}");
    assert!(of(&told, "day0.storages").starts_with("proven"));
}

/// reports.md B10: the node of an example instead of the site's.
#[test]
fn a_wrong_node_name_is_told_once() {
    let lab = Lab::new("standard");
    let told = lab.check(&lab.plan("host: pve\n", "host: proxmox\n"));
    let blocked: Vec<&str> = told.iter().filter(|(_, t)| t.starts_with("blocked")).map(|(s, _)| s.as_str()).collect();
    assert!(of(&told, "day0.api_version").contains("there is no Proxmox node proxmox (there is pve)"), "{told:#?}");
    assert!(blocked.iter().all(|step| *step == "day0.api_version"), "{told:#?}");
}

/// reports.md B11 and B12.
#[test]
fn vlans_on_a_traditional_bridge_and_on_an_sdn_network_are_judged_as_proxmox_does_them() {
    let lab = Lab::new("standard");
    let told = lab.check(&lab.plan("bridge: vmbr0", "bridge: vmbr0\n  vlan: 30"));
    let bridges = of(&told, "day0.bridges");
    assert!(bridges.starts_with("proven") && bridges.contains("a bridge of its own for VLAN 30 on eno1"), "{bridges}");

    let lab = Lab::new(
        "extends: standard\nname: vnet\nabout: A network of the SDN.\nproxmox:\n  bridges:\n    - vmbr0\n    \
         - { name: k8snet, zone: overlay }\n    - { name: lonely, ports: [] }\n",
    );
    let told = lab.check(&lab.plan("bridge: vmbr0", "bridge: k8snet"));
    assert!(of(&told, "day0.permissions").starts_with("proven"), "{}", of(&told, "day0.permissions"));
    assert!(of(&told, "day0.bridges").starts_with("proven"), "{}", of(&told, "day0.bridges"));
    for (bridge, next) in [("k8snet", "SDN > VNets > k8snet > VLAN Aware"), ("lonely", "Network > lonely > VLAN aware")]
    {
        let told = lab.check(&lab.plan("bridge: vmbr0", &format!("bridge: {bridge}\n  vlan: 30")));
        let bridges = of(&told, "day0.bridges");
        assert!(bridges.starts_with("blocked") && bridges.contains(next), "{bridges}");
    }
}

/// reports.md B28.
#[test]
fn the_plans_time_servers_are_asked() {
    for (time, what) in [
        ("answers", "proven"),
        ("silent", "can't be asked from here (no answer)"),
        ("unsynchronised", "blocked \"no time server of the plan gives the machines the time"),
    ] {
        let lab = Lab::new(&format!("extends: standard\nname: clock\nabout: Time.\nproxmox:\n  time: {time}\n"));
        let told = lab.check(&lab.served.site.plan);
        let said = of(&told, "day0.time");
        assert!(said.contains(what) && (time == "silent" || !said.contains("can't be asked")), "{said}");
    }
}
