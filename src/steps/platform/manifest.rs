//! The installer's manifest: fetched, checked, and taken apart into objects.
use crate::cozystack::addons::Object;
use crate::engine::failure::Failure;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{ours, text};
use crate::steps::platform::values::NAMESPACE;
use crate::steps::release_file::ReleaseFile;
use serde_json::Value;

/// The real one has 3 KiB; what is far larger is something else.
const LIMIT: usize = 1 << 20;

/// The file that the plan names.
pub fn file(plan: &Plan) -> ReleaseFile<'_> {
    ReleaseFile {
        what: "installer manifest",
        url: &plan.cozystack.installer_url,
        url_key: "cozystack.installer_url",
        sha256: plan.cozystack.installer_sha256.as_deref(),
        sha256_key: "cozystack.installer_sha256",
        limit: LIMIT,
    }
}

/// The manifest's objects with this run's labels, in the order to apply them: the Deployments come last, so that one
/// that is there says that the rest is.
///
/// # Errors
/// When the text is no YAML, or names a kind that cozyup does not know.
pub fn parse(manifest: &str, run: &str) -> Result<Vec<Object>, Failure> {
    let wrong = |what: String| Failure::broken(what, "compare the manifest with that of the release in the plan");
    let options = serde_saphyr::options! { emit_comments: false };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(manifest, options)
        .map_err(|e| wrong(format!("the installer manifest can't be read: {e}")))?;
    let mut objects = Vec::new();
    for document in documents {
        let (version, kind, name) =
            (text(&document, "/apiVersion"), text(&document, "/kind"), text(&document, "/metadata/name"));
        let known = Kind::find(version, kind).ok_or_else(|| {
            wrong(format!("the installer manifest holds a {kind} ({version}), which cozyup does not know"))
        })?;
        if name.is_empty() {
            return Err(wrong(format!("the installer manifest holds a {kind} without a name")));
        }
        let namespace = document.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(NAMESPACE);
        let (name, namespace) = (name.to_string(), known.namespaced.then(|| namespace.to_string()));
        objects.push(ours(run, known, namespace.as_deref(), &name, document));
    }
    if !objects.iter().any(|o| o.kind == Kind::DEPLOYMENT) {
        return Err(wrong("the installer manifest holds no Deployment".to_string()));
    }
    objects.sort_by_key(|o| o.kind == Kind::DEPLOYMENT);
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: cozy-system, labels: {cozystack.io/system: \"true\"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cozystack, namespace: cozy-system}
spec: {replicas: 1}
---
# nothing in here
---
apiVersion: v1
kind: Service
metadata: {name: cozystack}
spec: {ports: [{port: 80}]}
";

    #[test]
    fn the_deployment_comes_last_and_everything_is_marked() {
        let objects = parse(MANIFEST, "r.1").unwrap();
        let shown: Vec<String> = objects.iter().map(|o| format!("{o:?}")).collect();
        assert_eq!(
            shown,
            ["Namespace cozy-system", "Service cozy-system/cozystack", "Deployment cozy-system/cozystack"]
        );
        for object in &objects {
            assert_eq!(object.body.pointer("/metadata/labels/cozyup.dev~1run").unwrap(), "r.1");
        }
        assert_eq!(text(&objects[0].body, "/metadata/labels/cozystack.io~1system"), "true");
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let failure = parse("apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n", "r.1").unwrap_err();
        assert!(failure.what.contains("a Job (batch/v1)"), "{failure}");
        assert!(parse("a: [", "r.1").is_err());
        assert!(
            parse("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "r")
                .unwrap_err()
                .what
                .contains("no Deployment")
        );
    }
}
