//! `day5.names`: the names that people will type lead to the root ingress, as this machine's resolver knows them.
//!
//! A record may be made later, and only whoever owns the domain can make it: so this is a remark with the record to write,
//! never a reason to stop.
use super::ingress::{self, Address};
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::Plan;
use crate::steps::outlines;
use crate::steps::site::{Installation, Reading};
use async_trait::async_trait;
use std::net::IpAddr;

pub const KIND: &str = "day5.names";
const BAND: Band = Band::new(10, 300);
/// A name below the root host that people use beside those exposed: it shows whether the record is for all of them.
const ANOTHER: &str = "grafana";

pub struct NamesStep {
    outline: Outline,
    hosts: Vec<String>,
}

pub fn step(plan: &Plan) -> NamesStep {
    let root = &plan.cozystack.root_host;
    let mut hosts: Vec<String> = Vec::new();
    let exposed = plan.cozystack.expose.iter().map(|s| s.trim()).filter(|s| !s.is_empty());
    for service in ["dashboard"].into_iter().chain(exposed).chain([ANOTHER]) {
        let host = format!("{service}.{root}");
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let by_hand = format!("getent ahostsv4 dashboard.{root}");
    let title = format!("where the names below {root} lead");
    NamesStep { outline: outlines::check(StepId::new(KIND), 5, title, BAND, by_hand), hosts }
}

/// The address to which a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Leads {
    /// To the ingress and nowhere else.
    Here,
    Elsewhere(Vec<IpAddr>),
    /// With the resolver's words.
    Nowhere(String),
}

fn leads(found: Result<Vec<IpAddr>, String>, ingress: IpAddr) -> Leads {
    match found {
        Ok(addresses) if addresses.iter().all(|a| *a == ingress) => Leads::Here,
        Ok(addresses) => Leads::Elsewhere(addresses),
        Err(why) => Leads::Nowhere(why),
    }
}

fn describe(leads: &Leads) -> String {
    match leads {
        Leads::Here => "leads to the ingress".to_string(),
        Leads::Elsewhere(to) => {
            format!("leads to {}", to.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))
        }
        Leads::Nowhere(why) => format!("leads nowhere ({why})"),
    }
}

/// The remark when a name does not lead to the ingress.
fn remark(root: &str, ingress: IpAddr, seen: &[(String, Leads)]) -> Option<String> {
    let lost: Vec<String> =
        seen.iter().filter(|(_, l)| *l != Leads::Here).map(|(host, l)| format!("{host} {}", describe(l))).collect();
    (!lost.is_empty()).then(|| {
        format!(
            "seen from this machine {}: nobody reaches the platform by its name until its DNS has the record \
             `*.{root}. A {ingress}`",
            lost.join("; ")
        )
    })
}

#[async_trait]
impl Check<Installation> for NamesStep {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (address, service) = match ingress::address(cx, site).await? {
            Address::Given(address, service) => (address, service),
            Address::Lacks(seen) => {
                return Ok(Observed::Underway(Wait::new("the ingress has an address", seen, BAND)));
            }
        };
        let asked = self.hosts.iter().map(|host| async {
            let found = site.names.addresses(host).await;
            (host.clone(), leads(found, address))
        });
        let seen: Vec<(String, Leads)> = futures::future::join_all(asked).await;
        let root = &site.plan.cozystack.root_host;
        let answer: Vec<String> = seen.iter().map(|(host, l)| format!("{host} {}", describe(l))).collect();
        let reading = Evidence {
            system: "jump host".into(),
            asked: format!("where {} lead", self.hosts.join(", ")),
            answer: answer.join("\n"),
            at: cx.clock().now(),
            by_hand: self.hosts.iter().map(|h| format!("getent ahostsv4 {h}")).collect::<Vec<_>>().join("\n"),
        };
        let here = seen.iter().filter(|(_, l)| *l == Leads::Here).count();
        let summary = format!("{here} of {} names below {root} lead to the ingress at {address}", seen.len());
        let proof = Proof::new(summary, reading).and(service);
        let proof = match remark(root, address, &seen) {
            Some(remark) => proof.mind(remark),
            None => proof,
        };
        Ok(Observed::Satisfied(proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    /// reports.md B29: 98 of 98 steps were proven, and the name led nowhere.
    #[test]
    fn a_name_that_leads_elsewhere_or_nowhere_is_told_with_the_record_to_write() {
        let ingress: IpAddr = "10.0.0.212".parse().unwrap();
        let other: IpAddr = "192.168.178.1".parse().unwrap();
        let seen = |host: &str, found| (host.to_string(), leads(found, ingress));
        let good = [seen("dashboard.a.example", Ok(vec![ingress]))];
        assert_eq!(remark("a.example", ingress, &good), None);
        let bad = [
            seen("dashboard.a.example", Ok(vec![ingress])),
            seen("api.a.example", Ok(vec![ingress, other])),
            seen("grafana.a.example", Err("no address is known for it".into())),
        ];
        let told = remark("a.example", ingress, &bad).unwrap();
        assert!(told.contains("`*.a.example. A 10.0.0.212`"), "{told}");
        assert!(told.contains("api.a.example leads to 10.0.0.212 and 192.168.178.1"), "{told}");
        assert!(told.contains("grafana.a.example leads nowhere") && !told.contains("dashboard"), "{told}");
    }

    #[test]
    fn the_dashboard_those_exposed_and_one_more_are_asked_for() {
        let mut plan = plan();
        plan.cozystack.root_host = "a.example".into();
        plan.cozystack.expose = vec!["api".into(), "dashboard".into()];
        let hosts = step(&plan).hosts;
        assert_eq!(hosts, ["dashboard.a.example", "api.a.example", "grafana.a.example"]);
    }
}
