//! What a backup says of itself: where it is from, what is in it with its sums, what is not and why.
use super::choice::Why;
use super::fault::Fault;
use crate::assess::snapshot::Missing;
use crate::base::file::read_regular;
use crate::base::text::hex;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// Version of the form of manifest and folder.
pub const SCHEMA: u32 = 1;
pub const NAME: &str = "manifest.json";
/// For `sha256sum -c`, by anybody.
pub const SUMS: &str = "SHA256SUMS";
/// Longest manifest, in bytes: some 200,000 files.
const LONGEST: u64 = 64 << 20;

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileKept {
    /// From the backup's folder on, with slashes.
    pub path: String,
    pub bytes: u64,
    /// Lower-case hexadecimal; of a sealed file, of what lies on the disk.
    pub sha256: String,
    pub objects: usize,
}

/// A kind that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindKept {
    /// `deployments.apps`
    pub resource: String,
    pub api_version: String,
    pub kind: String,
    pub namespaced: bool,
    /// Objects that are in it.
    pub objects: usize,
    /// Of these, those that a controller has made.
    pub owned: usize,
    /// Objects that are not in it, since Kubernetes itself makes them again.
    pub made_again: usize,
    /// Values that were withheld because they look like secrets.
    pub withheld: usize,
    pub files: Vec<FileKept>,
}

/// A kind that is left out of every such backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub resource: String,
    pub why: Why,
}

/// Something that should be in it and is not, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// `pods`, `metrics.k8s.io/v1beta1` or `etcd`
    pub what: String,
    pub missing: Missing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// URL of the API server.
    pub server: String,
    /// Uid of the namespace `kube-system`, which no other cluster has; `None` where it can't be read.
    pub uid: Option<String>,
    /// `v1.33.3`
    pub kubernetes: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub schema: u32,
    /// Version of cozyup.
    pub made_by: String,
    pub cluster: Cluster,
    /// Name of the kubeconfig's user.
    pub user: String,
    pub began: Timestamp,
    pub ended: Timestamp,
    /// The public key for which Secrets are sealed; `None` when none are in it.
    pub sealed_for: Option<String>,
    pub kinds: Vec<KindKept>,
    pub left_out: Vec<LeftOut>,
    pub gaps: Vec<Gap>,
    /// Address of the machine whose etcd's snapshot is in it.
    pub etcd_of: Option<String>,
    /// Files that are no objects: sums, keys, etcd's snapshot.
    pub others: Vec<FileKept>,
}

/// The file: the manifest, and the digest that it must have.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    manifest: Manifest,
    sha256: String,
}

impl Manifest {
    /// Every file of the backup but the manifest.
    pub fn files(&self) -> impl Iterator<Item = &FileKept> {
        self.kinds.iter().flat_map(|k| &k.files).chain(&self.others)
    }

    pub fn objects(&self) -> usize {
        self.kinds.iter().map(|k| k.objects).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files().map(|f| f.bytes).sum()
    }

    pub fn withheld(&self) -> usize {
        self.kinds.iter().map(|k| k.withheld).sum()
    }

    /// SHA-256 over the manifest and so over the whole backup. Whoever kept it elsewhere can tell any change.
    pub fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        hex(digest(&SHA256, &bytes).as_ref())
    }

    pub(super) fn text(&self) -> String {
        let signed = Signed { manifest: self.clone(), sha256: self.digest() };
        let mut text = serde_json::to_string_pretty(&signed).unwrap_or_default();
        text.push('\n');
        text
    }

    /// # Errors
    /// When the folder has none, or it was changed.
    pub fn read(dir: &Path) -> Result<Manifest, Fault> {
        let path = dir.join(NAME);
        let shown = || path.display().to_string();
        if std::fs::symlink_metadata(&path).is_err() {
            return Err(Fault::no_manifest(dir));
        }
        let text =
            read_regular(&path, LONGEST).ok_or_else(|| Fault::Manifest { path: shown(), why: "it can't be read" })?;
        let damaged = |_| Fault::Manifest { path: shown(), why: "it is no manifest of a backup of this version" };
        let signed: Signed = serde_json::from_str(&text).map_err(damaged)?;
        if signed.manifest.schema != SCHEMA {
            return Err(Fault::Manifest { path: shown(), why: "a later version of cozyup has made it" });
        }
        if signed.sha256 != signed.manifest.digest() {
            return Err(Fault::Manifest { path: shown(), why: "it was changed after it was written" });
        }
        if !signed.manifest.files().all(|f| is_inside(&f.path)) {
            return Err(Fault::Manifest { path: shown(), why: "it names a file outside of the backup" });
        }
        Ok(signed.manifest)
    }
}

/// A path of names alone, so that it leads nowhere else.
pub fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
