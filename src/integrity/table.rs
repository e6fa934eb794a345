//! The fifty checks, in their order. Names and order are those of the checks by hand that this table takes the place of;
//! what was wrong in them (labels, namespaces, kinds) is corrected here.
use super::read::{Cluster, Site};
use super::{Verdict, rules};
use crate::plan::model::Plan;
use crate::steps::{day0, day2, day3, day4, day5};

/// A statement, and what shows it.
pub struct Check {
    pub id: &'static str,
    pub title: &'static str,
    pub by: By,
}

/// What shows that a statement is true.
pub enum By {
    /// Steps of these kinds prove it.
    Steps(&'static [&'static str]),
    Site(fn(&Site, &Plan) -> Verdict),
    Cluster {
        /// The day after which it must be true.
        since: u8,
        /// The components that it speaks of.
        needs: &'static [&'static str],
        rule: fn(&Cluster, &Plan) -> Verdict,
    },
}

/// The definitions that capmox brings.
pub const DEFINITIONS: [&str; 4] = [
    "proxmoxclusters.infrastructure.cluster.x-k8s.io",
    "proxmoxmachines.infrastructure.cluster.x-k8s.io",
    "proxmoxclustertemplates.infrastructure.cluster.x-k8s.io",
    "proxmoxmachinetemplates.infrastructure.cluster.x-k8s.io",
];

type Rule = fn(&Cluster, &Plan) -> Verdict;

const fn steps(id: &'static str, title: &'static str, kinds: &'static [&'static str]) -> Check {
    Check { id, title, by: By::Steps(kinds) }
}

const fn cluster(since: u8, id: &'static str, title: &'static str, rule: Rule) -> Check {
    Check { id, title, by: By::Cluster { since, needs: &[], rule } }
}

const fn part(needs: &'static [&'static str], id: &'static str, title: &'static str, rule: Rule) -> Check {
    Check { id, title, by: By::Cluster { since: 3, needs, rule } }
}

const fn site(id: &'static str, title: &'static str, rule: fn(&Site, &Plan) -> Verdict) -> Check {
    Check { id, title, by: By::Site(rule) }
}

pub const CHECKS: [Check; 50] = [
    // Kubernetes
    cluster(2, "kubernetes.api", "the API server answers", rules::api),
    steps("kubernetes.ready", "all nodes are Ready", &[day3::nodes_ready::KIND, day5::nodes::KIND]),
    cluster(3, "kubernetes.nodes", "every node of the plan is there and takes pods", rules::nodes),
    cluster(
        3,
        "kubernetes.control_plane",
        "the control plane's pods are ready on each control plane",
        rules::control_plane,
    ),
    cluster(2, "kubernetes.versions", "API server and kubelets have the plan's version", rules::versions),
    steps("kubernetes.function", "the aggregated APIs answer", &[day3::api_services::KIND]),
    // Cluster API
    part(&["capi-operator"], "cluster_api.namespace", "the namespace of Cluster API is there", rules::namespace),
    part(&["capi-operator"], "cluster_api.pods", "its pods are ready", rules::cluster_api_pods),
    part(&["capi-providers-core"], "cluster_api.core", "the core controller is available", rules::core_provider),
    part(
        &["capi-providers-bootstrap"],
        "cluster_api.bootstrap",
        "the bootstrap controller is available",
        rules::bootstrap_provider,
    ),
    part(
        &["capi-providers-cpprovider"],
        "cluster_api.control_plane",
        "the control plane controller is available",
        rules::control_plane_provider,
    ),
    steps("cluster_api.capmox", "the Proxmox provider runs and reaches Proxmox VE", &[day4::capmox::KIND]),
    cluster(4, "cluster_api.proxmox_clusters", "every ProxmoxCluster is ready", rules::proxmox_clusters),
    cluster(4, "cluster_api.proxmox_machines", "every ProxmoxMachine has a VM", rules::proxmox_machines),
    // Definitions
    cluster(4, "definitions.proxmoxclusters", "the definition is established", rules::proxmoxclusters),
    cluster(4, "definitions.proxmoxmachines", "the definition is established", rules::proxmoxmachines),
    cluster(4, "definitions.proxmoxclustertemplates", "the definition is established", rules::proxmoxclustertemplates),
    cluster(4, "definitions.proxmoxmachinetemplates", "the definition is established", rules::proxmoxmachinetemplates),
    cluster(4, "definitions.versions", "the definitions serve v1alpha1", rules::served),
    // Network
    cluster(3, "network.coredns", "CoreDNS is available", rules::coredns),
    steps("network.resolution", "a pod resolves names", &[day5::dns::KIND]),
    part(&["cilium"], "network.cilium", "Cilium runs on every node", rules::cilium),
    part(&["kubeovn"], "network.kubeovn", "Kube-OVN's controller and agents run", rules::kubeovn),
    cluster(3, "network.pod_addresses", "every running pod has an address", rules::pod_addresses),
    cluster(3, "network.services", "the Services of API and DNS have addresses", rules::services),
    part(&["metallb"], "network.metallb", "MetalLB's controller and speakers run", rules::metallb),
    // Storage
    steps("storage.driver", "the CSI driver for Proxmox VE is there", &[day4::csi::KIND]),
    cluster(4, "storage.pods", "the pods of the storage drivers are ready", rules::storage_pods),
    steps("storage.classes", "the StorageClasses are there", &[day4::storage_classes::KIND]),
    steps("storage.linstor", "LINSTOR has its pools on every node", &[day4::linstor_pools::KIND]),
    cluster(4, "storage.volumes", "no volume has failed and no claim is lost", rules::volumes),
    // The API of Proxmox VE
    steps("proxmox.reachable", "the API answers at its address", &[day0::proxmox::KIND]),
    steps("proxmox.certificate", "the server shows the certificate that the plan trusts", &[day0::proxmox::KIND]),
    steps("proxmox.authentication", "the token is accepted", &[day0::proxmox::KIND]),
    steps("proxmox.version", "every node has a version that can do it", &[day0::api_version::KIND]),
    steps("proxmox.permissions", "the token has its privileges", &[day0::permissions::KIND]),
    site("proxmox.response_time", "the API answers within 5 seconds", rules::response_time),
    // What the cluster uses in Proxmox VE
    steps(
        "proxmox.credentials",
        "the add-ons' tokens are valid and in use",
        &[day4::proxmox_token::KIND, day4::capmox::KIND, day4::csi::KIND],
    ),
    steps(
        "proxmox.roles",
        "the add-ons' users have their roles",
        &[day4::proxmox_user::KIND, day4::proxmox_role::KIND],
    ),
    site("proxmox.nodes", "the plan's Proxmox VE nodes are online", rules::hosts),
    steps("proxmox.storages", "the storages can be used", &[day0::storages::KIND]),
    // Monitoring: CozyStack has VictoriaMetrics in the place of Prometheus
    part(
        &["monitoring-agents", "victoria-metrics-operator"],
        "monitoring.metrics",
        "VictoriaMetrics' agent and operator run",
        rules::victoria_metrics,
    ),
    part(&["grafana-operator"], "monitoring.grafana", "Grafana runs where a tenant has monitoring", rules::grafana),
    part(
        &["monitoring-agents"],
        "monitoring.sources",
        "metrics-server and kube-state-metrics run",
        rules::metric_sources,
    ),
    part(
        &["monitoring-agents"],
        "monitoring.alerting",
        "alerts are evaluated where a tenant has monitoring",
        rules::alerting,
    ),
    // Security
    cluster(3, "security.anonymous", "nobody unauthenticated has rights beyond the defaults", rules::anonymous),
    steps("security.secrets", "the cluster's secrets are the run's own", &[day2::secrets::KIND, day2::access::KIND]),
    cluster(3, "security.accounts", "every account under which the platform runs is there", rules::accounts),
    // Workload
    cluster(3, "workload.pods", "no pod of the platform is failing", rules::platform_pods),
    cluster(3, "workload.warnings", "warnings that the cluster keeps", rules::warnings),
];
