//! The release as data against the facts of CozyStack v0.37.2, and the shapes of what cozyup lays beside it.
use cozyup::base::secret::Secret;
use cozyup::cozystack::addons::components::Components;
use cozyup::cozystack::addons::{self, CapmoxInput, CsiInput, Object, Provider, ProxmoxAccess, TenantRoot};
use cozyup::kubernetes::Kind;
use cozyup::release::{Release, waves};
use std::collections::BTreeSet;

fn release() -> Release {
    Release::embedded("v0.37.2").unwrap()
}

#[test]
fn each_profile_has_as_many_releases_as_the_bundle_leaves() {
    let count = |profile| release().profile(profile, &[], &[]).unwrap().len();
    assert_eq!([count("paas-full"), count("hybrid"), count("paas-proxmox")], [47, 47, 41]);
}

#[test]
fn the_proxmox_profile_comes_up_in_seven_waves() {
    let expected: [&[&str]; 7] = [
        &["fluxcd-operator", "cilium", "reloader"],
        &["cilium-networkpolicy", "kubeovn"],
        &[
            "fluxcd",
            "kubeovn-plunger",
            "cozy-proxy",
            "cert-manager-crds",
            "cozystack-controller",
            "metallb",
            "grafana-operator",
            "rabbitmq-operator",
            "redis-operator",
            "objectstorage-controller",
            "dashboard",
            "vertical-pod-autoscaler-crds",
        ],
        &["cozystack-api", "cert-manager"],
        &[
            "kubeovn-webhook",
            "lineage-controller-webhook",
            "cozystack-resource-definition-crd",
            "cert-manager-issuers",
            "victoria-metrics-operator",
            "etcd-operator",
            "postgres-operator",
            "kamaji",
            "capi-operator",
        ],
        &[
            "cozystack-resource-definitions",
            "monitoring-agents",
            "mariadb-operator",
            "kafka-operator",
            "clickhouse-operator",
            "piraeus-operator",
            "snapshot-controller",
            "capi-providers-bootstrap",
            "capi-providers-core",
            "capi-providers-cpprovider",
        ],
        &["linstor", "goldpinger", "vertical-pod-autoscaler"],
    ];
    let found = waves(&release().profile("paas-proxmox", &[], &[]).unwrap());
    let sets = |waves: Vec<Vec<String>>| waves.into_iter().map(BTreeSet::from_iter).collect::<Vec<BTreeSet<String>>>();
    let expected = expected.iter().map(|w| w.iter().map(ToString::to_string).collect()).collect();
    assert_eq!(sets(found), sets(expected));
}

#[test]
fn with_oidc_the_dashboard_waits_for_keycloak_and_the_graph_is_nine_deep() {
    let selection = release().select("paas-full", &[], &[], true).unwrap();
    assert_eq!(selection.components.len(), 50);
    let waves = waves(&selection.components);
    assert_eq!((waves.len(), waves[8].as_slice()), (9, ["dashboard".to_string()].as_slice()));
}

#[test]
fn the_selection_says_what_to_write_into_the_config_map() {
    let more = ["kafka-operator".to_string(), "kubevirt".to_string()];
    let selection = release().select("paas-proxmox", &more, &[], false).unwrap();
    assert_eq!(selection.bundle, "paas-full");
    assert_eq!(selection.disable.len(), 7, "named twice is written once");
    assert_eq!(selection.components.len(), 40);
}

#[test]
fn every_component_of_the_release_has_a_namespace_of_the_platform() {
    for component in release().select("paas-full", &[], &[], true).unwrap().components {
        assert!(component.namespace.starts_with("cozy-"), "{component:?}");
    }
}

const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----";

fn access(token_id: &str) -> ProxmoxAccess {
    ProxmoxAccess {
        url: "https://10.0.0.1:8006".parse().unwrap(),
        token_id: token_id.to_string(),
        token_secret: Secret::new("hunter2".to_string()),
        authority: Some(AUTHORITY.to_string()),
        insecure: false,
    }
}

fn csi() -> Vec<Object> {
    let input = CsiInput {
        proxmox: access("kubernetes-csi@pve!csi"),
        region: "pve".to_string(),
        storage: "local-lvm".to_string(),
        chart_version: "0.3.16".to_string(),
    };
    addons::proxmox_csi("run-1", &input)
}

fn capmox() -> Vec<Object> {
    addons::capmox("run-1", &capmox_input())
}

fn capmox_input() -> CapmoxInput {
    CapmoxInput {
        proxmox: access("capmox@pve!capi"),
        version: "v0.7.7".to_string(),
        ipam_version: "v1.0.3".to_string(),
        contract: "v1beta1".to_string(),
    }
}

#[test]
fn every_object_carries_the_marks_of_its_run_and_shows_no_secret() {
    let mut all = csi();
    all.extend(capmox());
    all.push(addons::linstor_pool("run-1", "data", "/dev/sdb"));
    all.extend(addons::storage_classes("run-1", "data", 3));
    all.extend(addons::address_pool("run-1", &["10.0.0.210-10.0.0.250".to_string()]));
    assert_eq!(all.len(), 14);
    for object in all {
        let labels = object.body.pointer("/metadata/labels").unwrap();
        assert_eq!(labels["app.kubernetes.io/managed-by"], "cozyup", "{object:?}");
        assert_eq!(labels["cozyup.dev/run"], "run-1", "{object:?}");
        assert_eq!(object.namespace.is_some(), object.kind.namespaced, "{object:?}");
        assert!(!format!("{object:?}").contains("hunter2"));
        if object.kind != Kind::SECRET {
            assert!(!object.body.to_string().contains("hunter2"), "{object:?}");
        }
    }
}

#[test]
fn the_csi_release_names_its_chart_the_way_the_lineage_webhook_survives() {
    let objects = csi();
    let kinds: Vec<&str> = objects.iter().map(|o| o.kind.kind).collect();
    assert_eq!(kinds, ["Namespace", "HelmRepository", "ConfigMap", "Secret", "HelmRelease"]);
    let spec = &objects[4].body["spec"];
    assert!(spec.get("chartRef").is_none());
    assert_eq!(spec["chart"]["spec"]["version"], "0.3.16");
    assert_eq!(spec["chart"]["spec"]["sourceRef"]["name"], objects[1].name.as_str());
    assert_eq!(spec["values"]["existingConfigSecret"], objects[3].name.as_str());
    let config = objects[3].body["stringData"]["config.yaml"].as_str().unwrap();
    let config: serde_yaml::Value = serde_saphyr::from_str(config).unwrap();
    assert_eq!(config["clusters"][0]["url"], "https://10.0.0.1:8006/api2/json");
    assert_eq!(config["clusters"][0]["token_secret"], "hunter2");
    // cozystack.md 2.6: with `capmox` each attach reads every VM of the site, and fails with the first node that is away.
    assert_eq!(config["features"]["provider"], "default");
    assert_eq!(objects[0].body["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "privileged");
}

/// cozystack.md 2.2, 2.3, 2.14
#[test]
fn both_add_ons_verify_proxmox_by_the_sites_authority_and_start_anew_with_new_credentials() {
    let (csi, capmox) = (csi(), capmox());
    assert_eq!(csi[2].body["data"]["ca.pem"], AUTHORITY);
    let values = &csi[4].body["spec"]["values"];
    assert_eq!(values["extraVolumes"][0]["configMap"]["name"], csi[2].name.as_str());
    assert!(values["extraVolumeMounts"][0]["mountPath"].as_str().unwrap().starts_with("/etc/ssl/certs/"));
    let digest = access("kubernetes-csi@pve!csi").digest();
    assert_eq!(values["controller"]["podAnnotations"]["cozyup.dev/credentials"], digest.as_str());
    let config = csi[3].body["stringData"]["config.yaml"].as_str().unwrap();
    assert!(config.contains(r#""insecure":false"#), "{config}");

    let manager = &capmox[3].body["spec"]["deployment"]["containers"][0];
    assert_eq!((&manager["name"], &manager["env"][0]["value"]), (&"manager".into(), &"false".into()));
    assert_eq!(manager["env"][0]["name"], "PROXMOX_INSECURE");
    assert_eq!(manager["env"][1]["value"], access("capmox@pve!capi").digest().as_str());
    assert!(manager["args"]["--proxmox-root-cert-file"].as_str().unwrap().ends_with("/ca.pem"));
    assert!(capmox[0].body["stringData"].get("PROXMOX_INSECURE").is_none(), "nothing reads that variable");
}

/// cozystack.md 2.9
#[test]
fn the_machine_providers_take_their_components_from_config_maps_and_fetch_nothing() {
    let objects = capmox();
    let input = capmox_input();
    let labels = |i: usize| objects[i].body["spec"]["fetchConfig"]["selector"]["matchLabels"].clone();
    let components = Components {
        text: "kind: Deployment\nspec: {template: {spec: {containers: [{name: manager}]}}}\n".into(),
        sha256: "ab".repeat(32),
    };
    for (provider, object, version) in [(Provider::Ipam, 2, "v1.0.3"), (Provider::Capmox, 3, "v0.7.7")] {
        assert!(objects[object].body["spec"]["fetchConfig"].get("url").is_none());
        let map = addons::provider_components("run-1", provider, &input, Some(&components)).unwrap();
        let own = &map.body["metadata"]["labels"];
        for (name, value) in labels(object).as_object().unwrap() {
            assert_eq!(&own[name], value);
        }
        assert_eq!(own["provider.cluster.x-k8s.io/version"], version);
        assert_eq!(map.body["metadata"]["annotations"]["cozyup.dev/sha256"], components.sha256.as_str());
        assert!(map.body["data"]["metadata"].as_str().unwrap().contains("v1beta1"));
        let mounted = map.body["data"]["components"].as_str().unwrap().contains("proxmox-authority");
        assert_eq!(mounted, provider == Provider::Capmox);
    }
    assert_eq!(objects[3].body["spec"]["configSecret"]["name"], objects[0].name.as_str());
    assert_eq!(objects[0].body["stringData"]["PROXMOX_URL"], "https://10.0.0.1:8006", "capmox appends the path itself");
}

#[test]
fn exactly_one_storage_class_is_the_default_and_both_use_the_pool() {
    let classes = addons::storage_classes("run-1", "data", 2);
    let default = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
    let defaults: Vec<&str> =
        classes.iter().filter(|c| c.body.pointer(default).is_some()).map(|c| c.name.as_str()).collect();
    assert_eq!(defaults, ["local"]);
    for class in &classes {
        assert_eq!(class.body["parameters"]["linstor.csi.linbit.com/storagePool"], "data");
    }
    assert_eq!(classes[1].body["parameters"]["linstor.csi.linbit.com/autoPlace"], "2");
    assert_eq!(classes[1].body["parameters"]["property.linstor.csi.linbit.com/DrbdOptions/auto-quorum"], "suspend-io");
}

#[test]
fn the_pool_takes_the_data_disk_of_every_node() {
    let pool = addons::linstor_pool("run-1", "data", "/dev/sdb");
    let entry = &pool.body["spec"]["storagePools"][0];
    assert_eq!((entry["name"].as_str(), entry["zfsPool"]["zPool"].as_str()), (Some("data"), Some("data")));
    assert_eq!(entry["source"]["hostDevices"][0], "/dev/sdb");
    assert!(pool.body["spec"].get("nodeSelector").is_none());
}

#[test]
fn the_root_tenant_is_patched_and_its_releases_are_known() {
    let root = TenantRoot { etcd: true, ingress: true, monitoring: false, seaweedfs: false };
    let patch = root.patch("cozy.example.com");
    assert_eq!((&patch["spec"]["etcd"], &patch["spec"]["monitoring"]), (&true.into(), &false.into()));
    assert_eq!(patch["spec"]["host"], "cozy.example.com");
    assert_eq!(root.releases(), ["tenant-root", "info", "etcd", "ingress", "ingress-nginx-system"]);
}
