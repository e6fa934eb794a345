//! The objects as they were read, and the items that are made of them.
use super::gather::text;
use super::item::{Item, LeftOut, Traits};
use super::known::{Known, is_platform, release_of};
use super::owners::Owners;
use super::plain::Plain;
use crate::assess::pod::SlimPod;
use crate::assess::snapshot::Trouble;
use crate::kubernetes::Served;
use crate::kubernetes::quantity::bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A pod in a namespace of people.
#[derive(Debug, Clone, Default)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub is_ready: bool,
    /// A container of it runs, or nobody hears of its node, so that it may.
    pub works: bool,
    /// The image that can't be pulled.
    pub lacks: Option<String>,
    /// Its controller: `("ReplicaSet", "web-5d4f8")`.
    pub owner: (String, String),
    /// What labels say that it is a part of.
    pub part_of: Vec<String>,
    pub claims: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Volume {
    pub name: String,
    pub class: String,
    pub bytes: u64,
    pub phase: String,
    /// Namespace and name.
    pub claim: (String, String),
    pub is_on_one_node: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Claim {
    pub namespace: String,
    pub name: String,
    pub class: String,
    pub bytes: u64,
    pub is_bound: bool,
    pub part_of: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Release {
    pub namespace: String,
    pub name: String,
    /// Flux's reason when it is not Ready.
    pub fails: Option<String>,
    /// The Helm repository of its chart.
    pub source: String,
    pub part_of: Vec<String>,
}

/// An app, or an operator's object.
#[derive(Debug, Clone)]
pub struct Found {
    pub known: Known,
    /// Of an app: its release. Of an operator's object: the release that made it; empty when nobody says.
    pub release: String,
    pub item: Item,
}

#[derive(Debug)]
pub struct Stock {
    now: Timestamp,
    /// By name, the label of a namespace by which CozyStack says that it is its own; `None` when they can't be read.
    namespaces: Option<BTreeMap<String, String>>,
    /// Pods in namespaces of the platform.
    left_out: BTreeMap<String, usize>,
    pub pods: Vec<Pod>,
    pub volumes: Vec<Volume>,
    pub claims: Vec<Claim>,
    pub releases: Vec<Release>,
    pub found: Vec<Found>,
    /// Things that need nothing else to be judged: workloads, addresses, ingresses.
    pub plain: Vec<Plain>,
    /// Kinds that could not be read to their end: from them nothing is concluded.
    pub unread: Vec<String>,
}

impl Stock {
    pub fn new(now: Timestamp) -> Stock {
        Stock {
            now,
            namespaces: Some(BTreeMap::new()),
            left_out: BTreeMap::new(),
            pods: Vec::new(),
            volumes: Vec::new(),
            claims: Vec::new(),
            releases: Vec::new(),
            found: Vec::new(),
            plain: Vec::new(),
            unread: Vec::new(),
        }
    }

    pub fn knows(&self, resource: &str) -> bool {
        !self.unread.iter().any(|unread| unread == resource)
    }

    pub fn namespace(&mut self, object: &Value) {
        let label = text(object, "/metadata/labels/cozystack.io~1system");
        if let Some(known) = &mut self.namespaces {
            known.insert(text(object, "/metadata/name"), label);
        }
    }

    /// Namespaces could not be read to their end.
    pub fn forget_namespaces(&mut self) {
        self.namespaces = None;
    }

    pub fn is_platform(&self, namespace: &str) -> bool {
        is_platform(namespace, self.namespaces.as_ref().map(|all| all.get(namespace).map_or("", String::as_str)))
    }

    pub fn pod(&mut self, object: &Value) {
        let pod = Pod::read(object, self.now);
        if self.is_platform(&pod.namespace) {
            *self.left_out.entry(pod.namespace).or_default() += 1;
        } else {
            self.pods.push(pod);
        }
    }

    pub fn claim(&mut self, object: &Value) {
        let claim = Claim::read(object);
        if !self.is_platform(&claim.namespace) {
            self.claims.push(claim);
        }
    }

    pub fn release(&mut self, object: &Value) {
        let release = Release::read(object);
        if !self.is_platform(&release.namespace) {
            self.releases.push(release);
        }
    }

    pub fn found(&mut self, found: Found) {
        if !self.is_platform(&found.item.namespace) {
            self.found.push(found);
        }
    }

    pub fn left_out(&self) -> Vec<LeftOut> {
        let all = self.left_out.iter();
        all.map(|(namespace, pods)| LeftOut { namespace: namespace.clone(), pods: *pods }).collect()
    }

    pub fn items(self) -> Vec<Item> {
        Owners::of(self).items()
    }
}

/// Labels and annotations that say what an object is a part of.
const PART_OF: [&str; 6] = [
    "/metadata/labels/helm.toolkit.fluxcd.io~1name",
    "/metadata/annotations/meta.helm.sh~1release-name",
    "/metadata/labels/cnpg.io~1cluster",
    "/metadata/labels/app.kubernetes.io~1instance",
    "/metadata/labels/vm.kubevirt.io~1name",
    "/metadata/labels/statefulset.kubernetes.io~1pod-name",
];

pub fn part_of(object: &Value) -> Vec<String> {
    PART_OF.iter().map(|at| text(object, at)).filter(|name| !name.is_empty()).collect()
}

pub fn number(object: &Value, at: &str) -> Option<u64> {
    object.pointer(at)?.as_u64()
}

pub fn size(object: &Value, at: &str) -> Option<u64> {
    object.pointer(at)?.as_str().map(bytes)
}

pub fn texts(object: &Value, list: &str, at: &str) -> Vec<String> {
    let items = object.pointer(list).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| text(item, at)).filter(|text| !text.is_empty()).collect()
}

impl Pod {
    pub fn read(object: &Value, now: Timestamp) -> Pod {
        let slim = SlimPod::deserialize(object).map(|pod| pod.read(now)).ok();
        let trouble = slim.as_ref().and_then(|pod| pod.trouble);
        let list = |at: &str| object.pointer(at).and_then(Value::as_array).into_iter().flatten();
        let is_over = slim.as_ref().is_some_and(|pod| pod.is_over);
        let is_ready = !is_over && list("/status/conditions").any(|c| c["type"] == "Ready" && c["status"] == "True");
        let runs = list("/status/containerStatuses").any(|c| c.pointer("/state/running").is_some_and(Value::is_object));
        let owner = |field: &str| text(object, &format!("/metadata/ownerReferences/0/{field}"));
        Pod {
            namespace: text(object, "/metadata/namespace"),
            name: text(object, "/metadata/name"),
            is_ready,
            works: is_ready || runs || slim.is_none() || trouble == Some(Trouble::Unknown),
            lacks: slim.filter(|pod| pod.trouble == Some(Trouble::ImagePull)).map(|pod| pod.image),
            owner: (owner("kind"), owner("name")),
            part_of: part_of(object),
            claims: texts(object, "/spec/volumes", "/persistentVolumeClaim/claimName"),
        }
    }
}

impl Volume {
    pub fn read(object: &Value) -> Volume {
        let spec = &object["spec"];
        Volume {
            name: text(object, "/metadata/name"),
            class: text(spec, "/storageClassName"),
            bytes: size(spec, "/capacity/storage").unwrap_or_default(),
            phase: text(object, "/status/phase"),
            claim: (text(spec, "/claimRef/namespace"), text(spec, "/claimRef/name")),
            is_on_one_node: spec["local"].is_object() || spec["hostPath"].is_object() || names_one_node(spec),
        }
    }
}

/// A driver without access from other nodes names the one node; one with replicas names several, or none.
fn names_one_node(spec: &Value) -> bool {
    let terms = spec.pointer("/nodeAffinity/required/nodeSelectorTerms").and_then(Value::as_array);
    let Some([term]) = terms.map(Vec::as_slice) else { return false };
    let rules = term["matchExpressions"].as_array().into_iter().flatten();
    rules.into_iter().any(|rule| rule["operator"] == "In" && rule["values"].as_array().is_some_and(|v| v.len() == 1))
}

impl Claim {
    pub fn read(object: &Value) -> Claim {
        let asked = size(object, "/spec/resources/requests/storage");
        Claim {
            namespace: text(object, "/metadata/namespace"),
            name: text(object, "/metadata/name"),
            class: text(object, "/spec/storageClassName"),
            bytes: size(object, "/status/capacity/storage").or(asked).unwrap_or_default(),
            is_bound: text(object, "/status/phase") == "Bound",
            part_of: part_of(object),
        }
    }
}

impl Release {
    pub fn read(object: &Value) -> Release {
        let mut conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let ready = conditions.find(|c| c["type"] == "Ready");
        let fails = match ready {
            Some(ready) if ready["status"] == "True" => None,
            Some(ready) => Some(text(ready, "/reason")),
            None => Some("unknown".to_string()),
        };
        Release {
            namespace: text(object, "/metadata/namespace"),
            name: text(object, "/metadata/name"),
            fails,
            source: text(object, "/spec/chart/spec/sourceRef/name"),
            part_of: part_of(object),
        }
    }
}

impl Found {
    pub fn read(resource: &str, kind: &Served, known: Known, object: &Value) -> Found {
        let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        let mut item = Item::new(known.sort, resource, &namespace, &name, known.way);
        let spec = &object["spec"];
        let version = text(spec, "/version");
        let host = text(spec, "/host");
        item.traits = Traits {
            size: size(spec, "/size").or(size(spec, "/storage/size")).or(size(spec, "/storage")),
            replicas: number(spec, "/replicas").or(number(spec, "/instances")),
            cores: number(spec, "/template/spec/domain/cpu/cores"),
            memory: size(spec, "/template/spec/domain/memory/guest"),
            version: (!version.is_empty()).then_some(version),
            hosts: Some(host).filter(|h| !h.is_empty()).into_iter().collect(),
            ..Traits::default()
        };
        item.serves = ["Running", "Provisioned"]
            .iter()
            .any(|state| text(object, "/status/printableStatus") == *state || text(object, "/status/phase") == *state);
        let release = match known.is_behind {
            true => part_of(object).into_iter().next().unwrap_or_default(),
            false => release_of(&kind.plural, &kind.kind.to_ascii_lowercase(), &name),
        };
        Found { known, release, item }
    }
}
