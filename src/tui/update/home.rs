//! Keys on the home screen, in the file prompt and in the choice of a lab.
use super::{Around, form, form_site, moved};
use crate::plan::defaults::{Defaults, plan};
use crate::plan::finding::Severity;
use crate::plan::model::Plan;
use crate::tui::HomeChoice;
use crate::tui::keymap::Action;
use crate::tui::message::{BadPlan, Cmd, End, SaveError};
use crate::tui::model::form::FormModel;
use crate::tui::model::home::{Entry, HomeLine, HomeModel, Place};
use crossterm::event::KeyEvent;
use std::path::{Path, PathBuf};

/// Leaves at once: what is typed and not saved stays as a draft.
pub fn leave(home: &mut HomeModel) -> Vec<Cmd> {
    if let Some(form) = &mut home.form {
        form.edit = None;
    }
    let mut commands = form_site::keep(home);
    commands.push(Cmd::End(End::Home(HomeChoice::Quit)));
    commands
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
        Place::Form => {
            let mut commands = form::act(home, action, around);
            commands.extend(form_site::keep(home));
            commands
        }
    }
}

fn in_menu(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if let Some(at) = moved(action, home.cursor, home.lines().saturating_sub(1), around.drawn.page) {
        home.cursor = at;
        return Vec::new();
    }
    if action == Action::Mend {
        let HomeLine::Plan(path) = home.line() else {
            around.say("go to a plan first: they stand below");
            return Vec::new();
        };
        let path = path.to_path_buf();
        return edit(home, path, around);
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
            open_new(home, around);
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

/// The form as it stands, the draft that was kept, or a new plan.
fn open_new(home: &mut HomeModel, around: &mut Around<'_>) {
    if home.form.is_none() {
        home.form = Some(match home.home.draft.take() {
            Some(draft) => {
                around.say("this is the draft that was kept; D throws it away and begins anew");
                FormModel::of_draft(draft)
            }
            None => FormModel::new(plan(&Defaults::default()), None),
        });
    }
    home.place = Place::Form;
}

fn load(home: &mut HomeModel, path: PathBuf) -> Vec<Cmd> {
    if home.reading {
        return Vec::new();
    }
    home.reading = true;
    vec![Cmd::Load(path)]
}

/// Any plan opens in the form, also one that a run goes by.
fn edit(home: &mut HomeModel, path: PathBuf, around: &mut Around<'_>) -> Vec<Cmd> {
    if home.has_unsaved() {
        around.say("the form holds another plan with unsaved changes: save that first");
        return Vec::new();
    }
    if home.reading {
        return Vec::new();
    }
    home.reading = true;
    vec![Cmd::Edit(path)]
}

/// At the field that the gravest finding names. What the form before it fetches is given up.
fn open_form(home: &mut HomeModel, plan: Plan, path: PathBuf) -> Vec<Cmd> {
    let fetches = home.form.as_ref().is_some_and(|form| form.fetch.is_underway());
    let mut form = FormModel::new(plan, Some(path));
    let first = form.findings.first().filter(|f| f.severity == Severity::Error).map(|f| f.key.clone());
    if let Some(key) = first {
        form.go_to(&key);
    }
    home.form = Some(form);
    home.place = Place::Form;
    fetches.then_some(Cmd::StopFetch).into_iter().collect()
}

pub fn opened(
    home: &mut HomeModel,
    path: PathBuf,
    result: Result<Box<Plan>, Box<BadPlan>>,
    around: &mut Around<'_>,
) -> Vec<Cmd> {
    home.reading = false;
    match result {
        Ok(plan) => open_form(home, *plan, path),
        Err(bad) => match &bad.decoded {
            Some(plan) => {
                let plan = plan.clone();
                open_form(home, plan, path)
            }
            None => {
                around.say("the form takes only a file that has the form of a plan: mend it in an editor");
                loaded(home, path, Err(bad))
            }
        },
    }
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
            let path = home.path_of(&home.path.text());
            match home.bad.as_ref().filter(|(bad, _)| *bad == path).map(|(_, bad)| bad.decoded.clone()) {
                Some(Some(plan)) => return open_form(home, plan, path),
                Some(None) => {
                    around.say("the form takes only a file that has the form of a plan: mend it in an editor")
                }
                None if home.path.text().trim().is_empty() => around.say("type the name of a plan file"),
                None => return edit(home, path, around),
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

pub fn saved(
    home: &mut HomeModel,
    path: &Path,
    plan: Plan,
    result: Result<Option<PathBuf>, SaveError>,
    around: &mut Around<'_>,
) -> Vec<Cmd> {
    let shown = home.shown_path(path);
    let exists = result == Err(SaveError::Exists);
    if let Some(form) = &mut home.form {
        form::saved(form, path, plan, result, &shown, around);
    }
    let mut commands = form_site::keep(home);
    if exists {
        // Whether to replace the file comes first.
        home.leaving = None;
    } else if !home.has_unsaved() {
        commands.extend(home.leaving.take().map(|choice| Cmd::End(End::Home(choice))));
    }
    commands
}
