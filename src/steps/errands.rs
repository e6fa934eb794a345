//! Acts that a person asks for beside the steps. Each is refused for what is not provably of this run, and may be called again.
mod power_on;

use super::cluster::get;
use super::day3::installer;
use super::site::{Changing, Reading};
use super::{failures, flux};
use crate::cozystack::Health;
use crate::engine::errand::Errand;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, StepId};
use crate::kubernetes::{Kind, ReleaseStatus};
use crate::observed::Mending;
use serde_json::{Value, json};

/// # Errors
/// When the errand is refused, or the target refuses it.
pub async fn run(cx: &dyn Context, site: &Reading, change: &Changing, errand: &Errand) -> Result<(), Failure> {
    match errand.read::<Mending>() {
        Some(Mending::ReconcileRelease { namespace, name }) => reconcile(cx, site, change, &namespace, &name).await,
        Some(Mending::StartVm { vmid, name: _ }) => power_on::start(cx, site, change, vmid).await,
        None => Err(Failure::refused(
            format!("this cozyup knows no act `{}`", errand.kind()),
            "use the cozyup that started the run",
        )),
    }
}

async fn reconcile(
    cx: &dyn Context,
    site: &Reading,
    change: &Changing,
    namespace: &str,
    name: &str,
) -> Result<(), Failure> {
    if !cx.made().has(&StepId::new(installer::KIND)) {
        let what = format!("this run has not installed the platform, so release {namespace}/{name} is none of its own");
        return Err(Failure::refused(what, "let day 3 begin first"));
    }
    if !site.components.iter().any(|component| component.namespace == namespace && component.name == name) {
        let what = format!("release {namespace}/{name} is none of those that this run's platform consists of");
        return Err(Failure::refused(what, flux::again_by_hand(namespace, name)));
    }
    let (reader, changer) = (site.kubernetes()?, change.kubernetes()?);
    let found = get(&reader, &Kind::HELM_RELEASE, Some(namespace), name).await?;
    let Some(found) = found else {
        return Err(Failure::refused(
            format!("release {namespace}/{name} is not there"),
            "look at the pane of releases",
        ));
    };
    if let Some(why) = unfit(&ReleaseStatus::read(&found.value)) {
        return Err(why);
    }
    let token = cx.clock().date().to_string();
    let wanted = json!(flux::again(&token));
    let patch = json!({"metadata": {"annotations": wanted}});
    let answer = changer.merge_patch(&Kind::HELM_RELEASE, Some(namespace), name, &patch).await;
    let answer = answer.map_err(|e| failures::kubernetes(&e, &format!("reconcile release {namespace}/{name}")))?.value;
    let shown = answer.pointer("/metadata/annotations").and_then(Value::as_object);
    let is_there = |(name, value): (&String, &Value)| shown.is_some_and(|all| all.get(name) == Some(value));
    if wanted.as_object().is_some_and(|wanted| wanted.iter().all(is_there)) {
        return Ok(());
    }
    let what = format!("the API server took the request for release {namespace}/{name}, and does not show it");
    Err(Failure::broken(what, flux::again_by_hand(namespace, name)))
}

/// The reason why an attempt now is not what the release needs.
fn unfit(release: &ReleaseStatus) -> Option<Failure> {
    let place = format!("release {}/{}", release.namespace, release.name);
    let refused = |what: String, next: &str| Some(Failure::refused(what, next));
    match Health::of(release) {
        Health::Failed { .. } | Health::Stalled(_) | Health::Hindered(_) => None,
        Health::Ready => refused(format!("{place} is ready by now"), "nothing is to be done"),
        Health::New | Health::Runs(_) => refused(format!("{place} is being tried now"), "wait for the attempt"),
        Health::Waits(_) | Health::WaitsForChart(_) => {
            refused(format!("{place} has not failed: it waits for another"), "mend what it waits for")
        }
        Health::Suspended => {
            refused(format!("{place} is suspended: somebody told Flux to leave it"), "ask who did it, and why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(status: Value) -> ReleaseStatus {
        ReleaseStatus::read(&json!({"metadata": {"namespace": "cozy-a", "name": "a", "generation": 1}, "spec": {},
            "status": status}))
    }

    fn ready(status: &str, reason: &str) -> Value {
        json!({"observedGeneration": 1, "failures": 1, "installFailures": 1, "conditions": [
            {"type": "Ready", "status": status, "reason": reason, "observedGeneration": 1},
            {"type": "Released", "status": status, "reason": reason, "observedGeneration": 1}]})
    }

    #[test]
    fn only_a_release_that_has_failed_is_tried_again() {
        assert_eq!(unfit(&release(ready("False", "InstallFailed"))), None);
        let fine = unfit(&release(ready("True", "InstallSucceeded"))).unwrap();
        assert!(fine.what.contains("is ready by now"), "{fine:?}");
        let waits = unfit(&release(ready("False", "DependencyNotReady")));
        assert!(waits.is_some_and(|why| why.what.contains("waits for another")));
    }
}
