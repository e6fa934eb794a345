//! The test's objects, and what all tests ask of a pod.
use crate::cozystack::addons::{MANAGED_BY, RUN_LABEL};
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
pub use crate::steps::cluster::{is_ours, text};
use crate::steps::failures;
use crate::steps::site::{Changing, Reading};
use serde_json::{Value, json};

pub const NAMESPACE: &str = "cozyup-test";
/// Kubernetes' own test image: a shell, the usual tools and a small web server.
pub const IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.53";
pub const CONTAINER: &str = "test";
/// CozyStack's own tests give a volume two minutes; image pulls come on top.
pub const BAND: Band = Band::new(40, 240);

/// Labels that mark an object as this run's.
pub fn labels(site: &Reading) -> Value {
    json!({MANAGED_BY.0: MANAGED_BY.1, RUN_LABEL: site.label()})
}

/// A pod that runs `script` once; `claim` is mounted at /data.
pub fn job(site: &Reading, script: &str, claim: Option<&str>) -> Value {
    let mut pod = json!({
        "metadata": {"labels": labels(site)},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": CONTAINER,
                "image": IMAGE,
                "command": ["sh", "-c", script],
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            }],
        },
    });
    if let (Some(claim), Some(spec)) = (claim, pod.pointer_mut("/spec").and_then(Value::as_object_mut)) {
        spec.insert("volumes".into(), json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]));
        if let Some(container) = spec.get_mut("containers").and_then(|c| c.get_mut(0)).and_then(Value::as_object_mut) {
            container.insert("volumeMounts".into(), json!([{"name": "data", "mountPath": "/data"}]));
        }
    }
    pod
}

/// The pod on this node, and gone at once when it is deleted.
pub fn on_node(mut pod: Value, node: &str) -> Value {
    if let Some(spec) = pod.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.insert("nodeSelector".into(), json!({"kubernetes.io/hostname": node}));
        spec.insert("terminationGracePeriodSeconds".into(), json!(1));
    }
    pod
}

/// A word that only this run writes.
pub fn token(site: &Reading, id: &StepId) -> String {
    format!("{}-{}", site.label(), id.as_str().replace(['/', '.'], "-"))
}

pub async fn apply(
    site: &Reading,
    change: &Changing,
    kind: &Kind,
    namespace: Option<&str>,
    name: &str,
    body: Value,
) -> Result<(), Failure> {
    let doing = format!("apply {} {name}", kind.kind);
    let existing = site.kubernetes()?.get(kind, namespace, name).await.map_err(|e| failures::kubernetes(&e, &doing))?;
    if let Some(found) = &existing
        && !is_ours(site, &found.value)
    {
        return Err(Failure::refused(
            format!("{} {name} exists and does not carry this run's label", kind.kind),
            format!("remove it yourself if nobody needs it: kubectl delete {} {name}", kind.plural),
        ));
    }
    // A pod can't be changed once it is there.
    if existing.is_some() && *kind == Kind::POD {
        return Ok(());
    }
    let applied = change.kubernetes()?.apply(kind, namespace, name, body).await;
    applied.map(|_| ()).map_err(|e| failures::kubernetes(&e, &doing))
}

/// As [`apply`], for a pod that goes on running: one that has ended is removed first, and made anew at the next look.
pub async fn apply_anew(
    site: &Reading,
    change: &Changing,
    namespace: &str,
    name: &str,
    body: Value,
) -> Result<(), Failure> {
    let found = site.kubernetes()?.get(&Kind::POD, Some(namespace), name).await;
    let found = found.map_err(|e| failures::kubernetes(&e, &format!("read pod {name}")))?;
    let ended = found.filter(|pod| is_ours(site, &pod.value) && text(&pod.value, "/status/phase") == "Succeeded");
    let Some(ended) = ended else {
        return apply(site, change, &Kind::POD, Some(namespace), name, body).await;
    };
    let uid = text(&ended.value, "/metadata/uid");
    let deleted = change.kubernetes()?.delete(&Kind::POD, Some(namespace), name, uid).await;
    deleted.map_err(|e| failures::kubernetes(&e, &format!("delete pod {name}, which has ended")))
}

/// The progress of a test pod.
pub enum PodState {
    Missing,
    Underway(Wait),
    /// It has ended well; evidence of the pod and of its log, and the log.
    Done {
        evidence: Vec<Evidence>,
        log: String,
    },
}

/// # Errors
/// When the pod failed (with the end of its log), or can't be read.
pub async fn pod_state(
    cx: &dyn Context,
    site: &Reading,
    namespace: &str,
    name: &str,
    what: &str,
) -> Result<PodState, Failure> {
    let reader = site.kubernetes()?;
    let failed = |e| failures::kubernetes(&e, &format!("read pod {name}"));
    let Some(pod) = reader.get(&Kind::POD, Some(namespace), name).await.map_err(failed)? else {
        return Ok(PodState::Missing);
    };
    let phase = pod.value.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending").to_string();
    match phase.as_str() {
        "Succeeded" => {
            let log = reader.logs(namespace, name, CONTAINER, 50).await.map_err(failed)?;
            let now = cx.clock().now();
            let evidence = vec![Evidence::of("Kubernetes", now, &pod), Evidence::of("Kubernetes", now, &log)];
            Ok(PodState::Done { evidence, log: log.value })
        }
        "Failed" => {
            let log = reader.logs(namespace, name, CONTAINER, 10).await.map(|l| l.value).unwrap_or_default();
            Err(Failure::person(
                format!("{what}: the test pod {name} failed: {}", log.lines().last().unwrap_or("no log")),
                format!(
                    "read kubectl -n {namespace} logs {name}; delete the pod when the cause is gone, it is made anew"
                ),
            ))
        }
        _ => {
            Ok(PodState::Underway(Wait::new(format!("{what}: the test pod ends"), pod_seen(&pod.value, &phase), BAND)))
        }
    }
}

/// As [`pod_state`], for a pod that goes on running and holds a volume: done as soon as it has written `word`. One that has
/// ended holds nothing any more, and is as good as missing.
///
/// # Errors
/// See [`pod_state`].
pub async fn written(
    cx: &dyn Context,
    site: &Reading,
    (namespace, name): (&str, &str),
    word: &str,
    what: &str,
) -> Result<PodState, Failure> {
    let reader = site.kubernetes()?;
    let failed = |e| failures::kubernetes(&e, &format!("read pod {name}"));
    let Some(pod) = reader.get(&Kind::POD, Some(namespace), name).await.map_err(failed)? else {
        return Ok(PodState::Missing);
    };
    match text(&pod.value, "/status/phase") {
        "Running" => {}
        "Succeeded" => return Ok(PodState::Missing),
        _ => return pod_state(cx, site, namespace, name, what).await,
    }
    let log = reader.logs(namespace, name, CONTAINER, 50).await.map_err(failed)?;
    if !log.value.lines().any(|line| line.trim() == word) {
        let seen = "it runs and has not written it yet";
        return Ok(PodState::Underway(Wait::new(format!("{what}: the test pod {name} writes `{word}`"), seen, BAND)));
    }
    let now = cx.clock().now();
    let evidence = vec![Evidence::of("Kubernetes", now, &pod), Evidence::of("Kubernetes", now, &log)];
    Ok(PodState::Done { evidence, log: log.value })
}

/// Phase, and why it is no further.
fn pod_seen(pod: &Value, phase: &str) -> String {
    let waiting = pod.pointer("/status/containerStatuses/0/state/waiting/reason").and_then(Value::as_str);
    let unscheduled = pod
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .and_then(|c| c.iter().find(|c| c.get("type").and_then(Value::as_str) == Some("PodScheduled")))
        .filter(|c| c.get("status").and_then(Value::as_str) == Some("False"))
        .and_then(|c| c.get("message").and_then(Value::as_str));
    match waiting.or(unscheduled) {
        Some(why) => format!("{phase}: {why}"),
        None => phase.to_string(),
    }
}

/// Satisfied when the word stands in the log, with `more` evidence around it.
///
/// # Errors
/// When the pod ended well without having written the word.
pub fn word_found(log: &str, word: &str, evidence: Vec<Evidence>, summary: &str) -> Result<Observed, Failure> {
    let mut readings = evidence.into_iter();
    match readings.next() {
        Some(first) if log.lines().any(|l| l.trim() == word) => {
            Ok(Observed::Satisfied(readings.fold(Proof::new(summary, first), Proof::and)))
        }
        Some(_) | None => Err(Failure::person(
            format!("the test pod ended well but did not write `{word}`"),
            "read its log with kubectl logs; delete the pod to try again",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_is_not_scheduled_says_why() {
        let pod =
            json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "no node fits"}]}});
        assert_eq!(pod_seen(&pod, "Pending"), "Pending: no node fits");
        assert_eq!(pod_seen(&json!({}), "Pending"), "Pending");
    }
}
