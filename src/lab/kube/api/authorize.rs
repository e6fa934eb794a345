//! Authorisation: the masters may do all, the others what the roles bound to them allow (RBAC), and discovery.
use super::identity::Identity;
use super::path::Query;
use super::refusal::Refusal;
use crate::kube::store::{Key, Resource, Store};
use crate::world::World;
use hyper::Method;
use serde_json::{Value, json};

const RBAC: &str = "rbac.authorization.k8s.io";
/// The paths that every user may read (the cluster roles `system:discovery` and `system:public-info-viewer`).
const PUBLIC: [&str; 10] =
    ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version"];
/// The reviews that every user may ask about itself (`system:basic-user`).
const REVIEWS: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// The attributes of a request, before it is known whether the object exists. Empty parts are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub verb: String,
    /// The path of a request for something that is no resource.
    pub path: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
}

impl Attributes {
    /// From the segments of a path, as `k8s.io/apiserver/pkg/endpoints/request` reads them.
    pub fn of(method: &Method, segments: &[&str], query: &Query) -> Self {
        let (group, rest) = match segments {
            ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
            other => {
                let verb = method.as_str().to_ascii_lowercase();
                return Attributes { verb, path: format!("/{}", other.join("/")), ..Attributes::default() };
            }
        };
        let text = |at: Option<&&str>| at.map(|t| (*t).to_string()).unwrap_or_default();
        let (namespace, rest) = match rest {
            ["namespaces", namespace, "status" | "finalize", ..] | ["namespaces", namespace] => (*namespace, rest),
            ["namespaces", namespace, inner @ ..] => (*namespace, inner),
            other => ("", other),
        };
        let (resource, name, subresource) = (text(rest.first()), text(rest.get(1)), text(rest.get(2)));
        let verb = match (method.as_str(), name.is_empty()) {
            ("GET", false) => "get",
            ("GET", true) if query.flag("watch") => "watch",
            ("GET", true) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", false) => "delete",
            ("DELETE", true) => "deletecollection",
            (_, _) => "",
        };
        Attributes {
            verb: verb.into(),
            path: String::new(),
            group: group.into(),
            resource,
            subresource,
            namespace: namespace.into(),
            name,
        }
    }

    /// Of a review's `spec`.
    pub fn of_review(spec: &Value) -> Self {
        let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        Attributes {
            verb: text(if path.is_null() { &resource["verb"] } else { &path["verb"] }),
            path: text(&path["path"]),
            group: text(&resource["group"]),
            resource: text(&resource["resource"]),
            subresource: text(&resource["subresource"]),
            namespace: text(&resource["namespace"]),
            name: text(&resource["name"]),
        }
    }

    fn refusal(&self, user: &str) -> Refusal {
        let Attributes { verb, group, resource, namespace, name, .. } = self;
        if resource.is_empty() {
            let message = format!("forbidden: User {user:?} cannot {verb} path {:?}", self.path);
            return Refusal::forbidden("", "", "", message);
        }
        let dotted = if group.is_empty() { String::new() } else { format!(".{group}") };
        let object = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        let part = if self.subresource.is_empty() { String::new() } else { format!("/{}", self.subresource) };
        let place = match namespace.as_str() {
            "" => "at the cluster scope".to_string(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let message = format!(
            "{resource}{dotted}{object} is forbidden: User {user:?} cannot {verb} resource \"{resource}{part}\" in API \
             group {group:?} {place}"
        );
        Refusal::forbidden(group, resource, name, message)
    }
}

/// Refuses what the user may not do.
pub fn check(world: &World, who: &Identity, asked: &Attributes) -> Result<(), Refusal> {
    let Identity::User { name, .. } = who else { return Err(Refusal::Unauthorized) };
    if allows(world, who, asked) { Ok(()) } else { Err(asked.refusal(name)) }
}

pub fn allows(world: &World, who: &Identity, asked: &Attributes) -> bool {
    who.is_master() || rules(world, who, &asked.namespace).iter().any(|rule| grants(rule, asked))
}

/// All rules that hold for the user in the namespace (empty: in the cluster), the public ones last.
pub fn rules(world: &World, who: &Identity, namespace: &str) -> Vec<Value> {
    let mut found = Vec::new();
    if who.is_master() {
        found.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        found.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    if let Some(cluster) = &world.cluster {
        let bindings = [("clusterrolebindings", None), ("rolebindings", Some(namespace))];
        for (plural, place) in bindings {
            if place == Some("") {
                continue;
            }
            for (_, binding) in cluster.store.list(&Resource::new(RBAC, plural), place) {
                if binding["subjects"].as_array().into_iter().flatten().any(|subject| is(who, subject)) {
                    found.extend(role(&cluster.store, &binding["roleRef"], namespace));
                }
            }
        }
    }
    found.extend(
        REVIEWS.map(|(group, resource)| json!({"verbs": ["create"], "apiGroups": [group], "resources": [resource]})),
    );
    found.push(json!({"verbs": ["get"], "nonResourceURLs": PUBLIC}));
    found
}

fn is(who: &Identity, subject: &Value) -> bool {
    let Identity::User { name, groups } = who else { return false };
    match subject["kind"].as_str() {
        Some("User") => subject["name"] == name.as_str(),
        Some("Group") => groups.iter().any(|g| subject["name"] == g.as_str()),
        // The lab issues no tokens, so nobody comes as a service account.
        _ => false,
    }
}

fn role(store: &Store, reference: &Value, namespace: &str) -> Vec<Value> {
    let name = reference["name"].as_str().unwrap_or_default();
    let key = match reference["kind"].as_str() {
        Some("ClusterRole") => Key::new(RBAC, "clusterroles", "", name),
        _ => Key::new(RBAC, "roles", namespace, name),
    };
    match store.get(&key) {
        Some(role) => role["rules"].as_array().cloned().unwrap_or_default(),
        // It is always there, also when nobody wrote it into the lab.
        None if name == "cluster-admin" => vec![
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
        ],
        None => Vec::new(),
    }
}

fn grants(rule: &Value, asked: &Attributes) -> bool {
    let has = |field: &str, wanted: &str| {
        rule[field].as_array().into_iter().flatten().any(|one| *one == "*" || *one == wanted)
    };
    if !has("verbs", &asked.verb) {
        return false;
    }
    if asked.resource.is_empty() {
        let urls = rule["nonResourceURLs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        return urls.into_iter().any(|url| match url.strip_suffix('*') {
            Some(start) => asked.path.starts_with(start),
            None => asked.path == url,
        });
    }
    let full = match asked.subresource.as_str() {
        "" => asked.resource.clone(),
        part => format!("{}/{part}", asked.resource),
    };
    let named = rule["resourceNames"].as_array().is_none_or(|names| {
        names.is_empty() || (!asked.name.is_empty() && names.iter().any(|n| *n == asked.name.as_str()))
    });
    named && has("apiGroups", &asked.group) && has("resources", &full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, path: &str, query: &str) -> Attributes {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        Attributes::of(&method, &segments, &Query::parse(query))
    }

    #[test]
    fn a_path_is_read_as_the_real_server_reads_it() {
        let status = of(Method::PATCH, "/api/v1/namespaces/a/pods/p/status", "");
        assert_eq!(
            (status.verb.as_str(), status.resource.as_str(), status.subresource.as_str()),
            ("patch", "pods", "status")
        );
        let namespace = of(Method::GET, "/api/v1/namespaces/a", "");
        assert_eq!((namespace.resource.as_str(), namespace.namespace.as_str()), ("namespaces", "a"));
        assert_eq!(of(Method::GET, "/apis/apps/v1/deployments", "watch=1").verb, "watch");
        assert_eq!(of(Method::GET, "/version", "").path, "/version");
    }

    #[test]
    fn a_rule_grants_what_it_names_and_nothing_else() {
        let rule = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"],
            "resourceNames": ["p"]});
        assert!(grants(&rule, &of(Method::GET, "/api/v1/namespaces/a/pods/p", "")));
        assert!(grants(&rule, &of(Method::GET, "/api/v1/namespaces/a/pods/p/log", "")));
        assert!(!grants(&rule, &of(Method::GET, "/api/v1/namespaces/a/pods/q", "")));
        assert!(!grants(&rule, &of(Method::DELETE, "/api/v1/namespaces/a/pods/p", "")));
        assert!(!grants(&rule, &of(Method::GET, "/apis/apps/v1/namespaces/a/pods/p", "")));
    }
}
