//! `day2.bootstrap`: etcd is started on the first control plane, once. Talos does not stop a second bootstrap on another
//! node, which would make two clusters: so every control plane is asked first, and only one node is ever told.
//!
//! Nor does it refuse a second one on the same node before etcd has data: it starts the service anew, and with it the pull
//! of etcd's image; one that comes in the moment in which etcd begins to write stops it for good. Its list of services does
//! not tell whether it was told. So the handle names the boot in which it accepted: a node that has booted since has forgotten
//! it and is told again. Of a call whose answer was lost the handle has the time: the node's kernel log says whether it came
//! through, and it is made again only when it did not, and can be on its way no more.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::{NodePlan, Plan};
use crate::steps::site::{Changing, Installation, Reading, address};
use crate::steps::{failures, follow, outlines, reset};
use crate::talos::client::changer::reset_by_hand;
use crate::talos::client::facts::{EtcdMember, Service};
use crate::talos::{Error, Secure, watch};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

pub const KIND: &str = "day2.bootstrap";
const BAND: Band = Band::new(40, 180);
/// State of an etcd that waits to be bootstrapped or to join.
const PREPARING: &str = "Preparing";

pub struct Bootstrap {
    outline: Outline,
    /// The control plane that is told, always the same one.
    first: NodePlan,
    control_planes: Vec<NodePlan>,
}

pub fn step(plan: &Plan) -> Bootstrap {
    let control_planes: Vec<NodePlan> = plan.control_planes().cloned().collect();
    // A plan without control planes does not pass the linter; the first node keeps this total.
    let first = control_planes.first().or(plan.nodes.first()).cloned().unwrap_or_else(|| unreachable_node(plan));
    let title = format!("etcd is bootstrapped, on {} only", first.name);
    let by_hand = format!("talosctl -n {} bootstrap", first.address);
    let outline = outlines::change(StepId::new(KIND), 2, title, BAND, by_hand)
        .after(control_planes.iter().map(|n| StepId::of(super::boot::KIND, &n.name)))
        .queued("etcd bootstrap", 1);
    Bootstrap { outline, first, control_planes }
}

fn unreachable_node(plan: &Plan) -> NodePlan {
    NodePlan {
        name: "none".into(),
        role: crate::plan::model::Role::ControlPlane,
        vmid: plan.template.vmid,
        address: plan.network.vip,
        host: plan.template.host.clone(),
        cores: 0,
        memory_mib: 0,
        system_disk_gib: 0,
        data_disk_gib: 0,
    }
}

/// The record of whether the first control plane has been told to bootstrap.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Never,
    /// The call was begun, at this time where it is known, and nobody knows how it ended.
    Perhaps(Option<Timestamp>),
    /// It accepted, in this boot of it.
    InBoot(String),
}

const BEGUN: &str = ", begun ";
const IN_BOOT: &str = ", accepted in boot ";
const REFUSED: &str = ", refused";
/// A call can be on its way, or in work at the node, for so long: Talos itself waits 5 s for the time, and then stops etcd.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(60);

impl Told {
    fn of(handle: Option<&str>) -> Self {
        let Some(text) = handle.filter(|text| !text.ends_with(REFUSED)) else { return Told::Never };
        match (text.rsplit_once(IN_BOOT), text.rsplit_once(BEGUN)) {
            (Some((_, boot)), _) => Told::InBoot(boot.to_string()),
            (None, begun) => Told::Perhaps(begun.and_then(|(_, at)| at.parse().ok())),
        }
    }
}

/// The first control plane's account of a call whose fate is in question.
#[derive(Debug, Clone, Copy, Default)]
struct Says<'a> {
    /// Its boot.
    boot: Option<&'a str>,
    /// True when it has taken a bootstrap in this boot.
    taken: Option<bool>,
}

/// Decides what to do about a first control plane whose etcd belongs to no cluster. What could not be read is no reason to
/// tell it again.
fn is_to_be_told(told: &Told, etcd: &str, says: Says, now: Timestamp) -> bool {
    match told {
        Told::Never => true,
        Told::Perhaps(begun) => {
            // Either way: a clock that was put back must not hold it for hours.
            let over = begun.is_none_or(|begun| now.duration_since(begun).abs() >= ON_ITS_WAY);
            etcd == PREPARING && over && says.taken == Some(false)
        }
        Told::InBoot(then) => etcd == PREPARING && says.boot.is_some_and(|boot| boot != then),
    }
}

/// The state of etcd on a control plane.
#[derive(Debug)]
enum Etcd {
    /// It runs, is healthy and lists its members.
    Cluster(Answer<Vec<EtcdMember>>),
    /// It waits to be told or to join, or is not started: it is of no cluster.
    Waits(String),
    /// It is of a cluster, or may be, and can't list it now.
    Unclear(String),
    /// Talos has given it up, e.g. since its image could not be pulled.
    Failed(String),
}

async fn etcd_of(site: &Reading, node: &NodePlan) -> Result<Etcd, Failure> {
    let doing = format!("read etcd of {}", node.name);
    let secure = Secure::connect(address(node), &site.admin()?).await.map_err(|e| failures::talos(&e, &doing))?;
    let services = secure.services().await.map_err(|e| failures::talos(&e, &doing))?;
    let etcd = services.value.iter().find(|s| s.id == "etcd");
    if let Some(stopped) = etcd.filter(|s| s.was_stopped_by_a_bootstrap()) {
        return Ok(Etcd::Unclear(stopped_for_good(stopped, node)));
    }
    if let Some(unready) = unready(etcd) {
        return Ok(unready);
    }
    match secure.etcd_members().await {
        Ok(members) if !members.value.is_empty() => Ok(Etcd::Cluster(members)),
        Ok(_) => Ok(Etcd::Unclear("Running and lists no members".into())),
        Err(e) if e.is_transient() => Ok(Etcd::Unclear(format!("Running, but {e}"))),
        Err(e) => Err(failures::talos(&e, &doing)),
    }
}

/// The advice for the case that an etcd that a bootstrap stopped is not started again.
fn stopped_for_good(etcd: &Service, node: &NodePlan) -> String {
    format!(
        "{}: {}; should it stay so, a second bootstrap came in the moment in which it started, or the call was cut: `talosctl -n {at} reboot`, \
         and where etcd does not come up then, nothing is in it yet: `talosctl -n {at} {}`, then run again",
        etcd.state,
        etcd.last_message,
        reset_by_hand(false),
        at = node.address
    )
}

/// The state of an etcd service that can't answer a question for its members.
fn unready(etcd: Option<&Service>) -> Option<Etcd> {
    match etcd {
        None => Some(Etcd::Waits("not started".into())),
        Some(s) if s.state == "Running" && s.healthy == Some(true) => None,
        Some(s) if s.state == PREPARING || s.state == "Waiting" => Some(Etcd::Waits(s.state.clone())),
        Some(s) if s.has_failed() => Some(Etcd::Failed(s.to_string())),
        // It has data, or is about to have: a second etcd beside it would be a second cluster.
        Some(s) if s.last_message.is_empty() => Some(Etcd::Unclear(s.state.clone())),
        Some(s) => Some(Etcd::Unclear(format!("{}: {}", s.state, s.last_message))),
    }
}

/// Two control planes whose member lists have nothing in common are two clusters.
fn is_split(lists: &[Vec<EtcdMember>]) -> bool {
    lists
        .iter()
        .enumerate()
        .any(|(i, a)| lists.iter().skip(i + 1).any(|b| !a.iter().any(|m| b.iter().any(|n| n.id == m.id))))
}

#[async_trait]
impl Step<Installation> for Bootstrap {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let mut found = Vec::new();
        let mut first_says = String::new();
        let mut unclear = None;
        for node in &self.control_planes {
            match etcd_of(site, node).await? {
                Etcd::Cluster(members) => found.push((node, members)),
                Etcd::Waits(state) if node.name == self.first.name => first_says = state,
                Etcd::Waits(_) => {}
                Etcd::Unclear(state) => unclear = unclear.or(Some(format!("etcd of {} is {state}", node.name))),
                Etcd::Failed(said) => return Ok(Observed::Conflict(failures::given_up(node, &said))),
            }
        }
        let lists: Vec<Vec<EtcdMember>> = found.iter().map(|(_, m)| m.value.clone()).collect();
        if is_split(&lists) {
            return Ok(Observed::Conflict(Failure::refused(
                "control planes run etcd clusters that know nothing of each other: bootstrap was called on more than one",
                format!(
                    "keep the cluster with your data, and wipe each node of the other one: {} (without the labels a reset \
                     wipes the whole disk, and the VM boots from nothing then)",
                    reset::of_whole_cluster()
                ),
            )));
        }
        if let Some((node, members)) = found.first() {
            let names: Vec<&str> = members.value.iter().map(|m| m.hostname.as_str()).collect();
            let evidence = Evidence::of(format!("Talos {}", node.address), cx.clock().now(), members);
            let summary = format!("etcd runs and is healthy on {}; members: {}", node.name, names.join(", "));
            return Ok(Observed::Satisfied(Proof::new(summary, evidence)));
        }
        let first = format!("etcd of {} is {first_says}", self.first.name);
        if unclear.is_none() {
            let told = Told::of(cx.handle().as_deref());
            let (boot, taken) = match told {
                Told::InBoot(_) => (self.boot_of_first(site).await.ok(), None),
                Told::Perhaps(_) => (None, self.has_taken(site).await),
                Told::Never => (None, None),
            };
            let says = Says { boot: boot.as_deref(), taken };
            if is_to_be_told(&told, &first_says, says, cx.clock().now()) {
                return Ok(Observed::Absent(first));
            }
        }
        let condition = format!("etcd of {} is healthy", self.first.name);
        Ok(Observed::Underway(Wait::new(condition, unclear.unwrap_or(first), BAND)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let doing = format!("bootstrap etcd on {}", self.first.name);
        // Read before the call: should the node restart in between, it counts as not told.
        let boot = self.boot_of_first(site).await?;
        // On disk before the call: after a crash it is this node that is told again, never another one.
        let handle = format!("bootstrap of {}", self.first.name);
        cx.keep_handle(&format!("{handle}{BEGUN}{}", cx.clock().now())).await?;
        match change.talos.bootstrap(address(&self.first), &site.admin()?).await {
            Ok(_) | Err(Error::AlreadyBootstrapped) => cx.keep_handle(&format!("{handle}{IN_BOOT}{boot}")).await,
            Err(e @ Error::TimeNotInSync { .. }) => {
                cx.keep_handle(&format!("{handle}{REFUSED}")).await?;
                Err(failures::no_time(format!("{doing}: {e}"), &self.first, &site.plan.time_servers()))
            }
            Err(e) => {
                if matches!(e, Error::BootstrapTooEarly { .. }) {
                    cx.keep_handle(&format!("{handle}{REFUSED}")).await?;
                }
                Err(failures::talos(&e, &doing))
            }
        }
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::machine(cx, site, address(&self.first), watch::SERVICES, Duration::from_secs(3)).await;
    }
}

impl Bootstrap {
    async fn boot_of_first(&self, site: &Reading) -> Result<String, Failure> {
        let failed = |e| failures::talos(&e, &format!("read the boot id of {}", self.first.name));
        let node = Secure::connect(address(&self.first), &site.admin()?).await.map_err(failed)?;
        node.boot_id().await.map_err(failed)
    }

    /// True when the first control plane has taken a bootstrap in this boot; `None` when it can't be read now.
    async fn has_taken(&self, site: &Reading) -> Option<bool> {
        let node = Secure::connect(address(&self.first), &site.admin().ok()?).await.ok()?;
        node.has_taken_a_bootstrap().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_000 + seconds).unwrap()
    }

    /// talos.md 4: each bootstrap that Talos takes begins the pull of etcd's image anew.
    #[test]
    fn a_node_that_has_accepted_is_told_again_only_when_it_has_booted_since() {
        let accepted = Told::of(Some("bootstrap of cp1, accepted in boot b-1"));
        assert_eq!(accepted, Told::InBoot("b-1".into()));
        let again = |etcd, boot| is_to_be_told(&accepted, etcd, Says { boot, taken: None }, at(0));
        assert!(!again(PREPARING, Some("b-1")));
        assert!(!again(PREPARING, None), "it may be the same boot");
        assert!(again(PREPARING, Some("b-2")));
        assert!(!again("Waiting", Some("b-2")), "not ready for it yet");
        assert!(is_to_be_told(&Told::of(None), "Waiting", Says::default(), at(0)));
        assert_eq!(Told::of(Some("bootstrap of cp1, refused")), Told::Never);
    }

    /// talos.md 4: two calls within moments can stop an etcd that has just begun to write.
    #[test]
    fn a_call_whose_answer_was_lost_is_made_again_only_when_it_never_came_and_can_not_come_any_more() {
        let begun = at(0);
        let lost = Told::of(Some(&format!("bootstrap of cp1{BEGUN}{begun}")));
        assert_eq!(lost, Told::Perhaps(Some(begun)));
        let again = |etcd, taken, now| is_to_be_told(&lost, etcd, Says { boot: None, taken }, at(now));
        assert!(!again(PREPARING, Some(false), 10), "it may be on its way");
        assert!(again(PREPARING, Some(false), 60));
        assert!(!again(PREPARING, Some(true), 3600), "it came through, and the image is being pulled");
        assert!(!again(PREPARING, None, 3600), "nobody knows");
        assert!(!again("Waiting", Some(false), 3600), "as it is right after a bootstrap");
        assert!(again(PREPARING, Some(false), -7200), "the clock was put back");
        let older = Told::of(Some("bootstrap of cp1"));
        assert!(is_to_be_told(&older, PREPARING, Says { boot: None, taken: Some(false) }, at(0)));
    }

    fn list(ids: &[u64]) -> Vec<EtcdMember> {
        ids.iter()
            .map(|id| EtcdMember { id: *id, hostname: String::new(), learner: false, peer_urls: vec![] })
            .collect()
    }

    #[test]
    fn an_etcd_that_runs_and_can_not_tell_its_members_forbids_a_bootstrap_beside_it() {
        let told = |state: &str, healthy| {
            let last_message = String::new();
            unready(Some(&Service { id: "etcd".into(), state: state.into(), healthy, last_message }))
        };
        assert!(matches!(told(PREPARING, None), Some(Etcd::Waits(_))));
        assert!(matches!(unready(None), Some(Etcd::Waits(_))));
        for (state, healthy) in [("Running", None), ("Running", Some(false)), ("Starting", None), ("Finished", None)] {
            assert!(matches!(told(state, healthy), Some(Etcd::Unclear(_))), "{state}");
        }
        assert!(matches!(told("Failed", None), Some(Etcd::Failed(_))));
        assert!(told("Running", Some(true)).is_none());
    }

    /// As real machined leaves it when two calls come within moments.
    #[test]
    fn an_etcd_that_a_second_bootstrap_stopped_says_what_to_do_should_it_stay_so() {
        let plan = crate::plan::defaults::plan(&crate::plan::defaults::Defaults::default());
        let etcd = |state: &str, said: &str| Service {
            id: "etcd".into(),
            state: state.into(),
            healthy: None,
            last_message: said.into(),
        };
        let stopped = etcd("Finished", "Bootstrap requested");
        assert!(stopped.was_stopped_by_a_bootstrap());
        assert!(!etcd("Finished", "Service finished successfully").was_stopped_by_a_bootstrap());
        assert!(etcd("Failed", "Failed to run pre stage: context canceled").was_stopped_by_a_bootstrap());
        assert!(!etcd("Failed", "failed to pull image").was_stopped_by_a_bootstrap());
        let told = stopped_for_good(&stopped, &plan.nodes[0]);
        let at = plan.nodes[0].address;
        assert!(told.starts_with("Finished: Bootstrap requested; "), "{told}");
        assert!(told.contains(&format!("`talosctl -n {at} reboot`")), "{told}");
        assert!(
            told.contains(&format!("`talosctl -n {at} reset --graceful=false --system-labels-to-wipe STATE")),
            "{told}"
        );
    }

    #[test]
    fn members_in_common_make_one_cluster_and_none_make_two() {
        assert!(!is_split(&[list(&[1]), list(&[1, 2])]));
        assert!(!is_split(&[list(&[1])]));
        assert!(is_split(&[list(&[1]), list(&[1, 2]), list(&[3])]));
    }
}
