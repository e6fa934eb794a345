//! What happens inside the lab's cluster, driven by the world's timers: no sockets, no real time.
mod charts;
mod volumes;
use cozyup::base::clock::{Clock, between};
use cozyup::lab::kube::store::{Key, Resource};
use cozyup::lab::kube::{self, ControlPlaneFacts, NodeFacts};
use cozyup::lab::scenario::{Fault, FaultKind, Scenario};
use cozyup::lab::world::{Lab, World};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HELM: &str = "helm.toolkit.fluxcd.io";
const DISABLED: &str =
    "kubevirt-operator,kubevirt,kubevirt-instancetypes,kubevirt-cdi-operator,kubevirt-cdi,capi-providers-infraprovider";

/// A cluster on paused time, and the words of the tests.
pub struct Site {
    pub lab: Lab,
    start: Timestamp,
}

impl Site {
    /// A cluster of three control planes and a worker; their kubelets have registered.
    pub fn new(faults: Vec<Fault>) -> Site {
        let mut scenario: Scenario = serde_saphyr::from_str(include_str!("../../assets/lab/standard.yaml")).unwrap();
        scenario.faults = faults;
        let start = Timestamp::from_second(1_760_000_000).unwrap();
        let world = World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), start);
        let site = Site { lab: Lab::new(world, Clock::scaled(start, SystemTime::now(), 1.0)), start };
        site.lab.with(|world| {
            for number in 1..=3 {
                kube::control_plane_up(world, control_plane(number));
            }
            for number in 1..=3 {
                kube::register_node(world, node(&format!("cp{number}"), number, "controlplane"));
            }
            kube::register_node(world, node("worker1", 11, "worker"));
        });
        site
    }

    pub async fn wait(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        self.lab.with(|_| ());
    }

    /// Waits until `holds`, second by second; the seconds it took.
    async fn until(&self, what: &str, limit: u64, holds: impl Fn(&World) -> bool) -> u64 {
        for second in 0..=limit {
            if self.lab.look(&holds) {
                return second;
            }
            self.wait(1).await;
        }
        let open = self.lab.look(|w| {
            releases(w)
                .iter()
                .filter(|r| !is_ready(r))
                .map(|r| format!("{}: {}\n", name(r), ready(r)))
                .collect::<String>()
        });
        panic!("not after {limit} s: {what}\n{open}");
    }

    pub fn apply(&self, key: Key, object: Value) {
        self.lab.with(|world| {
            let now = world.now;
            world.cluster.as_mut().unwrap().store.put(key, object, now);
            kube::settle(world);
        });
    }

    pub fn change(&self, key: &Key, f: impl FnOnce(&mut Value)) {
        self.lab.with(|world| {
            let now = world.now;
            assert!(world.cluster.as_mut().unwrap().store.update(key, now, f), "{key:?} is not there");
            kube::settle(world);
        });
    }

    pub fn delete(&self, key: &Key) {
        self.lab.with(|world| {
            world.cluster.as_mut().unwrap().store.remove(key).unwrap();
            kube::settle(world);
        });
    }

    pub fn get(&self, key: &Key) -> Option<Value> {
        self.lab.look(|w| object(w, key).cloned())
    }

    fn config(&self, more: &[(&str, &str)]) {
        let mut data = json!({"bundle-name": "paas-full", "bundle-disable": DISABLED, "root-host": "cozy.example.org",
            "api-server-endpoint": "https://127.86.0.200:6443"});
        for (key, value) in more {
            data[*key] = json!(value);
        }
        self.apply(
            Key::new("", "configmaps", "cozy-system", "cozystack"),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": data}),
        );
    }

    fn installer(&self) {
        for part in include_str!("../../assets/lab/cozystack-installer.yaml").split("\n---\n") {
            let object: Value = serde_yaml::from_str(part).unwrap();
            let (group, plural) = match object["kind"].as_str().unwrap() {
                "Namespace" => ("", "namespaces"),
                "ServiceAccount" => ("", "serviceaccounts"),
                "Service" => ("", "services"),
                "ClusterRoleBinding" => ("rbac.authorization.k8s.io", "clusterrolebindings"),
                "Deployment" => ("apps", "deployments"),
                other => panic!("{other} in the installer"),
            };
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_string();
            self.apply(Key::new(group, plural, &namespace, &name(&object)), object);
        }
    }

    /// From the installer to the last of the platform's releases.
    pub async fn platform(&self) -> u64 {
        self.config(&[]);
        self.installer();
        self.until("all 41 releases are Ready", 1800, |w| all_ready(w, 41)).await
    }

    fn pools(&self, device: &str) {
        self.apply(
            Key::new("piraeus.io", "linstorsatelliteconfigurations", "", "cozystack-storage"),
            json!({"apiVersion": "piraeus.io/v1", "kind": "LinstorSatelliteConfiguration", "metadata": {},
                "spec": {"storagePools": [{"name": "data", "zfsPool": {"zPool": "data"},
                    "source": {"hostDevices": [device]}}]}}),
        );
        for (class, mode, place, remote, default) in
            [("local", "WaitForFirstConsumer", "1", "false", "true"), ("replicated", "Immediate", "3", "true", "false")]
        {
            self.apply(
                Key::new("storage.k8s.io", "storageclasses", "", class),
                json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                    "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": default}},
                    "provisioner": "linstor.csi.linbit.com", "volumeBindingMode": mode, "reclaimPolicy": "Delete",
                    "parameters": {"linstor.csi.linbit.com/storagePool": "data",
                        "linstor.csi.linbit.com/autoPlace": place,
                        "linstor.csi.linbit.com/allowRemoteVolumeAccess": remote}}),
            );
        }
    }

    fn addresses(&self, range: &str) {
        self.apply(
            Key::new("metallb.io", "ipaddresspools", "cozy-metallb", "cozystack"),
            json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {},
                "spec": {"addresses": [range], "autoAssign": true}}),
        );
        self.apply(
            Key::new("metallb.io", "l2advertisements", "cozy-metallb", "cozystack"),
            json!({"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "metadata": {},
                "spec": {"ipAddressPools": ["cozystack"]}}),
        );
    }

    fn namespace(&self, name: &str) {
        self.apply(
            Key::new("", "namespaces", "", name),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {}}),
        );
    }

    fn claim(&self, namespace: &str, name: &str, class: &str) {
        self.apply(
            claim(namespace, name),
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {},
                "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}}}}),
        );
    }

    fn script(&self, namespace: &str, name: &str, script: &str, claim: &str) {
        let mut spec = json!({"restartPolicy": "Never",
            "containers": [{"name": "probe", "image": "busybox:1.37", "command": ["sh", "-c", script]}]});
        if !claim.is_empty() {
            spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/data"}]);
            spec["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
        }
        self.apply(pod(namespace, name), json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}));
    }

    fn log(&self, namespace: &str, name: &str) -> String {
        self.lab.look(|w| kube::pod_log(w, namespace, name)).unwrap_or_default()
    }
}

fn control_plane(number: u8) -> ControlPlaneFacts {
    ControlPlaneFacts {
        name: format!("cp{number}"),
        address: Ipv4Addr::new(127, 86, 0, 200 + number),
        vip: Some(Ipv4Addr::new(127, 86, 0, 200)),
        ca_crt_pem: "certificate".into(),
        ca_key_pem: "key".into(),
        pod_cidr: "10.244.0.0/16".into(),
        service_cidr: "10.96.0.0/16".into(),
        dns_domain: "cozy.local".into(),
        kubernetes_version: "v1.33.3".into(),
    }
}

fn node(name: &str, number: u8, role: &str) -> NodeFacts {
    NodeFacts {
        name: name.into(),
        address: Ipv4Addr::new(127, 86, 0, 200 + number),
        role: role.into(),
        vmid: 1000 + u32::from(number),
        uuid: format!("00000000-0000-4000-8000-{number:012}"),
        cores: 8,
        memory_mib: 24576,
        mac: "bc:24:11:00:00:01".into(),
        labels: Default::default(),
        taints: Vec::new(),
        kubernetes_version: "v1.33.3".into(),
        talos_version: "v1.10.6".into(),
        data_disks: vec![("/dev/sdb".into(), 256)],
    }
}

fn pod(namespace: &str, name: &str) -> Key {
    Key::new("", "pods", namespace, name)
}

fn claim(namespace: &str, name: &str) -> Key {
    Key::new("", "persistentvolumeclaims", namespace, name)
}

fn release(namespace: &str, name: &str) -> Key {
    Key::new(HELM, "helmreleases", namespace, name)
}

fn object<'a>(world: &'a World, key: &Key) -> Option<&'a Value> {
    world.cluster.as_ref()?.store.get(key)
}

pub fn list(world: &World, group: &str, plural: &str) -> Vec<Value> {
    let resource = Resource::new(group, plural);
    world.cluster.as_ref().unwrap().store.list(&resource, None).map(|(_, o)| o.clone()).collect()
}

fn releases(world: &World) -> Vec<Value> {
    list(world, HELM, "helmreleases")
}

pub fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_string()
}

pub fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|c| c["type"] == kind).unwrap_or_default()
}

fn ready(object: &Value) -> Value {
    condition(object, "Ready")
}

fn is_ready(object: &Value) -> bool {
    ready(object)["status"] == "True" && ready(object)["observedGeneration"] == object["metadata"]["generation"]
}

fn system(world: &World) -> Vec<Value> {
    releases(world).into_iter().filter(|r| r["metadata"]["labels"]["cozystack.io/system-app"] == "true").collect()
}

fn all_ready(world: &World, count: usize) -> bool {
    let system = system(world);
    system.len() == count && system.iter().all(is_ready)
}

fn phase(world: &World, key: &Key) -> String {
    object(world, key).map(|o| o["status"]["phase"].as_str().unwrap_or_default().to_string()).unwrap_or_default()
}

fn nodes_ready(world: &World) -> usize {
    list(world, "", "nodes").iter().filter(|n| ready(n)["status"] == "True").count()
}

/// When the object's Ready turned True, in seconds since the start.
fn ready_at(site: &Site, object: &Value) -> u64 {
    let at: Timestamp = ready(object)["lastTransitionTime"].as_str().unwrap().parse().unwrap();
    between(site.start, at).as_secs()
}

#[tokio::test(start_paused = true)]
async fn every_release_waits_for_what_it_depends_on_and_all_forty_one_get_ready() {
    let site = Site::new(vec![]);
    let took = site.platform().await;
    let releases = site.lab.look(releases);
    let by_name: std::collections::BTreeMap<String, &Value> = releases.iter().map(|r| (name(r), r)).collect();
    for r in &releases {
        for dependency in r["spec"]["dependsOn"].as_array().into_iter().flatten() {
            let other = by_name[dependency["name"].as_str().unwrap()];
            assert!(ready_at(&site, other) <= ready_at(&site, r), "{} before {}", name(r), name(other));
        }
        assert_eq!(r["status"]["observedGeneration"], r["metadata"]["generation"], "{}", name(r));
        assert!(r["status"]["history"][0]["version"] == 1, "{}", name(r));
    }
    assert_eq!(by_name["cozy-proxy"]["spec"]["releaseName"], "cozystack");
    // The run takes as long as its longest chain says: nothing else holds it up.
    let chain: f64 = site.lab.look(|w| kube::longest_chain(&w.scenario, "paas-proxmox")).iter().map(|(_, s)| s).sum();
    let latency = site.lab.look(|w| w.scenario.latency.clone());
    let expected = chain + latency.installer_s + latency.flux_s;
    assert!((took as f64 - expected).abs() < 3.0, "took {took} s, the chain says {expected} s");
    let version = site.get(&Key::new("", "configmaps", "cozy-system", "cozystack-version")).unwrap();
    assert_eq!(version["data"]["version"], "21");
    for group in ["apps", "core"] {
        let key = Key::new("apiregistration.k8s.io", "apiservices", "", &format!("v1alpha1.{group}.cozystack.io"));
        assert_eq!(condition(&site.get(&key).unwrap(), "Available")["status"], "True");
    }
    assert!(site.get(&release("tenant-root", "info")).is_some());
    let tenant = site.get(&Key::new("apps.cozystack.io", "tenants", "tenant-root", "root")).unwrap();
    assert_eq!(tenant["spec"]["host"], "cozy.example.org");
    let unready = site
        .lab
        .look(|w| list(w, "", "pods").iter().filter(|p| ready(p)["status"] != "True").map(name).collect::<Vec<_>>());
    assert!(unready.is_empty(), "{unready:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_word_of_a_dependent_release_is_that_its_dependency_is_not_ready() {
    let site = Site::new(vec![]);
    site.config(&[]);
    site.installer();
    site.until("releases appear", 200, |w| !releases(w).is_empty()).await;
    let kubeovn = site.get(&release("cozy-kubeovn", "kubeovn")).unwrap();
    assert_eq!(ready(&kubeovn)["reason"], "DependencyNotReady");
    assert_eq!(ready(&kubeovn)["message"], "dependency 'cozy-cilium/cilium' is not ready");
    let cilium = site.get(&release("cozy-cilium", "cilium")).unwrap();
    assert_eq!(
        (ready(&cilium)["status"].clone(), ready(&cilium)["reason"].clone()),
        (json!("Unknown"), json!("Progressing"))
    );
}

#[tokio::test(start_paused = true)]
async fn nodes_stay_not_ready_until_cilium_and_kubeovn_are_installed() {
    let site = Site::new(vec![]);
    let node = site.get(&Key::new("", "nodes", "", "cp1")).unwrap();
    assert!(ready(&node)["message"].as_str().unwrap().ends_with("cni plugin not initialized"));
    assert_eq!(node["spec"]["taints"][0]["key"], "node.kubernetes.io/not-ready");
    assert_eq!(node["status"]["nodeInfo"]["osImage"], "Talos (v1.10.6)");
    site.config(&[]);
    site.installer();
    let kubeovn = release("cozy-kubeovn", "kubeovn");
    site.until("kubeovn is Ready", 600, |w| object(w, &kubeovn).is_some_and(is_ready)).await;
    assert_eq!(site.lab.look(nodes_ready), 0);
    let waited = site.until("nodes are Ready", 60, |w| nodes_ready(w) == 4).await;
    assert_eq!(waited, 15);
    let node = site.get(&Key::new("", "nodes", "", "worker1")).unwrap();
    assert_eq!(node["spec"]["taints"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_installer_crashes_with_its_reason_until_the_settings_are_there() {
    let site = Site::new(vec![]);
    site.installer();
    site.wait(60).await;
    let deployment = Key::new("apps", "deployments", "cozy-system", "cozystack");
    let available = |w: &World| object(w, &deployment).unwrap()["status"]["availableReplicas"].clone();
    assert_eq!(site.lab.look(available), json!(null));
    let pods = site.lab.look(|w| list(w, "", "pods"));
    let installer = pods.iter().find(|p| name(p).starts_with("cozystack-")).unwrap();
    assert!(site.log("cozy-system", &name(installer)).contains("configmaps \"cozystack\" not found"));
    assert_eq!(installer["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "CrashLoopBackOff");
    site.config(&[("root-host", "")]);
    site.wait(60).await;
    assert!(site.log("cozy-system", &name(installer)).contains("ERROR need root-host in cozystack ConfigMap"));
    site.config(&[("bundle-name", "paas-proxmox")]);
    site.wait(60).await;
    assert!(site.log("cozy-system", &name(installer)).contains("bundles/paas-proxmox.yaml"));
    site.config(&[]);
    site.until("the installer is available", 60, |w| available(w) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_stuck_release_fails_with_its_message_and_goes_on_when_the_fault_is_over() {
    let kind = FaultKind::ReleaseStuck { release: "cert-manager".into(), message: "webhook does not answer".into() };
    let site = Site::new(vec![Fault { kind, heal_s: Some(100.0), bit_at: None }]);
    site.config(&[]);
    site.installer();
    let key = release("cozy-cert-manager", "cert-manager");
    site.until("cert-manager has failed", 600, |w| {
        object(w, &key).is_some_and(|r| ready(r)["reason"] == "InstallFailed")
    })
    .await;
    let message = ready(&site.get(&key).unwrap())["message"].clone();
    assert!(message.as_str().unwrap().ends_with("webhook does not answer"), "{message}");
    let healed = site.until("cert-manager is Ready", 200, |w| object(w, &key).is_some_and(is_ready)).await;
    // Three attempts of 40 s, what was left of each taken back in 9 s, and a pause of 0.75 s and 1.5 s.
    assert_eq!(healed, 101);
    site.until("all are Ready", 900, |w| all_ready(w, 41)).await;
}

/// cozystack.md 2.10 to 2.13, as helm-controller v1.3.0 was seen to do it.
#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_not_ready_only_between_its_attempts_and_keeps_its_failures_all_the_while() {
    let kind = FaultKind::ReleaseStuck { release: "cert-manager".into(), message: "context deadline exceeded".into() };
    let site = Site::new(vec![Fault { kind, heal_s: None, bit_at: None }]);
    site.config(&[]);
    site.installer();
    let key = release("cozy-cert-manager", "cert-manager");
    site.until("it waits", 300, |w| object(w, &key).is_some_and(|r| ready(r)["reason"] == "DependencyNotReady")).await;
    let waits = site.get(&key).unwrap();
    assert_eq!(condition(&waits, "Reconciling")["message"], "Fulfilling prerequisites");
    assert_eq!((&waits["status"]["observedGeneration"], &waits["status"]["failures"]), (&json!(-1), &json!(null)));
    assert_eq!(waits["status"]["helmChart"], "cozy-system/cozy-cert-manager-cert-manager");
    let runs = |w: &World| object(w, &key).is_some_and(|r| ready(r)["status"] == "Unknown");
    let failed = |w: &World| object(w, &key).is_some_and(|r| ready(r)["reason"] == "InstallFailed");
    site.until("it is tried", 600, runs).await;
    assert_eq!(site.until("it has failed", 600, failed).await, 300);
    let first = condition(&site.get(&key).unwrap(), "Released");
    let message = "Helm install failed for release cozy-cert-manager/cert-manager with chart cozy-cert-manager@0.37.2: \
                   context deadline exceeded";
    assert_eq!((&first["reason"], &first["message"]), (&json!("InstallFailed"), &json!(message)));
    let mut pauses = Vec::new();
    for times in 1..=4 {
        pauses.push(site.until("it is tried again", 60, runs).await);
        let again = site.get(&key).unwrap();
        assert_eq!(condition(&again, "Released"), first, "the moment of the first failure stays");
        assert_eq!(condition(&again, "Remediated")["reason"], "UninstallSucceeded");
        assert_eq!((&again["status"]["failures"], &again["status"]["installFailures"]), (&json!(times), &json!(times)));
        assert_eq!(again["status"]["observedGeneration"], -1);
        assert_eq!(site.until("it has failed again", 600, failed).await, 300);
    }
    assert_eq!(pauses, [10, 11, 12, 15], "9 s to take it back, then twice as long as the last time");
    let workload = Key::new("apps", "deployments", "cozy-cert-manager", "cert-manager");
    site.wait(10).await;
    assert!(site.get(&workload).is_none(), "what the attempt brought is taken back");
    site.change(&key, |r| {
        for name in ["requestedAt", "forceAt", "resetAt"] {
            r["metadata"]["annotations"][format!("reconcile.fluxcd.io/{name}")] = json!("1760000000");
        }
    });
    let asked = site.get(&key).unwrap();
    assert_eq!(ready(&asked)["status"], "Unknown", "a person's request is answered at once");
    assert_eq!(asked["status"]["failures"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn a_component_that_is_disabled_later_is_removed() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.config(&[("bundle-disable", &format!("{DISABLED},redis-operator"))]);
    let key = release("cozy-redis-operator", "redis-operator");
    site.until("redis-operator is gone", 60, |w| object(w, &key).is_none()).await;
    site.wait(1).await;
    assert!(site.get(&Key::new("apps", "deployments", "cozy-redis-operator", "redis-operator")).is_none());
    assert!(site.lab.look(|w| all_ready(w, 40)));
}

#[tokio::test(start_paused = true)]
async fn a_pool_on_a_device_that_is_not_there_leaves_claims_pending_with_a_reason() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.namespace("probe");
    site.pools("/dev/sdx");
    site.claim("probe", "data", "replicated");
    site.wait(60).await;
    let satellite = site.get(&Key::new("piraeus.io", "linstorsatellites", "", "cp1")).unwrap();
    let configured = condition(&satellite, "Configured");
    assert_eq!(configured["status"], "False");
    assert!(configured["message"].as_str().unwrap().contains("/dev/sdx"));
    assert_eq!(site.lab.look(|w| phase(w, &claim("probe", "data"))), "Pending");
    let told = site.lab.look(|w| list(w, "", "events"));
    assert!(told.iter().any(|e| e["reason"] == "ProvisioningFailed" && e["involvedObject"]["name"] == "data"));
    site.pools("/dev/sdb");
    site.until("the claim is bound", 60, |w| phase(w, &claim("probe", "data")) == "Bound").await;
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_gets_the_next_free_address_and_a_socket_only_when_announced() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.namespace("probe");
    let labels = json!({"app": "web"});
    site.apply(
        Key::new("apps", "deployments", "probe", "web"),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "agnhost:2.53", "args": ["netexec"]}]}}}}),
    );
    let service = |name: &str| Key::new("", "services", "probe", name);
    let balanced = json!({"apiVersion": "v1", "kind": "Service", "metadata": {},
        "spec": {"type": "LoadBalancer", "selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}});
    site.apply(service("one"), balanced.clone());
    site.wait(30).await;
    assert!(site.get(&service("one")).unwrap().pointer("/status/loadBalancer/ingress").is_none());
    site.addresses("127.86.0.220-127.86.0.221");
    site.apply(service("two"), balanced.clone());
    site.apply(service("three"), balanced);
    site.wait(3).await;
    let address = |name: &str| {
        site.get(&service(name)).unwrap().pointer("/status/loadBalancer/ingress/0/ip").cloned().unwrap_or_default()
    };
    assert_eq!(
        [address("one"), address("two"), address("three")],
        [json!("127.86.0.220"), json!("127.86.0.221"), json!(null)]
    );
    let socket = |last: u8| SocketAddr::new(Ipv4Addr::new(127, 86, 0, last).into(), 80);
    assert!(site.lab.look(|w| w.listeners.contains_key(&socket(220))));
    let slices = site.lab.look(|w| list(w, "discovery.k8s.io", "endpointslices"));
    let slice = slices.iter().find(|s| s["metadata"]["labels"]["kubernetes.io/service-name"] == "one").unwrap();
    assert_eq!(slice["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(slice["endpoints"][0]["conditions"]["ready"], true);
    site.delete(&service("one"));
    assert!(!site.lab.look(|w| w.listeners.contains_key(&socket(220))));
    site.until("the one that waited has the address", 3, |w| w.listeners.contains_key(&socket(220))).await;
    site.delete(&Key::new("metallb.io", "l2advertisements", "cozy-metallb", "cozystack"));
    assert!(site.lab.look(|w| w.listeners.is_empty()), "nothing announces the pool any more");
}

#[tokio::test(start_paused = true)]
async fn the_root_tenant_gets_etcd_and_ingress_once_storage_and_addresses_are_there() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.change(&Key::new("apps.cozystack.io", "tenants", "tenant-root", "root"), |t| {
        t["spec"]["etcd"] = json!(true);
        t["spec"]["ingress"] = json!(true);
    });
    site.wait(300).await;
    let etcd = release("tenant-root", "etcd");
    assert!(!is_ready(&site.get(&etcd).unwrap()), "etcd needs a StorageClass");
    assert!(site.get(&release("tenant-root", "ingress-nginx-system")).is_some_and(|r| !is_ready(&r)));
    site.pools("/dev/sdb");
    site.addresses("127.86.0.220-127.86.0.225");
    site.until("etcd is Ready", 120, |w| object(w, &etcd).is_some_and(is_ready)).await;
    assert_eq!(
        site.get(&Key::new("apps", "statefulsets", "tenant-root", "etcd")).unwrap()["status"]["readyReplicas"],
        3
    );
    site.until("ingress is Ready", 10, |w| {
        object(w, &release("tenant-root", "ingress-nginx-system")).is_some_and(is_ready)
    })
    .await;
    site.config(&[("expose-services", "api,dashboard")]);
    site.wait(30).await;
    let hosts = site.lab.look(|w| {
        list(w, "networking.k8s.io", "ingresses")
            .iter()
            .map(|i| i["spec"]["rules"][0]["host"].clone())
            .collect::<Vec<_>>()
    });
    assert_eq!(hosts, ["dashboard.cozy.example.org", "api.cozy.example.org"]);
}

#[tokio::test(start_paused = true)]
async fn providers_of_the_core_s_contract_are_installed_and_newer_ones_refused() {
    let site = Site::new(vec![]);
    site.platform().await;
    let key = |name: &str| Key::new("operator.cluster.x-k8s.io", "infrastructureproviders", "cozy-cluster-api", name);
    let provider = |version: &str| {
        json!({"apiVersion": "operator.cluster.x-k8s.io/v1alpha2", "kind": "InfrastructureProvider", "metadata": {},
            "spec": {"version": version, "configSecret": {"name": "capmox-variables"},
                "fetchConfig": {"selector": {"matchLabels": {"infraprovider-components": "proxmox"}}}}})
    };
    site.apply(
        Key::new("", "configmaps", "cozy-cluster-api", "capmox-v0.7.4"),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {
            "infraprovider-components": "proxmox", "provider.cluster.x-k8s.io/version": "v0.7.4"}},
            "data": {"components": "---", "metadata": "---"}}),
    );
    site.apply(key("proxmox"), provider("v0.8.1"));
    let said = || condition(&site.get(&key("proxmox")).unwrap(), "PreflightCheckPassed");
    assert!(said()["message"].as_str().unwrap().contains("capmox-variables"));
    site.apply(
        Key::new("", "secrets", "cozy-cluster-api", "capmox-variables"),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {}}),
    );
    assert_eq!(said()["reason"], "CAPIVersionIncompatibility");
    site.change(&key("proxmox"), |p| p["spec"]["version"] = json!("v0.7.4"));
    site.until("the provider is Ready", 41, |w| ready(object(w, &key("proxmox")).unwrap())["status"] == "True").await;
    let provider = site.get(&key("proxmox")).unwrap();
    assert_eq!(provider["status"]["installedVersion"], "v0.7.4");
    assert_eq!(condition(&provider, "ProviderInstalled")["status"], "True");
    let deployment = Key::new("apps", "deployments", "cozy-cluster-api", "capmox-controller-manager");
    assert_eq!(condition(&site.get(&deployment).unwrap(), "Available")["status"], "True");
    assert!(site.lab.look(|w| w.cluster.as_ref().unwrap().serves("infrastructure.cluster.x-k8s.io")));
    // cozystack.md 2.15
    let managers = site.lab.look(|w| list(w, "", "pods"));
    let manager = managers.iter().map(name).find(|n| n.starts_with("capmox-controller-manager-")).unwrap();
    site.delete(&pod("cozy-cluster-api", &manager));
    let reason = |w: &World| ready(object(w, &key("proxmox")).unwrap())["reason"].clone();
    site.until("it lacks its manager", 5, |w| reason(w) == "MinimumReplicasUnavailable").await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_in_use_goes_only_after_its_pod() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.pools("/dev/sdb");
    site.namespace("probe");
    site.claim("probe", "data", "replicated");
    site.script("probe", "sleeper", "sleep 100000", "data");
    site.until("the pod runs", 60, |w| phase(w, &pod("probe", "sleeper")) == "Running").await;
    site.change(&claim("probe", "data"), |c| c["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    site.wait(60).await;
    assert!(site.get(&claim("probe", "data")).is_some());
    site.delete(&pod("probe", "sleeper"));
    assert!(site.get(&claim("probe", "data")).is_none());
}

fn driver_secret(id: &str, secret: &str) -> Value {
    let config = format!(
        "features: {{provider: capmox}}\nclusters:\n- url: https://127.86.0.10:8006/api2/json\n  \
         token_id: \"{id}\"\n  token_secret: \"{secret}\"\n  region: pve\n"
    );
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "stringData": {"config.yaml": config}})
}

#[tokio::test(start_paused = true)]
async fn the_proxmox_driver_wants_a_valid_token_and_makes_volumes_in_proxmox() {
    let site = Site::new(vec![]);
    site.platform().await;
    let namespace = "cozy-proxmox-csi";
    site.namespace(namespace);
    site.apply(
        Key::new("source.toolkit.fluxcd.io", "helmrepositories", namespace, "sergelogvinov"),
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "metadata": {},
            "spec": {"type": "oci", "url": "oci://charts.example.org"}}),
    );
    let (id, secret) = site.lab.look(|w| w.pve.installer_token());
    let secret_key = Key::new("", "secrets", namespace, "proxmox-csi-config");
    site.apply(secret_key.clone(), driver_secret(&id, "wrong"));
    let key = release(namespace, "proxmox-csi");
    site.apply(
        key.clone(),
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {},
            "spec": {"interval": "5m",
                "dependsOn": [{"name": "cilium", "namespace": "cozy-cilium"}, {"name": "kubeovn", "namespace": "cozy-kubeovn"}],
                "chart": {"spec": {"chart": "proxmox-csi-plugin", "version": "0.3.16",
                    "sourceRef": {"kind": "HelmRepository", "name": "sergelogvinov"}}},
                "values": {"existingConfigSecret": "proxmox-csi-config", "existingConfigSecretKey": "config.yaml",
                    "storageClass": [{"name": "proxmox", "storage": "local-lvm", "reclaimPolicy": "Delete", "fstype": "ext4"}]}}}),
    );
    site.wait(120).await;
    let said = condition(&site.get(&key).unwrap(), "Released");
    assert_eq!(said["reason"], "InstallFailed");
    assert!(said["message"].as_str().unwrap().contains("401"), "{said}");
    site.apply(secret_key, driver_secret(&id, secret.expose()));
    site.until("the driver is Ready", 120, |w| object(w, &key).is_some_and(is_ready)).await;
    brought_by_helm(&site, namespace);

    site.namespace("probe");
    site.claim("probe", "data", "proxmox");
    site.script("probe", "write", "echo kept > /data/file && cat /data/file", "data");
    site.wait(60).await;
    assert_eq!(site.lab.look(|w| phase(w, &claim("probe", "data"))), "Pending", "no node has topology labels");
    site.change(&Key::new("", "nodes", "", "cp2"), |n| {
        n["metadata"]["labels"]["topology.kubernetes.io/region"] = json!("pve");
        n["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("pve");
    });
    site.until("the pod has written", 60, |w| phase(w, &pod("probe", "write")) == "Succeeded").await;
    assert_eq!(site.get(&pod("probe", "write")).unwrap()["spec"]["nodeName"], "cp2");
    let csi_node = site.get(&Key::new("storage.k8s.io", "csinodes", "", "cp2")).unwrap();
    assert!(csi_node["spec"]["drivers"].as_array().unwrap().iter().any(|d| d["name"] == "csi.proxmox.sinextra.dev"));
    let volume = site.lab.look(|w| list(w, "", "persistentvolumes"))[0].clone();
    let handle = volume["spec"]["csi"]["volumeHandle"].as_str().unwrap().to_string();
    let disk = handle.strip_prefix("pve/pve/local-lvm/").unwrap().to_string();
    assert_eq!(disk, format!("vm-9999-{}", name(&volume)));
    let taken = site.lab.with(|w| w.pve.create_volume("local-lvm", &disk, 1));
    assert!(taken.is_err(), "the volume is in Proxmox");
    site.delete(&pod("probe", "write"));
    site.delete(&claim("probe", "data"));
    site.until("the volume is gone", 4, |w| list(w, "", "persistentvolumes").is_empty()).await;
    assert!(site.lab.with(|w| w.pve.create_volume("local-lvm", &disk, 1)).is_ok(), "it is gone from Proxmox too");
}

/// cozystack.md 1.9: the release's name is no part of the chart's, so Helm joins both.
fn brought_by_helm(site: &Site, namespace: &str) {
    assert!(site.get(&Key::new("storage.k8s.io", "csidrivers", "", "csi.proxmox.sinextra.dev")).is_some());
    for (plural, part) in [("deployments", "controller"), ("daemonsets", "node")] {
        let workload = Key::new("apps", plural, namespace, &format!("proxmox-csi-proxmox-csi-plugin-{part}"));
        assert!(site.get(&workload).is_some(), "{workload:?}");
    }
}

/// One request over a real socket; head and body of the answer.
async fn ask(site: &Site, namespace: &str, name: &str, port: u16, request: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let serving = kube::service::serve(server, site.lab.clone(), namespace.into(), name.into(), port);
    let asking = async {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::join!(serving, asking).1
}

#[tokio::test(start_paused = true)]
async fn a_service_answers_http_from_its_ready_pods_and_503_without_any() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.pools("/dev/sdb");
    site.addresses("127.86.0.220-127.86.0.225");
    site.namespace("probe");
    site.config(&[("expose-services", "dashboard")]);
    site.change(&Key::new("apps.cozystack.io", "tenants", "tenant-root", "root"), |t| {
        t["spec"]["ingress"] = json!(true)
    });
    site.apply(
        Key::new("", "services", "probe", "web"),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}}),
    );
    site.wait(200).await;
    // From here on sockets are real, so time is too.
    tokio::time::resume();
    let hostname = "GET /hostname HTTP/1.1\r\nHost: 127.86.0.220\r\nConnection: close\r\n\r\n";
    assert!(ask(&site, "probe", "web", 80, hostname).await.starts_with("HTTP/1.1 503 "));
    tokio::time::pause();
    site.apply(
        pod("probe", "web"),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
                "args": ["netexec", "--http-port=8080"]}]}}),
    );
    site.wait(10).await;
    tokio::time::resume();
    let answer = ask(&site, "probe", "web", 80, hostname).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nweb"), "{answer}");
    let page = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let known = ask(&site, "tenant-root", "root-ingress-controller", 80, &page("dashboard.cozy.example.org")).await;
    assert!(
        known.starts_with("HTTP/1.1 308 ") && known.contains("Location: https://dashboard.cozy.example.org/\r\n"),
        "{known}"
    );
    let unknown = ask(&site, "tenant-root", "root-ingress-controller", 80, &page("other.example.org")).await;
    assert!(unknown.starts_with("HTTP/1.1 404 ") && unknown.ends_with("default backend - 404"), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_namespace_takes_its_pods_volumes_and_sockets_along() {
    let site = Site::new(vec![]);
    site.platform().await;
    site.pools("/dev/sdb");
    site.addresses("127.86.0.220-127.86.0.225");
    site.namespace("probe");
    site.claim("probe", "data", "replicated");
    site.script("probe", "sleeper", "sleep 100000", "data");
    site.apply(
        Key::new("", "services", "probe", "web"),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}}),
    );
    site.until("the pod runs", 60, |w| phase(w, &pod("probe", "sleeper")) == "Running").await;
    assert!(!site.lab.look(|w| w.listeners.is_empty()));
    let namespace = Key::new("", "namespaces", "", "probe");
    site.change(&namespace, |n| n["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    assert_eq!(site.lab.look(|w| phase(w, &namespace)), "Terminating");
    let took = site.until("the namespace is gone", 20, |w| object(w, &namespace).is_none()).await;
    assert_eq!(took, 8);
    site.lab.look(|w| {
        let left: Vec<&Key> = w.cluster.as_ref().unwrap().store.keys().filter(|k| k.namespace == "probe").collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(list(w, "", "persistentvolumes").is_empty());
        assert!(w.listeners.is_empty());
    });
}

#[tokio::test(start_paused = true)]
async fn dns_answers_the_cluster_s_own_names_only() {
    let site = Site::new(vec![]);
    site.namespace("probe");
    site.script("probe", "early", "nslookup kubernetes.default.svc.cozy.local", "");
    site.wait(60).await;
    let early = site.get(&pod("probe", "early")).unwrap();
    assert_eq!(condition(&early, "PodScheduled")["reason"], "Unschedulable");
    site.platform().await;
    assert!(site.log("probe", "early").ends_with("Address: 10.96.0.1\n"));
    site.script("probe", "wrong", "nslookup kubernetes.default.svc.cluster.local", "");
    site.until("the wrong name fails", 20, |w| phase(w, &pod("probe", "wrong")) == "Failed").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_down_takes_its_pods_readiness_and_gives_it_back() {
    let site = Site::new(vec![]);
    site.platform().await;
    let daemon_set = Key::new("apps", "daemonsets", "cozy-cilium", "cilium");
    let available = |site: &Site| site.get(&daemon_set).unwrap()["status"]["numberAvailable"].clone();
    assert_eq!(available(&site), 4);
    site.lab.with(|w| kube::node_down(w, "worker1"));
    assert!(!site.lab.look(|w| kube::node_is_ready(w, "worker1")));
    assert_eq!(available(&site), 3);
    site.lab.with(|w| kube::register_node(w, node("worker1", 11, "worker")));
    site.until("the node is back", 20, |w| kube::node_is_ready(w, "worker1")).await;
    assert_eq!(available(&site), 4);
}
