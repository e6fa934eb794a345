//! Mirrors of container registries.
use super::Plan;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The registry name that stands for every one without a mirror of its own.
pub const EVERY: &str = "*";

/// A mirror that the nodes ask for a registry's images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorPlan {
    /// The registry as images name it, such as `ghcr.io`, or [`EVERY`].
    pub registry: String,
    /// URL of the mirror, `http` or `https`. With a `/v2` in its path it is the root of the images (Harbor), else `/v2` follows.
    pub endpoint: String,
    /// True when the registry itself is not asked for what the mirror does not have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only: bool,
    /// File (mode 0600) with `USER:PASSWORD` for the mirror's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_file: Option<String>,
}

impl MirrorPlan {
    /// The mirror's server as Talos' config names it, `HOST[:PORT]`; empty when the endpoint is no URL.
    pub fn server(&self) -> &str {
        let rest = self.endpoint.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }

    /// True when the endpoint's path is the root of the images: nothing is put behind it.
    pub fn is_root(&self) -> bool {
        let path =
            self.endpoint.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        path.split('/').any(|part| part == "v2")
    }

    /// The URL at which the mirror says whether it is a registry.
    pub fn probe(&self) -> String {
        if self.is_root() {
            let scheme = self.endpoint.split_once("://").map_or("https", |(scheme, _)| scheme);
            return format!("{scheme}://{}/v2/", self.server());
        }
        format!("{}/v2/", self.endpoint.trim_end_matches('/'))
    }
}

impl fmt::Display for MirrorPlan {
    /// `REGISTRY=ENDPOINT[;only][;login=FILE]`, as the form shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.registry, self.endpoint)?;
        if self.only {
            f.write_str(";only")?;
        }
        self.login_file.as_ref().map_or(Ok(()), |file| write!(f, ";login={file}"))
    }
}

impl FromStr for MirrorPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "`{text}` is no mirror: write REGISTRY=URL;only;login=FILE, such as ghcr.io=https://mirror.example.org"
            )
        };
        let mut parts = text.split(';').map(str::trim);
        let (registry, endpoint) = parts.next().and_then(|first| first.split_once('=')).ok_or_else(form)?;
        let mut mirror = MirrorPlan {
            registry: registry.to_string(),
            endpoint: endpoint.to_string(),
            only: false,
            login_file: None,
        };
        for part in parts {
            match part.split_once('=') {
                None if part == "only" => mirror.only = true,
                Some(("login", file)) if !file.is_empty() => mirror.login_file = Some(file.to_string()),
                None | Some(_) => return Err(form()),
            }
        }
        if mirror.registry.is_empty() || mirror.endpoint.is_empty() { Err(form()) } else { Ok(mirror) }
    }
}

impl Plan {
    /// The mirrors that are asked for the images of a registry, in their order: its own, or else those of [`EVERY`].
    pub fn mirrors_of<'a>(&'a self, registry: &'a str) -> impl Iterator<Item = &'a MirrorPlan> {
        let has_own = self.talos.mirrors.iter().any(|m| m.registry == registry);
        let name = if has_own { registry } else { EVERY };
        self.talos.mirrors.iter().filter(move |m| m.registry == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_one_text_in_the_form() {
        let text = "ghcr.io=https://mirror.example.org:5000/ghcr;only;login=~/mirror.login";
        let mirror: MirrorPlan = text.parse().unwrap();
        assert_eq!((mirror.server(), mirror.only), ("mirror.example.org:5000", true));
        assert_eq!(mirror.to_string(), text);
        for wrong in ["ghcr.io", "=https://a", "ghcr.io=", "ghcr.io=https://a;maybe", "ghcr.io=https://a;login="] {
            assert!(wrong.parse::<MirrorPlan>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_with_v2_is_the_root_of_the_images_and_any_other_is_followed_by_it() {
        let of = |endpoint: &str| format!("ghcr.io={endpoint}").parse::<MirrorPlan>().unwrap();
        let harbor = of("https://harbor.example.org/v2/proxy-ghcr.io");
        assert!(harbor.is_root());
        assert_eq!(harbor.probe(), "https://harbor.example.org/v2/");
        let plain = of("http://127.0.0.1:5000/ghcr/");
        assert!(!plain.is_root());
        assert_eq!(plain.probe(), "http://127.0.0.1:5000/ghcr/v2/");
    }
}
