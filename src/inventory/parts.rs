//! Finds what a pod or a claim is a part of, by labels, by controllers, and last by names.
use super::item::{Blocker, Item};
use std::collections::{BTreeMap, HashMap};

/// An item with the names under which parts of it are found.
#[derive(Debug)]
pub struct Whole {
    pub item: Item,
    /// Releases and operators' objects.
    pub names: Vec<String>,
    pub pods: usize,
    pub ready: usize,
    pub works: usize,
    /// An image of a pod of it that can't be pulled.
    pub lacks: Option<String>,
}

impl Whole {
    pub fn new(item: Item, names: Vec<String>) -> Whole {
        Whole { item, names, pods: 0, ready: 0, works: 0, lacks: None }
    }

    /// Its pods say whether it serves.
    pub fn judged(self) -> Item {
        let Whole { mut item, works, lacks, .. } = self;
        item.serves |= works > 0;
        item.blockers.extend(lacks.map(|image| Blocker::ImageNotPulled { image }));
        item
    }
}

/// The wholes by namespace; those of workloads by kind and name, too.
#[derive(Debug, Default)]
pub struct Wholes {
    pub all: Vec<Whole>,
    of_namespace: BTreeMap<String, Vec<usize>>,
    /// Namespace, kind (`deployments.apps`) and name of a workload: the whole that it is, or belongs to.
    workloads: HashMap<(String, String, String), usize>,
}

impl Wholes {
    pub fn push(&mut self, whole: Whole) -> usize {
        let n = self.all.len();
        self.of_namespace.entry(whole.item.namespace.clone()).or_default().push(n);
        self.all.push(whole);
        n
    }

    /// A workload that is an item of its own, or goes with what it belongs to.
    pub fn workload(&mut self, item: Item, part_of: &[String]) {
        let key = (item.namespace.clone(), item.resource.clone(), item.name.clone());
        let n = match self.named(&item.namespace, part_of) {
            Some(n) => {
                if let Some(whole) = self.all.get_mut(n) {
                    whole.item.serves |= item.serves;
                }
                n
            }
            // Without names: a pod is its part by its controller alone.
            None => self.push(Whole::new(item, Vec::new())),
        };
        self.workloads.insert(key, n);
    }

    fn those_of(&self, namespace: &str) -> impl Iterator<Item = (usize, &Whole)> {
        let all = self.of_namespace.get(namespace).into_iter().flatten();
        all.filter_map(|n| Some((*n, self.all.get(*n)?)))
    }

    /// The whole one of whose names is among `names`.
    pub fn named(&self, namespace: &str, names: &[String]) -> Option<usize> {
        self.those_of(namespace).find(|(_, w)| w.names.iter().any(|name| names.contains(name))).map(|(n, _)| n)
    }

    /// The workload that controls a pod; a ReplicaSet's name is its Deployment's with a hash.
    pub fn controlled(&self, namespace: &str, (kind, name): &(String, String)) -> Option<usize> {
        let (resource, name) = match kind.as_str() {
            "ReplicaSet" => ("deployments.apps", name.rsplit_once('-')?.0),
            "StatefulSet" => ("statefulsets.apps", name.as_str()),
            "DaemonSet" => ("daemonsets.apps", name.as_str()),
            "Job" => ("jobs.batch", name.as_str()),
            _ => return None,
        };
        self.workloads.get(&(namespace.to_string(), resource.to_string(), name.to_string())).copied()
    }

    /// The whole with the longest of its names that one of `parts` is, or begins with: `postgres-app-1` is of `postgres-app`.
    pub fn like<'a>(&self, namespace: &str, parts: impl Iterator<Item = &'a String> + Clone) -> Option<usize> {
        let fits = |name: &str, part: &str| {
            let part = part.strip_prefix("virt-launcher-").unwrap_or(part);
            part.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let lengths = self.those_of(namespace).filter_map(|(n, whole)| {
            let fitting = whole.names.iter().filter(|name| parts.clone().any(|part| fits(name, part)));
            Some((fitting.map(String::len).max()?, n))
        });
        lengths.max().map(|(_, n)| n)
    }
}
