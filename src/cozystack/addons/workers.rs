//! Machines that Cluster API makes and that join the cluster in which it runs: the management cluster is its own workload
//! cluster (docs/adr/008).
//!
//! Cluster API core empties and deletes a node only where a control plane calls itself externally managed
//! (v1.10.1, `isDeleteNodeAllowed`). The cluster's own control planes are no machines of Cluster API, so a KamajiControlPlane
//! stands for them: paused, so that Kamaji's provider (v0.15.1) does nothing with it, and with a status that cozyup writes.
use super::machine::{CLUSTER_LABEL, Network, SECRET_TYPE, Shape, reference};
use super::{MANAGED_BY, Maker, Object, RUN_LABEL};
use crate::base::secret::Secret;
use crate::kubernetes::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

const PAUSED: &str = "cluster.x-k8s.io/paused";
const DEPLOYMENT_LABEL: &str = "cluster.x-k8s.io/deployment-name";

/// Alike workers of one MachineDeployment.
pub struct Workers {
    /// Of Cluster, ProxmoxCluster, control plane, template and MachineDeployment; machines are `NAME-XXXXX-XXXXX`.
    pub name: String,
    pub namespace: String,
    pub shape: Shape,
    /// Its endpoint is the cluster's own.
    pub network: Network,
    /// `v1.33.3`
    pub kubernetes_version: String,
}

/// What a machine needs to join, and Cluster API to see its node. Both hold keys of the cluster.
pub struct Keys {
    /// A worker's machine config that names no machine.
    pub machine_config: Secret<String>,
    /// `None`: the one that is in the cluster stays.
    pub kubeconfig: Option<Kubeconfig>,
}

/// Cluster API core's access to the cluster.
pub struct Kubeconfig {
    pub text: Secret<String>,
    /// Written beside it, so that it can be renewed in time; `None`: it goes before its end matters.
    pub until: Option<Timestamp>,
}

/// Annotation of the Secret with the kubeconfig: when its certificate ends.
pub const VALID_UNTIL: &str = "cozyup.dev/valid-until";

impl Workers {
    pub fn bootstrap_secret(&self) -> String {
        format!("{}-bootstrap", self.name)
    }

    /// Cluster API core looks for it under this name.
    pub fn kubeconfig_secret(&self) -> String {
        format!("{}-kubeconfig", self.name)
    }

    /// Two Secrets, ProxmoxCluster, KamajiControlPlane, Cluster, ProxmoxMachineTemplate: everything but the deployment.
    pub fn objects(&self, run: &str, keys: &Keys) -> Vec<Object> {
        let maker = Maker::new(run, Some(&self.namespace));
        let of_cluster = [(CLUSTER_LABEL, self.name.as_str())];
        let secret = |value: &Secret<String>, format: Option<&str>| {
            let mut data = json!({"value": value.expose()});
            if let (Some(format), Value::Object(data)) = (format, &mut data) {
                data.insert("format".into(), format.into());
            }
            json!({"type": SECRET_TYPE, "stringData": data})
        };
        let mut proxmox_cluster = self.network.spec();
        if let Value::Object(spec) = &mut proxmox_cluster {
            spec.insert("externalManagedControlPlane".into(), true.into());
        }
        let cluster = json!({"spec": {
            "controlPlaneEndpoint": self.network.endpoint(),
            "controlPlaneRef": reference(Kind::KAMAJI_CONTROL_PLANE, &self.namespace, &self.name),
            "infrastructureRef": reference(Kind::PROXMOX_CLUSTER, &self.namespace, &self.name),
        }});
        let control_plane = json!({
            "metadata": {"annotations": {PAUSED: "true"}},
            "spec": {"version": self.kubernetes_version, "controlPlaneEndpoint": self.network.endpoint()},
        });
        // capmox takes whatever is no ignition for cloud-init's, and lays it on the CD-ROM as it is.
        let mut objects = vec![maker.labelled(
            Kind::SECRET,
            &self.bootstrap_secret(),
            &of_cluster,
            secret(&keys.machine_config, Some("cloud-config")),
        )];
        if let Some(Kubeconfig { text, until }) = &keys.kubeconfig {
            let mut body = secret(text, None);
            if let (Some(until), Value::Object(body)) = (until, &mut body) {
                body.insert("metadata".into(), json!({"annotations": {VALID_UNTIL: until.to_string()}}));
            }
            objects.push(maker.labelled(Kind::SECRET, &self.kubeconfig_secret(), &of_cluster, body));
        }
        objects.extend([
            maker.object(Kind::PROXMOX_CLUSTER, &self.name, json!({"spec": proxmox_cluster})),
            maker.object(Kind::KAMAJI_CONTROL_PLANE, &self.name, control_plane),
            maker.object(Kind::CLUSTER, &self.name, cluster),
            maker.object(
                Kind::PROXMOX_MACHINE_TEMPLATE,
                &self.name,
                json!({"spec": {"template": {"spec": self.shape.spec()}}}),
            ),
        ]);
        objects
    }

    /// The control plane's status: it is there, and nobody's machines carry it. Every field that its definition requires.
    pub fn control_plane_status(&self) -> Value {
        json!({
            "initialized": true, "ready": true, "externalManagedControlPlane": true,
            "version": self.kubernetes_version,
            "replicas": 0, "readyReplicas": 0, "updatedReplicas": 0, "unavailableReplicas": 0, "selector": "",
        })
    }

    /// So many of them. The run's label goes on to every machine, so that they are told from others'.
    pub fn deployment(&self, run: &str, replicas: u32) -> Object {
        let own = json!({"bootstrap": {"dataSecretName": self.bootstrap_secret()}});
        let body = machine_deployment(run, (&self.namespace, &self.name), replicas, own);
        let maker = Maker::new(run, Some(&self.namespace));
        maker.labelled(Kind::MACHINE_DEPLOYMENT, &self.name, &[(CLUSTER_LABEL, &self.name)], body)
    }
}

/// A MachineDeployment of machines from the ProxmoxMachineTemplate of its own name; `own` is what else each machine's spec says.
pub(super) fn machine_deployment(run: &str, (namespace, name): (&str, &str), replicas: u32, own: Value) -> Value {
    let selected = json!({CLUSTER_LABEL: name, DEPLOYMENT_LABEL: name});
    let mut labels = selected.clone();
    if let Value::Object(labels) = &mut labels {
        labels.insert(MANAGED_BY.0.into(), MANAGED_BY.1.into());
        labels.insert(RUN_LABEL.into(), run.into());
    }
    let mut spec = own;
    if let Value::Object(spec) = &mut spec {
        spec.insert("clusterName".into(), name.into());
        let template = reference(Kind::PROXMOX_MACHINE_TEMPLATE, namespace, name);
        spec.insert("infrastructureRef".into(), template);
    }
    json!({"spec": {
        "clusterName": name,
        "replicas": replicas,
        // Core reconciles no deployment without one, and only its webhook fills it in.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": selected},
        "template": {"metadata": {"labels": labels}, "spec": spec},
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn workers() -> Workers {
        let shape = Shape {
            host: "pve".into(),
            template: 9100,
            storage: "local-lvm".into(),
            bridge: "vmbr0".into(),
            vlan: None,
            mtu: None,
            pool: None,
            vmids: (9500, 9509),
            cores: 2,
            memory_mib: 4096,
            disk_gib: Some(20),
            notes: "cozyup-run=x.1".into(),
        };
        let network = Network {
            endpoint: Ipv4Addr::new(10, 0, 0, 200),
            addresses: "10.0.0.181-10.0.0.185".into(),
            prefix: 24,
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            dns: vec![],
        };
        let kubernetes_version = "v1.33.3".into();
        Workers { name: "workers".into(), namespace: "cozyup-workers".into(), shape, network, kubernetes_version }
    }

    fn keys() -> Keys {
        let secret = |text: &str| Secret::new(text.to_string());
        let kubeconfig = Kubeconfig { text: secret("kind: Config\n"), until: None };
        Keys { machine_config: secret("version: v1alpha1\n"), kubeconfig: Some(kubeconfig) }
    }

    /// Kamaji's provider would make a control plane of its own, and lead the machines to it.
    #[test]
    fn the_control_plane_is_paused_and_calls_itself_external() {
        let objects = workers().objects("x.1", &keys());
        let found = objects.iter().find(|o| o.kind == Kind::KAMAJI_CONTROL_PLANE).unwrap();
        assert_eq!(found.body["metadata"]["annotations"][PAUSED], "true");
        let status = workers().control_plane_status();
        assert_eq!(status["externalManagedControlPlane"], true);
        // Core makes no machine while both differ.
        assert_eq!(found.body["spec"]["version"], status["version"]);
    }

    #[test]
    fn every_reference_leads_to_one_of_the_objects_and_every_machine_carries_the_runs_label() {
        let mut objects = workers().objects("x.1", &keys());
        objects.push(workers().deployment("x.1", 2));
        let there = |reference: &Value| {
            objects.iter().any(|o| {
                reference["kind"] == o.kind.kind
                    && reference["name"] == o.name.as_str()
                    && reference["namespace"].as_str() == o.namespace.as_deref()
            })
        };
        let of = |kind: Kind| &objects.iter().find(|o| o.kind == kind).unwrap().body;
        let (cluster, template) = (of(Kind::CLUSTER), &of(Kind::MACHINE_DEPLOYMENT)["spec"]["template"]);
        assert!(there(&cluster["spec"]["controlPlaneRef"]) && there(&cluster["spec"]["infrastructureRef"]));
        assert!(there(&template["spec"]["infrastructureRef"]));
        assert_eq!(template["metadata"]["labels"][RUN_LABEL], "x.1");
        let selected = of(Kind::MACHINE_DEPLOYMENT)["spec"]["selector"]["matchLabels"].as_object().unwrap();
        assert!(selected.iter().all(|(key, value)| template["metadata"]["labels"][key] == *value));
    }

    #[test]
    fn a_kubeconfig_that_stays_says_when_it_ends_and_one_that_is_there_is_left_alone() {
        let until: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let with = |kubeconfig| Keys { kubeconfig, ..keys() };
        let own = |keys| {
            let all = workers().objects("x.1", &keys);
            all.into_iter().find(|o| o.name == "workers-kubeconfig").map(|o| o.body)
        };
        let text = Secret::new("kind: Config\n".to_string());
        let found = own(with(Some(Kubeconfig { text, until: Some(until) }))).unwrap();
        assert_eq!(found["metadata"]["annotations"][VALID_UNTIL], "2027-01-01T00:00:00Z");
        assert_eq!(found["metadata"]["labels"][CLUSTER_LABEL], "workers");
        assert!(own(with(None)).is_none());
    }

    #[test]
    fn no_key_of_the_cluster_is_shown() {
        let objects = workers().objects("x.1", &keys());
        assert!(!format!("{objects:?}").contains("v1alpha1"));
    }
}
