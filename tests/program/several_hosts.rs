//! Sites of several hosts with storages of their own: a template on each of them (ADR 012), a validated cluster, and all of it back.

use crate::common::{Kept, ToItsEnd, cozyup, records, text};
use crate::day6::reader;
use cozyup::base::vmid::Vmid;
use cozyup::proxmox::Reader;
use std::collections::BTreeSet;

const HOSTS: [&str; 3] = ["pve1", "pve2", "pve3"];

/// A lab of several hosts in which a run has ended well.
struct Lab {
    scenario: &'static str,
    kept: Kept,
    runtime: tokio::runtime::Runtime,
}

impl Lab {
    fn with_run_until(scenario: &'static str, day: &str) -> Lab {
        Lab { scenario, kept: Kept::of(scenario, day), runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    fn reader(&self) -> Reader {
        reader(&self.kept.site())
    }

    /// Every guest of the hosts with power as `HOST VMID`, and every volume that can be a disk or an image as `HOST VOLUME`.
    fn inventory(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let reader = self.reader();
        self.runtime.block_on(async {
            let guests = reader.resources().await.unwrap().value;
            let mut volumes = BTreeSet::new();
            for host in HOSTS {
                for storage in reader.storages(host).await.unwrap().value {
                    for content in storage.content.iter().filter(|c| ["images", "import"].contains(&c.as_str())) {
                        let found = reader.storage_content(host, &storage.storage, content).await.unwrap().value;
                        volumes.extend(found.into_iter().map(|volume| format!("{host} {}", volume.volid)));
                    }
                }
            }
            let guests = guests.iter().filter(|guest| HOSTS.contains(&guest.node.as_str()));
            (guests.map(|guest| format!("{} {}", guest.node, guest.vmid)).collect(), volumes)
        })
    }

    /// Where the disks of a VM are.
    fn disks(&self, host: &str, vmid: u32) -> Vec<String> {
        let config = self.runtime.block_on(self.reader().vm_config(host, Vmid::of(vmid))).unwrap().value;
        let slots = ["scsi0", "scsi1"].into_iter().filter_map(|slot| config.disk(slot));
        slots.map(|disk| disk.volid.split(':').next().unwrap_or_default().to_string()).collect()
    }

    fn notes(&self, host: &str, vmid: u32) -> String {
        let config = self.runtime.block_on(self.reader().vm_config(host, Vmid::of(vmid))).unwrap().value;
        config.description().unwrap_or_default().to_string()
    }

    /// Takes everything back; nothing of it is left on any host.
    fn is_taken_back(&self) {
        let arguments = ["lab", "teardown", "--scenario", self.scenario, "--json", "--confirm", self.scenario];
        let output = cozyup(self.kept.state(), &arguments).ended();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let proven = records(&output).into_iter().filter(|r| r["event"] == "proven");
        let proven: BTreeSet<String> = proven.filter_map(|r| r["step"].as_str().map(String::from)).collect();
        for step in
            ["undo.day1.template_vm", "undo.day1.template_vm/pve2", "undo.day1.template_vm/pve3", "teardown.residue"]
        {
            assert!(proven.contains(step), "{step} is not among {proven:?}");
        }
        assert_eq!(self.inventory(), (BTreeSet::new(), BTreeSet::new()), "what is left");
    }
}

/// Of these volumes, the images by host.
fn images(volumes: &BTreeSet<String>) -> Vec<&str> {
    volumes.iter().filter(|v| v.contains(":import/")).map(|v| v.split("/cozyup").next().unwrap_or_default()).collect()
}

/// reports.md B02: such a site could not be installed at all.
#[test]
fn three_hosts_with_local_storages_get_a_template_each_and_a_validated_cluster() {
    let lab = Lab::with_run_until("local-templates", "6");
    let (guests, volumes) = lab.inventory();
    let expected = ["pve1 1001", "pve1 9100", "pve2 1002", "pve2 9101", "pve3 1003", "pve3 9102"];
    assert_eq!(guests.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(images(&volumes), ["pve1 local:import", "pve2 local:import", "pve3 local:import"]);
    for (host, vmid, template) in [("pve1", 1001, 9100), ("pve2", 1002, 9101), ("pve3", 1003, 9102)] {
        assert_eq!(lab.disks(host, vmid), ["local-lvm", "local-lvm"]);
        // Each VM's mark was written for itself, and the first template alone names who works on the run.
        assert!(lab.notes(host, template).contains(&format!("cozyup-vm={template}")), "{}", lab.notes(host, template));
        assert_eq!(lab.notes(host, template).contains("cozyup-by="), template == 9100, "{}", lab.notes(host, template));
    }
    lab.is_taken_back();
}

#[test]
fn storages_of_other_names_on_each_host_carry_the_disks_of_its_machines() {
    let lab = Lab::with_run_until("local-names", "2");
    assert_eq!(lab.disks("pve1", 1001), ["local-lvm", "local-lvm"]);
    assert_eq!(lab.disks("pve2", 1002), ["ssd", "ssd"]);
    assert_eq!(lab.disks("pve3", 1003), ["tank", "tank"]);
    assert_eq!(images(&lab.inventory().1), ["pve1 local:import", "pve2 local:import", "pve3 files:import"]);
    lab.is_taken_back();
}

#[test]
fn a_shared_storage_for_files_gets_the_image_once_for_the_templates_of_all_hosts() {
    let lab = Lab::with_run_until("nas-beside-local", "1");
    let journal = std::fs::read_to_string(lab.kept.run_folder().join("journal.jsonl")).unwrap();
    assert!(journal.contains("day1.template_vm/pve3") && !journal.contains("day1.image/"));
    let (_, volumes) = lab.inventory();
    let names: BTreeSet<&str> = images(&volumes).iter().filter_map(|v| v.split(' ').nth(1)).collect();
    assert_eq!(names, BTreeSet::from(["nas:import"]), "{volumes:?}");
    lab.is_taken_back();
}

/// issue 15 item 1: a host that is being repaired, or kept switched off, with a colleague's guest on it.
#[test]
fn a_host_that_is_off_holds_up_neither_a_run_nor_its_way_back_and_gets_no_machine() {
    let lab = Lab::with_run_until("host-off", "6");
    let site = lab.kept.site();
    let new = lab.kept.folder().join("new.yaml");
    let mut command = cozyup(lab.kept.state(), &["plan", "new", new.to_str().unwrap(), "--url", site.url.as_str()]);
    command
        .args(["--fingerprint", &site.fingerprint, "--token-id", &site.token_id, "--token-file"])
        .arg(&site.token_file);
    let output = command.ended();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let plan = std::fs::read_to_string(&new).unwrap();
    assert!(plan.contains("nodes: none on pve4, which is offline") && !plan.contains("host: pve4"), "{plan}");
    lab.is_taken_back();
    let there = lab.runtime.block_on(lab.reader().resources()).unwrap().value;
    assert_eq!(there.iter().map(|guest| guest.vmid.to_string()).collect::<Vec<_>>(), ["150"], "the colleague's");
}
