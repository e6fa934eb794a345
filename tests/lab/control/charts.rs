//! What CozyStack's own charts make of a cluster (cozystack/cozystack at v0.37.2), beside how they come up.
use super::*;
use cozyup::lab::kube::api;

const DEPLOYMENTS: [(&str, &str, u64); 24] = [
    ("cozy-cilium", "cilium-operator", 2),
    ("cozy-kubeovn", "ovn-central", 3),
    ("cozy-kubeovn", "kube-ovn-controller", 3),
    ("cozy-kubeovn", "kube-ovn-monitor", 1),
    ("cozy-kubeovn", "kube-ovn-webhook", 2),
    ("cozy-reloader", "reloader-reloader", 1),
    ("cozy-monitoring", "monitoring-agents-kube-state-metrics", 1),
    ("cozy-monitoring", "monitoring-agents-metrics-server", 1),
    ("cozy-objectstorage-controller", "container-object-storage-controller", 1),
    ("cozy-vertical-pod-autoscaler", "vertical-pod-autoscaler-admission-controller", 1),
    ("cozy-vertical-pod-autoscaler", "vertical-pod-autoscaler-recommender", 1),
    ("cozy-vertical-pod-autoscaler", "vertical-pod-autoscaler-updater", 1),
    ("cozy-mariadb-operator", "mariadb-operator", 1),
    ("cozy-mariadb-operator", "mariadb-operator-webhook", 1),
    ("cozy-mariadb-operator", "mariadb-operator-cert-controller", 1),
    ("cozy-rabbitmq-operator", "rabbitmq-cluster-operator", 1),
    ("cozy-rabbitmq-operator", "messaging-topology-operator", 1),
    ("cozy-snapshot-controller", "snapshot-controller", 2),
    ("cozy-snapshot-controller", "snapshot-validation-webhook", 2),
    ("cozy-linstor", "piraeus-operator-controller-manager", 1),
    ("cozy-cluster-api", "capi-controller-manager", 1),
    ("cozy-cluster-api", "capi-kubeadm-bootstrap-controller-manager", 1),
    ("cozy-cluster-api", "capi-kamaji-controller-manager", 1),
    ("cozy-cert-manager", "cert-manager-cainjector", 1),
];

const DAEMON_SETS: [(&str, &str); 5] = [
    ("cozy-kubeovn", "kube-ovn-pinger"),
    ("cozy-monitoring", "monitoring-agents-fluent-bit"),
    ("cozy-monitoring", "monitoring-agents-prometheus-node-exporter"),
    ("cozy-monitoring", "kube-rbac-proxy"),
    ("cozy-linstor", "linstor-satellite"),
];

/// cozystack.md 1.1, 1.2, 1.8: what the platform chart and the charts behind it really say.
#[tokio::test(start_paused = true)]
async fn releases_carry_the_values_of_the_settings_and_their_workloads_the_names_of_the_charts() {
    let site = Site::new(vec![]);
    let networks = [
        ("ipv4-pod-cidr", "10.244.0.0/16"),
        ("ipv4-pod-gateway", "10.244.0.1"),
        ("ipv4-svc-cidr", "10.96.0.0/16"),
        ("ipv4-join-cidr", "100.64.0.0/16"),
        ("telemetry-enabled", "false"),
    ];
    let over = ("values-kubeovn", "kube-ovn: {ipv4: {JOIN_CIDR: 100.65.0.0/16}, replicas: 1}");
    site.config(&[&networks[..], &[over]].concat());
    site.installer();
    site.until("all 41 releases are Ready", 1800, |w| all_ready(w, 41)).await;
    let kubeovn = site.get(&release("cozy-kubeovn", "kubeovn")).unwrap();
    let values = &kubeovn["spec"]["values"];
    assert_eq!(
        values["kube-ovn"]["ipv4"],
        json!({"POD_CIDR": "10.244.0.0/16", "POD_GATEWAY": "10.244.0.1", "SVC_CIDR": "10.96.0.0/16",
            "JOIN_CIDR": "100.65.0.0/16"})
    );
    assert_eq!(values["cozystack"]["nodesHash"].as_str().unwrap().len(), 64);
    let system = site.lab.look(system);
    let with = |field: &str| {
        let has = |r: &&Value| r.pointer(field).is_some_and(|v| !v.is_null());
        system.iter().filter(has).map(name).collect::<std::collections::BTreeSet<String>>()
    };
    assert_eq!(with("/spec/chart/spec/valuesFiles").into_iter().collect::<Vec<_>>(), ["cilium"]);
    let valued = [
        "cozystack-controller",
        "dashboard",
        "fluxcd",
        "kafka-operator",
        "kubeovn",
        "mariadb-operator",
        "monitoring-agents",
        "vertical-pod-autoscaler",
    ];
    assert_eq!(with("/spec/values"), valued.map(String::from).into());
    for (namespace, name, replicas) in DEPLOYMENTS {
        let found = site.get(&Key::new("apps", "deployments", namespace, name));
        let found = found.unwrap_or_else(|| panic!("no {name} in {namespace}"));
        assert_eq!(found["spec"]["replicas"], replicas, "{name}");
    }
    for (namespace, name) in DAEMON_SETS {
        assert!(site.get(&Key::new("apps", "daemonsets", namespace, name)).is_some(), "no {name} in {namespace}");
    }
    assert!(site.get(&Key::new("apps", "deployments", "cozy-linstor", "piraeus-operator-gencert")).is_none());
}

/// cozystack.md 1.3 to 1.7 and 1.10.
#[tokio::test(start_paused = true)]
async fn what_the_charts_make_beside_workloads_is_what_they_make_in_truth() {
    let site = Site::new(vec![]);
    site.platform().await;
    let of = |key: Key| site.get(&key).unwrap_or_else(|| panic!("no {key:?}"));
    let root = of(release("tenant-root", "tenant-root"));
    assert_eq!(root["spec"]["chart"]["spec"]["reconcileStrategy"], json!(null));
    let namespace = of(Key::new("", "namespaces", "", "tenant-root"));
    assert!(namespace["metadata"]["labels"]["tenant.cozystack.io/tenant-root"].is_null(), "{namespace}");
    assert_eq!(namespace["metadata"]["annotations"]["namespace.cozystack.io/etcd"], "tenant-root");
    assert_eq!(
        of(Key::new("", "namespaces", "", "cozy-cilium"))["metadata"]["annotations"]["helm.sh/resource-policy"],
        "keep"
    );
    let child = of(release("tenant-root", "info"));
    assert_eq!(child["metadata"]["labels"]["internal.cozystack.io/tenantmodule"], "true");
    assert_eq!((&child["spec"]["timeout"], &child["spec"]["upgrade"]["force"]), (&json!("10m"), &json!(true)));
    let repository =
        |namespace: &str, name: &str| of(Key::new("source.toolkit.fluxcd.io", "helmrepositories", namespace, name));
    let apps = repository("cozy-public", "cozystack-apps");
    assert_eq!(apps["metadata"]["labels"]["cozystack.io/ui"], "true");
    assert!(apps["status"]["artifact"]["path"].is_string() && apps["status"]["artifact"]["url"].is_string());
    // The chart of v0.37.2 gives it to the applications alone.
    assert!(repository("cozy-public", "cozystack-extra")["metadata"]["labels"]["cozystack.io/ui"].is_null());
    for (plural, name, version) in [
        ("coreproviders", "cluster-api", "v1.10.1-core"),
        ("bootstrapproviders", "kubeadm", "v1.10.1-bootstrap"),
        ("controlplaneproviders", "kamaji", "v0.15.1-cp"),
    ] {
        let provider = of(Key::new("operator.cluster.x-k8s.io", plural, "cozy-cluster-api", name));
        assert_eq!(provider["status"]["installedVersion"], version);
        assert!(provider["spec"]["fetchConfig"]["selector"].is_object(), "{provider}");
        assert!(of(Key::new("", "configmaps", "cozy-cluster-api", version))["binaryData"].is_object());
    }
    let cluster = of(Key::new("piraeus.io", "linstorclusters", "", "linstorcluster"));
    assert_eq!(cluster["spec"]["internalTLS"]["certManager"]["name"], "linstor-internal-ca");
    let properties = cluster["spec"]["properties"].as_array().unwrap();
    assert!(properties.contains(&json!({"name": "DrbdOptions/Net/ping-timeout", "value": "20"})), "{properties:?}");
    assert_eq!(cluster["spec"]["patches"].as_array().unwrap().len(), 3);
    for name in ["cozystack", "cozystack-plunger", "cozystack-reloader", "cozystack-talos"] {
        of(Key::new("piraeus.io", "linstorsatelliteconfigurations", "", name));
    }
    of(Key::new("snapshot.storage.k8s.io", "volumesnapshotclasses", "", "linstor-snapshots"));
}

/// cozystack.md section 2: the reviewers held the real schemas against what the lab's own controllers write.
#[tokio::test(start_paused = true)]
async fn what_the_labs_controllers_write_fits_the_definitions_of_its_kinds() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.pools("/dev/sdb");
    site.addresses("127.86.0.220-127.86.0.225");
    site.change(&Key::new("apps.cozystack.io", "tenants", "tenant-root", "root"), |t| {
        t["spec"]["etcd"] = json!(true);
        t["spec"]["ingress"] = json!(true);
    });
    site.until("etcd is Ready", 300, |w| object(w, &release("tenant-root", "etcd")).is_some_and(is_ready)).await;
    // cozystack.md 1.10: Kubernetes' own API shows its own certificate, the dashboard one by letsencrypt.
    site.config(&[("expose-services", "api,dashboard")]);
    site.until("the services are exposed", 60, |w| list(w, "networking.k8s.io", "ingresses").len() == 2).await;
    let ingress = |namespace, name| site.get(&Key::new("networking.k8s.io", "ingresses", namespace, name)).unwrap();
    let api_ingress = ingress("default", "kubernetes");
    assert!(api_ingress["spec"]["tls"].is_null(), "{api_ingress}");
    assert_eq!(api_ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/ssl-passthrough"], "true");
    let dashboard = ingress("cozy-dashboard", "dashboard-web-ingress");
    assert_eq!(dashboard["spec"]["tls"][0]["secretName"], "dashboard-web-tls");
    let misfits = || site.lab.look(|w| api::misfits(&w.cluster.as_ref().unwrap().store));
    assert_eq!(misfits(), Vec::<String>::new());
    site.apply(
        Key::new("piraeus.io", "linstorsatelliteconfigurations", "", "own"),
        json!({"apiVersion": "piraeus.io/v1", "kind": "LinstorSatelliteConfiguration", "metadata": {},
            "spec": {"deletionPolicy": "Keep", "ipFamilies": ["IPv5"], "patches": [{}], "colour": "red"}}),
    );
    let found = misfits();
    for part in ["spec.deletionPolicy", "spec.ipFamilies[0]", "spec.patches[0].patch: Required", "unknown spec.colour"]
    {
        assert!(found.iter().any(|line| line.contains(part)), "{part}: {found:#?}");
    }
}
