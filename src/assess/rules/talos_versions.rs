//! Nodes with different versions of Talos, or with none.
use super::{Context, Fact, Problem, Rule, counted};

pub const RULE: Rule = Rule {
    id: "talos-versions",
    about: "nodes that do not run the same Talos",
    source: "Kubernetes: status.nodeInfo.osImage of a Node, as Talos writes it",
    check,
};

fn check(of: &Context) -> Vec<Problem> {
    let versions = counted(of.snapshot.nodes.read.iter().map(|n| n.os.clone()));
    let all_talos = versions.keys().all(|os| os.starts_with("Talos "));
    if versions.len() <= 1 && all_talos { Vec::new() } else { vec![Problem::warns(Fact::TalosVersions { versions })] }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_node_with_another_system_is_told() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.nodes.read[0].os = "Debian GNU/Linux 12".into();
        let versions = [("Debian GNU/Linux 12".to_string(), 1), ("Talos (v1.10.6)".to_string(), 2)].into();
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::TalosVersions { versions })]);
    }
}
