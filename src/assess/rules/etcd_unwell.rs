//! An etcd without a leader, with alarms, with a member that does not answer or does not vote.
use super::{Context, Fact, Problem, Rule, named};

pub const RULE: Rule = Rule {
    id: "etcd-unwell",
    about: "an etcd that is not well",
    source: "Talos v1.9 to v1.10: the calls EtcdStatus and EtcdMemberList",
    check,
};

use crate::assess::snapshot::Etcd;
use crate::assess::verdict::Broken;

/// A database that is near etcd's quota of 2 GiB (`--quota-backend-bytes`), in bytes.
const LARGE: u64 = 3 << 29;

fn fault(etcd: &Etcd) -> Option<String> {
    if let Some(fault) = &etcd.fault {
        return Some(fault.clone());
    }
    let said = if !etcd.has_leader {
        "no leader".to_string()
    } else if etcd.is_learner {
        "does not vote".to_string()
    } else if !etcd.errors.is_empty() {
        etcd.errors.join(", ")
    } else {
        return None;
    };
    Some(format!("{}: {said}", etcd.address))
}

fn check(of: &Context) -> Vec<Problem> {
    // Where no member at all could be asked, the gap says so.
    if of.snapshot.etcd.missing.is_some() {
        return Vec::new();
    }
    let all = &of.snapshot.etcd.read;
    let faults: Vec<String> = all.iter().filter_map(fault).collect();
    let unwell = Problem::blocks(Broken::Etcd, Fact::EtcdUnwell { members: named(faults.clone()) });
    let largest = all.iter().map(|e| e.database).max().filter(|bytes| *bytes >= LARGE);
    let large = largest.map(|bytes| Problem::warns(Fact::EtcdLarge { bytes }));
    (!faults.is_empty()).then_some(unwell).into_iter().chain(large).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn a_member_without_a_leader_or_that_does_not_answer_blocks_and_no_access_is_no_fault() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.etcd.read[0].has_leader = false;
        cluster.etcd.read[1].fault = Some("10.0.0.42 does not answer".into());
        let members = vec!["10.0.0.41: no leader".to_string(), "10.0.0.42 does not answer".to_string()];
        assert_eq!(found(&RULE, &cluster), [Problem::blocks(Broken::Etcd, Fact::EtcdUnwell { members })]);
        cluster.etcd.missing = Some(crate::assess::snapshot::Missing::NoAccess);
        assert_eq!(found(&RULE, &cluster), []);
    }

    #[test]
    fn a_database_near_its_quota_is_told() {
        let mut cluster = healthy();
        cluster.etcd.read[0].database = LARGE;
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::EtcdLarge { bytes: LARGE })]);
    }
}
