//! A lab node from maintenance to a cluster and back, with `talosctl` as its only client.
use super::Talosctl;
use super::site::{SOON, Site, eventually};
use cozyup::talos::Maintenance;
use std::time::Duration;

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn maintenance_mode_shows_hardware_and_refuses_the_rest_as_talos_does() {
    let site = Site::new(21);
    site.start(201);
    site.in_maintenance(&[201]);
    let (talosctl, node) = (Talosctl::new(), site.at(201));
    let get = |what: &[&str]| talosctl.ok(&[&["-n", &node, "get"], what, &["--insecure"]].concat());
    let row = |text: &str, words: &[&str]| {
        text.lines().any(|line| words.iter().all(|w| line.split_whitespace().any(|found| found == *w)))
    };
    let disks = get(&["disks"]);
    assert!(row(&disks, &["Disk", "sda", "54", "GB"]) && row(&disks, &["sdb", "275", "GB"]), "{disks}");
    assert!(row(&get(&["links"]), &["LinkStatus", "eth0", "bc:24:11:00:00:c9", "up"]), "{}", get(&["links"]));
    let addresses = get(&["addresses"]);
    assert!(row(&addresses, &["AddressStatus", &format!("eth0/{node}/24"), "eth0"]), "{addresses}");
    assert!(row(&get(&["extensions"]), &["ExtensionStatus", "drbd"]), "{}", get(&["extensions"]));
    assert!(row(&get(&["version"]), &["Version", "v1.10.6"]), "{}", get(&["version"]));
    assert!(row(&get(&["cpu"]), &["Processor", "CPU-0", "8"]), "{}", get(&["cpu"]));
    let services = get(&["services"]);
    assert!(row(&services, &["Service", "machined", "true"]) && !services.contains("apid"), "{services}");
    let status = get(&["machinestatus", "-o", "yaml"]);
    assert!(status.contains("stage: maintenance\n    status:\n        ready: true\n"), "{status}");
    let refused = |args: &[&str]| talosctl.refused(&[&["-n", &node], args, &["--insecure"]].concat());
    let version = refused(&["version"]);
    assert!(version.contains("code = Unimplemented desc = API is not implemented in maintenance mode"), "{version}");
    let config = refused(&["get", "machineconfig"]);
    assert!(config.contains("code = PermissionDenied desc = not authorized"), "{config}");
    let reset = refused(&["reset", "--wait=false"]);
    assert!(reset.contains("desc = API is not implemented in maintenance mode"), "{reset}");
    let unknown = refused(&["get", "nonsense"]);
    assert!(unknown.contains("code = NotFound desc = resource \"nonsense\" is not registered"), "{unknown}");
    let secure = site.talosctl(&[201]).refused(&["version"]);
    assert!(secure.contains("x509: certificate signed by unknown authority"), "{secure}");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn a_config_goes_only_to_the_machine_whose_fingerprint_was_seen() {
    let site = Site::new(22);
    site.start(201);
    site.in_maintenance(&[201]);
    let (talosctl, node) = (Talosctl::new(), site.at(201));
    let file = talosctl.file("cp.yaml", &site.config(201));
    let fingerprint = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let node = Maintenance::connect(site.address(201).into()).await.unwrap();
        node.machine_stage().await.unwrap();
        node.fingerprint().unwrap().to_string()
    });
    let given = ["-n", &node, "apply-config", "--insecure", "-f", &file];
    let apply = |more: &[&'static str]| [&given[..], more].concat();
    let other = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let refused = talosctl.refused(&apply(&["--cert-fingerprint", other]));
    assert!(refused.contains("fingerprint"), "{refused}");
    let dry = talosctl.ok(&[&given[..], &["--cert-fingerprint", &fingerprint, "--dry-run"]].concat());
    assert!(dry.contains("Node is running in maintenance mode and does not have a config yet."), "{dry}");
    let staged = talosctl.refused(&apply(&["--mode", "staged"]));
    assert!(staged.contains("apply configuration --mode='staged' is not supported in maintenance mode"), "{staged}");
    let broken = talosctl.file("broken.yaml", &site.config(201).replace("persist: true", "persist: false"));
    let broken = talosctl.refused(&["-n", &node, "apply-config", "--insecure", "-f", &broken]);
    let words = "code = InvalidArgument desc = configuration validation failed: 1 error occurred:\n\t* .persist should be enabled";
    assert!(broken.contains(words), "{broken}");
    talosctl.ok(&[&given[..], &["--cert-fingerprint", &fingerprint]].concat());
    let talosctl = site.talosctl(&[201]);
    eventually("the secure API", || {
        let said = talosctl.say(&["version"]);
        if said.code == Some(0) { Ok(()) } else { Err(said.err) }
    });
    let closed = Talosctl::new().refused(&["-n", &node, "get", "disks", "--insecure"]);
    assert!(closed.contains("tls: certificate required"), "{closed}");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn bootstrap_is_refused_before_the_cri_runs_then_taken_once() {
    let early = Site::with(23, |s| s.latency.services_s = 1e7);
    let talosctl = early.configured(&[201]);
    let refused = talosctl.refused(&["bootstrap"]);
    assert!(refused.contains("code = FailedPrecondition desc = bootstrap is not available yet"), "{refused}");
    // While no etcd runs the question waits as long as whoever asks.
    let mut members = talosctl.follow(&["etcd", "members"]);
    members.says_nothing(Duration::from_secs(2));

    let site = Site::new(24);
    let talosctl = site.running(&[201]);
    let again = talosctl.refused(&["bootstrap"]);
    assert!(again.contains("code = AlreadyExists desc = etcd data directory is not empty"), "{again}");
    let members = talosctl.ok(&["etcd", "members"]);
    assert!(members.contains("node201") && members.contains(&format!("https://{}:2379", site.at(201))), "{members}");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn a_cluster_of_four_is_seen_whole_from_any_of_its_control_planes() {
    let site = Site::new(25);
    let all = [201, 202, 203, 211];
    let talosctl = site.running(&all);
    let nodes = all.map(|h| site.at(h)).join(",");
    let version = talosctl.ok(&["-n", &nodes, "version"]);
    assert_eq!(version.matches("NODE: ").count(), 4, "{version}");
    eventually("three members", || {
        let said = talosctl.say(&["-n", &site.at(203), "etcd", "members"]);
        if said.out.matches("false").count() == 3 { Ok(()) } else { Err(said.out + &said.err) }
    });
    let cps = [201, 202, 203].map(|h| site.at(h)).join(",");
    let status = talosctl.ok(&["-n", &cps, "etcd", "status"]);
    assert_eq!(status.lines().filter(|l| l.contains("false")).count(), 3, "{status}");
    let services = talosctl.ok(&["-n", &site.at(202), "services"]);
    for id in [
        "apid",
        "auditd",
        "containerd",
        "cri",
        "dashboard",
        "etcd",
        "ext-lldpd",
        "kubelet",
        "machined",
        "syslogd",
        "trustd",
        "udevd",
    ] {
        let line = services.lines().find(|l| l.split_whitespace().nth(1) == Some(id));
        let line = line.unwrap_or_else(|| panic!("no {id} in\n{services}"));
        assert_eq!(line.split_whitespace().nth(2), Some("Running"), "{line}");
    }
    let dmesg = talosctl.ok(&["-n", &nodes, "dmesg"]);
    for host in all {
        let line = format!("{}: user: warning: [", site.at(host));
        assert!(dmesg.lines().any(|l| l.starts_with(&line)), "{line}: {dmesg}");
    }
    let both = format!("{},{}", site.at(201), site.at(211));
    let logs = talosctl.say(&["-n", &both, "logs", "etcd"]);
    assert!(logs.out.contains(&format!("{}: ", site.at(201))), "{}", logs.out);
    assert!(logs.err.contains("code = Unknown desc = log \"etcd\" was not registered"), "{}", logs.err);
    let kubelet = talosctl.ok(&["-n", &site.at(202), "service", "kubelet"]);
    assert!(kubelet.contains("HEALTH   OK"), "{kubelet}");
    // CozyStack turns discovery off: nobody knows members, and the end of Talos' own work is a node that is not ready.
    let members = talosctl.ok(&["-n", &site.at(201), "get", "members"]);
    assert_eq!(members.lines().count(), 1, "{members}");
    let machine = talosctl.ok(&["-n", &site.at(211), "get", "machinestatus", "-o", "yaml"]);
    assert!(machine.contains("stage: running") && machine.contains("name: nodeReady"), "{machine}");
    let worker = talosctl.refused(&["-n", &site.at(211), "etcd", "members"]);
    assert!(worker.contains("member list is only available on control plane nodes"), "{worker}");
    let worker = talosctl.refused(&["-n", &site.at(211), "bootstrap"]);
    assert!(worker.contains("bootstrap can only be performed on a control plane node"), "{worker}");
    let folder = talosctl.path("kube");
    std::fs::create_dir(&folder).unwrap();
    talosctl.ok(&["-n", &site.at(201), "kubeconfig", &folder]);
    let kubeconfig = std::fs::read_to_string(format!("{folder}/kubeconfig")).unwrap();
    assert!(kubeconfig.contains("admin@cozy") && kubeconfig.contains(&site.at(200)), "{kubeconfig}");
    let worker = talosctl.refused(&["-n", &site.at(211), "kubeconfig", &folder, "--force"]);
    assert!(worker.contains("kubeconfig is only available on control plane nodes"), "{worker}");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn a_reset_takes_the_member_out_of_etcd_only_when_it_is_graceful() {
    let site = Site::new(29);
    let talosctl = site.running(&[201, 202, 203]);
    let members = || -> Vec<(String, String)> {
        let table = talosctl.ok(&["etcd", "members"]);
        let rows = table.lines().skip(1).map(|l| l.split_whitespace().map(str::to_string).collect::<Vec<_>>());
        rows.filter(|row| row.last().unwrap() == "false").map(|row| (row[2].clone(), row[1].clone())).collect()
    };
    let full = |what| {
        eventually(what, || {
            let members = members();
            if members.len() == 3 { Ok(members) } else { Err(members) }
        })
    };
    let before = full("three members");
    let labels = ["--system-labels-to-wipe", "STATE", "--system-labels-to-wipe", "EPHEMERAL", "--timeout", "15s"];
    let node = site.at(203);
    talosctl.ok(&[&["-n", &node, "reset", "--reboot", "--graceful=false"][..], &labels].concat());
    assert_eq!(members(), before, "the list still has the member whose data is gone");
    site.in_maintenance(&[203]);
    let file = talosctl.file("again.yaml", &site.config(203));
    talosctl.ok(&["-n", &site.at(203), "apply-config", "--insecure", "-f", &file]);
    let after = eventually("the member again", || {
        let members = members();
        if members.len() == 3 && members != before { Ok(members) } else { Err(members) }
    });
    assert_eq!(after[..2], before[..2]);
    assert_eq!(after[2].0, "node203");
    talosctl.ok(&[&["-n", &node, "reset", "--reboot"][..], &labels].concat());
    assert_eq!(members(), before[..2]);
    // One of two is no majority.
    site.lab.with(|w| cozyup::lab::machine::power_off(w, 1202));
    let alone = talosctl.refused(&["etcd", "members"]);
    assert!(alone.contains("etcdserver: no leader"), "{alone}");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn what_happens_on_a_node_reaches_talosctl_while_it_happens() {
    let site = Site::new(26);
    let talosctl = site.configured(&[201]);
    let mut status = talosctl.follow(&["get", "machinestatus", "--watch"]);
    let mut services = talosctl.follow(&["get", "services", "--watch"]);
    let mut events = talosctl.follow(&["events", "--tail", "-1"]);
    let mut dmesg = talosctl.follow(&["dmesg", "--follow"]);
    let mut log = talosctl.follow(&["logs", "etcd", "--follow"]);
    let has = |words: &'static [&'static str]| {
        move |line: &str| words.iter().all(|w| line.split_whitespace().any(|found| found == *w))
    };
    for (kind, row) in [
        ("disks", "sda"),
        ("links", "eth0"),
        ("addresses", "lo/127.0.0.1/8"),
        ("extensions", "drbd"),
        ("members", "NAMESPACE"),
        ("resourcedefinitions", "services.v1alpha1.talos.dev"),
    ] {
        let mut watch = talosctl.follow(&["get", kind, "--watch"]);
        watch.until(row, SOON, |line| line.split_whitespace().any(|found| found == row));
    }
    status.until("the present state", SOON, has(&["+", "MachineStatus", "machine", "booting", "false"]));
    services.until("the kubelet", SOON, has(&["+", "Service", "kubelet", "true"]));
    eventually("bootstrap", || {
        let said = talosctl.say(&["bootstrap"]);
        if said.code == Some(0) { Ok(()) } else { Err(said.err) }
    });
    status.until("the end of the boot", SOON, has(&["MachineStatus", "machine", "running", "false"]));
    services.until("etcd", SOON, has(&["+", "Service", "etcd", "true"]));
    events.until("etcd's health", SOON, |l| l.contains("RUNNING: Health check successful"));
    dmesg.until("the request", SOON, |l| l.contains("bootstrap request received"));
    log.until("a line of etcd", SOON, |l| !l.trim().is_empty());
    for past in [&["--tail", "-1"][..], &["--duration", "24h"]] {
        let mut past = talosctl.follow(&[&["events"], past].concat());
        let first = past.until("the first event", SOON, |l| l.contains("SequenceEvent"));
        let id = first.split_whitespace().nth(1).unwrap().to_string();
        let mut later = talosctl.follow(&["events", "--since", &id]);
        later.until("what came after it", SOON, |l| l.contains("runningMaintenance"));
    }
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn a_configured_node_takes_patches_and_refuses_what_it_could_not_read() {
    let site = Site::new(28);
    let talosctl = site.configured(&[201]);
    // Read from the node, patched and written anew by Talos' own encoder.
    let patched = talosctl.ok(&["patch", "mc", "-p", "machine: {sysctls: {vm.nr_hugepages: \"64\"}}"]);
    assert!(patched.contains("Applied configuration without a reboot"), "{patched}");
    let config = eventually("the patch", || {
        let config = talosctl.ok(&["get", "mc", "v1alpha1", "-o", "yaml"]);
        if config.contains("vm.nr_hugepages") { Ok(config) } else { Err(config) }
    });
    assert!(config.contains("kind: ExtensionServiceConfig"), "the second document is kept: {config}");
    let file = talosctl.file("cp.yaml", &site.config(201));
    let apply = |more: &[&str]| talosctl.ok(&[&["apply-config", "-f", &file], more].concat());
    let dry = apply(&["--dry-run"]);
    assert!(dry.contains("Applied configuration without a reboot (skipped in dry-run)."), "{dry}");
    let tried = apply(&["--mode", "try", "--timeout", "90s"]);
    assert!(
        tried.contains("The config is applied in 'try' mode and will be automatically reverted back in 1m30s"),
        "{tried}"
    );
    let staged = apply(&["--mode", "staged"]);
    assert!(staged.contains("Staged configuration to be applied after the next reboot"), "{staged}");
    let unknown =
        talosctl.file("unknown.yaml", &site.config(201).replace("dnsDomain:", "dnsDomian: x\n        dnsDomain:"));
    let refused = talosctl.refused(&["apply-config", "-f", &unknown]);
    assert!(
        refused.contains("unknown keys found during decoding:\ncluster:\n    network:\n        dnsDomian: x\n"),
        "{refused}"
    );
    let main =
        talosctl.file("no-main.yaml", "apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: x\nurl: tcp://192.0.2.1:1\n");
    let refused = talosctl.refused(&["apply-config", "-f", &main]);
    assert!(
        refused.contains(
            "code = InvalidArgument desc = the applied machine configuration doesn't contain v1alpha1 config"
        ),
        "{refused}"
    );
    let before = talosctl.ok(&["read", "/proc/sys/kernel/random/boot_id"]);
    let rebooted = apply(&["--mode", "reboot"]);
    assert!(rebooted.contains("Applied configuration with a reboot"), "{rebooted}");
    eventually("another boot", || {
        let now = talosctl.say(&["read", "/proc/sys/kernel/random/boot_id"]).out;
        if now.is_empty() || now == before { Err(now) } else { Ok(()) }
    });
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn reboot_and_reset_are_tracked_to_their_end() {
    let site = Site::new(27);
    let talosctl = site.running(&[201]);
    let boot_id = || talosctl.say(&["read", "/proc/sys/kernel/random/boot_id"]).out;
    let before = boot_id();
    // With `--wait` talosctl waits for a machine that is ready, which needs the network of CozyStack.
    talosctl.ok(&["reboot", "--wait=false"]);
    eventually("another boot", || {
        let now = boot_id();
        if now.is_empty() || now == before { Err(now) } else { Ok(()) }
    });
    let by_hand = cozyup::talos::client::changer::reset_by_hand(false);
    let words: Vec<&str> = by_hand.split_whitespace().chain(["--timeout", "15s"]).collect();
    let reset = talosctl.ok(&words);
    assert!(reset.contains("events check condition met") && reset.contains("post check passed"), "{reset}");
    site.in_maintenance(&[201]);
}
