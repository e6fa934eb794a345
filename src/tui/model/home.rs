//! The home screen and what opens from it: the file prompt, the lab's scenarios, the plan form.
use super::form::FormModel;
use crate::tui::keymap::Context;
use crate::tui::line::TextLine;
use crate::tui::message::BadPlan;
use crate::tui::{Home, HomeChoice, KnownRun};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Menu,
    Open,
    Lab,
    Form,
}

/// A line of the home screen; the known plans follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    New,
    Open,
    Lab,
    Quit,
}

impl Entry {
    pub const ALL: [Entry; 4] = [Entry::New, Entry::Open, Entry::Lab, Entry::Quit];

    pub fn title(self) -> &'static str {
        match self {
            Entry::New => "New plan",
            Entry::Open => "Open plan",
            Entry::Lab => "Try the lab",
            Entry::Quit => "Quit",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Entry::New => "Fill in a form; the result is a file that you can read, keep and run again.",
            Entry::Open => "Run or go on with a plan file; nothing changes before you begin a day.",
            Entry::Lab => "The same run against a simulated site in this machine; no hardware needed.",
            Entry::Quit => "Leave. Runs keep what they have proven.",
        }
    }
}

/// A line of the home screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HomeLine<'a> {
    Run(&'a KnownRun),
    Entry(Entry),
    Plan(&'a Path),
    Nothing,
}

#[derive(Debug)]
pub struct HomeModel {
    pub home: Home,
    /// The person's home folder, for `~/`.
    pub user_home: Option<PathBuf>,
    pub place: Place,
    /// Into the runs, then the entries, then the known plans.
    pub cursor: usize,
    pub path: TextLine,
    /// A file is being read.
    pub reading: bool,
    /// The last file that can't be run, and the reason.
    pub bad: Option<(PathBuf, BadPlan)>,
    pub bad_scroll: usize,
    pub scenario: usize,
    pub speed: TextLine,
    pub form: Option<FormModel>,
    /// The question whether to go there with unsaved changes is open.
    pub leaving: Option<HomeChoice>,
}

impl HomeModel {
    pub fn new(home: Home, user_home: Option<PathBuf>) -> Self {
        HomeModel {
            home,
            user_home,
            place: Place::Menu,
            cursor: 0,
            path: TextLine::new(""),
            reading: false,
            bad: None,
            bad_scroll: 0,
            scenario: 0,
            speed: TextLine::new("60"),
            form: None,
            leaving: None,
        }
    }

    pub fn context(&self) -> Context {
        match (&self.leaving, self.place, &self.form) {
            (Some(_), _, _) => Context::Confirm,
            (None, Place::Menu, _) | (None, Place::Form, None) => Context::Home,
            (None, Place::Open, _) => Context::Open,
            (None, Place::Lab, _) => Context::Lab,
            (None, Place::Form, Some(form)) => form.context(),
        }
    }

    pub fn lines(&self) -> usize {
        self.home.runs.len() + Entry::ALL.len() + self.home.plans.len()
    }

    /// What the cursor stands on.
    pub fn line(&self) -> HomeLine<'_> {
        let runs = self.home.runs.len();
        match (self.home.runs.get(self.cursor), self.cursor.checked_sub(runs).and_then(|n| Entry::ALL.get(n))) {
            (Some(run), _) => HomeLine::Run(run),
            (None, Some(entry)) => HomeLine::Entry(*entry),
            (None, None) => {
                let plan = self.cursor.checked_sub(runs + Entry::ALL.len()).and_then(|n| self.home.plans.get(n));
                plan.map_or(HomeLine::Nothing, |(path, _)| HomeLine::Plan(path))
            }
        }
    }

    pub fn has_unsaved(&self) -> bool {
        self.form.as_ref().is_some_and(FormModel::is_unsaved)
    }

    /// Turns a person's text into a path: `~/` is the home folder, relative paths begin at the current folder.
    pub fn path_of(&self, text: &str) -> PathBuf {
        let text = text.trim();
        match (text.strip_prefix("~/"), &self.user_home) {
            (Some(rest), Some(home)) => home.join(rest),
            (Some(_) | None, _) => self.home.cwd.join(text),
        }
    }

    /// As a person would write it.
    pub fn shown_path(&self, path: &Path) -> String {
        let short = path.strip_prefix(&self.home.cwd).ok().filter(|p| !p.as_os_str().is_empty());
        short.unwrap_or(path).display().to_string()
    }

    /// # Errors
    /// The reason why the typed text is no speed.
    pub fn speed(&self) -> Result<f64, String> {
        let text = self.speed.text();
        match text.trim().parse::<f64>() {
            Ok(speed) if speed.is_finite() && speed > 0.0 && speed <= 1000.0 => Ok(speed),
            Ok(_) | Err(_) => {
                Err(format!("`{}` is no speed: write a number above 0 and up to 1000, e.g. 60", text.trim()))
            }
        }
    }
}
