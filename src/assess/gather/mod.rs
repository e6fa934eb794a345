//! Reads the snapshot: every list page by page, and of each object only what a rule needs. What can't be read leaves a gap
//! with its reason; only an API that answers nothing at all ends the reading.
mod etcd;
mod objects;

pub use etcd::{Machines, etcd};

use super::pod::SlimPod;
use super::snapshot::{Installer, Missing, Part, Release, Sandboxes, Snapshot, kept};
use super::version::Version;
use crate::kubernetes::{Bounds, Credentials, Error, Kind, Reader, Walked};
use jiff::Timestamp;
use objects::Keep;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// Kinds of versions and groups that only old clusters have, or that cozyup itself never makes.
const CERTIFICATE: Kind = namespaced("cert-manager.io", "v1", "Certificate", "certificates");
const RELEASES: [Kind; 3] = [
    Kind::HELM_RELEASE,
    namespaced("helm.toolkit.fluxcd.io", "v2beta2", "HelmRelease", "helmreleases"),
    namespaced("helm.toolkit.fluxcd.io", "v2beta1", "HelmRelease", "helmreleases"),
];
const SOURCES: [Kind; 2] =
    [Kind::HELM_REPOSITORY, namespaced("source.toolkit.fluxcd.io", "v1beta2", "HelmRepository", "helmrepositories")];
const CLUSTER_BACKUP: Kind = namespaced("velero.io", "v1", "Backup", "backups");
const DATABASE_BACKUP: Kind = namespaced("postgresql.cnpg.io", "v1", "Backup", "backups");
const SYSTEM: &str = "cozy-system";

const fn namespaced(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind { group, version, kind, plural, namespaced: true }
}

/// Reads all of it. `etcd` is what [`etcd()`] has read, which needs other access.
///
/// # Errors
/// When the API server does not answer, is not the one of the kubeconfig, or does not know these credentials.
pub async fn gather(
    reader: &Reader,
    who: &Credentials,
    bounds: Bounds,
    now: Timestamp,
    etcd: Part<Vec<super::snapshot::Etcd>>,
) -> Result<Snapshot, Error> {
    let version = reader.version().await?.value;
    let of = Gatherer { reader, bounds, deaf: AtomicBool::new(false) };
    let pods = of.all(&[Kind::POD], None, |pod: SlimPod| Some(pod.read(now))).await;
    let volumes = of.all(&[Kind::PERSISTENT_VOLUME], None, objects::SlimVolume::keep).await;
    let claims = of.all(&[Kind::PERSISTENT_VOLUME_CLAIM], None, objects::SlimClaim::keep).await;
    Ok(Snapshot {
        at: now,
        server: who.server.clone(),
        user: who.user.clone(),
        access_ends: who.not_after,
        kubernetes: kept(&version.git_version),
        nodes: of.all(&[Kind::NODE], None, objects::SlimNode::keep).await.not_empty(),
        pods: pods.not_empty(),
        releases: of.all(&RELEASES, None, |release: Value| Some(Release::read(&release))).await.not_empty(),
        installer: of.installer().await,
        bundle: of.setting("cozystack", "bundle-name").await.map_read(Option::unwrap_or_default),
        migration: of.setting("cozystack-version", "version").await.map_read(|v| v?.trim().parse().ok()),
        sources: of.all(&SOURCES, None, objects::SlimSource::keep).await,
        sandboxes: of.sandboxes().await,
        volumes,
        claims,
        satellites: of.all(&[Kind::LINSTOR_SATELLITE], None, objects::SlimSatellite::keep).await,
        certificates: of.all(&[CERTIFICATE], None, objects::SlimCertificate::keep).await,
        backups: of.backups().await,
        etcd,
        calls: reader.calls(),
    })
}

struct Gatherer<'a> {
    reader: &'a Reader,
    bounds: Bounds,
    /// The server has stopped answering; each further question would wait its whole time.
    deaf: AtomicBool,
}

impl<T> Part<T> {
    fn map_read<U>(self, f: impl FnOnce(T) -> U) -> Part<U> {
        Part { read: f(self.read), missing: self.missing }
    }
}

impl<T> Part<Vec<T>> {
    /// Of a list that has something in it in any cluster with CozyStack.
    fn not_empty(self) -> Self {
        let missing = self.missing.or_else(|| self.read.is_empty().then_some(Missing::Empty));
        Part { read: self.read, missing }
    }
}

impl Gatherer<'_> {
    fn missing(&self, error: Error) -> Missing {
        match error {
            Error::NotFound => Missing::NotServed,
            Error::Forbidden { text } => Missing::Forbidden { text },
            Error::Unauthorized => Missing::Forbidden { text: error.to_string() },
            Error::Unreachable { .. } => {
                self.deaf.store(true, Ordering::Relaxed);
                Missing::Unanswered { text: error.to_string() }
            }
            Error::Server { .. } | Error::Webhook { .. } | Error::Gone => {
                Missing::Unanswered { text: error.to_string() }
            }
            Error::Kubeconfig { .. }
            | Error::Untrusted { .. }
            | Error::Conflict { .. }
            | Error::Invalid { .. }
            | Error::Denied { .. }
            | Error::Answer { .. } => Missing::Unusable { text: error.to_string() },
        }
    }

    fn silence(&self) -> Option<Missing> {
        let text = || "the API server has stopped answering, so it was not asked".to_string();
        self.deaf.load(Ordering::Relaxed).then(|| Missing::Unanswered { text: text() })
    }

    /// All objects of the first of these kinds that the server serves.
    async fn all<T: DeserializeOwned, R>(
        &self,
        kinds: &[Kind],
        field: Option<&str>,
        mut keep: impl FnMut(T) -> Option<R>,
    ) -> Part<Vec<R>> {
        if let Some(why) = self.silence() {
            return Part::missing(why);
        }
        let mut last = Error::NotFound;
        for kind in kinds {
            match self.reader.walk(kind, field, &self.bounds, &mut keep).await {
                Ok(Walked { items, cut, .. }) => {
                    return Part { read: items, missing: cut.map(|c| Missing::Cut { limit: c.into() }) };
                }
                Err(Error::NotFound) => {}
                Err(e) => {
                    last = e;
                    break;
                }
            }
        }
        Part::missing(self.missing(last))
    }

    async fn object(&self, kind: &Kind, name: &str) -> Result<Option<Value>, Missing> {
        if let Some(why) = self.silence() {
            return Err(why);
        }
        let got = self.reader.get(kind, Some(SYSTEM), name).await;
        got.map(|found| found.map(|answer| answer.value)).map_err(|e| self.missing(e))
    }

    /// A key of a ConfigMap of the platform; `None` where there is none.
    async fn setting(&self, map: &str, key: &str) -> Part<Option<String>> {
        match self.object(&Kind::CONFIG_MAP, map).await {
            Ok(found) => Part::whole(found.and_then(|map| Some(kept(map.get("data")?.get(key)?.as_str()?)))),
            Err(why) => Part::missing(why),
        }
    }

    /// Until v0.41 the Deployment `cozystack`, from v1.0 on `cozystack-operator`. The controller is told the version too.
    async fn installer(&self) -> Part<Installer> {
        let mut found = Installer::default();
        for name in ["cozystack", "cozystack-operator", "cozystack-controller"] {
            let deployment = match self.object(&Kind::DEPLOYMENT, name).await {
                Ok(Some(deployment)) => deployment,
                Ok(None) => continue,
                Err(why) => return Part { read: found, missing: Some(why) },
            };
            let read = Installer::read(&deployment);
            if found.image.is_empty() {
                found = Installer { version: found.version.or(read.version.clone()), ..read };
            }
            found.version = found.version.or(read.version);
            if found.version.is_some() {
                break;
            }
        }
        Part::whole(found)
    }

    /// Kubernetes keeps events for an hour; the kubelet repeats this one as long as it lasts.
    async fn sandboxes(&self) -> Part<Sandboxes> {
        let events = self.all(&[Kind::EVENT], Some("reason=FailedCreatePodSandBox"), objects::SlimEvent::keep).await;
        events.map_read(|events| {
            let no_socket = events.iter().filter(|e| e.no_socket).count();
            let last = events.iter().filter_map(|e| e.last).max();
            Sandboxes { no_socket, other: events.len() - no_socket, last }
        })
    }

    /// Both kinds may be missing: then nothing in the cluster makes backups.
    async fn backups(&self) -> Part<Vec<super::snapshot::Backup>> {
        let mut all = self.all(&[CLUSTER_BACKUP], None, |b: objects::SlimBackup| b.of(true)).await;
        let more = self.all(&[DATABASE_BACKUP], None, |b: objects::SlimBackup| b.of(false)).await;
        all.read.extend(more.read);
        let mut gaps = [all.missing, more.missing].into_iter().flatten();
        Part { read: all.read, missing: gaps.rfind(|why| *why != Missing::NotServed) }
    }
}

impl Installer {
    fn read(deployment: &Value) -> Installer {
        let containers = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        let mut images = containers.into_iter().flatten().filter_map(|c| c.get("image")?.as_str());
        let image = images.find(|image| Version::of_image(image).is_some()).map(kept).unwrap_or_default();
        let arguments = containers.into_iter().flatten().filter_map(|c| c.get("args")?.as_array()).flatten();
        let told = arguments.filter_map(|a| a.as_str()?.strip_prefix("--cozystack-version="));
        let told = told.filter_map(Version::of_tag).next();
        let created = deployment.pointer("/metadata/creationTimestamp").and_then(|at| at.as_str()?.parse().ok());
        let is_installer = deployment.pointer("/metadata/name").is_none_or(|name| name != "cozystack-controller");
        let version = told.or_else(|| Version::of_image(&image).filter(|_| is_installer));
        Installer { version: version.map(|v| v.cleaned()), image, created }
    }
}

impl Version {
    /// The tag comes from outside.
    fn cleaned(self) -> Version {
        match self {
            Version::Release { number } => Version::Release { number },
            Version::Build { after, commits, tag } => Version::Build { after, commits, tag: kept(&tag) },
            Version::Preview { of, tag } => Version::Preview { of, tag: kept(&tag) },
        }
    }
}
