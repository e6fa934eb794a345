//! `node.etcd/NAME`: the control plane is no member of etcd any more, and the members that stay are well.
//!
//! A machine that runs is reset gracefully, so that it leaves by itself before its data goes (Talos v1.11, `Reset`: `leave`
//! stands before `reset`). One that is dead is taken out of the list by another member.
use super::bearing;
use crate::base::clock::between;
use crate::base::day::Day;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::NodePlan;
use crate::steps::cluster::proven;
use crate::steps::drills::{self, told};
use crate::steps::removal::{self, Found};
use crate::steps::site::{Changing, Installation, Reading, address};
use crate::steps::{failures, follow, outlines};
use crate::talos::client::changer::reset_by_hand;
use crate::talos::client::facts::EtcdMember;
use crate::talos::{NodeState, Secure, state_of, watch};
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

pub const KIND: &str = "node.etcd";
/// Talos retries to leave for 5 minutes (`Client.LeaveCluster`), after it has drained the node for as long.
const BAND: Band = Band::new(90, 600);
const BEGUN: &str = ", begun ";

pub struct Etcd {
    outline: Outline,
    node: NodePlan,
    doing: String,
}

pub fn step(node: &NodePlan, after: impl IntoIterator<Item = StepId>) -> Etcd {
    let by_hand = format!(
        "talosctl -n {} {}\nor, when it is dead: talosctl -n ANOTHER etcd remove-member ID\ntalosctl -n ANOTHER etcd members",
        node.address,
        reset_by_hand(true)
    );
    let title = format!("{} has left etcd, and the other members are well", told(node));
    let outline = outlines::change_on(StepId::of(KIND, &node.name), Day::Teardown, title, BAND, by_hand).after(after);
    Etcd { outline, node: node.clone(), doing: format!("take {} out of etcd", node.name) }
}

/// What the act does about the machine that is a member still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Reset,
    /// It is being reset, or may be.
    Wait,
    /// Its VM is the run's own and runs silently: nobody waits for it for ever.
    PowerOff,
    RemoveMember,
}

/// `runs`: of its VM. `asked`: for how long a reset has been going on.
fn way(state: &NodeState, runs: bool, asked: Option<Duration>) -> Way {
    let goes_on = asked.is_some_and(|since| since < Duration::from_secs(BAND.late_s));
    match state {
        NodeState::Configured if goes_on => Way::Wait,
        NodeState::Configured => Way::Reset,
        // It has no data of etcd any more.
        NodeState::Maintenance => Way::RemoveMember,
        NodeState::Down(_) | NodeState::OutOfTime(_) | NodeState::Foreign(_) if !runs => Way::RemoveMember,
        NodeState::Down(_) | NodeState::OutOfTime(_) | NodeState::Foreign(_) if goes_on => Way::Wait,
        NodeState::Down(_) | NodeState::OutOfTime(_) | NodeState::Foreign(_) => Way::PowerOff,
    }
}

/// When the reset of the handle was begun.
fn begun(handle: Option<&str>) -> Option<Timestamp> {
    handle?.rsplit_once(BEGUN)?.1.parse().ok()
}

impl Etcd {
    fn others<'a>(&'a self, site: &'a Reading) -> impl Iterator<Item = &'a NodePlan> {
        site.plan.control_planes().filter(|other| other.name != self.node.name)
    }

    /// The member list of another control plane, the first whose etcd is well.
    async fn list(&self, cx: &dyn Context, site: &Reading) -> Result<List, Failure> {
        let members = drills::etcd::members(cx, site, self.others(site)).await?;
        let is_well = |other: &&NodePlan| members.well().contains(&other.name.as_str());
        let Some(other) = self.others(site).find(is_well) else {
            let said = members.unwell(self.others(site)).map(|(name, said)| format!("{name}: {said}"));
            return Err(Failure::retryable(
                format!("{}: etcd of no other control plane is well ({})", self.doing, said.unwrap_or_default()),
                "look at them: talosctl -n ADDRESS service etcd",
            ));
        };
        let failed = |e| failures::talos(&e, &self.doing);
        let list = Secure::connect(address(other), &site.admin()?).await.map_err(failed)?.etcd_members().await;
        let list = list.map_err(failed)?;
        let shown = Evidence::of(format!("Talos {}", other.address), cx.clock().now(), &list);
        let unwell = members.unwell(self.others(site)).map(|(name, said)| format!("etcd of {name}: {said}"));
        let evidence = std::iter::once(shown).chain(members.evidence()).collect();
        let told = members.told(self.others(site).count());
        Ok(List { asked: other.clone(), members: list.value, unwell, told, evidence })
    }

    fn member<'a>(&self, members: &'a [EtcdMember]) -> Option<&'a EtcdMember> {
        members.iter().find(|member| member.hostname == self.node.name)
    }

    /// Whether the machine's VM runs, which is the run's own or gone.
    async fn runs(&self, cx: &dyn Context, site: &Reading) -> Result<bool, Failure> {
        match removal::find(cx, site, self.node.vmid, &self.doing, BAND).await? {
            Found::Free(_) => Ok(false),
            Found::Ours { host, .. } => {
                let status = site.proxmox.vm_status(&host, self.node.vmid).await;
                Ok(status.map_err(|e| failures::proxmox(&e, &self.doing))?.value.is_running())
            }
            Found::Not(_) => Err(Failure::refused(
                format!("{}: vm {} is not this run's own", self.doing, self.node.vmid),
                "look whose it is; cozyup does not touch it",
            )),
        }
    }
}

struct List {
    /// Who was asked.
    asked: NodePlan,
    members: Vec<EtcdMember>,
    unwell: Option<String>,
    /// `2 of 2 members (cp1, cp3)`
    told: String,
    evidence: Vec<Evidence>,
}

#[async_trait]
impl Step<Installation> for Etcd {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let list = self.list(cx, site).await?;
        let name = &self.node.name;
        if self.member(&list.members).is_some() {
            let since = begun(cx.handle().as_deref()).map(|at| between(at, cx.clock().now()));
            if since.is_some_and(|since| since < Duration::from_secs(BAND.late_s)) {
                let seen = format!("{} lists it still", list.asked.name);
                return Ok(Observed::Underway(Wait::new(format!("{name} has left etcd"), seen, BAND)));
            }
            return Ok(Observed::Absent(format!("{name} is a member of etcd")));
        }
        if let Some(unwell) = list.unwell {
            return Ok(Observed::Underway(Wait::new(format!("etcd is well without {name}"), unwell, BAND)));
        }
        proven(format!("{name} is no member of etcd; it has {}", list.told), list.evidence)
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // Asked right before: a gate may have held the act for hours since the look.
        bearing::judge(cx, site, &self.node).await?.map_err(|why| why.failure(&self.node))?;
        let list = self.list(cx, site).await?;
        let Some(member) = self.member(&list.members) else { return Ok(()) };
        let runs = self.runs(cx, site).await?;
        let admin = site.admin()?;
        let state = state_of(address(&self.node), Some(&admin)).await.value;
        let asked = begun(cx.handle().as_deref()).map(|at| between(at, cx.clock().now()));
        let failed = |e| failures::talos(&e, &self.doing);
        match way(&state, runs, asked) {
            Way::Wait => Ok(()),
            Way::Reset => {
                // On disk before the call: an answer that is lost is no reason to call again at once.
                cx.keep_handle(&format!("reset of {}{BEGUN}{}", self.node.name, cx.clock().now())).await?;
                change.talos.reset(address(&self.node), &admin, true).await.map(drop).map_err(failed)
            }
            Way::PowerOff => {
                cx.log("removal", &format!("{} runs and does not answer: it is powered off", told(&self.node)));
                removal::stop(cx, site, &change.proxmox, self.node.vmid, &self.doing, BAND).await
            }
            Way::RemoveMember => {
                change.talos.remove_member(address(&list.asked), &admin, member.id).await.map(drop).map_err(failed)
            }
        }
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        match self.others(site).next() {
            Some(other) => follow::machine(cx, site, address(other), watch::SERVICES, Duration::from_secs(3)).await,
            None => cx.clock().sleep(Duration::from_secs(3)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_answers_leaves_by_itself_and_a_dead_one_is_taken_out_by_another() {
        let down = || NodeState::Down("no answer".into());
        let at = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(way(&NodeState::Configured, true, None), Way::Reset);
        assert_eq!(way(&NodeState::Configured, true, at(30)), Way::Wait);
        assert_eq!(way(&NodeState::Configured, true, at(3600)), Way::Reset);
        assert_eq!(way(&down(), true, at(30)), Way::Wait);
        assert_eq!(way(&down(), false, at(30)), Way::RemoveMember);
        assert_eq!(way(&down(), false, None), Way::RemoveMember);
        // Never a member that may still vote: first its machine goes off.
        assert_eq!(way(&down(), true, None), Way::PowerOff);
        assert_eq!(way(&NodeState::Maintenance, true, None), Way::RemoveMember);
    }

    #[test]
    fn the_handle_tells_when_the_reset_was_begun() {
        let at: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(begun(Some(&format!("reset of cp2{BEGUN}{at}"))), Some(at));
        assert_eq!((begun(None), begun(Some("UPID:x"))), (None, None));
    }
}
