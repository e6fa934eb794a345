//! `day7.drill_on/MACHINE`: the machine that the drill has powered off runs again, and everything has healed: its node is Ready, etcd
//! has all its members, and the volume is read on it with what was written while it was off.
use super::namespace::NAMESPACE;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::model::{NodePlan, Plan};
use crate::steps::cluster::{condition, get, is_true, proven, said, seen, text};
use crate::steps::drills::pods::{self, Part};
use crate::steps::drills::power::{self, Power};
use crate::steps::drills::{etcd, told};
use crate::steps::objects::{self, PodState};
use crate::steps::removal::{self, Found};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::{outlines, volumes, warnings};
use async_trait::async_trait;

pub const KIND: &str = "day7.drill_on";
const BAND: Band = Band::new(180, 600);

pub struct On {
    outline: Outline,
    node: NodePlan,
}

pub fn step(_plan: &Plan, node: &NodePlan) -> On {
    let by_hand = format!("qm start {}\nkubectl get nodes\ntalosctl -n {} etcd members", node.vmid, node.address);
    let title = format!("{} is on again, and everything has healed", told(node));
    let outline = outlines::change(StepId::of(KIND, &node.name), 7, title, BAND, by_hand)
        .after([StepId::of(super::drill_off::KIND, &node.name)])
        .momentary();
    On { outline, node: node.clone() }
}

/// How far the machine's return is.
enum Back {
    Open(Wait),
    /// A pod waits elsewhere for the volume, which is wanted here.
    ToRemove(serde_json::Value),
    ToRead,
    Healed(Vec<Evidence>),
}

impl On {
    fn off_id(&self) -> StepId {
        StepId::of(super::drill_off::KIND, &self.node.name)
    }

    /// `vm 1002 (cp2) is off: this run's drill has powered it off`
    fn is_off(&self, cx: &dyn Context) -> String {
        let why = if cx.made().has_disturbed(&self.off_id()) { ": this run's drill has powered it off" } else { "" };
        format!("{} is off{why}", told(&self.node))
    }

    async fn back(&self, cx: &dyn Context, site: &Reading) -> Result<Back, Failure> {
        let node = &self.node;
        let wait = |condition: String, seen: String| Ok(Back::Open(Wait::new(condition, seen, BAND)));
        let reader = site.kubernetes()?;
        let shown = get(&reader, &Kind::NODE, None, &node.name).await?;
        let Some(shown) = shown.filter(|shown| is_true(&shown.value, "Ready")) else {
            return wait(format!("node {} is Ready", node.name), format!("{} runs, its node is not Ready", told(node)));
        };
        let members = etcd::members(cx, site, site.plan.control_planes()).await?;
        if let Some((name, why)) = members.unwell(site.plan.control_planes()) {
            return wait("etcd has all its members".into(), format!("{name}: {why}"));
        }
        let satellite = get(&reader, &Kind::LINSTOR_SATELLITE, None, &node.name).await?;
        let is_away = |satellite: &serde_json::Value| {
            condition(satellite, "Available").is_some_and(|available| available.status != "True")
        };
        if let Some(satellite) = satellite.as_ref().filter(|satellite| is_away(&satellite.value)) {
            return wait(format!("LINSTOR's satellite on {} is there", node.name), said(&satellite.value, "Available"));
        }
        let mut readings = vec![seen(cx, &shown)];
        readings.extend(members.evidence().chain(satellite.iter().map(|satellite| seen(cx, satellite))));
        match get(&reader, &Kind::PERSISTENT_VOLUME_CLAIM, Some(NAMESPACE), &pods::claim(node)).await? {
            // A run that was cut off before it wrote anything, or whose volume somebody took away.
            Some(claim) if text(&claim.value, "/status/phase") == "Bound" => self.read(cx, site, readings).await,
            Some(_) | None => Ok(Back::Healed(readings)),
        }
    }

    /// The volume, read on the machine.
    async fn read(&self, cx: &dyn Context, site: &Reading, mut readings: Vec<Evidence>) -> Result<Back, Failure> {
        let node = &self.node;
        let bound = volumes::bound(site, NAMESPACE, &pods::claim(node)).await?;
        let replicas = volumes::replicas(site, bound.name()).await?;
        let wanted = usize::from(volumes::copies(&site.plan));
        if replicas.nodes.len() < wanted {
            let condition = format!("LINSTOR keeps {} on {wanted} nodes again", bound.name());
            return Ok(Back::Open(Wait::new(condition, format!("on {}", replicas.told()), BAND)));
        }
        let elsewhere = pods::find(site, node, Part::Elsewhere).await?;
        let has_read = |pod: &serde_json::Value| text(pod, "/status/phase") == "Succeeded";
        let (name, what) = (Part::Back.name(node), format!("read the volume on {} again", node.name));
        let log = match objects::pod_state(cx, site, NAMESPACE, &name, &what).await? {
            PodState::Missing => {
                return Ok(match elsewhere.as_ref().filter(|pod| !has_read(&pod.value)) {
                    Some(pod) => Back::ToRemove(pod.value.clone()),
                    None => Back::ToRead,
                });
            }
            PodState::Underway(wait) => {
                let wait = warnings::beside(site, NAMESPACE, &[&name], Wait { band: BAND, ..wait }).await?;
                return Ok(Back::Open(wait));
            }
            PodState::Done { evidence, log } => {
                readings.extend(evidence);
                log
            }
        };
        let second = elsewhere.filter(|pod| has_read(&pod.value)).map(|_| pods::second_word(site, node));
        let words = [Some(pods::first_word(site, node)), second];
        if let Some(word) = words.into_iter().flatten().find(|word| !log.lines().any(|line| line.trim() == word)) {
            return Err(Failure::person(
                format!("{what}: pod {name} did not find `{word}` in {}", bound.name()),
                format!("the data is not the same: kubectl -n {NAMESPACE} logs {name}"),
            ));
        }
        readings.extend(bound.evidence(cx).into_iter().chain([seen(cx, &replicas.shown)]));
        Ok(Back::Healed(readings))
    }

    fn power_on(&self) -> String {
        format!("power on {}", told(&self.node))
    }
}

#[async_trait]
impl Step<Installation> for On {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let power = match power::look(cx, site, &self.node).await? {
            Ok(power) => power,
            Err(observed) => return Ok(*observed),
        };
        match power.power {
            Power::Off => Ok(Observed::Unfinished(self.is_off(cx))),
            Power::Falling => {
                let condition = format!("the task that stops {} ends", told(&self.node));
                Ok(Observed::Underway(Wait::new(condition, "it runs", power::BAND)))
            }
            Power::On => match self.back(cx, site).await? {
                Back::Open(wait) => Ok(Observed::Underway(wait)),
                Back::ToRemove(pod) => {
                    Ok(Observed::Unfinished(format!("pod {} still waits for the volume", text(&pod, "/metadata/name"))))
                }
                Back::ToRead => Ok(Observed::Unfinished(format!("no pod reads the volume on {}", self.node.name))),
                Back::Healed(readings) => {
                    let count = site.plan.control_planes().count();
                    let summary = format!(
                        "{} is on again: its node is Ready, etcd has {count} of {count} members, and what was written meanwhile is read on it",
                        told(&self.node)
                    );
                    proven(summary, power.evidence(cx).into_iter().chain(readings).collect())
                }
            },
        }
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let (node, on) = (&self.node, (self.node.host.as_str(), self.node.vmid));
        match power::look(cx, site, node).await? {
            Ok(seen) if seen.power == Power::On => {}
            Ok(_) => return power::on(cx, site, &change.proxmox, on, &self.power_on()).await,
            // The next look says it again.
            Err(_) => return Ok(()),
        }
        // Whoever stops the run wants the machine on, and nothing more.
        if cx.stopping() {
            return Ok(());
        }
        match self.back(cx, site).await? {
            Back::Open(_) | Back::Healed(_) => Ok(()),
            Back::ToRemove(pod) => pods::delete(change, &pod, false).await,
            Back::ToRead => pods::read(site, change, node, Part::Back, &node.name).await,
        }
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }
}

/// Whatever is taken back needs the machine: a pod on it can't end, and a volume can't be let go, while it is off.
#[async_trait]
impl Removal<Installation> for On {
    fn title(&self) -> String {
        format!("{} is not left off by a drill", told(&self.node))
    }

    fn by_hand(&self) -> String {
        format!("qm start {}", self.node.vmid)
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let vmid = self.node.vmid;
        let host = match removal::find(cx, site, vmid, &self.power_on(), power::BAND).await? {
            Found::Ours { host, .. } => host,
            Found::Free(proof) => return Ok(Observed::Satisfied(*proof)),
            Found::Not(observed) => return Ok(*observed),
        };
        let power = power::seen(site, &host, vmid, &self.power_on()).await?;
        if cx.made().has_disturbed(&self.off_id()) && power.power != Power::On {
            return Ok(Observed::Unfinished(self.is_off(cx)));
        }
        proven(format!("no drill keeps {} off", told(&self.node)), power.evidence(cx))
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let (vmid, doing) = (self.node.vmid, self.power_on());
        let Found::Ours { host, .. } = removal::find(cx, site, vmid, &doing, power::BAND).await? else {
            return Ok(());
        };
        power::on(cx, site, &change.proxmox, (&host, vmid), &doing).await
    }
}
