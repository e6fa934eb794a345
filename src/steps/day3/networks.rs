//! `day3.networks`: Kube-OVN was given the plan's networks. They can't be changed once pods have addresses of them.
use super::installer;
use crate::engine::failure::Failure;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::steps::cluster::{get, part, proven, seen};
use crate::steps::platform::values;
use crate::steps::site::{Installation, Reading};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

pub const KIND: &str = "day3.networks";
const BAND: Band = Band::new(120, 900);
const NAMESPACE: &str = "cozy-kubeovn";
const RELEASE: &str = "kubeovn";
/// The path of the networks in the release's values.
const PLACE: &str = "/spec/values/kube-ovn/ipv4";
/// The chart's value and the setting of CozyStack that it comes from.
const NETWORKS: [(&str, &str); 4] = [
    ("POD_CIDR", "ipv4-pod-cidr"),
    ("POD_GATEWAY", "ipv4-pod-gateway"),
    ("SVC_CIDR", "ipv4-svc-cidr"),
    ("JOIN_CIDR", "ipv4-join-cidr"),
];

pub struct Networks {
    outline: Outline,
}

pub fn step() -> Networks {
    let by_hand = format!("kubectl get helmreleases.helm.toolkit.fluxcd.io -n {NAMESPACE} {RELEASE} -o yaml");
    let outline = outlines::check(StepId::new(KIND), 3, "Kube-OVN was given the plan's networks", BAND, by_hand)
        .after([StepId::new(installer::KIND)]);
    Networks { outline }
}

/// Describes the values of the release that differ from the wanted ones.
fn differences(wanted: &BTreeMap<String, String>, release: &Value) -> Vec<String> {
    let given = release.pointer(PLACE);
    let differs = NETWORKS.iter().filter_map(|(value, setting)| {
        let wanted = wanted.get(*setting).map(String::as_str).unwrap_or_default();
        match given.and_then(|g| g.get(*value)).and_then(Value::as_str).unwrap_or_default() {
            found if found == wanted => None,
            "" => Some(format!("no {value} where the plan says {wanted}")),
            found => Some(format!("{value} {found} where the plan says {wanted}")),
        }
    });
    differs.collect()
}

#[async_trait]
impl Check<Installation> for Networks {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Some(found) = get(&site.kubernetes()?, &Kind::HELM_RELEASE, Some(NAMESPACE), RELEASE).await? else {
            return Ok(Observed::Underway(Wait::new(
                "Kube-OVN has its networks",
                "there is no release kubeovn yet",
                BAND,
            )));
        };
        let wanted = values::of(&site.plan, &site.release)?;
        let differs = differences(&wanted, &found.value);
        if differs.is_empty() {
            let given = found.value.pointer(PLACE).cloned();
            let network = &site.plan.network;
            let summary =
                format!("pods {}, services {}, join {}", network.pod_cidr, network.service_cidr, network.join_cidr);
            return proven(summary, vec![seen(cx, &part(&found, "its networks", given))]);
        }
        Err(Failure::person(
            format!("Kube-OVN was given {}", differs.join(", ")),
            format!(
                "look who wrote the ConfigMap cozy-system/cozystack (keys {} and values-kubeovn) and put the plan's values \
                 back; where pods have addresses already, begin anew (cozyup teardown PLAN): networks in use can't be changed",
                NETWORKS.map(|(_, setting)| setting).join(", ")
            ),
        ))
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::HELM_RELEASE, Some(NAMESPACE), None, Duration::from_secs(4)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// cozystack.md 1.2: nothing looked at what Kube-OVN was given.
    #[test]
    fn networks_that_are_not_the_plans_are_named() {
        let wanted: BTreeMap<String, String> = [
            ("ipv4-pod-cidr", "10.244.0.0/16"),
            ("ipv4-pod-gateway", "10.244.0.1"),
            ("ipv4-svc-cidr", "10.96.0.0/16"),
            ("ipv4-join-cidr", "100.64.0.0/16"),
        ]
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .into();
        let release = |pods: &str, join: &str| {
            json!({"spec": {"values": {"kube-ovn": {"ipv4": {"POD_CIDR": pods, "POD_GATEWAY": "10.244.0.1",
                "SVC_CIDR": "10.96.0.0/16", "JOIN_CIDR": join}}}}})
        };
        assert!(differences(&wanted, &release("10.244.0.0/16", "100.64.0.0/16")).is_empty());
        assert_eq!(
            differences(&wanted, &release("10.16.0.0/16", "")),
            [
                "POD_CIDR 10.16.0.0/16 where the plan says 10.244.0.0/16",
                "no JOIN_CIDR where the plan says 100.64.0.0/16"
            ]
        );
        assert_eq!(differences(&wanted, &json!({})).len(), 4);
    }
}
