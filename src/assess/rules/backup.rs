//! A cluster without a backup, or with one that is old.
use super::{Context, Fact, Problem, Rule};

pub const RULE: Rule = Rule {
    id: "backup",
    about: "no backup of the cluster, or an old one",
    source: "Velero v1: status.completionTimestamp of a Backup; CloudNativePG v1: status.stoppedAt of a Backup",
    check,
};

/// Days after which a backup no longer helps.
const OLD: u64 = 7;

fn check(of: &Context) -> Vec<Problem> {
    // Where backups could not be read, the gap says so.
    if of.snapshot.backups.missing.is_some() {
        return Vec::new();
    }
    let done = || of.snapshot.backups.read.iter().filter(|b| b.done.is_some());
    let newest = done().filter(|b| b.of_cluster).filter_map(|b| b.done).max();
    match of.snapshot.days(newest) {
        None => vec![Problem::warns(Fact::NoBackup { of_databases: done().filter(|b| !b.of_cluster).count() })],
        Some(days) if days >= OLD => vec![Problem::warns(Fact::BackupOld { days })],
        Some(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use crate::assess::testing::*;

    #[test]
    fn no_backup_an_old_one_and_one_of_a_database_alone_are_told() {
        let mut cluster = healthy();
        assert_eq!(found(&RULE, &cluster), []);
        cluster.backups.read[0].done = Some(days_ago(30));
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::BackupOld { days: 30 })]);
        cluster.backups.read[0].of_cluster = false;
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::NoBackup { of_databases: 1 })]);
        cluster.backups.read[0].done = None;
        assert_eq!(found(&RULE, &cluster), [Problem::warns(Fact::NoBackup { of_databases: 0 })]);
    }
}
