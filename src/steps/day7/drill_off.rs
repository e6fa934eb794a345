//! `day7.drill_off/MACHINE`: the machine is powered off in Proxmox VE, and the cluster bears it: the API answers through the VIP, etcd
//! has its majority, and a replicated volume comes up on another node with its data. `day7.drill_on` puts it right again.
use super::namespace::NAMESPACE;
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::{get, is_deleting, is_true, said, seen, text};
use crate::steps::drills::bearing;
use crate::steps::drills::pods::{self, Part};
use crate::steps::drills::power::{self, Power};
use crate::steps::drills::{etcd, told};
use crate::steps::follow::{self, Kept};
use crate::steps::objects::{self, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{failures, outlines, volumes, warnings};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

pub const KIND: &str = "day7.drill_off";
/// The cluster calls a machine gone after 50 s, and takes a volume from it by force 6 minutes later, unless LINSTOR's own controller
/// is faster.
const BAND: Band = Band::new(480, 900);
const VIP: Band = Band::new(15, 90);
const NODE: Band = Band::new(60, 150);
const EVICTED: Band = Band::new(60, 240);
const MOVED: Band = Band::new(420, 720);

pub struct Off {
    outline: Outline,
    node: NodePlan,
    /// A look of this session has seen the machine off in its drill.
    seen_off: AtomicBool,
}

pub fn step(plan: &Plan, node: &NodePlan, after: Vec<StepId>) -> Off {
    let by_hand = format!(
        "qm stop {}\nkubectl get nodes\ntalosctl -n {} etcd status\nkubectl -n {NAMESPACE} get pods -o wide",
        node.vmid, plan.network.vip
    );
    let title = format!("the cluster bears it that {} is off", told(node));
    let outline = outlines::change(StepId::of(KIND, &node.name), 7, title, BAND, by_hand)
        .after(after)
        .momentary()
        .put_right_by(StepId::of(super::drill_on::KIND, &node.name));
    Off { outline, node: node.clone(), seen_off: AtomicBool::new(false) }
}

/// What stands between the machine that runs and the drill.
enum Before {
    /// A pod of an earlier drill.
    Leftover(Answer<Value>),
    NoWriter,
    /// Not yet to be told, or not this run's.
    Open(Box<Observed>),
    Ready,
}

/// How far the cluster is while the machine is off.
enum Meanwhile {
    Open(Wait),
    /// The volume is to be read on this node.
    ToRead(String),
    /// The writer is evicted, and no kubelet can end it.
    ToRemove(Answer<Value>),
    Done(Box<Proof>),
}

impl Off {
    /// Whether it is this drill that has the machine off, or is about to.
    fn has_begun(&self, cx: &dyn Context) -> bool {
        cx.made().has_disturbed(&self.outline.id) || cx.handle().is_some()
    }

    /// True when the machine has been off in this drill, so that its running now is somebody else's doing.
    async fn was_off(&self, cx: &dyn Context, site: &Reading) -> Result<bool, Failure> {
        if !cx.made().has_disturbed(&self.outline.id) {
            self.seen_off.store(false, Ordering::Relaxed);
            return Ok(false);
        }
        Ok(match follow::kept(cx, site, "read the task that stopped it").await? {
            Kept::Ended(exit) if exit.is_success() => true,
            Kept::Ended(_) | Kept::Running | Kept::Unknown => self.seen_off.load(Ordering::Relaxed),
        })
    }

    fn what(&self) -> String {
        format!("read the volume of {} elsewhere", self.node.name)
    }

    async fn before(&self, cx: &dyn Context, site: &Reading) -> Result<Before, Failure> {
        let node = &self.node;
        for part in [Part::Elsewhere, Part::Back] {
            if let Some(pod) = pods::find(site, node, part).await? {
                return Ok(Before::Leftover(pod));
            }
        }
        let (name, word) = (Part::Writer.name(node), pods::first_word(site, node));
        let what = format!("write to a replicated volume on {}", node.name);
        match objects::written(cx, site, (NAMESPACE, &name), &word, &what).await? {
            PodState::Missing => Ok(Before::NoWriter),
            PodState::Underway(wait) => {
                let observed = warnings::of_volume(site, NAMESPACE, &name, volumes::REPLICATED, wait).await?;
                Ok(Before::Open(Box::new(observed)))
            }
            PodState::Done { .. } => {
                let bound = volumes::bound(site, NAMESPACE, &pods::claim(node)).await?;
                let replicas = volumes::replicas(site, bound.name()).await?;
                if self.reader_of(site, &replicas.nodes).is_none() {
                    return Err(Failure::retryable(
                        format!(
                            "LINSTOR keeps {} on {} and on no other machine of the plan",
                            bound.name(),
                            replicas.told()
                        ),
                        "cozyup looks again; kubectl exec -n cozy-linstor deploy/linstor-controller -- linstor resource list",
                    ));
                }
                Ok(Before::Ready)
            }
        }
    }

    /// The first other machine of the plan with a replica.
    fn reader_of(&self, site: &Reading, replicas: &std::collections::BTreeSet<String>) -> Option<String> {
        let has_one = |name: &str| replicas.iter().any(|on| on.eq_ignore_ascii_case(name));
        let mut others = site.plan.nodes.iter().filter(|node| node.name != self.node.name);
        others.find(|node| has_one(&node.name)).map(|node| node.name.clone())
    }

    async fn seen(&self, cx: &dyn Context, site: &Reading) -> Result<Meanwhile, Failure> {
        self.seen_off.store(true, Ordering::Relaxed);
        self.meanwhile(cx, site).await
    }

    async fn meanwhile(&self, cx: &dyn Context, site: &Reading) -> Result<Meanwhile, Failure> {
        let node = &self.node;
        let version = match site.kubernetes()?.version().await {
            Ok(version) => version,
            Err(e) if e.is_transient() => {
                let condition = format!("the API answers at {} without {}", site.plan.cluster_endpoint(), node.name);
                return Ok(Meanwhile::Open(Wait::new(condition, e.to_string(), VIP)));
            }
            Err(e) => return Err(failures::kubernetes(&e, "ask the API server for its version")),
        };
        let gone = || Failure::person(format!("node {} is gone", node.name), format!("kubectl get node {}", node.name));
        let shown = get(&site.kubernetes()?, &Kind::NODE, None, &node.name).await?.ok_or_else(gone)?;
        if is_true(&shown.value, "Ready") {
            let condition = format!("the cluster sees that {} is off", node.name);
            return Ok(Meanwhile::Open(Wait::new(condition, said(&shown.value, "Ready"), NODE)));
        }
        let others = || site.plan.control_planes().filter(|other| other.name != node.name);
        let members = etcd::members(cx, site, others()).await?;
        if let Some((name, why)) = members.unwell(others()) {
            let condition = format!("etcd is well without {}", node.name);
            return Ok(Meanwhile::Open(Wait::new(condition, format!("{name}: {why}"), VIP)));
        }
        let readings = [seen(cx, &version), seen(cx, &shown)].into_iter().chain(members.evidence()).collect();
        self.elsewhere(cx, site, &members.told(site.plan.control_planes().count()), readings).await
    }

    /// How far the volume is on another node; `members` tells of etcd, `readings` show what else is well.
    async fn elsewhere(
        &self,
        cx: &dyn Context,
        site: &Reading,
        members: &str,
        mut readings: Vec<Evidence>,
    ) -> Result<Meanwhile, Failure> {
        let node = &self.node;
        let writer = pods::find(site, node, Part::Writer).await?;
        if let Some(pod) = writer.as_ref().filter(|pod| !is_deleting(&pod.value)) {
            let condition = format!("the cluster evicts pod {} from {}", Part::Writer.name(node), node.name);
            let seen = format!("it is {} there", text(&pod.value, "/status/phase"));
            return Ok(Meanwhile::Open(Wait::new(condition, seen, EVICTED)));
        }
        let bound = volumes::bound(site, NAMESPACE, &pods::claim(node)).await?;
        let replicas = volumes::replicas(site, bound.name()).await?;
        // This pod first: while the other one is there, its name tells how far the drill is.
        let name = Part::Elsewhere.name(node);
        let (evidence, log) = match objects::pod_state(cx, site, NAMESPACE, &name, &self.what()).await? {
            PodState::Missing => {
                let none =
                    || Failure::retryable(format!("LINSTOR has no replica of {}", bound.name()), "cozyup looks again");
                return Ok(Meanwhile::ToRead(self.reader_of(site, &replicas.nodes).ok_or_else(none)?));
            }
            PodState::Underway(wait) => match writer {
                Some(pod) => return Ok(Meanwhile::ToRemove(pod)),
                None => {
                    let wait = warnings::beside(site, NAMESPACE, &[&name], Wait { band: MOVED, ..wait }).await?;
                    return Ok(Meanwhile::Open(wait));
                }
            },
            PodState::Done { evidence, log } => (evidence, log),
        };
        let word = pods::first_word(site, node);
        if !log.lines().any(|line| line.trim() == word) {
            return Err(Failure::person(
                format!("{}: pod {name} did not find `{word}` in {}", self.what(), bound.name()),
                format!("the data is not the same: kubectl -n {NAMESPACE} logs {name}"),
            ));
        }
        readings.extend(evidence.into_iter().chain(bound.evidence(cx)));
        let last = seen(cx, &replicas.shown);
        let proof = Proof::new(self.borne(site, &bound, members).await?, last).owning(bound.thing(NAMESPACE));
        Ok(Meanwhile::Done(Box::new(readings.into_iter().fold(proof, Proof::and))))
    }

    /// The statement that is proven.
    async fn borne(&self, site: &Reading, bound: &volumes::Bound, members: &str) -> Result<String, Failure> {
        let on = pods::find(site, &self.node, Part::Elsewhere).await?;
        let on = on.map(|pod| text(&pod.value, "/spec/nodeName").to_string()).unwrap_or_default();
        Ok(format!(
            "while {} is off the API answers at {}, etcd has {members}, and {} is read on {on} as it was written on {}",
            told(&self.node),
            site.plan.cluster_endpoint(),
            bound.name(),
            self.node.name
        ))
    }

    async fn bearable(&self, cx: &dyn Context, site: &Reading) -> Result<Vec<String>, Failure> {
        bearing::judge(cx, site, &self.node).await?.map_err(|why| why.failure(&self.node))
    }
}

#[async_trait]
impl Step<Installation> for Off {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let vm = told(&self.node);
        let seen = match power::look(cx, site, &self.node).await? {
            Ok(seen) => seen,
            Err(observed) => return Ok(*observed),
        };
        match seen.power {
            Power::Falling => Ok(Observed::Underway(Wait::new(format!("{vm} is off"), "a task stops it", power::BAND))),
            Power::On if self.was_off(cx, site).await? => Err(Failure::person(
                format!("{vm} runs again, and not by this run, while its drill has it off"),
                "somebody or something started it; stop the run and start it again: it then proves that all has healed, and \
                 begins the drill anew",
            )),
            Power::On => {
                self.bearable(cx, site).await?;
                Ok(match self.before(cx, site).await? {
                    Before::Open(observed) => *observed,
                    Before::Leftover(pod) => Observed::Unfinished(format!(
                        "pod {} of an earlier drill is there",
                        text(&pod.value, "/metadata/name")
                    )),
                    Before::NoWriter => Observed::Unfinished(format!("no pod writes on {}", self.node.name)),
                    Before::Ready => Observed::Unfinished(format!("{vm} runs")),
                })
            }
            Power::Off if !self.has_begun(cx) => Err(Failure::person(
                format!("{vm} is off already, and not by this drill"),
                format!(
                    "see who stopped it and why; qm start {} on {}; the drill then begins",
                    self.node.vmid, self.node.host
                ),
            )),
            Power::Off => Ok(match self.seen(cx, site).await? {
                Meanwhile::Open(wait) => Observed::Underway(wait),
                Meanwhile::ToRead(on) => Observed::Unfinished(format!("no pod reads the volume on {on}")),
                Meanwhile::ToRemove(pod) => Observed::Unfinished(format!(
                    "pod {} is evicted, and its kubelet is off and can't end it",
                    text(&pod.value, "/metadata/name")
                )),
                Meanwhile::Done(proof) => Observed::Satisfied(seen.evidence(cx).into_iter().fold(*proof, Proof::and)),
            }),
        }
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let seen = match power::look(cx, site, &self.node).await? {
            Ok(seen) => seen,
            // The next look says it again.
            Err(_) => return Ok(()),
        };
        match seen.power {
            Power::Falling => Ok(()),
            // Somebody has started it since the look; the next one says so.
            Power::On if self.was_off(cx, site).await? => Ok(()),
            Power::On => {
                // Asked right before: a gate may have held the act for hours since the look.
                let remarks = self.bearable(cx, site).await?;
                match self.before(cx, site).await? {
                    Before::Open(_) => Ok(()),
                    Before::Leftover(pod) => pods::delete(change, &pod.value, false).await,
                    Before::NoWriter => pods::write(site, change, &self.node).await,
                    Before::Ready => {
                        remarks.iter().for_each(|remark| cx.log("drill", remark));
                        power::off(cx, site, &change.proxmox, &self.node).await
                    }
                }
            }
            Power::Off if !self.has_begun(cx) => Ok(()),
            Power::Off => match self.meanwhile(cx, site).await? {
                Meanwhile::Open(_) | Meanwhile::Done(_) => Ok(()),
                Meanwhile::ToRead(on) => pods::read(site, change, &self.node, Part::Elsewhere, &on).await,
                // The run itself has powered the machine off, so nothing runs on it any more that could write.
                Meanwhile::ToRemove(pod) => pods::delete(change, &pod.value, true).await,
            },
        }
    }

    /// Its pods and its volume go with the namespace, its machine with the step that powers it on.
    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::drill_on::KIND)
    }
}
