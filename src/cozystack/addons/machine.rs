//! A VM that Cluster API makes: the whole chain of objects, since without any one of them no VM comes.
//!
//! capmox acts on a ProxmoxMachine only when a Machine owns it, its Cluster's infrastructure is ready and the Machine names
//! a Secret with bootstrap data (capmox v0.7.7, `internal/controller/proxmoxmachine_controller.go`). Namespaces are written
//! out: without Cluster API's webhooks nobody fills them in.
use super::{Maker, Object};
use crate::kubernetes::Kind;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// Cluster API's label for what belongs to a Cluster.
pub(super) const CLUSTER_LABEL: &str = "cluster.x-k8s.io/cluster-name";
/// Of every Secret that Cluster API reads.
pub(super) const SECRET_TYPE: &str = "cluster.x-k8s.io/secret";
const PORT: u16 = 6443;

/// What capmox makes VMs of.
#[derive(Clone)]
pub struct Shape {
    /// Proxmox node of the template.
    pub host: String,
    pub template: u32,
    /// Storage of the VM's disk.
    pub storage: String,
    pub bridge: String,
    pub vlan: Option<u16>,
    /// In bytes.
    pub mtu: Option<u16>,
    /// Resource pool that the VM goes to.
    pub pool: Option<String>,
    /// First and last VMID that capmox may take.
    pub vmids: (u32, u32),
    pub cores: u32,
    /// A multiple of 8.
    pub memory_mib: u64,
    /// Of the first disk; `None`: as the template's.
    pub disk_gib: Option<u64>,
    /// The VM's notes in Proxmox VE.
    pub notes: String,
}

/// Where capmox' VMs stand.
#[derive(Clone)]
pub struct Network {
    /// Of the control plane. Not among `addresses`.
    pub endpoint: Ipv4Addr,
    /// `10.0.0.181-10.0.0.185`
    pub addresses: String,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
    pub dns: Vec<Ipv4Addr>,
}

/// One VM, cloned from the template, that joins nothing: nobody ever starts its control plane.
pub struct MachineTest {
    /// Name of the Cluster; the machine is `NAME-0`.
    pub name: String,
    pub namespace: String,
    pub shape: Shape,
    pub network: Network,
}

impl MachineTest {
    /// Of Machine, ProxmoxMachine and VM.
    pub fn machine(&self) -> String {
        format!("{}-0", self.name)
    }

    fn secret(&self) -> String {
        format!("{}-bootstrap", self.name)
    }
}

/// Secret, ProxmoxCluster, Cluster, ProxmoxMachine, Machine. Whoever deletes the Cluster deletes all of it in the right
/// order; deleting anything else first leaves finalizers behind.
pub fn machine_test(run: &str, input: &MachineTest) -> Vec<Object> {
    let maker = Maker::new(run, Some(&input.namespace));
    let of_cluster = [(CLUSTER_LABEL, input.name.as_str())];
    let secret = json!({
        "type": SECRET_TYPE,
        "stringData": {"format": "cloud-config", "value": "#cloud-config\n"},
    });
    let cluster = json!({"spec": {
        "controlPlaneEndpoint": input.network.endpoint(),
        "infrastructureRef": reference(Kind::PROXMOX_CLUSTER, &input.namespace, &input.name),
    }});
    let machine = json!({"spec": {
        "clusterName": input.name,
        "bootstrap": {"dataSecretName": input.secret()},
        "infrastructureRef": reference(Kind::PROXMOX_MACHINE, &input.namespace, &input.machine()),
    }});
    let proxmox_machine = json!({"spec": input.shape.spec()});
    vec![
        maker.labelled(Kind::SECRET, &input.secret(), &of_cluster, secret),
        maker.object(Kind::PROXMOX_CLUSTER, &input.name, json!({"spec": input.network.spec()})),
        maker.object(Kind::CLUSTER, &input.name, cluster),
        maker.labelled(Kind::PROXMOX_MACHINE, &input.machine(), &of_cluster, proxmox_machine),
        maker.labelled(Kind::MACHINE, &input.machine(), &of_cluster, machine),
    ]
}

pub(super) fn reference(kind: Kind, namespace: &str, name: &str) -> Value {
    json!({"apiVersion": kind.api_version(), "kind": kind.kind, "namespace": namespace, "name": name})
}

impl Network {
    pub(super) fn endpoint(&self) -> Value {
        json!({"host": self.endpoint, "port": PORT})
    }

    /// Of a ProxmoxCluster.
    pub(super) fn spec(&self) -> Value {
        json!({
            "controlPlaneEndpoint": self.endpoint(),
            "ipv4Config": {"addresses": [self.addresses], "prefix": self.prefix, "gateway": self.gateway, "metric": 100},
            "dnsServers": self.dns,
        })
    }
}

impl Shape {
    /// Of a ProxmoxMachine.
    pub(super) fn spec(&self) -> Value {
        let mut card = json!({"bridge": self.bridge, "model": "virtio"});
        if let Value::Object(card) = &mut card {
            let given = [("vlan", self.vlan), ("mtu", self.mtu)];
            card.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?.into()))));
        }
        let mut spec = json!({
            "sourceNode": self.host,
            "templateID": self.template,
            "full": true,
            "storage": self.storage,
            "numSockets": 1,
            "numCores": self.cores,
            "memoryMiB": self.memory_mib,
            "description": self.notes,
            "vmIDRange": {"start": self.vmids.0, "end": self.vmids.1},
            "network": {"default": card},
            // Talos' image has neither a guest agent nor cloud-init: without these capmox waits for them for ever.
            "checks": {"skipCloudInitStatus": true, "skipQemuGuestAgent": true},
        });
        if let Value::Object(spec) = &mut spec {
            if let Some(pool) = &self.pool {
                spec.insert("pool".into(), pool.as_str().into());
            }
            if let Some(size) = self.disk_gib {
                spec.insert("disks".into(), json!({"bootVolume": {"disk": "scsi0", "sizeGb": size}}));
            }
        }
        spec
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn input() -> MachineTest {
        let shape = Shape {
            host: "pve".into(),
            template: 9100,
            storage: "local-lvm".into(),
            bridge: "vmbr0".into(),
            vlan: Some(12),
            mtu: Some(1450),
            pool: None,
            vmids: (9500, 9509),
            cores: 1,
            memory_mib: 1024,
            disk_gib: None,
            notes: "cozyup-run=x.1".into(),
        };
        let network = Network {
            endpoint: Ipv4Addr::new(10, 0, 0, 180),
            addresses: "10.0.0.181-10.0.0.185".into(),
            prefix: 24,
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            dns: vec![Ipv4Addr::new(10, 0, 0, 1)],
        };
        MachineTest { name: "smoke".into(), namespace: "cozyup-vms".into(), shape, network }
    }

    #[test]
    fn every_reference_has_a_namespace_and_leads_to_one_of_the_objects() {
        let objects = machine_test("x.1", &input());
        for object in &objects {
            let Some(reference) = object.body.pointer("/spec/infrastructureRef") else { continue };
            assert_eq!(reference["namespace"], "cozyup-vms", "{object:?}");
            let there =
                objects.iter().any(|o| reference["kind"] == o.kind.kind && reference["name"] == o.name.as_str());
            assert!(there, "{object:?} refers to nothing: {reference}");
        }
        assert!(objects.iter().all(|o| o.namespace.as_deref() == Some("cozyup-vms")));
    }

    #[test]
    fn the_machine_has_an_owner_in_sight_and_bootstrap_data() {
        let objects = machine_test("x.1", &input());
        let of = |kind: Kind| objects.iter().find(|o| o.kind == kind).unwrap();
        let machine = of(Kind::MACHINE);
        assert_eq!(machine.body["spec"]["bootstrap"]["dataSecretName"], of(Kind::SECRET).name.as_str());
        assert_eq!(machine.body["spec"]["clusterName"], of(Kind::CLUSTER).name.as_str());
        let spec = &of(Kind::PROXMOX_MACHINE).body["spec"];
        assert_eq!(
            (&spec["network"]["default"]["vlan"], &spec["network"]["default"]["mtu"]),
            (&json!(12), &json!(1450))
        );
        assert_eq!(spec["memoryMiB"].as_u64().unwrap() % 8, 0);
        let pool = &of(Kind::PROXMOX_CLUSTER).body["spec"];
        assert_ne!(pool["ipv4Config"]["addresses"][0], pool["controlPlaneEndpoint"]["host"]);
    }
}
