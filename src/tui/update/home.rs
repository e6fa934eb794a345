//! Keys on the home screen, in the file prompt and in the choice of a lab.
use super::{Around, form, moved};
use crate::plan::defaults::{Defaults, plan};
use crate::plan::model::Plan;
use crate::tui::HomeChoice;
use crate::tui::keymap::Action;
use crate::tui::message::{BadPlan, Cmd, End, SaveError};
use crate::tui::model::form::FormModel;
use crate::tui::model::home::{Entry, HomeLine, HomeModel, Place};
use crossterm::event::KeyEvent;
use std::path::{Path, PathBuf};

/// Leaves whatever is unsaved.
pub fn leave() -> Vec<Cmd> {
    vec![Cmd::End(End::Home(HomeChoice::Quit))]
}

/// Leaves the home screen, or asks first when something would be lost.
fn choose(home: &mut HomeModel, choice: HomeChoice) -> Vec<Cmd> {
    if home.has_unsaved() {
        home.leaving = Some(choice);
        return Vec::new();
    }
    vec![Cmd::End(End::Home(choice))]
}

pub fn act(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if let Some(choice) = home.leaving.take() {
        let yes = matches!(action, Action::Yes | Action::Interrupt);
        return if yes { vec![Cmd::End(End::Home(choice))] } else { Vec::new() };
    }
    if matches!(action, Action::Quit | Action::Interrupt) {
        return choose(home, HomeChoice::Quit);
    }
    match home.place {
        Place::Menu => in_menu(home, action, around),
        Place::Open => in_open(home, action, around),
        Place::Lab => in_lab(home, action, around),
        Place::Form => form::act(home, action, around),
    }
}

fn in_menu(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if let Some(at) = moved(action, home.cursor, home.lines().saturating_sub(1), around.drawn.page) {
        home.cursor = at;
        return Vec::new();
    }
    if action != Action::Enter {
        return Vec::new();
    }
    match home.line() {
        HomeLine::Run(run) => {
            let folder = run.folder.clone();
            let choice = if run.goes_on { HomeChoice::Attach(folder) } else { HomeChoice::Look(folder) };
            choose(home, choice)
        }
        HomeLine::Entry(Entry::New) => {
            home.form.get_or_insert_with(|| FormModel::new(plan(&Defaults::default()), None));
            home.place = Place::Form;
            Vec::new()
        }
        HomeLine::Entry(Entry::Open) => {
            home.place = Place::Open;
            Vec::new()
        }
        HomeLine::Entry(Entry::Lab) => {
            home.place = Place::Lab;
            Vec::new()
        }
        HomeLine::Entry(Entry::Quit) => choose(home, HomeChoice::Quit),
        HomeLine::Plan(path) => {
            let path = path.to_path_buf();
            load(home, path)
        }
        HomeLine::Nothing => Vec::new(),
    }
}

fn load(home: &mut HomeModel, path: PathBuf) -> Vec<Cmd> {
    if home.reading {
        return Vec::new();
    }
    home.reading = true;
    vec![Cmd::Load(path)]
}

fn in_open(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if let Some(at) = moved(action, home.bad_scroll, around.drawn.over_max, around.drawn.page) {
        home.bad_scroll = at;
        return Vec::new();
    }
    match action {
        Action::Enter => {
            let text = home.path.text();
            if text.trim().is_empty() {
                around.say("type the name of a plan file");
                return Vec::new();
            }
            let path = home.path_of(&text);
            load(home, path)
        }
        Action::Mend => {
            if home.has_unsaved() {
                around.say("the form holds another plan with unsaved changes: save that first");
                return Vec::new();
            }
            match home.bad.as_ref().and_then(|(path, bad)| Some((path.clone(), bad.decoded.clone()?))) {
                Some((path, plan)) => {
                    home.form = Some(FormModel::new(plan, Some(path)));
                    home.place = Place::Form;
                }
                None => around.say("the form takes only a file that has the form of a plan: mend it in an editor"),
            }
            Vec::new()
        }
        _ => {
            if action == Action::Back {
                home.place = Place::Menu;
            }
            Vec::new()
        }
    }
}

fn in_lab(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let last = home.home.scenarios.len().saturating_sub(1);
    if let Some(at) = moved(action, home.scenario, last, around.drawn.page) {
        home.scenario = at;
        return Vec::new();
    }
    if action == Action::Back {
        home.place = Place::Menu;
    }
    if action != Action::Enter {
        return Vec::new();
    }
    match (home.home.scenarios.get(home.scenario), home.speed()) {
        (Some((scenario, _)), Ok(speed)) => {
            let choice = HomeChoice::Lab { scenario: scenario.clone(), speed };
            choose(home, choice)
        }
        (Some(_), Err(reason)) => {
            around.say(reason);
            Vec::new()
        }
        (None, _) => {
            around.say("there is no scenario");
            Vec::new()
        }
    }
}

pub fn typed(home: &mut HomeModel, event: KeyEvent) {
    match (&home.leaving, home.place) {
        (Some(_), _) | (None, Place::Menu) => {}
        (None, Place::Open) => home.path.key(event),
        (None, Place::Lab) => home.speed.key(event),
        (None, Place::Form) => {
            if let Some(form) = &mut home.form {
                form::typed(form, event);
            }
        }
    }
}

pub fn paste(home: &mut HomeModel, text: &str) {
    match (&home.leaving, home.place) {
        (Some(_), _) | (None, Place::Menu) => {}
        (None, Place::Open) => home.path.paste(text),
        (None, Place::Lab) => home.speed.paste(text),
        (None, Place::Form) => {
            if let Some(form) = &mut home.form {
                form::paste(form, text);
            }
        }
    }
}

pub fn loaded(home: &mut HomeModel, path: PathBuf, result: Result<(), Box<BadPlan>>) -> Vec<Cmd> {
    home.reading = false;
    match result {
        Ok(()) => choose(home, HomeChoice::Open(path)),
        Err(bad) => {
            home.path = crate::tui::line::TextLine::new(&home.shown_path(&path));
            home.bad = Some((path, *bad));
            home.bad_scroll = 0;
            home.place = Place::Open;
            Vec::new()
        }
    }
}

pub fn saved(home: &mut HomeModel, path: &Path, plan: Plan, result: Result<(), SaveError>, around: &mut Around<'_>) {
    let shown = home.shown_path(path);
    if let Some(form) = &mut home.form {
        form::saved(form, path, plan, result, &shown, around);
    }
}
