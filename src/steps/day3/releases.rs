//! `day3.releases/wave-N`: every HelmRelease of the Nth wave is ready. All waves look at the same time, so that the run
//! goes on as soon as the last release does.
use super::installer;
use crate::base::answer::Answer;
use crate::base::text::some;
use crate::cozystack::{Blocker, Health, root_blocker};
use crate::engine::failure::{Class, Failure};
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::{Error, Kind, Reader, ReleaseStatus};
use crate::observed::Fact;
use crate::release::Component;
use crate::steps::cluster::{get, part, proven, seen};
use crate::steps::platform::values::{NAME, NAMESPACE};
use crate::steps::site::{Installation, Reading};
use crate::steps::{failures, flux, follow, outlines};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

pub const KIND: &str = "day3.releases";
const BAND: Band = Band::new(120, 900);
pub struct Wave {
    outline: Outline,
    members: Vec<Component>,
    condition: String,
}

/// `number` counts from 1; `names` are the wave's.
pub fn step(number: usize, names: &[String], components: &[Component]) -> Wave {
    let members: Vec<Component> = components.iter().filter(|c| names.contains(&c.name)).cloned().collect();
    let count = members.len();
    let title = match names {
        [first, second, rest @ ..] if rest.len() > 1 => {
            format!("wave {number}: {first}, {second} and {} more", rest.len())
        }
        all => format!("wave {number}: {}", all.join(", ")),
    };
    let by_hand = format!("kubectl get helmreleases.helm.toolkit.fluxcd.io -A | grep -wE '{}'", names.join("|"));
    let outline = outlines::check(StepId::of(KIND, &format!("wave-{number}")), 3, title, BAND, by_hand)
        .after([StepId::new(installer::KIND)]);
    Wave { outline, members, condition: format!("{count} releases of wave {number} are ready") }
}

/// All HelmReleases; none while Flux is not installed.
///
/// # Errors
/// When the cluster can't be asked.
async fn releases(reader: &Reader) -> Result<Option<Answer<Vec<ReleaseStatus>>>, Failure> {
    match reader.releases().await {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound) => Ok(None),
        Err(e) => Err(failures::kubernetes(&e, "list the HelmReleases")),
    }
}

fn status<'a>(component: &Component, all: &'a [ReleaseStatus]) -> Option<&'a ReleaseStatus> {
    all.iter().find(|s| s.name == component.name && s.namespace == component.namespace)
}

/// The result of one look at the releases of a wave.
struct Look<'a> {
    ready: Vec<&'a ReleaseStatus>,
    open: Vec<&'a Component>,
}

fn look<'a>(members: &'a [Component], all: &'a [ReleaseStatus]) -> Look<'a> {
    let (mut ready, mut open) = (Vec::new(), Vec::new());
    for member in members {
        match status(member, all) {
            Some(s) if Health::of(s).is_ready() => ready.push(s),
            Some(_) | None => open.push(member),
        }
    }
    Look { ready, open }
}

/// The failure of a member that has one: what a person has to do before what Flux may still heal.
fn failure(look: &Look<'_>, all: &[ReleaseStatus], now: Timestamp) -> Option<Failure> {
    let mut failures = look.open.iter().filter_map(|c| flux::failure(status(c, all)?, now)).collect::<Vec<_>>();
    failures.sort_by_key(|f| f.class == Class::Retryable);
    failures.into_iter().next()
}

/// `12 of 17 ready; all others wait for kubeovn (Progressing since 10:00:40Z)`
fn describe(look: &Look<'_>, all: &[ReleaseStatus], blocker: Option<&Blocker>) -> String {
    let total = look.ready.len() + look.open.len();
    let mut text = format!("{} of {total} ready", look.ready.len());
    let mut shown: Vec<&str> = look.open.iter().map(|c| c.name.as_str()).collect();
    if let Some(blocker) = blocker {
        let waiting = shown.iter().filter(|name| blocker.waiting.iter().any(|w| w == *name)).count();
        shown.retain(|name| *name != blocker.release && !blocker.waiting.iter().any(|w| w == name));
        let what = described(blocker, all);
        match waiting {
            0 if look.open.iter().any(|c| c.name == blocker.release) => text.push_str(&format!("; {what}")),
            0 => {}
            n if n == look.open.len() => text.push_str(&format!("; all others wait for {what}")),
            n => text.push_str(&format!("; {n} wait for {what}")),
        }
    }
    if !shown.is_empty() {
        text.push_str(&format!("; not yet: {}", some(shown, 4)));
    }
    text
}

fn described(blocker: &Blocker, all: &[ReleaseStatus]) -> String {
    let own = all.iter().find(|s| s.name == blocker.release && s.namespace == blocker.namespace);
    let said = own.map_or_else(|| blocker.reason.clone(), |s| flux::describe(&Health::of(s)));
    format!("{} ({said})", blocker.release)
}

/// The wave's own rows as evidence: the whole list would be cut before it came to some of them.
fn rows(answer: &Answer<Vec<ReleaseStatus>>, ready: &[&ReleaseStatus]) -> Answer<()> {
    let row = |s: &&ReleaseStatus| {
        json!({"release": format!("{}/{}", s.namespace, s.name), "ready": s.ready, "reason": s.reason,
            "generation": s.generation, "observedGeneration": s.observed_generation, "revision": s.revision})
    };
    part(answer, "the rows of this wave", ready.iter().map(row))
}

/// The reason why the installer makes no release.
async fn without_releases(reader: &Reader) -> Result<String, Failure> {
    let found = get(reader, &Kind::DEPLOYMENT, Some(NAMESPACE), NAME).await?;
    let trouble = match found {
        Some(deployment) => installer::trouble(reader, &deployment.value).await?,
        None => Some(format!("the Deployment {NAMESPACE}/{NAME} is gone")),
    };
    Ok(trouble.map_or("no release yet: the installer brings Flux up".into(), |t| format!("no release yet: {t}")))
}

#[async_trait]
impl Check<Installation> for Wave {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let reader = site.kubernetes()?;
        let wait = |text: String, ready: usize| {
            let (done, total) = (ready as u64, self.members.len() as u64);
            Observed::Underway(Wait::new(&self.condition, text, BAND).with_progress(done, total, "releases"))
        };
        let answer = match releases(&reader).await? {
            Some(answer) if !answer.value.is_empty() => answer,
            Some(_) | None => return Ok(wait(without_releases(&reader).await?, 0)),
        };
        let look = look(&self.members, &answer.value);
        if look.open.is_empty() {
            let summary = format!("{} releases are ready at their current generation", look.ready.len());
            return proven(summary, vec![seen(cx, &rows(&answer, &look.ready))]);
        }
        if let Some(failure) = failure(&look, &answer.value, cx.clock().date()) {
            return Err(failure);
        }
        let blocker = root_blocker(&site.components, &answer.value);
        Ok(wait(describe(&look, &answer.value, blocker.as_ref()), look.ready.len()))
    }

    fn rests_on(&self) -> Vec<Fact> {
        self.members.iter().map(|member| Fact::release(&member.namespace, &member.name)).collect()
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::HELM_RELEASE, None, None, Duration::from_secs(4)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::Said;

    fn component(name: &str, after: &[&str]) -> Component {
        Component {
            name: name.to_string(),
            namespace: "cozy".to_string(),
            release_name: name.to_string(),
            after: after.iter().map(ToString::to_string).collect(),
        }
    }

    fn release(name: &str, ready: Option<bool>, reason: &str) -> ReleaseStatus {
        ReleaseStatus {
            namespace: "cozy".to_string(),
            name: name.to_string(),
            ready,
            reason: reason.to_string(),
            message: "timed out".to_string(),
            generation: 1,
            observed_generation: 1,
            since: Some(Timestamp::from_second(36_040).unwrap()),
            ..ReleaseStatus::default()
        }
    }

    fn said(components: &[Component], members: &[Component], all: &[ReleaseStatus]) -> String {
        describe(&look(members, all), all, root_blocker(components, all).as_ref())
    }

    #[test]
    fn a_wave_says_who_holds_it_back() {
        let all = [
            component("cilium", &[]),
            component("kubeovn", &["cilium"]),
            component("a", &["kubeovn"]),
            component("b", &["kubeovn"]),
        ];
        let statuses = [
            release("cilium", Some(true), "InstallSucceeded"),
            release("kubeovn", None, "Progressing"),
            release("a", Some(false), "DependencyNotReady"),
        ];
        assert_eq!(
            said(&all, &all[2..], &statuses),
            "0 of 2 ready; all others wait for kubeovn (Progressing since 10:00:40Z)"
        );
        assert_eq!(said(&all, &all[..2], &statuses), "1 of 2 ready; kubeovn (Progressing since 10:00:40Z)");
    }

    #[test]
    fn a_wave_that_nobody_holds_back_says_what_is_open() {
        let all = [component("big", &[]), component("behind", &["big"]), component("x", &[])];
        let statuses = [release("big", None, "Progressing")];
        assert_eq!(said(&all, &all[2..], &statuses), "0 of 1 ready; not yet: x");
    }

    /// cozystack.md 2.10: the first words are those of the release that is at fault, in its own wave and in the others.
    #[test]
    fn a_release_that_failed_is_told_in_its_wave_and_as_the_blocker_of_the_others() {
        let all = [component("a", &[]), component("b", &[]), component("c", &["b"])];
        let released = Said { reason: "InstallFailed".into(), message: "timed out".into(), ..Said::default() };
        let again = ReleaseStatus { failures: 2, released: Some(released), ..release("b", None, "Progressing") };
        let statuses =
            [release("a", Some(false), "SourceNotReady"), again, release("c", Some(false), "DependencyNotReady")];
        let now = Timestamp::from_second(36_041).unwrap();
        let told = failure(&look(&all[..2], &statuses), &statuses, now).unwrap();
        assert!(told.what.contains("cozy/b failed 2 times (InstallFailed: timed out)"), "{told}");
        assert!(failure(&look(&all[2..], &statuses), &statuses, now).is_none());
        let waits = said(&all, &all[2..], &statuses);
        assert!(waits.contains("all others wait for b (failed 2 times; attempt 3 runs since 10:00:40Z;"), "{waits}");
    }

    #[test]
    fn the_evidence_holds_every_row_of_the_wave() {
        let statuses = [release("a", Some(true), "InstallSucceeded"), release("b", Some(true), "InstallSucceeded")];
        let answer = Answer::new("GET /releases", "[…]", "kubectl get", statuses.to_vec());
        let shown = rows(&answer, &statuses.iter().collect::<Vec<_>>());
        assert_eq!(shown.raw.lines().count(), 2);
        assert!(shown.raw.contains("cozy/b"), "{}", shown.raw);
    }
}
