//! The COSI resources of a machine, computed from its state; versions count up when a spec changes.
mod definition;
mod hardware;
mod state;

use super::super::world::World;
use super::spec::Spec;
use super::{Machine, Stage};
use cozyup_talos_wire::cosi::resource as wire;
pub use definition::{Kind, NAMESPACES, find};
pub use hardware::{DiskKind, disk_list};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// A resource before it has a version.
pub struct Made {
    pub id: String,
    pub spec: Spec,
    pub labels: Vec<(&'static str, String)>,
}

impl Made {
    pub fn new(id: impl Into<String>, spec: Spec) -> Self {
        Made { id: id.into(), spec, labels: Vec::new() }
    }
}

/// The inputs of a resource.
pub struct View<'a> {
    pub world: &'a World,
    pub machine: &'a Machine,
}

impl View<'_> {
    /// The machine has a config and runs with it.
    pub fn configured(&self) -> bool {
        self.machine.config.is_some() && self.machine.stage != Stage::Maintenance
    }
}

/// Type and id to what was seen last.
pub type Versions = BTreeMap<(&'static str, String), Seen>;

pub struct Seen {
    version: u64,
    proto: Vec<u8>,
    created: Timestamp,
    updated: Timestamp,
}

/// Every resource of a kind, by id.
pub fn list(world: &World, machine: &Machine, kind: &'static Kind) -> BTreeMap<String, wire::Resource> {
    let made = kind.make(&View { world, machine });
    let mut versions = machine.versions.lock().unwrap_or_else(PoisonError::into_inner);
    let now = world.now;
    made.into_iter()
        .map(|made| {
            let seen = versions.entry((kind.name, made.id.clone())).or_insert_with(|| Seen {
                version: 1,
                proto: made.spec.proto().to_vec(),
                created: now,
                updated: now,
            });
            if seen.proto != made.spec.proto() {
                seen.version += 1;
                seen.proto = made.spec.proto().to_vec();
                seen.updated = now;
            }
            (made.id.clone(), resource(kind, made, seen))
        })
        .collect()
}

fn resource(kind: &Kind, made: Made, seen: &Seen) -> wire::Resource {
    wire::Resource {
        metadata: Some(wire::Metadata {
            namespace: kind.namespace.into(),
            r#type: kind.name.into(),
            id: made.id,
            version: seen.version.to_string(),
            owner: kind.owner.into(),
            phase: "running".into(),
            created: Some(super::api::timestamp(seen.created)),
            updated: Some(super::api::timestamp(seen.updated)),
            finalizers: Vec::new(),
            labels: made.labels.into_iter().map(|(k, v)| (k.to_string(), v)).collect(),
            annotations: Default::default(),
        }),
        spec: Some(wire::Spec { proto_spec: made.spec.proto().to_vec(), yaml_spec: made.spec.yaml() }),
    }
}
