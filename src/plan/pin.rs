//! Files whose SHA-256 the plan holds, and the digests that were written because the file had it when it was fetched first.
use super::model::Plan;
use super::names::is_sha256;
use crate::base::text::{line, size};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A file that the plan pins, or may pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pin {
    /// The disk image of Talos.
    Image,
    /// CozyStack's installer manifest.
    Installer,
    /// The components of capmox.
    Capmox,
    /// The components of the IPAM provider.
    Ipam,
}

impl Pin {
    /// All of them, in the order of the plan.
    pub const ALL: [Pin; 4] = [Pin::Image, Pin::Installer, Pin::Capmox, Pin::Ipam];

    /// The plan's key for the digest.
    pub fn key(self) -> &'static str {
        match self {
            Pin::Image => "image.sha256",
            Pin::Installer => "cozystack.installer_sha256",
            Pin::Capmox => "integration.capmox.components_sha256",
            Pin::Ipam => "integration.capmox.ipam_components_sha256",
        }
    }

    /// `None` for any other key.
    pub fn of_key(key: &str) -> Option<Pin> {
        Pin::ALL.into_iter().find(|pin| pin.key() == key)
    }

    /// The file in words.
    pub fn title(self) -> &'static str {
        match self {
            Pin::Image => "Talos image",
            Pin::Installer => "installer manifest",
            Pin::Capmox => "components of capmox",
            Pin::Ipam => "components of IPAM",
        }
    }

    /// The digest that the plan has; `None`: none that could be compared.
    pub fn digest(self, plan: &Plan) -> Option<&str> {
        let capmox = &plan.integration.capmox;
        let digest = match self {
            Pin::Image => Some(&plan.image.sha256),
            Pin::Installer => plan.cozystack.installer_sha256.as_ref(),
            Pin::Capmox => capmox.components_sha256.as_ref(),
            Pin::Ipam => capmox.ipam_components_sha256.as_ref(),
        };
        digest.map(String::as_str).filter(|digest| is_sha256(digest))
    }

    /// What decides which file it is: its address, or the version whose release has it.
    pub fn source(self, plan: &Plan) -> &str {
        let capmox = &plan.integration.capmox;
        match self {
            Pin::Image => &plan.image.url,
            Pin::Installer => &plan.cozystack.installer_url,
            Pin::Capmox => capmox.components_url.as_ref().unwrap_or(&capmox.version),
            Pin::Ipam => capmox.ipam_components_url.as_ref().unwrap_or(&capmox.ipam_version),
        }
    }
}

/// A file as it came when it was fetched for the plan. Nobody else has vouched for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstUse {
    /// Which file.
    pub pin: Pin,
    /// As [`Pin::source`] was then.
    pub source: String,
    /// Where it was fetched from.
    pub url: String,
    /// Of the whole file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it came.
    pub at: Timestamp,
}

impl FirstUse {
    /// True while the plan's digest is the one of this file.
    pub fn holds(&self, plan: &Plan) -> bool {
        self.pin.source(plan) == self.source && self.pin.digest(plan) == Some(self.sha256.as_str())
    }

    /// One sentence or two, for whoever reads the plan.
    pub fn remark(&self) -> String {
        let unencrypted =
            if self.url.starts_with("http://") { ", over http, where anybody on the way can change it" } else { "" };
        format!(
            "Trusted on first use: the file ({}) was fetched from {} at {}{unencrypted}, and this is the SHA-256 of what came. Nobody \
             else has vouched for it: compare it with its publisher's where there is one.",
            size(self.bytes),
            line(&self.url),
            self.at.strftime("%Y-%m-%d %H:%M UTC"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::defaults::{Defaults, plan};
    use super::super::form::fields;
    use super::super::keys;
    use super::*;

    #[test]
    fn every_digest_of_the_plan_can_be_had_by_fetching_its_file() {
        let digests: Vec<String> =
            keys::all().into_iter().map(|(path, _)| path).filter(|path| path.ends_with("sha256")).collect();
        assert_eq!(digests, Pin::ALL.map(Pin::key));
        for pin in Pin::ALL {
            assert_eq!(Pin::of_key(pin.key()), Some(pin));
            assert!(fields().iter().any(|field| field.key == pin.key()), "{}", pin.key());
        }
        assert_eq!(Pin::of_key("image.url"), None);
    }

    #[test]
    fn what_was_trusted_once_says_so_until_the_plan_names_another_file_or_digest() {
        let mut plan = plan(&Defaults::default());
        let trusted = FirstUse {
            pin: Pin::Image,
            source: plan.image.url.clone(),
            url: plan.image.url.clone(),
            sha256: "a".repeat(64),
            bytes: 8 << 20,
            at: "2026-11-30T14:10:00Z".parse().unwrap(),
        };
        assert!(!trusted.holds(&plan) && Pin::Image.digest(&plan).is_none(), "FILL-IN is no digest");
        plan.image.sha256 = "a".repeat(64);
        assert!(trusted.holds(&plan));
        assert!(trusted.remark().contains("(8.0 MiB)") && trusted.remark().contains("2026-11-30 14:10 UTC"));
        assert!(!trusted.remark().contains("over http,"));
        let over_http = FirstUse { url: "http://mirror/t.raw.xz".into(), ..trusted.clone() };
        assert!(over_http.remark().contains("over http, where anybody"));
        plan.image.url.push('x');
        assert!(!trusted.holds(&plan));
    }
}
