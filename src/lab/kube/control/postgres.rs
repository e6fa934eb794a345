//! The application Postgres (packages/apps/postgres of CozyStack v0.37.2), and CloudNativePG's clusters as the operator makes
//! them: a claim and a pod for each instance, one after the other, three Services, and the Secrets.
//!
//! Simplified: the Jobs in which the operator makes an instance take no time of their own, there is no failover, and neither
//! backups nor restores are played.
use super::applications::{labelled, mark};
use super::objects::{is_deleting, is_true, owned_by, set_condition};
use super::{quota, releases};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

const GROUP: &str = "postgresql.cnpg.io";
const CLUSTER: &str = "cnpg.io/cluster";
const ROLE: &str = "cnpg.io/instanceRole";
const HEALTHY: &str = "Cluster in healthy state";

fn cluster_key(release: &Key) -> Key {
    Key::new(GROUP, "clusters", &release.namespace, &release.name)
}

fn password(world: &mut World) -> String {
    (0..16).map(|_| world.random.alphanumeric()).collect()
}

fn secret(world: &mut World, key: Key, labels: &Value, data: Vec<(String, String)>) {
    let data: Map<String, Value> = data.into_iter().map(|(k, v)| (k, json!(STANDARD.encode(v)))).collect();
    // A password stays as it is once it was drawn.
    if world.object(&key).is_none() {
        world.put_object(key, json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"labels": labels}, "data": data}));
    }
}

/// The chart's objects.
pub fn render(world: &mut World, key: &Key, release: &Value) {
    let values = &release["spec"]["values"];
    let labels = labelled(key);
    let users: Vec<String> = values["users"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let mut passwords = Vec::new();
    for user in users {
        let stated = values["users"][&user]["password"].as_str().map(str::to_string);
        let drawn = stated.unwrap_or_else(|| password(world));
        passwords.push((user, drawn));
    }
    if !passwords.is_empty() {
        let name = format!("{}-credentials", key.name);
        secret(world, Key::new("", "secrets", &key.namespace, &name), &labels, passwords);
    }
    let mut storage = json!({"size": values["size"].as_str().unwrap_or("10Gi")});
    if let Some(class) = values["storageClass"].as_str().filter(|c| !c.is_empty()) {
        storage["storageClass"] = json!(class);
    }
    // The preset `micro`: of CPU a tenth is requested.
    let resources = json!({"limits": {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "2Gi"},
        "requests": {"cpu": "50m", "memory": "256Mi", "ephemeral-storage": "52Mi"}});
    let cluster = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"labels": labels},
        "spec": {"instances": values["replicas"].as_u64().unwrap_or(2), "enableSuperuserAccess": true,
            "resources": resources, "storage": storage,
            "inheritedMetadata": {"labels": {"policy.cozystack.io/allow-to-apiserver": "true",
                "app.kubernetes.io/name": "postgres.apps.cozystack.io", "app.kubernetes.io/instance": key.name}}}});
    world.apply_object(cluster_key(key), cluster);
}

/// Somebody made, changed or removed a Cluster, or one of its pods changed.
pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if key.resource.plural != "clusters" {
        return;
    }
    if gone.is_some() {
        return collect(world, key);
    }
    let Some(cluster) = world.object(key).cloned().filter(|c| !is_deleting(c)) else { return };
    let owner = owned_by(&cluster);
    for (part, role) in [("rw", Some("primary")), ("ro", Some("replica")), ("r", None)] {
        let mut selector = json!({CLUSTER: key.name});
        if let Some(role) = role {
            selector[ROLE] = json!(role);
        }
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"labels": {CLUSTER: key.name}, "ownerReferences": owner},
            "spec": {"type": "ClusterIP", "selector": selector,
                "ports": [{"name": "postgres", "port": 5432, "targetPort": 5432, "protocol": "TCP"}]}});
        let own = Key::new("", "services", &key.namespace, &format!("{}-{part}", key.name));
        if world.object(&own).is_none() {
            world.put_object(own, service);
        }
    }
    let superuser = Key::new("", "secrets", &key.namespace, &format!("{}-superuser", key.name));
    if world.object(&superuser).is_none() {
        let drawn = vec![("username".to_string(), "postgres".to_string()), ("password".to_string(), password(world))];
        secret(world, superuser, &json!({CLUSTER: key.name}), drawn);
    }
    instances(world, key, &cluster);
}

/// The next instance, as soon as the one before it is ready.
fn instances(world: &mut World, key: &Key, cluster: &Value) {
    let wanted = cluster["spec"]["instances"].as_u64().unwrap_or(1);
    let mut ready = Vec::new();
    let mut phase = HEALTHY.to_string();
    for number in 1..=wanted {
        let name = format!("{}-{number}", key.name);
        let pod = Key::new("", "pods", &key.namespace, &name);
        if world.object(&pod).is_none()
            && let Err(why) = instance(world, key, cluster, &name, number == 1)
        {
            phase = format!("Cluster cannot proceed to reconciliation: {why}");
            break;
        }
        if !world.object(&pod).is_some_and(|p| is_true(p, "Ready")) {
            phase = if number == 1 { "Setting up primary".into() } else { format!("Creating a new replica {name}") };
            break;
        }
        ready.push(name);
    }
    let at = seconds(world.now);
    let is_healthy = phase == HEALTHY;
    let primary = format!("{}-1", key.name);
    world.change_object(key, |c| {
        c["status"]["instances"] = json!(wanted);
        c["status"]["readyInstances"] = json!(ready.len());
        c["status"]["phase"] = json!(phase);
        c["status"]["currentPrimary"] = json!(primary);
        let (status, reason) = if is_healthy { ("True", "ClusterIsReady") } else { ("False", "ClusterIsNotReady") };
        set_condition(
            c,
            &at,
            "Ready",
            status,
            reason,
            if is_healthy { "Cluster is Ready" } else { "Cluster Is Not Ready" },
        );
    });
    let place = (key.namespace.clone(), key.name.clone());
    if let Some(server) = world.state().and_then(|s| s.servers.get_mut(&place)) {
        server.primary = primary;
        server.instances = ready;
    }
}

/// # Errors
/// When the quota of the namespace refuses it.
fn instance(world: &mut World, key: &Key, cluster: &Value, name: &str, is_first: bool) -> Result<(), String> {
    let owner = owned_by(cluster);
    let mut labels = cluster["spec"]["inheritedMetadata"]["labels"].clone();
    labels[CLUSTER] = json!(key.name);
    labels["cnpg.io/instanceName"] = json!(name);
    let claim = Key::new("", "persistentvolumeclaims", &key.namespace, name);
    if world.object(&claim).is_none() {
        let storage = &cluster["spec"]["storage"];
        let mut spec =
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage["size"]}}});
        if storage["storageClass"].is_string() {
            spec["storageClassName"] = storage["storageClass"].clone();
        }
        let mut object = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"labels": labels, "ownerReferences": owner}, "spec": spec});
        quota::admit_to(world, &claim, &mut object)?;
        world.put_object(claim, object);
    }
    labels[ROLE] = json!(if is_first { "primary" } else { "replica" });
    labels["cnpg.io/podRole"] = json!("instance");
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": labels, "ownerReferences": owner},
        "spec": {"containers": [{"name": "postgres", "image": "ghcr.io/cloudnative-pg/postgresql:17.2",
                "resources": cluster["spec"]["resources"], "ports": [{"name": "postgresql", "containerPort": 5432}],
                "volumeMounts": [{"name": "pgdata", "mountPath": "/var/lib/postgresql/data"}]}],
            "volumes": [{"name": "pgdata", "persistentVolumeClaim": {"claimName": name}}]}});
    let own = Key::new("", "pods", &key.namespace, name);
    quota::admit_to(world, &own, &mut pod)?;
    world.put_object(own, pod);
    Ok(())
}

/// A pod of a Cluster changed or went.
pub fn pod_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(pod) = gone.or_else(|| world.object(key)) else { return };
    let Some(cluster) = pod["metadata"]["labels"][CLUSTER].as_str() else { return };
    let cluster = Key::new(GROUP, "clusters", &key.namespace, cluster);
    reconcile(world, &cluster, None);
    // Helm's hook waits for the primary.
    releases::owned_changed(world, &cluster, None);
}

/// What the Cluster owned goes with it.
fn collect(world: &mut World, key: &Key) {
    let of_it = |o: &Value| o["metadata"]["labels"][CLUSTER] == key.name.as_str();
    for plural in ["pods", "services", "secrets"] {
        for (own, _) in world.select("", plural, Some(&key.namespace), of_it) {
            world.remove_object(&own);
        }
    }
    let at = seconds(world.now);
    for (claim, _) in world.select("", "persistentvolumeclaims", Some(&key.namespace), of_it) {
        world.change_object(&claim, |c| c["metadata"]["deletionTimestamp"] = json!(at));
    }
    let place = (key.namespace.clone(), key.name.clone());
    if let Some(state) = world.state() {
        state.servers.remove(&place);
    }
}

/// Helm's hook after the install: it waits for the primary and makes users and databases. False while it waits.
pub fn hook(world: &mut World, key: &Key, release: &Value) -> bool {
    let primary = Key::new("", "pods", &key.namespace, &format!("{}-1", key.name));
    if !world.object(&primary).is_some_and(|p| is_true(p, "Ready")) {
        return false;
    }
    let place = (key.namespace.clone(), key.name.clone());
    let uid = mark(world, key);
    let credentials =
        world.object(&Key::new("", "secrets", &key.namespace, &format!("{}-credentials", key.name))).cloned();
    let passwords = credentials.iter().flat_map(|s| s["data"].as_object()).flatten().filter_map(|(user, value)| {
        let value = STANDARD.decode(value.as_str()?).ok()?;
        Some((user.clone(), String::from_utf8(value).ok()?))
    });
    let passwords = passwords.collect();
    let databases: Vec<String> = release["spec"]["values"]["databases"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(state) = world.state() {
        let server = state.servers.entry(place).or_default();
        server.primary.clone_from(&primary.name);
        if server.instances.is_empty() {
            server.instances.push(primary.name.clone());
        }
        server.passwords = passwords;
        for name in databases {
            server.databases.entry(name).or_default();
        }
    }
    if world.begin(format!("postgres hook {uid}")) {
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"annotations": {"helm.sh/hook": "post-install,post-upgrade"}},
            "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6}, "status": {"succeeded": 1}});
        world.apply_object(Key::new("batch", "jobs", &key.namespace, &format!("{}-init-job", key.name)), job);
        let cluster = cluster_key(key);
        reconcile(world, &cluster, None);
    }
    true
}

/// Takes the release's objects away. Helm waits for them, and not for what the operator made of the Cluster.
pub fn uninstalled(world: &mut World, key: &Key) -> bool {
    world.remove_object(&Key::new("", "secrets", &key.namespace, &format!("{}-credentials", key.name)));
    world.remove_object(&Key::new("batch", "jobs", &key.namespace, &format!("{}-init-job", key.name)));
    world.remove_object(&cluster_key(key));
    true
}
