use super::*;
use crate::machine::fixture;

fn error(text: &str) -> String {
    MachineConfig::read(text.as_bytes()).unwrap_err().why()
}

#[test]
fn a_control_plane_config_is_read_with_its_second_document() {
    let secrets = fixture::Secrets::in_net(0);
    let config = MachineConfig::read(secrets.control_plane("cp1", "127.86.0.201").as_bytes()).unwrap();
    assert_eq!(config.role, Role::ControlPlane);
    assert!(config.lldpd);
    assert_eq!(config.endpoint_host, "127.86.0.100");
    let entry = config.interface("bc:24:11:00:03:e9").unwrap();
    assert_eq!(entry.addresses[0].to_string(), "127.86.0.201/24");
}

#[test]
fn a_key_that_talos_does_not_know_is_refused_with_its_place() {
    let text = fixture::Secrets::in_net(0)
        .control_plane("cp1", "127.86.0.201")
        .replace("dnsDomain:", "dnsDomian: x\n    dnsDomain:");
    let shown = error(&text);
    assert_eq!(shown, "unknown keys found during decoding:\ncluster:\n    network:\n        dnsDomian: x\n");
}

#[test]
fn a_worker_with_a_ca_key_or_a_vip_is_refused() {
    let secrets = fixture::Secrets::in_net(0);
    let text = secrets.control_plane("w1", "127.86.0.211").replace("type: controlplane", "type: worker");
    let shown = error(&text);
    assert!(shown.starts_with("5 errors occurred:\n\t* etcd config is only allowed"), "{shown}");
    assert!(shown.contains("virtual (shared) IP is not allowed"), "{shown}");
}

#[test]
fn an_endpoint_without_scheme_is_refused() {
    let text = fixture::Secrets::in_net(0)
        .control_plane("cp1", "127.86.0.201")
        .replace("https://127.86.0.100:6443", "127.86.0.100:6443");
    assert!(error(&text).ends_with("first path segment in URL cannot contain colon"));
}

#[test]
fn documents_of_later_talos_versions_are_not_registered() {
    let text = format!(
        "{}---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: x\n",
        fixture::Secrets::in_net(0).control_plane("cp1", "127.86.0.201")
    );
    assert!(error(&text).contains("\"HostnameConfig\" \"v1alpha1\": not registered"));
}

#[test]
fn an_upper_case_mac_selects_nothing() {
    assert!(glob("bc:24:*", "bc:24:11:00:00:01"));
    assert!(!glob("BC:24:11:00:00:01", "bc:24:11:00:00:01"));
}
