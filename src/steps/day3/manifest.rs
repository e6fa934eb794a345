//! The installer's manifest: fetched, checked, and taken apart into objects.
use super::values::NAMESPACE;
use crate::base::text::{hex, spoken};
use crate::cozystack::addons::Object;
use crate::engine::failure::Failure;
use crate::kubernetes::Kind;
use crate::steps::cluster::{ours, text};
use crate::steps::day1::web;
use crate::steps::site::Reading;
use aws_lc_rs::digest;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// The real one has 3 KiB; what is far larger is something else.
const LIMIT: usize = 1 << 20;
/// On the wall: the release server is real even when the clock runs fast.
const DEADLINE: Duration = Duration::from_secs(60);

/// The manifest's text.
///
/// # Errors
/// When it can't be fetched, is too large, is no text, or is not the file of the plan's SHA-256.
pub async fn fetch(site: &Reading) -> Result<String, Failure> {
    let url = &site.plan.cozystack.installer_url;
    let late = || {
        Failure::retryable(
            format!("fetch {url}: no end after {}", spoken(DEADLINE)),
            "the release server is slow: name a mirror in the plan if it stays so; cozyup tries again",
        )
    };
    let bytes = tokio::time::timeout(DEADLINE, download(site, url)).await.map_err(|_| late())??;
    if let Some(wanted) = &site.plan.cozystack.installer_sha256 {
        verify(url, &bytes, wanted)?;
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::person(format!("{url} is no text"), "correct cozystack.installer_url in the plan"))
}

async fn download(site: &Reading, url: &str) -> Result<Vec<u8>, Failure> {
    let mut response = web::ask(&site.http, Method::GET, url).await?;
    let cut = |e: &reqwest::Error| {
        Failure::retryable(
            format!("fetch {url}: {}", web::cause(e)),
            "check that this machine reaches the release server; cozyup tries again",
        )
    };
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| cut(&e))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LIMIT {
            return Err(Failure::person(
                format!("{url} has more than {LIMIT} bytes: that is no installer manifest"),
                "correct cozystack.installer_url in the plan",
            ));
        }
    }
    Ok(bytes)
}

fn verify(url: &str, bytes: &[u8], wanted: &str) -> Result<(), Failure> {
    let found = hex(digest::digest(&digest::SHA256, bytes).as_ref());
    if found.eq_ignore_ascii_case(wanted.trim()) {
        return Ok(());
    }
    Err(Failure::refused(
        format!("{url} has SHA-256 {found}, the plan wants {wanted}"),
        "find out who changed the file; correct cozystack.installer_sha256 only when you trust the new one",
    ))
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

    #[test]
    fn another_file_than_the_plans_is_refused() {
        let empty = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        assert!(verify("u", b"", empty).is_ok());
        assert!(verify("u", b"x", empty).unwrap_err().what.contains("the plan wants E3B0"));
    }
}
