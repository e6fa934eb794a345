//! The cluster's secrets in both directions: `talosctl` reads ours, we read its own.
use super::Talosctl;
use super::site::{BUNDLE, Site, eventually};
use cozyup::talos::secrets::Bundle;
use cozyup::talos::{NodeState, Secure, state_of};
use serde_yaml::Value;

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
