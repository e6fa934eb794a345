//! The answers of the machines' Talos APIs, and the members that etcd has lost.
use crate::observed::{Fact, Machine, Machines, Member, Noticed};
use crate::talos::client::facts::{EtcdMember, EtcdStatus, MachineStatus, Service};
use std::collections::{BTreeMap, BTreeSet};

/// The answers of one machine.
#[derive(Debug, Clone)]
pub struct MachineAnswer {
    pub status: MachineStatus,
    pub services: Vec<Service>,
    /// `v1.10.6`
    pub version: String,
    pub etcd: Option<EtcdStatus>,
}

/// True when etcd runs on the machine that has these services, and can be asked.
pub fn has_etcd(services: &[Service]) -> bool {
    services.iter().any(|s| s.id == "etcd" && s.is_up())
}

/// True when a service should run and does not. One that has done its work is not down.
pub fn is_down(service: &Service) -> bool {
    let is_well = service.is_up() || service.state == "Running" && service.healthy.is_none();
    !is_well && service.state != "Finished" && service.state != "Skipped"
}

#[derive(Debug)]
pub struct MachinesWatch {
    control_planes: BTreeSet<String>,
    machines: BTreeMap<String, Machine>,
    members: Option<Vec<Member>>,
    /// Control planes that were full members once.
    joined: BTreeSet<String>,
}

/// The result of one look.
#[derive(Debug, Default)]
pub struct Seen {
    pub notices: Vec<Noticed>,
    pub doubts: BTreeSet<Fact>,
}

impl MachinesWatch {
    pub fn of<'a>(
        machines: impl IntoIterator<Item = &'a str>,
        control_planes: impl IntoIterator<Item = &'a str>,
    ) -> MachinesWatch {
        let blank = |name: &str| (name.to_string(), Machine { name: name.to_string(), ..Machine::default() });
        MachinesWatch {
            control_planes: control_planes.into_iter().map(String::from).collect(),
            machines: machines.into_iter().map(blank).collect(),
            members: None,
            joined: BTreeSet::new(),
        }
    }

    pub fn machine(&mut self, name: &str, told: &MachineAnswer) {
        let Some(machine) = self.machines.get_mut(name) else { return };
        let down = told.services.iter().filter(|s| is_down(s));
        *machine = Machine {
            name: name.to_string(),
            stage: Some(told.status.stage.to_string()),
            ready: told.status.ready,
            version: Some(told.version.clone()),
            services_down: down.map(|s| (s.id.clone(), s.state.clone())).take(Machine::MOST_SERVICES).collect(),
            services: told.services.len(),
            etcd_size: told.etcd.as_ref().map(|etcd| etcd.database_size),
            etcd_has_leader: told.etcd.as_ref().map(|etcd| etcd.leader != 0),
        };
    }

    /// `members`: as one etcd lists them; `None` when none could be asked, which says nothing about any member.
    pub fn members(&mut self, members: Option<&[EtcdMember]>) -> Seen {
        let mut seen = Seen::default();
        let Some(members) = members else { return seen };
        let is_full = |name: &str| members.iter().any(|m| m.hostname == name && !m.learner);
        for name in &self.control_planes {
            if is_full(name) {
                self.joined.insert(name.clone());
            } else {
                seen.doubts.insert(Fact::EtcdMember(name.clone()));
                if self.joined.remove(name) {
                    seen.notices.push(Noticed::EtcdMemberLost { name: name.clone() });
                }
            }
        }
        let mut shown: Vec<Member> =
            members.iter().map(|m| Member { name: m.hostname.clone(), learner: m.learner }).collect();
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        shown.truncate(MOST_MEMBERS);
        self.members = Some(shown);
        seen
    }

    pub fn view(&self) -> Machines {
        Machines { machines: self.machines.values().cloned().collect(), members: self.members.clone() }
    }
}

/// Members that are shown; etcd itself advises against more than seven.
const MOST_MEMBERS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talos::client::facts::Stage;

    fn member(name: &str, learner: bool) -> EtcdMember {
        EtcdMember { id: 1, hostname: name.into(), learner, peer_urls: Vec::new() }
    }

    fn service(id: &str, state: &str, healthy: Option<bool>) -> Service {
        Service { id: id.into(), state: state.into(), healthy, last_message: String::new() }
    }

    #[test]
    fn a_member_that_is_no_longer_listed_is_told_once_and_doubted_and_one_that_never_was_is_only_doubted() {
        let mut watch = MachinesWatch::of(["cp1", "cp2", "w1"], ["cp1", "cp2"]);
        let first = watch.members(Some(&[member("cp1", false), member("cp2", true)]));
        assert_eq!((first.doubts.len(), first.notices.len()), (1, 0));
        watch.members(Some(&[member("cp1", false), member("cp2", false)]));
        let lost = watch.members(Some(&[member("cp1", false)]));
        assert_eq!(lost.doubts, BTreeSet::from([Fact::EtcdMember("cp2".into())]));
        assert_eq!(lost.notices, [Noticed::EtcdMemberLost { name: "cp2".into() }]);
        assert!(watch.members(Some(&[member("cp1", false)])).notices.is_empty());
        let silent = watch.members(None);
        assert!(silent.doubts.is_empty(), "who could not be asked has contradicted nothing");
    }

    #[test]
    fn a_machine_shows_what_is_down_and_not_what_has_done_its_work() {
        let mut watch = MachinesWatch::of(["cp1"], ["cp1"]);
        let services = vec![
            service("etcd", "Preparing", None),
            service("kubelet", "Running", Some(true)),
            service("udevd", "Running", None),
            service("ext-once", "Finished", None),
        ];
        assert!(!has_etcd(&services));
        let status = MachineStatus { stage: Stage::Booting, ready: false, unmet: Vec::new() };
        let etcd = EtcdStatus { member_id: 1, leader: 0, learner: false, database_size: 7, errors: Vec::new() };
        watch.machine("cp1", &MachineAnswer { status, services, version: "v1.10.6".into(), etcd: Some(etcd) });
        let machine = &watch.view().machines[0];
        assert_eq!(machine.services_down, [("etcd".to_string(), "Preparing".to_string())]);
        assert_eq!((machine.services, machine.stage.as_deref()), (4, Some("booting")));
        assert_eq!((machine.etcd_size, machine.etcd_has_leader), (Some(7), Some(false)));
    }
}
