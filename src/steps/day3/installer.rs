//! `day3.installer`: CozyStack's installer runs. Why it does not is told from its pod's log.
use super::manifest;
use super::values::{NAME, NAMESPACE};
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, PodStatus, Reader};
use crate::plan::model::Plan;
use crate::steps::cluster::{self, foreign, get, is_ours, items, number, proven, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub const KIND: &str = "day3.installer";
const BAND: Band = Band::new(60, 180);
/// Lines of a log that are looked through for the error.
const TAIL: u32 = 30;

pub struct Installer {
    outline: Outline,
    version: String,
}

pub fn step(plan: &Plan) -> Installer {
    let cozystack = &plan.cozystack;
    let title = format!("the installer of CozyStack {} runs", cozystack.version);
    let by_hand = format!(
        "kubectl apply --server-side -f {}\nkubectl rollout status -n {NAMESPACE} deployment/{NAME}",
        cozystack.installer_url
    );
    let outline =
        outlines::change(StepId::new(KIND), 3, title, BAND, by_hand).after([StepId::new(super::settings::KIND)]);
    Installer { outline, version: cozystack.version.clone() }
}

/// `v0.37.2` of `registry/installer:v0.37.2@sha256:…`
fn tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    image.rsplit('/').next().and_then(|last| last.split_once(':')).map_or("", |(_, tag)| tag)
}

/// Whether every pod of it runs. Not only its condition: with `maxUnavailable: 1` that is True without any pod.
fn is_up(deployment: &Value) -> bool {
    let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
    let all = |field: &str| number(deployment, field).unwrap_or_default() >= wanted;
    cluster::is_true(deployment, "Available") && all("/status/availableReplicas") && all("/status/updatedReplicas")
}

/// What holds the installer's pods up, in the pod's own words where it has some.
///
/// # Errors
/// When the pods can't be listed.
pub async fn trouble(reader: &Reader, deployment: &Value) -> Result<Option<String>, Failure> {
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let chosen: Vec<String> =
        labels.into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    let pods = reader.pods(Some(NAMESPACE), Some(&chosen.join(","))).await;
    let pods = pods.map_err(|e| crate::steps::failures::kubernetes(&e, "list the installer's pods"))?;
    let Some((pod, reason)) = pods.value.iter().find_map(|p| Some((p, p.waiting_reason.as_deref()?))) else {
        return Ok(None);
    };
    let container = text(deployment, "/spec/template/spec/containers/0/name");
    let word = last_word(reader, pod, container).await.map(|w| format!(": {w}")).unwrap_or_default();
    Ok(Some(format!("pod {} is in {reason}{word}", pod.name)))
}

/// The line of a container's log that tells why it ended; a container that never started has none.
async fn last_word(reader: &Reader, pod: &PodStatus, container: &str) -> Option<String> {
    if pod.restarts == 0 {
        return None;
    }
    let log = reader.logs(NAMESPACE, &pod.name, container, TAIL).await.ok()?;
    telling(&log.value).map(|line| shorten(line, 300))
}

/// The last line with CozyStack's own `ERROR`, else with an error, else the last line.
fn telling(log: &str) -> Option<&str> {
    let lines = || log.lines().map(str::trim).filter(|l| !l.is_empty());
    let with = |word: &str| lines().rfind(|l| l.contains(word));
    with("ERROR").or_else(|| with("Error")).or_else(|| lines().next_back())
}

#[async_trait]
impl Step<Installation> for Installer {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let Some(found) = get(&reader, &Kind::DEPLOYMENT, Some(NAMESPACE), NAME).await? else {
            return Ok(Observed::Absent(format!("there is no Deployment {NAMESPACE}/{NAME}")));
        };
        let deployment = &found.value;
        if !is_ours(site, deployment) {
            return Ok(Observed::Conflict(foreign(&Kind::DEPLOYMENT, Some(NAMESPACE), NAME, deployment)));
        }
        let other = items(deployment, "/spec/template/spec/containers")
            .map(|c| text(c, "/image"))
            .find(|image| tag(image) != self.version);
        if let Some(image) = other {
            return Ok(Observed::Absent(format!("it runs the image {image}")));
        }
        if is_up(deployment) {
            let summary = format!("Deployment {NAMESPACE}/{NAME} of {} is available", self.version);
            return proven(summary, vec![seen(cx, &found)]);
        }
        let why = match trouble(&reader, deployment).await? {
            Some(why) => why,
            None => cluster::said(deployment, "Available"),
        };
        Ok(Observed::Underway(Wait::new("the installer's pod runs", why, BAND)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let objects = manifest::parse(&manifest::file(&site.plan).fetch(site).await?.text, site.label())?;
        let reader = site.kubernetes()?;
        for o in &objects {
            if let Some(live) = get(&reader, &o.kind, o.namespace.as_deref(), &o.name).await?
                && !is_ours(site, &live.value)
            {
                return Err(foreign(&o.kind, o.namespace.as_deref(), &o.name, &live.value));
            }
        }
        cluster::apply(change, &objects).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::DEPLOYMENT, Some(NAMESPACE), Some(NAME), Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tag_of_an_image_is_found_beside_ports_and_digests() {
        assert_eq!(tag("ghcr.io/cozystack/cozystack/installer:v0.37.2@sha256:c7c2"), "v0.37.2");
        assert_eq!(tag("registry:5000/installer"), "");
        assert_eq!(tag("registry:5000/installer:v0.37.20"), "v0.37.20");
    }

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
    }
}
