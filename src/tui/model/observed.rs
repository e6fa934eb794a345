//! The last snapshot of each kind that the worker's observer sent.
use crate::base::clock::between;
use crate::engine::record::{Event, Record};
use crate::observed::{
    Backend, Cause, Contact, Contacts, Events, Gaps, Kind, Machines, Nodes, Noticed, Notices, Pods, Releases, Site,
    Snapshot, Tails, View,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Observed {
    last: BTreeMap<Kind, Arc<Snapshot>>,
    /// When the worker was heard of last, on the wall.
    heard: Duration,
    /// What was noticed of each subject, the newest first.
    noticed: BTreeMap<String, VecDeque<(Timestamp, Noticed)>>,
}

/// Changes of one subject that are kept.
const KEPT: usize = 3;

/// The contact with one system, all of its machines together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    pub name: &'static str,
    /// Since the last answer; `None`: never yet.
    pub last: Option<Duration>,
    /// At least one machine of it does not answer, and for how long.
    pub silent: Option<Duration>,
    /// Nothing was heard of it for longer than it is asked.
    pub late: bool,
}

/// The age of what a pane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing was read yet.
    None,
    /// Its system answers.
    Live,
    /// Its system has said nothing for longer than it is asked, and nobody knows why.
    Late(Duration),
    /// Its system does not answer: since when, for how long, why.
    Silent(Timestamp, Duration, Cause),
}

/// A contact that was heard of within this time is live; of the run's clock. The slowest system is asked every 10 s, and
/// half as often while nobody looks.
const LIVE: Duration = Duration::from_secs(30);
/// The same of the wall, for a run whose clock goes faster.
const HEARD: Duration = Duration::from_secs(15);

macro_rules! seen {
    ($($name:ident $kind:ident $of:ty;)*) => {
        $(pub fn $name(&self) -> Option<&$of> {
            match self.last.get(&Kind::$kind).map(|s| &s.view) {
                Some(View::$kind(seen)) => Some(seen),
                Some(_) | None => None,
            }
        })*
    };
}

impl Observed {
    pub fn take(&mut self, snapshots: Vec<Arc<Snapshot>>, wall: Duration) {
        self.heard = wall;
        for snapshot in snapshots {
            let kind = snapshot.view.kind();
            match kind {
                Kind::Contacts
                | Kind::Site
                | Kind::Machines
                | Kind::Releases
                | Kind::Nodes
                | Kind::Pods
                | Kind::Events
                | Kind::Tails
                | Kind::Notices => {
                    self.last.insert(kind, snapshot);
                }
                Kind::Gaps => {
                    self.last.insert(kind, snapshot);
                    self.forget_gaps();
                }
                Kind::Unknown => {}
            }
        }
    }

    /// Keeps what the record tells of the site.
    pub fn note(&mut self, record: &Record) {
        if let Event::Noticed { notice } = &record.event
            && let Some(known) = notice.read::<Noticed>()
        {
            let of = self.noticed.entry(known.subject()).or_default();
            of.push_front((record.at, known));
            of.truncate(KEPT);
        }
    }

    /// The changes of one subject, the newest first; see [`Noticed::subject`].
    pub fn noticed(&self, subject: &str) -> impl Iterator<Item = &(Timestamp, Noticed)> {
        self.noticed.get(subject).into_iter().flatten()
    }

    /// What can't be read any more is no longer known.
    fn forget_gaps(&mut self) {
        let Some(Gaps { releases, nodes, pods, events }) = self.gaps().copied() else { return };
        for (gap, kind) in
            [(releases, Kind::Releases), (nodes, Kind::Nodes), (pods, Kind::Pods), (events, Kind::Events)]
        {
            if gap.is_some() {
                self.last.remove(&kind);
            }
        }
    }

    /// True before the first snapshot of anything but the contacts.
    pub fn is_empty(&self) -> bool {
        self.last.keys().all(|kind| matches!(kind, Kind::Contacts | Kind::Gaps | Kind::Tails | Kind::Notices))
    }

    seen! {
        site Site Site;
        machines Machines Machines;
        releases Releases Releases;
        nodes Nodes Nodes;
        pods Pods Pods;
        events Events Events;
        contacts Contacts Contacts;
        gaps Gaps Gaps;
        tails Tails Tails;
        notices Notices Notices;
    }

    /// The contact with one system or machine.
    pub fn contact(&self, backend: &Backend) -> Option<&Contact> {
        self.contacts()?.all.iter().find(|c| c.backend == *backend)
    }

    /// How old what was read from `backend` is.
    pub fn reading(&self, backend: &Backend, now: Timestamp, wall: Duration) -> Reading {
        let Some(contact) = self.contact(backend) else { return Reading::None };
        match (contact.silent, contact.last) {
            (Some((since, cause)), _) => Reading::Silent(since, between(since, now), cause),
            (None, Some(last)) => {
                let age = between(last, now);
                let heard = wall.saturating_sub(self.heard) <= HEARD;
                if age <= LIVE || heard { Reading::Live } else { Reading::Late(age) }
            }
            (None, None) => Reading::None,
        }
    }

    /// The age of the contact with each system: the oldest of its machines.
    pub fn ages(&self, now: Timestamp, wall: Duration) -> Vec<Age> {
        let mut ages: Vec<Age> = Vec::new();
        for contact in self.contacts().into_iter().flat_map(|c| &c.all) {
            let name = match contact.backend {
                Backend::Proxmox => "pve",
                Backend::Talos { .. } => "talos",
                Backend::Kubernetes => "k8s",
                Backend::Unknown => continue,
            };
            let last = contact.last.map(|at| between(at, now));
            let silent = contact.silent.map(|(since, _)| between(since, now));
            let late = matches!(self.reading(&contact.backend, now, wall), Reading::Late(_));
            match ages.iter_mut().find(|age| age.name == name) {
                None => ages.push(Age { name, last, silent, late }),
                Some(age) => {
                    age.last = age.last.zip(last).map(|(a, b)| a.max(b));
                    age.silent = age.silent.max(silent);
                    age.late |= late;
                }
            }
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn observed(contacts: Contacts) -> Observed {
        let mut observed = Observed::default();
        observed.take(vec![Arc::new(Snapshot::new(at(99), View::Contacts(contacts)))], Duration::from_secs(5));
        observed
    }

    #[test]
    fn the_age_of_a_system_is_that_of_its_oldest_machine() {
        let mut contacts = Contacts::default();
        let talos = |name: &str| Backend::Talos { machine: name.into() };
        contacts.answered(&Backend::Proxmox, at(95));
        contacts.answered(&talos("cp1"), at(98));
        contacts.answered(&talos("cp2"), at(60));
        contacts.failed(&talos("cp2"), at(70), Cause::Silent);
        let seconds = |d: Option<Duration>| d.map(|d| d.as_secs());
        let ages: Vec<_> = observed(contacts)
            .ages(at(100), Duration::from_secs(6))
            .iter()
            .map(|a| (a.name, seconds(a.last), seconds(a.silent)))
            .collect();
        assert_eq!(ages, [("pve", Some(5), None), ("talos", Some(40), Some(30))]);
    }

    #[test]
    fn a_reading_is_live_late_or_silent_and_a_worker_that_says_nothing_makes_it_late() {
        let mut contacts = Contacts::default();
        contacts.answered(&Backend::Proxmox, at(95));
        contacts.failed(&Backend::Kubernetes, at(70), Cause::Unreachable);
        let observed = observed(contacts);
        let of = |backend: &Backend, now, wall| observed.reading(backend, at(now), Duration::from_secs(wall));
        assert_eq!(of(&Backend::Proxmox, 100, 6), Reading::Live);
        assert_eq!(of(&Backend::Proxmox, 600, 10), Reading::Live, "a lab's clock goes faster than the wall");
        assert_eq!(of(&Backend::Proxmox, 195, 60), Reading::Late(Duration::from_secs(100)));
        assert_eq!(
            of(&Backend::Kubernetes, 100, 6),
            Reading::Silent(at(70), Duration::from_secs(30), Cause::Unreachable)
        );
        assert_eq!(of(&Backend::Talos { machine: "cp1".into() }, 100, 6), Reading::None);
    }
}
