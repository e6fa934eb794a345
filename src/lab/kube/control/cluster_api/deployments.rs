//! Cluster API core's MachineDeployment and MachineSet: so many machines of one template, and fewer or more of them.
use super::{
    CLUSTER_LABEL, CORE, INFRASTRUCTURE, again, control_plane, delete, gate, hold, keep_status, kubeadm, label, own,
    release,
};
use crate::kube::control::objects::{is_deleting, owned_by, set_condition, suffix, text, uid};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

const OF_DEPLOYMENT: &str = "cluster.x-k8s.io/deployment-name";
const OF_SET: &str = "cluster.x-k8s.io/set-name";
const FINALIZER: &str = "cluster.x-k8s.io/machinedeployment";
const SET_FINALIZER: &str = "cluster.x-k8s.io/machineset";
/// `preflightFailedRequeueAfter`
const PREFLIGHT_S: f64 = 15.0;

pub fn deployment(world: &mut World, key: &Key, object: &Value) {
    if !gate::core(world) {
        return;
    }
    let sets = of_owner(world, key, "machinesets", object);
    if is_deleting(object) {
        sets.iter().for_each(|(set, _)| delete(world, set));
        return if sets.is_empty() {
            release(world, key, FINALIZER)
        };
    }
    let cluster_key = Key::new(CORE, "clusters", &key.namespace, text(object, "/spec/clusterName"));
    let Some(cluster) = world.object(&cluster_key).cloned() else { return };
    hold(world, key, FINALIZER);
    own(world, key, &cluster, false);
    label(world, key, &cluster_key.name);
    // "missing MachineDeployment strategy": here nobody's webhook fills it in.
    if text(object, "/spec/strategy/type").is_empty() {
        return;
    }
    let Some(template) = template(&key.namespace, object).filter(|t| world.object(t).is_some()) else { return };
    own(world, &template, &cluster, false);
    label(world, &template, &cluster_key.name);
    let bootstrap = &object["spec"]["template"]["spec"]["bootstrap"]["configRef"];
    if bootstrap["kind"] == "KubeadmConfigTemplate" {
        let of = Key::new(kubeadm::GROUP, "kubeadmconfigtemplates", &key.namespace, text(bootstrap, "/name"));
        own(world, &of, &cluster, false);
        label(world, &of, &cluster_key.name);
    }
    // What the template is made of decides which set it is; sets of another one go down to nothing.
    let name = format!("{}-{}", key.name, suffix(&(uid(object), object["spec"]["template"].to_string()), 5));
    let wanted = &object["spec"]["replicas"];
    for (other, set) in sets.iter().filter(|(set, _)| set.name != name) {
        if set["spec"]["replicas"] != 0 {
            world.change_object(other, |s| s["spec"]["replicas"] = json!(0));
        }
    }
    let set_key = Key::new(CORE, "machinesets", &key.namespace, &name);
    match world.object(&set_key).cloned() {
        None => world.put_object(set_key.clone(), set_of(key, object, &cluster_key.name)),
        Some(set) if set["spec"]["replicas"] != *wanted => {
            world.change_object(&set_key, |s| s["spec"]["replicas"] = wanted.clone());
        }
        Some(_) => {}
    }
    tell(world, key, object, &sets);
}

/// How many machines there are, and which way their number goes.
fn tell(world: &mut World, key: &Key, object: &Value, sets: &[(Key, Value)]) {
    let total = |field: &str| -> u64 { sets.iter().filter_map(|(_, s)| s["status"][field].as_u64()).sum() };
    let (replicas, wanted) = (total("replicas"), object["spec"]["replicas"].as_u64().unwrap_or(1));
    let phase = match (replicas, total("readyReplicas")) {
        (there, _) if there > wanted => "ScalingDown",
        (_, ready) if ready < wanted => "ScalingUp",
        _ => "Running",
    };
    let mut after = object.clone();
    after["status"]["phase"] = json!(phase);
    after["status"]["observedGeneration"] = object["metadata"]["generation"].clone();
    for field in ["replicas", "readyReplicas", "availableReplicas"] {
        after["status"][field] = json!(total(field));
    }
    after["status"]["updatedReplicas"] = json!(replicas);
    keep_status(world, key, object, &after);
}

fn of_owner(world: &World, key: &Key, plural: &str, owner: &Value) -> Vec<(Key, Value)> {
    let owner = uid(owner);
    let is_its = |o: &Value| text(o, "/metadata/ownerReferences/0/uid") == owner;
    world.select(CORE, plural, Some(&key.namespace), is_its)
}

/// The ProxmoxMachineTemplate that a deployment or a set names.
fn template(namespace: &str, object: &Value) -> Option<Key> {
    let reference = &object["spec"]["template"]["spec"]["infrastructureRef"];
    (reference["kind"] == "ProxmoxMachineTemplate")
        .then(|| Key::new(INFRASTRUCTURE, "proxmoxmachinetemplates", namespace, text(reference, "/name")))
}

fn set_of(key: &Key, deployment: &Value, cluster: &str) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][CLUSTER_LABEL] = json!(cluster);
    template["metadata"]["labels"][OF_DEPLOYMENT] = json!(key.name);
    json!({
        "apiVersion": deployment["apiVersion"], "kind": "MachineSet",
        "metadata": {"labels": template["metadata"]["labels"], "ownerReferences": owned_by(deployment),
            "finalizers": [SET_FINALIZER]},
        "spec": {"clusterName": cluster, "replicas": deployment["spec"]["replicas"],
            "selector": deployment["spec"]["selector"], "template": template},
    })
}

pub fn set(world: &mut World, key: &Key, object: &Value) {
    if !gate::core(world) {
        return;
    }
    let machines = of_owner(world, key, "machines", object);
    if is_deleting(object) {
        machines.iter().for_each(|(machine, _)| delete(world, machine));
        return if machines.is_empty() {
            release(world, key, SET_FINALIZER)
        };
    }
    let at = seconds(world.now);
    let wanted = usize::try_from(object["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap_or_default();
    let mut after = object.clone();
    if machines.len() < wanted {
        match preflight(world, key, object) {
            Some(why) => {
                set_condition(&mut after, &at, "MachinesCreated", "False", "PreflightCheckFailed", &why);
                again(world, key, object, PREFLIGHT_S);
            }
            None => {
                set_condition(&mut after, &at, "MachinesCreated", "True", "", "");
                (machines.len()..wanted).for_each(|_| create(world, key, object));
            }
        }
    }
    // Those that go already count as deleted.
    let mut last = machines.clone();
    last.sort_by_key(|(_, machine)| !is_deleting(machine));
    for (machine, _) in last.iter().take(machines.len().saturating_sub(wanted)) {
        delete(world, machine);
    }
    let there = of_owner(world, key, "machines", object);
    let running = there.iter().filter(|(_, m)| m["status"]["phase"] == "Running").count();
    for (field, count) in [("replicas", there.len()), ("readyReplicas", running), ("availableReplicas", running)] {
        after["status"][field] = json!(count);
    }
    keep_status(world, key, object, &after);
}

/// Why no machine may be made now (`controlPlaneStablePreflightCheck`).
fn preflight(world: &World, key: &Key, set: &Value) -> Option<String> {
    let cluster = world.object(&Key::new(CORE, "clusters", &key.namespace, text(set, "/spec/clusterName")))?;
    let reference = control_plane::of(cluster, &key.namespace)?;
    let Some(object) = world.object(&reference) else {
        return Some(format!("failed to get ControlPlane {}", reference.name));
    };
    let wanted = object["spec"]["version"].as_str()?;
    let state = match object["status"]["version"].as_str() {
        None => "provisioning",
        Some(has) if has != wanted => "upgrading",
        Some(_) => return None,
    };
    Some(format!(
        "{} {} is {state} (\"ControlPlaneIsStable\" preflight check failed)",
        text(object, "/kind"),
        reference.name
    ))
}

/// The infrastructure's machine first, then the Machine, both under one name.
fn create(world: &mut World, key: &Key, set: &Value) {
    let Some(made_from) = template(&key.namespace, set) else { return };
    let Some(template) = world.object(&made_from).cloned() else { return };
    let draw = world.random.u64(..);
    let name = format!("{}-{}", key.name, suffix(&(uid(set), draw), 5));
    let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
    labels[OF_SET] = json!(key.name);
    let infrastructure = json!({
        "apiVersion": template["apiVersion"], "kind": "ProxmoxMachine",
        "metadata": {"labels": labels, "ownerReferences": [{"apiVersion": set["apiVersion"], "kind": "MachineSet",
            "name": key.name, "uid": set["metadata"]["uid"]}],
            "annotations": {"cluster.x-k8s.io/cloned-from-name": made_from.name,
                "cluster.x-k8s.io/cloned-from-groupkind": "ProxmoxMachineTemplate.infrastructure.cluster.x-k8s.io"}},
        "spec": template["spec"]["template"]["spec"],
    });
    world.put_object(Key::new(INFRASTRUCTURE, "proxmoxmachines", &key.namespace, &name), infrastructure);
    let mut spec = set["spec"]["template"]["spec"].clone();
    spec["infrastructureRef"] = json!({"apiVersion": template["apiVersion"], "kind": "ProxmoxMachine", "name": name,
        "namespace": key.namespace});
    if let Some(bootstrap) = kubeadm::config_of(world, &key.namespace, &spec["bootstrap"]) {
        let version = spec["bootstrap"]["configRef"]["apiVersion"].clone();
        let config = json!({"apiVersion": version, "kind": "KubeadmConfig",
            "metadata": {"labels": labels, "ownerReferences": [{"apiVersion": set["apiVersion"], "kind": "MachineSet",
                "name": key.name, "uid": set["metadata"]["uid"]}]},
            "spec": bootstrap});
        world.put_object(kubeadm::key(&key.namespace, &name), config);
        spec["bootstrap"] = json!({"configRef": {"apiVersion": version, "kind": "KubeadmConfig", "name": name,
            "namespace": key.namespace}});
    }
    let machine = json!({"apiVersion": set["apiVersion"], "kind": "Machine",
        "metadata": {"labels": labels, "ownerReferences": owned_by(set)}, "spec": spec});
    world.put_object(Key::new(CORE, "machines", &key.namespace, &name), machine);
    world.emit(key, "Normal", "SuccessfulCreate", &format!("Created machine \"{name}\""));
}
