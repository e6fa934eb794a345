//! Cluster API core in the lab: what makes machines, and what happens to their nodes (Cluster API v1.10.1).
use crate::control::{Site, condition, list, name};
use cozyup::lab::kube::store::Key;
use serde_json::{Value, json};

const CORE: &str = "cluster.x-k8s.io";
const INFRASTRUCTURE: &str = "infrastructure.cluster.x-k8s.io";
const CONTROL_PLANE: &str = "controlplane.cluster.x-k8s.io";

fn key(group: &str, plural: &str) -> Key {
    Key::new(group, plural, "vms", "w")
}

/// A Cluster whose control plane says `status` of itself, and a deployment of one machine. capmox is not there.
fn site(status: Value) -> Site {
    let site = Site::new(Vec::new());
    let object = |group: &str, kind: &str, rest: Value| {
        let mut object = json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {}});
        rest.as_object().unwrap().iter().for_each(|(field, value)| object[field] = value.clone());
        object
    };
    let provider = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let operator = "operator.cluster.x-k8s.io";
    site.apply(Key::new(operator, "coreproviders", "vms", "core"), object(operator, "CoreProvider", provider));
    let control_plane = json!({"spec": {"version": "v1.33.3"}, "status": status});
    let control_plane = object(CONTROL_PLANE, "KamajiControlPlane", control_plane);
    site.apply(key(CONTROL_PLANE, "kamajicontrolplanes"), control_plane);
    let cluster = json!({"spec": {"controlPlaneRef": {"kind": "KamajiControlPlane", "name": "w"}}});
    site.apply(key(CORE, "clusters"), object(CORE, "Cluster", cluster));
    let template = object(INFRASTRUCTURE, "ProxmoxMachineTemplate", json!({"spec": {"template": {"spec": {}}}}));
    site.apply(key(INFRASTRUCTURE, "proxmoxmachinetemplates"), template);
    let machine = json!({"clusterName": "w", "bootstrap": {"dataSecretName": "w"},
        "infrastructureRef": {"kind": "ProxmoxMachineTemplate", "name": "w"}});
    let deployment = json!({"spec": {"clusterName": "w", "replicas": 1, "selector": {}, "strategy": {"type": "RollingUpdate"},
        "template": {"metadata": {"labels": {}}, "spec": machine}}});
    site.apply(key(CORE, "machinedeployments"), object(CORE, "MachineDeployment", deployment));
    site
}

fn ready() -> Value {
    json!({"initialized": true, "ready": true, "version": "v1.33.3", "externalManagedControlPlane": true})
}

fn machines(site: &Site) -> Vec<Value> {
    site.lab.look(|world| list(world, CORE, "machines"))
}

#[tokio::test(start_paused = true)]
async fn no_machine_is_made_before_the_control_plane_has_its_version() {
    let site = site(json!({}));
    let sets = site.lab.look(|world| list(world, CORE, "machinesets"));
    assert!(machines(&site).is_empty());
    let why = condition(&sets[0], "MachinesCreated");
    assert!(why["message"].as_str().unwrap().contains("w is provisioning"), "{why}");
    site.change(&key(CONTROL_PLANE, "kamajicontrolplanes"), |object| object["status"] = ready());
    site.wait(15).await;
    assert_eq!(machines(&site).len(), 1);
}

/// Real core v1.10.1 says "missing MachineDeployment strategy", and does nothing.
#[tokio::test(start_paused = true)]
async fn a_deployment_without_a_strategy_makes_nothing() {
    let site = site(ready());
    let set = site.lab.look(|world| name(&list(world, CORE, "machinesets")[0]));
    assert_eq!(machines(&site).len(), 1);
    site.change(&key(CORE, "machinedeployments"), |d| {
        d["spec"]["strategy"] = Value::Null;
        d["spec"]["replicas"] = json!(3);
    });
    let wanted = site.get(&Key::new(CORE, "machinesets", "vms", &set)).unwrap()["spec"]["replicas"].clone();
    assert_eq!((wanted, machines(&site).len()), (json!(1), 1));
}

/// Deletes the only machine when its node carries a pod; the names of the pods and nodes that are left.
async fn deleted(status: Value) -> (Vec<String>, Vec<String>) {
    let site = site(status);
    let machine = &machines(&site)[0];
    let machine = Key::new(CORE, "machines", "vms", &name(machine));
    site.change(&machine, |m| m["status"]["nodeRef"] = json!({"kind": "Node", "name": "worker1"}));
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"nodeName": "worker1"}});
    site.apply(Key::new("", "pods", "vms", "p"), pod);
    site.change(&key(CORE, "machinedeployments"), |d| d["spec"]["replicas"] = json!(0));
    // capmox, which would let go of it, is not there.
    let of = Key::new(INFRASTRUCTURE, "proxmoxmachines", "vms", &machine.name);
    site.wait(60).await;
    if site.get(&of).is_some() {
        site.delete(&of);
    }
    site.wait(1).await;
    assert!(machines(&site).is_empty(), "{:?}", machines(&site));
    let names = |plural: &str| site.lab.look(|world| list(world, "", plural)).iter().map(name).collect::<Vec<String>>();
    let pods = names("pods").into_iter().filter(|name| name == "p").collect();
    (pods, names("nodes").into_iter().filter(|name| name == "worker1").collect())
}

#[tokio::test(start_paused = true)]
async fn a_node_is_drained_and_deleted_only_where_the_control_plane_is_external() {
    assert_eq!(deleted(ready()).await, (Vec::new(), Vec::new()));
    let own = json!({"initialized": true, "ready": true, "version": "v1.33.3"});
    assert_eq!(deleted(own).await, (vec!["p".to_string()], vec!["worker1".to_string()]));
}

#[tokio::test(start_paused = true)]
async fn kamaji_makes_a_control_plane_unless_it_is_paused() {
    let tenants = |site: &Site| site.lab.look(|world| list(world, "kamaji.clastix.io", "tenantcontrolplanes")).len();
    for (annotations, made) in [(json!({"cluster.x-k8s.io/paused": "true"}), 0), (json!({}), 1)] {
        let site = site(ready());
        site.change(&key(CONTROL_PLANE, "kamajicontrolplanes"), |object| {
            object["metadata"]["annotations"] = annotations
        });
        site.platform().await;
        site.wait(60).await;
        assert_eq!(tenants(&site), made);
    }
}
