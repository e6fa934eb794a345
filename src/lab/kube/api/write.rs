//! create, update, patch and delete: from what a client sends to what the store keeps.
use super::admission;
use super::decode::{Source, decode};
use super::kinds::Kind;
use super::manage::{self, Writer};
use super::patch::{PatchType, patched};
use super::path::{Part, Query, Target};
use super::read;
use super::refusal::{Cause, MODIFIED, Refusal};
use super::remove::{Deleted, remove};
use super::selector::Filter;
use super::structural;
use super::validate;
use super::view::Form;
use super::{scale, security};
use crate::kube::settle;
use crate::kube::store::{Key, Store, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// The common part of all writes.
pub struct Request<'a> {
    pub target: &'a Target,
    pub query: &'a Query,
    pub body: Value,
    /// Until its first slash it names the field manager that the client does not name.
    pub user_agent: &'a str,
    pub form: Form,
    /// Paths that were dropped because no field takes them.
    pub unknown: Vec<String>,
}

/// The answer's body; `created` makes it a 201.
pub struct Written {
    pub created: bool,
    pub body: String,
    /// The warnings beside the answer.
    pub warnings: Vec<String>,
}

/// The warnings of a written object, and of what of it nobody knew.
fn warnings(kind: &Kind, unknown: &[String], object: &Value) -> Vec<String> {
    let unknown = unknown.iter().map(|path| format!("unknown field {path:?}"));
    unknown.chain(validate::warnings(kind, object)).collect()
}

impl Request<'_> {
    fn kind(&self) -> &'static Kind {
        self.target.kind
    }

    fn name(&self) -> Result<&str, Refusal> {
        self.target.name.as_deref().ok_or(Refusal::MethodNotAllowed)
    }

    fn decode(&mut self, world: &World, object: Value, source: Source) -> Result<Value, Refusal> {
        let (object, unknown) = decode(self.kind(), object, source, self.query, read::store(world)?)?;
        self.unknown = unknown;
        Ok(super::events::stored(self.kind(), object))
    }

    fn dry_run(&self, options: &'static str) -> Result<bool, Refusal> {
        let wanted = match self.query.get("dryRun") {
            "" => self.body["dryRun"][0].as_str().unwrap_or_default(),
            given => given,
        };
        match wanted {
            "" => Ok(false),
            "All" => Ok(true),
            other => {
                let cause = Cause::unsupported("dryRun", &format!("[]string{{{other:?}}}"), "\"All\"");
                Err(Refusal::options(options, cause))
            }
        }
    }

    fn writer(&self, world: &World) -> Writer {
        let manager = match self.query.get("fieldManager") {
            "" => self.user_agent.split('/').next().unwrap_or_default(),
            manager => manager,
        };
        let (subresource, time) = match self.target.part {
            Part::Whole | Part::Log | Part::Finalize | Part::Inside => ("", seconds(world.now)),
            Part::Status => ("status", seconds(world.now)),
            // The real server notes no time of these.
            Part::Scale => ("scale", String::new()),
        };
        Writer { manager: manager.into(), subresource, time }
    }
}

pub(super) fn store_mut(world: &mut World) -> Result<&mut Store, Refusal> {
    let cluster = world.cluster.as_mut().ok_or_else(|| Refusal::Internal("the cluster is gone".into()))?;
    Ok(&mut cluster.store)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Nothing is created in a namespace that is not there or on its way out.
fn check_namespace(kind: &'static Kind, namespace: &str, name: &str, store: &Store) -> Result<(), Refusal> {
    if !kind.namespaced {
        return Ok(());
    }
    let found = store.get(&Key::new("", "namespaces", "", namespace));
    let namespaces = || super::kinds::KINDS.iter().find(|k| k.is("", "namespaces"));
    let Some(found) = found else {
        return Err(namespaces().map_or(Refusal::NoResource, |kind| Refusal::not_found(kind, namespace)));
    };
    if found["metadata"]["deletionTimestamp"].is_string() {
        let message = format!(
            "{kind} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being \
             terminated"
        );
        let cause = json!({
            "reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        });
        let mut refusal = Refusal::forbidden(kind.group, kind.plural, name, message);
        if let Refusal::Forbidden { details, .. } = &mut refusal {
            details["causes"] = json!([cause]);
        }
        return Err(refusal);
    }
    Ok(())
}

pub fn create(world: &mut World, mut request: Request) -> Result<Written, Refusal> {
    if request.target.kind.namespaced && request.target.namespace.is_empty() {
        return Err(Refusal::MethodNotAllowed);
    }
    let body = std::mem::take(&mut request.body);
    let mut object = request.decode(world, body, Source::Body)?;
    if object["metadata"]["name"].as_str().unwrap_or_default().is_empty() {
        let prefix = text(&object, "/metadata/generateName").to_string();
        if prefix.is_empty() {
            let why = "name or generateName is required";
            return Err(Refusal::invalid(request.kind(), "", Cause::required("metadata.name", why)));
        }
        object["metadata"]["name"] = json!(generated(&prefix, world));
    }
    if !text(&object, "/metadata/resourceVersion").is_empty() {
        return Err(Refusal::Unexpected("resourceVersion should not be set on objects to be created".into()));
    }
    let writer = request.writer(world);
    insert(world, &request, object, |kind, object| {
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.remove("managedFields");
        }
        manage::updated(kind, None, object, &writer);
    })
}

/// Five characters that make no words, as the real server appends them.
fn generated(prefix: &str, world: &mut World) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut letter = || world.random.choice(LETTERS).map_or('x', |b| char::from(*b));
    format!("{prefix}{}", (0..5).map(|_| letter()).collect::<String>())
}

/// Stores an object that is not there yet. `manage` notes who owns its fields, defaults among them.
fn insert(
    world: &mut World,
    request: &Request,
    mut object: Value,
    manage: impl FnOnce(&'static Kind, &mut Value),
) -> Result<Written, Refusal> {
    let kind = request.kind();
    let name = text(&object, "/metadata/name").to_string();
    let stated = text(&object, "/metadata/namespace");
    if !stated.is_empty() && stated != request.target.namespace {
        return Err(Refusal::bad(FOREIGN_NAMESPACE));
    }
    let now = world.now;
    let dry_run = request.dry_run("CreateOptions")?;
    let store = store_mut(world)?;
    let key = request.target.key(&name);
    if store.get(&key).is_some() {
        return Err(Refusal::AlreadyExists { kind, name });
    }
    check_namespace(kind, &key.namespace, &name, store)?;
    if let Some(meta) = object["metadata"].as_object_mut() {
        for set_by_server in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]
        {
            meta.remove(set_by_server);
        }
    }
    if kind.status
        && let Some(object) = object.as_object_mut()
    {
        object.remove("status");
    }
    admission::defaults(kind, &mut object);
    manage(kind, &mut object);
    if kind.namespaced {
        object["metadata"]["namespace"] = json!(request.target.namespace);
    }
    validate::new(kind, &object)?;
    shaped(kind, &object, store)?;
    if kind.is("", "pods") {
        accounted(kind, &object, store)?;
        security::check(&object, store)?;
    }
    let mut object = store.preview(&key, object, now);
    admission::admit(kind, &mut object, store, &seconds(now))?;
    let stored = if dry_run { object } else { store.put(key, object, now).clone() };
    let body = read::one(kind, &stored, request.form, world)?;
    if !dry_run {
        settle(world);
    }
    let warnings = warnings(kind, &request.unknown, &stored);
    Ok(Written { created: true, body, warnings })
}

/// A pod runs as a service account that must be there.
fn accounted(kind: &'static Kind, pod: &Value, store: &Store) -> Result<(), Refusal> {
    let stated = text(pod, "/spec/serviceAccountName");
    let account = if stated.is_empty() { "default" } else { stated };
    let (name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
    if store.get(&Key::new("", "serviceaccounts", namespace, account)).is_some() {
        return Ok(());
    }
    let message = format!(
        "pods {name:?} is forbidden: error looking up service account {namespace}/{account}: serviceaccount \
         {account:?} not found"
    );
    Err(Refusal::forbidden(kind.group, kind.plural, name, message))
}

/// Custom resources must have the shape that their definition gives them.
fn shaped(kind: &'static Kind, object: &Value, store: &Store) -> Result<(), Refusal> {
    match structural::schema(store, kind) {
        Some(schema) if kind.custom => structural::check(kind, schema, object),
        Some(_) | None => Ok(()),
    }
}

pub fn update(world: &mut World, mut request: Request) -> Result<Written, Refusal> {
    let kind = request.kind();
    let target = request.target;
    let name = target.name.as_deref().ok_or(Refusal::MethodNotAllowed)?;
    let body = std::mem::take(&mut request.body);
    let object = match target.part {
        Part::Scale => scale::checked(&body)?,
        Part::Whole | Part::Status | Part::Log | Part::Finalize | Part::Inside => {
            request.decode(world, body, Source::Body)?
        }
    };
    match text(&object, "/metadata/name") {
        "" if target.part != Part::Scale => {
            return Err(Refusal::bad(format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            )));
        }
        stated if stated != name && target.part != Part::Scale => {
            return Err(misnamed(stated, name));
        }
        _ => {}
    }
    let key = request.target.key(name);
    let live = read::store(world)?.get(&key).ok_or_else(|| Refusal::not_found(kind, name))?.clone();
    if kind.custom && text(&object, "/metadata/resourceVersion").is_empty() {
        return Err(Refusal::Unversioned { kind, name: name.into() });
    }
    replace(world, &request, "UpdateOptions", &live, object, manage::updated)
}

pub fn patch(world: &mut World, mut request: Request, by: PatchType) -> Result<Written, Refusal> {
    let kind = request.kind();
    let target = request.target;
    let name = target.name.as_deref().ok_or(Refusal::MethodNotAllowed)?;
    let key = request.target.key(name);
    let live = read::store(world)?.get(&key).cloned();
    if by == PatchType::Apply {
        return apply(world, request, name, live);
    }
    if !request.query.get("force").is_empty() {
        let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(Refusal::options("PatchOptions", cause));
    }
    let mut live = live.ok_or_else(|| Refusal::not_found(kind, name))?;
    live["apiVersion"] = json!(kind.api_version());
    live["kind"] = json!(kind.kind);
    let body = std::mem::take(&mut request.body);
    let object = match target.part {
        Part::Scale => scale::checked(&patched(kind, &scale::of(&live), &body, by)?)?,
        Part::Whole | Part::Status | Part::Log | Part::Finalize | Part::Inside => {
            let seen = super::events::seen(kind, &live);
            request.decode(world, patched(kind, &seen, &body, by)?, Source::Patch)?
        }
    };
    let stated = text(&object, "/metadata/name");
    if stated != name {
        return Err(misnamed(stated, name));
    }
    replace(world, &request, "PatchOptions", &live, object, manage::updated)
}

fn misnamed(stated: &str, name: &str) -> Refusal {
    Refusal::bad(format!("the name of the object ({stated}) does not match the name on the URL ({name})"))
}

fn apply(world: &mut World, mut request: Request, name: &str, live: Option<Value>) -> Result<Written, Refusal> {
    let kind = request.kind();
    if request.query.get("fieldManager").is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::options("PatchOptions", cause));
    }
    let body = std::mem::take(&mut request.body);
    let mut applied = request.decode(world, body, Source::Apply)?;
    if applied["metadata"].get("managedFields").is_some() {
        return Err(Refusal::bad("metadata.managedFields must be nil"));
    }
    match text(&applied, "/metadata/name") {
        "" => applied["metadata"]["name"] = json!(name),
        stated if stated != name => {
            return Err(misnamed(stated, name));
        }
        _ => {}
    }
    admission::refill(kind, &mut applied);
    let writer = request.writer(world);
    // A part that this URL does not write is not owned by who writes here either.
    let foreign = if request.target.part == Part::Status { "spec" } else { "status" };
    if kind.status
        && let Some(applied) = applied.as_object_mut()
    {
        applied.remove(foreign);
    }
    match live {
        Some(live) => {
            let object = manage::apply(kind, &live, &applied, &writer, request.query.flag("force"))?;
            let conflict = text(&applied, "/metadata/resourceVersion");
            if !conflict.is_empty() && conflict != text(&live, "/metadata/resourceVersion") {
                return Err(Refusal::conflict(kind, name, MODIFIED));
            }
            replace(world, &request, "PatchOptions", &live, object, |_, _, _, _| ())
        }
        None if request.target.part == Part::Status => Err(Refusal::not_found(kind, name)),
        None => {
            if !text(&applied, "/metadata/uid").is_empty() {
                let uid = text(&applied, "/metadata/uid");
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Refusal::conflict(kind, name, why));
            }
            let object = manage::apply(kind, &json!({"metadata": {}}), &applied, &writer, true)?;
            insert(world, &request, object, |_, _| ())
        }
    }
}

/// Puts `object` in the place of `live`, of which it keeps what this URL does not write.
fn replace(
    world: &mut World,
    request: &Request,
    options: &'static str,
    live: &Value,
    mut object: Value,
    manage: impl FnOnce(&'static Kind, Option<&Value>, &mut Value, &Writer),
) -> Result<Written, Refusal> {
    let kind = request.kind();
    let name = request.name()?;
    let stated = |field: &str| text(&object, &format!("/metadata/{field}")).to_string();
    let (version, uid, namespace) = (stated("resourceVersion"), stated("uid"), stated("namespace"));
    if !namespace.is_empty() && namespace != request.target.namespace {
        return Err(Refusal::bad(FOREIGN_NAMESPACE));
    }
    if !uid.is_empty() && uid != text(live, "/metadata/uid") {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {uid}, UID in object meta: {}",
            stored_at(request.target, name),
            text(live, "/metadata/uid")
        );
        return Err(Refusal::conflict(kind, name, why));
    }
    if !version.is_empty() && version != "0" && version != text(live, "/metadata/resourceVersion") {
        return Err(Refusal::conflict(kind, name, MODIFIED));
    }
    match request.target.part {
        Part::Whole | Part::Log | Part::Inside => {
            if kind.status {
                copy(live, &mut object, "status");
            }
            admission::defaults(kind, &mut object);
        }
        Part::Status => {
            let mut kept = live.clone();
            copy(&object, &mut kept, "status");
            // managedFields come with an apply; an update has them written anew below.
            let managed = object["metadata"].get("managedFields").cloned();
            if let Some(managed) = managed {
                kept["metadata"]["managedFields"] = managed;
            }
            object = kept;
        }
        Part::Scale => {
            let mut kept = live.clone();
            kept["spec"]["replicas"] = object["spec"]["replicas"].clone();
            object = kept;
        }
        Part::Finalize => {
            let mut kept = live.clone();
            kept["spec"] = object["spec"].clone();
            object = kept;
        }
    }
    for set_by_server in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
        let (from, into) = (&live["metadata"], &mut object["metadata"]);
        copy(from, into, set_by_server);
    }
    let writer = request.writer(world);
    manage(kind, Some(live), &mut object, &writer);
    // Objects of the lab's own controllers came in without defaults.
    let mut before = live.clone();
    admission::defaults(kind, &mut before);
    validate::changed(kind, &before, &object)?;
    shaped(kind, &object, read::store(world)?)?;
    let dry_run = request.dry_run(options)?;
    let now = world.now;
    let key = request.target.key(name);
    let store = store_mut(world)?;
    let stored = if dry_run {
        store.preview(&key, object, now)
    } else {
        let stored = store.put(key.clone(), object, now).clone();
        if released(kind, &stored) {
            store.remove(&key);
        }
        stored
    };
    let body = match request.target.part {
        Part::Scale => read::text(&scale::of(&stored))?,
        Part::Whole | Part::Status | Part::Log | Part::Finalize | Part::Inside => {
            read::one(kind, &stored, request.form, world)?
        }
    };
    if !dry_run {
        settle(world);
    }
    let warnings = warnings(kind, &request.unknown, &stored);
    Ok(Written { created: false, body, warnings })
}

const FOREIGN_NAMESPACE: &str = "the namespace of the provided object does not match the namespace sent on the request";

/// The key in etcd, which some refusals name.
fn stored_at(target: &Target, name: &str) -> String {
    let kind = target.kind;
    let group = if kind.custom { format!("{}/", kind.group) } else { String::new() };
    let namespace = if kind.namespaced { format!("{}/", target.namespace) } else { String::new() };
    format!("/registry/{group}{}/{namespace}{name}", kind.plural)
}

/// Makes `field` in `into` what it is in `from`, also when it is not there.
fn copy(from: &Value, into: &mut Value, field: &str) {
    let Some(into) = into.as_object_mut() else { return };
    match from.get(field) {
        Some(value) => drop(into.insert(field.into(), value.clone())),
        None => drop(into.remove(field)),
    }
}

fn has(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
}

/// Marked for deletion, and nobody holds it back any more.
fn released(kind: &Kind, object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string() && !held(kind, object)
}

pub(super) fn held(kind: &Kind, object: &Value) -> bool {
    has(object, "/metadata/finalizers") || (kind.is("", "namespaces") && has(object, "/spec/finalizers"))
}

pub fn delete(world: &mut World, request: Request) -> Result<Written, Refusal> {
    let kind = request.kind();
    let name = request.name()?;
    let key = request.target.key(name);
    let live = read::store(world)?.get(&key).ok_or_else(|| Refusal::not_found(kind, name))?.clone();
    if kind.is("", "namespaces") && matches!(name, "default" | "kube-system" | "kube-public") {
        let message = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
        return Err(Refusal::forbidden(kind.group, kind.plural, name, message));
    }
    let policy = text(&request.body, "/propagationPolicy");
    if !matches!(policy, "" | "Foreground" | "Background" | "Orphan") {
        let supported = "\"Foreground\", \"Background\", \"Orphan\", \"nil\"";
        let cause = Cause::unsupported("propagationPolicy", &format!("{policy:?}"), supported);
        return Err(Refusal::options("DeleteOptions", cause));
    }
    for (field, shown, tail) in
        [("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified")]
    {
        let wanted = text(&request.body, &format!("/preconditions/{field}"));
        let found = text(&live, &format!("/metadata/{field}"));
        if !wanted.is_empty() && wanted != found {
            let why = format!(
                "the {shown} in the precondition ({wanted}) does not match the {shown} in record ({found}). The object \
                 might have been {tail}"
            );
            return Err(Refusal::Precondition { kind, name: name.into(), why });
        }
    }
    let dry_run = request.dry_run("DeleteOptions")?;
    let by_force = request.body["gracePeriodSeconds"] == 0;
    let gone = remove(world, kind, &key, live, dry_run, by_force)?;
    let body = match &gone {
        // The real server answers with the object where it may still be there, and always for these.
        Deleted::Marked(object) => read::one(kind, object, request.form, world)?,
        Deleted::Gone(object) if answers_with_object(kind) => read::one(kind, object, request.form, world)?,
        Deleted::Gone(object) => {
            let mut details = json!({"name": name, "kind": kind.plural, "uid": object["metadata"]["uid"]});
            if !kind.group.is_empty() {
                details["group"] = json!(kind.group);
            }
            read::text(&json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details
            }))?
        }
    };
    if !dry_run {
        settle(world);
    }
    Ok(Written { created: false, body, warnings: Vec::new() })
}

fn answers_with_object(kind: &Kind) -> bool {
    kind.is("", "pods") || kind.is("", "services") || kind.is("apiextensions.k8s.io", "customresourcedefinitions")
}

pub fn delete_collection(world: &mut World, request: Request) -> Result<Written, Refusal> {
    let kind = request.kind();
    if kind.namespaced && request.target.namespace.is_empty() {
        return Err(Refusal::MethodNotAllowed);
    }
    let filter = Filter::of(request.target, request.query)?;
    let dry_run = request.dry_run("DeleteOptions")?;
    let store = read::store(world)?;
    let version = store.version();
    let found: Vec<(Key, Value)> = store
        .list(&kind.resource(), filter.namespace())
        .filter(|(key, object)| filter.matches(key, object))
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    let mut removed = Vec::with_capacity(found.len());
    for (key, live) in found {
        removed.push(match remove(world, kind, &key, live, dry_run, false)? {
            Deleted::Marked(object) | Deleted::Gone(object) => object,
        });
    }
    let removed: Vec<&Value> = removed.iter().collect();
    let metadata = json!({"resourceVersion": version.to_string()});
    let body = read::body(kind, &removed, metadata, request.form, world)?;
    if !dry_run {
        settle(world);
    }
    Ok(Written { created: false, body, warnings: Vec::new() })
}
