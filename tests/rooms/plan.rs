//! The plan file from outside: every rule has a plan that breaks it, every key and rule is documented.
use crate::day_6::{self, Edits};
use cozyup::plan::defaults::{self, Defaults, FILL_IN};
use cozyup::plan::keys::{self, Kind, Need};
use cozyup::plan::lint::{self, RULES};
use cozyup::plan::model::Role;
use cozyup::plan::reference::{self, FORM_RULES};
use cozyup::plan::{Finding, Plan, PlanError, Severity, decode, load, parse, save, write};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// A plan on two hosts with everything set, of which no rule says more than that the profile is no bundle.
fn good() -> Defaults {
    Defaults {
        hosts: vec!["pve1".into(), "pve2".into()],
        fingerprint: Some(["AB"; 32].join(":").parse().unwrap()),
        vlan: Some(100),
        image_sha256: Some("0123456789abcdef".repeat(4)),
        installer_sha256: Some("fedcba9876543210".repeat(4)),
        ..Defaults::default()
    }
}

fn good_text() -> String {
    defaults::write(&good())
}

/// `text` with the one place that reads `from` reading `to`.
fn edited(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` must stand once in:\n{text}");
    text.replace(from, to)
}

fn findings(text: &str) -> Vec<Finding> {
    match parse(text, "plan.yaml") {
        Ok(loaded) => loaded.findings,
        Err(findings) => findings,
    }
}

/// Ids of what `text` provokes beyond the findings of the good plan, without what an override sets aside.
fn rules_broken(text: &str) -> BTreeSet<String> {
    let broken = findings(text).into_iter().filter(|f| !f.what.contains("; set aside: "));
    broken.map(|f| f.rule).filter(|rule| rule != "profile-is-no-bundle").collect()
}

fn line_of(text: &str, marker: &str) -> usize {
    1 + text.lines().position(|line| line.contains(marker)).unwrap_or_else(|| panic!("no line has `{marker}`:\n{text}"))
}

/// Rule, edits that break it alone, and what stands in the line where it must be reported.
#[rustfmt::skip]
fn broken() -> Vec<(&'static str, Edits, &'static str)> {
    vec![
        ("plan-version", vec![("\nversion: 1\n", "\nversion: 2\n")], "version: 2"),
        ("plan-name", vec![("\nname: cozy-new\n", "\nname: Cozy_New\n")], "name: Cozy_New"),
        ("guest-name", vec![("name: cozy-new-cp2", "name: cozy_new_cp2")], "name: cozy_new_cp2"),
        ("duplicate-vmid", vec![("vmid: 1003", "vmid: 9100 # again")], "vmid: 9100 # again"), ("template-copies", vec![("\n  storage: local-lvm\n", "\n  storage: local-lvm\n  copies:\n    - host: pve9\n      vmid: 9101\n")], "host: pve9"),
        ("duplicate-name", vec![("name: cozy-new-cp3", "name: cozy-new-cp1 # again")], "cozy-new-cp1 # again"),
        ("duplicate-address", vec![("address: \"10.0.0.203\"", "address: 10.0.0.200")], "address: 10.0.0.200"),
        ("address-outside-subnet", vec![("address: \"10.0.0.203\"", "address: 10.0.1.203")], "10.0.1.203"),
        ("address-reserved", vec![("address: \"10.0.0.203\"", "address: 10.0.0.255")], "10.0.0.255"),
        ("vip-outside-subnet", vec![("vip: \"10.0.0.200\"", "vip: 10.0.9.200")], "10.0.9.200"),
        ("gateway-outside-subnet", vec![("gateway: \"10.0.0.1\"", "gateway: 10.1.0.1")], "gateway: 10.1.0.1"),
        ("proxmox-address-taken", vec![("url: https://10.0.0.1:8006", "url: https://10.0.0.203:8006")], "address: \"10.0.0.203\""),
        ("dns-servers", vec![("dns:\n    - \"10.0.0.1\"", "dns: []")], "dns: []"),
        ("pool-overlap", vec![("- 10.0.0.212-10.0.0.250", "- 10.0.0.203-10.0.0.250")], "- 10.0.0.203-10.0.0.250"),
        ("pool-outside-subnet", vec![("- 10.0.0.212-10.0.0.250", "- 10.0.0.212-10.0.0.250\n    - 10.0.5.1-10.0.5.9")], "10.0.5.1"),
        ("pool-ranges-overlap", vec![("- 10.0.0.212-10.0.0.250", "- 10.0.0.212-10.0.0.250\n    - 10.0.0.250-10.0.0.252")], "10.0.0.252"),
        ("pool-too-small", vec![("- 10.0.0.212-10.0.0.250", "- 10.0.0.212")], "address_pool:"),
        ("cidr-host-bits", vec![("pod_cidr: 10.244.0.0/16", "pod_cidr: 10.244.0.1/16")], "pod_cidr"),
        ("cidr-overlap", vec![("service_cidr: 10.96.0.0/16", "service_cidr: 10.244.128.0/20")], "service_cidr"),
        ("no-control-plane", vec![], "nodes:"),
        ("even-control-planes", vec![("role: controlplane\n    vmid: 1003", "role: worker\n    vmid: 1003")], "nodes:"),
        ("single-control-plane", vec![("role: controlplane\n    vmid: 1003", "role: worker\n    vmid: 1003"), ("role: controlplane\n    vmid: 1002", "role: worker\n    vmid: 1002")], "nodes:"),
        ("replicated-needs-three-nodes", vec![], "- replicated"),
        ("test-volume-unknown", vec![("    - replicated", "    - fast")], "- fast"),
        ("tenant-test", vec![("disable: []", "disable: [postgres-operator]")], "disable:"), ("test-volume-without-csi", vec![("    # Whether to install the driver.\n    enabled: true", "    enabled: false")], "- proxmox"),
        ("size-below-floor", vec![("vmid: 1002\n    address: \"10.0.0.202\"\n    host: pve2\n    cores: 8", "vmid: 1002\n    address: 10.0.0.202\n    host: pve2\n    cores: 2")], "cores: 2"),
        ("size-below-minimum", vec![("vmid: 1002\n    address: \"10.0.0.202\"\n    host: pve2\n    cores: 8", "vmid: 1002\n    address: 10.0.0.202\n    host: pve2\n    cores: 4")], "cores: 4"),
        ("data-disk-below-recommended", vec![("host: pve2\n    cores: 8\n    memory_mib: 24576\n    system_disk_gib: 50\n    data_disk_gib: 256", "host: pve2\n    cores: 8\n    memory_mib: 24576\n    system_disk_gib: 50\n    data_disk_gib: 100")], "data_disk_gib: 100"),
        ("memory-step", vec![("host: pve2\n    cores: 8\n    memory_mib: 24576", "host: pve2\n    cores: 8\n    memory_mib: 24577")], "24577"),
        ("data-disk-is-install-disk", vec![("QEMU_HARDDISK_drive-scsi1", "QEMU_HARDDISK_drive-scsi0-part4")], "scsi0-part4"), ("mirrors", vec![("  delivery: apply\n", "  delivery: apply\n  mirrors:\n    - registry: ghcr.io\n      endpoint: ftp://mirror\n")], "ftp://mirror"), ("mirror-only-csi", vec![("  delivery: apply\n", "  delivery: apply\n  mirrors:\n    - registry: ghcr.io\n      endpoint: https://mirror.example.org\n      only: true\n"), ("    # Whether to install the driver.\n    enabled: true", "    # Whether to install the driver.\n    enabled: true # by Flux")], "enabled: true # by Flux"), ("disk-letter", vec![("device: /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi1", "device: /dev/sdb")], "/dev/sdb"),
        ("disk-name", vec![("device: /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi1", "device: /dev/vdb")], "/dev/vdb"),
        ("talos-too-old", vec![("version: v1.10.6", "version: v1.8.0"), ("talos:v1.10.6", "talos:v1.8.0")], "version: v1.8.0"),
        ("talos-version", vec![("version: v1.10.6", "version: v1.11.3"), ("talos:v1.10.6", "talos:v1.11.3")], "version: v1.11.3"),
        ("kubernetes-version", vec![("kubernetes: v1.33.3", "kubernetes: v1.34.1")], "v1.34.1"),
        ("installer-image", vec![("ghcr.io/cozystack/cozystack/talos:v1.10.6", "ghcr.io/siderolabs/installer:v1.10.6")], "siderolabs"),
        ("image-scheme", vec![("url: https://github.com/cozystack/cozystack/releases/download/v0.37.2/nocloud", "url: ftp://mirror.example.org/nocloud")], "ftp://"),
        ("image-platform", vec![("/nocloud-amd64.raw.xz", "/metal-amd64.raw.xz")], "metal-amd64"),
        ("image-format", vec![("/nocloud-amd64.raw.xz", "/nocloud-amd64.qcow2")], "qcow2"),
        ("image-over-http", vec![("url: https://github.com/cozystack/cozystack/releases/download/v0.37.2/nocloud", "url: http://mirror.example.org/nocloud")], "http://mirror"),
        ("image-checksum", vec![("sha256: 0123456789abcdef", "sha256: 0123")], "sha256: 0123"),
        ("installer-checksum", vec![("installer_sha256: fedcba9876543210", "installer_sha256: FEDCBA9876543210")], "FEDCBA"),
        ("installer-url", vec![("installer_url: https://", "installer_url: oci://")], "oci://"),
        ("installer-over-http", vec![("installer_url: https://", "installer_url: http://"), ("\n  installer_sha256: ", "\n  # ")], "installer_url: http://"),
        ("installer-other-release", vec![("v0.37.2/cozystack-installer.yaml", "v0.38.0/cozystack-installer.yaml")], "v0.38.0"),
        ("cozystack-version", vec![("version: v0.37.2", "version: v1.6.2"), ("v0.37.2/cozystack-installer.yaml", "v1.6.2/cozystack-installer.yaml")], "version: v1.6.2"),
        ("profile-unknown", vec![("profile: paas-proxmox", "profile: distro-full")], "distro-full"),
        ("cluster-domain", vec![("cluster_domain: cozy.local", "cluster_domain: cozy-new.local")], "cozy-new.local"),
        ("root-host", vec![("root_host: 10-0-0-212.nip.io", "root_host: https://cozy.example.com")], "root_host"),
        ("root-host-in-cluster", vec![("root_host: 10-0-0-212.nip.io", "root_host: cozy.local")], "root_host"),
        ("root-host-in-cluster", vec![("root_host: 10-0-0-212.nip.io", "root_host: a.cozy.local")], "root_host"),
        ("root-host-elsewhere", vec![("root_host: 10-0-0-212.nip.io", "root_host: cozy.10.0.0.9.nip.io")], "root_host"),
        ("expose-unknown", vec![("    - dashboard", "    - dashbord")], "- dashbord"),
        ("expose-without-kubevirt", vec![("    - dashboard", "    - cdi-uploadproxy")], "- cdi-uploadproxy"),
        ("expose-keycloak", vec![("    - dashboard", "    - keycloak")], "- keycloak"),
        ("component-name", vec![("disable: []", "disable: [\"kafka-operator, velero\"]")], "disable:"),
        ("component-unknown", vec![("enable: []", "enable: [kafka-operator]")], "enable: [kafka"),
        ("disable-network", vec![("disable: []", "disable: [cilium]")], "disable:"),
        ("disable-needed", vec![("disable: []", "disable: [metallb]")], "disable:"),
        ("enable-and-disable", vec![("disable: []", "disable: [velero]"), ("enable: []", "enable: [velero]")], "enable:"),
        ("capmox-version", vec![("version: v0.7.7", "version: v0.8.0")], "v0.8.0"),
        ("ipam-version", vec![("ipam_version: v1.0.3", "ipam_version: v1.1.0")], "v1.1.0"),
        ("capmox-definitions", vec![("version: v0.7.7", "version: v0.7.4")], "version: v0.7.4"),
        ("provider-url", vec![("ipam_version: v1.0.3", "ipam_version: v1.0.3\n    components_url: ftp://mirror/c.yaml")], "ftp://"),
        ("provider-checksum", vec![("ipam_version: v1.0.3", "ipam_version: v1.0.3\n    ipam_components_sha256: abc")], "_sha256: abc"),
        ("provider-over-http", vec![("ipam_version: v1.0.3", "ipam_version: v1.0.3\n    components_url: http://mirror/c.yaml")], "http://mirror"),
        ("csi-chart-version", vec![("chart_version: \"0.3.16\"", "chart_version: latest")], "latest"),
        ("csi-region", vec![("region: pve", "region: \"-pve\"")], "-pve"),
        ("linstor-pool-name", vec![("pool: data", "pool: mirror1")], "mirror1"),
        ("token-id", vec![("token_id: cozyup@pve!run", "token_id: cozyup!run")], "token_id"), ("token-of-root", vec![("token_id: cozyup@pve!run", "token_id: root@pam!run")], "token_id"),
        ("token-file-relative", vec![("token_file: ~/.config/cozyup/proxmox.token", "token_file: proxmox.token")], "token_file"), ("site-unpinned", vec![("\n  fingerprint: ", "\n  # ")], "site:"),
        ("site-pinned-twice", vec![("\n  fingerprint: ", "\n  ca_file: /etc/site.pem\n  fingerprint: ")], "ca_file"),
        ("bridge-name", vec![("bridge: vmbr0", "bridge: \"vmbr 0\"")], "vmbr 0"),
        ("vlan-range", vec![("vlan: 100", "vlan: 4095")], "vlan: 4095"), ("mtu-range", vec![("vlan: 100", "vlan: 100\n  mtu: 1200")], "mtu: 1200"), ("proxy", vec![("vlan: 100", "vlan: 100\n  no_proxy: [\"*\"]")], "no_proxy"),
        ("storage-name", vec![("\n  storage: local\n", "\n  storage: local/iso\n")], "local/iso"),
        ("iso-storage-unused", vec![("  delivery: apply\n", "  delivery: apply\n  iso_storage: nas\n")], "iso_storage: nas"),
        ("proxmox-pool", vec![("# pool: cozy", "pool: a//b")], "pool: a//b"),
        ("addresses-unchosen", vec![("url: https://10.0.0.1:8006", "url: https://192.168.7.11:8006")], "10.0.0.0/24"),
        ("host-name", vec![("\n  host: pve1", "\n  host: pve1.example.org")], "pve1.example.org"),
        ("single-host", vec![("host: pve2", "host: pve1 # too")], "nodes:"),
        ("override-unknown", vec![("tests:", "overrides: [{rule: size-below-minimun, reason: a lab without tenants}]\ntests:")], "size-below-minimun"),
        ("override-refused", vec![("tests:", "overrides: [{rule: duplicate-vmid, reason: they are the same machine}]\ntests:")], "rule: duplicate-vmid"),
        ("override-without-reason", vec![("host: pve2", "host: pve1"), ("tests:", "overrides: [{rule: single-host, reason: because}]\ntests:")], "reason: because"),
        ("override-unused", vec![("tests:", "overrides: [{rule: single-host, reason: there is one host only}]\ntests:")], "rule: single-host"),
    ]
}

/// The good plan with the edits of [`broken`]; some breakages are made on the plan itself.
fn break_it(rule: &str, edits: &[(&str, &str)]) -> String {
    let mut plan = defaults::plan(&good());
    match rule {
        "no-control-plane" => plan.nodes.iter_mut().for_each(|n| n.role = Role::Worker),
        "replicated-needs-three-nodes" => {
            plan.nodes.pop();
            plan.nodes[1].role = Role::Worker;
        }
        _ => {}
    }
    let text = write::render(&plan).unwrap();
    // A new plan shows overrides as a comment, which the edits would find as well.
    let text = text.replace("# overrides:", "# none:");
    edits.iter().fold(text, |text, (from, to)| edited(&text, from, to))
}

#[test]
fn each_rule_is_broken_alone_and_reported_in_its_line() {
    let mut wrong = Vec::new();
    for (rule, edits, marker) in day_6::and_more(broken()) {
        let text = break_it(rule, &edits);
        let mut rules = rules_broken(&text);
        if rule == "replicated-needs-three-nodes" {
            rules.remove("single-control-plane");
        }
        if rules != BTreeSet::from([rule.to_string()]) {
            wrong.push(format!("{rule}: the plan breaks {rules:?}"));
            continue;
        }
        let found = findings(&text).into_iter().find(|f| f.rule == rule).unwrap();
        if found.line != line_of(&text, marker) {
            wrong.push(format!("{rule}: reported in line {}, `{marker}` is in {}", found.line, line_of(&text, marker)));
        }
        if found.what.is_empty() || found.why.len() < 15 || found.write.is_empty() {
            wrong.push(format!("{rule}: says too little: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rule_is_without_a_plan_that_breaks_it() {
    let ids = day_6::and_more(broken()).into_iter().map(|(rule, _, _)| rule);
    let tested: BTreeSet<&str> = ids.chain(["profile-is-no-bundle"]).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|r| r.id).collect();
    assert_eq!(all.len(), RULES.len(), "an id stands twice");
    assert_eq!(tested, all);
}

#[test]
fn each_rule_lives_in_the_file_of_its_name() {
    for rule in RULES {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/plan/lint/{}.rs", rule.id.replace('-', "_")));
        assert!(file.is_file(), "{}", file.display());
    }
}

#[test]
fn an_overridable_rule_becomes_a_note_with_the_reason_and_the_plan_may_run() {
    let mut tried = 0;
    for (rule, edits, _) in day_6::and_more(broken()) {
        let Some(rule) = lint::rule(rule).filter(|r| r.overridable) else { continue };
        let entry = format!("overrides: [{{rule: {}, reason: agreed with the owner}}]\ntests:", rule.id);
        let text = edited(&break_it(rule.id, &edits), "tests:", &entry);
        let loaded = parse(&text, "plan.yaml").unwrap_or_else(|f| panic!("{}: {}", rule.id, f[0]));
        let note = loaded.findings.iter().find(|f| f.rule == rule.id).unwrap();
        assert_eq!(note.severity, Severity::Note, "{}", rule.id);
        assert!(note.what.contains("set aside: agreed with the owner"), "{note}");
        tried += 1;
    }
    assert!(tried > 10);
}

#[test]
fn the_good_plan_has_one_note_which_tells_profile_from_bundle() {
    let found = findings(&good_text());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].rule.as_str(), found[0].severity), ("profile-is-no-bundle", Severity::Note));
    assert!(found[0].why.contains("bundle-name: paas-full"), "{}", found[0]);
}

#[test]
fn a_new_plan_lacks_only_the_checksum_that_nobody_can_know() {
    let text = defaults::write(&Defaults::default());
    let errors: Vec<Finding> = findings(&text).into_iter().filter(|f| f.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].key.as_str(), errors[0].line), ("image.sha256", line_of(&text, FILL_IN)));
    assert!(errors[0].write.contains("sha256sum"), "{}", errors[0]);
}

#[test]
fn a_written_plan_is_read_back_as_it_was() {
    for known in [Defaults::default(), good(), Defaults { workers: 2, ..good() }] {
        let plan = defaults::plan(&known);
        assert_eq!(decode(&defaults::write(&known), "plan.yaml").unwrap().plan, plan);
    }
}

#[test]
fn a_saved_plan_explains_every_key_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.yaml");
    let plan = defaults::plan(&good());
    save(&path, &plan, &[]).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.plan, plan);
    assert_eq!(loaded.digest.len(), 64);
    assert_eq!(loaded.text, std::fs::read_to_string(&path).unwrap());
    let words = loaded.text.lines().map(|l| l.trim().trim_start_matches("# ")).collect::<Vec<_>>().join(" ");
    for (path, key) in keys::all() {
        let explained = words.contains(key.about) || path.contains("[]") && !path.starts_with("nodes");
        assert!(explained, "{path} is not explained:\n{}", loaded.text);
    }
}

#[test]
fn unknown_missing_and_misshapen_keys_are_all_reported_at_once() {
    let text = [
        ("vmid: 1001", "vmdi: 1001"),
        ("vip: \"10.0.0.200\"", "vip: 10.0.0"),
        ("cluster_domain: cozy.local", "cluster_domain: 5"),
        ("telemetry: false", "telemetry: \"no\""),
        ("pool: data", "pool:"),
        ("bridge: vmbr0", "bridge: vmbr0\n  bridge: vmbr1"),
        ("token_id: cozyup@pve!run", "token_secret: hunter2"),
        ("url: https://10.0.0.1:8006", "url: https://10.0.0.1:8006/api2/json"),
        ("vlan: 100", "vlan: many"),
        ("disable: []", "disable: kafka-operator"),
    ]
    .iter()
    .fold(good_text(), |text, (from, to)| edited(&text, from, to));
    let found = findings(&text);
    let at = |rule: &str, key: &str| {
        found.iter().find(|f| f.rule == rule && f.key == key).unwrap_or_else(|| panic!("{rule} {key}: {found:#?}"))
    };
    let unknown = at("unknown-key", "nodes[0].vmdi");
    assert_eq!((unknown.line, unknown.write.as_str()), (line_of(&text, "vmdi"), "vmid:"));
    assert_eq!(at("missing-key", "nodes[0].vmid").write, "vmid: 1001");
    assert_eq!(at("wrong-value", "network.vip").line, line_of(&text, "vip: 10.0.0"));
    assert_eq!(at("wrong-type", "network.cluster_domain").line, line_of(&text, "cluster_domain: 5"));
    assert_eq!(at("wrong-type", "cozystack.telemetry").line, line_of(&text, "telemetry: \"no\""));
    assert_eq!(at("missing-key", "integration.linstor.pool").what, "has no value");
    assert_eq!(at("duplicate-key", "network.bridge").line, line_of(&text, "bridge: vmbr1"));
    assert!(at("unknown-key", "site.token_secret").write.contains("site.token_file"));
    let url = at("api-url", "site.url");
    assert!(url.what.contains("write https://10.0.0.1:8006"), "{url}");
    assert_eq!((url.line, url.column), (line_of(&text, "8006/api2/json"), 8));
    at("wrong-type", "network.vlan");
    at("wrong-type", "cozystack.disable");
    at("missing-key", "site.token_id");
    assert_eq!(found.len(), 12, "{found:#?}");
    assert!(!format!("{found:?}").contains("hunter2"), "a secret put into the plan is not repeated");
}

#[test]
fn a_secret_pasted_beside_the_token_id_or_into_the_url_is_not_repeated() {
    let pasted = edited(&good_text(), "token_id: cozyup@pve!run", "token_id: PVEAPIToken=cozyup@pve!run=hunter2");
    let in_url = edited(&good_text(), "url: https://10.0.0.1:8006", "url: https://root:hunter2@10.0.0.1:8006");
    for text in [pasted, in_url] {
        let shown: String = findings(&text).iter().map(|f| f.to_string()).collect();
        assert!(shown.contains("error["), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn an_older_cozyup_says_that_a_plan_is_newer_instead_of_naming_a_hundred_keys() {
    let found = findings("version: 7\nhosts: {}\nwishes: []\n");
    assert_eq!(found.iter().map(|f| (f.rule.as_str(), f.line)).collect::<Vec<_>>(), [("plan-version", 1)]);
}

#[test]
fn a_text_that_is_no_yaml_is_refused_with_its_line() {
    for (text, rule, line) in [
        ("version: 1\nname: [a\nsite: b\n", "yaml-syntax", 3),
        ("version: 1\nname: a: b\n", "yaml-syntax", 2),
        ("version: 1\n---\nname: b\n", "yaml-syntax", 3),
        ("# nothing\n", "empty-plan", 1),
        ("- 1\n", "wrong-type", 1),
    ] {
        let found = findings(text);
        assert_eq!((found[0].rule.as_str(), found[0].line), (rule, line), "{text:?}: {}", found[0]);
        assert_eq!(found.len(), 1, "{text:?}");
    }
}

#[test]
fn a_file_that_is_no_plan_is_named_with_the_reason_and_the_next_action() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.yaml");
    let error = load(&path).unwrap_err();
    assert!(matches!(error, PlanError::Missing { .. }) && error.to_string().contains("plan.yaml does not exist"));
    assert!(error.next().contains("cozyup plan new"));
    assert!(matches!(load(folder.path()).unwrap_err(), PlanError::Folder { .. }));
    std::fs::write(&path, "").unwrap();
    assert!(load(&path).unwrap_err().to_string().ends_with("plan.yaml is empty"));
    std::fs::write(&path, b"version: 1\nname: \xff\n").unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("not UTF-8 text: the first wrong byte is in line 2"));
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(matches!(load(&path).unwrap_err(), PlanError::TooLarge { .. }));
    std::fs::write(&path, edited(&good_text(), "vmid: 1003", "vmid: 1001")).unwrap();
    let error = load(&path).unwrap_err();
    assert!(error.to_string().ends_with("has 1 error to mend"), "{error}");
    assert!(error.findings()[0].to_string().starts_with(&format!("{}:", path.display())), "{}", error.findings()[0]);
}

#[test]
fn a_plan_that_breaks_rules_can_still_be_opened_for_mending() {
    let opened = decode(&edited(&good_text(), "vmid: 1003", "vmid: 1001"), "plan.yaml").unwrap();
    assert!(opened.findings.iter().any(|f| f.rule == "duplicate-vmid" && f.key == "nodes[2].vmid"));
}

/// The good plan with every optional key of the providers too.
fn whole() -> Plan {
    let mut plan = defaults::plan(&Defaults { ca_file: Some("site.pem".into()), mtu: Some(1450), ..good() });
    let texts = [&mut plan.site.pool, &mut plan.talos.iso_storage, &mut plan.talos.ca_file, &mut plan.network.proxy];
    texts.into_iter().zip(["cozy", "local", "ca.pem", "http://p"]).for_each(|(key, text)| *key = Some(text.into()));
    plan.network.no_proxy.push(".lan".into());
    plan.tests.worker_template = "9200".parse().ok();
    plan.template.copies.push("pve2/9101/ssd/local".parse().unwrap());
    plan.talos.mirrors.push("ghcr.io=https://m;only;login=~/login".parse().unwrap());
    let capmox = &mut plan.integration.capmox;
    capmox.components_url = Some("https://mirror.example.com/infrastructure-components.yaml".into());
    capmox.ipam_components_url = Some("/srv/ipam-components.yaml".into());
    [capmox.components_sha256, capmox.ipam_components_sha256] = [(); 2].map(|()| Some("0123456789abcdef".repeat(4)));
    plan
}

#[test]
fn the_table_of_keys_and_the_model_name_the_same_keys() {
    fn walk(prefix: &str, json: &serde_json::Value, into: &mut BTreeSet<String>) {
        for (name, value) in json.as_object().unwrap() {
            let path = format!("{prefix}{name}");
            into.insert(path.clone());
            match value {
                serde_json::Value::Object(_) => walk(&format!("{path}."), value, into),
                serde_json::Value::Array(rows) if rows.first().is_some_and(serde_json::Value::is_object) => {
                    walk(&format!("{path}[]."), &rows[0], into);
                }
                _ => {}
            }
        }
    }
    let mut plan = whole();
    plan.overrides.push(serde_json::from_str(r#"{"rule": "single-host", "reason": "x"}"#).unwrap());
    let mut of_model = BTreeSet::new();
    walk("", &serde_json::to_value(&plan).unwrap(), &mut of_model);
    let of_table: BTreeSet<String> = keys::all().into_iter().map(|(path, _)| path).collect();
    assert_eq!(of_model, of_table);
}

#[test]
fn what_the_table_calls_optional_may_really_be_left_out() {
    for (path, key) in keys::all() {
        if matches!(key.need, Need::Required) || path.contains("[]") || matches!(key.kind, Kind::Rows(_)) {
            continue;
        }
        let mut json = serde_json::to_value(whole()).unwrap();
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let parent = if parent.is_empty() { String::new() } else { format!("/{}", parent.replace('.', "/")) };
        day_6::remove(json.pointer_mut(&parent).unwrap().as_object_mut().unwrap(), name);
        let text = serde_saphyr::to_string(&json).unwrap();
        assert!(parse(&text, "plan.yaml").is_ok(), "{path}: {:?}", parse(&text, "plan.yaml").err());
    }
}

/// `COZYUP_WRITE_DOCS=1 cargo test --test rooms plan` puts the tables in.
#[test]
fn the_document_holds_every_key_and_every_rule() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PLAN.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (mark, table) in [("keys", reference::keys_table()), ("rules", reference::rules_table())] {
        let (open, close) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
        let from = text.find(&open).unwrap() + open.len();
        let to = text.find(&close).unwrap();
        if std::env::var_os("COZYUP_WRITE_DOCS").is_some() {
            text.replace_range(from..to, &table);
            std::fs::write(&path, &text).unwrap();
        } else {
            assert_eq!(
                &text[from..to],
                table,
                "docs/PLAN.md is out of date: COZYUP_WRITE_DOCS=1 cargo test --test rooms plan"
            );
        }
    }
    for (key, _) in keys::all() {
        assert!(text.contains(&format!("`{key}`")), "{key}");
    }
    for id in RULES.iter().map(|r| r.id).chain(FORM_RULES.iter().map(|(id, _)| *id)) {
        assert!(text.contains(&format!("`{id}`")), "{id}");
    }
}

/// Words that a YAML plan is made of, in any order.
fn yaml_like() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "version",
        ": ",
        "1",
        "\n",
        "  ",
        "- ",
        "nodes",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a",
        "*a",
        "<<",
        "!!int",
        "|",
        ">",
        "\"",
        "'",
        "#",
        "site",
        "url",
        "name",
        "network",
        "vip",
        "10.0.0.1",
        "true",
        "~",
        "0x1f",
        "1e999",
        ".nan",
        "---",
        "...",
        "%YAML 1.2",
        "\t",
        "ä",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = parse(&text, "plan.yaml");
    }

    #[test]
    fn no_yaml_makes_the_reader_panic(text in yaml_like()) {
        let _ = parse(&text, "plan.yaml");
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&String::from_utf8_lossy(&bytes), "plan.yaml");
    }

    #[test]
    fn a_good_plan_with_bytes_put_anywhere_does_not_panic(at in 0usize..9000, put in "\\PC{0,12}") {
        let mut text = good_text();
        let at = (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap();
        text.insert_str(at, &put);
        for finding in findings(&text) {
            prop_assert!(finding.line >= 1 && finding.line <= text.lines().count() + 1);
            prop_assert!(!finding.to_string().is_empty());
        }
    }

    #[test]
    fn any_line_of_text_survives_writing_and_reading(value in "[^\\p{C}\\p{Z}]([^\\p{C}]{0,30}[^\\p{C}\\p{Z}])?") {
        let mut plan: Plan = defaults::plan(&good());
        prop_assume!(cozyup::base::text::clean(&value) == value);
        plan.template.name = value.clone();
        plan.site.token_file = value.clone();
        plan.cozystack.disable = vec![value.clone(), value];
        let text = write::render(&plan).unwrap();
        prop_assert_eq!(decode(&text, "plan.yaml").map(|d| d.plan).map_err(|f| f[0].to_string()), Ok(plan));
    }
}
