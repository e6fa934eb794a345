//! The result of a run, in a form that a person can check.
use crate::base::day::Day;
use crate::base::text;
use crate::base::vmid::Vmid;
use crate::engine::course::Course;
use crate::engine::proof::Left;
use crate::engine::record::Outcome;
use crate::engine::state::RunState;
use crate::plan::day_title;
use crate::plan::model::{NodePlan, Plan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub run: String,
    pub plan: String,
    pub outcome: Ending,
    /// The course that was asked for. A proven teardown means that nothing is left.
    pub course: Course,
    pub steps: usize,
    pub proven: usize,
    pub blocked: Vec<Blocked>,
    /// The remarks that a person should know or act on although the steps are proven.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// The things that a teardown found and did not touch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<Left>,
    /// Seconds on the wall.
    pub wall_s: f64,
    /// Lab only: lab seconds that the scenario needs at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical_path_s: Option<f64>,
    /// Lab only: lab seconds in a second of the wall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    pub nodes: Vec<Node>,
    pub versions: BTreeMap<&'static str, String>,
    pub addresses: BTreeMap<&'static str, String>,
    pub files: BTreeMap<&'static str, String>,
}

/// The outcome of the run; `None` when it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Proven,
    Blocked,
    Stopped,
    /// Nobody has ended it.
    Running,
}

impl Ending {
    pub(super) fn of(ended: Option<Outcome>) -> Ending {
        match ended {
            Some(Outcome::Proven) => Ending::Proven,
            Some(Outcome::Blocked) => Ending::Blocked,
            Some(Outcome::Stopped) => Ending::Stopped,
            None => Ending::Running,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Ending::Proven => "proven",
            Ending::Blocked => "blocked",
            Ending::Stopped => "stopped",
            Ending::Running => "running",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Blocked {
    pub step: String,
    pub what: String,
    pub next: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Remark {
    pub step: String,
    pub what: String,
}

/// The remarks of all proven steps, in their order.
fn remarks(state: &RunState) -> Vec<Remark> {
    let proven = state.wanted().filter(|s| s.is_proven());
    let told = proven.flat_map(|s| {
        let remarks = s.proof.iter().flat_map(|proof| proof.remarks());
        remarks.map(|what| Remark { step: s.outline.id.to_string(), what: what.clone() })
    });
    told.collect()
}

/// The tests of the days of this course that the plan leaves out: nothing is proven there.
fn off(state: &RunState, plan: &Plan) -> Vec<Remark> {
    let until = match state.course {
        Course::Forward { until } => until,
        Course::Back { .. } | Course::Workers { .. } | Course::Node { .. } => return Vec::new(),
    };
    let off = plan.off().into_iter().filter(|off| off.day <= until);
    off.map(|off| Remark { step: day_title(off.day), what: format!("not tested, {}: {}", off.test, off.reason) })
        .collect()
}

#[derive(Debug, Clone, Serialize)]
pub struct Node {
    pub name: String,
    pub role: String,
    pub vmid: Vmid,
    pub host: String,
    pub address: String,
}

/// False for the machine that this session has removed, or removes.
fn is_there(state: &RunState, node: &Node) -> bool {
    match state.course {
        Course::Node { name } => node.name != name.as_str(),
        Course::Forward { .. } | Course::Back { .. } | Course::Workers { .. } => true,
    }
}

/// The machines of the plan.
pub(super) fn nodes(plan: &Plan) -> Vec<Node> {
    let node = |n: &NodePlan| Node {
        name: n.name.clone(),
        role: n.role.to_string(),
        vmid: n.vmid,
        host: n.host.clone(),
        address: n.address.to_string(),
    };
    plan.nodes.iter().map(node).collect()
}

/// The versions that the plan asks for.
pub(super) fn versions(plan: &Plan) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("cozystack", plan.cozystack.version.clone()),
        ("talos", plan.talos.version.clone()),
        ("kubernetes", plan.talos.kubernetes.clone()),
    ])
}

/// The addresses by which the installation is reached.
pub(super) fn addresses(plan: &Plan) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("api", plan.cluster_endpoint()),
        ("root_host", plan.cozystack.root_host.clone()),
        ("pool", plan.network.address_pool.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    ])
}

/// Each thing once; several steps may come upon the same.
fn left_alone(state: &RunState) -> Vec<Left> {
    let mut all: Vec<Left> = Vec::new();
    for left in state.wanted().filter(|s| s.is_proven()).filter_map(|s| s.proof.as_ref()).flat_map(|p| p.left()) {
        if !all.iter().any(|known| known.what == left.what) {
            all.push(left.clone());
        }
    }
    all
}

/// The time that the run took, and in a lab the shortest time it could take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub wall: Duration,
    pub critical_path_s: Option<f64>,
    pub speed: Option<f64>,
}

impl Summary {
    pub fn of(state: &RunState, plan: &Plan, folder: &Path, times: Times) -> Summary {
        let blocked = state.wanted().filter_map(|s| {
            let failure = s.failure()?;
            Some(Blocked { step: s.outline.id.to_string(), what: failure.what.clone(), next: failure.next.clone() })
        });
        // Sealed ones have one more ending.
        let file = |name: &str| match folder.join(name) {
            plain if plain.exists() => plain,
            _ => folder.join(format!("{name}.age")),
        };
        let files = [
            ("kubeconfig", file("secrets/kubeconfig")),
            ("talosconfig", file("secrets/talosconfig")),
            ("secrets", file("secrets/secrets.yaml")),
            ("journal", file("journal.jsonl")),
        ];
        Summary {
            run: state.run.clone(),
            plan: state.plan.clone(),
            outcome: Ending::of(state.ended),
            course: state.course,
            steps: state.wanted().count(),
            proven: state.proven(),
            blocked: blocked.collect(),
            remarks: remarks(state).into_iter().chain(off(state, plan)).collect(),
            left_alone: if state.course.is_back() { left_alone(state) } else { Vec::new() },
            wall_s: (times.wall.as_secs_f64() * 1000.0).round() / 1000.0,
            critical_path_s: times.critical_path_s,
            speed: times.speed,
            nodes: nodes(plan).into_iter().filter(|node| is_there(state, node)).collect(),
            versions: versions(plan),
            addresses: addresses(plan),
            files: files
                .into_iter()
                .filter(|(_, path)| path.exists())
                .map(|(name, path)| (name, path.display().to_string()))
                .collect(),
        }
    }

    /// For people: plain lines.
    pub fn text(&self) -> String {
        let what = match self.course {
            Course::Forward { until: Day::Number(last) } => format!("days 0 to {last}"),
            Course::Forward { until: until @ (Day::Workers | Day::Teardown) } => until.to_string(),
            Course::Workers { count } => format!("workers that stay: {count}"),
            Course::Node { name } => format!("removal of {name}"),
            Course::Back { .. } => "teardown".to_string(),
        };
        let mut out = vec![format!("{}: {} of {} steps proven ({what})", self.outcome.word(), self.proven, self.steps)];
        for b in &self.blocked {
            out.push(format!("blocked: {}: {}", b.step, b.what));
            out.push(format!("   next: {}", b.next));
        }
        for remark in &self.remarks {
            out.push(format!("mind: {}: {}", remark.step, remark.what));
        }
        for Left { what, why } in &self.left_alone {
            out.push(format!("left alone: {what}: it {why}"));
        }
        let mut maps = vec![("files (0600)", &self.files)];
        if !self.course.is_back() {
            out.push("nodes:".to_string());
            for n in &self.nodes {
                out.push(format!("  {:<20} {:<12} vm {:<9} on {:<10} {}", n.name, n.role, n.vmid, n.host, n.address));
            }
            maps.splice(0..0, [("versions", &self.versions), ("addresses", &self.addresses)]);
        }
        for (title, map) in maps {
            out.push(format!("{title}:"));
            out.extend(map.iter().map(|(k, v)| format!("  {k:<12} {v}")));
        }
        let wall = text::format_duration(Duration::from_secs_f64(self.wall_s.max(0.0)));
        match (self.critical_path_s, self.speed) {
            // One that ended early did not walk it.
            (Some(path), Some(speed)) if speed > 0.0 && self.outcome == Ending::Proven => {
                let least = path / speed;
                out.push(format!(
                    "time: {:.1} s on the wall; critical path {path:.0} lab seconds / speed {speed} = {least:.1} s ({:+.1} %)",
                    self.wall_s,
                    (self.wall_s / least - 1.0) * 100.0
                ));
            }
            (Some(_) | None, Some(_) | None) => out.push(format!("time: {wall} on the wall")),
        }
        out.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_run_ended_is_the_same_word_for_people_and_programs() {
        let ended = [Some(Outcome::Proven), Some(Outcome::Blocked), Some(Outcome::Stopped), None];
        for (ended, word) in ended.into_iter().zip(["proven", "blocked", "stopped", "running"]) {
            let ending = Ending::of(ended);
            assert_eq!(ending.word(), word);
            assert_eq!(serde_json::to_value(ending).unwrap(), word);
        }
    }
}
