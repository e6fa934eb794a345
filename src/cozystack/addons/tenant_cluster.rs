//! A Kubernetes of a tenant: a control plane by Kamaji, as pods of the management cluster, and machines in Proxmox VE that join
//! it with kubeadm.
//!
//! CozyStack's own `kind: Kubernetes` (packages/apps/kubernetes at v0.37.2) makes its machines with KubeVirt alone. These are the
//! objects that its chart makes, with capmox' in the place of KubeVirt's, and an address of MetalLB's pool in the place of an
//! ingress: after docs/providers-proxmox.md of Kamaji's provider v0.15.1.
use super::machine::{Network, Shape, reference};
use super::workers::machine_deployment;
use super::{Maker, Object};
use crate::kubernetes::Kind;
use serde_json::{Value, json};

/// The networks inside the cluster, as CozyStack's chart has them: neither may be the management cluster's.
const PODS: &str = "10.243.0.0/16";
const SERVICES: &str = "10.95.0.0/16";

/// One such cluster.
pub struct TenantCluster {
    /// Of every object but the machines, which are `NAME-XXXXX-XXXXX`.
    pub name: String,
    pub namespace: String,
    /// Kamaji's DataStore: the etcd of the tenant, or of the one above it.
    pub data_store: String,
    pub shape: Shape,
    /// Its endpoint is not asked for: the control plane gets its address from MetalLB.
    pub network: Network,
    /// `v1.33.3`
    pub kubernetes_version: String,
}

impl TenantCluster {
    /// The Secret in which Cluster API keeps an administrator's kubeconfig.
    pub fn kubeconfig_secret(&self) -> String {
        format!("{}-kubeconfig", self.name)
    }

    /// ProxmoxCluster, KamajiControlPlane, Cluster.
    pub fn control_plane(&self, run: &str) -> Vec<Object> {
        let maker = Maker::new(run, Some(&self.namespace));
        let mut proxmox_cluster = self.network.spec();
        if let Value::Object(spec) = &mut proxmox_cluster {
            // An endpoint without a host is refused by the definition; Kamaji's provider writes the whole.
            spec.remove("controlPlaneEndpoint");
            spec.insert("externalManagedControlPlane".into(), true.into());
        }
        let control_plane = json!({"spec": {
            "version": self.kubernetes_version,
            "replicas": 2,
            "dataStoreName": self.data_store,
            "addons": {"coreDNS": {}, "kubeProxy": {}},
            "kubelet": {"cgroupfs": "systemd", "preferredAddressTypes": ["InternalIP", "ExternalIP"]},
            "network": {"serviceType": "LoadBalancer"},
            // A tenant's pods reach etcd by this label alone.
            "deployment": {"podAdditionalMetadata": {"labels": {"policy.cozystack.io/allow-to-etcd": "true"}}},
        }});
        let cluster = json!({"spec": {
            "clusterNetwork": {"pods": {"cidrBlocks": [PODS]}, "services": {"cidrBlocks": [SERVICES]}},
            "controlPlaneRef": reference(Kind::KAMAJI_CONTROL_PLANE, &self.namespace, &self.name),
            "infrastructureRef": reference(Kind::PROXMOX_CLUSTER, &self.namespace, &self.name),
        }});
        vec![
            maker.object(Kind::PROXMOX_CLUSTER, &self.name, json!({"spec": proxmox_cluster})),
            maker.object(Kind::KAMAJI_CONTROL_PLANE, &self.name, control_plane),
            maker.object(Kind::CLUSTER, &self.name, cluster),
        ]
    }

    /// KubeadmConfigTemplate, ProxmoxMachineTemplate, MachineDeployment.
    pub fn machines(&self, run: &str, replicas: u32) -> Vec<Object> {
        let maker = Maker::new(run, Some(&self.namespace));
        // cloud-init puts the VM's SMBIOS uuid there, which capmox writes as the instance's id (v0.7.7, `cloudinit.NewMetadata`).
        let provider_id = "proxmox://'{{ ds.meta_data.instance_id }}'";
        let join = json!({"spec": {"template": {"spec": {
            "joinConfiguration": {"nodeRegistration": {"kubeletExtraArgs": {"provider-id": provider_id}}},
        }}}});
        let bootstrap = reference(Kind::KUBEADM_CONFIG_TEMPLATE, &self.namespace, &self.name);
        let own = json!({"version": self.kubernetes_version, "bootstrap": {"configRef": bootstrap}});
        let deployment = machine_deployment(run, (&self.namespace, &self.name), replicas, own);
        vec![
            maker.object(Kind::KUBEADM_CONFIG_TEMPLATE, &self.name, join),
            maker.object(
                Kind::PROXMOX_MACHINE_TEMPLATE,
                &self.name,
                json!({"spec": {"template": {"spec": self.shape.spec()}}}),
            ),
            maker.object(Kind::MACHINE_DEPLOYMENT, &self.name, deployment),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::input;
    use super::*;

    fn cluster() -> TenantCluster {
        let input = input();
        TenantCluster {
            name: "cluster".into(),
            namespace: "tenant-cozyupcluster".into(),
            data_store: "tenant-root".into(),
            shape: input.shape,
            network: input.network,
            kubernetes_version: "v1.33.3".into(),
        }
    }

    #[test]
    fn every_reference_leads_to_one_of_the_objects_in_their_namespace() {
        let cluster = cluster();
        let objects: Vec<Object> = cluster.control_plane("x.1").into_iter().chain(cluster.machines("x.1", 2)).collect();
        let mut seen = 0;
        for object in &objects {
            for pointer in [
                "/spec/controlPlaneRef",
                "/spec/infrastructureRef",
                "/spec/template/spec/infrastructureRef",
                "/spec/template/spec/bootstrap/configRef",
            ] {
                let Some(reference) = object.body.pointer(pointer) else { continue };
                let leads = |o: &Object| {
                    reference["kind"] == o.kind.kind
                        && reference["name"] == o.name.as_str()
                        && reference["apiVersion"] == o.kind.api_version().as_str()
                        && reference["namespace"].as_str() == o.namespace.as_deref()
                };
                assert!(objects.iter().any(leads), "{object:?} refers to nothing: {reference}");
                seen += 1;
            }
        }
        assert_eq!(seen, 4);
    }

    /// capmox's definition asks for a port between 1 and 65535 where there is an endpoint, and Kamaji's provider refuses one that
    /// is not its own.
    #[test]
    fn no_endpoint_is_asked_for() {
        let objects = cluster().control_plane("x.1");
        for object in objects {
            assert!(object.body.pointer("/spec/controlPlaneEndpoint").is_none(), "{object:?}");
        }
    }
}
