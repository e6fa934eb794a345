//! `day2.members`: every control plane is a full member of etcd.
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::observed::Fact;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::site::{Installation, Reading, address};
use crate::steps::{failures, outlines};
use crate::talos::Secure;
use crate::talos::client::facts::{EtcdMember, Service};
use async_trait::async_trait;

pub const KIND: &str = "day2.members";
const BAND: Band = Band::new(120, 300);

pub struct Members {
    outline: Outline,
    control_planes: Vec<NodePlan>,
}

pub fn step(plan: &Plan) -> Members {
    let control_planes: Vec<NodePlan> = plan.control_planes().cloned().collect();
    let count = control_planes.len();
    let at = control_planes.first().map(|n| n.address.to_string()).unwrap_or_default();
    let outline = outlines::check(
        StepId::new(KIND),
        2,
        format!("etcd has {count} full members"),
        BAND,
        format!("talosctl -n {at} etcd members"),
    )
    .after([StepId::new(super::bootstrap::KIND)]);
    Members { outline, control_planes }
}

/// Describes what is still missing; `None` when every wanted name is a full member and nobody else is.
fn missing(members: &[EtcdMember], wanted: &[&str]) -> Option<String> {
    let told: Vec<String> = members
        .iter()
        .map(|m| if m.learner { format!("{} (learner)", m.hostname) } else { m.hostname.clone() })
        .collect();
    let complete = wanted.iter().all(|w| members.iter().any(|m| m.hostname == **w && !m.learner));
    (!complete || members.len() != wanted.len()).then(|| format!("{} members: {}", members.len(), told.join(", ")))
}

/// The reason why etcd of `node` can't answer a question for its members.
fn silent(services: &[Service], node: &str) -> Option<String> {
    match services.iter().find(|s| s.id == "etcd") {
        Some(s) if s.is_up() => None,
        Some(s) => Some(format!("on {node} {s}")),
        None => Some(format!("etcd of {node} is not started")),
    }
}

#[async_trait]
impl Check<Installation> for Members {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let Some(first) = self.control_planes.first() else {
            return Err(Failure::broken("the plan has no control plane", "correct the plan"));
        };
        let doing = format!("list etcd members on {}", first.name);
        let node = Secure::connect(address(first), &site.admin()?).await.map_err(|e| failures::talos(&e, &doing))?;
        let wanted: Vec<&str> = self.control_planes.iter().map(|n| n.name.as_str()).collect();
        // A node without a running etcd never answers a question for its members: Talos waits as long as the client
        // does.
        let services = node.services().await.map_err(|e| failures::talos(&e, &doing))?;
        if let Some(seen) = silent(&services.value, &first.name) {
            return Ok(Observed::Underway(Wait::new(format!("etcd lists {} full members", wanted.len()), seen, BAND)));
        }
        let members = node.etcd_members().await.map_err(|e| failures::talos(&e, &doing))?;
        if let Some(seen) = missing(&members.value, &wanted) {
            let wait = Wait::new(format!("etcd lists {} full members", wanted.len()), seen, BAND).with_progress(
                members.value.iter().filter(|m| !m.learner).count() as u64,
                wanted.len() as u64,
                "members",
            );
            return Ok(Observed::Underway(wait));
        }
        let evidence = Evidence::of(format!("Talos {}", first.address), cx.clock().now(), &members);
        Ok(Observed::Satisfied(Proof::new(format!("etcd has the full members {}", wanted.join(", ")), evidence)))
    }

    fn rests_on(&self) -> Vec<Fact> {
        self.control_planes.iter().map(|node| Fact::EtcdMember(node.name.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, learner: bool) -> EtcdMember {
        EtcdMember { id: 1, hostname: name.into(), learner, peer_urls: vec![] }
    }

    /// talos.md 3
    #[test]
    fn an_etcd_that_does_not_run_is_not_asked_for_its_members() {
        let told = |state: &str, healthy, said: &str| {
            let etcd = Service { id: "etcd".into(), state: state.into(), healthy, last_message: said.into() };
            silent(&[etcd], "cp1")
        };
        assert_eq!(told("Running", Some(true), ""), None);
        let pulls = told("Preparing", None, "Running pre state");
        assert_eq!(pulls.as_deref(), Some("on cp1 etcd is Preparing: Running pre state"));
        assert!(told("Running", Some(false), "context deadline exceeded").is_some());
        assert_eq!(silent(&[], "cp1").as_deref(), Some("etcd of cp1 is not started"));
    }

    #[test]
    fn a_learner_is_not_yet_a_member_and_a_stranger_is_one_too_many() {
        assert_eq!(
            missing(&[member("a", false), member("b", true)], &["a", "b"]).unwrap(),
            "2 members: a, b (learner)"
        );
        assert!(missing(&[member("a", false), member("x", false)], &["a"]).is_some());
        assert_eq!(missing(&[member("a", false)], &["a"]), None);
    }
}
