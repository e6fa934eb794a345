//! `day3.installer`: CozyStack's installer runs. Why it does not is told from its pod's log.
use crate::base::text::quoted;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Kind, Reader};
use crate::plan::model::Plan;
use crate::steps::cluster::{self, foreign, get, is_ours, items, proven, seen, text};
use crate::steps::platform::manifest;
use crate::steps::platform::values::{NAME, NAMESPACE};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::workload::{self, is_up};
use crate::steps::{follow, outlines};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub const KIND: &str = "day3.installer";
const BAND: Band = Band::new(60, 180);

pub struct Installer {
    outline: Outline,
    version: String,
}

pub fn step(plan: &Plan) -> Installer {
    let cozystack = &plan.cozystack;
    let title = format!("the installer of CozyStack {} runs", cozystack.version);
    let by_hand = format!(
        "kubectl apply --server-side -f {}\nkubectl rollout status -n {NAMESPACE} deployment/{NAME}",
        quoted(&cozystack.installer_url)
    );
    let outline =
        outlines::change(StepId::new(KIND), 3, title, BAND, by_hand).after([StepId::new(super::settings::KIND)]);
    Installer { outline, version: cozystack.version.clone() }
}

/// `v0.37.2` of `registry/installer:v0.37.2@sha256:…`
fn tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    image.rsplit('/').next().and_then(|last| last.split_once(':')).map_or("", |(_, tag)| tag)
}

/// `sha256:…` of `registry/installer:v0.37.2@sha256:…`
fn digest(image: &str) -> Option<&str> {
    image.split_once('@').map(|(_, digest)| digest)
}

/// An image of the Deployment that is not the release's own, bit by bit.
fn stranger<'a>(deployment: &'a Value, release: &str) -> Option<&'a str> {
    // What runs before the containers has the rights of the same account.
    let places = ["/spec/template/spec/initContainers", "/spec/template/spec/containers"];
    let images = places.into_iter().flat_map(|place| items(deployment, place)).map(|c| text(c, "/image"));
    let mut others = images.filter(|image| digest(image).is_none() || digest(image) != digest(release));
    others.next()
}

/// Installer images get every right in the cluster. A manifest that the plan pins is a person's own decision.
fn unknown_image(image: &str, release: &str) -> Failure {
    Failure::refused(
        format!("the installer's manifest names the image {image}, and the release was built as {release}"),
        "find out who changed the manifest; set cozystack.installer_sha256 in the plan to its SHA-256 only when you trust that image",
    )
}

/// The trouble that keeps the installer's pods from running; see [`workload::trouble`].
///
/// # Errors
/// When the pods can't be listed.
pub async fn trouble(reader: &Reader, deployment: &Value) -> Result<Option<String>, Failure> {
    workload::trouble(reader, NAMESPACE, deployment).await
}

#[async_trait]
impl Step<Installation> for Installer {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let Some(found) = get(&reader, &Kind::DEPLOYMENT, Some(NAMESPACE), NAME).await? else {
            return Ok(Observed::Absent(format!("there is no Deployment {NAMESPACE}/{NAME}")));
        };
        let deployment = &found.value;
        if !is_ours(site, deployment) {
            return Ok(Observed::Conflict(foreign(&Kind::DEPLOYMENT, Some(NAMESPACE), NAME, deployment)));
        }
        let other = items(deployment, "/spec/template/spec/containers")
            .map(|c| text(c, "/image"))
            .find(|image| tag(image) != self.version);
        if let Some(image) = other {
            return Ok(Observed::Absent(format!("it runs the image {image}")));
        }
        let file = manifest::file(&site.plan);
        let release = &site.release.installer.image;
        let other = stranger(deployment, release);
        if let Some(image) = other.filter(|_| !file.is_pinned()) {
            return Ok(Observed::Conflict(unknown_image(image, release)));
        }
        if is_up(deployment) {
            let image = match other {
                None => "with the release's own image, by digest".to_string(),
                Some(image) => format!(
                    "deviation: {image} is not the release's own image; the manifest is pinned by the plan's SHA-256"
                ),
            };
            let summary = format!("Deployment {NAMESPACE}/{NAME} of {} is available {image}", self.version);
            return Ok(file.recorded(site, proven(summary, vec![seen(cx, &found)])?));
        }
        let why = match trouble(&reader, deployment).await? {
            Some(why) => why,
            None => cluster::said(deployment, "Available"),
        };
        Ok(Observed::Underway(Wait::new("the installer's pod runs", why, BAND)))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let objects = manifest::parse(&manifest::file(&site.plan).fetch(site).await?.text, site.label())?;
        let reader = site.kubernetes()?;
        let release = &site.release.installer.image;
        let deployments = objects.iter().filter(|o| o.kind == Kind::DEPLOYMENT);
        if let Some(image) = deployments.filter_map(|o| stranger(&o.body, release)).next()
            && !manifest::file(&site.plan).is_pinned()
        {
            return Err(unknown_image(image, release));
        }
        for o in &objects {
            if let Some(live) = get(&reader, &o.kind, o.namespace.as_deref(), &o.name).await?
                && !is_ours(site, &live.value)
            {
                return Err(foreign(&o.kind, o.namespace.as_deref(), &o.name, &live.value));
            }
        }
        cluster::apply(change, &objects).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(crate::steps::day1::clone::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::DEPLOYMENT, Some(NAMESPACE), Some(NAME), Duration::from_secs(3)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// issue 10 C13
    #[test]
    fn an_image_is_the_releases_own_by_its_digest_and_by_nothing_else() {
        let release = "ghcr.io/cozystack/cozystack/installer:v0.37.2@sha256:aa";
        let among = |kind: &str, images: &[&str]| {
            let containers: Vec<Value> = images.iter().map(|image| serde_json::json!({"image": image})).collect();
            let mut deployment =
                serde_json::json!({"spec": {"template": {"spec": {"containers": [{"image": release}]}}}});
            deployment["spec"]["template"]["spec"][kind] = containers.into();
            stranger(&deployment, release).map(String::from)
        };
        let with = |images: &[&str]| among("containers", images);
        assert_eq!(with(&[release, "mirror.local/installer:v0.37.2@sha256:aa"]), None);
        for other in ["ghcr.io/cozystack/cozystack/installer:v0.37.2", "ghcr.io/x/installer:v0.37.2@sha256:ab"] {
            assert_eq!(with(&[release, other]).as_deref(), Some(other));
            assert_eq!(among("initContainers", &[other]).as_deref(), Some(other));
        }
        let told = unknown_image("x", release);
        assert!(told.next.contains("cozystack.installer_sha256"), "{told}");
    }

    #[test]
    fn the_releases_installer_is_named_by_digest() {
        let release = crate::release::Release::embedded("v0.37.2").unwrap();
        let sha256 = digest(&release.installer.image).and_then(|d| d.strip_prefix("sha256:")).unwrap();
        assert!(sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(tag(&release.installer.image), release.version);
    }

    #[test]
    fn the_tag_of_an_image_is_found_beside_ports_and_digests() {
        assert_eq!(tag("ghcr.io/cozystack/cozystack/installer:v0.37.2@sha256:c7c2"), "v0.37.2");
        assert_eq!(tag("registry:5000/installer"), "");
        assert_eq!(tag("registry:5000/installer:v0.37.20"), "v0.37.20");
    }
}
