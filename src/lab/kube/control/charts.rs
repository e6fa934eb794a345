//! The charts that the source controller fetches: one for each HelmRelease that names one in a repository.
use super::objects::{hash, is_ready_now, set_condition, text};
use super::releases;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// The chart comes and goes with its release; the lab fetches it when the release is Ready.
pub fn release_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    if let Some(gone) = gone {
        world.remove_object(&chart_of(key, gone));
    } else if let Some(release) = world.object(key).filter(|r| is_ready_now(r)).cloned() {
        fetched(world, key, &release);
    }
}

/// `NAMESPACE-NAME` beside the source.
fn chart_of(key: &Key, release: &Value) -> Key {
    let namespace = release.pointer("/spec/chart/spec/sourceRef/namespace").and_then(Value::as_str);
    let name = format!("{}-{}", key.namespace, key.name);
    Key::new("source.toolkit.fluxcd.io", "helmcharts", namespace.unwrap_or(&key.namespace), &name)
}

/// `NAME@VERSION`
pub fn named(world: &World, release: &Value) -> String {
    format!("{}@{}", text(release, "/spec/chart/spec/chart"), version(world, release))
}

pub fn version(world: &World, release: &Value) -> String {
    let asked = text(release, "/spec/chart/spec/version");
    let exact = asked.starts_with(|c: char| c.is_ascii_digit());
    if exact { asked.to_string() } else { world.scenario.cozystack.trim_start_matches('v').to_string() }
}

/// The chart as the source controller fetched it.
fn fetched(world: &mut World, key: &Key, release: &Value) {
    let at = seconds(world.now);
    let wanted = &release["spec"]["chart"]["spec"];
    let source = &wanted["sourceRef"];
    let (chart, version) = (text(release, "/spec/chart/spec/chart"), version(world, release));
    let place = chart_of(key, release);
    let path = format!("helmchart/{}/{}/{chart}-{version}.tgz", place.namespace, place.name);
    let object = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart", "metadata": {"labels": releases::labels(key)},
        "spec": {"chart": chart, "version": wanted["version"].as_str().unwrap_or("*"), "interval": "5m0s",
            "reconcileStrategy": wanted["reconcileStrategy"].as_str().unwrap_or("ChartVersion"),
            "sourceRef": {"kind": source["kind"], "name": source["name"]}},
        "status": {
            "observedGeneration": 1, "observedChartName": chart,
            "artifact": {
                "digest": format!("sha256:{:064x}", hash(&format!("{chart}@{version}"))),
                "revision": version, "path": path, "lastUpdateTime": at,
                "url": format!("http://source-controller.cozy-fluxcd.svc/{path}"),
            },
        },
    });
    let digest = |chart: &Value| chart["status"]["artifact"]["digest"].clone();
    if world.object(&place).is_none_or(|old| digest(old) != digest(&object)) {
        world.put_object(place.clone(), object);
        world.change_object(&place, |c| {
            set_condition(c, &at, "Ready", "True", "ChartPullSucceeded", &format!("pulled '{path}'"));
        });
    }
}
