//! The answer to what was asked about one thing, on the full screen.
//!
//! ```text
//! >pod cozy-cert-manager/cert-manager-7c9-x2x: the end of the log of container cert-manager, of its run before
//! it has said nothing in its present run; this is the run before, which ended at 22:51:02 with exit code 1 (Error)
//! by hand  kubectl logs -n cozy-cert-manager cert-manager-7c9-x2x -c cert-manager --tail=300
//!
//! E1130 22:51:02 ...
//! ```
use super::page::{Page, coarse};
use crate::observed::{Answer, Matter, Object, Origin, Question, Told, Untold};
use crate::tui::model::asking::{Asked, Asking};
use crate::tui::panes::time_of_day;
use crate::tui::theme::Theme;
use std::time::Duration;

/// What was asked, and where the answer is from: it stays in sight at the end of a log.
pub fn title(theme: Theme, asking: &Asking) -> String {
    asking.last.as_ref().map(|asked| theme.safe(&head(&asked.question, asked.answer.as_ref()))).unwrap_or_default()
}

pub fn page(theme: Theme, asking: &Asking, wall: Duration, width: u16) -> Page {
    let mut page = Page::new(theme, width);
    let Some(Asked { question, since, answer }) = &asking.last else { return page };
    match answer {
        None => {
            let waited = wall.saturating_sub(*since);
            page.say(theme.quiet(), 0, &format!("asked {} ago; the answer has not come yet", coarse(waited)));
        }
        Some(Err(why)) => page.say(theme.error(), 0, &reason(why)),
        Some(Ok(told)) => text(theme, told, question.matter, &mut page),
    }
    page
}

fn text(theme: Theme, told: &Told, matter: Matter, page: &mut Page) {
    if let Origin::Container { earlier: Some(run), .. } = &told.origin {
        let at = run.ended.map(|at| format!(" at {}", time_of_day(at))).unwrap_or_default();
        let reason = if run.reason.is_empty() { String::new() } else { format!(" ({})", run.reason) };
        let ended = format!("which ended{at} with exit code {}{reason}", run.exit_code);
        page.say(theme.plain(), 0, &format!("it has said nothing in its present run; this is the run before, {ended}"));
    }
    page.pair(theme.quiet(), 0, "by hand  ", &told.by_hand);
    page.blank();
    if told.cut && matter == Matter::Log {
        page.say(theme.quiet(), 0, "(what was before is left out)");
    }
    if told.text.trim().is_empty() {
        page.say(theme.quiet(), 0, "it says nothing");
    }
    page.block(theme.plain(), 0, &told.text);
    if told.cut && matter == Matter::Raw {
        page.say(theme.quiet(), 0, "(the rest is left out)");
    }
}

fn head(question: &Question, answer: Option<&Answer>) -> String {
    let of = match &question.about {
        Object::Node { name } => format!("node {name}"),
        Object::Release { namespace, name } => format!("HelmRelease {namespace}/{name}"),
        Object::Pod { namespace, name } => format!("pod {namespace}/{name}"),
        Object::Vm { vmid } => format!("VM {vmid}"),
        Object::Machine { name } => format!("machine {name}"),
        Object::Task { upid } => format!("task {upid}"),
    };
    let what = match (question.matter, answer) {
        (Matter::Raw, _) => "as its system has it, without what is secret".to_string(),
        (Matter::Log, None | Some(Err(_))) => "the end of its log".to_string(),
        (Matter::Log, Some(Ok(told))) => match &told.origin {
            Origin::Container { name, earlier: None } => format!("the end of the log of container {name}"),
            Origin::Container { name, earlier: Some(_) } => {
                format!("the end of the log of container {name}, of its run before")
            }
            Origin::Service { id } => format!("service {id} is not up; the end of its log"),
            Origin::Kernel => "the end of the kernel's log; every service is up".to_string(),
            Origin::Api | Origin::Task => "the end of its log".to_string(),
        },
    };
    format!("{of}: {what}")
}

/// Why there is no answer, and what to do.
fn reason(why: &Untold) -> String {
    match why {
        Untold::Gone => "it is not there, or no more".to_string(),
        Untold::Nothing => "it has nothing of the kind".to_string(),
        Untold::NotBegun { container, says } => {
            format!("container {container} has not begun: {says}. The warnings of the pod tell why.")
        }
        Untold::NoAccess => "there is no access to it yet: that comes with its day".to_string(),
        Untold::Forbidden { says } => format!("the credentials may not read it: {says}"),
        Untold::Failed { says } => format!("no answer: {says}. The same key asks again."),
        Untold::Silent => "no answer in time. The same key asks again.".to_string(),
        Untold::NoWorker => "the run's worker is gone, and nobody else can ask".to_string(),
        Untold::Busy => "earlier questions have no answer yet. Ask again in some seconds.".to_string(),
        Untold::Unknown => "the run's worker is a newer cozyup: its answer can't be read here".to_string(),
    }
}
