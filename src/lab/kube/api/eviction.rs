//! The `eviction` subresource of a pod: it is deleted unless a PodDisruptionBudget forbids it (kubernetes v1.33,
//! `pkg/registry/core/pod/storage/eviction.go`; the budget itself as the disruption controller counts it).
use super::kinds::{KINDS, Kind};
use super::read::store;
use super::refusal::Refusal;
use super::remove;
use crate::kube::control::objects::{is_true, selects, text};
use crate::kube::settle;
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Value, json};

/// Deletes the pod as the Eviction in `body` asks.
///
/// # Errors
/// When there is no such pod or another one, and when a budget forbids it.
pub fn evict(world: &mut World, namespace: &str, name: &str, body: &Value) -> Result<Value, Refusal> {
    let kind: &'static Kind = KINDS.iter().find(|kind| kind.is("", "pods")).ok_or(Refusal::NoResource)?;
    let key = Key::new("", "pods", namespace, name);
    let pod = store(world)?.get(&key).cloned().ok_or_else(|| Refusal::not_found(kind, name))?;
    let uid = text(body, "/deleteOptions/preconditions/uid");
    if !uid.is_empty() && uid != text(&pod, "/metadata/uid") {
        let why = format!("the UID in the precondition ({uid}) does not match the UID in record");
        return Err(Refusal::Precondition { kind, name: name.into(), why });
    }
    let has_ended = matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed" | "Pending");
    if !has_ended {
        may_go(world, namespace, &pod)?;
    }
    remove::remove(world, kind, &key, pod, false, false)?;
    settle(world);
    Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
}

fn may_go(world: &World, namespace: &str, pod: &Value) -> Result<(), Refusal> {
    let of_pod = |budget: &Value| selects(&budget["spec"]["selector"]["matchLabels"], &pod["metadata"]["labels"]);
    let budgets = world.select("policy", "poddisruptionbudgets", Some(namespace), of_pod);
    if budgets.len() > 1 {
        return Err(Refusal::Unexpected(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.".into(),
        ));
    }
    for (key, budget) in budgets {
        let selector = &budget["spec"]["selector"]["matchLabels"];
        let pods = world.select("", "pods", Some(namespace), |other| selects(selector, &other["metadata"]["labels"]));
        let healthy = pods.iter().filter(|(_, pod)| is_true(pod, "Ready")).count() as u64;
        let expected = pods.len() as u64;
        let of_all = |value: &Value| match value.as_str().and_then(|text| text.strip_suffix('%')) {
            Some(percent) => percent.parse::<u64>().ok().map(|percent| (expected * percent).div_ceil(100)),
            None => value.as_u64(),
        };
        let least = of_all(&budget["spec"]["minAvailable"]);
        let wanted = least.or_else(|| Some(expected.saturating_sub(of_all(&budget["spec"]["maxUnavailable"])?)));
        let wanted = wanted.unwrap_or(expected);
        if healthy <= wanted && is_true(pod, "Ready") {
            return Err(Refusal::Disruption { budget: key.name, wanted, healthy });
        }
    }
    Ok(())
}
