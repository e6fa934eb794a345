use super::*;
use crate::talos::pem;
use jiff::Timestamp;
use serde_yaml::Value;
use std::sync::LazyLock;
use x509_parser::extensions::KeyUsage;
use x509_parser::prelude::*;

const NOW: &str = "2026-03-01T12:00:00Z";
/// An RSA-4096 key is worth making once.
static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle::generate(now()).unwrap());

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn der(text: &str) -> Vec<u8> {
    pem::decode(text).unwrap().to_vec()
}

fn decoded(value: &Value, path: &[&str]) -> String {
    use base64::Engine;
    let text = path.iter().fold(value, |v, key| &v[*key]).as_str().unwrap();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn a_bundle_survives_its_file() {
    let text = BUNDLE.to_yaml().unwrap();
    assert_eq!(Bundle::from_yaml(text.expose()).unwrap(), *BUNDLE);
    BUNDLE.self_test().unwrap();
}

#[test]
fn the_file_has_the_keys_labels_and_order_of_talosctl() {
    let text = BUNDLE.to_yaml().unwrap();
    let order = ["cluster:", "secrets:", "trustdinfo:", "certs:", "    etcd:", "    k8s:", "    k8saggregator:"];
    let at: Vec<usize> = order.iter().map(|k| text.expose().find(&format!("{k}\n")).unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");
    assert_eq!(text.expose().lines().count(), 23, "one line for each value");
    let file: Value = serde_yaml::from_str(text.expose()).unwrap();
    for (path, label) in [
        (["certs", "etcd", "key"], "EC PRIVATE KEY"),
        (["certs", "k8s", "key"], "EC PRIVATE KEY"),
        (["certs", "k8saggregator", "key"], "EC PRIVATE KEY"),
        (["certs", "k8sserviceaccount", "key"], "RSA PRIVATE KEY"),
        (["certs", "os", "key"], "ED25519 PRIVATE KEY"),
        (["certs", "os", "crt"], "CERTIFICATE"),
    ] {
        assert!(decoded(&file, &path).starts_with(&format!("-----BEGIN {label}-----\n")), "{path:?}");
    }
    // Go knows the curve only from inside the SEC1 structure; version 1 of PKCS#8 is 48 bytes.
    assert_eq!(der(&decoded(&file, &["certs", "etcd", "key"])).len(), 121);
    assert_eq!(der(&decoded(&file, &["certs", "os", "key"])).len(), 48);
    let token = file["trustdinfo"]["token"].as_str().unwrap();
    assert_eq!((token.len(), token.find('.')), (23, Some(6)), "{token}");
}

#[test]
fn each_authority_is_what_talos_makes_itself() {
    for (authority, subject) in [
        (&BUNDLE.etcd, "O=etcd"),
        (&BUNDLE.kubernetes, "O=kubernetes"),
        (&BUNDLE.aggregator, ""),
        (&BUNDLE.os, "O=talos"),
    ] {
        let der = der(&authority.certificate);
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), subject);
        assert_eq!(certificate.version(), X509Version::V3);
        let validity = certificate.validity();
        assert_eq!(validity.not_before.timestamp(), now().as_second() - 3600);
        assert_eq!(validity.not_after.timestamp(), now().as_second() + 87_600 * 3600);
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint.is_none());
        let usage = certificate.key_usage().unwrap().unwrap();
        let expected = KeyUsage { flags: 0b10_0001 };
        assert!(usage.critical && usage.value.flags == expected.flags, "{}", usage.value);
        certificate.verify_signature(None).unwrap();
    }
}

#[test]
fn the_admin_certificate_is_for_clients_only_and_signed_by_the_os_authority() {
    let admin = BUNDLE.admin_certificate(now()).unwrap();
    let (leaf, ca) = (der(&admin.crt_pem), der(&BUNDLE.os.certificate));
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    let (_, ca) = X509Certificate::from_der(&ca).unwrap();
    leaf.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(leaf.subject().to_string(), "O=os:admin");
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert_eq!(
        (usage.client_auth, usage.server_auth, usage.any, usage.other.len()),
        (true, false, false, 0),
        "Talos refuses a certificate that could be a server's too"
    );
    assert!(leaf.basic_constraints().unwrap().is_none());
    assert_eq!(leaf.validity().not_after.timestamp(), now().as_second() + 8760 * 3600);
}

#[test]
fn a_key_of_another_authority_fails_the_self_test() {
    let mut bundle = BUNDLE.clone();
    bundle.etcd.key = BUNDLE.kubernetes.key.clone();
    assert_eq!(bundle.self_test().unwrap_err().to_string(), "the etcd CA's certificate and key do not belong together");
}

#[test]
fn talosconfig_and_kubeconfig_have_the_names_that_talos_gives() {
    let nodes = ["10.0.0.201".parse().unwrap()];
    let text = BUNDLE.talosconfig("cozy", &nodes, &nodes, now()).unwrap();
    let config: Value = serde_yaml::from_str(text.expose()).unwrap();
    assert_eq!(config["context"], "cozy");
    assert_eq!(config["contexts"]["cozy"]["endpoints"][0], "10.0.0.201");
    assert!(decoded(&config, &["contexts", "cozy", "key"]).starts_with("-----BEGIN ED25519 PRIVATE KEY-----"));

    let text = BUNDLE.kubeconfig("cozy", "https://10.0.0.200:6443", now()).unwrap();
    let config: Value = serde_yaml::from_str(text.expose()).unwrap();
    assert_eq!(config["current-context"], "admin@cozy");
    assert_eq!(config["contexts"][0]["context"]["user"], "admin@cozy");
    let user = &config["users"][0]["user"];
    let leaf = der(&decoded(user, &["client-certificate-data"]));
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    assert_eq!(leaf.subject().to_string(), "O=system:masters, CN=admin");
    assert!(decoded(user, &["client-key-data"]).starts_with("-----BEGIN EC PRIVATE KEY-----"));
}

#[test]
fn no_key_shows_in_debug_output_or_in_errors() {
    let admin = BUNDLE.admin_certificate(now()).unwrap();
    let shown = format!("{:?} {admin:?}", *BUNDLE);
    for secret in [BUNDLE.trustd_token.expose(), BUNDLE.cluster_secret.expose()] {
        assert!(!shown.contains(secret.as_str()));
    }
    assert!(!shown.contains("PRIVATE"), "{shown}");
    let broken = BUNDLE.to_yaml().unwrap().expose().replace("trustdinfo", "trust");
    let error = format!("{:?}", Bundle::from_yaml(&broken).unwrap_err());
    assert!(!error.contains(BUNDLE.trustd_token.expose().as_str()), "{error}");
}
