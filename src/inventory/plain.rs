//! Things that need nothing else to be judged: workloads, addresses, ingresses.
use super::gather::text;
use super::item::{Blocker, Item, Sort, Way};
use super::stock::{Stock, Volume, number, part_of, texts};
use serde_json::Value;

/// An item, and what it may be a part of.
#[derive(Debug, Clone)]
pub struct Plain {
    pub item: Item,
    pub part_of: Vec<String>,
}

impl Plain {
    fn read(sort: Sort, resource: &str, object: &Value, way: Way) -> Plain {
        let by = |at: &str| text(object, at);
        let mut item = Item::new(sort, resource, &by("/metadata/namespace"), &by("/metadata/name"), way);
        let mut part_of = part_of(object);
        let (kind, controller) = (by("/metadata/ownerReferences/0/kind"), by("/metadata/ownerReferences/0/name"));
        item.owner = match part_of.first() {
            _ if !controller.is_empty() => format!("{kind} {controller}"),
            Some(release) => format!("HelmRelease {release}"),
            None => String::new(),
        };
        part_of.extend((!controller.is_empty()).then_some(controller));
        Plain { item, part_of }
    }
}

impl Stock {
    /// Whoever listens at an address outside of the cluster.
    pub fn service(&mut self, object: &Value) {
        let kind = text(object, "/spec/type");
        let list = |at: &str| object.pointer(at).and_then(Value::as_array).into_iter().flatten();
        let mut addresses = texts(object, "/status/loadBalancer/ingress", "/ip");
        addresses.extend(texts(object, "/status/loadBalancer/ingress", "/hostname"));
        addresses.extend(list("/spec/externalIPs").map(|ip| text(ip, "")).filter(|ip| !ip.is_empty()));
        let is_balanced = kind == "LoadBalancer";
        if !is_balanced && kind != "NodePort" && addresses.is_empty() {
            return;
        }
        let mut plain = Plain::read(Sort::Address, "services", object, Way::MoveAddress);
        let at = if is_balanced || kind != "NodePort" { "port" } else { "nodePort" };
        plain.item.traits.ports =
            list("/spec/ports").map(|p| &p[at]).filter(|p| p.is_u64()).map(Value::to_string).collect();
        plain.item.serves = !addresses.is_empty() || kind == "NodePort";
        plain.item.traits.addresses = addresses;
        self.keep(plain);
    }

    /// Whether its controller listens nobody says; a name that leads here is one that somebody may use.
    pub fn ingress(&mut self, object: &Value) {
        let mut plain = Plain::read(Sort::Ingress, "ingresses.networking.k8s.io", object, Way::SwitchName);
        let traits = &mut plain.item.traits;
        traits.hosts = texts(object, "/spec/rules", "/host");
        traits.addresses = texts(object, "/status/loadBalancer/ingress", "/ip");
        let class = text(object, "/spec/ingressClassName");
        traits.class = (!class.is_empty()).then_some(class);
        plain.item.serves = true;
        self.keep(plain);
    }

    /// A route of the Gateway API.
    pub fn route(&mut self, resource: &str, object: &Value) {
        let mut plain = Plain::read(Sort::Ingress, resource, object, Way::SwitchName);
        let hosts = object.pointer("/spec/hostnames").and_then(Value::as_array).into_iter().flatten();
        plain.item.traits.hosts = hosts.map(|host| text(host, "")).collect();
        plain.item.serves = true;
        self.keep(plain);
    }

    pub fn workload(&mut self, resource: &str, object: &Value) {
        let mut plain = Plain::read(Sort::Workload, resource, object, Way::Apply);
        let ready = number(object, "/status/readyReplicas").or(number(object, "/status/numberReady"));
        let traits = &mut plain.item.traits;
        traits.replicas = number(object, "/spec/replicas");
        traits.images = texts(object, "/spec/template/spec/containers", "/image");
        traits.images.extend(texts(object, "/spec/jobTemplate/spec/template/spec/containers", "/image"));
        let is_suspended = object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
        let runs_by_time = object.pointer("/spec/schedule").is_some() && !is_suspended;
        plain.item.serves = ready.unwrap_or_default() > 0 || runs_by_time;
        self.keep(plain);
    }

    /// Only one that still works.
    pub fn job(&mut self, object: &Value) {
        let mut plain = Plain::read(Sort::Workload, "jobs.batch", object, Way::Apply);
        plain.item.serves = number(object, "/status/active").unwrap_or_default() > 0;
        plain.item.traits.images = texts(object, "/spec/template/spec/containers", "/image");
        if plain.item.serves {
            self.keep(plain);
        }
    }

    fn keep(&mut self, plain: Plain) {
        if !self.is_platform(&plain.item.namespace) {
            self.plain.push(plain);
        }
    }
}

/// The item of a volume that no claim has.
pub fn orphan(of: &Volume) -> Item {
    let mut item = Item::new(Sort::Volume, "persistentvolumes", "", &of.name, Way::CopyFiles);
    item.copy = of.bytes;
    item.traits.size = Some(of.bytes);
    item.traits.class = Some(of.class.clone());
    item.blockers.push(Blocker::Orphaned);
    item
}
