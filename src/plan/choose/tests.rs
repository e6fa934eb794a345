//! The choice of hosts, storages and bridges for a new plan.
use super::*;
use proptest::prelude::*;

const MACHINES: Machines =
    Machines { count: 3, cores: 8, memory: 24 * GIB, disks: 306 * GIB, beside: 0, workers: 0, worker_disk: 20 * GIB };

fn store(name: &str, shared: bool, free_gib: u64) -> Store {
    Store { name: name.into(), images: true, import: false, shared, thick: false, free: free_gib * GIB }
}

fn host(name: &str, memory_gib: u64, last: u8) -> Host {
    let address = Ipv4Net::new(Ipv4Addr::new(192, 168, 7, last), 24).unwrap();
    Host {
        name: name.into(),
        unfit: None,
        cores: 16,
        memory: memory_gib * GIB,
        taken: 0,
        storages: vec![
            store("local-lvm", false, 1800),
            Store { import: true, images: false, ..store("local", false, 80) },
        ],
        bridges: vec![
            Wire { name: "vmbr1".into(), address: None, gateway: None, mtu: None },
            Wire {
                name: "vmbr0".into(),
                address: Some(address),
                gateway: Some(Ipv4Addr::new(192, 168, 7, 1)),
                mtu: None,
            },
        ],
    }
}

fn api() -> Option<Ipv4Addr> {
    Some(Ipv4Addr::new(192, 168, 7, 11))
}

/// The memory that `day0.capacity` counts beside the machines.
#[test]
fn a_host_whose_memory_is_used_up_by_the_machines_has_none_for_the_vm_of_day_6() {
    let just = [host("pve", 2 + 3 * 24, 11)];
    assert_eq!(choose(&just, api(), MACHINES).template_host.as_deref(), Some("pve"));
    let with_a_vm = Machines { beside: GIB, ..MACHINES };
    let usual = place(&just, api(), with_a_vm);
    assert!(!usual.has_room && usual.reasons.iter().any(|r| r.contains("day 0")), "{:?}", usual.reasons);
    // Smaller machines have room, and are taken in their place.
    assert!(choose(&just, api(), with_a_vm).small.is_some());
    assert_eq!(just[0].slots(with_a_vm), 2);
}

/// reports.md B04: vmbr1 is for storage, without address or way out.
#[test]
fn an_unusual_mtu_of_the_bridge_comes_into_the_plan() {
    let [mut one, mut other] = [host("a", 128, 11), host("b", 128, 12)];
    assert_eq!(choose(&[one.clone(), other.clone()], api(), MACHINES).mtu, None);
    one.bridges[1].mtu = Some(9000);
    assert_eq!(choose(&[one.clone(), other.clone()], api(), MACHINES).mtu, Some(1500));
    other.bridges[1].mtu = Some(8950);
    let chosen = choose(&[one, other], api(), MACHINES);
    assert_eq!(chosen.mtu, Some(8950));
    assert!(chosen.reasons.iter().any(|r| r.starts_with("network.mtu: 8950")), "{:?}", chosen.reasons);
}

#[test]
fn the_bridge_is_that_of_the_api_and_the_network_comes_from_it() {
    for api in [api(), None] {
        let chosen = choose(&[host("a", 256, 11)], api, MACHINES);
        assert_eq!(chosen.bridge.as_deref(), Some("vmbr0"), "{:?}", chosen.reasons);
        assert_eq!(chosen.subnet.unwrap().to_string(), "192.168.7.0/24");
        assert_eq!(chosen.gateway, Some(Ipv4Addr::new(192, 168, 7, 1)));
        assert!(chosen.taken.contains(&Ipv4Addr::new(192, 168, 7, 11)));
    }
    // The API's network goes before a gateway elsewhere.
    let mut there = host("a", 256, 11);
    there.bridges[0].gateway = Some(Ipv4Addr::new(10, 1, 0, 1));
    assert_eq!(choose(&[there], api(), MACHINES).bridge.as_deref(), Some("vmbr0"));
}

/// reports.md B02 and proxmox.md part 2 §3.
#[test]
fn hosts_with_local_storages_only_get_a_template_each() {
    let mut hosts = [host("a", 64, 11), host("b", 128, 12), host("c", 32, 13)];
    let copy = |host: &str, image: Option<&str>| ChosenCopy {
        host: host.into(),
        storage: None,
        image_storage: image.map(String::from),
    };
    let chosen = choose(&hosts, api(), MACHINES);
    assert_eq!(chosen.template_host.as_deref(), Some("a"));
    assert_eq!(chosen.hosts, ["a", "b", "c"]);
    assert_eq!(chosen.copies, [copy("b", Some("local")), copy("c", Some("local"))]);
    assert_eq!(chosen.csi_storage.as_deref(), Some("local-lvm"));
    assert!(chosen.reasons.iter().any(|r| r.starts_with("template.copies: a template on each of a, b, c")));

    // A shared storage for files gets the image once.
    let nas = Store { import: true, images: false, ..store("nas", true, 500) };
    hosts.iter_mut().for_each(|host| host.storages.push(nas.clone()));
    let chosen = choose(&hosts, api(), MACHINES);
    assert_eq!(chosen.image_storage.as_deref(), Some("nas"));
    assert_eq!(chosen.copies, [copy("b", None), copy("c", None)]);

    // Names of their own.
    hosts[2].storages = vec![Store { import: true, ..store("ssd", false, 900) }];
    let chosen = choose(&hosts, api(), MACHINES);
    let other = ChosenCopy { storage: Some("ssd".into()), ..copy("c", Some("ssd")) };
    assert_eq!(chosen.copies, [copy("b", Some("local")), other]);
    assert_eq!(chosen.csi_storage, None);
    assert!(chosen.reasons.iter().any(|r| r.starts_with("integration.csi.enabled: false")), "{:?}", chosen.reasons);
}

#[test]
fn where_one_host_alone_can_carry_them_all_are_on_it() {
    let mut hosts = [host("a", 64, 11), host("b", 128, 12), host("c", 32, 13)];
    hosts[0].storages.clear();
    hosts[2].storages.clear();
    let chosen = choose(&hosts, api(), MACHINES);
    assert_eq!(
        (chosen.template_host.as_deref(), chosen.hosts.as_slice()),
        (Some("b"), ["b", "b", "b"].map(String::from).as_slice())
    );
    assert!(
        chosen.reasons.iter().any(|r| r.contains("all on b, since the hosts share no storage")),
        "{:?}",
        chosen.reasons
    );
}

#[test]
fn a_shared_storage_goes_first_and_hosts_that_can_not_carry_a_machine_are_left_out() {
    let mut hosts = [host("a", 64, 11), host("b", 16, 12), host("c", 64, 13)];
    hosts.iter_mut().for_each(|h| h.storages.push(store("ceph", true, 770)));
    let chosen = choose(&hosts, api(), MACHINES);
    assert_eq!(chosen.disk_storage.as_deref(), Some("ceph"), "though local-lvm has more room");
    assert_eq!(chosen.hosts, ["a", "c", "a"]);
    assert!(
        chosen.reasons.iter().any(|r| r.starts_with("nodes: none on b, which has 14.0 GiB")),
        "{:?}",
        chosen.reasons
    );
}

#[test]
fn a_site_that_can_not_carry_them_is_told_so() {
    let chosen = choose(&[host("a", 40, 11)], api(), MACHINES);
    assert!(chosen.reasons.iter().any(|r| r.contains("day 0 will refuse it")), "{:?}", chosen.reasons);
    assert!(!chosen.has_room && chosen.small.is_none());
    let mut none = host("a", 256, 11);
    none.storages.iter_mut().for_each(|s| s.import = false);
    assert!(choose(&[none], api(), MACHINES).reasons.iter().any(|r| r.contains("content import")));
}

/// The host of the first run: 12 processors, 128 GiB of which 68 % are used, storages of kind dir alone.
#[test]
fn a_host_that_is_two_thirds_full_is_told_with_the_sum_and_what_to_free() {
    let seed = Host { cores: 12, taken: 87 * GIB, ..host("pve", 128, 11) };
    let machines = Machines { beside: 12 * GIB, ..MACHINES };
    let chosen = choose(&[seed], api(), machines);
    let told = chosen.reasons.join("\n");
    let wanted = machines.memory * 3;
    assert_eq!(wanted, 72 * GIB);
    for part in [
        "pve has 126.0 GiB for guests, running ones may take 87.0 GiB and the machines of days 6 and 9 12.0 GiB, so 27.0 GiB are left",
        "3 machines take 72.0 GiB. Stop guests of 45.0 GiB; or of 21.0 GiB, and write memory_mib: 16384",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_site_with_room_for_small_machines_alone_gets_them_with_the_override_and_its_reason() {
    let chosen =
        choose(&[Host { taken: 60 * GIB, ..host("pve", 128, 11) }], api(), Machines { beside: 12 * GIB, ..MACHINES });
    let small = chosen.small.unwrap();
    assert_eq!((small.memory_mib, chosen.has_room), (16384, true));
    let plan =
        crate::plan::defaults::plan(&crate::plan::defaults::Defaults { small: Some(small), ..Default::default() });
    assert!(plan.nodes.iter().all(|node| node.memory_mib == 16384));
    let override_ = plan.overrides.first().unwrap();
    assert_eq!(override_.rule, "size-below-minimum");
    assert!(override_.reason.contains("no memory left for 3 machines of 24.0 GiB"), "{}", override_.reason);
    assert!(chosen.reasons.iter().any(|r| r.starts_with("nodes[].memory_mib: 16.0 GiB each")), "{:?}", chosen.reasons);
    // Where the usual ones fit, nothing of it is written.
    let roomy = choose(&[host("pve", 128, 11)], api(), MACHINES);
    assert_eq!((roomy.small, roomy.has_room), (None, true));
}

fn any_host() -> impl Strategy<Value = Host> {
    let any_store = (0..4_usize, any::<[bool; 3]>(), 0..2000_u64);
    (0..300_u64, 0..100_u64, 4..64_u64, proptest::collection::vec(any_store, 0..4), any::<[bool; 2]>()).prop_map(
        |(memory, taken, cores, stores, wires)| {
            let mut host = Host { cores, taken: taken * GIB, ..host("x", memory, 11) };
            host.storages = Vec::new();
            for (n, [images, import, thick], free) in stores {
                if host.storages.iter().all(|s| s.name != ["a", "b", "s", "t"][n]) {
                    let store = store(["a", "b", "s", "t"][n], n > 1, free);
                    host.storages.push(Store { images, import, thick, ..store });
                }
            }
            let mut keep = wires.iter();
            host.bridges.retain(|_| *keep.next().unwrap());
            host
        },
    )
}

proptest! {
    /// `plan new` never writes a plan that day 0 of the same site refuses without saying so.
    #[test]
    fn what_is_chosen_is_what_day_0_lets_through(mut hosts in proptest::collection::vec(any_host(), 1..5)) {
        for (n, host) in hosts.iter_mut().enumerate() {
            host.name = format!("h{n}");
        }
        let chosen = choose(&hosts, api(), MACHINES);
        let find = |name: &str| hosts.iter().find(|h| h.name == name).unwrap();
        if !chosen.has_room {
            return Ok(());
        }
        let memory = chosen.small.as_ref().map_or(MACHINES.memory, |small| small.memory_mib << 20);
        let machines = Machines { memory, ..MACHINES };
        let template = find(chosen.template_host.as_deref().unwrap());
        let copy = |host: &str| chosen.copies.iter().find(|copy| copy.host == host);
        let disks = chosen.disk_storage.as_deref().unwrap();
        prop_assert!(template.store(chosen.image_storage.as_deref().unwrap()).unwrap().import);
        prop_assert_eq!(chosen.hosts.len(), MACHINES.count);
        for name in &chosen.hosts {
            let host = find(name);
            let count = chosen.hosts.iter().filter(|h| *h == name).count();
            prop_assert!(host.cores >= MACHINES.cores && host.slots(machines) >= count);
            let disks = copy(name).and_then(|copy| copy.storage.as_deref()).unwrap_or(disks);
            prop_assert!(host.store(disks).unwrap().images);
            prop_assert!(*name == template.name || copy(name).is_some() || host.store(disks).unwrap().shared);
            if let Some(bridge) = &chosen.bridge {
                prop_assert!(host.bridges.iter().any(|b| b.name == *bridge));
            }
        }
    }
}
