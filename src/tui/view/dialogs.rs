//! The dialogs over the panes of a run: the gate of a day, the ways out, the result.
//!
//! ```text
//! + Day 1 Machines begins ---------------+   + Leave? -----------------------------+
//! | These 4 steps may change things:     |   | The run goes on without this ...    |
//! |  build template 9100 cozy-talos      |   | > leave: the run goes on            |
//! |  clone cp1 (vm 1001) from ...        |   |   stop the run, then leave          |
//! | Enter begins  Esc later  m by hand   |   |                                     |
//! +--------------------------------------+   +-------------------------------------+
//! ```
use super::page::{Page, dialog};
use super::run::review_lines;
use crate::base::day::Day;
use crate::engine::record::Outcome;
use crate::engine::standing::clock_of;
use crate::engine::state::Status;
use crate::observed::Mending;
use crate::plan::day_title;
use crate::tui::model::Model;
use crate::tui::model::run::{Dialog, RunModel};
use crate::tui::theme::Sign;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Farthest first line, and the rows.
pub fn render(model: &Model, run: &RunModel, dialog: &Dialog, body: Rect, buf: &mut Buffer) -> (usize, usize) {
    let edge = model.theme.edge();
    match dialog {
        Dialog::Gate { day, by_hand, scroll, since: _ } => {
            let title = format!("{} begins", day_title(*day));
            show(model, body, buf, (&title, edge), *scroll, |page| gate(model, run, *day, *by_hand, page))
        }
        // The answers stand at the end: where not all has room, the marked one must be seen.
        Dialog::Quit { stop } => {
            show(model, body, buf, ("Leave this run?", edge), usize::MAX, |page| quit(model, run, *stop, page))
        }
        Dialog::Stopping => show(model, body, buf, ("The run is stopping", edge), 0, |page| stopping(model, run, page)),
        Dialog::Stop { stop } => {
            show(model, body, buf, ("Stop this run?", edge), usize::MAX, |page| ask_stop(model, run, *stop, page))
        }
        Dialog::Mend => {
            let title = run.asking.mending.as_ref().map_or("", question);
            show(model, body, buf, (title, edge), 0, |page| mend(model, run, page))
        }
        Dialog::Take => show(model, body, buf, ("Take control?", edge), 0, |page| take(model, run, page)),
        Dialog::Result { scroll } => {
            let title = match run.state.ended {
                Some(Outcome::Proven) => ("Proven", model.theme.proven()),
                Some(Outcome::Blocked) => ("Blocked", model.theme.blocked()),
                Some(Outcome::Stopped) => ("Stopped", edge),
                None => ("The run has ended", edge),
            };
            show(model, body, buf, title, *scroll, |page| result(model, run, page))
        }
    }
}

/// As high as its text where there is room.
fn show(
    model: &Model,
    body: Rect,
    buf: &mut Buffer,
    title: (&str, Style),
    scroll: usize,
    fill: impl FnOnce(&mut Page),
) -> (usize, usize) {
    let width = body.width.saturating_sub(2).min(96);
    let mut page = Page::new(model.theme, width.saturating_sub(4));
    fill(&mut page);
    let height = u16::try_from(page.len()).unwrap_or(u16::MAX).saturating_add(2);
    let inner = dialog(buf, model.theme, body, title, (width, height));
    (page.draw(buf, inner, scroll), usize::from(inner.height))
}

fn gate(model: &Model, run: &RunModel, day: Day, by_hand: bool, page: &mut Page) {
    let theme = model.theme;
    let steps: Vec<_> = run.changes_of(day).collect();
    page.say(theme.asks(), 0, "Enter begins the day, Esc waits, m shows the commands by hand.");
    let compare = run.state.to_compare(day);
    if !compare.is_empty() {
        page.say(theme.asks(), 0, "First compare what these machines say of themselves; it is trusted from then on:");
        for it in &compare {
            page.pair(theme.strong(), 1, "= ", &format!("{}: {} with {}", it.of, it.value, it.with));
        }
    }
    if let Some(review) = run.review(clock_of(&run.state, model.now)).filter(|_| !by_hand && run.state.is_untouched()) {
        page.say(theme.strong(), 0, "Nothing is changed yet. The whole run makes this:");
        review_lines(model, &review, page);
        page.blank();
    }
    page.say(theme.plain(), 0, &format!("These {} steps may change the target once you begin the day:", steps.len()));
    for step in steps {
        page.pair(theme.strong(), 1, "- ", &step.outline.title);
        if by_hand {
            page.block(theme.quiet(), 5, &step.outline.by_hand);
        }
    }
}

fn acting(run: &RunModel) -> Vec<&str> {
    run.state.wanted().filter(|s| s.status == Status::Acting).map(|s| s.outline.title.as_str()).collect()
}

fn what_stopping_does(model: &Model, run: &RunModel, page: &mut Page) {
    let theme = model.theme;
    match acting(run).as_slice() {
        [] => page.say(theme.plain(), 0, "No act is in hand: stopping takes a moment and changes nothing."),
        acts => {
            page.say(theme.plain(), 0, "Acts in hand end first; nothing new begins:");
            for act in acts {
                page.pair(theme.strong(), 1, "- ", act);
            }
        }
    }
    page.say(theme.plain(), 0, "What is proven stays proven. What was begun in the target goes on there by itself.");
    page.say(
        theme.plain(),
        0,
        &format!(
            "Everything is in the journal in {}; `{}` goes on.",
            run.folder.display(),
            run.state.course.resume_command()
        ),
    );
}

fn answers(model: &Model, page: &mut Page, no: &str, yes: &str, marked: bool) {
    let theme = model.theme;
    page.blank();
    for (text, here) in [(no, !marked), (yes, marked)] {
        let sign = if here { theme.sign(Sign::Cursor) } else { " " };
        page.pair(if here { theme.selected() } else { theme.plain() }, 1, &format!("{sign} "), text);
    }
}

fn quit(model: &Model, run: &RunModel, stop: bool, page: &mut Page) {
    page.say(
        model.theme.strong(),
        0,
        &format!("The run goes on without this screen; `cozyup attach {}` comes back to it.", run.plan.name),
    );
    if stop {
        what_stopping_does(model, run, page);
    } else {
        page.say(model.theme.plain(), 0, "A day that waits for you goes on waiting. Esc stays here.");
    }
    answers(model, page, "leave: the run goes on", "stop the run, then leave", stop);
}

fn ask_stop(model: &Model, run: &RunModel, stop: bool, page: &mut Page) {
    what_stopping_does(model, run, page);
    answers(model, page, "go on", "stop at the next safe point", stop);
}

fn take(model: &Model, run: &RunModel, page: &mut Page) {
    let theme = model.theme;
    let who = run.control.by.as_ref().map_or("nobody", |(who, _)| who.as_str());
    page.pair(theme.strong(), 0, "", &format!("{who} has control of this run."));
    page.say(theme.plain(), 0, "Whoever takes it opens gates, retries and stops; the other screen then only looks on, and says by whom. It stands in the record.");
    page.say(theme.asks(), 0, "y takes control, Esc leaves it as it is.");
}

fn question(mending: &Mending) -> &'static str {
    match mending {
        Mending::ReconcileRelease { .. } => "Try it again now?",
        Mending::StartVm { .. } => "Start it now?",
    }
}

fn mend(model: &Model, run: &RunModel, page: &mut Page) {
    let theme = model.theme;
    let Some(mending) = &run.asking.mending else { return };
    page.pair(theme.strong(), 0, "", &mending.title());
    match mending {
        Mending::ReconcileRelease { .. } => page.say(theme.plain(), 0, "Flux tries it again at once, and counts its failures from none: the HelmRelease gets the annotations of `flux reconcile helmrelease --reset --force`. Where what made it fail is still there, it fails again."),
        Mending::StartVm { vmid, .. } => page.say(theme.plain(), 0, &format!("Proxmox VE starts it, as `qm start {vmid}` does. The log says who stopped it: ask that person, or it may be stopped again.")),
    }
    page.say(theme.plain(), 0, "It goes into the record, in your name.");
    page.say(theme.asks(), 0, "y does it, Esc leaves it as it is.");
}

fn stopping(model: &Model, run: &RunModel, page: &mut Page) {
    let theme = model.theme;
    match acting(run).as_slice() {
        [] => page.say(theme.plain(), 0, "No act is in hand; the run ends now and this screen closes."),
        acts => {
            page.say(theme.plain(), 0, "Acts in hand end first, then this screen closes:");
            for act in acts {
                page.pair(theme.strong(), 1, "- ", act);
            }
        }
    }
    page.blank();
    page.say(theme.asks(), 0, "q leaves now: the run ends at its safe point all the same.");
    let go_on = run.state.course.resume_command();
    page.say(theme.plain(), 0, &format!("`cozyup status` tells when it has, `{go_on}` goes on from there."));
}

fn result(model: &Model, run: &RunModel, page: &mut Page) {
    let theme = model.theme;
    let folder = run.folder.display();
    let go_on = run.state.course.resume_command();
    let next = match run.state.ended {
        Some(Outcome::Proven) if run.state.course.is_back() => {
            format!("nothing is left of the run but its record in {folder}")
        }
        Some(Outcome::Proven) => {
            format!("the cluster is yours: KUBECONFIG={folder}/secrets/kubeconfig kubectl get nodes")
        }
        Some(Outcome::Blocked) => {
            format!("do what stands behind `next:` at the blocked step, then `{go_on}` goes on")
        }
        Some(Outcome::Stopped) | None => format!("`{go_on}` goes on from what the target says"),
    };
    page.block(theme.plain(), 0, run.result.as_deref().unwrap_or_default());
    page.blank();
    page.pair(theme.strong(), 0, "next: ", &next);
    page.say(theme.quiet(), 0, "Esc looks around, q leaves.");
}
