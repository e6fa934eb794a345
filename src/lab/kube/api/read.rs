//! get and list.
use super::kinds::Kind;
use super::path::{Query, Target};
use super::refusal::{Cause, Refusal};
use super::selector::Filter;
use super::table::table;
use super::view::{Form, META, Shown};
use crate::kube::store::{Key, Store};
use crate::world::World;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

pub fn store(world: &World) -> Result<&Store, Refusal> {
    let cluster = world.cluster.as_ref().ok_or_else(|| Refusal::Internal("the cluster is gone".into()))?;
    Ok(&cluster.store)
}

pub fn text(value: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|e| Refusal::Internal(e.to_string()))
}

/// One object in the form asked for.
pub fn one(kind: &'static Kind, object: &Value, form: Form, world: &World) -> Result<String, Refusal> {
    let shown = |metadata_only| Shown { object, kind, metadata_only, typed: true };
    match form {
        Form::Whole => text(&shown(false)),
        Form::Metadata => text(&shown(true)),
        Form::Table(include) => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            text(&table(kind, std::iter::once(object), metadata, include, true, world.now))
        }
    }
}

pub fn get(world: &World, target: &Target, name: &str, form: Form) -> Result<String, Refusal> {
    let object = store(world)?.get(&target.key(name)).ok_or_else(|| Refusal::not_found(target.kind, name))?;
    one(target.kind, object, form, world)
}

/// The start of the next page, and the version at which the first one was read.
#[derive(serde::Serialize, serde::Deserialize)]
struct Continue {
    rv: u64,
    /// Namespace and name of the last object that was sent.
    after: (String, String),
}

impl Continue {
    fn read(token: &str) -> Result<Self, Refusal> {
        let invalid = |why: String| Refusal::bad(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|e| invalid(e.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|e| invalid(e.to_string()))
    }

    fn write(&self) -> Result<String, Refusal> {
        Ok(URL_SAFE_NO_PAD.encode(text(self)?))
    }
}

/// A page of a list. Later pages show objects as they are now under the version of the first page: a watch
/// from there repeats what changed in between, so a client that lists and watches misses nothing.
pub fn list(world: &World, target: &Target, query: &Query, form: Form) -> Result<String, Refusal> {
    let filter = Filter::of(target, query)?;
    let store = store(world)?;
    let start = match query.get("continue") {
        "" => None,
        token => Some(Continue::read(token)?),
    };
    let version = start.as_ref().map_or(store.version(), |s| s.rv);
    check_version(query, store)?;
    if store.since(version).is_none() {
        // A client that can accept an inconsistent list goes on with this one.
        let onward = start.map(|s| Continue { rv: store.version(), after: s.after }.write()).transpose()?;
        return Err(Refusal::Expired {
            onward: onward.unwrap_or_default(),
            message: "The provided continue parameter is too old to display a consistent list result. You can start \
                      a new list without the continue parameter, or use the continue token in this response to \
                      retrieve the remainder of the results. Continuing with the provided token results in an \
                      inconsistent list - objects that were created, modified, or deleted between the time the \
                      first chunk was returned and now may show up in the list."
                .into(),
        });
    }
    let limit = query.number("limit")?.filter(|l| *l > 0).and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX);
    let resource = target.kind.resource();
    let is_later = |key: &Key| match &start {
        Some(Continue { after: (namespace, name), .. }) => {
            (key.namespace.as_str(), key.name.as_str()) > (namespace.as_str(), name.as_str())
        }
        None => true,
    };
    let mut rest = store
        .list(&resource, filter.namespace())
        .filter(|(key, object)| is_later(key) && filter.matches(key, object))
        .peekable();
    let mut page: Vec<&Value> = Vec::new();
    let mut last = None;
    while page.len() < limit
        && let Some((key, object)) = rest.next()
    {
        page.push(object);
        last = Some(key);
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let (Some(_), Some(last)) = (rest.peek(), last) {
        let next = Continue { rv: version, after: (last.namespace.clone(), last.name.clone()) };
        metadata["continue"] = json!(next.write()?);
        if !filter.selects() {
            metadata["remainingItemCount"] = json!(rest.count());
        }
    }
    body(target.kind, &page, metadata, form, world)
}

/// Go's words for a resource version that is not a number.
pub fn unparsed(version: &str) -> String {
    format!("resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax")
}

/// A list is of now, whatever version it asks for; but it must ask for one that can be.
fn check_version(query: &Query, store: &Store) -> Result<(), Refusal> {
    let current = store.version();
    let (version, matching) = (query.get("resourceVersion"), query.get("resourceVersionMatch"));
    let forbidden = |field: &str, why: &str| Err(Refusal::options("ListOptions", Cause::forbidden(field, why)));
    match matching {
        "" => {}
        _ if version.is_empty() => {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return forbidden("resourceVersionMatch", why);
        }
        "Exact" if version == "0" => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return forbidden("resourceVersionMatch", why);
        }
        "Exact" | "NotOlderThan" => {}
        other => {
            let supported = "\"Exact\", \"NotOlderThan\", \"\"";
            let cause = Cause::unsupported("resourceVersionMatch", &format!("{other:?}"), supported);
            return Err(Refusal::options("ListOptions", cause));
        }
    }
    if version.is_empty() {
        return Ok(());
    }
    let wanted: u64 =
        version.parse().map_err(|_| Refusal::bad(format!("invalid resource version: {}", unparsed(version))))?;
    match (wanted > current, matching) {
        (false, "Exact") if store.since(wanted).is_none() => Err(Refusal::Expired {
            onward: String::new(),
            message: "The resourceVersion for the provided list is too old.".into(),
        }),
        (false, _) => Ok(()),
        (true, "Exact") => Err(Refusal::Unexpected("etcdserver: mvcc: required revision is a future revision".into())),
        (true, _) => Err(Refusal::TooLargeVersion { wanted, current }),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: String,
    api_version: String,
    metadata: Value,
    items: Vec<Shown<'a>>,
}

/// A list of `objects`, in the form asked for.
pub fn body(
    kind: &'static Kind,
    objects: &[&Value],
    metadata: Value,
    form: Form,
    world: &World,
) -> Result<String, Refusal> {
    let items = |metadata_only| {
        objects.iter().map(move |object| Shown { object, kind, metadata_only, typed: kind.custom }).collect()
    };
    let (list_kind, api_version, items) = match form {
        Form::Whole => (format!("{}List", kind.kind), kind.api_version(), items(false)),
        Form::Metadata => ("PartialObjectMetadataList".into(), META.into(), items(true)),
        Form::Table(include) => {
            return text(&table(kind, objects.iter().copied(), metadata, include, true, world.now));
        }
    };
    text(&List { kind: list_kind, api_version, metadata, items })
}
