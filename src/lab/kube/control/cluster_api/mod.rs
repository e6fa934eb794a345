//! Cluster API core, the in-cluster address provider and capmox: machines that are objects first and VMs then.
//!
//! What they do, in which order and under which conditions follows their sources (Cluster API v1.10.1, IPAM in-cluster
//! v1.0.3, capmox v0.7.7). What is left out stands in docs/LAB.md.
mod addresses;
mod clusters;
mod control_plane;
mod deployments;
mod drain;
mod gate;
mod infrastructure;
mod kamaji;
mod kubeadm;
mod machines;
pub mod proxmox;
mod virtual_machine;

pub use drain::DRAIN_RETRY_S;
pub use kamaji::{api as tenant_api, part_changed};
pub use kubeadm::guest_up;

use super::objects::{is_deleting, items, text, uid};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const CORE: &str = "cluster.x-k8s.io";
pub const INFRASTRUCTURE: &str = "infrastructure.cluster.x-k8s.io";
pub const IPAM: &str = "ipam.cluster.x-k8s.io";
/// Names the Cluster that an object belongs to.
pub const CLUSTER_LABEL: &str = "cluster.x-k8s.io/cluster-name";
/// What Cluster API core brings: group and plural of its kinds.
pub const BY_CORE: &[(&str, &str)] = &[
    (CORE, "clusters"),
    (CORE, "machines"),
    (CORE, "machinedeployments"),
    (CORE, "machinesets"),
    (IPAM, "ipaddresses"),
    (IPAM, "ipaddressclaims"),
];
/// What kubeadm's bootstrap provider brings.
pub const BY_BOOTSTRAP: &[(&str, &str)] =
    &[(kubeadm::GROUP, "kubeadmconfigs"), (kubeadm::GROUP, "kubeadmconfigtemplates")];
/// After how long capmox looks again at what is not ready, in seconds (`DefaultReconcilerRequeue`).
pub const REQUEUE_S: f64 = 10.0;

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if let Some(object) = gone {
        if key.resource.group == kamaji::GROUP {
            kamaji::gone(world, key);
        }
        collect(world, key, object);
        return wake(world, &key.namespace);
    }
    let Some(object) = world.object(key).cloned() else { return };
    match (key.resource.group.as_str(), key.resource.plural.as_str()) {
        (CORE, "clusters") => {
            clusters::reconcile(world, key, &object);
            control_plane::wake(world, &key.namespace);
            kubeadm::wake(world, &key.namespace);
        }
        (CORE, "machinedeployments") => deployments::deployment(world, key, &object),
        (CORE, "machinesets") => {
            deployments::set(world, key, &object);
            wake_sets(world, &key.namespace);
        }
        (CORE, "machines") => {
            machines::reconcile(world, key, &object);
            wake_sets(world, &key.namespace);
            // capmox watches Machines too.
            let of = Key::new(
                INFRASTRUCTURE,
                "proxmoxmachines",
                &key.namespace,
                text(&object, "/spec/infrastructureRef/name"),
            );
            if let Some(object) = world.object(&of).cloned() {
                virtual_machine::reconcile(world, &of, &object);
            }
        }
        (INFRASTRUCTURE, "proxmoxmachinetemplates") => wake_core(world, &key.namespace),
        (INFRASTRUCTURE, "proxmoxclusters") => {
            infrastructure::reconcile(world, key, &object);
            wake_core(world, &key.namespace);
        }
        (INFRASTRUCTURE, "proxmoxmachines") => {
            virtual_machine::reconcile(world, key, &object);
            wake_core(world, &key.namespace);
        }
        (IPAM, "ipaddressclaims") => addresses::reconcile(world, key, &object),
        (IPAM, "ipaddresses" | "inclusterippools") => wake_machines(world, &key.namespace),
        _ => of_a_tenant(world, key, &object),
    }
}

/// The control plane of a tenant's cluster, and what its machines join with.
fn of_a_tenant(world: &mut World, key: &Key, object: &Value) {
    match key.resource.group.as_str() {
        control_plane::GROUP => {
            control_plane::reconcile(world, key, object);
            wake_core(world, &key.namespace);
        }
        kamaji::GROUP if key.resource.plural == "tenantcontrolplanes" => {
            kamaji::reconcile(world, key, object);
            control_plane::wake(world, &key.namespace);
        }
        kubeadm::GROUP if key.resource.plural == "kubeadmconfigs" => {
            kubeadm::reconcile(world, key, object);
            wake_core(world, &key.namespace);
        }
        _ => {}
    }
}

/// A Secret or a provider changed: whoever waited for it looks again.
pub fn wake(world: &mut World, namespace: &str) {
    for (group, plural) in [(INFRASTRUCTURE, "proxmoxclusters"), (IPAM, "ipaddressclaims")] {
        for (key, object) in world.objects(group, plural, Some(namespace)) {
            match plural {
                "proxmoxclusters" => infrastructure::reconcile(world, &key, &object),
                _ => addresses::reconcile(world, &key, &object),
            }
        }
    }
    for (key, object) in world.objects(kamaji::GROUP, "tenantcontrolplanes", Some(namespace)) {
        kamaji::reconcile(world, &key, &object);
    }
    control_plane::wake(world, namespace);
    kubeadm::wake(world, namespace);
    wake_core(world, namespace);
    wake_machines(world, namespace);
}

/// A Deployment changed: a controller that has a pod looks at everything there is.
pub fn controller_changed(world: &mut World, key: &Key) {
    if gate::CONTROLLERS.contains(&key.name.as_str()) && world.object(key).is_some_and(gate::has_pods) {
        wake_all(world);
    }
}

/// [`wake`] in every namespace that has a Cluster.
pub fn wake_all(world: &mut World) {
    let namespaces: BTreeSet<String> =
        world.objects(CORE, "clusters", None).into_iter().map(|(key, _)| key.namespace).collect();
    for namespace in namespaces {
        wake(world, &namespace);
    }
}

fn wake_core(world: &mut World, namespace: &str) {
    for (key, object) in world.objects(CORE, "clusters", Some(namespace)) {
        clusters::reconcile(world, &key, &object);
    }
    for (key, object) in world.objects(CORE, "machines", Some(namespace)) {
        machines::reconcile(world, &key, &object);
    }
    wake_sets(world, namespace);
}

/// What makes machines looks again at how many there are.
fn wake_sets(world: &mut World, namespace: &str) {
    for (key, object) in world.objects(CORE, "machinesets", Some(namespace)) {
        deployments::set(world, &key, &object);
    }
    for (key, object) in world.objects(CORE, "machinedeployments", Some(namespace)) {
        deployments::deployment(world, &key, &object);
    }
}

/// A node came, changed or went.
pub fn nodes_changed(world: &mut World) {
    machines::nodes_changed(world);
}

fn wake_machines(world: &mut World, namespace: &str) {
    for (key, object) in world.objects(INFRASTRUCTURE, "proxmoxmachines", Some(namespace)) {
        virtual_machine::reconcile(world, &key, &object);
    }
}

/// Looks at the object again after `seconds`, once however often it is asked for.
fn again(world: &mut World, key: &Key, object: &Value, after: f64) {
    let mark = format!("again {} {}", key.resource.plural, uid(object));
    if !world.begin(mark.clone()) {
        return;
    }
    let (key, uid) = (key.clone(), uid(object));
    world.after(after, move |world| {
        world.done(&mark);
        if world.is_still(&key, &uid) {
            reconcile(world, &key, None);
            settle(world);
        }
    });
}

/// Removes what belongs to an owner that is gone, as the garbage collector does.
fn collect(world: &mut World, key: &Key, owner: &Value) {
    let owner = uid(owner);
    let owned = |object: &Value| items(object, "/metadata/ownerReferences").any(|o| o["uid"] == owner.as_str());
    const KINDS: [(&str, &str); 16] = [
        (CORE, "machinedeployments"),
        (CORE, "machinesets"),
        (CORE, "machines"),
        (control_plane::GROUP, "kamajicontrolplanes"),
        (kamaji::GROUP, "tenantcontrolplanes"),
        (kubeadm::GROUP, "kubeadmconfigs"),
        (kubeadm::GROUP, "kubeadmconfigtemplates"),
        ("apps", "deployments"),
        ("", "services"),
        (INFRASTRUCTURE, "proxmoxmachinetemplates"),
        (INFRASTRUCTURE, "proxmoxclusters"),
        (INFRASTRUCTURE, "proxmoxmachines"),
        (IPAM, "inclusterippools"),
        (IPAM, "ipaddressclaims"),
        (IPAM, "ipaddresses"),
        ("", "secrets"),
    ];
    for (group, plural) in KINDS {
        for (key, _) in world.select(group, plural, Some(&key.namespace), owned) {
            delete(world, &key);
        }
    }
}

/// Deletes as the API does: with a finalizer the object stays until its controller lets go.
fn delete(world: &mut World, key: &Key) {
    let Some(object) = world.object(key) else { return };
    if is_deleting(object) {
        return;
    }
    if items(object, "/metadata/finalizers").next().is_none() {
        world.remove_object(key);
        return;
    }
    let at = seconds(world.now);
    world.change_object(key, |object| {
        object["metadata"]["deletionTimestamp"] = json!(at);
        object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    });
}

/// Adds the finalizer; true when it was not there yet.
fn hold(world: &mut World, key: &Key, finalizer: &str) -> bool {
    let Some(object) = world.object(key) else { return false };
    if is_deleting(object) || items(object, "/metadata/finalizers").any(|f| f == finalizer) {
        return false;
    }
    world.change_object(key, |object| match object["metadata"]["finalizers"].as_array_mut() {
        Some(all) => all.push(json!(finalizer)),
        None => object["metadata"]["finalizers"] = json!([finalizer]),
    })
}

/// Takes the finalizer away; without any left an object that is being deleted goes.
fn release(world: &mut World, key: &Key, finalizer: &str) {
    world.change_object(key, |object| {
        if let Some(all) = object["metadata"]["finalizers"].as_array_mut() {
            all.retain(|f| f != finalizer);
        }
    });
    let is_over = |o: &Value| is_deleting(o) && items(o, "/metadata/finalizers").next().is_none();
    if world.object(key).is_some_and(is_over) {
        world.remove_object(key);
    }
}

/// Names the Cluster that the object belongs to.
fn label(world: &mut World, key: &Key, cluster: &str) {
    if world.object(key).is_some_and(|o| o["metadata"]["labels"][CLUSTER_LABEL] != cluster) {
        world.change_object(key, |o| o["metadata"]["labels"][CLUSTER_LABEL] = json!(cluster));
    }
}

/// Writes the status that `after` has, unless it says what was there before.
fn keep_status(world: &mut World, key: &Key, before: &Value, after: &Value) {
    if after["status"] != before["status"] {
        world.change_object(key, |o| o["status"] = after["status"].clone());
    }
}

/// Adds an owner reference unless the object has it.
fn own(world: &mut World, key: &Key, owner: &Value, controller: bool) {
    let Some(object) = world.object(key) else { return };
    if items(object, "/metadata/ownerReferences").any(|o| o["uid"] == owner["metadata"]["uid"]) {
        return;
    }
    let mut reference = json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]});
    if controller {
        reference["controller"] = json!(true);
        reference["blockOwnerDeletion"] = json!(true);
    }
    world.change_object(key, |object| match object["metadata"]["ownerReferences"].as_array_mut() {
        Some(all) => all.push(reference),
        None => object["metadata"]["ownerReferences"] = json!([reference]),
    });
}

/// The owner of this kind, if it is still there.
fn owner<'a>(world: &'a World, key: &Key, object: &Value, kind: &str, plural: &str) -> Option<(Key, &'a Value)> {
    let reference = items(object, "/metadata/ownerReferences").find(|o| o["kind"] == kind)?;
    let key = Key::new(CORE, plural, &key.namespace, text(reference, "/name"));
    let found = world.object(&key)?;
    Some((key, found))
}
