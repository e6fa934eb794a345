//! The data of ConfigMap `cozy-system/cozystack`: one key per setting, every value a string.
use ipnet::Ipv4Net;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsInput {
    /// `paas-full`; a profile's name is cozyup's own and means nothing to CozyStack.
    pub bundle: String,
    pub disable: Vec<String>,
    pub enable: Vec<String>,
    pub pod_cidr: Ipv4Net,
    pub service_cidr: Ipv4Net,
    pub join_cidr: Ipv4Net,
    pub cluster_domain: String,
    pub root_host: String,
    /// `https://VIP:6443`
    pub endpoint: String,
    /// Services put on the root ingress.
    pub expose: Vec<String>,
    pub telemetry: bool,
    pub oidc: bool,
}

/// The ConfigMap's data. Empty lists are left out, so that their keys stay free for whoever wants to set them.
pub fn settings(input: &SettingsInput) -> BTreeMap<String, String> {
    // Kube-OVN takes the gateway as given; Talos and the docs mean the first host of the pod network.
    let gateway = input.pod_cidr.hosts().next().unwrap_or(input.pod_cidr.addr());
    let mut data = BTreeMap::from([
        ("bundle-name", input.bundle.clone()),
        ("ipv4-pod-cidr", input.pod_cidr.trunc().to_string()),
        ("ipv4-pod-gateway", gateway.to_string()),
        ("ipv4-svc-cidr", input.service_cidr.trunc().to_string()),
        ("ipv4-join-cidr", input.join_cidr.trunc().to_string()),
        ("cluster-domain", input.cluster_domain.clone()),
        ("root-host", input.root_host.clone()),
        ("api-server-endpoint", input.endpoint.clone()),
        ("telemetry-enabled", input.telemetry.to_string()),
    ]);
    for (key, list) in
        [("bundle-disable", &input.disable), ("bundle-enable", &input.enable), ("expose-services", &input.expose)]
    {
        // The charts split at commas and trim nothing.
        let list: Vec<&str> = list.iter().map(|s| s.trim()).filter(|s| !s.is_empty()).collect();
        if !list.is_empty() {
            data.insert(key, list.join(","));
        }
    }
    if input.oidc {
        data.insert("oidc-enabled", "true".to_string());
    }
    data.into_iter().map(|(k, v)| (k.to_string(), v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_map_of_the_default_profile() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let data = settings(&SettingsInput {
            bundle: "paas-full".to_string(),
            disable: list(&["kubevirt-operator", " kubevirt "]),
            enable: vec![],
            pod_cidr: "10.244.0.0/16".parse().unwrap(),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            join_cidr: "100.64.0.0/16".parse().unwrap(),
            cluster_domain: "cozy.local".to_string(),
            root_host: "cozy.example.com".to_string(),
            endpoint: "https://10.0.0.200:6443".to_string(),
            expose: list(&["api", "dashboard"]),
            telemetry: false,
            oidc: false,
        });
        let shown: Vec<String> = data.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            shown,
            [
                "api-server-endpoint=https://10.0.0.200:6443",
                "bundle-disable=kubevirt-operator,kubevirt",
                "bundle-name=paas-full",
                "cluster-domain=cozy.local",
                "expose-services=api,dashboard",
                "ipv4-join-cidr=100.64.0.0/16",
                "ipv4-pod-cidr=10.244.0.0/16",
                "ipv4-pod-gateway=10.244.0.1",
                "ipv4-svc-cidr=10.96.0.0/16",
                "root-host=cozy.example.com",
                "telemetry-enabled=false",
            ]
        );
    }
}
