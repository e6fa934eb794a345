//! The keys that the v1alpha1 config of Talos v1.10 knows, section by section; sections not named here take any key.
use serde_yaml::{Mapping, Value};

/// Documents beside v1alpha1 that Talos v1.10 has.
pub const KINDS: [&str; 16] = [
    "EthernetConfig",
    "EventSinkConfig",
    "ExtensionServiceConfig",
    "KmsgLogConfig",
    "KubespanEndpointsConfig",
    "NetworkDefaultActionConfig",
    "NetworkRuleConfig",
    "PCIDriverRebindConfig",
    "RawVolumeConfig",
    "SideroLinkConfig",
    "SwapVolumeConfig",
    "TrustedRootsConfig",
    "UserVolumeConfig",
    "VolumeConfig",
    "WatchdogTimerConfig",
    "ZswapConfig",
];

/// Path of a section (`[]` for each item of a list) and its keys.
const SECTIONS: [(&str, &str); 26] = [
    ("", "version debug persist machine cluster"),
    (
        "machine",
        "type token ca acceptedCAs certSANs controlPlane kubelet pods network disks install files env time sysctls sysfs \
         registries systemDiskEncryption features udev logging kernel seccompProfiles baseRuntimeSpecOverrides \
         nodeLabels nodeAnnotations nodeTaints",
    ),
    ("machine.ca", "crt key"),
    ("machine.controlPlane", "controllerManager scheduler"),
    (
        "machine.kubelet",
        "image clusterDNS extraArgs extraMounts extraConfig credentialProviderConfig \
         defaultRuntimeSeccompProfileEnabled registerWithFQDN nodeIP skipNodeRegistration disableManifestsDirectory",
    ),
    ("machine.kubelet.nodeIP", "validSubnets"),
    ("machine.network", "hostname interfaces nameservers searchDomains extraHostEntries kubespan disableSearchDomain"),
    (
        "machine.network.interfaces[]",
        "interface deviceSelector addresses cidr routes bond bridge bridgePort vlans mtu dhcp ignore dummy dhcpOptions \
         wireguard vip",
    ),
    ("machine.network.interfaces[].deviceSelector", "busPath hardwareAddr permanentAddr pciID driver physical"),
    ("machine.network.interfaces[].routes[]", "network gateway source metric mtu"),
    ("machine.network.interfaces[].vip", "ip equinixMetal hcloud"),
    ("machine.install", "disk diskSelector extraKernelArgs image extensions wipe legacyBIOSSupport grubUseUKICmdline"),
    ("machine.files[]", "content permissions path op"),
    ("machine.time", "disabled servers bootTimeout"),
    ("machine.registries", "mirrors config"),
    (
        "machine.features",
        "rbac stableHostname kubernetesTalosAPIAccess apidCheckExtKeyUsage diskQuotaSupport kubePrism hostDNS \
         imageCache nodeAddressSortAlgorithm",
    ),
    ("machine.kernel", "modules"),
    ("machine.kernel.modules[]", "name parameters"),
    (
        "cluster",
        "id secret controlPlane clusterName network token aescbcEncryptionSecret secretboxEncryptionSecret ca \
         acceptedCAs aggregatorCA serviceAccount apiServer controllerManager proxy scheduler discovery etcd coreDNS \
         externalCloudProvider extraManifests extraManifestHeaders inlineManifests adminKubeconfig allowSchedulingOnMasters \
         allowSchedulingOnControlPlanes",
    ),
    ("cluster.ca", "crt key"),
    ("cluster.controlPlane", "endpoint localAPIServerPort"),
    ("cluster.network", "cni dnsDomain podSubnets serviceSubnets"),
    (
        "cluster.apiServer",
        "image extraArgs extraVolumes env certSANs disablePodSecurityPolicy admissionControl auditPolicy resources \
         authorizationConfig",
    ),
    ("cluster.controllerManager", "image extraArgs extraVolumes env resources"),
    ("cluster.proxy", "disabled image mode extraArgs"),
    ("cluster.etcd", "image ca extraArgs subnet advertisedSubnets listenSubnets"),
];

/// The unknown part of a v1alpha1 document, as YAML; `None` when every key is known.
pub fn unknown(document: &Value) -> Option<String> {
    let rest = unknown_in("", document)?;
    Some(serde_yaml::to_string(&rest).unwrap_or_default())
}

fn unknown_in(path: &str, value: &Value) -> Option<Value> {
    if let Some(items) = value.as_sequence() {
        let path = format!("{path}[]");
        let found: Vec<Value> = items.iter().filter_map(|item| unknown_in(&path, item)).collect();
        return (!found.is_empty()).then_some(Value::Sequence(found));
    }
    let map = value.as_mapping()?;
    let keys = SECTIONS.iter().find(|(section, _)| *section == path).map(|(_, keys)| *keys);
    let mut found = Mapping::new();
    for (key, value) in map {
        let name = key.as_str().unwrap_or_default();
        if keys.is_some_and(|known| !known.split_whitespace().any(|k| k == name)) {
            found.insert(key.clone(), value.clone());
            continue;
        }
        let inner = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        if let Some(rest) = unknown_in(&inner, value) {
            found.insert(key.clone(), rest);
        }
    }
    (!found.is_empty()).then_some(Value::Mapping(found))
}
