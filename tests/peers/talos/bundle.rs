//! The cluster's secrets in both directions: `talosctl` reads ours, we read its own.
use super::Talosctl;
use super::site::{BUNDLE, Site, eventually};
use cozyup::plan::defaults::{self, Defaults};
use cozyup::steps::day2::config::input;
use cozyup::talos::config;
use cozyup::talos::secrets::Bundle;
use cozyup::talos::{NodeState, Secure, state_of};
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeSet;

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| &value[key])
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn talosctl_takes_our_bundle_and_makes_configs_with_the_very_secrets_of_ours() {
    let talosctl = Talosctl::new();
    let secrets = talosctl.file("secrets.yaml", BUNDLE.to_yaml().unwrap().expose());
    let out = talosctl.path("out");
    let endpoint = "https://10.0.0.200:6443";
    talosctl.ok(&["gen", "config", "cozy", endpoint, "--with-secrets", &secrets, "--output-dir", &out]);
    for role in ["controlplane", "worker"] {
        let file = format!("{out}/{role}.yaml");
        talosctl.ok(&["validate", "--mode", "metal", "--strict", "-c", &file]);
    }
    let (bundle, config) = (yaml(&secrets), yaml(&format!("{out}/controlplane.yaml")));
    for (ours, theirs) in [
        ("cluster.id", "cluster.id"),
        ("cluster.secret", "cluster.secret"),
        ("secrets.bootstraptoken", "cluster.token"),
        ("secrets.secretboxencryptionsecret", "cluster.secretboxEncryptionSecret"),
        ("trustdinfo.token", "machine.token"),
        ("certs.etcd.crt", "cluster.etcd.ca.crt"),
        ("certs.etcd.key", "cluster.etcd.ca.key"),
        ("certs.k8s.crt", "cluster.ca.crt"),
        ("certs.k8s.key", "cluster.ca.key"),
        ("certs.k8saggregator.crt", "cluster.aggregatorCA.crt"),
        ("certs.k8saggregator.key", "cluster.aggregatorCA.key"),
        ("certs.k8sserviceaccount.key", "cluster.serviceAccount.key"),
        ("certs.os.crt", "machine.ca.crt"),
        ("certs.os.key", "machine.ca.key"),
    ] {
        assert!(at(&bundle, ours).is_string(), "our bundle has no {ours}");
        assert_eq!(at(&bundle, ours), at(&config, theirs), "{ours}");
    }
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn we_read_the_bundle_that_talosctl_makes_and_write_it_back_unchanged() {
    let talosctl = Talosctl::new();
    let file = talosctl.path("theirs.yaml");
    talosctl.ok(&["gen", "secrets", "-o", &file]);
    let bundle = Bundle::from_yaml(&std::fs::read_to_string(&file).unwrap()).unwrap();
    bundle.self_test().unwrap();
    let written: Value = serde_yaml::from_str(bundle.to_yaml().unwrap().expose()).unwrap();
    assert_eq!(written, yaml(&file));
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn a_node_with_talosctls_own_config_is_the_lab_s_talosctl_s_and_ours() {
    let site = Site::new(11);
    site.start(201);
    site.in_maintenance(&[201]);
    let talosctl = Talosctl::new();
    let (secrets, out) = (talosctl.path("secrets.yaml"), talosctl.path("out"));
    talosctl.ok(&["gen", "secrets", "-o", &secrets]);
    let endpoint = format!("https://{}:6443", site.at(200));
    talosctl.ok(&["gen", "config", "theirs", &endpoint, "--with-secrets", &secrets, "--output-dir", &out]);
    let node = site.at(201);
    let config = format!("{out}/controlplane.yaml");
    talosctl.ok(&["-n", &node, "apply-config", "--insecure", "-f", &config]);
    let talosconfig = format!("{out}/talosconfig");
    let version = eventually("the secure API", || {
        let said = talosctl.say(&["--talosconfig", &talosconfig, "-e", &node, "-n", &node, "version"]);
        if said.code == Some(0) { Ok(said.out) } else { Err(said.err) }
    });
    assert!(version.contains("Tag:         v1.10.6"), "{version}");
    let bundle = Bundle::from_yaml(&std::fs::read_to_string(&secrets).unwrap()).unwrap();
    let admin = bundle.admin_certificate(jiff::Timestamp::now()).unwrap();
    let stranger = BUNDLE.admin_certificate(jiff::Timestamp::now()).unwrap();
    let address = site.address(201).into();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        assert_eq!(state_of(address, Some(&admin)).await.value, NodeState::Configured);
        let secure = Secure::connect(address, &admin).await.unwrap();
        assert_eq!(secure.version().await.unwrap().value, "v1.10.6");
        let foreign = state_of(address, Some(&stranger)).await.value;
        assert!(matches!(foreign, NodeState::Foreign(_)), "{foreign:?}");
    });
}

/// What CozyStack v0.37 asks of every node (its own test's patches and its documentation), for `talosctl`.
const EVERY_NODE: &str = r#"
machine:
  kubelet: { nodeIP: { validSubnets: [10.0.0.0/24] }, extraConfig: { maxPods: 512 } }
  kernel:
    modules:
      - name: openvswitch
      - { name: drbd, parameters: [usermode_helper=disabled] }
      - name: zfs
      - name: spl
      - name: vfio_pci
      - name: vfio_iommu_type1
  registries: { mirrors: { docker.io: { endpoints: ["https://mirror.gcr.io"] } } }
  sysctls:
    net.ipv4.neigh.default.gc_thresh1: "4096"
    net.ipv4.neigh.default.gc_thresh2: "8192"
    net.ipv4.neigh.default.gc_thresh3: "16384"
cluster:
  network: { cni: { name: none }, dnsDomain: cozy.local, podSubnets: [10.244.0.0/16], serviceSubnets: [10.96.0.0/16] }
  discovery: { enabled: false }
"#;
const CONTROL_PLANES: &str = r#"
machine:
  nodeLabels: { node.kubernetes.io/exclude-from-external-load-balancers: { $patch: delete } }
cluster:
  allowSchedulingOnControlPlanes: true
  controllerManager: { extraArgs: { bind-address: 0.0.0.0 } }
  scheduler: { extraArgs: { bind-address: 0.0.0.0 } }
  apiServer: { certSANs: [127.0.0.1] }
  proxy: { disabled: true }
  etcd: { advertisedSubnets: [10.0.0.0/24] }
"#;

/// Every scalar of a document by its path; lists without their order.
fn flat(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                flat(&format!("{path}.{}", key.as_str().unwrap()), value, into);
            }
        }
        Value::Sequence(items) if !items.is_empty() => items.iter().for_each(|v| flat(&format!("{path}[]"), v, into)),
        scalar => {
            into.insert(format!("{path} = {}", serde_yaml::to_string(scalar).unwrap().trim()));
        }
    }
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn what_cozyup_writes_is_what_talosctl_makes_with_the_settings_of_cozystack() {
    let talosctl = Talosctl::new();
    let secrets = talosctl.file("secrets.yaml", BUNDLE.to_yaml().unwrap().expose());
    let all = format!("@{}", talosctl.file("all.yaml", EVERY_NODE));
    let control_planes = format!("@{}", talosctl.file("cp.yaml", CONTROL_PLANES));
    let out = talosctl.path("out");
    let plan = defaults::plan(&Defaults { workers: 1, ..Defaults::default() });
    let (endpoint, image) = (plan.cluster_endpoint(), plan.talos.installer_image.clone());
    talosctl.ok(&[
        &["gen", "config", &plan.name, &endpoint, "--with-secrets", &secrets, "--output-dir", &out][..],
        &["--with-docs=false", "--with-examples=false", "--install-image", &image],
        &["--install-disk", &plan.talos.install_disk],
        &["--config-patch", &all, "--config-patch-control-plane", &control_planes],
    ]
    .concat());
    for node in &plan.nodes {
        let ours = config::render(&input(&plan, node, "bc:24:11:00:00:01", Default::default()), &BUNDLE).unwrap();
        let ours = serde_yaml::Deserializer::from_str(ours.expose()).next().unwrap();
        let (mut we, mut they) = (BTreeSet::new(), BTreeSet::new());
        flat("", &Value::deserialize(ours).unwrap(), &mut we);
        flat("", &yaml(&format!("{out}/{}.yaml", node.role)), &mut they);
        // What is about one node, its files, and its names in certificates.
        let only_ours = ["machine.network.", "machine.time.", "machine.certSANs[]", "machine.files[]"];
        // What an empty section or a switched-off part still says.
        let only_theirs =
            ["machine.network = {}", "machine.certSANs = []", "cluster.discovery.registries.", "cluster.proxy.image"];
        for (more, than, known) in [(&we, &they, only_ours), (&they, &we, only_theirs)] {
            let odd: Vec<&String> =
                more.difference(than).filter(|l| !known.iter().any(|k| l[1..].starts_with(k))).collect();
            assert!(odd.is_empty(), "{}: {odd:#?}", node.name);
        }
    }
}
