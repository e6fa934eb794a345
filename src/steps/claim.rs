//! The claim on a run, written where every cozyup that works on the run must look: in the notes of the run's template.
//! A run's folder can be copied to a second jump host, and no file lock works between two machines.
use super::site::{Changing, MARK, Reading};
use super::{failures, owner};
use crate::base::answer::Answer;
use crate::base::text;
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::proxmox::{Cause, Error, VmConfig};
use aws_lc_rs::digest;
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;

const KEY: &str = "cozyup-by=";
/// A claim that was read so short a time ago, of the clock, is not read again before an act.
const FRESH: Duration = Duration::from_secs(5);

/// One place that a run is worked on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub host: String,
    /// Tells this machine and folder from every other; 8 hexadecimal digits.
    pub place: String,
    pub since: Timestamp,
}

impl Claim {
    /// This machine's, for the run in `folder`. `id` tells it from a copy of this machine, see `session::place`.
    pub fn here(host: &str, folder: &Path, id: &str, since: Timestamp) -> Claim {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let mut whole = format!("{host}\n{}\n{}", machine.trim(), folder.display());
        if !id.is_empty() {
            whole = format!("{whole}\n{id}");
        }
        let sum = digest::digest(&digest::SHA256, whole.as_bytes());
        let place = text::hex(sum.as_ref()).chars().take(8).collect();
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
        Claim { host: host.chars().map(plain).take(64).collect(), place, since }
    }

    /// `cozyup-by=jump1/1a2b3c4d/2026-11-25T08:00:00Z`
    pub fn word(&self) -> String {
        format!("{KEY}{}/{}/{}", self.host, self.place, self.since.strftime("%FT%TZ"))
    }

    /// The claim in a VM's notes.
    pub fn of(notes: &str) -> Option<Claim> {
        let word = notes.split_whitespace().find_map(|w| w.strip_prefix(KEY))?;
        let mut parts = word.split('/');
        let (host, place, since) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Claim { host: text::clean(host), place: place.to_string(), since: since.parse().ok()? })
    }

    /// The notes with this claim in the place of any other; everything else in them stays.
    fn written_into(&self, notes: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        for line in notes.lines() {
            let kept: Vec<&str> = line.split(' ').filter(|w| !w.starts_with(KEY)).collect();
            let is_bare = kept.iter().all(|w| w.is_empty()) && line.contains(KEY);
            if !is_bare {
                lines.push(kept.join(" "));
            }
        }
        lines.push(self.word());
        lines.join("\n")
    }

    pub fn is_of(&self, other: &Claim) -> bool {
        self.place == other.place
    }
}

/// Describes the owner of a VM with these notes, when it is not this run: `is of the cozyup run NAME.ID, worked on from
/// HOST`.
pub fn whose(notes: Option<&str>) -> String {
    let notes = notes.unwrap_or_default();
    let Some(run) = notes.split_whitespace().find_map(|w| w.strip_prefix(MARK)) else {
        return "does not carry this run's mark".to_string();
    };
    let from = Claim::of(notes).map(|c| format!(", worked on from {}", c.host)).unwrap_or_default();
    format!("is of the cozyup run {}{from}", text::shorten(&text::clean(run), 80))
}

/// The target's answer about the place that works on the run.
pub enum Holder {
    /// There is no template of this run yet.
    Unmade,
    Nobody(Answer<VmConfig>),
    Us(Answer<VmConfig>),
    Other(Claim, Answer<VmConfig>),
}

/// # Errors
/// When Proxmox VE does not answer.
pub async fn holder(site: &Reading) -> Result<Holder, Failure> {
    let template = &site.plan.template;
    let config = match site.vm_config(&template.host, template.vmid).await {
        Ok(config) => config,
        Err(Error::NotFound { .. }) => return Ok(Holder::Unmade),
        Err(e) => return Err(failures::proxmox(&e, "read who works on this run")),
    };
    let notes = config.value.description().unwrap_or_default();
    if !site.is_ours(Some(notes)) {
        return Ok(Holder::Unmade);
    }
    Ok(match Claim::of(notes) {
        None => Holder::Nobody(config),
        Some(claim) if claim.is_of(&site.claim) => Holder::Us(config),
        Some(claim) => Holder::Other(claim, config),
    })
}

/// The refusal to work beside `other`.
pub fn refused(other: &Claim, run: &str) -> Failure {
    Failure::refused(
        format!("run {run} is worked on from {} since {}", other.host, other.since.strftime("%F %T UTC")),
        "go on there, or stop it there (cozyup stop); if that place is gone for good, start again here with --take-over",
    )
}

/// Asked before every act: whether this is still the one place from which the run is worked on. Takes the run when
/// nobody has it, or when this session was told to.
///
/// # Errors
/// [`refused`], or when Proxmox VE does not answer.
pub async fn hold(cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
    let mut seen = change.claim.lock().await;
    let now = cx.clock().now();
    if seen.is_some_and(|at| crate::base::clock::between(at, now) < FRESH) {
        return Ok(());
    }
    let config = match holder(site).await? {
        Holder::Unmade => return Ok(()),
        Holder::Us(_) => {
            *seen = Some(now);
            return Ok(());
        }
        Holder::Nobody(config) => config,
        // Whoever was told to take the run does so once; later it is the one that others take it from.
        Holder::Other(other, config) => match &site.take_over {
            Some(by) if seen.is_none() => {
                cx.log("claim", &format!("{by} took the run over from {} ({})", other.host, other.since));
                config
            }
            Some(_) | None => return Err(refused(&other, site.label())),
        },
    };
    let template = &site.plan.template;
    // A copy in the template's place is not written into; every step on it says whose it is.
    if owner::of_vm(cx, site, template.vmid, &config.value).is_err() {
        return Ok(());
    }
    let notes = site.claim.written_into(config.value.description().unwrap_or_default());
    let mut options = vec![("description", notes)];
    // Of two that take it at once only one finds the notes as it read them.
    options.extend(config.value.digest().map(|d| ("digest", d.to_string())));
    let written = change.proxmox.configure_vm(&template.host, template.vmid, &options).await;
    written.map_err(|e| match &e {
        Error::Server { cause: Cause::ChangedMeanwhile, .. } => Failure::retryable(
            format!("claim the run: {e}"),
            "the template's notes changed meanwhile; cozyup looks again",
        ),
        _ => failures::proxmox(&e, "claim the run"),
    })?;
    *seen = Some(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(host: &str) -> Claim {
        Claim { host: host.into(), place: "1a2b3c4d".into(), since: "2026-11-25T08:00:00Z".parse().unwrap() }
    }

    #[test]
    fn a_claim_is_read_back_from_the_notes_that_it_was_written_into() {
        let notes =
            claim("jump1").written_into("cozyup-run=x.1\nleft by ann cozyup-by=old/0/2020-01-01T00:00:00Z today");
        assert_eq!(notes, "cozyup-run=x.1\nleft by ann today\ncozyup-by=jump1/1a2b3c4d/2026-11-25T08:00:00Z");
        assert_eq!(Claim::of(&notes), Some(claim("jump1")));
        assert_eq!(claim("jump2").written_into(&notes).lines().count(), 3);
        assert_eq!(Claim::of("cozyup-by=nonsense"), None);
    }

    #[test]
    fn a_vm_of_another_run_is_told_with_the_place_that_it_is_worked_on_from() {
        let notes = claim("jump2").written_into("cozyup-run=cozy-new.ffffffff");
        assert_eq!(whose(Some(&notes)), "is of the cozyup run cozy-new.ffffffff, worked on from jump2");
        assert_eq!(whose(Some("ann's VM")), "does not carry this run's mark");
    }

    #[test]
    fn another_folder_or_another_host_is_another_place() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let at = |host: &str, folder: &Path, id: &str| Claim::here(host, folder, id, Timestamp::UNIX_EPOCH);
        let here = at("jump1", dir.path(), "");
        assert!(here.is_of(&Claim::here("jump1", dir.path(), "", Timestamp::now())));
        assert!(!here.is_of(&at("jump1", other.path(), "")));
        assert!(!here.is_of(&at("jump2", dir.path(), "")));
        assert!(!here.is_of(&at("jump1", dir.path(), "1f")));
        assert_eq!(at("a b/c\u{1b}", dir.path(), "").host, "a-b-c-");
    }
}
