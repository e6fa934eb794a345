//! A CozyStack release as data: `assets/releases/*.yaml`, and what a profile makes of it. Nothing else in the house says
//! what a release holds; the rules of the plan and the steps both read it here.
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const EMBEDDED: [(&str, &str); 2] = [
    ("v0.37.2", include_str!("../assets/releases/v0.37.2.yaml")),
    ("v0.37.10", include_str!("../assets/releases/v0.37.10.yaml")),
];
/// The release that cozyup was made for, and that a new plan asks for unless another one is wanted.
const CURRENT: &str = "v0.37.2";

/// Those built in, oldest first, each read once. A test reads every one of them.
static KNOWN: LazyLock<Vec<Release>> =
    LazyLock::new(|| Release::versions().filter_map(|version| Release::embedded(version).ok()).collect());
/// Stands for a release only in a build without any.
static NONE: LazyLock<Release> = LazyLock::new(Release::default);

/// The gate that `oidc-enabled` opens.
const OIDC: &str = "oidc";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no release {version} is built in; there is {known}")]
    UnknownRelease { version: String, known: String },
    #[error("the release file of {version} is damaged: {text}")]
    Damaged { version: String, text: String },
    #[error("release {version} has no profile {profile}; it has {known}")]
    UnknownProfile { version: String, profile: String, known: String },
    #[error("{name} is no component of the bundle, and CozyStack would ignore it silently")]
    UnknownComponent { name: String },
    #[error("{name} can't be disabled: tenant-root depends on it")]
    Indispensable { name: String },
    #[error("{name} is not optional, so enabling it means nothing")]
    NotOptional { name: String },
    #[error("{name} comes with the setting {setting}, not by enabling it")]
    Gated { name: String, setting: String },
    #[error("{name} is both enabled and disabled")]
    Contradiction { name: String },
    #[error("{name} depends on {missing}, which is not installed: it would wait for ever")]
    Dangling { name: String, missing: String },
    #[error("the dependencies of {name} lead back to it")]
    Circle { name: String },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Release {
    pub version: String,
    /// The day it was published, `2025-10-15`.
    pub published: String,
    /// The release line it belongs to.
    pub line: Line,
    pub installer: Installer,
    pub talos: Talos,
    pub cluster_api: ClusterApi,
    /// The registries of the platform's images.
    pub registries: Vec<Registry>,
    pub settings: Vec<Setting>,
    /// Bundle files inside the installer image.
    pub bundles: Vec<String>,
    /// Names that `expose-services` understands.
    pub exposable: Vec<String>,
    /// Components that nobody can leave out.
    pub indispensable: Vec<String>,
    /// Components on which the steps of a run stand.
    pub needed: Vec<String>,
    profiles: BTreeMap<String, Profile>,
    components: Vec<Entry>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Installer {
    pub url: String,
    pub image: String,
    pub deployment: String,
    pub namespace: String,
    /// `data.version` of ConfigMap `cozystack-version` once this release runs.
    pub version_config_map_value: String,
}

/// A patch of a release: all that it does not say is as in that one.
#[derive(Debug, Deserialize)]
struct Patch {
    version: String,
    published: String,
    like: String,
    installer: Installer,
}

/// A line of releases, such as v0.37: its patches have the same bundle and settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// Its last release.
    pub last: String,
    /// The day on which that one was published.
    pub last_published: String,
    /// What its last release mends, for one who chooses between them.
    pub mends: String,
    /// Why nothing more comes of this line.
    pub end_of_life: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Talos {
    pub version: String,
    pub kubernetes: String,
    pub installer_image: String,
    /// System extensions that the image must carry.
    pub extensions: Vec<String>,
    /// File names of the release by platform.
    pub assets: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ClusterApi {
    pub core: String,
    /// Providers must speak this contract.
    pub contract: String,
}

/// A container registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Registry {
    /// As images name it.
    pub name: String,
    /// The servers that hand them out, a mirror of the machine configs first; one of them is enough.
    pub servers: Vec<String>,
    /// Components of the release that have images there; `talos` and `ingress` for those beside the bundle.
    pub needed_by: Vec<String>,
}

/// A key of ConfigMap `cozy-system/cozystack`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Setting {
    pub key: String,
    pub required: bool,
    pub meaning: String,
    #[serde(default)]
    pub default: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Profile {
    bundle: String,
    disable: Vec<String>,
    enable: Vec<String>,
    about: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Entry {
    name: String,
    namespace: String,
    #[serde(default)]
    release: Option<String>,
    after: Vec<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    gate: Option<String>,
}

/// A HelmRelease to expect: `namespace`/`name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    pub name: String,
    pub namespace: String,
    /// The Helm release inside, where it differs from `name`.
    pub release_name: String,
    /// Names of the components that must be ready first; all of them are installed too.
    pub after: Vec<String>,
}

/// A profile worked out: what to write into the ConfigMap, and what to expect of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Value of `bundle-name`.
    pub bundle: String,
    /// Value of `bundle-disable`: the profile's, then the caller's.
    pub disable: Vec<String>,
    /// Value of `bundle-enable`.
    pub enable: Vec<String>,
    pub components: Vec<Component>,
}

impl Release {
    /// The release built into this cozyup.
    ///
    /// # Errors
    /// [`Error::UnknownRelease`] with those there are.
    pub fn embedded(version: &str) -> Result<Release, Error> {
        let text = EMBEDDED.iter().find(|(v, _)| *v == version).map(|(_, text)| *text).ok_or_else(|| {
            let known: Vec<&str> = Release::versions().collect();
            Error::UnknownRelease { version: version.to_string(), known: known.join(", ") }
        })?;
        let damaged = |text: String| Error::Damaged { version: version.to_string(), text };
        let release = match parsed::<Patch>(text) {
            Ok(patch) => {
                let like = Release::embedded(&patch.like)?;
                Release { version: patch.version, published: patch.published, installer: patch.installer, ..like }
            }
            Err(_) => parsed::<Release>(text).map_err(damaged)?,
        };
        if release.version != version {
            return Err(damaged(format!("it calls itself {}", release.version)));
        }
        Ok(release)
    }

    /// The release of this version, read once; `None` when it is not built in.
    pub fn known(version: &str) -> Option<&'static Release> {
        KNOWN.iter().find(|release| release.version == version)
    }

    /// The release that a new plan asks for.
    pub fn current() -> &'static Release {
        Release::known(CURRENT).unwrap_or(&NONE)
    }

    /// The later release of its line that is built in, too; `None` for the last one.
    pub fn later(&self) -> Option<&'static Release> {
        Release::known(&self.line.last).filter(|last| last.version != self.version)
    }

    /// The last release of the line, for whoever writes a plan for this one; `None` for the last one.
    pub fn offer(&self) -> Option<String> {
        let later = self.later()?;
        Some(format!(
            "cozystack.version: {} is the last of the line ({}; {} is of {}), with the same bundle and settings. It mends {}. \
             `cozyup plan new --cozystack {}` writes a plan for it.",
            later.version, later.published, self.version, self.published, self.line.mends, later.version
        ))
    }

    /// The URL of the release's disk image for a cloud-init drive, beside its installer manifest.
    pub fn image_url(&self) -> String {
        let folder = self.installer.url.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{}", self.talos.assets.get("nocloud").map_or("", String::as_str))
    }

    /// Every component of the bundle, installed or not.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.components.iter().map(|e| e.name.as_str())
    }

    /// The components that are installed only when they are enabled.
    pub fn optional(&self) -> impl Iterator<Item = &str> {
        self.components.iter().filter(|e| e.optional).map(|e| e.name.as_str())
    }

    /// The bundle that is written for a profile, and what is disabled in it; `None` for no profile of the release.
    pub fn written_for(&self, profile: &str) -> Option<(&str, &[String])> {
        self.profiles.get(profile).map(|p| (p.bundle.as_str(), p.disable.as_slice()))
    }

    /// The versions built in.
    pub fn versions() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(v, _)| *v)
    }

    /// Names of the profiles and what each is for.
    pub fn profiles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.profiles.iter().map(|(name, p)| (name.as_str(), p.about.as_str()))
    }

    /// The components to expect of a profile with further ones left out or switched on, without OIDC.
    ///
    /// # Errors
    /// See [`Release::select`].
    pub fn profile(&self, name: &str, disable: &[String], enable: &[String]) -> Result<Vec<Component>, Error> {
        Ok(self.select(name, disable, enable, false)?.components)
    }

    /// Works a profile out. `oidc` is the value of `oidc-enabled`.
    ///
    /// # Errors
    /// When a name is not the bundle's, when cilium or kubeovn is left out, when a name is switched on that is not
    /// optional, or when a component that stays depends on one that does not come.
    pub fn select(&self, profile: &str, disable: &[String], enable: &[String], oidc: bool) -> Result<Selection, Error> {
        let found = self.profiles.get(profile).ok_or_else(|| Error::UnknownProfile {
            version: self.version.clone(),
            profile: profile.to_string(),
            known: self.profiles.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        let disable = joined(&found.disable, disable);
        let enable = joined(&found.enable, enable);
        for name in &disable {
            self.entry(name)?;
            if self.indispensable.contains(name) {
                return Err(Error::Indispensable { name: name.clone() });
            }
        }
        for name in &enable {
            let entry = self.entry(name)?;
            if disable.contains(name) {
                return Err(Error::Contradiction { name: name.clone() });
            }
            if entry.gate.is_some() {
                return Err(Error::Gated { name: name.clone(), setting: "oidc-enabled".to_string() });
            }
            if !entry.optional {
                return Err(Error::NotOptional { name: name.clone() });
            }
        }
        let closed = |entry: &Entry| entry.gate.as_deref().is_some_and(|gate| gate != OIDC || !oidc);
        let comes = |entry: &&Entry| {
            !disable.contains(&entry.name) && !closed(entry) && (!entry.optional || enable.contains(&entry.name))
        };
        let coming: BTreeSet<&str> = self.components.iter().filter(comes).map(|e| e.name.as_str()).collect();
        let mut components = Vec::new();
        for entry in self.components.iter().filter(comes) {
            let mut after = Vec::new();
            for name in &entry.after {
                if coming.contains(name.as_str()) {
                    after.push(name.clone());
                    continue;
                }
                // CozyStack drops dependencies on disabled components, and cozyup's data those on gated ones; one on an
                // optional component that is off stays and is never met.
                let dropped = disable.contains(name) || self.entry(name).is_ok_and(closed);
                if !dropped {
                    return Err(Error::Dangling { name: entry.name.clone(), missing: name.clone() });
                }
            }
            components.push(Component {
                name: entry.name.clone(),
                namespace: entry.namespace.clone(),
                release_name: entry.release.clone().unwrap_or_else(|| entry.name.clone()),
                after,
            });
        }
        if let Some(stuck) = first_circular(&components) {
            return Err(Error::Circle { name: stuck });
        }
        Ok(Selection { bundle: found.bundle.clone(), disable, enable, components })
    }

    fn entry(&self, name: &str) -> Result<&Entry, Error> {
        self.components
            .iter()
            .find(|e| e.name == name)
            .ok_or_else(|| Error::UnknownComponent { name: name.to_string() })
    }
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    // Kept comments have a limit of their own in this parser, and nobody reads them here.
    let options = serde_saphyr::options! { emit_comments: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())
}

fn joined(first: &[String], more: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in first.iter().chain(more) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// The components by depth of their dependencies: a wave can come up once the waves before it are ready. Names keep
/// their order; a dependency that is not among the components holds nothing back.
pub fn waves(components: &[Component]) -> Vec<Vec<String>> {
    let known: BTreeSet<&str> = components.iter().map(|c| c.name.as_str()).collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<&Component> = components.iter().collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let met = |c: &&Component| c.after.iter().all(|a| done.contains(a.as_str()) || !known.contains(a.as_str()));
        let (ready, rest): (Vec<&Component>, Vec<&Component>) = left.into_iter().partition(met);
        if ready.is_empty() {
            // A circle: `select` refuses it; here it must only not turn for ever.
            waves.push(rest.iter().map(|c| c.name.clone()).collect());
            break;
        }
        done.extend(ready.iter().map(|c| c.name.as_str()));
        waves.push(ready.iter().map(|c| c.name.clone()).collect());
        left = rest;
    }
    waves
}

fn first_circular(components: &[Component]) -> Option<String> {
    let waves = waves(components);
    let last = waves.last()?;
    // Members of a proper last wave do not depend on each other.
    components
        .iter()
        .find(|c| last.contains(&c.name) && c.after.iter().any(|a| last.contains(a)))
        .map(|c| c.name.clone())
}

#[cfg(test)]
mod tests;
