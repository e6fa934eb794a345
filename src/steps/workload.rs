//! The state of a Deployment's pods, and the reason why they do not run, in their own words.
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::kubernetes::{Kind, PodStatus, Reader};
use crate::steps::cluster::{self, number, text};
use crate::steps::failures;
use serde_json::Value;

/// Lines of a log that are looked through for the error.
const TAIL: u32 = 30;

/// True when every pod of it runs. The condition alone is not enough: with `maxUnavailable: 1` it is True without any
/// pod.
pub fn is_up(deployment: &Value) -> bool {
    let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
    let all = |field: &str| number(deployment, field).unwrap_or_default() >= wanted;
    cluster::is_true(deployment, "Available") && all("/status/availableReplicas") && all("/status/updatedReplicas")
}

/// The pods that a Deployment chooses.
///
/// # Errors
/// When they can't be listed.
pub async fn pods_of(reader: &Reader, namespace: &str, deployment: &Value) -> Result<Vec<PodStatus>, Failure> {
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let chosen: Vec<String> =
        labels.into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    let pods = reader.pods(Some(namespace), Some(&chosen.join(","))).await;
    let name = text(deployment, "/metadata/name");
    Ok(pods.map_err(|e| failures::kubernetes(&e, &format!("list the pods of {namespace}/{name}")))?.value)
}

/// The reason why a Deployment's pods do not run, in the pod's own words when it has some.
///
/// # Errors
/// When the pods can't be listed.
pub async fn trouble(reader: &Reader, namespace: &str, deployment: &Value) -> Result<Option<String>, Failure> {
    let pods = pods_of(reader, namespace, deployment).await?;
    let Some((pod, reason)) = pods.iter().find_map(|p| Some((p, p.waiting_reason.as_deref()?))) else {
        return Ok(None);
    };
    let container = text(deployment, "/spec/template/spec/containers/0/name");
    let word = last_word(reader, pod, container).await.map(|w| format!(": {w}")).unwrap_or_default();
    Ok(Some(format!("pod {} is in {reason}{word}", pod.name)))
}

/// The reason why a Deployment does not run, with the command that shows its pods; `None` when all its pods do.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn down(reader: &Reader, namespace: &str, name: &str) -> Result<Option<String>, Failure> {
    let Some(found) = cluster::get(reader, &Kind::DEPLOYMENT, Some(namespace), name).await? else {
        return Ok(Some(format!("there is no Deployment {namespace}/{name} (kubectl -n {namespace} get pods)")));
    };
    let wanted = number(&found.value, "/spec/replicas").unwrap_or(1);
    if wanted > 0 && is_up(&found.value) {
        return Ok(None);
    }
    let ready = number(&found.value, "/status/readyReplicas").unwrap_or_default();
    let why = trouble(reader, namespace, &found.value).await?;
    let why = why.unwrap_or_else(|| format!("{ready} of {wanted} pods are ready"));
    Ok(Some(format!("{why} (kubectl -n {namespace} get pods)")))
}

/// The line of a container's log that tells why it ended; a container that never started has none.
async fn last_word(reader: &Reader, pod: &PodStatus, container: &str) -> Option<String> {
    if pod.restarts == 0 {
        return None;
    }
    let log = reader.logs(&pod.namespace, &pod.name, container, TAIL).await.ok()?;
    telling(&log.value).map(|line| shorten(line, 300))
}

/// The last line with CozyStack's own `ERROR`, else with an error, else the last line.
fn telling(log: &str) -> Option<&str> {
    let lines = || log.lines().map(str::trim).filter(|l| !l.is_empty());
    let with = |word: &str| lines().rfind(|l| l.contains(word));
    with("ERROR").or_else(|| with("Error")).or_else(|| with("err=")).or_else(|| lines().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_that_may_lack_all_its_pods_is_not_up_by_its_condition_alone() {
        let with = |available: u64| {
            json!({"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": {
                "observedGeneration": 1, "availableReplicas": available, "updatedReplicas": 1,
                "conditions": [{"type": "Available", "status": "True"}]}})
        };
        assert!(is_up(&with(1)) && !is_up(&with(0)));
    }

    #[test]
    fn the_line_that_tells_most_is_shown() {
        let log =
            "+ kubectl get\nError: execution error: ERROR need root-host in cozystack ConfigMap\nmake: *** Error 1\n\n";
        assert!(telling(log).unwrap().contains("ERROR need root-host"));
        assert_eq!(telling("a\nb\n"), Some("b"));
        assert_eq!(telling("\n"), None);
        // As Go's loggers write it (cozystack.md 2.8).
        let log = "I setup\nE \"unable to setup\" err=\"not authorized to access endpoint\"\nI bye\n";
        assert!(telling(log).unwrap().contains("not authorized"));
    }
}
