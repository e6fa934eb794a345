//! Kubelets that are newer than the API server, or more than three minor versions older.
use super::{Context, Fact, Problem, Rule, counted};

pub const RULE: Rule = Rule {
    id: "kubelet-skew",
    about: "kubelets too far from the API server",
    source: "Kubernetes: the version skew policy",
    check,
};

/// Minor version of `v1.33.3`.
fn minor(version: &str) -> Option<i64> {
    version.strip_prefix("v1.")?.split('.').next()?.parse().ok()
}

fn check(of: &Context) -> Vec<Problem> {
    let Some(server) = minor(&of.snapshot.kubernetes) else { return Vec::new() };
    let outside = |kubelet: &&String| minor(kubelet).is_some_and(|k| k > server || server - k > 3);
    let kubelets = counted(of.snapshot.nodes.read.iter().map(|n| &n.kubelet).filter(outside).cloned());
    let fact = Fact::KubeletSkew { server: of.snapshot.kubernetes.clone(), kubelets };
    match fact {
        Fact::KubeletSkew { ref kubelets, .. } if kubelets.is_empty() => Vec::new(),
        fact => vec![Problem::warns(fact)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn three_versions_back_is_allowed_and_a_newer_kubelet_is_not() {
        let mut cluster = healthy();
        cluster.nodes.read[0].kubelet = "v1.30.1".into();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.nodes.read[0].kubelet = "v1.34.0".into();
        assert_eq!(found(&RULE, &cluster).len(), 1);
        cluster.nodes.read[0].kubelet = "v1.29.0".into();
        assert_eq!(found(&RULE, &cluster).len(), 1);
    }
}
