//! The release graph of CozyStack v0.37, read from the same data files as the product's, by the lab's own eyes.
use crate::scenario::Scenario;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const RELEASE: &str = include_str!("../../../../assets/releases/v0.37.2.yaml");
/// A patch with the same graph.
const PATCH: &str = include_str!("../../../../assets/releases/v0.37.10.yaml");

#[derive(Debug, Deserialize)]
struct Head {
    version: String,
    installer: Installer,
}

#[derive(Debug, Deserialize)]
struct Installer {
    image: String,
}

/// The installer image of a release; `None` for one that the lab does not have.
pub fn image(version: &str) -> Option<String> {
    let heads = [RELEASE, PATCH].into_iter().filter_map(|text| serde_saphyr::from_str::<Head>(text).ok());
    heads.into_iter().find(|head| head.version == version).map(|head| head.installer.image)
}

#[derive(Debug, Deserialize)]
pub struct Graph {
    profiles: BTreeMap<String, Profile>,
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    bundle: String,
    #[serde(default)]
    disable: BTreeSet<String>,
    #[serde(default)]
    enable: BTreeSet<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Component {
    pub name: String,
    pub namespace: String,
    pub after: Vec<String>,
    /// The Helm release's name where it differs from the component's.
    #[serde(default)]
    pub release: Option<String>,
    #[serde(default)]
    pub optional: bool,
    #[serde(default)]
    gate: Option<String>,
    #[serde(default)]
    pub privileged: bool,
}

/// The parsed file. An empty graph stands for one that does not parse; a test rules that out.
pub fn graph() -> &'static Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    GRAPH.get_or_init(|| {
        serde_saphyr::from_str(RELEASE).unwrap_or_else(|_| Graph { profiles: BTreeMap::new(), components: Vec::new() })
    })
}

impl Graph {
    /// True when the lab's installer image holds this bundle; it holds those that a profile is based on.
    pub fn has_bundle(&self, name: &str) -> bool {
        self.profiles.values().any(|p| p.bundle == name)
    }

    /// Every component, also those that are switched off: their privileged namespaces exist all the same.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The components that the platform chart renders, with only those dependencies that count.
    pub fn chosen(&self, disable: &BTreeSet<String>, enable: &BTreeSet<String>, oidc: bool) -> Vec<Component> {
        let open = |c: &Component| c.gate.is_none() || oidc;
        let closed: BTreeSet<&str> = self.components.iter().filter(|c| !open(c)).map(|c| c.name.as_str()).collect();
        self.components
            .iter()
            .filter(|c| open(c) && !disable.contains(&c.name) && (!c.optional || enable.contains(&c.name)))
            .map(|c| {
                let mut c = c.clone();
                c.after.retain(|a| !disable.contains(a) && !closed.contains(a.as_str()));
                c
            })
            .collect()
    }

    pub fn namespace_of(&self, component: &str) -> Option<&str> {
        self.components.iter().find(|c| c.name == component).map(|c| c.namespace.as_str())
    }
}

/// Lab seconds that installing this release takes.
pub fn install_seconds(scenario: &Scenario, release: &str) -> f64 {
    scenario.latency.releases.get(release).copied().unwrap_or(scenario.latency.release_default_s)
}

/// The chain of dependent releases that takes longest: name and seconds of each, first to last.
/// Empty when the profile is not known.
pub fn longest_chain(scenario: &Scenario, profile: &str) -> Vec<(String, f64)> {
    let graph = graph();
    let Some(profile) = graph.profiles.get(profile) else { return Vec::new() };
    let chosen = graph.chosen(&profile.disable, &profile.enable, false);
    let by_name: BTreeMap<&str, &Component> = chosen.iter().map(|c| (c.name.as_str(), c)).collect();
    let mut longest: BTreeMap<&str, (f64, Vec<&str>)> = BTreeMap::new();
    // As many rounds as there are components settle any order of an acyclic graph.
    for _ in 0..chosen.len() {
        for c in &chosen {
            let before = c.after.iter().filter(|a| by_name.contains_key(a.as_str())).map(|a| longest.get(a.as_str()));
            let Some(before) = before.collect::<Option<Vec<_>>>() else { continue };
            let (seconds, mut path) =
                before.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).cloned().unwrap_or_default();
            path.push(c.name.as_str());
            longest.insert(c.name.as_str(), (seconds + install_seconds(scenario, &c.name), path));
        }
    }
    let path = longest.into_values().max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, path)| path).unwrap_or_default();
    path.into_iter().map(|name| (name.to_string(), install_seconds(scenario, name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard() -> Scenario {
        serde_saphyr::from_str(include_str!("../../../../assets/lab/standard.yaml")).unwrap()
    }

    fn names(list: &str) -> BTreeSet<String> {
        list.split(',').map(str::to_string).collect()
    }

    #[test]
    fn the_proxmox_profile_leaves_forty_one_releases_none_after_one_that_is_missing() {
        let profile = &graph().profiles["paas-proxmox"];
        let chosen = graph().chosen(&profile.disable, &profile.enable, false);
        assert_eq!(chosen.len(), 41);
        let there: BTreeSet<&str> = chosen.iter().map(|c| c.name.as_str()).collect();
        for c in &chosen {
            assert!(c.after.iter().all(|a| there.contains(a.as_str())), "{} waits for nobody", c.name);
        }
    }

    #[test]
    fn oidc_opens_the_gate_and_the_dashboard_waits_for_keycloak() {
        let chosen = graph().chosen(&BTreeSet::new(), &BTreeSet::new(), true);
        assert_eq!(chosen.len(), 50);
        let dashboard = chosen.iter().find(|c| c.name == "dashboard").unwrap();
        assert!(dashboard.after.contains(&"keycloak-configure".to_string()));
        assert_eq!(graph().chosen(&names("kubevirt"), &names("telepresence"), false).len(), 47);
    }

    #[test]
    fn the_longest_chain_ends_in_storage() {
        let chain = longest_chain(&standard(), "paas-proxmox");
        let names: Vec<&str> = chain.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names[..2], ["cilium", "kubeovn"]);
        assert_eq!(names.last(), Some(&"linstor"));
        assert!(longest_chain(&standard(), "nothing").is_empty());
    }
}
