//! The Kubernetes of a tenant: an API server of its own in front of a store in which no controller acts. Kamaji makes it
//! (`control::cluster_api::kamaji`), and machines join it with kubeadm.
use super::Cluster;
use super::store::{Key, seconds, uuid};
use crate::machine::certificate::{self, Client};
use crate::machine::kubeconfig;
use crate::world::{Lab, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup_base::secret::Secret;
use serde_json::{Value, json};

/// The user of the kubeconfig.
const ADMIN: &str = "kubernetes-admin";

/// One tenant's cluster.
pub struct Tenant {
    pub lab: Lab,
    pub ca_crt_pem: String,
    pub ca_key_pem: Secret<String>,
}

impl Tenant {
    /// With what Kamaji puts into a new cluster; `None` when the certificate library fails.
    pub fn new(world: &World, kubernetes: &str) -> Option<Tenant> {
        let clock = world.clock.clone()?;
        let (ca_crt_pem, ca_key_pem) = certificate::authority().ok()?;
        let mut scenario = world.scenario.clone();
        // Those of the site are in front of its own APIs.
        scenario.disturbances.clear();
        let mut inner = World::new(scenario, world.base, world.now);
        let groups: [&str; 0] = [];
        let cluster = Cluster::still(ca_crt_pem.clone(), ca_key_pem.expose().to_string(), kubernetes.into(), groups);
        inner.cluster = Some(cluster);
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {}, "status": {"phase": "Active"}});
            inner.put_object(Key::new("", "namespaces", "", name), namespace);
        }
        for (namespace, name) in
            [("kube-system", "kubeadm-config"), ("kube-system", "kubelet-config"), ("kube-public", "cluster-info")]
        {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {}});
            inner.put_object(Key::new("", "configmaps", namespace, name), map);
        }
        Some(Tenant { lab: Lab::new(inner, clock), ca_crt_pem, ca_key_pem })
    }

    /// An administrator's kubeconfig for this server (`ADDRESS:PORT`).
    pub fn kubeconfig(&self, world: &World, server: &str) -> Option<String> {
        let groups = ["system:masters".to_string()];
        let client = Client { name: Some(ADMIN), organizations: &groups, lasts: time::Duration::days(365) };
        let (crt, key) = certificate::client(&self.ca_crt_pem, &self.ca_key_pem, &client, world.now).ok()?;
        Some(kubeconfig::of("tenant", ADMIN, &format!("https://{server}"), &self.ca_crt_pem, (&crt, &key)))
    }

    /// A token with which machines may join, as kubeadm's bootstrap provider makes one.
    pub fn make_token(&self, world: &mut World) -> String {
        let draw = |random: &mut fastrand::Rng, count: usize| -> String {
            std::iter::repeat_with(|| random.alphanumeric().to_ascii_lowercase()).take(count).collect()
        };
        let (id, secret) = (draw(&mut world.random, 6), draw(&mut world.random, 16));
        let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
            "metadata": {}, "data": {"token-id": STANDARD.encode(&id), "token-secret": STANDARD.encode(&secret)}});
        let key = Key::new("", "secrets", "kube-system", &format!("bootstrap-token-{id}"));
        self.lab.with(|inner| inner.put_object(key, object));
        format!("{id}.{secret}")
    }

    pub fn knows_token(&self, token: &str) -> bool {
        let Some((id, secret)) = token.split_once('.') else { return false };
        let key = Key::new("", "secrets", "kube-system", &format!("bootstrap-token-{id}"));
        self.lab.look(|inner| {
            inner.object(&key).is_some_and(|s| s["data"]["token-secret"] == STANDARD.encode(secret).as_str())
        })
    }

    /// The name of the node with this provider id.
    pub fn node(&self, provider_id: &str) -> Option<String> {
        let of = |n: &Value| n["spec"]["providerID"] == provider_id;
        self.lab.look(|inner| inner.select("", "nodes", None, of).into_iter().next().map(|(key, _)| key.name))
    }

    pub fn put_node(&self, name: &str, mut node: Value) {
        self.lab.with(|inner| {
            node["metadata"]["uid"] = uuid(&mut inner.random).into();
            node["metadata"]["creationTimestamp"] = seconds(inner.now).into();
            inner.put_object(Key::new("", "nodes", "", name), node);
        });
    }

    pub fn remove_node(&self, name: &str) {
        self.lab.with(|inner| inner.remove_object(&Key::new("", "nodes", "", name)));
    }
}
