//! `cosi.resource.State`: get, list and watch the machine's resources.
use super::super::Machine;
use super::super::resource::{self, Kind};
use super::Node;
use super::stream::{self, Look};
use crate::world::World;
use cozyup_talos_wire::cosi::resource as wire;
use std::collections::BTreeMap;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};
use wire::label_term::Operation;

pub struct Api {
    pub node: Node,
    /// Sensitive types are for `os:admin` alone.
    pub admin: bool,
}

impl Api {
    fn kind(&self, name: &str, namespace: &str) -> Result<&'static Kind, Status> {
        let kind = resource::find(name)
            .ok_or_else(|| Status::permission_denied(format!("resource type {name:?} is not supported")))?;
        if kind.sensitive && !self.admin {
            return Err(Status::permission_denied("not authorized"));
        }
        if !resource::NAMESPACES.iter().any(|(name, _)| *name == namespace) {
            return Err(Status::permission_denied(format!("namespace {namespace:?} is not supported")));
        }
        Ok(kind)
    }
}

/// The resources of a kind in a namespace: all of them in the kind's own namespace, none in others.
fn list(world: &World, machine: &Machine, kind: &'static Kind, namespace: &str) -> BTreeMap<String, wire::Resource> {
    if namespace == kind.namespace { resource::list(world, machine, kind) } else { BTreeMap::new() }
}

#[tonic::async_trait]
impl wire::state_server::State for Api {
    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::GetResponse>, Status> {
        let vmid = self.node.cosi_target(request.metadata())?;
        let asked = request.into_inner();
        let kind = self.kind(&asked.r#type, &asked.namespace)?;
        let found = self.node.read(vmid, |w, m| list(w, m, kind, &asked.namespace).remove(&asked.id))?;
        let resource = found.ok_or_else(|| {
            Status::not_found(format!(
                "resource {}({}/{}@undefined) doesn't exist",
                kind.name, kind.namespace, asked.id
            ))
        })?;
        Ok(Response::new(wire::GetResponse { resource: Some(resource) }))
    }

    async fn list(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<BoxStream<wire::ListResponse>>, Status> {
        let vmid = self.node.cosi_target(request.metadata())?;
        let asked = request.into_inner();
        let kind = self.kind(&asked.r#type, &asked.namespace)?;
        let options = asked.options.unwrap_or_default();
        let found = self.node.read(vmid, |w, m| list(w, m, kind, &asked.namespace))?;
        let items = found
            .into_values()
            .filter(|r| wanted(r, &options.label_query, options.id_query.as_ref()))
            .map(|resource| wire::ListResponse { resource: Some(resource) })
            .collect();
        Ok(stream::once(items))
    }

    async fn watch(
        &self,
        request: Request<wire::WatchRequest>,
    ) -> Result<Response<BoxStream<wire::WatchResponse>>, Status> {
        let vmid = self.node.cosi_target(request.metadata())?;
        let asked = request.into_inner();
        let kind = self.kind(&asked.r#type, &asked.namespace)?;
        let options = asked.options.unwrap_or_default();
        if asked.id.is_some() && options.bootstrap_contents {
            return Err(Status::unimplemented("bootstrap contents is not implemented for resource watch"));
        }
        if asked.id.is_some() && !options.label_query.is_empty() {
            return Err(Status::unimplemented("label query is not implemented for resource watch"));
        }
        let node = self.node.clone();
        let mut known: Option<BTreeMap<String, wire::Resource>> = None;
        Ok(stream::follow(&self.node.lab, move |_| {
            let mut now = node.read(vmid, |w, m| list(w, m, kind, &asked.namespace))?;
            now.retain(|id, r| match &asked.id {
                Some(wanted) => id == wanted,
                None => wanted(r, &options.label_query, options.id_query.as_ref()),
            });
            let (mut items, events) = match known.take() {
                Some(before) => (Vec::new(), difference(before, &now)),
                None => (
                    vec![wire::WatchResponse::default()],
                    first(kind, &now, asked.id.as_deref(), options.bootstrap_contents),
                ),
            };
            if options.aggregated && !events.is_empty() {
                items.push(wire::WatchResponse { event: events });
            } else {
                items.extend(events.into_iter().map(|event| wire::WatchResponse { event: vec![event] }));
            }
            known = Some(now);
            Ok(Look { items, more: true })
        }))
    }
}

/// The events that a new watch gets at once.
fn first(kind: &Kind, now: &BTreeMap<String, wire::Resource>, id: Option<&str>, contents: bool) -> Vec<wire::Event> {
    let created = now.values().map(|r| event(wire::EventType::Created, Some(r.clone()), None));
    match id {
        Some(id) if now.is_empty() => {
            vec![event(wire::EventType::Destroyed, Some(tombstone(kind, id)), None)]
        }
        Some(_) => created.collect(),
        None if contents => {
            created.chain([event(wire::EventType::Bootstrapped, Some(tombstone(kind, "")), None)]).collect()
        }
        None => Vec::new(),
    }
}

fn difference(before: BTreeMap<String, wire::Resource>, now: &BTreeMap<String, wire::Resource>) -> Vec<wire::Event> {
    let mut events: Vec<wire::Event> = before
        .values()
        .filter(|r| !now.contains_key(id(r)))
        .map(|gone| event(wire::EventType::Destroyed, Some(gone.clone()), None))
        .collect();
    events.extend(now.iter().filter_map(|(id, new)| match before.get(id) {
        None => Some(event(wire::EventType::Created, Some(new.clone()), None)),
        Some(old) if version(old) != version(new) => {
            Some(event(wire::EventType::Updated, Some(new.clone()), Some(old.clone())))
        }
        Some(_) => None,
    }));
    events
}

fn event(kind: wire::EventType, resource: Option<wire::Resource>, old: Option<wire::Resource>) -> wire::Event {
    wire::Event { resource, event_type: kind.into(), old, error: None, bookmark: None }
}

/// A resource that is not there.
fn tombstone(kind: &Kind, id: &str) -> wire::Resource {
    wire::Resource {
        metadata: Some(wire::Metadata {
            namespace: kind.namespace.into(),
            r#type: kind.name.into(),
            id: id.into(),
            version: "undefined".into(),
            phase: "running".into(),
            ..Default::default()
        }),
        spec: Some(wire::Spec { proto_spec: Vec::new(), yaml_spec: "null\n".into() }),
    }
}

fn id(resource: &wire::Resource) -> &str {
    resource.metadata.as_ref().map(|m| m.id.as_str()).unwrap_or_default()
}

fn version(resource: &wire::Resource) -> Option<&str> {
    resource.metadata.as_ref().map(|m| m.version.as_str())
}

/// True when a resource meets one of the label queries (or there is none) and the id query. Ids are matched as plain
/// text with an optional anchor at either end, which is what clients send.
fn wanted(resource: &wire::Resource, labels: &[wire::LabelQuery], by_id: Option<&wire::IdQuery>) -> bool {
    let metadata = resource.metadata.clone().unwrap_or_default();
    let labelled = labels.is_empty()
        || labels.iter().any(|query| {
            query.terms.iter().all(|term| {
                let has = metadata.labels.get(&term.key);
                let met = match term.op() {
                    Operation::Exists => has.is_some(),
                    Operation::NotExists => has.is_none(),
                    Operation::Equal | Operation::In => has.is_some_and(|v| term.value.contains(v)),
                    Operation::Lt | Operation::Lte | Operation::LtNumeric | Operation::LteNumeric => false,
                };
                met != term.invert
            })
        });
    let named = by_id.is_none_or(|query| {
        let pattern = query.regexp.as_str();
        let text = pattern.trim_start_matches('^').trim_end_matches('$');
        match (pattern.starts_with('^'), pattern.ends_with('$')) {
            (true, true) => metadata.id == text,
            (true, false) => metadata.id.starts_with(text),
            (false, true) => metadata.id.ends_with(text),
            (false, false) => metadata.id.contains(text),
        }
    });
    labelled && named
}
