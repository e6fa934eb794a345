//! The way from one release to a later one.
//!
//! Sources: cozystack/cozystack, `scripts/migrations` at v0.37.2 (a script N brings a cluster from N to N+1), the ConfigMap
//! `cozystack-version` that each release leaves, and `packages/core/installer/images/talos/profiles` for Talos. The project
//! itself documents only to apply the newer manifest; stopping at the last patch of each minor version is the careful way.
use super::version::{Number, Version};
use serde::Serialize;

/// The first version from which the way is known.
const OLDEST: Number = Number::new(0, 26, 0);

/// The reason why something is no target of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    #[error("it is no release: give one such as v0.37.2")]
    NoRelease,
    #[error(
        "the way to {0} is not known to cozyup, which knows it up to {1}: give a release up to that, and read CozyStack's own notes for the rest"
    )]
    Beyond(Number, Number),
    #[error("the way is known from v0.27 on")]
    TooOld,
    #[error("{0} is not known to be a release: the last one of its minor version that is known is {1}")]
    NoSuchPatch(Number, Number),
}

/// A release to which the way is known.
///
/// # Errors
/// With the reason: nothing is said of a way that nobody here knows.
pub fn target(text: &str) -> Result<Number, NoTarget> {
    let wanted: Number = text.parse().map_err(|()| NoTarget::NoRelease)?;
    let is_same_minor = |row: &&Row| (row.version.major, row.version.minor) == (wanted.major, wanted.minor);
    match (STOPS.iter().find(is_same_minor), STOPS.last()) {
        (Some(row), _) if wanted > row.version => Err(NoTarget::NoSuchPatch(wanted, row.version)),
        (_, Some(last)) if wanted > last.version => Err(NoTarget::Beyond(wanted, last.version)),
        _ if wanted < Number::new(0, 27, 0) => Err(NoTarget::TooOld),
        _ => Ok(wanted),
    }
}

struct Row {
    version: Number,
    talos: &'static str,
}

/// The last patch of each minor version that is a good stop.
const STOPS: [Row; 8] = [
    Row { version: Number::new(0, 30, 6), talos: "v1.9.5" },
    Row { version: Number::new(0, 31, 2), talos: "v1.10.1" },
    Row { version: Number::new(0, 32, 1), talos: "v1.10.3" },
    Row { version: Number::new(0, 33, 3), talos: "v1.10.3" },
    Row { version: Number::new(0, 34, 8), talos: "v1.10.5" },
    Row { version: Number::new(0, 35, 5), talos: "v1.10.6" },
    Row { version: Number::new(0, 36, 3), talos: "v1.10.6" },
    Row { version: Number::new(0, 37, 10), talos: "v1.10.6" },
];

/// The migrations in a few words, from number 1 on.
const MIGRATIONS: [&str; 20] = [
    "mariadb webhook secret",
    "mariadb definitions",
    "owner of the Kube-OVN definitions",
    "volumes of tenant clusters",
    "data volumes of tenant clusters",
    "cert-manager definitions, monitoring agents",
    "root-host into the ConfigMap",
    "kubeapps-admin group removed",
    "kubernetes apps 0.15.1",
    "keycloak-configure",
    "kube-rbac-proxy",
    "expose settings into the ConfigMap",
    "tenants 1.10.0",
    "capi-providers split",
    "Kamaji webhook, tenant control planes 1.32.4",
    "resources of all apps in the new form",
    "kubernetes apps 0.26.1",
    "tenants 1.13.0, VMs",
    "SeaweedFS values",
    "cozystack-api, controller, definitions and dashboard made anew",
];

/// The number that a release leaves in the ConfigMap `cozystack-version`.
pub fn migration_after(version: Number) -> Option<u32> {
    match (version.major, version.minor, version.patch) {
        (0, 26..=30, _) => Some(10),
        (0, 31, 0 | 1) => Some(13),
        (0, 31, _) => Some(14),
        (0, 32, _) => Some(16),
        (0, 33, _) | (0, 34, 0..=2) => Some(17),
        (0, 34 | 35, _) => Some(18),
        (0, 36, _) => Some(20),
        (0, 37..=39, _) => Some(21),
        _ => None,
    }
}

/// One stop on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stop {
    pub version: Number,
    /// Version of Talos that this release was made for.
    pub talos: &'static str,
    /// Numbers and names of the migrations that run on the way here.
    pub migrations: Vec<(u32, &'static str)>,
}

/// Where a cluster stands, seen from the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Way {
    /// At the target.
    There,
    /// Beyond the target: there is no way back.
    Beyond,
    /// Older than the oldest release from which a way is known.
    TooOld,
    /// Nobody knows the version.
    Unknown,
    Ahead {
        minors: u16,
        stops: Vec<Stop>,
    },
}

impl Way {
    /// `found` is the number of the last migration, when it is known.
    pub fn between(from: Option<&Version>, target: Number, found: Option<u32>) -> Way {
        let Some(from) = from.map(Version::number) else { return Way::Unknown };
        if from == target {
            return Way::There;
        }
        if from > target {
            return Way::Beyond;
        }
        if from < OLDEST {
            return Way::TooOld;
        }
        let mut number = found.or_else(|| migration_after(from)).unwrap_or_default();
        let between = STOPS.iter().filter(|s| s.version.minor > from.minor && s.version.minor < target.minor);
        let talos = STOPS.iter().find(|s| s.version.minor >= target.minor).map_or("", |s| s.talos);
        let rows = between.map(|s| (s.version, s.talos)).chain([(target, talos)]);
        let stops = rows.map(|(version, talos)| {
            let after = migration_after(version).unwrap_or(number).max(number);
            let migrations =
                (number..after).filter_map(|n| Some((n, *MIGRATIONS.get(usize::try_from(n).ok()?.checked_sub(1)?)?)));
            let stop = Stop { version, talos, migrations: migrations.collect() };
            number = after;
            stop
        });
        Way::Ahead { minors: target.minor - from.minor, stops: stops.collect() }
    }

    pub fn stops(&self) -> &[Stop] {
        match self {
            Way::Ahead { stops, .. } => stops,
            Way::There | Way::Beyond | Way::TooOld | Way::Unknown => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(from: &str, target: &str) -> Way {
        Way::between(Version::of_tag(from).as_ref(), target.parse().unwrap(), None)
    }

    fn versions(way: &Way) -> Vec<String> {
        way.stops().iter().map(|s| s.version.to_string()).collect()
    }

    #[test]
    fn from_v0_28_to_v0_37_2_there_are_nine_minor_versions_in_eight_stops() {
        let way = way("v0.28.0-54-g22cf18ff", "v0.37.2");
        assert!(matches!(way, Way::Ahead { minors: 9, .. }));
        let stops = ["v0.30.6", "v0.31.2", "v0.32.1", "v0.33.3", "v0.34.8", "v0.35.5", "v0.36.3", "v0.37.2"];
        assert_eq!(versions(&way), stops);
        let numbers: Vec<u32> = way.stops().iter().flat_map(|s| &s.migrations).map(|m| m.0).collect();
        assert_eq!(numbers, (10..=20).collect::<Vec<u32>>(), "each migration once");
    }

    #[test]
    fn a_patch_of_the_same_minor_version_is_one_stop() {
        assert_eq!(versions(&way("v0.37.0", "v0.37.2")), ["v0.37.2"]);
        assert_eq!(versions(&way("v0.36.1", "v0.37.2")), ["v0.37.2"]);
    }

    #[test]
    fn a_target_to_which_no_way_is_known_is_refused_and_none_is_told() {
        for known in ["v0.27.0", "v0.30.6", "v0.37.2", "v0.37.10"] {
            assert_eq!(target(known).map(|n| n.to_string()), Ok(known.to_string()));
        }
        for (text, says) in [
            ("v0.38.0", "not known to cozyup, which knows it up to v0.37.10"),
            ("v1.6.2", "not known to cozyup"),
            ("v0.37.11", "is not known to be a release: the last one of its minor version that is known is v0.37.10"),
            ("v0.33.9", "v0.33.3"),
            ("v0.26.1", "from v0.27 on"),
            ("latest", "no release"),
            ("v0.37", "no release"),
        ] {
            assert!(target(text).unwrap_err().to_string().contains(says), "{text}");
        }
    }

    #[test]
    fn without_a_way_none_is_invented() {
        assert_eq!(way("v0.37.2", "v0.37.2"), Way::There);
        assert_eq!(way("v0.41.0", "v0.37.2"), Way::Beyond);
        assert_eq!(way("v0.10.0", "v0.37.2"), Way::TooOld);
        assert_eq!(way("latest", "v0.37.2"), Way::Unknown);
    }
}
