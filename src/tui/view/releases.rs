//! The HelmReleases of the cluster as the worker's observer saw them last. Only on a large screen.
//!
//! ```text
//!  HelmReleases -------------------
//!  38 of 41 ready, 1 in trouble
//!  X failed    cozy-linstor/linstor (2)
//!              InstallFailed: context deadline exceeded
//!  ~ waits     cozy-goldpinger/goldpinger
//!  + ready     cozy-cilium/cilium
//! ```
use super::page::{Page, pane};
use crate::engine::standing::Standing;
use crate::observed::{Release, ReleaseState, Releases};
use crate::tui::model::Model;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub fn render(model: &Model, releases: &Releases, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let inner = pane(buf, theme, area, "HelmReleases", false, false);
    let mut page = Page::new(theme, inner.width);
    let troubled = match releases.troubled {
        0 => String::new(),
        n => format!(", {n} in trouble"),
    };
    page.say(theme.strong(), 0, &format!("{} of {} ready{troubled}", releases.ready, releases.total));
    for release in &releases.rows {
        let standing = standing(release.state);
        let label = format!("{} {:<9}", theme.mark(standing), release.state.as_str());
        let times = if release.failures > 0 { format!(" ({})", release.failures) } else { String::new() };
        page.pair(theme.standing(standing), 0, &label, &format!("{}/{}{times}", release.namespace, release.name));
        if let Some(why) = why(release) {
            page.say(theme.plain(), 12, &why);
        }
    }
    page.draw(buf, inner, 0);
}

/// Flux's words, of a release that is neither ready nor merely in line behind another.
fn why(release: &Release) -> Option<String> {
    match release.state {
        ReleaseState::Ready | ReleaseState::Waits | ReleaseState::New | ReleaseState::Unknown => None,
        ReleaseState::Failed
        | ReleaseState::Stalled
        | ReleaseState::Suspended
        | ReleaseState::Hindered
        | ReleaseState::Runs => {
            let parts = [release.reason.as_str(), release.message.as_str()];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            (!parts.is_empty()).then(|| parts.join(": "))
        }
    }
}

fn standing(state: ReleaseState) -> Standing {
    match state {
        ReleaseState::Ready => Standing::Proven,
        ReleaseState::Failed | ReleaseState::Hindered => Standing::Retries,
        ReleaseState::Stalled | ReleaseState::Suspended => Standing::Blocked,
        ReleaseState::Runs => Standing::Acts,
        ReleaseState::Waits | ReleaseState::New => Standing::Waits,
        ReleaseState::Unknown => Standing::Pending,
    }
}
