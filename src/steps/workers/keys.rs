//! What a worker needs to join, and Cluster API core to see its node.
use super::{GROUP_LABEL, Group};
use crate::cozystack::addons::{Keys, Kubeconfig, RUN_LABEL, VALID_UNTIL};
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::{foreign, get, is_ours};
use crate::steps::day2::config::of_cluster;
use crate::steps::site::{Reading, files};
use crate::talos::config::{self, NodeConfig, Registries, Role};
use crate::talos::secrets::CLIENT_VALID;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// A kubeconfig that stays is made anew when it is valid for less than this: whoever runs cozyup twice a year keeps it alive.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_hours(200 * 24);

/// Everything in a worker's config beside the cluster's secrets. Its node carries the labels of the run and of its group.
fn machine_config(plan: &Plan, run: &str, group: &Group, registries: Registries) -> NodeConfig {
    let labels = [(RUN_LABEL, run), (GROUP_LABEL, group.name)];
    NodeConfig {
        node_labels: BTreeMap::from(labels.map(|(key, value)| (key.to_string(), value.to_string()))),
        taints: group.taint.iter().map(|taint| (*taint).to_string()).collect(),
        ..of_cluster(plan, Role::Worker, None, registries)
    }
}

/// The keys without a kubeconfig.
///
/// # Errors
/// When the cluster's secrets can't be read.
pub fn to_join(site: &Reading, group: &Group) -> Result<Keys, Failure> {
    let config = machine_config(&site.plan, site.label(), group, site.registries()?);
    let machine_config = config::render(&config, &site.bundle()?).map_err(|e| {
        Failure::person(format!("render the workers' machine config: {e}"), "correct the plan's network")
    })?;
    Ok(Keys { machine_config, kubeconfig: None })
}

/// Cluster API core's access to the cluster.
pub enum Access {
    /// As the plan wants it: to be compared and applied like every other object.
    Run(Kubeconfig),
    /// One of its own is there, and valid until then.
    Held(Timestamp),
    /// One of its own is due; the text says why.
    Due(String),
    Conflict(Failure),
}

/// Core reads the Secret for as long as there are workers, so those that stay get a kubeconfig of their own, which is renewed
/// in time; for a test the run's own does.
///
/// # Errors
/// When the cluster or the run's secrets can't be read.
pub async fn access(cx: &dyn Context, site: &Reading, group: &Group, secret: &str) -> Result<Access, Failure> {
    if !group.stays() {
        return Ok(Access::Run(Kubeconfig { text: site.secret(files::KUBECONFIG)?, until: None }));
    }
    let namespace = Some(group.namespace);
    let Some(found) = get(&site.kubernetes()?, &Kind::SECRET, namespace, secret).await? else {
        return Ok(Access::Due(format!("there is no Secret {}/{secret}", group.namespace)));
    };
    if !is_ours(site, &found.value) {
        return Ok(Access::Conflict(foreign(&Kind::SECRET, namespace, secret, &found.value)));
    }
    Ok(judged(&found.value, cx.clock().now(), secret))
}

fn judged(secret: &Value, now: Timestamp, name: &str) -> Access {
    let annotations = secret.pointer("/metadata/annotations").and_then(|all| all.get(VALID_UNTIL));
    let until = annotations.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let has_value = secret.pointer("/data/value").and_then(Value::as_str).is_some_and(|value| !value.is_empty());
    match until {
        Some(until) if has_value && now.duration_until(until) > RENEWED_BEFORE => Access::Held(until),
        Some(until) if has_value => Access::Due(format!("the kubeconfig in Secret {name} is valid until {until} only")),
        Some(_) | None => {
            Access::Due(format!("Secret {name} holds no kubeconfig of which it is known how long it is valid"))
        }
    }
}

/// A kubeconfig of its own for Cluster API core.
///
/// # Errors
/// When the cluster's secrets can't be read, or the cryptographic library fails.
pub fn kubeconfig(cx: &dyn Context, site: &Reading) -> Result<Kubeconfig, Failure> {
    let (plan, now) = (&site.plan, cx.clock().now());
    let text = site
        .bundle()?
        .kubeconfig(&plan.name, &plan.cluster_endpoint(), now)
        .map_err(|e| Failure::broken(format!("make a kubeconfig for Cluster API: {e}"), "check the secrets bundle"))?;
    Ok(Kubeconfig { text, until: now.checked_add(CLIENT_VALID).ok() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;
    use crate::steps::workers::{KEPT, OF_DAY_6};
    use serde_json::json;

    #[test]
    fn only_workers_of_a_test_are_tainted_and_all_say_of_which_group_they_are() {
        let test = machine_config(&plan(), "x.1", &OF_DAY_6, Registries::default());
        let kept = machine_config(&plan(), "x.1", &KEPT, Registries::default());
        assert_eq!((test.taints, kept.taints.len()), (vec!["cozyup.dev/test".to_string()], 0));
        assert_eq!(
            (test.node_labels[GROUP_LABEL].as_str(), kept.node_labels[GROUP_LABEL].as_str()),
            ("workers", "kept")
        );
    }

    #[test]
    fn a_kubeconfig_is_due_half_a_year_before_it_ends_or_when_nobody_knows_its_end() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let secret =
            |until: &str| json!({"metadata": {"annotations": {VALID_UNTIL: until}}, "data": {"value": "eA=="}});
        assert!(matches!(judged(&secret("2027-01-01T00:00:00Z"), now, "s"), Access::Held(_)));
        assert!(
            matches!(judged(&secret("2026-07-01T00:00:00Z"), now, "s"), Access::Due(why) if why.contains("2026-07-01"))
        );
        assert!(matches!(judged(&secret("soon"), now, "s"), Access::Due(_)));
        assert!(matches!(judged(&json!({"data": {"value": "eA=="}}), now, "s"), Access::Due(_)));
    }
}
