//! `day8.isolation/TENANT`: a pod of the tenant reaches the tenant's own Service and not the neighbour's, which the neighbour's own
//! pod reaches at the same time. An answer that does not come proves nothing without one that does.
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::{self, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::{self, PORT, TestTenant};
use crate::steps::{follow, outlines, warnings};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day8.isolation";
const BAND: Band = Band::new(30, 240);
const NAME: &str = "probe";
/// For one answer, in seconds.
const PATIENCE: u32 = 10;
/// Exit status of curl when the time is over: Cilium drops what it does not allow, and answers nothing.
const TIMED_OUT: i32 = 28;

pub struct Isolation {
    outline: Outline,
    tenant: &'static TestTenant,
}

pub fn step(_plan: &Plan, tenant: &'static TestTenant) -> Isolation {
    let (name, other) = (tenant.name, tenant.neighbour().name);
    let by_hand = format!("kubectl logs -n {} {NAME}", tenant.namespace);
    let title = format!("a pod of tenant {name} reaches its own Service, and not that of tenant {other}");
    let outline = outlines::change(StepId::of(KIND, name), 8, title, BAND, by_hand)
        .after(tenancy::ALL.map(|tenant| StepId::of(super::web::KIND, tenant.name)))
        .momentary();
    Isolation { outline, tenant }
}

/// One line of the pod: exit status of curl and status of HTTP.
fn answer(log: &str, whom: &str) -> Option<(i32, u16)> {
    let mut words = log.lines().find_map(|line| line.trim().strip_prefix(whom)?.strip_prefix(' '))?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The meaning of both answers together: `Err` with what is wrong.
fn judged(own: Option<(i32, u16)>, other: Option<(i32, u16)>) -> Result<(), String> {
    match (own, other) {
        (Some((0, 200)), Some((TIMED_OUT, _))) => Ok(()),
        (Some((0, 200)), Some((0, status))) => {
            Err(format!("the neighbour answers it {status}: the tenants are not kept apart"))
        }
        (Some((0, 200)), Some((code, _))) => Err(format!(
            "asking the neighbour ended with {code} and not without an answer ({TIMED_OUT}): that proves nothing"
        )),
        (Some((code, status)), Some(_)) => Err(format!(
            "its own Service answers it {status} (curl ended with {code}), so no answer of the neighbour proves nothing"
        )),
        (_, None) | (None, _) => Err("it did not write both answers".into()),
    }
}

impl Isolation {
    fn script(&self, site: &Reading) -> String {
        let domain = &site.plan.network.cluster_domain;
        let ask = |whom: &str, tenant: &TestTenant| {
            let url = format!("http://{}:{PORT}/hostname", tenant.service(domain));
            format!(
                "curl --silent --max-time {PATIENCE} --output /dev/null --write-out '{whom} %{{exitcode}} %{{http_code}}\\n' {url}"
            )
        };
        format!("{}; {}; exit 0", ask("own", self.tenant), ask("other", self.tenant.neighbour()))
    }
}

#[async_trait]
impl Step<Installation> for Isolation {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (name, namespace, other) = (self.tenant.name, self.tenant.namespace, self.tenant.neighbour().name);
        let what = format!("ask from tenant {name}");
        let (evidence, log) = match objects::pod_state(cx, site, namespace, NAME, &what).await? {
            PodState::Missing => return Ok(Observed::Absent(format!("there is no pod {NAME} in {namespace}"))),
            PodState::Underway(wait) => {
                return Ok(Observed::Underway(warnings::beside(site, namespace, &[NAME], wait).await?));
            }
            PodState::Done { evidence, log } => (evidence, log),
        };
        if let Err(why) = judged(answer(&log, "own"), answer(&log, "other")) {
            return Err(Failure::person(
                format!("pod {NAME} of tenant {name}: {why}: {}", shorten(&log.replace('\n', "; "), 200)),
                format!(
                    "look at kubectl get ciliumnetworkpolicies -n {namespace} and ciliumclusterwidenetworkpolicies; kubectl delete \
                     pod -n {namespace} {NAME} to have it asked again"
                ),
            ));
        }
        let mut readings = evidence.into_iter();
        let first = readings.next().ok_or_else(|| Failure::defect("a step found no reading to show"))?;
        let summary =
            format!("a pod of {name} is answered by its own Service, and not by that of {other} within {PATIENCE} s");
        Ok(Observed::Satisfied(readings.fold(Proof::new(summary, first), Proof::and)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let pod = objects::job(site, &self.script(site), None);
        objects::apply(site, change, &Kind::POD, Some(self.tenant.namespace), NAME, pod).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(self.tenant.namespace), Some(NAME), Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_both_answers_together_prove_that_tenants_are_kept_apart() {
        let log = "own 0 200\nother 28 000\n";
        assert_eq!(judged(answer(log, "own"), answer(log, "other")), Ok(()));
        let why = |own, other| judged(own, other).unwrap_err();
        assert!(why(Some((0, 200)), Some((0, 200))).contains("not kept apart"));
        // A name that is not found, a refused connection: the neighbour may be gone.
        assert!(why(Some((0, 200)), Some((6, 0))).contains("proves nothing"));
        assert!(why(Some((28, 0)), Some((28, 0))).contains("proves nothing"));
        assert!(why(Some((0, 200)), answer("other", "other")).contains("did not write both"));
    }
}
