//! What a user would try on a node that is in trouble: each verb answers as a node does, or says cleanly that the lab
//! has not got it.
use super::Talosctl;
use super::site::Site;
use Answer::{NotSimulated, Refuses, Says};

enum Answer {
    /// With these words among others; `NET` stands for the first three octets.
    Says(&'static [&'static str]),
    /// As a real node would.
    Refuses(&'static str),
    /// The gRPC status `Unimplemented` for this method.
    NotSimulated(&'static str),
}

const READS: [(&[&str], Answer); 30] = [
    (&["memory"], Says(&["TOTAL", "24576"])),
    (&["mounts"], Says(&["/dev/sda6", "/var"])),
    (&["time"], Says(&["NTP-SERVER", "NET.1"])),
    (&["dmesg"], Says(&["boot sequence: 10 phase(s)", "service[kubelet](Running)"])),
    (&["logs", "kubelet", "--tail", "1"], Says(&["Health check successful"])),
    (&["logs", "nothing"], Refuses("log \"nothing\" was not registered")),
    (&["read", "/proc/cmdline"], Says(&["talos.platform=nocloud"])),
    (&["read", "/no/such"], Refuses("code = NotFound desc = stat /no/such: no such file or directory")),
    (&["service", "nothing"], Refuses("service \"nothing\" is not registered on any nodes")),
    (&["get", "rd"], Says(&["machinestatuses.runtime.talos.dev", "svc"])),
    (&["get", "ms"], Refuses("resource type \"ms\" is ambiguous: [machinestatuses.runtime.talos.dev manifeststatuses")),
    (&["get", "nodename"], Says(&["Nodename", "node201"])),
    (&["get", "hostname", "-o", "json"], Says(&["\"hostname\": \"node201\""])),
    (&["get", "resolvers"], Says(&["ResolverStatus", "[\"NET.1\"]"])),
    (&["get", "routes"], Says(&["inet4/NET.1//1024", "eth0"])),
    (&["get", "staticpodstatus"], Says(&["kube-system/kube-apiserver-node201"])),
    (&["get", "nodeaddresses", "-o", "yaml"], Says(&["addresses:\n        - NET.201/24"])),
    (&["get", "etcdspec"], Says(&["[\"NET.201\"]"])),
    (&["get", "kubespanpeerstatuses"], Says(&["NAMESPACE"])),
    (&["get", "machineconfig", "v1alpha1", "-o", "jsonpath={.metadata.phase}"], Says(&["running"])),
    (
        &["get", "machinestatus", "nothing"],
        Refuses("code = NotFound desc = resource MachineStatuses.runtime.talos.dev"),
    ),
    (&["get", "links", "--namespace", "nowhere"], Refuses("namespace \"nowhere\" is not supported")),
    (&["containers"], NotSimulated("method Containers")),
    (&["list", "/"], NotSimulated("method List")),
    (&["image", "ls"], NotSimulated("method ImageList")),
    (&["processes"], NotSimulated("method Processes")),
    (&["stats"], NotSimulated("method Stats")),
    (&["netstat"], NotSimulated("method Netstat")),
    (&["etcd", "alarm", "list"], NotSimulated("method EtcdAlarmList")),
    (&["inspect", "dependencies"], NotSimulated("unknown service inspect.InspectService")),
];

const CHANGES: [(&[&str], Answer); 9] = [
    (&["upgrade", "--image", "ghcr.io/cozystack/cozystack/talos:v1.10.6"], NotSimulated("method Upgrade")),
    (&["rollback"], NotSimulated("method Rollback")),
    (&["etcd", "leave"], NotSimulated("method EtcdLeaveCluster")),
    (&["service", "kubelet", "restart"], NotSimulated("method ServiceRestart")),
    (&["wipe", "disk", "sdb"], Says(&[])),
    (&["wipe", "disk", "sda"], Refuses("blockdevice \"sda\" is in use by volume \"EPHEMERAL\"")),
    (&["wipe", "disk", "sr0"], Refuses("blockdevice \"sr0\" is read-only")),
    (&["wipe", "disk", "sdz"], Refuses("code = NotFound desc = blockdevice \"sdz\" not found")),
    (&["meta", "write", "0x0a", "x"], NotSimulated("method MetaWrite")),
];

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn every_verb_is_answered_as_a_node_does_or_said_to_be_missing() {
    let site = Site::new(31);
    let talosctl = site.running(&[201]);
    for (args, answer) in READS.iter().chain(&CHANGES) {
        let said = talosctl.say(args);
        let both = format!("{}{}", said.out, said.err);
        let (code, words) = match answer {
            Says(words) => (0, *words),
            Refuses(words) => (1, std::slice::from_ref(words)),
            NotSimulated(what) => {
                assert!(both.contains("code = Unimplemented"), "{args:?}:\n{both}");
                (1, std::slice::from_ref(what))
            }
        };
        assert_eq!(said.code, Some(code), "{args:?}:\n{both}");
        for word in words.iter().map(|w| w.replace("NET.", site.at(1).trim_end_matches('1'))) {
            assert!(both.contains(&word), "{args:?}: no {word:?} in\n{both}");
        }
    }
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn a_talosconfig_for_reading_reads_and_changes_nothing() {
    let site = Site::new(33);
    let talosctl = site.running(&[201]);
    let file = talosctl.path("reader");
    talosctl.ok(&["config", "new", &file, "--roles", "os:reader", "--crt-ttl", "1h"]);
    let reader = Talosctl::with(&std::fs::read_to_string(&file).unwrap());
    let info = reader.ok(&["config", "info"]);
    assert!(info.contains("reader@cozy") && info.contains("Roles:               os:reader"), "{info}");
    let node = site.at(201);
    for read in [&["version"][..], &["services"], &["get", "links"], &["dmesg"], &["etcd", "members"]] {
        reader.ok(&[&["-n", &node], read].concat());
    }
    let before = talosctl.ok(&["read", "/proc/sys/kernel/random/boot_id"]);
    for refused in [
        &["reboot", "--wait=false"][..],
        &["reset", "--wait=false"],
        &["bootstrap"],
        &["kubeconfig", "-"],
        &["get", "machineconfig"],
        &["read", "/proc/cmdline"],
        &["wipe", "disk", "sdb"],
        &["config", "new", "another"],
    ] {
        let said = reader.refused(&[&["-n", &node], refused].concat());
        assert!(said.contains("code = PermissionDenied desc = not authorized"), "{refused:?}: {said}");
    }
    assert_eq!(talosctl.ok(&["read", "/proc/sys/kernel/random/boot_id"]), before);
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn what_is_asked_of_a_node_that_is_not_there_fails_for_that_node_alone() {
    let site = Site::new(32);
    let talosctl = site.configured(&[201, 202]);
    let nodes = [201, 250, 202].map(|h| site.at(h)).join(",");
    let version = talosctl.say(&["-n", &nodes, "version"]);
    assert_eq!(version.out.matches("NODE: ").count(), 2, "{}", version.out);
    assert!(version.err.contains(&format!("{}: rpc error: code = Unavailable", site.at(250))), "{}", version.err);
    let dead = site.at(250);
    let nobody = talosctl.refused(&["-e", &dead, "-n", &dead, "version"]);
    assert!(nobody.contains("connect: connection refused"), "{nobody}");
    site.lab.with(|w| cozyup::lab::machine::power_off(w, 1202));
    let gone = talosctl.refused(&["-n", &site.at(202), "get", "machinestatus"]);
    assert!(gone.contains("code = Unavailable"), "{gone}");
}
