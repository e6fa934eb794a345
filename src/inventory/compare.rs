//! Two inventories beside each other: what has arrived, what is other than it was, what is missing, and what nobody can tell.
use super::item::{Gap, Inventory, Item, Sort, Traits, Way};
use super::known::later;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Something that is other than it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Change {
    /// It served, and does not serve there.
    NoLongerServes,
    /// Bytes: a smaller volume can't hold what was in it.
    Smaller {
        old: u64,
        new: u64,
    },
    Larger {
        old: u64,
        new: u64,
    },
    Class {
        old: String,
        new: String,
    },
    Replicas {
        old: u64,
        new: u64,
    },
    Cores {
        old: u64,
        new: u64,
    },
    Memory {
        old: u64,
        new: u64,
    },
    Version {
        old: String,
        new: String,
    },
    /// That are not there.
    Images {
        missing: Vec<String>,
    },
    Hosts {
        missing: Vec<String>,
    },
    Addresses {
        missing: Vec<String>,
    },
    Ports {
        missing: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate")]
pub enum Fate {
    Arrived,
    Changed {
        changes: Vec<Change>,
    },
    Missing,
    /// The new inventory could not read this kind to its end.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub sort: Sort,
    pub resource: String,
    pub namespace: String,
    pub name: String,
    #[serde(flatten)]
    pub fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub rows: Vec<Row>,
    /// Things of the new one that the old one does not have.
    pub added: usize,
    /// Volumes of the old one that nobody claims: they have no name by which they could be found again.
    pub orphans: usize,
    /// Parts of the old cluster that were not read: what is in them may be missing, and nobody can tell.
    pub old_gaps: Vec<Gap>,
    pub new_gaps: Vec<Gap>,
    pub clusters: Clusters,
}

/// Whether the two inventories are of two clusters; in one and the same nothing can have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clusters {
    Two,
    Same,
    /// One of them could not read what tells clusters apart.
    Unknown,
}

impl Clusters {
    fn of(old: &str, new: &str) -> Clusters {
        match (old.is_empty() || new.is_empty(), old == new) {
            (true, _) => Clusters::Unknown,
            (false, true) => Clusters::Same,
            (false, false) => Clusters::Two,
        }
    }
}

type Key<'a> = (&'a str, &'a str, &'a str);

fn key(item: &Item) -> Key<'_> {
    (later(&item.resource), &item.namespace, &item.name)
}

/// The number and bytes of the volumes of each owner: an operator gives new ones new names.
fn owned(of: &Inventory) -> BTreeMap<(&str, String), (usize, u64)> {
    let mut all: BTreeMap<(&str, String), (usize, u64)> = BTreeMap::new();
    for item in of.items.iter().filter(|item| item.way == Way::WithOwner) {
        let sum = all.entry(owner(item)).or_default();
        *sum = (sum.0 + 1, sum.1.saturating_add(item.traits.size.unwrap_or_default()));
    }
    all
}

fn owner(item: &Item) -> (&str, String) {
    let (resource, name) = item.owner.split_once(' ').unwrap_or((&item.owner, ""));
    (&item.namespace, format!("{} {name}", later(resource)))
}

pub fn compare(old: &Inventory, new: &Inventory) -> Comparison {
    let is_orphan = |item: &&Item| item.resource == "persistentvolumes";
    let there: HashMap<Key<'_>, &Item> = new.items.iter().map(|item| (key(item), item)).collect();
    let (volumes, volumes_there) = (owned(old), owned(new));
    let has_other_volumes = |item: &Item| {
        let of = owner(item);
        let (before, now) = (volumes.get(&of), volumes_there.get(&of));
        item.way == Way::WithOwner && before.zip(now).is_some_and(|(old, new)| new.0 >= old.0 && new.1 >= old.1)
    };
    let rows = old.items.iter().filter(|item| !is_orphan(item)).map(|item| {
        let fate = match there.get(&key(item)) {
            Some(there) => match changes(item, there) {
                changes if changes.is_empty() => Fate::Arrived,
                changes => Fate::Changed { changes },
            },
            None if has_other_volumes(item) => Fate::Arrived,
            None if new.gaps.iter().any(|gap| hides(gap, &item.resource)) => Fate::Unknown,
            None => Fate::Missing,
        };
        let Item { sort, resource, namespace, name, .. } = item.clone();
        Row { sort, resource, namespace, name, fate }
    });
    let known: HashSet<Key<'_>> = old.items.iter().map(key).collect();
    Comparison {
        rows: rows.collect(),
        added: new.items.iter().filter(|item| !known.contains(&key(item))).count(),
        orphans: old.items.iter().filter(is_orphan).count(),
        old_gaps: old.gaps.clone(),
        new_gaps: new.gaps.clone(),
        clusters: Clusters::of(&old.cluster, &new.cluster),
    }
}

/// True when a thing of this kind may be there, unseen.
fn hides(gap: &Gap, resource: &str) -> bool {
    let group = gap.what.split('/').next().unwrap_or_default();
    gap.what == resource || (gap.what.contains('/') && resource.ends_with(&format!(".{group}")))
        // Whose parts were not seen was not told from what stands alone.
        || ["pods", "helmreleases.helm.toolkit.fluxcd.io"].contains(&gap.what.as_str())
}

fn changes(old: &Item, new: &Item) -> Vec<Change> {
    let mut all = Vec::new();
    if old.serves && !new.serves {
        all.push(Change::NoLongerServes);
    }
    let (a, b): (&Traits, &Traits) = (&old.traits, &new.traits);
    if let (Some(old), Some(new)) = (a.size, b.size) {
        all.extend((new < old).then_some(Change::Smaller { old, new }));
        all.extend((new > old).then_some(Change::Larger { old, new }));
    }
    all.extend(differs(a.class.clone(), b.class.clone()).map(|(old, new)| Change::Class { old, new }));
    all.extend(differs(a.replicas, b.replicas).map(|(old, new)| Change::Replicas { old, new }));
    all.extend(differs(a.cores, b.cores).map(|(old, new)| Change::Cores { old, new }));
    all.extend(differs(a.memory, b.memory).map(|(old, new)| Change::Memory { old, new }));
    all.extend(differs(a.version.clone(), b.version.clone()).map(|(old, new)| Change::Version { old, new }));
    all.extend(lacks(&a.images, &b.images).map(|missing| Change::Images { missing }));
    all.extend(lacks(&a.hosts, &b.hosts).map(|missing| Change::Hosts { missing }));
    all.extend(lacks(&a.addresses, &b.addresses).map(|missing| Change::Addresses { missing }));
    all.extend(lacks(&a.ports, &b.ports).map(|missing| Change::Ports { missing }));
    all
}

fn differs<T: PartialEq>(old: Option<T>, new: Option<T>) -> Option<(T, T)> {
    old.zip(new).filter(|(old, new)| old != new)
}

fn lacks(old: &[String], new: &[String]) -> Option<Vec<String>> {
    let missing: Vec<String> = old.iter().filter(|one| !new.contains(one)).cloned().collect();
    (!missing.is_empty()).then_some(missing)
}

impl Comparison {
    pub fn count(&self, is_it: impl Fn(&Fate) -> bool) -> usize {
        self.rows.iter().filter(|row| is_it(&row.fate)).count()
    }

    /// Everything that the old inventory has is in another cluster as it was, and both could be read to their end.
    pub fn has_all_arrived(&self) -> bool {
        self.clusters == Clusters::Two
            && self.old_gaps.is_empty()
            && self.new_gaps.is_empty()
            && self.rows.iter().all(|row| row.fate == Fate::Arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::{Readiness, Way};
    use super::*;
    use crate::assess::snapshot::Missing;
    use jiff::Timestamp;

    fn elsewhere(of: Inventory) -> Inventory {
        Inventory { cluster: "new".into(), ..of }
    }

    fn item(resource: &str, name: &str) -> Item {
        Item::new(Sort::Database, resource, "tenant-a", name, Way::Apply)
    }

    fn of(items: Vec<Item>, gaps: &[&str]) -> Inventory {
        let gap = |what: &&str| Gap { what: what.to_string(), missing: Missing::Forbidden { text: "no".into() } };
        Inventory {
            schema: 1,
            kind: "inventory".into(),
            at: Timestamp::UNIX_EPOCH,
            server: String::new(),
            cluster: "old".into(),
            kubernetes: String::new(),
            items,
            gaps: gaps.iter().map(gap).collect(),
            left_out: vec![],
            readiness: Readiness::Unknown { gaps: 0 },
            calls: 0,
        }
    }

    #[test]
    fn what_has_arrived_has_changed_or_is_missing_is_told_apart() {
        let (mut sized, mut smaller) = (item("redises.apps.cozystack.io", "b"), item("redises.apps.cozystack.io", "b"));
        sized.traits.size = Some(10);
        sized.serves = true;
        smaller.traits.size = Some(9);
        let old = of(vec![item("mysqls.apps.cozystack.io", "a"), sized, item("kafkas.apps.cozystack.io", "c")], &[]);
        let new =
            of(vec![item("mariadbs.apps.cozystack.io", "a"), smaller, item("buckets.apps.cozystack.io", "d")], &[]);
        let compared = compare(&old, &elsewhere(new));
        let fates: Vec<&Fate> = compared.rows.iter().map(|r| &r.fate).collect();
        let changes = vec![Change::NoLongerServes, Change::Smaller { old: 10, new: 9 }];
        assert_eq!(fates, [&Fate::Arrived, &Fate::Changed { changes }, &Fate::Missing]);
        assert!(compared.added == 1 && !compared.has_all_arrived());
        assert!(compare(&old, &elsewhere(old.clone())).has_all_arrived());
    }

    #[test]
    fn in_one_and_the_same_cluster_nothing_has_arrived() {
        let old = of(vec![item("redises.apps.cozystack.io", "a")], &[]);
        let unknown = Inventory { cluster: String::new(), ..old.clone() };
        let alike: Vec<Clusters> = [&old, &unknown].map(|new| compare(&old, new).clusters).to_vec();
        assert_eq!(alike, [Clusters::Same, Clusters::Unknown]);
        assert!(!compare(&old, &old).has_all_arrived() && !compare(&old, &unknown).has_all_arrived());
    }

    #[test]
    fn volumes_of_an_app_have_arrived_under_other_names_when_there_are_as_many_and_as_large() {
        let volume = |name: &str, size: u64| {
            let mut item = Item::new(Sort::Volume, "persistentvolumeclaims", "tenant-a", name, Way::WithOwner);
            (item.owner, item.traits.size) = ("mysqls.apps.cozystack.io db".into(), Some(size));
            item
        };
        let old = of(vec![volume("db-1", 10), volume("db-2", 10)], &[]);
        let fates = |new: Vec<Item>| -> Vec<Fate> {
            compare(&old, &elsewhere(of(new, &[]))).rows.into_iter().map(|row| row.fate).collect()
        };
        let mut renamed = volume("db-4", 12);
        renamed.owner = "mariadbs.apps.cozystack.io db".into();
        assert_eq!(fates(vec![volume("db-1", 10), renamed]), [Fate::Arrived, Fate::Arrived]);
        assert_eq!(fates(vec![volume("db-1", 10)]), [Fate::Arrived, Fate::Missing]);
        assert_eq!(fates(vec![volume("db-3", 4), volume("db-4", 4)]), [Fate::Missing, Fate::Missing]);
    }

    #[test]
    fn what_could_not_be_read_is_neither_missing_nor_arrived() {
        let old = of(vec![item("redises.apps.cozystack.io", "a")], &[]);
        for gap in ["redises.apps.cozystack.io", "apps.cozystack.io/v1alpha1", "pods"] {
            let compared = compare(&old, &elsewhere(of(vec![], &[gap])));
            assert_eq!(compared.rows[0].fate, Fate::Unknown, "{gap}");
            assert!(!compared.has_all_arrived());
        }
        assert_eq!(compare(&old, &of(vec![], &["services"])).rows[0].fate, Fate::Missing);
        let unseen = of(vec![], &["redises.apps.cozystack.io"]);
        assert!(!compare(&unseen, &of(vec![], &[])).has_all_arrived(), "nobody knows what the old one had");
    }
}
