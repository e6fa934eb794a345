//! The checks that an object must pass before it is stored although it could be read: names, labels, finalizers, and
//! immutable fields.
use super::kinds::Kind;
use super::refusal::{Cause, Refusal};
use crate::kube::BUILT_IN;
use serde_json::Value;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
    with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn is_label(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&text.len()) && text.starts_with(plain) && text.ends_with(plain) && is_of(text, &plain, "-")
}

fn is_of(text: &str, plain: &impl Fn(char) -> bool, others: &str) -> bool {
    text.chars().all(|c| plain(c) || others.contains(c))
}

fn is_label_text(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63 && text.starts_with(plain) && text.ends_with(plain) && is_of(text, &plain, "-_.")
}

/// Most names are DNS subdomains; those of RBAC objects only must fit into a path.
fn name(kind: &Kind, name: &str) -> Option<Cause> {
    let why = match (kind.group, kind.plural) {
        ("rbac.authorization.k8s.io", _) => {
            (name.contains(['/', '%']) || name == "." || name == "..").then_some("may not contain '/' or '%'")
        }
        ("", "namespaces") if name.contains('.') => Some("must not contain dots"),
        ("", "namespaces") => (!is_label(name)).then_some(LABEL),
        ("", "services") => (!is_label(name) || name.starts_with(|c: char| c.is_ascii_digit())).then_some(OLD_LABEL),
        _ => (name.len() > 253 || !name.split('.').all(is_label)).then_some(SUBDOMAIN),
    };
    why.map(|why| Cause::invalid("metadata.name", &format!("{name:?}"), why))
}

fn labels(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (label, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        let part = label.rsplit_once('/').map_or(label.as_str(), |(_, part)| part);
        if !is_label_text(part) {
            causes.push(Cause::invalid("metadata.labels", &format!("{label:?}"), LABEL_NAME));
        }
        let value = value.as_str().unwrap_or_default();
        if !value.is_empty() && !is_label_text(value) {
            causes.push(Cause::invalid("metadata.labels", &format!("{value:?}"), LABEL_VALUE));
        }
    }
    causes
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Those that are neither Kubernetes' own nor have a domain, with their place.
fn unqualified_finalizers(object: &Value) -> impl Iterator<Item = (usize, &str)> {
    const STANDARD: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
    finalizers(object).enumerate().filter(|(_, f)| !f.contains('/') && !STANDARD.contains(f))
}

/// Kubernetes' own kinds take no finalizer without a domain.
fn refused_finalizers(object: &Value) -> impl Iterator<Item = Cause> {
    let why = "name is neither a standard finalizer name nor is it fully qualified";
    unqualified_finalizers(object)
        .map(move |(at, f)| Cause::invalid(&format!("metadata.finalizers[{at}]"), &format!("{f:?}"), why))
}

/// The warnings to a client about a stored object: custom resources take any finalizer.
pub fn warnings(kind: &Kind, object: &Value) -> Vec<String> {
    if BUILT_IN.contains(&kind.group) {
        return Vec::new();
    }
    let warned = unqualified_finalizers(object).map(|(_, f)| {
        format!(
            "metadata.finalizers: {f:?}: prefer a domain-qualified finalizer name including a path (/) to avoid \
             accidental conflicts with other finalizer writers"
        )
    });
    warned.collect()
}

fn refused(kind: &'static Kind, object: &Value, causes: Vec<Cause>) -> Result<(), Refusal> {
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_string();
    Err(Refusal::Invalid { kind, name, causes })
}

/// Of an object that is not there yet.
pub fn new(kind: &'static Kind, object: &Value) -> Result<(), Refusal> {
    let mut causes: Vec<Cause> =
        name(kind, object["metadata"]["name"].as_str().unwrap_or_default()).into_iter().collect();
    causes.extend(common(kind, object));
    refused(kind, object, causes)
}

/// Of an object that takes the place of `old`.
pub fn changed(kind: &'static Kind, old: &Value, object: &Value) -> Result<(), Refusal> {
    let mut causes = common(kind, object);
    if old["metadata"]["deletionTimestamp"].is_string() {
        let known: Vec<&str> = finalizers(old).collect();
        let added: Vec<&str> = finalizers(object).filter(|f| !known.contains(f)).collect();
        if !added.is_empty() {
            let shown: Vec<String> = added.iter().map(|f| format!("{f:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                shown.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    causes.extend(immutable(kind, old, object));
    refused(kind, object, causes)
}

fn common(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = labels(object);
    if BUILT_IN.contains(&kind.group) {
        causes.extend(refused_finalizers(object));
    }
    match (kind.group, kind.plural) {
        ("", "events") => causes.extend(misplaced(object)),
        ("", "pods") => causes.extend(containers(&object["spec"], "spec")),
        ("apiextensions.k8s.io", "customresourcedefinitions") => causes.extend(definition(object)),
        ("apps", plural) if plural != "controllerrevisions" => {
            causes.extend(containers(&object["spec"]["template"]["spec"], "spec.template.spec"));
            causes.extend(unselected(object));
        }
        _ => {}
    }
    causes
}

/// An Event lies in the namespace of what it is about; of what has none, in `default`.
fn misplaced(event: &Value) -> Option<Cause> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (about, own) = (text("/involvedObject/namespace"), text("/metadata/namespace"));
    let fits = about == own || (about.is_empty() && own == "default") || own.is_empty();
    (!fits).then(|| Cause::invalid("involvedObject.namespace", &format!("{about:?}"), "does not match event.namespace"))
}

fn definition(object: &Value) -> Vec<Cause> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (name, plural, group) = (text("/metadata/name"), text("/spec/names/plural"), text("/spec/group"));
    let mut causes = Vec::new();
    if name != format!("{plural}.{group}") {
        causes.push(Cause::invalid(
            "metadata.name",
            &format!("{name:?}"),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    for (at, version) in object["spec"]["versions"].as_array().into_iter().flatten().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{at}].schema.openAPIV3Schema");
            causes.push(Cause::required(&field, "schemas are required"));
        }
    }
    causes
}

fn containers(spec: &Value, at: &str) -> Option<Cause> {
    let none = spec["containers"].as_array().is_none_or(Vec::is_empty);
    none.then(|| Cause::required(&format!("{at}.containers"), ""))
}

/// A workload must select the pods that it makes.
fn unselected(object: &Value) -> Option<Cause> {
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    let wanted = object["spec"]["selector"]["matchLabels"].as_object()?;
    if wanted.iter().all(|(label, value)| labels.get(label) == Some(value)) {
        return None;
    }
    let all = labels.as_object().into_iter().flatten();
    let shown: Vec<String> = all.map(|(l, v)| format!("{l:?}:{v}")).collect();
    let value = format!("map[string]string{{{}}}", shown.join(", "));
    let why = "`selector` does not match template `labels`";
    Some(Cause::invalid("spec.template.metadata.labels", &value, why))
}

/// A pod's spec without what may change.
fn fixed_of_pod(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(map) = spec.as_object_mut() {
        map.retain(|field, value| {
            !value.is_null()
                && !matches!(field.as_str(), "activeDeadlineSeconds" | "tolerations" | "terminationGracePeriodSeconds")
        });
        for field in ["containers", "initContainers"] {
            for container in map.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
    }
    spec
}

/// The fields that can't be changed any more once the object is stored.
fn immutable(kind: &Kind, old: &Value, object: &Value) -> Vec<Cause> {
    let differs = |pointer: &str| {
        let (was, is) = (old.pointer(pointer), object.pointer(pointer));
        was.filter(|v| !v.is_null()) != is.filter(|v| !v.is_null())
    };
    let value = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default().to_string();
    let immutable = |pointer: &str, field: &str| {
        differs(pointer).then(|| Cause::invalid(field, &value(pointer), "field is immutable"))
    };
    let forbidden = |pointer: &str, field: &str, why: &str| differs(pointer).then(|| Cause::forbidden(field, why));
    let found = match (kind.group, kind.plural) {
        ("apps", "deployments" | "daemonsets" | "replicasets") => vec![immutable("/spec/selector", "spec.selector")],
        ("apps", "statefulsets") => {
            let fixed =
                ["/spec/selector", "/spec/serviceName", "/spec/volumeClaimTemplates", "/spec/podManagementPolicy"];
            let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                       'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                       'minReadySeconds' are forbidden";
            vec![fixed.iter().any(|f| differs(f)).then(|| Cause::forbidden("spec", why))]
        }
        ("batch", "jobs") => {
            vec![immutable("/spec/selector", "spec.selector"), immutable("/spec/template", "spec.template")]
        }
        ("storage.k8s.io", "storageclasses") => vec![
            forbidden("/parameters", "parameters", "updates to parameters are forbidden."),
            forbidden("/provisioner", "provisioner", "updates to provisioner are forbidden."),
            forbidden("/reclaimPolicy", "reclaimPolicy", "updates to reclaimPolicy are forbidden."),
            immutable("/volumeBindingMode", "volumeBindingMode"),
        ],
        ("rbac.authorization.k8s.io", "clusterrolebindings" | "rolebindings") => vec![differs("/roleRef").then(|| {
            let text = |field: &str| object["roleRef"][field].as_str().unwrap_or_default().to_string();
            let shown = format!(
                "rbac.RoleRef{{APIGroup:{:?}, Kind:{:?}, Name:{:?}}}",
                text("apiGroup"),
                text("kind"),
                text("name")
            );
            Cause::invalid("roleRef", &shown, "cannot change roleRef")
        })],
        ("", "pods") => {
            let why = "pod updates may not change fields other than \
                       `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                       `spec.tolerations` (only additions to existing tolerations),\
                       `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
            vec![(fixed_of_pod(old) != fixed_of_pod(object)).then(|| Cause::forbidden("spec", why))]
        }
        ("", "secrets") => vec![immutable("/type", "type")],
        ("", "persistentvolumeclaims") => {
            // A claim is bound by writing its volume's name into it.
            let fixed = ["/spec/accessModes", "/spec/storageClassName", "/spec/selector", "/spec/volumeMode"];
            let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                       bound claims";
            vec![fixed.iter().any(|f| differs(f)).then(|| Cause::forbidden("spec", why))]
        }
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;
    use serde_json::json;

    fn kind(plural: &str) -> &'static Kind {
        KINDS.iter().find(|k| k.plural == plural).unwrap()
    }

    #[test]
    fn a_name_that_dns_would_not_take_is_refused_by_the_rule_of_its_kind() {
        let named = |name: &str| json!({"metadata": {"name": name}});
        assert!(new(kind("configmaps"), &named("a.b-c")).is_ok());
        assert!(new(kind("configmaps"), &named("A_b")).is_err());
        assert!(new(kind("clusterroles"), &named("system:A_b")).is_ok());
        let refusal = new(kind("namespaces"), &named("a.b")).unwrap_err().to_string();
        let expected = "Namespace \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": must not contain dots";
        assert_eq!(refusal, expected);
        assert!(new(kind("services"), &named("1a")).unwrap_err().to_string().contains("DNS-1035"));
    }

    /// cozystack.md 3: every finalizer of Cluster API has this form, and a real server stores it.
    #[test]
    fn a_custom_resource_takes_a_finalizer_without_a_path_with_a_warning_and_kubernetes_own_kinds_do_not() {
        let finalizer = "proxmoxcluster.infrastructure.cluster.x-k8s.io";
        let object = json!({"metadata": {"name": "a", "finalizers": [finalizer]}});
        assert!(new(kind("tenants"), &object).is_ok());
        let warned = warnings(kind("tenants"), &object);
        assert!(warned[0].starts_with(&format!("metadata.finalizers: {finalizer:?}: prefer a domain-qualified")));
        let refusal = new(kind("configmaps"), &object).unwrap_err().to_string();
        assert!(refusal.contains("neither a standard finalizer name"), "{refusal}");
        assert!(warnings(kind("configmaps"), &object).is_empty());
    }

    #[test]
    fn several_faults_are_told_at_once() {
        let object = json!({"metadata": {"name": "a", "labels": {"a b": "c"}, "finalizers": ["plain"]}});
        let refusal = new(kind("configmaps"), &object).unwrap_err().to_string();
        assert!(refusal.starts_with("ConfigMap \"a\" is invalid: [metadata.labels: "), "{refusal}");
        assert!(refusal.contains(", metadata.finalizers[0]: Invalid value: \"plain\""), "{refusal}");
    }

    #[test]
    fn a_class_keeps_its_parameters_and_a_binding_its_role() {
        let class = |v: &str| json!({"metadata": {"name": "c"}, "parameters": {"a": v}});
        let refusal = changed(kind("storageclasses"), &class("1"), &class("2")).unwrap_err().to_string();
        assert!(refusal.ends_with("parameters: Forbidden: updates to parameters are forbidden."), "{refusal}");
        let binding = |role: &str| json!({"metadata": {"name": "c"}, "roleRef": {"kind": "ClusterRole", "name": role}});
        assert!(changed(kind("clusterrolebindings"), &binding("a"), &binding("b")).is_err());
        assert!(changed(kind("clusterrolebindings"), &binding("a"), &binding("a")).is_ok());
    }
}
