//! The kinds that each release brings.
use crate::kube::control::{cluster_api, definitions};

/// The custom resources that a release brings: group and plural. [`definitions`] has the rest.
type Brought = (&'static str, &'static str);

pub fn by(release: &str) -> &'static [Brought] {
    match release {
        "flux" => &[
            ("helm.toolkit.fluxcd.io", "helmreleases"),
            ("source.toolkit.fluxcd.io", "helmrepositories"),
            ("source.toolkit.fluxcd.io", "helmcharts"),
            ("source.toolkit.fluxcd.io", "ocirepositories"),
            ("fluxcd.controlplane.io", "fluxinstances"),
        ],
        "cilium" => &[("cilium.io", "ciliumnetworkpolicies"), ("cilium.io", "ciliumclusterwidenetworkpolicies")],
        "kubeovn" => &[("kubeovn.io", "subnets")],
        "cert-manager-crds" => &[("cert-manager.io", "certificates"), ("cert-manager.io", "clusterissuers")],
        "metallb" => &[("metallb.io", "ipaddresspools"), ("metallb.io", "l2advertisements")],
        "cozystack-resource-definition-crd" => &[("cozystack.io", "cozystackresourcedefinitions")],
        "kamaji" => &[("kamaji.clastix.io", "datastores"), ("kamaji.clastix.io", "tenantcontrolplanes")],
        "piraeus-operator" => &[
            ("piraeus.io", "linstorclusters"),
            ("piraeus.io", "linstorsatellites"),
            ("piraeus.io", "linstorsatelliteconfigurations"),
        ],
        "capi-operator" => &[
            ("operator.cluster.x-k8s.io", "coreproviders"),
            ("operator.cluster.x-k8s.io", "bootstrapproviders"),
            ("operator.cluster.x-k8s.io", "controlplaneproviders"),
            ("operator.cluster.x-k8s.io", "infrastructureproviders"),
            ("operator.cluster.x-k8s.io", "ipamproviders"),
        ],
        "capi-providers-core" => cluster_api::BY_CORE,
        "capi-providers-bootstrap" => cluster_api::BY_BOOTSTRAP,
        "capi-providers-cpprovider" => &[("controlplane.cluster.x-k8s.io", "kamajicontrolplanes")],
        "infrastructureproviders" => &[
            ("infrastructure.cluster.x-k8s.io", "proxmoxclusters"),
            ("infrastructure.cluster.x-k8s.io", "proxmoxclustertemplates"),
            ("infrastructure.cluster.x-k8s.io", "proxmoxmachines"),
            ("infrastructure.cluster.x-k8s.io", "proxmoxmachinetemplates"),
        ],
        "ipamproviders" => {
            &[("ipam.cluster.x-k8s.io", "inclusterippools"), ("ipam.cluster.x-k8s.io", "globalinclusterippools")]
        }
        "etcd-operator" => &[("etcd.aenix.io", "etcdclusters")],
        "postgres-operator" => &[("postgresql.cnpg.io", "clusters")],
        "grafana-operator" => &[("grafana.integreatly.org", "grafanas")],
        "snapshot-controller" => &definitions::SNAPSHOTS,
        "victoria-metrics-operator" => {
            &[("operator.victoriametrics.com", "vmclusters"), ("operator.victoriametrics.com", "vmalerts")]
        }
        _ => &[],
    }
}
