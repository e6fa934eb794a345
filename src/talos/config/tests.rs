use super::*;
use serde_yaml::Value;
use std::sync::LazyLock;

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle::generate("2026-03-01T12:00:00Z".parse().unwrap()).unwrap());

fn node(role: Role) -> NodeConfig {
    NodeConfig {
        cluster_name: "cozy".to_string(),
        endpoint: "https://10.0.0.200:6443".to_string(),
        role,
        place: Some(Place {
            hostname: "cozy-cp1".to_string(),
            address: "10.0.0.201".parse().unwrap(),
            mac: "BC:24:11:00:00:11".to_string(),
            mtu: None,
        }),
        subnet: "10.0.0.0/24".parse().unwrap(),
        gateway: "10.0.0.1".parse().unwrap(),
        dns: vec!["10.0.0.1".parse().unwrap()],
        ntp: vec![],
        vip: Some("10.0.0.200".parse().unwrap()),
        install_disk: "/dev/sda".to_string(),
        installer_image: "ghcr.io/cozystack/cozystack/talos:v1.10.6".to_string(),
        kubernetes_version: "1.33.3".to_string(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        dns_domain: "cozy.local".to_string(),
        node_labels: BTreeMap::from([("topology.kubernetes.io/zone".to_string(), "pve".to_string())]),
        taints: vec![],
        registries: Registries::default(),
        cert_sans: vec![],
    }
}

fn documents(role: Role) -> (String, Vec<Value>) {
    use serde::Deserialize;
    let text = render(&node(role), &BUNDLE).unwrap().expose().clone();
    let all = serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).unwrap()).collect();
    (text, all)
}

fn at<'a>(document: &'a Value, path: &str) -> &'a Value {
    path.split('/').fold(document, |value, key| match key.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[key],
    })
}

#[test]
fn a_control_plane_gets_what_cozystack_needs() {
    let (text, all) = documents(Role::ControlPlane);
    let [main, lldpd] = all.as_slice() else { panic!("{} documents", all.len()) };
    for (path, expected) in [
        ("machine/type", "controlplane"),
        ("machine/network/hostname", "cozy-cp1"),
        ("machine/network/interfaces/0/deviceSelector/hardwareAddr", "bc:24:11:00:00:11"),
        ("machine/network/interfaces/0/addresses/0", "10.0.0.201/24"),
        ("machine/network/interfaces/0/vip/ip", "10.0.0.200"),
        ("machine/time/servers/0", "10.0.0.1"),
        ("machine/sysctls/net.ipv4.neigh.default.gc_thresh1", "4096"),
        ("machine/kubelet/image", "ghcr.io/siderolabs/kubelet:v1.33.3"),
        ("machine/kubelet/nodeIP/validSubnets/0", "10.0.0.0/24"),
        ("machine/kernel/modules/1/parameters/0", "usermode_helper=disabled"),
        ("machine/nodeLabels/topology.kubernetes.io~1zone", "pve"),
        ("cluster/network/cni/name", "none"),
        ("cluster/network/serviceSubnets/0", "10.96.0.0/16"),
        ("cluster/etcd/advertisedSubnets/0", "10.0.0.0/24"),
        ("cluster/controllerManager/extraArgs/bind-address", "0.0.0.0"),
        ("cluster/apiServer/certSANs/1", "10.0.0.200"),
        ("cluster/apiServer/admissionControl/0/configuration/defaults/enforce-version", "latest"),
    ] {
        let value = path.split('/').fold(main, |v, key| match key.parse::<usize>() {
            Ok(index) => &v[index],
            Err(_) => &v[key.replace("~1", "/").as_str()],
        });
        assert_eq!(value.as_str(), Some(expected), "{path}\n{}", redacted(&text));
    }
    assert_eq!(at(main, "cluster/proxy/disabled"), &Value::from(true));
    assert_eq!(at(main, "cluster/discovery/enabled"), &Value::from(false));
    assert_eq!(at(main, "cluster/allowSchedulingOnControlPlanes"), &Value::from(true));
    assert_eq!(at(main, "machine/features/kubePrism/port"), &Value::from(7445));
    assert!(text.contains("\n") && text.contains("permissions: 0o644\n"), "{}", redacted(&text));
    assert!(!text.contains("exclude-from-external-load-balancers"));
    assert!(!text.contains("null"), "{}", redacted(&text));
    assert_eq!(at(lldpd, "configFiles/0/content").as_str(), Some("configure lldp status disabled\n"));
}

#[test]
fn the_lvm_filter_reaches_the_file_as_written() {
    let (_, all) = documents(Role::ControlPlane);
    let content = at(&all[0], "machine/files/1/content").as_str().unwrap();
    assert!(
        content.contains(r#"global_filter = [ "r|^/dev/drbd.*|", "r|^/dev/dm-.*|", "r|^/dev/zd.*|" ]"#),
        "{content}"
    );
}

#[test]
fn a_worker_gets_no_key_no_vip_and_no_control_plane() {
    let (_, all) = documents(Role::Worker);
    let main = &all[0];
    assert_eq!(at(main, "machine/ca/key").as_str(), Some(""));
    assert_eq!(at(main, "cluster/ca/key").as_str(), Some(""));
    assert!(at(main, "machine/ca/crt").as_str().unwrap().len() > 100);
    assert!(at(main, "machine/network/interfaces/0").get("vip").is_none());
    for key in ["etcd", "apiServer", "serviceAccount", "aggregatorCA", "secretboxEncryptionSecret"] {
        assert!(at(main, "cluster").get(key).is_none(), "{key}");
    }
}

#[test]
fn a_config_for_any_number_of_workers_names_no_machine_and_taints_them_when_they_register() {
    use serde::Deserialize;
    let any = NodeConfig { place: None, taints: vec!["cozyup.dev/test".into()], ..node(Role::Worker) };
    let text = render(&any, &BUNDLE).unwrap().expose().clone();
    let main = serde_yaml::Deserializer::from_str(&text).next().map(|d| Value::deserialize(d).unwrap()).unwrap();
    let network = at(&main, "machine/network");
    assert!(network.get("hostname").is_none() && network.get("interfaces").is_none(), "{network:?}");
    let taint = at(&main, "machine/kubelet/extraConfig/registerWithTaints/0");
    assert_eq!((taint["key"].as_str(), taint["effect"].as_str()), (Some("cozyup.dev/test"), Some("NoSchedule")));
    assert_ne!(text.lines().next(), Some("#cloud-config"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(documents(Role::ControlPlane).0, documents(Role::ControlPlane).0);
}

#[test]
fn what_would_hang_a_node_is_refused() {
    let broken = |change: fn(&mut NodeConfig)| {
        let mut node = node(Role::ControlPlane);
        change(&mut node);
        render(&node, &BUNDLE).unwrap_err().to_string()
    };
    assert_eq!(
        broken(|n| n.place.as_mut().unwrap().address = "10.1.0.1".parse().unwrap()),
        "node address 10.1.0.1 is outside the nodes' subnet 10.0.0.0/24"
    );
    assert!(broken(|n| n.vip = Some("10.1.0.1".parse().unwrap())).starts_with("VIP 10.1.0.1"));
    assert!(broken(|n| n.place.as_mut().unwrap().mac = "BC:24".to_string()).contains("not a MAC"));
    assert!(broken(|n| n.endpoint = "10.0.0.200:6443".to_string()).contains("not an https URL"));
    assert!(broken(|n| n.place.as_mut().unwrap().hostname = "Cozy_1".to_string()).contains("not a DNS label"));
}

#[test]
fn evidence_holds_no_secret() {
    let (text, _) = documents(Role::ControlPlane);
    let shown = redacted(&text);
    let mut secrets = vec![BUNDLE.trustd_token.expose().clone(), BUNDLE.secretbox.expose().clone()];
    secrets.push(BUNDLE.bootstrap_token.expose().clone());
    secrets.push(BUNDLE.cluster_secret.expose().clone());
    assert!(secrets.iter().all(|s| text.contains(s.as_str()) && !shown.contains(s.as_str())), "{shown}");
    let file = BUNDLE.to_yaml().unwrap();
    let shown_file = redacted(file.expose());
    assert!(secrets.iter().all(|s| !shown_file.contains(s.as_str())), "{shown_file}");
    // "LS0tLS1CRUdJTiBD" opens every certificate, "LS0tLS1CRUdJTiB" every PEM block.
    assert_eq!(shown.matches("LS0tLS1CRUdJTiB").count(), shown.matches("LS0tLS1CRUdJTiBD").count());
    assert!(shown.contains("hostname: cozy-cp1"));
    assert_eq!(redacted("a: [unclosed"), "(not YAML: not shown)");
}

#[test]
fn mirrors_logins_and_authorities_stand_where_talos_reads_them() {
    use serde::Deserialize;
    let mirror = |registry: &str, override_path| Mirror {
        registry: registry.to_string(),
        endpoints: vec!["https://m.example.org/x".to_string()],
        override_path,
        skip_fallback: override_path,
    };
    let login =
        Login { user: "nodes".to_string(), password: crate::base::secret::Secret::new("hunter2hunter2".to_string()) };
    let registries = Registries {
        mirrors: vec![mirror("ghcr.io", false), mirror("quay.io", true)],
        logins: BTreeMap::from([("m.example.org".to_string(), login)]),
        trusted: Some("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_string()),
        proxy: None,
    };
    let with = |registries: Registries| {
        let text = render(&NodeConfig { registries, ..node(Role::Worker) }, &BUNDLE).unwrap().expose().clone();
        let all: Vec<Value> =
            serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).unwrap()).collect();
        (text, all)
    };
    let (text, all) = with(registries);
    let section = at(&all[0], "machine/registries");
    assert_eq!(section["mirrors"]["quay.io"]["overridePath"], true);
    assert_eq!(section["mirrors"]["quay.io"]["skipFallback"], true);
    assert!(at(section, "mirrors/ghcr.io/skipFallback").is_null());
    // The mirror of a registry that limits strangers stays, unless the plan has its own or one for all.
    assert_eq!(section["mirrors"]["docker.io"]["endpoints"][0], "https://mirror.gcr.io");
    assert_eq!(section["config"]["m.example.org"]["auth"]["password"], "hunter2hunter2");
    assert_eq!(at(&all[2], "kind"), "TrustedRootsConfig");
    assert!(!redacted(&text).contains("hunter2") && redacted(&text).contains("username: nodes"));
    let (_, all) = with(Registries { mirrors: vec![mirror("*", false)], ..Registries::default() });
    assert!(at(&all[0], "machine/registries/mirrors/docker.io").is_null());
    assert_eq!(all.len(), 2);
}

/// reports.md B27
#[test]
fn a_proxy_and_an_mtu_stand_where_talos_reads_them_and_nothing_does_without() {
    let network = |config: &NodeConfig| {
        let text = render(config, &BUNDLE).unwrap().expose().clone();
        let all: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        all[0]["machine"].clone()
    };
    let proxy = Proxy { url: "http://proxy:3128".into(), past: vec!["10.0.0.0/24".into(), ".svc".into()] };
    let registries = Registries { proxy: Some(proxy), ..Registries::default() };
    for role in [Role::ControlPlane, Role::Worker] {
        let mut config = NodeConfig { registries: registries.clone(), ..node(role) };
        config.place.as_mut().unwrap().mtu = Some(1450);
        let machine = network(&config);
        assert_eq!(machine["env"]["https_proxy"], "http://proxy:3128");
        assert_eq!(machine["env"]["http_proxy"], "http://proxy:3128");
        assert_eq!(machine["env"]["no_proxy"], "10.0.0.0/24,.svc");
        assert_eq!(machine["network"]["interfaces"][0]["mtu"], 1450);
        let without = network(&node(role));
        assert!(without.get("env").is_none() && without["network"]["interfaces"][0].get("mtu").is_none());
    }
}
