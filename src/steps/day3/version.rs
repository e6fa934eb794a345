//! `day3.version`: the cluster calls itself what the release does, so every migration has run.
use crate::engine::failure::Failure;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{get, proven, seen, text};
use crate::steps::platform::values::NAMESPACE;
use crate::steps::site::{Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day3.version";
const BAND: Band = Band::new(60, 300);
const MAP: &str = "cozystack-version";

pub struct Version {
    outline: Outline,
}

pub fn step(plan: &Plan) -> Version {
    let title = format!("the cluster's data are those of CozyStack {}", plan.cozystack.version);
    let by_hand = format!("kubectl get configmap -n {NAMESPACE} {MAP} -o jsonpath='{{.data.version}}'");
    let outline =
        outlines::check(StepId::new(KIND), 3, title, BAND, by_hand).after([StepId::new(super::installer::KIND)]);
    Version { outline }
}

/// True when the installer's migrations lead from `found` to `wanted`: they only count up.
fn is_on_its_way(found: &str, wanted: &str) -> bool {
    matches!((found.parse::<u32>(), wanted.parse::<u32>()), (Ok(f), Ok(w)) if f < w)
}

#[async_trait]
impl Check<Installation> for Version {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let wanted = &site.release.installer.version_config_map_value;
        let condition = format!("ConfigMap {NAMESPACE}/{MAP} says {wanted}");
        let Some(found) = get(&site.kubernetes()?, &Kind::CONFIG_MAP, Some(NAMESPACE), MAP).await? else {
            return Ok(Observed::Underway(Wait::new(condition, "it is not there yet", BAND)));
        };
        let value = text(&found.value, "/data/version");
        if value == wanted {
            return proven(condition, vec![seen(cx, &found)]);
        }
        if is_on_its_way(value, wanted) {
            return Ok(Observed::Underway(Wait::new(condition, format!("it says {value}: migrations run"), BAND)));
        }
        Err(Failure::person(
            format!("ConfigMap {NAMESPACE}/{MAP} says `{value}`, release {} wants {wanted}", site.release.version),
            format!(
                "a newer CozyStack has been here, and there is no way back: read kubectl logs -n {NAMESPACE} \
                 deployment/cozystack -c cozystack, and install the release that the cluster had"
            ),
        ))
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::CONFIG_MAP, Some(NAMESPACE), Some(MAP), Duration::from_secs(4)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lower_number_is_on_its_way() {
        assert!(is_on_its_way("9", "21"));
        assert!(!is_on_its_way("22", "21") && !is_on_its_way("", "21") && !is_on_its_way("21", "21"));
    }
}
