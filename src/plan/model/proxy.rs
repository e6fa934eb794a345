//! The proxy through which a site reaches the world.
use super::Plan;

impl Plan {
    /// The servers that are asked past `network.proxy`, as `no_proxy` lists them: the site's own networks, what only the cluster
    /// can name, and the exceptions of the plan. Programs in Go, as Talos and containerd are, add the loopback by themselves.
    pub fn past_proxy(&self) -> Vec<String> {
        let network = &self.network;
        let networks = [network.subnet.trunc(), network.pod_cidr, network.service_cidr, network.join_cidr];
        let names = [".svc".to_string(), format!(".{}", network.cluster_domain)];
        networks.iter().map(ToString::to_string).chain(names).chain(network.no_proxy.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::defaults::{Defaults, plan};

    #[test]
    fn the_sites_own_networks_and_the_clusters_names_are_never_asked_by_proxy() {
        let mut plan = plan(&Defaults::default());
        plan.network.no_proxy = vec![".example.org".into()];
        let past =
            ["10.0.0.0/24", "10.244.0.0/16", "10.96.0.0/16", "100.64.0.0/16", ".svc", ".cozy.local", ".example.org"];
        assert_eq!(plan.past_proxy(), past);
    }
}
