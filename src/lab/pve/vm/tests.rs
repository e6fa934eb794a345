use super::*;

fn vm(config: &[(&str, &str)]) -> Vm {
    let config = config.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Vm::new(101, "pve", config, Timestamp::UNIX_EPOCH)
}

#[test]
fn numbers_are_numbers_and_memory_is_a_string() {
    let config = vm(&[("cores", "4"), ("memory", "8192"), ("cpulimit", "2"), ("cipassword", "secret")]);
    let json = config.config_json(false);
    assert_eq!(json["cores"], 4);
    assert_eq!(json["memory"], "8192");
    assert_eq!(json["cpulimit"], "2");
    assert_eq!(json["cipassword"], "**********");
    assert_eq!(json["digest"].as_str().unwrap().len(), 40);
}

#[test]
fn a_running_vm_keeps_what_it_cannot_take_live_as_pending() {
    let mut vm = vm(&[("cores", "2"), ("name", "a")]);
    vm.power = Power::Running { since: Timestamp::UNIX_EPOCH, pid: 7 };
    vm.set("cores", Some("4".into()));
    vm.set("name", Some("b".into()));
    assert_eq!(vm.config["cores"], "2");
    assert_eq!(vm.config["name"], "b");
    assert_eq!(vm.config_json(true)["cores"], 2);
    assert_eq!(vm.config_json(false)["cores"], 4);
    vm.apply_pending();
    assert_eq!(vm.config["cores"], "4");
}

#[test]
fn the_default_boot_order_names_disk_then_cdrom_then_network() {
    let vm = vm(&[
        ("scsi0", "local-lvm:vm-101-disk-0,size=50G"),
        ("ide0", "local-lvm:vm-101-cloudinit,media=cdrom"),
        ("ide2", "local:iso/a.iso,media=cdrom"),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
        ("scsihw", "virtio-scsi-pci"),
    ]);
    assert_eq!(vm.default_boot(), "order=scsi0;ide2;net0");
}
