//! The last snapshot of each kind that the worker's observer sent.
use crate::base::clock::between;
use crate::observed::{Backend, Contacts, Releases, Snapshot, View};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Observed {
    contacts: Option<Arc<Snapshot>>,
    releases: Option<Arc<Snapshot>>,
}

/// The contact with one system, all of its machines together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    pub name: &'static str,
    /// Since the last answer; `None`: never yet.
    pub last: Option<Duration>,
    /// At least one machine of it does not answer, and for how long.
    pub silent: Option<Duration>,
}

impl Observed {
    pub fn take(&mut self, snapshots: Vec<Arc<Snapshot>>) {
        for snapshot in snapshots {
            match &snapshot.view {
                View::Contacts(_) => self.contacts = Some(snapshot),
                View::Releases(_) => self.releases = Some(snapshot),
                View::Site(_)
                | View::Machines(_)
                | View::Nodes(_)
                | View::Pods(_)
                | View::Events(_)
                | View::Unknown => {}
            }
        }
    }

    pub fn releases(&self) -> Option<&Releases> {
        match self.releases.as_deref().map(|s| &s.view) {
            Some(View::Releases(releases)) => Some(releases),
            Some(_) | None => None,
        }
    }

    fn contacts(&self) -> Option<&Contacts> {
        match self.contacts.as_deref().map(|s| &s.view) {
            Some(View::Contacts(contacts)) => Some(contacts),
            Some(_) | None => None,
        }
    }

    /// The age of the contact with each system: the oldest of its machines.
    pub fn ages(&self, now: Timestamp) -> Vec<Age> {
        let mut ages: Vec<Age> = Vec::new();
        for contact in self.contacts().into_iter().flat_map(|c| &c.all) {
            let name = match contact.backend {
                Backend::Proxmox => "proxmox",
                Backend::Talos { .. } => "talos",
                Backend::Kubernetes => "k8s",
                Backend::Unknown => continue,
            };
            let last = contact.last.map(|at| between(at, now));
            let silent = contact.silent.map(|(since, _)| between(since, now));
            match ages.iter_mut().find(|age| age.name == name) {
                None => ages.push(Age { name, last, silent }),
                Some(age) => {
                    age.last = age.last.zip(last).map(|(a, b)| a.max(b));
                    age.silent = age.silent.max(silent);
                }
            }
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Cause;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_age_of_a_system_is_that_of_its_oldest_machine() {
        let mut contacts = Contacts::default();
        let talos = |name: &str| Backend::Talos { machine: name.into() };
        contacts.answered(&Backend::Proxmox, at(95));
        contacts.answered(&talos("cp1"), at(98));
        contacts.answered(&talos("cp2"), at(60));
        contacts.failed(&talos("cp2"), at(70), Cause::Silent);
        let mut observed = Observed::default();
        observed.take(vec![Arc::new(Snapshot::new(at(99), View::Contacts(contacts)))]);
        let seconds = |d: Option<Duration>| d.map(|d| d.as_secs());
        let ages: Vec<_> =
            observed.ages(at(100)).iter().map(|a| (a.name, seconds(a.last), seconds(a.silent))).collect();
        assert_eq!(ages, [("proxmox", Some(5), None), ("talos", Some(40), Some(30))]);
    }
}
