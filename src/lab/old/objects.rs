//! The objects of the old cluster, in the shapes that its API server would show.
use super::{OldCluster, OldNode, OldPod, OldRelease, OldRepository, OldVolume, PodState};
use crate::kube::store::{Key, seconds};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What Kube-OVN's plugin says when its daemon is gone.
const NO_SOCKET: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: plugin \
     type=\"kube-ovn\" failed (add): RPC failed; request ip return dial unix /run/openvswitch/kube-ovn-daemon.sock: connect: no \
     such file or directory";

pub type Object = (Key, Value);

/// So many days before the lab began.
pub fn days_ago(now: Timestamp, days: i64) -> String {
    seconds(now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now))
}

pub fn all(old: &OldCluster, now: Timestamp) -> Vec<Object> {
    let mut all: Vec<Object> = vec![installer(old, now)];
    all.extend(settings(old));
    all.extend(old.nodes.iter().map(|n| node(n, old, now)));
    let mut namespaces: Vec<&str> = vec!["default", "kube-system", "cozy-system"];
    namespaces.extend(old.pods.iter().map(|p| p.namespace.as_str()));
    namespaces.extend(old.releases.iter().map(|r| r.namespace.as_str()));
    namespaces.sort_unstable();
    namespaces.dedup();
    all.extend(namespaces.into_iter().map(|name| namespace(name, old, now)));
    all.extend(old.pods.iter().flat_map(|p| pods(p, old, now)));
    all.extend(old.releases.iter().map(|r| release(r, old, now)));
    all.extend(old.repositories.iter().map(|r| repository(r, old, now)));
    all.extend((0..old.socket_warnings).map(|n| warning(n, now)));
    all.extend(old.volumes.iter().enumerate().flat_map(|(n, v)| volume(n, v, old, now)));
    all.extend(old.nodes.iter().map(|n| satellite(n, old, now)));
    all.push(certificate(now));
    all.extend(viewer());
    all
}

fn installer(old: &OldCluster, now: Timestamp) -> Object {
    let labels = json!({"app": "cozystack"});
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"creationTimestamp": days_ago(now, old.age_days), "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "hostNetwork": true, "containers": [{"name": "cozystack", "image": old.installer},
                {"name": "darkhttpd", "image": old.installer}]}}},
        "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}});
    (Key::new("apps", "deployments", "cozy-system", "cozystack"), object)
}

fn settings(old: &OldCluster) -> [Object; 2] {
    let map = |name: &str, data: Value| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": data});
        (Key::new("", "configmaps", "cozy-system", name), object)
    };
    [
        map("cozystack", json!({"bundle-name": old.bundle, "root-host": "example.org"})),
        map("cozystack-version", json!({"version": old.migration.to_string()})),
    ]
}

/// The platform labels those that it makes (packages/core/platform/templates/namespaces.yaml of v0.28).
fn namespace(name: &str, old: &OldCluster, now: Timestamp) -> Object {
    let labels = if name.starts_with("cozy-") { json!({"cozystack.io/system": "true"}) } else { json!({}) };
    let object = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"creationTimestamp": days_ago(now, old.age_days), "labels": labels},
        "status": {"phase": "Active"}});
    (Key::new("", "namespaces", "", name), object)
}

fn node(of: &OldNode, old: &OldCluster, now: Timestamp) -> Object {
    let mut labels = json!({"kubernetes.io/hostname": of.name});
    if of.control_plane {
        labels["node-role.kubernetes.io/control-plane"] = json!("");
    }
    let room = json!({"cpu": of.cores.to_string(), "memory": format!("{}Gi", of.memory_gib), "pods": "110"});
    let object = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"labels": labels, "creationTimestamp": days_ago(now, old.age_days)}, "spec": {},
        "status": {"capacity": room, "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
                "lastTransitionTime": days_ago(now, old.age_days)}],
            "nodeInfo": {"kubeletVersion": old.kubernetes, "osImage": of.os, "architecture": "amd64", "operatingSystem": "linux"}}});
    (Key::new("", "nodes", "", &of.name), object)
}

fn pods(of: &OldPod, old: &OldCluster, now: Timestamp) -> Vec<Object> {
    match &of.node {
        Some(node) => vec![pod(of, &of.name, node, old, now)],
        None => old
            .nodes
            .iter()
            .map(|n| pod(of, &format!("{}-{}", of.name, n.name.replace('.', "-")), &n.name, old, now))
            .collect(),
    }
}

fn pod(of: &OldPod, name: &str, node: &str, old: &OldCluster, now: Timestamp) -> Object {
    let image = of.image.clone().unwrap_or_else(|| format!("ghcr.io/cozystack/cozystack/{}:v0.28.0", of.name));
    let mut object = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"creationTimestamp": days_ago(now, if of.state == PodState::Running { old.age_days } else { of.days })},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": image,
            "resources": {"requests": {"cpu": format!("{}m", of.cpu)}}}]},
        "status": status(of, &image, now)});
    if of.state == PodState::Init {
        // A status names containers of its spec; k9s 0.50 ends where it names another one.
        object["spec"]["initContainers"] = json!([{"name": "init", "image": image}]);
    }
    (Key::new("", "pods", &of.namespace, name), object)
}

fn status(of: &OldPod, image: &str, now: Timestamp) -> Value {
    let since = days_ago(now, of.days);
    let ready = |status: &str| json!([{"type": "Ready", "status": status, "lastTransitionTime": since}]);
    let waits = |reason: &str, restarts: u32| {
        json!({"phase": "Pending", "podIP": "10.244.1.7", "conditions": ready("False"), "containerStatuses": [{"name": "main",
            "image": image, "ready": false, "restartCount": restarts, "state": {"waiting": {"reason": reason}}}]})
    };
    match of.state {
        PodState::Running => {
            json!({"phase": "Running", "podIP": "10.244.1.7", "conditions": ready("True"), "containerStatuses": [
            {"name": "main", "image": image, "ready": true, "restartCount": 2, "state": {"running": {"startedAt": since}}}]})
        }
        PodState::ImagePullBackOff => waits("ImagePullBackOff", 0),
        PodState::CrashLoopBackOff => {
            let mut status = waits("CrashLoopBackOff", 4711);
            status["phase"] = json!("Running");
            status["containerStatuses"][0]["lastState"] =
                json!({"terminated": {"exitCode": 1, "reason": "Error", "startedAt": since, "finishedAt": since}});
            status
        }
        PodState::OutOfCpu => json!({"phase": "Failed", "reason": "OutOfcpu", "startTime": since,
            "message": "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 11900, capacity: 12000"}),
        PodState::Init => json!({"phase": "Pending", "conditions": ready("False"),
            "initContainerStatuses": [{"name": "init", "image": image, "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "PodInitializing"}}}],
            "containerStatuses": [{"name": "main", "image": image, "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "PodInitializing"}}}]}),
        PodState::Unknown => json!({"phase": "Unknown", "reason": "NodeLost", "conditions": ready("Unknown")}),
    }
}

pub fn release(of: &OldRelease, old: &OldCluster, now: Timestamp) -> Object {
    let since = days_ago(now, of.days);
    let ready = match &of.fails {
        None => json!({"type": "Ready", "status": "True", "reason": "UpgradeSucceeded", "lastTransitionTime": since,
            "message": format!("Helm upgrade succeeded for release {}/{}.v3", of.namespace, of.name), "observedGeneration": 1}),
        Some(reason) => json!({"type": "Ready", "status": "False", "reason": reason, "lastTransitionTime": since,
            "message": format!("{reason}: {}", of.name), "observedGeneration": 1}),
    };
    let mut values = match of.old_resources {
        true => json!({"resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}}),
        false => json!({"replicas": 2}),
    };
    for (name, value) in &of.values {
        values[name.as_str()] = value.clone();
    }
    // The API of the apps makes those of tenants (packages/system/cozystack-api of v0.28), the platform all others.
    let (label, source, home) = match of.namespace.starts_with("tenant-") {
        true => ("cozystack.io/ui", "cozystack-apps", "cozy-public"),
        false => ("cozystack.io/system-app", "cozystack-system", "cozy-system"),
    };
    let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"generation": 1, "creationTimestamp": days_ago(now, old.age_days), "labels": {label: "true"}},
        "spec": {"interval": "5m", "values": values, "chart": {"spec": {"chart": format!("cozy-{}", of.name),
            "sourceRef": {"kind": "HelmRepository", "name": source, "namespace": home}}}},
        "status": {"observedGeneration": 1, "conditions": [ready]}});
    (Key::new("helm.toolkit.fluxcd.io", "helmreleases", &of.namespace, &of.name), object)
}

fn repository(of: &OldRepository, old: &OldCluster, now: Timestamp) -> Object {
    let (status, reason, message) = match of.fails {
        false => ("True", "Succeeded", "stored artifact"),
        true => (
            "False",
            "Failed",
            "failed to fetch Helm repository index: dial tcp: lookup cozystack.cozy-system.svc: i/o timeout",
        ),
    };
    let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"generation": 1, "creationTimestamp": days_ago(now, old.age_days)},
        "spec": {"interval": "5m", "url": format!("http://cozystack.cozy-system.svc/repos/{}", of.name)},
        "status": {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": days_ago(now, of.days)}]}});
    (Key::new("source.toolkit.fluxcd.io", "helmrepositories", "cozy-system", &of.name), object)
}

fn warning(n: usize, now: Timestamp) -> Object {
    let at = days_ago(now, 0);
    let object = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"creationTimestamp": at}, "type": "Warning",
        "reason": "FailedCreatePodSandBox", "message": NO_SOCKET, "count": 40, "firstTimestamp": at, "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": format!("app-{n}")}, "source": {"component": "kubelet"}});
    (Key::new("", "events", "default", &format!("app-{n}.17e0")), object)
}

fn volume(n: usize, of: &OldVolume, old: &OldCluster, now: Timestamp) -> Vec<Object> {
    let (name, created) = (format!("pvc-{n:04}"), days_ago(now, old.age_days));
    let size = format!("{}Gi", of.gib);
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"creationTimestamp": created},
        "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": of.class,
            "persistentVolumeReclaimPolicy": "Retain", "csi": {"driver": "linstor.csi.linbit.com", "volumeHandle": name},
            "claimRef": {"kind": "PersistentVolumeClaim", "namespace": of.namespace, "name": of.claim}},
        "status": {"phase": if of.orphaned { "Released" } else { "Bound" }}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"creationTimestamp": created},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": of.class, "volumeName": name,
            "resources": {"requests": {"storage": size}}},
        "status": {"phase": "Bound"}});
    let claim = (Key::new("", "persistentvolumeclaims", &of.namespace, &of.claim), claim);
    let volume = (Key::new("", "persistentvolumes", "", &name), volume);
    if of.orphaned { vec![volume] } else { vec![volume, claim] }
}

fn satellite(of: &OldNode, old: &OldCluster, now: Timestamp) -> Object {
    let since = days_ago(now, old.age_days);
    let holds =
        |kind: &str| json!({"type": kind, "status": "True", "reason": "AsExpected", "lastTransitionTime": since});
    let conditions = ["Applied", "Available", "Configured"].map(holds);
    let object = json!({"apiVersion": "piraeus.io/v1", "kind": "LinstorSatellite", "metadata": {"creationTimestamp": since},
        "spec": {"clusterRef": {"name": "linstorcluster"}}, "status": {"conditions": conditions}});
    (Key::new("piraeus.io", "linstorsatellites", "", &of.name), object)
}

fn certificate(now: Timestamp) -> Object {
    let object = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"creationTimestamp": days_ago(now, 30)},
        "spec": {"secretName": "linstor-api-tls", "issuerRef": {"kind": "Issuer", "name": "linstor-api-ca"}}, "status": {"notAfter": days_ago(now, -60),
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}});
    (Key::new("cert-manager.io", "certificates", "cozy-linstor", "linstor-api-tls"), object)
}

/// A user who may read nodes and pods, and nothing else.
fn viewer() -> [Object; 2] {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {},
        "rules": [{"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "viewer"},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "viewers"}]});
    [
        (Key::new(RBAC, "clusterroles", "", "viewer"), role),
        (Key::new(RBAC, "clusterrolebindings", "", "viewer"), binding),
    ]
}
