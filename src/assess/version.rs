//! Versions of CozyStack as clusters show them: releases, builds between releases, and names that say nothing.
//!
//! Source: cozystack/cozystack, `packages/core/installer/values.yaml` of the tags: until v0.26 the image is
//! `ghcr.io/aenix-io/cozystack/cozystack:vX`, from v0.28 on `ghcr.io/cozystack/cozystack/installer:vX@sha256:...`. A build
//! from a checkout is tagged with `git describe`: `v0.28.0-54-g22cf18ff`.
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Major, minor and patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

impl Number {
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Number { major, minor, patch }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl FromStr for Number {
    type Err = ();

    /// `v0.37.2`
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix('v').ok_or(())?.split('.');
        let mut part = || {
            let digits = parts.next().filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit())).ok_or(())?;
            digits.parse::<u16>().map_err(|_| ())
        };
        let number = Number::new(part()?, part()?, part()?);
        if parts.next().is_some() { Err(()) } else { Ok(number) }
    }
}

/// What a tag says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Version {
    /// A release of the project.
    Release { number: Number },
    /// Built so many commits after a release; what is in it nobody has published.
    Build { after: Number, commits: u32, tag: String },
    /// A release candidate or the like.
    Preview { of: Number, tag: String },
}

impl Version {
    /// Of a tag such as `v0.37.2`; `None` when it names no version (`latest`, a digest).
    pub fn of_tag(tag: &str) -> Option<Version> {
        if let Ok(number) = tag.parse() {
            return Some(Version::Release { number });
        }
        let (base, rest) = tag.split_once('-')?;
        let base: Number = base.parse().ok()?;
        let described = rest.split_once("-g").and_then(|(commits, hash)| {
            let hash = hash.strip_suffix("-dirty").unwrap_or(hash);
            let is_hash = hash.len() >= 4 && hash.bytes().all(|b| b.is_ascii_hexdigit());
            commits.parse::<u32>().ok().filter(|_| is_hash)
        });
        match (described, rest) {
            (Some(commits), _) => Some(Version::Build { after: base, commits, tag: tag.to_string() }),
            (None, "dirty") => Some(Version::Build { after: base, commits: 0, tag: tag.to_string() }),
            (None, _) => Some(Version::Preview { of: base, tag: tag.to_string() }),
        }
    }

    /// Of an image such as `ghcr.io/cozystack/cozystack/installer:v0.37.2@sha256:...`.
    pub fn of_image(image: &str) -> Option<Version> {
        let named = image.split('@').next().unwrap_or_default();
        // A port of the registry has a colon too.
        let last = named.rsplit('/').next().unwrap_or_default();
        Version::of_tag(last.split_once(':')?.1)
    }

    /// The release that it is, or that it was built from.
    pub fn number(&self) -> Number {
        match self {
            Version::Release { number } => *number,
            Version::Build { after, .. } => *after,
            Version::Preview { of, .. } => *of,
        }
    }

    pub fn is_release(&self) -> bool {
        match self {
            Version::Release { .. } => true,
            Version::Build { .. } | Version::Preview { .. } => false,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Release { number } => number.fmt(f),
            Version::Build { tag, .. } | Version::Preview { tag, .. } => f.write_str(tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_builds_and_old_image_names_are_read() {
        let shown = |image: &str| Version::of_image(image).map(|v| (v.to_string(), v.number(), v.is_release()));
        let at = |minor| Number::new(0, minor, 0);
        assert_eq!(
            shown("ghcr.io/cozystack/cozystack/installer:v0.28.0-54-g22cf18ff"),
            Some(("v0.28.0-54-g22cf18ff".into(), at(28), false))
        );
        assert_eq!(shown("ghcr.io/aenix-io/cozystack/cozystack:v0.26.0"), Some(("v0.26.0".into(), at(26), true)));
        assert_eq!(
            shown("registry.local:5000/cozystack/installer:v0.37.2@sha256:0123"),
            Some(("v0.37.2".into(), Number::new(0, 37, 2), true))
        );
        assert_eq!(shown("ghcr.io/cozystack/cozystack/installer:v1.0.0-rc.1").map(|v| v.2), Some(false));
        for nothing in ["registry.local:5000/installer", "x:latest", "x@sha256:00", "x:v1", "", "x:v0.99999999.0"] {
            assert_eq!(shown(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_build_tells_how_far_it_is_from_its_release() {
        let build = Version::of_tag("v0.28.0-54-g22cf18ff-dirty");
        assert!(matches!(build, Some(Version::Build { commits: 54, .. })), "{build:?}");
        assert!(matches!(Version::of_tag("v0.37.0-alpha-gate"), Some(Version::Preview { .. })));
    }
}
