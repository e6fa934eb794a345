//! The resource types that the lab's Talos has, and their definitions as `talosctl get` asks for them.
use super::super::spec::Spec;
use super::{Made, View, hardware, state};

pub struct Kind {
    pub name: &'static str,
    pub display: &'static str,
    pub namespace: &'static str,
    pub owner: &'static str,
    aliases: &'static [&'static str],
    /// Title and JSONPath.
    columns: &'static [(&'static str, &'static str)],
    pub sensitive: bool,
    pub make: fn(&View<'_>) -> Vec<Made>,
}

type Make = fn(&View<'_>) -> Vec<Made>;
type Columns = &'static [(&'static str, &'static str)];

const fn kind(
    name: &'static str,
    display: &'static str,
    namespace: &'static str,
    aliases: &'static [&'static str],
    columns: Columns,
    make: Make,
) -> Kind {
    Kind { name, display, namespace, owner: "lab.Controller", aliases, columns, sensitive: false, make }
}

static KINDS: [Kind; 33] = [
    kind(
        "MachineStatuses.runtime.talos.dev",
        "MachineStatus",
        "runtime",
        &[],
        &[("Stage", "{.stage}"), ("Ready", "{.status.ready}")],
        state::machine_status,
    ),
    kind("Versions.runtime.talos.dev", "Version", "runtime", &[], &[("Version", "{.version}")], state::version),
    kind(
        "Services.v1alpha1.talos.dev",
        "Service",
        "runtime",
        &["svc"],
        &[("Running", "{.running}"), ("Healthy", "{.healthy}"), ("Health Unknown", "{.unknown}")],
        state::services,
    ),
    kind(
        "Disks.block.talos.dev",
        "Disk",
        "runtime",
        &[],
        &[
            ("Size", "{.pretty_size}"),
            ("Read Only", "{.readonly}"),
            ("Transport", "{.transport}"),
            ("Rotational", "{.rotational}"),
            ("WWID", "{.wwid}"),
            ("Model", "{.model}"),
            ("Serial", "{.serial}"),
        ],
        hardware::disks,
    ),
    kind("SystemDisks.block.talos.dev", "SystemDisk", "runtime", &[], &[("Disk", "{.diskID}")], hardware::system_disk),
    kind(
        "DiscoveredVolumes.block.talos.dev",
        "DiscoveredVolume",
        "runtime",
        &["dv"],
        &[
            ("Type", "{.type}"),
            ("Size", "{.prettySize}"),
            ("Discovered", "{.name}"),
            ("Label", "{.label}"),
            ("Partition Label", "{.partitionLabel}"),
        ],
        hardware::volumes,
    ),
    kind(
        "VolumeStatuses.block.talos.dev",
        "VolumeStatus",
        "runtime",
        &[],
        &[("Phase", "{.phase}"), ("Location", "{.location}"), ("Size", "{.prettySize}")],
        hardware::volume_statuses,
    ),
    kind(
        "ExtensionStatuses.runtime.talos.dev",
        "ExtensionStatus",
        "runtime",
        &["extensions"],
        &[("Name", "{.metadata.name}"), ("Version", "{.metadata.version}")],
        state::extensions,
    ),
    kind(
        "MountStatuses.runtime.talos.dev",
        "MountStatus",
        "runtime",
        &["mounts"],
        &[("Source", "{.source}"), ("Target", "{.target}"), ("Filesystem Type", "{.filesystemType}")],
        hardware::mounts,
    ),
    kind("Diagnostics.runtime.talos.dev", "Diagnostic", "runtime", &[], &[("Message", "{.message}")], |_| Vec::new()),
    kind(
        "PlatformMetadatas.talos.dev",
        "PlatformMetadata",
        "runtime",
        &[],
        &[("Platform", "{.platform}"), ("Instance ID", "{.instanceId}")],
        state::platform,
    ),
    kind("TimeStatuses.v1alpha1.talos.dev", "TimeStatus", "runtime", &[], &[("Synced", "{.synced}")], state::time),
    kind(
        "HostnameStatuses.net.talos.dev",
        "HostnameStatus",
        "network",
        &["hostname"],
        &[("Hostname", "{.hostname}"), ("Domainname", "{.domainname}")],
        state::hostname,
    ),
    kind(
        "NodeAddresses.net.talos.dev",
        "NodeAddress",
        "network",
        &[],
        &[("Addresses", "{.addresses}")],
        state::node_addresses,
    ),
    kind(
        "AddressStatuses.net.talos.dev",
        "AddressStatus",
        "network",
        &["address", "addresses"],
        &[("Address", "{.address}"), ("Link", "{.linkName}")],
        state::addresses,
    ),
    kind(
        "LinkStatuses.net.talos.dev",
        "LinkStatus",
        "network",
        &["link", "links"],
        &[
            ("Type", "{.type}"),
            ("Kind", "{.kind}"),
            ("Hw Addr", "{.hardwareAddr}"),
            ("Oper State", "{.operationalState}"),
            ("Link State", "{.linkState}"),
        ],
        hardware::links,
    ),
    kind(
        "RouteStatuses.net.talos.dev",
        "RouteStatus",
        "network",
        &["route", "routes"],
        &[("Destination", "{.dst}"), ("Gateway", "{.gateway}"), ("Link", "{.outLinkName}")],
        state::routes,
    ),
    kind(
        "ResolverStatuses.net.talos.dev",
        "ResolverStatus",
        "network",
        &["resolvers"],
        &[("Resolvers", "{.dnsServers}")],
        state::resolvers,
    ),
    kind(
        "NetworkStatuses.net.talos.dev",
        "NetworkStatus",
        "network",
        &["netstatus"],
        &[("Address", "{.addressReady}"), ("Connectivity", "{.connectivityReady}"), ("Hostname", "{.hostnameReady}")],
        state::network,
    ),
    kind(
        "HardwareAddresses.net.talos.dev",
        "HardwareAddress",
        "network",
        &[],
        &[("Link", "{.name}"), ("Hardware Address", "{.hardwareAddr}")],
        hardware::first_address,
    ),
    kind(
        "Processors.hardware.talos.dev",
        "Processor",
        "hardware",
        &["cpu", "cpus"],
        &[("Manufacturer", "{.manufacturer}"), ("Model", "{.productName}"), ("Cores", "{.coreCount}")],
        hardware::processors,
    ),
    kind(
        "MemoryModules.hardware.talos.dev",
        "MemoryModule",
        "hardware",
        &["ram"],
        &[("Manufacturer", "{.manufacturer}"), ("Size (MiB)", "{.sizeMiB}")],
        hardware::memory,
    ),
    kind(
        "SystemInformations.hardware.talos.dev",
        "SystemInformation",
        "hardware",
        &[],
        &[("Manufacturer", "{.manufacturer}"), ("Product Name", "{.productName}"), ("UUID", "{.uuid}")],
        hardware::system,
    ),
    // Discovery is what fills it; CozyStack turns that off.
    kind(
        "Members.cluster.talos.dev",
        "Member",
        "cluster",
        &[],
        &[("Hostname", "{.hostname}"), ("Machine Type", "{.machineType}"), ("Addresses", "{.addresses}")],
        |_| Vec::new(),
    ),
    kind("Nodenames.kubernetes.talos.dev", "Nodename", "k8s", &[], &[("Nodename", "{.nodename}")], state::nodename),
    kind(
        "NodeStatuses.kubernetes.talos.dev",
        "NodeStatus",
        "k8s",
        &[],
        &[("Ready", "{.nodeReady}"), ("Unschedulable", "{.unschedulable}")],
        state::node_status,
    ),
    kind(
        "StaticPodStatuses.kubernetes.talos.dev",
        "StaticPodStatus",
        "k8s",
        &[],
        &[("Ready", "{.conditions[?(@.type==\"Ready\")].status}")],
        state::static_pods,
    ),
    kind(
        "KubePrismStatuses.kubernetes.talos.dev",
        "KubePrismStatus",
        "k8s",
        &[],
        &[("Host", "{.host}"), ("Healthy", "{.healthy}")],
        |_| Vec::new(),
    ),
    kind("EtcdMembers.etcd.talos.dev", "EtcdMember", "etcd", &[], &[("Member ID", "{.memberID}")], state::etcd_member),
    kind(
        "EtcdSpecs.etcd.talos.dev",
        "EtcdSpec",
        "etcd",
        &[],
        &[("Name", "{.name}"), ("Advertised Addresses", "{.advertisedAddresses}")],
        state::etcd_spec,
    ),
    kind("MachineTypes.config.talos.dev", "MachineType", "config", &[], &[("Type", "{}")], state::machine_type),
    Kind {
        name: "MachineConfigs.config.talos.dev",
        display: "MachineConfig",
        namespace: "config",
        owner: "",
        aliases: &["mc"],
        columns: &[],
        sensitive: true,
        make: state::machine_config,
    },
    Kind {
        name: "ResourceDefinitions.meta.cosi.dev",
        display: "ResourceDefinition",
        namespace: "meta",
        owner: "",
        aliases: &["rd", "rds"],
        columns: &[("Aliases", "{.allAliases}")],
        sensitive: false,
        make: definitions,
    },
];

pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.name == name)
}

fn definitions(_: &View<'_>) -> Vec<Made> {
    KINDS.iter().map(|kind| Made::new(kind.name.to_lowercase(), kind.definition())).collect()
}

impl Kind {
    fn definition(&self) -> Spec {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_string()).collect::<Vec<_>>();
        let columns = self
            .columns
            .iter()
            .map(|(title, path)| Spec::new().text(1, "name", title).text(2, "jsonPath", path))
            .collect();
        let (number, shown) = if self.sensitive { (1, "sensitive") } else { (0, "") };
        Spec::new()
            .text(1, "type", self.name)
            .text(2, "displayType", self.display)
            .text(3, "defaultNamespace", self.namespace)
            .texts(4, "aliases", &owned(self.aliases))
            .texts(5, "allAliases", &self.all_aliases())
            .messages(6, "printColumns", columns)
            .number_shown(7, "sensitivity", number, shown)
    }

    /// The given aliases, singular and plural, the dotted prefixes and the initials, as the runtime makes them.
    fn all_aliases(&self) -> Vec<String> {
        let mut all: Vec<String> = self.aliases.iter().map(|a| (*a).to_string()).collect();
        all.push(self.display.to_lowercase());
        let lower = self.name.to_lowercase();
        all.extend(lower.match_indices('.').filter_map(|(at, _)| lower.get(..at)).map(str::to_string));
        let initials: String = self.display.chars().filter(char::is_ascii_uppercase).collect();
        if initials.len() > 1 {
            all.push(initials.to_lowercase());
            all.push(format!("{}s", initials.to_lowercase()));
        }
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talosctl_finds_types_by_the_names_people_type() {
        let aliases = |name: &str| find(name).unwrap().all_aliases();
        assert!(aliases("MachineStatuses.runtime.talos.dev").contains(&"machinestatus".to_string()));
        assert!(aliases("Disks.block.talos.dev").contains(&"disks".to_string()));
        assert!(aliases("ExtensionStatuses.runtime.talos.dev").contains(&"extensions".to_string()));
        assert!(aliases("Members.cluster.talos.dev").contains(&"members.cluster".to_string()));
    }
}
