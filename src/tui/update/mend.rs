//! `r` on a failed release: whether Flux is to try it again now.
use super::Around;
use crate::engine::errand::Errand;
use crate::observed::{Mending, Object, ReleaseState};
use crate::session::protocol::Request;
use crate::tui::message::Cmd;
use crate::tui::model::run::{Dialog, Full, Pane, RunModel};
use crate::tui::panes::{self, Moment};

/// Opens the question, or says why there is none. False where the selected line is no release: `r` means something else there.
pub fn offer(run: &mut RunModel, around: &mut Around<'_>) -> bool {
    let pane = match run.full {
        Some(Full::Item(pane) | Full::Answer(pane)) => pane,
        Some(Full::Detail | Full::Log | Full::Findings) => return false,
        None => run.keyboard(around.drawn.tabs),
    };
    let moment = Moment { now: around.now, wall: around.wall };
    let Some(table) = panes::table(run, pane, moment).filter(|_| pane == Pane::Releases) else { return false };
    let item = table.items.get(table.at(run.picked.get(&pane)));
    let Some(Object::Release { namespace, name }) = item.and_then(|item| item.raw.clone()) else { return false };
    let seen = run.observed.releases().into_iter().flat_map(|all| &all.rows);
    let state = seen.filter(|r| r.namespace == namespace && r.name == name).map(|r| r.state).next();
    match state {
        _over if run.is_over() => {
            let go_on = run.state.course.resume_command();
            around.say(format!("the run has ended: `{go_on}` goes on with it, and can be asked then"));
        }
        Some(ReleaseState::Failed | ReleaseState::Stalled | ReleaseState::Hindered) => {
            run.asking.mending = Some(Mending::ReconcileRelease { namespace, name });
            run.dialog = Some(Dialog::Mend);
        }
        Some(ReleaseState::Suspended) => around.say(format!("{name} is suspended: ask who told Flux to leave it")),
        Some(
            state @ (ReleaseState::Runs
            | ReleaseState::Waits
            | ReleaseState::New
            | ReleaseState::Ready
            | ReleaseState::Unknown),
        ) => around.say(format!("{name} has not failed ({}): there is nothing to try again", state.as_str())),
        None => around.say(format!("{name} is no longer there")),
    }
    true
}

/// The person agrees.
pub fn agreed(run: &mut RunModel, around: &mut Around<'_>) -> Vec<Cmd> {
    run.dialog = None;
    let Some(mending) = run.asking.mending.take() else { return Vec::new() };
    around.say(format!("asked: {}; the log tells how it ends", mending.title()));
    Errand::of(&mending).map(|errand| Cmd::Ask(Request::Errand { errand })).into_iter().collect()
}
