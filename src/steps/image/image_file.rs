//! The Talos image under its names: packed and raw on the jump host, and on the storage.
use crate::base::answer::Answer;
use crate::plan::model::{Plan, Template};
use crate::proxmox::{Error, Volume};
use crate::steps::site::Reading;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Content type of a storage that takes disk images for `import-from`.
pub const CONTENT: &str = "import";
const PREFIX: &str = "cozyup-talos-";

/// The facts about the raw image that stay known once it was made. They are kept beside the cache, which may be deleted
/// at any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub version: u32,
    /// Of the file at the plan's URL.
    pub source_sha256: String,
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// `cozyup-talos-v1.10.6-1a2b3c4d.raw`: version and the start of the source's checksum, so that another image never
/// passes for this one. Only characters that Proxmox VE leaves as they are.
pub fn name(plan: &Plan) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
    let version: String = plan.talos.version.chars().map(plain).collect();
    let sum: String = plan.image.sha256.to_ascii_lowercase().chars().take(8).map(plain).collect();
    format!("{PREFIX}{version}-{sum}.raw")
}

/// The image that this template is made of, as `import-from` takes it.
pub fn volume(plan: &Plan, template: &Template) -> String {
    format!("{}:{CONTENT}/{}", template.image_storage, name(plan))
}

/// The templates with an image of their own: each names a storage that the image is uploaded to.
pub fn places(plan: &Plan) -> Vec<Template> {
    plan.templates().into_iter().filter(|template| template.has_own_image).collect()
}

pub fn raw(site: &Reading) -> PathBuf {
    site.cache.join(name(&site.plan))
}

/// The file as it was fetched.
pub fn packed(site: &Reading) -> PathBuf {
    site.cache.join(format!("{}.fetched", name(&site.plan)))
}

pub fn known_path(site: &Reading) -> PathBuf {
    site.cache.with_file_name(format!("{}.json", name(&site.plan)))
}

/// `None` when there is no note, or when it is about another image.
pub fn known(site: &Reading) -> Option<Known> {
    let text = std::fs::read_to_string(known_path(site)).ok()?;
    let known: Known = serde_json::from_str(&text).ok()?;
    known.source_sha256.eq_ignore_ascii_case(&site.plan.image.sha256).then_some(known)
}

/// The raw image, when it lies whole in the cache.
pub fn cached(site: &Reading) -> Option<Known> {
    let known = known(site)?;
    let there = std::fs::metadata(raw(site)).is_ok_and(|m| m.is_file() && m.len() == known.size);
    there.then_some(known)
}

/// The state of the image on the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    Missing,
    /// The volume, and its size where the server tells it.
    Whole(String, Option<u64>),
    /// Another size than the image has: an upload was cut off.
    Partial(u64),
}

fn judge(volumes: &[Volume], volid: &str, known: Option<&Known>) -> Stored {
    let Some(volume) = volumes.iter().find(|v| v.volid == volid) else { return Stored::Missing };
    // Since 9.2 the server may leave the size out, and the note may be lost with the run's folder; the name carries the
    // checksum that the server compared when it took the file.
    match (volume.size, known) {
        (Some(size), Some(known)) if size != known.size => Stored::Partial(size),
        (size, _) => Stored::Whole(volume.volid.clone(), size),
    }
}

/// # Errors
/// When the storage's content can't be read.
pub async fn stored(site: &Reading, at: &Template) -> Result<Answer<Stored>, Error> {
    let known = known(site);
    Ok(content(site, at).await?.map(|volumes| judge(&volumes, &volume(&site.plan, at), known.as_ref())))
}

/// The answers of all storages that hold the image, when it is whole on each of them.
///
/// # Errors
/// When a storage's content can't be read.
pub async fn stored_everywhere(site: &Reading) -> Result<Option<Vec<Answer<Stored>>>, Error> {
    let mut answers = Vec::new();
    for at in places(&site.plan) {
        let stored = stored(site, &at).await?;
        if !matches!(stored.value, Stored::Whole(..)) {
            return Ok(None);
        }
        answers.push(stored);
    }
    Ok(Some(answers))
}

async fn content(site: &Reading, at: &Template) -> Result<Answer<Vec<Volume>>, Error> {
    site.proxmox.storage_content(&at.host, &at.image_storage, CONTENT).await
}

/// Images of other plans, or of this one before it was edited.
///
/// # Errors
/// When the storage's content can't be read.
pub async fn others(site: &Reading, at: &Template) -> Result<Vec<String>, Error> {
    let (ours, start) = (volume(&site.plan, at), format!("{}:{CONTENT}/{PREFIX}", at.image_storage));
    let volumes = content(site, at).await?.value.into_iter().map(|v| v.volid);
    Ok(volumes.filter(|v| v.starts_with(&start) && *v != ours).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn the_name_tells_version_and_checksum_and_nothing_that_proxmox_would_change() {
        let mut plan = plan();
        assert_eq!(name(&plan), "cozyup-talos-v1.10.6-aaaaaaaa.raw");
        plan.talos.version = "v1.10.6+dirty/x".into();
        assert_eq!(name(&plan), "cozyup-talos-v1.10.6-dirty-x-aaaaaaaa.raw");
        assert_eq!(volume(&plan, &plan.first_template()), "local:import/cozyup-talos-v1.10.6-dirty-x-aaaaaaaa.raw");
    }

    #[test]
    fn a_file_of_another_size_is_not_the_image() {
        let volume = |size| Volume {
            volid: "local:import/t.raw".into(),
            format: "raw".into(),
            size,
            content: "import".into(),
            vmid: None,
        };
        let known = Known { version: 1, source_sha256: "a".into(), sha256: "b".into(), size: 100 };
        let judge = |size| judge(&[volume(size)], "local:import/t.raw", Some(&known));
        assert_eq!(judge(Some(40)), Stored::Partial(40));
        assert_eq!(judge(Some(100)), Stored::Whole("local:import/t.raw".into(), Some(100)));
        assert_eq!(judge(None), Stored::Whole("local:import/t.raw".into(), None));
        assert_eq!(super::judge(&[], "local:import/t.raw", Some(&known)), Stored::Missing);
    }
}
