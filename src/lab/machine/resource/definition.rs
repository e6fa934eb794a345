//! The resource types of Talos v1.10.6, all that `talosctl get rd` lists, and which of them the lab can fill.
//! The asset is written by Talos' own library (`tests/peers/build/talosctl/talosfacts`), and tier 2 compares it.
use super::super::spec::Spec;
use super::{Made, View, hardware, state};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A definition as the library prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    r#type: String,
    display_type: String,
    default_namespace: String,
    aliases: Option<Vec<String>>,
    all_aliases: Option<Vec<String>>,
    #[serde(default)]
    skip_automatic_aliases: bool,
    print_columns: Option<Vec<Column>>,
    sensitivity: String,
}

#[derive(Deserialize)]
struct Column {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "JSONPath")]
    json_path: String,
}

pub struct Kind {
    pub name: &'static str,
    pub namespace: &'static str,
    pub sensitive: bool,
    /// The controller that a resource of this type belongs to.
    pub owner: &'static str,
    make: Option<Make>,
    definition: Spec,
}

type Make = fn(&View<'_>) -> Vec<Made>;

impl Kind {
    pub fn make(&self, view: &View<'_>) -> Vec<Made> {
        self.make.map(|make| make(view)).unwrap_or_default()
    }
}

/// Type, controller, and what makes the resources of this type. The types without a maker stay empty in the lab.
const MAKERS: [(&str, &str, Make); 36] = [
    ("AddressStatuses.net.talos.dev", "network.AddressStatusController", state::addresses),
    ("DiscoveredVolumes.block.talos.dev", "block.DiscoveryController", hardware::volumes),
    ("Disks.block.talos.dev", "block.DisksController", hardware::disks),
    ("EtcdMembers.etcd.talos.dev", "etcd.MemberController", state::etcd_member),
    ("EtcdSpecs.etcd.talos.dev", "etcd.SpecController", state::etcd_spec),
    ("ExtensionStatuses.runtime.talos.dev", "runtime.ExtensionStatusController", state::extensions),
    ("HardwareAddresses.net.talos.dev", "network.HardwareAddrController", hardware::first_address),
    ("HostnameStatuses.net.talos.dev", "network.HostnameSpecController", state::hostname),
    ("Infos.cluster.talos.dev", "cluster.InfoController", state::cluster_info),
    ("LinkStatuses.net.talos.dev", "network.LinkStatusController", hardware::links),
    ("MachineConfigs.config.talos.dev", "", state::machine_config),
    ("MachineStatuses.runtime.talos.dev", "runtime.MachineStatusController", state::machine_status),
    ("MachineTypes.config.talos.dev", "config.MachineTypeController", state::machine_type),
    ("MemoryModules.hardware.talos.dev", "hardware.SystemInfoController", hardware::memory),
    ("MountStatuses.runtime.talos.dev", "runtime.MountStatusController", hardware::mounts),
    ("Namespaces.meta.cosi.dev", "", namespaces),
    ("NetworkStatuses.net.talos.dev", "network.StatusController", state::network),
    ("NodeAddresses.net.talos.dev", "network.NodeAddressController", state::node_addresses),
    ("NodeIPs.kubernetes.talos.dev", "k8s.NodeIPController", state::node_ip),
    ("NodeStatuses.kubernetes.talos.dev", "k8s.NodeStatusController", state::node_status),
    ("Nodenames.kubernetes.talos.dev", "k8s.NodenameController", state::nodename),
    ("OSRootSecrets.secrets.talos.dev", "secrets.RootOSController", state::os_root),
    ("PlatformMetadatas.talos.dev", "network.PlatformConfigController", state::platform),
    ("Processors.hardware.talos.dev", "hardware.SystemInfoController", hardware::processors),
    ("ResolverStatuses.net.talos.dev", "network.ResolverSpecController", state::resolvers),
    ("ResourceDefinitions.meta.cosi.dev", "", definitions),
    ("RouteStatuses.net.talos.dev", "network.RouteStatusController", state::routes),
    ("SecurityStates.talos.dev", "runtime.SecurityStateController", state::security),
    ("Services.v1alpha1.talos.dev", "v1alpha1.ServiceController", state::services),
    ("StaticPodStatuses.kubernetes.talos.dev", "k8s.KubeletStaticPodController", state::static_pods),
    ("SystemDisks.block.talos.dev", "block.SystemDiskController", hardware::system_disk),
    ("SystemInformations.hardware.talos.dev", "hardware.SystemInfoController", hardware::system),
    ("TimeServerStatuses.net.talos.dev", "network.TimeServerSpecController", state::time_servers),
    ("TimeStatuses.v1alpha1.talos.dev", "time.SyncController", state::time),
    ("Versions.runtime.talos.dev", "runtime.VersionController", state::version),
    ("VolumeStatuses.block.talos.dev", "block.VolumeManagerController", hardware::volume_statuses),
];

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let lines = include_str!("../../../../assets/talos/resources.jsonl").lines();
    // A damaged line would be a type that is missing, which the test below sees.
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
});

static KINDS: LazyLock<BTreeMap<String, Kind>> =
    LazyLock::new(|| DEFINITIONS.iter().map(|d| (d.r#type.to_lowercase(), Kind::of(d))).collect());

pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.get(&name.to_lowercase())
}

fn definitions(_: &View<'_>) -> Vec<Made> {
    KINDS.iter().map(|(id, kind)| Made::new(id, kind.definition.clone())).collect()
}

/// The namespaces of Talos v1.10.6 and what they are for.
pub const NAMESPACES: [(&str, &str); 16] = [
    ("cluster", "Cluster configuration and discovery resources."),
    ("cluster-raw", "Cluster unmerged raw resources."),
    ("config", "Talos node configuration."),
    ("controlplane", "Kubernetes control plane resources."),
    ("cri", "CRI Seccomp resources."),
    ("etcd", "etcd resources."),
    ("files", "Files and file-like resources."),
    ("hardware", "Hardware resources."),
    ("k8s", "Kubernetes all node types resources."),
    ("kubespan", "KubeSpan resources."),
    ("meta", "Metadata namespace which contains resource and namespace definitions."),
    ("network", "Networking resources."),
    ("network-config", "Networking configuration resources."),
    ("perf", "Stats resources."),
    ("runtime", "Talos v1alpha1 subsystems glue resources."),
    ("secrets", "Resources with secret material."),
];

fn namespaces(_: &View<'_>) -> Vec<Made> {
    NAMESPACES.iter().map(|(name, about)| Made::new(*name, Spec::new().text(1, "description", about))).collect()
}

impl Kind {
    fn of(definition: &'static Definition) -> Self {
        let maker = MAKERS.iter().find(|(name, ..)| *name == definition.r#type);
        Kind {
            name: &definition.r#type,
            namespace: &definition.default_namespace,
            sensitive: definition.sensitivity == "sensitive",
            owner: maker.map_or("", |(_, owner, _)| owner),
            make: maker.map(|(.., make)| *make),
            definition: definition.spec(),
        }
    }
}

impl Definition {
    fn spec(&self) -> Spec {
        let columns = self.print_columns.iter().flatten();
        let columns = columns.map(|c| Spec::new().text(1, "name", &c.name).text(2, "jsonPath", &c.json_path)).collect();
        let texts = |given: &Option<Vec<String>>| given.clone().unwrap_or_default();
        let spec = Spec::new()
            .text(1, "type", &self.r#type)
            .text(2, "displayType", &self.display_type)
            .text(3, "defaultNamespace", &self.default_namespace)
            .texts(4, "aliases", &texts(&self.aliases))
            .texts(5, "allAliases", &texts(&self.all_aliases));
        let spec = if self.skip_automatic_aliases { spec.shown("skipAutomaticAliases", true) } else { spec };
        let spec = spec.messages(6, "printColumns", columns);
        if self.sensitivity.is_empty() {
            spec.number(7, "", 0)
        } else {
            spec.number_shown(7, "sensitivity", 1, "sensitive")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_talos_is_defined_and_every_maker_has_its_type() {
        assert_eq!(KINDS.len(), 150);
        for (name, ..) in MAKERS {
            assert!(find(name).is_some_and(|k| k.make.is_some()), "{name}");
        }
        assert!(find("MachineConfigs.config.talos.dev").unwrap().sensitive);
    }

    #[test]
    fn talosctl_finds_types_by_the_names_people_type() {
        let named = |alias: &str| {
            let all = DEFINITIONS.iter().filter(|d| d.all_aliases.iter().flatten().any(|a| a == alias));
            all.map(|d| d.r#type.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(named("extensions"), ["ExtensionStatuses.runtime.talos.dev"]);
        assert_eq!(named("mounts"), ["MountStatuses.runtime.talos.dev"]);
        assert_eq!(named("ms").len(), 4, "ambiguous on a real node too");
    }
}
