//! Finding lines, showing problems alone, copying: the same in every pane of a run.
use super::Around;
use super::run::act_on;
use crate::tui::keymap::Action;
use crate::tui::line::TextLine;
use crate::tui::message::Cmd;
use crate::tui::model::run::{Full, Pane, Row, RunModel};
use crate::tui::panes::{self, Moment};
use crossterm::event::KeyEvent;
use std::path::Path;

/// True for what [`begin`] does.
pub fn is_for(action: Action) -> bool {
    matches!(action, Action::Find | Action::Next | Action::Previous | Action::Problems | Action::Copy)
}

pub fn begin(run: &mut RunModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    match action {
        Action::Find => {
            // The text is for the pane that is seen.
            if run.full.is_none() {
                run.pane = run.keyboard(around.drawn.tabs);
                run.pinned |= around.drawn.tabs;
            }
            run.typing = Some(TextLine::new(&run.find));
        }
        Action::Next | Action::Previous if run.find.is_empty() => around.say("nothing is looked for: / begins"),
        Action::Next => return act_on(run, Action::Down, around),
        Action::Previous => return act_on(run, Action::Up, around),
        Action::Problems => {
            run.problems = !run.problems;
            run.log_back = 0;
            around.say(if run.problems { "only what needs attention is shown" } else { "everything is shown" });
        }
        Action::Copy => return copy(run, around),
        other => debug_assert!(!is_for(other)),
    }
    Vec::new()
}

/// A key while the text is typed.
pub fn act(run: &mut RunModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    match action {
        Action::Enter => run.typing = None,
        Action::Back => {
            run.typing = None;
            run.find.clear();
        }
        Action::Up | Action::Down => return act_on(run, action, around),
        other => {
            run.typing = None;
            return act_on(run, other, around);
        }
    }
    Vec::new()
}

pub fn typed(run: &mut RunModel, event: KeyEvent) {
    if let Some(text) = &mut run.typing {
        text.key(event);
        taken(run);
    }
}

pub fn paste(run: &mut RunModel, text: &str) {
    if let Some(line) = &mut run.typing {
        line.paste(text);
        taken(run);
    }
}

fn taken(run: &mut RunModel) {
    run.find = run.typing.as_ref().map(TextLine::text).unwrap_or_default();
    (run.log_back, run.full_scroll) = (0, 0);
}

/// The command of the selected step or line, with the run's own access in it, so that it works where it is pasted.
fn copy(run: &RunModel, around: &mut Around<'_>) -> Vec<Cmd> {
    let of_step = || match run.current() {
        Row::Step(id) => run.state.step(&id).map(|s| s.outline.by_hand.clone()),
        Row::Day(_) => None,
    };
    let pane = match run.full {
        Some(Full::Item(pane) | Full::Answer(pane)) => pane,
        Some(Full::Detail) => Pane::Days,
        Some(Full::Log | Full::Findings) => Pane::Log,
        None => run.keyboard(around.drawn.tabs),
    };
    let text = match pane {
        Pane::Days | Pane::Detail => of_step(),
        Pane::Log => None,
        Pane::Proxmox | Pane::Talos | Pane::Releases | Pane::Pods | Pane::Events => {
            let moment = Moment { now: around.now, wall: around.wall };
            panes::table(run, pane, moment)
                .and_then(|table| table.items.get(table.at(run.picked.get(&pane)))?.by_hand().map(String::from))
        }
    };
    let of_answer = matches!(run.full, Some(Full::Answer(_)));
    let text = if of_answer { run.asking.by_hand().map(String::from) } else { text };
    match text.filter(|text| !text.trim().is_empty()) {
        Some(text) => {
            let secrets = run.folder.join("secrets");
            let text = with_files(&text, &secrets.join("kubeconfig"), Some(&secrets.join("talosconfig")));
            vec![Cmd::Copy { text, file: Some(run.folder.join("copied")) }]
        }
        None => {
            around.say("there is no command to copy: select a step, a release or a pod");
            Vec::new()
        }
    }
}

/// `kubectl` and `talosctl` with the files of the access, each command on one line.
pub(super) fn with_files(text: &str, kubeconfig: &Path, talosconfig: Option<&Path>) -> String {
    let shown = |path: &Path| crate::base::text::quoted(&path.display().to_string());
    let one = |line: &str| {
        let (indent, command) = line.split_at(line.len() - line.trim_start().len());
        match (command.split(' ').next(), talosconfig) {
            (Some("kubectl"), _) => format!("{indent}KUBECONFIG={} {command}", shown(kubeconfig)),
            (Some("talosctl"), Some(talosconfig)) if !command.contains("--insecure") => {
                format!("{indent}TALOSCONFIG={} {command}", shown(talosconfig))
            }
            (Some(_) | None, _) => line.to_string(),
        }
    };
    text.lines().map(one).collect::<Vec<_>>().join("\n")
}
