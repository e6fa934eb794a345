//! The API's description of itself: versions, groups, resources, in both forms, and enough OpenAPI for kubectl.
use super::kinds::{Kind, VERBS};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// As Talos v1.10.6 brings it by default.
pub fn version(kubernetes: &str) -> Value {
    let mut version = json!({
        "major": "1", "minor": "33", "emulationMajor": "1", "emulationMinor": "33",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "32", "gitVersion": "v1.33.3",
        "gitCommit": "80779bd6ff08b451e1c165a338a7b69351e9b0b8", "gitTreeState": "clean",
        "buildDate": "2025-07-15T17:59:41Z", "goVersion": "go1.24.4", "compiler": "gc", "platform": "linux/amd64",
    });
    // Of an old cluster: its minor version, and no build that nobody looked up.
    if let Some(minor) = kubernetes.strip_prefix("v1.").and_then(|v| v.split('.').next()).filter(|minor| *minor != "33")
    {
        version["gitVersion"] = json!(kubernetes);
        version["minor"] = json!(minor);
    }
    version
}

/// `/api`
pub fn core_versions(address: &str) -> Value {
    let clients = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]);
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": clients})
}

/// The served groups, each with its versions, the preferred one first; the core group is not among them.
fn groups(served: &[&'static Kind]) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for kind in served.iter().filter(|k| !k.group.is_empty()) {
        match found.iter_mut().find(|(group, _)| *group == kind.group) {
            Some((_, versions)) if versions.contains(&kind.version) => {}
            Some((_, versions)) => versions.push(kind.version),
            None => found.push((kind.group, vec![kind.version])),
        }
    }
    found
}

fn group_of(name: &str, versions: &[&str]) -> Value {
    let entry = |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(entry).collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

/// `/apis`
pub fn group_list(served: &[&'static Kind]) -> Value {
    let groups: Vec<Value> = groups(served).iter().map(|(name, versions)| group_of(name, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub fn group(served: &[&'static Kind], name: &str) -> Option<Value> {
    let (_, versions) = groups(served).into_iter().find(|(group, _)| *group == name)?;
    let mut group = group_of(name, &versions);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Some(group)
}

/// `/api/v1` and `/apis/GROUP/VERSION`, of which these are the resources.
pub fn resource_list(kinds: &[&'static Kind]) -> Option<Value> {
    let version = kinds.first()?.api_version();
    let mut resources = Vec::new();
    for kind in kinds {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular(), "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": VERBS,
        });
        if !kind.short.is_empty() {
            resource["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        for (name, verbs) in kind.subresources() {
            let mut subresource = json!({
                "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
                "kind": kind.kind, "verbs": verbs,
            });
            if name == "scale" {
                subresource["kind"] = json!("Scale");
                subresource["group"] = json!("autoscaling");
                subresource["version"] = json!("v1");
            }
            resources.push(subresource);
        }
    }
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}))
}

/// `/api` or `/apis` for clients that take everything at once (`APIGroupDiscoveryList`, `apidiscovery.k8s.io/v2`).
pub fn aggregated(served: &[&'static Kind], core: bool) -> Value {
    let groups = if core { vec![("", vec!["v1"])] } else { groups(served) };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|version| {
                    let of = served.iter().filter(|k| k.group == group && k.version == version);
                    let resources: Vec<Value> = of.map(|kind| aggregated_resource(kind)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if core { json!({"creationTimestamp": null}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let response = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let mut resource = json!({
        "resource": kind.plural, "responseKind": response, "singularResource": kind.singular(), "verbs": VERBS,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
    });
    if !kind.short.is_empty() {
        resource["shortNames"] = json!(kind.short);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let of = |(name, verbs): (&str, &[&str])| {
        let kind = if name == "scale" { &scale } else { &response };
        json!({"subresource": name, "responseKind": kind, "verbs": verbs})
    };
    let subresources: Vec<Value> = kind.subresources().into_iter().map(of).collect();
    if !subresources.is_empty() {
        resource["subresources"] = json!(subresources);
    }
    resource
}

/// `api/v1`, `apis/apps/v1`
fn base(kind: &Kind) -> String {
    if kind.group.is_empty() { "api/v1".into() } else { format!("apis/{}", kind.api_version()) }
}

/// `/openapi/v3`: where the document of each group and version is.
pub fn openapi_index(served: &[&'static Kind]) -> Value {
    let paths: BTreeMap<String, Value> = served
        .iter()
        .map(|kind| (base(kind), json!({"serverRelativeURL": format!("/openapi/v3/{}", base(kind))})))
        .collect();
    json!({"paths": paths})
}

/// `/openapi/v3/…` of one group and version. `schema` is what a definition says of a kind; of the others only that they
/// are there is told. The PATCH operations are there because kubectl reads from them which query parameters it may send.
pub fn openapi<'a>(kinds: &[&'static Kind], schema: impl Fn(&Kind) -> Option<&'a Value>) -> Option<Value> {
    let first = kinds.first()?;
    let mut paths = serde_json::Map::new();
    let mut schemas = serde_json::Map::new();
    for kind in kinds {
        let namespaced = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let types = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let parameter = |name: &str, of: &str| json!({"name": name, "in": "query", "schema": {"type": of}});
        let parameters =
            [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")]
                .map(|(name, of)| parameter(name, of));
        paths.insert(
            format!("/{}/{namespaced}{}/{{name}}", base(kind), kind.plural),
            json!({"patch": {
                "operationId": format!("patch{}", kind.kind), "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": types, "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
            }}),
        );
        let reversed: Vec<&str> = kind.group.split('.').rev().filter(|p| !p.is_empty()).collect();
        let package = if reversed.is_empty() { "io.k8s.api.core".into() } else { reversed.join(".") };
        let mut shape = schema(kind).cloned().unwrap_or_else(|| {
            let description = format!("{} as in Kubernetes 1.33; the lab does not describe its fields.", kind.kind);
            json!({"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": true})
        });
        shape["x-kubernetes-group-version-kind"] = json!([types]);
        for (field, of) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
            shape["properties"][field] = json!({"type": of});
        }
        schemas.insert(format!("{package}.{}.{}", kind.version, kind.kind), shape);
    }
    let info = json!({"title": "Kubernetes", "version": first.version});
    Some(json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}))
}

/// `/openapi/v2` without a single path: clients then take the types that are built into them.
pub fn openapi_v2() -> Value {
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.33.3"}, "paths": {}})
}

/// [`openapi_v2`] as the protobuf message `openapi.v2.Document` that client-go asks for: `swagger` is its field 1,
/// `info` its field 2 with `title` and `version` as 1 and 2.
pub fn openapi_v2_protobuf() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).unwrap_or_default();
        [&[number << 3 | 2, length], bytes].concat()
    };
    let info = [field(1, b"Kubernetes"), field(2, b"v1.33.3")].concat();
    [field(1, b"2.0"), field(2, &info)].concat()
}
