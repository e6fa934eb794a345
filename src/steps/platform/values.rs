//! The settings of the plan as CozyStack's ConfigMap holds them.
use crate::cozystack::{SettingsInput, settings};
use crate::engine::failure::Failure;
use crate::plan::model::Plan;
use crate::release::Release;
use serde_json::Value;
use std::collections::BTreeMap;

/// Namespace of the installer and its settings.
pub const NAMESPACE: &str = "cozy-system";
/// Name of the ConfigMap, and of the installer's Deployment.
pub const NAME: &str = "cozystack";
/// Set on day 4, once there is an ingress to expose services on.
pub const EXPOSE: &str = "expose-services";

/// Every setting that the plan decides, [`EXPOSE`] included.
///
/// # Errors
/// When the plan's profile can't be worked out.
pub fn of(plan: &Plan, release: &Release) -> Result<BTreeMap<String, String>, Failure> {
    let cozystack = &plan.cozystack;
    let chosen = release.select(&cozystack.profile, &cozystack.disable, &cozystack.enable, false).map_err(|e| {
        Failure::broken(format!("the plan's profile can't be worked out: {e}"), "correct the plan's cozystack section")
    })?;
    let network = &plan.network;
    Ok(settings(&SettingsInput {
        bundle: chosen.bundle,
        disable: chosen.disable,
        enable: chosen.enable,
        pod_cidr: network.pod_cidr,
        service_cidr: network.service_cidr,
        join_cidr: network.join_cidr,
        cluster_domain: network.cluster_domain.clone(),
        root_host: cozystack.root_host.clone(),
        endpoint: plan.cluster_endpoint(),
        expose: cozystack.expose.clone(),
        telemetry: cozystack.telemetry,
        oidc: false,
    }))
}

/// The settings of day 3: all but [`EXPOSE`].
///
/// # Errors
/// See [`of`].
pub fn without_expose(plan: &Plan, release: &Release) -> Result<BTreeMap<String, String>, Failure> {
    let mut wanted = of(plan, release)?;
    wanted.remove(EXPOSE);
    Ok(wanted)
}

/// Describes the values of the ConfigMap that differ from the wanted ones; keys that only the ConfigMap has do not
/// count.
pub fn differences(wanted: &BTreeMap<String, String>, map: &Value) -> Vec<String> {
    let live = |key: &str| map.pointer("/data").and_then(|d| d.get(key)).and_then(Value::as_str);
    let differs = wanted.iter().filter_map(|(key, value)| match live(key) {
        Some(found) if found == value => None,
        Some(found) => Some(format!("{key} is `{found}` and not `{value}`")),
        None => Some(format!("{key} is missing")),
    });
    differs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_that_only_the_map_has_is_no_difference() {
        let wanted = BTreeMap::from([("root-host".to_string(), "a".to_string()), ("x".to_string(), "1".to_string())]);
        let map = json!({"data": {"root-host": "b", "x": "1", "expose-services": "api"}});
        assert_eq!(differences(&wanted, &map), ["root-host is `b` and not `a`"]);
        assert_eq!(differences(&wanted, &json!({})), ["root-host is missing", "x is missing"]);
    }
}
