//! `day3.settings`: namespace `cozy-system` and ConfigMap `cozystack` hold the plan's settings, before the installer
//! reads them.
use crate::cozystack::addons::Object;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::release::Release;
use crate::steps::cluster::{self, foreign, get, is_ours, ours, proven, seen, text};
use crate::steps::platform::values::{self, EXPOSE, NAME, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub const KIND: &str = "day3.settings";
const BAND: Band = Band::new(5, 30);

pub struct Settings {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Settings {
    let cozystack = &plan.cozystack;
    let title = format!("the settings of CozyStack {} ({}) are in the cluster", cozystack.version, cozystack.profile);
    let outline = outlines::change(StepId::new(KIND), 3, title, BAND, by_hand(plan));
    Settings { outline }
}

fn by_hand(plan: &Plan) -> String {
    let release = Release::embedded(&plan.cozystack.version).ok();
    let wanted = release.and_then(|r| values::without_expose(plan, &r).ok()).unwrap_or_default();
    let literals: String = wanted.iter().map(|(k, v)| format!(" --from-literal={k}={v}")).collect();
    format!("kubectl create namespace {NAMESPACE}\nkubectl create configmap -n {NAMESPACE} {NAME}{literals}")
}

/// The namespace with the labels that the installer's manifest gives it.
fn namespace(run: &str) -> Object {
    let labels = json!({"cozystack.io/system": "true", "pod-security.kubernetes.io/enforce": "privileged"});
    ours(run, Kind::NAMESPACE, None, NAMESPACE, json!({"metadata": {"labels": labels}}))
}

/// The ConfigMap with all of `data`: applying fewer keys than last time takes the others away.
pub fn map(run: &str, data: &BTreeMap<String, String>) -> Object {
    ours(run, Kind::CONFIG_MAP, Some(NAMESPACE), NAME, json!({"data": data}))
}

/// The refusal to work on a cluster that carries a CozyStack of somebody else.
fn installed_before(deployment: &Value) -> Failure {
    let image = text(deployment, "/spec/template/spec/containers/0/image");
    Failure::refused(
        format!("this cluster carries another CozyStack: Deployment {NAMESPACE}/{NAME} with image {image}"),
        "cozyup installs on empty clusters only; check that the kubeconfig leads to the cluster of this plan",
    )
}

#[async_trait]
impl Step<Installation> for Settings {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        if let Some(found) = get(&reader, &Kind::DEPLOYMENT, Some(NAMESPACE), NAME).await?
            && !is_ours(site, &found.value)
        {
            return Ok(Observed::Conflict(installed_before(&found.value)));
        }
        let wanted = values::without_expose(&site.plan, &site.release)?;
        let map = get(&reader, &Kind::CONFIG_MAP, Some(NAMESPACE), NAME).await?;
        if let Some(map) = map.as_ref().filter(|m| !is_ours(site, &m.value)) {
            let differences = values::differences(&wanted, &map.value);
            if differences.is_empty() {
                let summary = format!("somebody set the plan's {} settings already", wanted.len());
                return proven(summary, vec![seen(cx, map)]);
            }
            let mut failure = foreign(&Kind::CONFIG_MAP, Some(NAMESPACE), NAME, &map.value);
            failure.what = format!("{}; {}", failure.what, differences.join(", "));
            return Ok(Observed::Conflict(failure));
        }
        let place = namespace(site.label());
        let around = match get(&reader, &Kind::NAMESPACE, None, NAMESPACE).await? {
            None => return Ok(Observed::Absent(format!("there is no Namespace {NAMESPACE}"))),
            Some(found) if !is_ours(site, &found.value) => {
                return Ok(Observed::Conflict(foreign(&Kind::NAMESPACE, None, NAMESPACE, &found.value)));
            }
            Some(found) => found,
        };
        let Some(map) = map else {
            return Ok(Observed::Absent(format!("there is no ConfigMap {NAMESPACE}/{NAME}")));
        };
        let mut differences = values::differences(&wanted, &map.value);
        differences
            .extend(cluster::difference(&place.body, &around.value).map(|p| format!("{NAMESPACE}: {p} differs")));
        if !differences.is_empty() {
            return Ok(Observed::Absent(differences.join(", ")));
        }
        let summary = format!("ConfigMap {NAMESPACE}/{NAME} holds the plan's {} settings", wanted.len());
        proven(summary, vec![seen(cx, &map), seen(cx, &around)])
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let reader = site.kubernetes()?;
        let live = get(&reader, &Kind::CONFIG_MAP, Some(NAMESPACE), NAME).await?;
        let exposed = live.is_some_and(|m| m.value.pointer("/data").is_some_and(|d| d.get(EXPOSE).is_some()));
        let data = if exposed {
            values::of(&site.plan, &site.release)?
        } else {
            values::without_expose(&site.plan, &site.release)?
        };
        cluster::apply(change, &[namespace(site.label()), map(site.label(), &data)]).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::CONFIG_MAP, Some(NAMESPACE), Some(NAME), Duration::from_secs(2)).await;
    }
}
