//! The rules: one per file, pure functions from what was read to what it means, each with its source.
use super::finding::{Change, EXAMPLES, Fact, Finding, Problem};
use super::snapshot::{Release, Snapshot};
use super::version::Number;
use std::collections::BTreeMap;

mod access_ends;
mod backup;
mod certificates;
mod change_capi_providers;
mod change_ferretdb;
mod change_resources;
mod change_seaweedfs;
mod claims_pending;
mod etcd_unwell;
mod failing_pods;
mod kubelet_skew;
mod migration_differs;
mod network_cascade;
mod node_pressure;
mod nodes_not_ready;
mod orphaned_volumes;
mod releases_not_ready;
mod satellites_unwell;
mod scarce;
mod sources_fail;
mod talos_versions;
mod version_unknown;
mod version_unofficial;

/// What the rules look at.
pub struct Context<'a> {
    pub snapshot: &'a Snapshot,
    pub target: Number,
}

/// One rule.
pub struct Rule {
    /// Kebab-case, the name of its file.
    pub id: &'static str,
    /// What it finds.
    pub about: &'static str,
    /// Where its knowledge comes from.
    pub source: &'static str,
    check: fn(&Context) -> Vec<Problem>,
}

/// In the order in which a report tells them: the causes first.
const RULES: [Rule; 23] = [
    nodes_not_ready::RULE,
    node_pressure::RULE,
    network_cascade::RULE,
    failing_pods::RULE,
    releases_not_ready::RULE,
    sources_fail::RULE,
    version_unofficial::RULE,
    version_unknown::RULE,
    migration_differs::RULE,
    change_ferretdb::RULE,
    change_seaweedfs::RULE,
    change_resources::RULE,
    change_capi_providers::RULE,
    talos_versions::RULE,
    kubelet_skew::RULE,
    scarce::RULE,
    orphaned_volumes::RULE,
    claims_pending::RULE,
    satellites_unwell::RULE,
    etcd_unwell::RULE,
    backup::RULE,
    certificates::RULE,
    access_ends::RULE,
];

/// Every rule there is.
pub fn rules() -> &'static [Rule] {
    &RULES
}

/// The rule that names the cause of others' findings.
const CAUSE: &str = network_cascade::RULE.id;

/// All findings, the gravest first and otherwise in the order of the rules.
pub fn findings(of: &Context) -> Vec<Finding> {
    let mut all: Vec<Finding> = RULES
        .iter()
        .flat_map(|rule| (rule.check)(of).into_iter().map(move |problem| (rule, problem)))
        .map(|(Rule { id: rule, source, .. }, Problem { severity, broken, fact })| Finding {
            rule,
            source,
            severity,
            broken,
            fact,
            symptom_of: None,
        })
        .collect();
    if all.iter().any(|f| f.rule == CAUSE) {
        for finding in &mut all {
            finding.symptom_of = follows(&finding.fact).then_some(CAUSE);
        }
    }
    all.sort_by_key(|f| f.severity);
    all
}

/// True for what a network that is down brings about by itself.
fn follows(fact: &Fact) -> bool {
    use super::snapshot::Trouble;
    match fact {
        Fact::SourcesFail { .. } => true,
        Fact::PodsFail(pods) => pods.trouble == Trouble::NoNetwork,
        Fact::ReleasesNotReady { .. } => true,
        Fact::NodesNotReady { .. } | Fact::NodePressure { .. } | Fact::NetworkCascade(_) => false,
        Fact::Unofficial { .. } | Fact::VersionUnknown { .. } | Fact::MigrationDiffers { .. } => false,
        Fact::ChangeInUse { .. } | Fact::ChangeNotInUse { .. } | Fact::TalosVersions { .. } => false,
        Fact::KubeletSkew { .. } | Fact::Scarce { .. } | Fact::Orphans { .. } | Fact::ClaimsPending { .. } => false,
        Fact::SatellitesUnwell { .. } | Fact::EtcdUnwell { .. } | Fact::EtcdLarge { .. } => false,
        Fact::NoBackup { .. } | Fact::BackupOld { .. } | Fact::CertificatesEnd { .. } => false,
        Fact::AccessEnds { .. } => false,
    }
}

/// The first few names.
fn named(all: impl IntoIterator<Item = String>) -> Vec<String> {
    all.into_iter().take(EXAMPLES).collect()
}

/// How often each occurs.
fn counted(all: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for one in all {
        *found.entry(one).or_default() += 1;
    }
    found
}

/// Whether a change that lies ahead meets anything in use.
fn change(of: &Context, change: Change, is_used: fn(&Release) -> bool) -> Vec<Problem> {
    let version = of.snapshot.installer.read.version.as_ref().map(super::Version::number);
    let lies_ahead = version.is_some_and(|v| v < change.since()) && change.since() <= of.target;
    if !lies_ahead || of.snapshot.releases.missing.is_some() {
        return Vec::new();
    }
    let used: Vec<_> = of.snapshot.releases.read.iter().filter(|r| is_used(r)).collect();
    let examples = named(used.iter().map(|r| format!("{}/{}", r.status.namespace, r.status.name)));
    if used.is_empty() {
        return vec![Problem::notes(Fact::ChangeNotInUse { change })];
    }
    let fact = Fact::ChangeInUse { change, count: used.len(), examples };
    vec![if change.is_by_hand() { Problem::warns(fact) } else { Problem::notes(fact) }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::snapshot::Trouble;
    use crate::assess::testing::*;

    /// What one rule says of a cluster.
    pub fn found(rule: &Rule, snapshot: &Snapshot) -> Vec<Problem> {
        (rule.check)(&Context { snapshot, target: Number::new(0, 37, 2) })
    }

    #[test]
    fn each_rule_has_its_own_id_a_subject_and_a_source() {
        let ids: std::collections::BTreeSet<&str> = RULES.iter().map(|r| r.id).collect();
        assert_eq!(ids.len(), RULES.len());
        assert!(RULES.iter().all(|r| !r.about.is_empty() && !r.source.is_empty()));
    }

    #[test]
    fn a_healthy_cluster_at_the_target_has_no_findings() {
        let cluster = healthy();
        assert_eq!(findings(&Context { snapshot: &cluster, target: Number::new(0, 37, 2) }), []);
    }

    #[test]
    fn what_follows_from_the_cascade_says_so_and_what_does_not_stands_by_itself() {
        let mut cluster = healthy();
        cluster.sandboxes.read.no_socket = 3;
        cluster.sources.read[0].fails = true;
        cluster.pods.read.push(failing("tenant-a", "a", Trouble::NoNetwork, 9));
        cluster.pods.read.push(failing("tenant-a", "b", Trouble::ImagePull, 9));
        let all = findings(&Context { snapshot: &cluster, target: Number::new(0, 37, 2) });
        let said: Vec<_> = all.iter().map(|f| (f.rule, f.symptom_of.is_some())).collect();
        assert_eq!(
            said,
            [("network-cascade", false), ("sources-fail", true), ("failing-pods", false), ("failing-pods", true)]
        );
    }
}
