//! `day4.expose`: the plan's services are put on the root ingress.
use crate::cozystack::addons::Object;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{self, foreign, get, is_ours, items, part, proven, seen, text};
use crate::steps::day3::settings;
use crate::steps::platform::values::{self, EXPOSE, NAME, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, follow, outlines};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day4.expose";
/// The installer reads its settings once a minute.
const BAND: Band = Band::new(90, 300);

pub struct Expose {
    outline: Outline,
    services: Vec<String>,
}

/// None when the plan exposes nothing.
pub fn step(plan: &Plan) -> Option<Expose> {
    let services: Vec<String> =
        plan.cozystack.expose.iter().map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect();
    if services.is_empty() {
        return None;
    }
    let title = format!("{} can be reached below {}", services.join(" and "), plan.cozystack.root_host);
    let patch = json!({"data": {EXPOSE: services.join(",")}});
    let by_hand = format!("kubectl patch configmap -n {NAMESPACE} {NAME} --type=merge -p '{patch}'");
    // Asked for while the ingress still starts: the installer looks at its settings once a minute only.
    let outline = outlines::change(StepId::new(KIND), 4, title, BAND, by_hand);
    Some(Expose { outline, services })
}

/// The ConfigMap whole: applying this key alone would take back the others.
fn object(site: &Reading) -> Result<Object, Failure> {
    Ok(settings::map(site.label(), &values::of(&site.plan, &site.release)?))
}

fn serves(ingress: &Value, host: &str) -> bool {
    items(ingress, "/spec/rules").any(|r| text(r, "/host") == host)
}

#[async_trait]
impl Step<Installation> for Expose {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let Some(map) = get(&reader, &Kind::CONFIG_MAP, Some(NAMESPACE), NAME).await? else {
            return Ok(Observed::Absent(format!("there is no ConfigMap {NAMESPACE}/{NAME}")));
        };
        let wanted = self.services.join(",");
        let found = map.value.pointer("/data").and_then(|d| d.get(EXPOSE)).and_then(Value::as_str);
        if found != Some(wanted.as_str()) {
            if !is_ours(site, &map.value) {
                return Ok(Observed::Conflict(foreign(&Kind::CONFIG_MAP, Some(NAMESPACE), NAME, &map.value)));
            }
            return Ok(Observed::Absent(format!("{EXPOSE} is `{}`", found.unwrap_or_default())));
        }
        let listed = reader.list(&Kind::INGRESS, None, None).await;
        let listed = listed.map_err(|e| failures::kubernetes(&e, "list the Ingresses"))?;
        let (mut rows, mut missing) = (Vec::new(), Vec::new());
        for service in &self.services {
            let host = format!("{service}.{}", site.plan.cozystack.root_host);
            match listed.value.iter().find(|i| serves(i, &host)) {
                Some(ingress) => rows.push(json!({"host": host, "namespace": ingress.pointer("/metadata/namespace"),
                    "name": ingress.pointer("/metadata/name"), "class": ingress.pointer("/spec/ingressClassName")})),
                None => missing.push(host),
            }
        }
        if missing.is_empty() {
            let evidence = part(&listed, "those of the exposed services", rows);
            return proven(
                format!("{wanted}: an Ingress for each is there"),
                vec![seen(cx, &map), seen(cx, &evidence)],
            );
        }
        let (done, total) = (rows.len() as u64, self.services.len() as u64);
        let text = format!("no Ingress yet for {}", missing.join(", "));
        let wait = Wait::new("the exposed services have Ingresses", text, BAND);
        Ok(Observed::Underway(wait.with_progress(done, total, "services")))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        cluster::apply(change, &[object(site)?]).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::INGRESS, None, None, Duration::from_secs(4)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ingress_serves_the_hosts_of_its_rules_only() {
        let ingress = json!({"spec": {"rules": [{"host": "api.cozy.example.com"}]}});
        assert!(serves(&ingress, "api.cozy.example.com"));
        assert!(!serves(&ingress, "dashboard.cozy.example.com") && !serves(&json!({}), ""));
    }
}
