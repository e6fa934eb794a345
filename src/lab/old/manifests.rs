//! Objects of the old cluster that the scenario writes down as manifests.
use super::OldCluster;
use super::objects::{Object, days_ago};
use crate::kube::api::kinds::KINDS;
use crate::kube::store::Key;
use jiff::Timestamp;
use serde_json::Value;

fn text<'a>(of: &'a Value, at: &str) -> &'a str {
    of.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// # Errors
/// With the manifest whose kind nobody knows.
pub fn all(old: &OldCluster, now: Timestamp) -> Result<Vec<Object>, String> {
    old.objects.iter().map(|object| one(old, object, now)).collect()
}

fn one(old: &OldCluster, manifest: &Value, now: Timestamp) -> Result<Object, String> {
    let (version, kind) = (text(manifest, "/apiVersion"), text(manifest, "/kind"));
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    let known = KINDS.iter().find(|k| k.kind == kind && k.api_version() == version).map(|k| k.plural);
    let defined = old.objects.iter().find(|o| {
        text(o, "/kind") == "CustomResourceDefinition"
            && (text(o, "/spec/group"), text(o, "/spec/names/kind")) == (group, kind)
    });
    let plural = known.or_else(|| defined.map(|d| text(d, "/spec/names/plural")));
    let plural = plural.ok_or_else(|| format!("no such kind in the lab: {version} {kind}"))?;
    let mut object = manifest.clone();
    if object["metadata"]["creationTimestamp"].is_null() {
        object["metadata"]["creationTimestamp"] = days_ago(now, old.age_days).into();
    }
    let (namespace, name) = (text(manifest, "/metadata/namespace"), text(manifest, "/metadata/name"));
    Ok((Key::new(group, plural, namespace, name), object))
}
