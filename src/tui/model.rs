//! Everything a screen knows. Only `update` changes it; views borrow it.
pub mod form;
pub mod home;
pub mod observed;
pub mod run;

use super::keymap::Context;
use super::theme::Theme;
use home::HomeModel;
use jiff::Timestamp;
use run::RunModel;
use std::time::Duration;

#[derive(Debug)]
pub struct Model {
    pub theme: Theme,
    /// The engine's time.
    pub now: Timestamp,
    /// The wall's time since the screen began.
    pub wall: Duration,
    pub screen: Screen,
    /// First line shown of the help, while it is open.
    pub help: Option<usize>,
    /// One sentence in the place of the keys, until the next key.
    pub notice: Option<String>,
    pub drawn: Drawn,
}

#[derive(Debug)]
pub enum Screen {
    Run(Box<RunModel>),
    Home(Box<HomeModel>),
}

/// The lengths that the last frame measured, so that scrolling stops at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Rows of the list that has the keyboard.
    pub page: usize,
    /// Farthest first line of the detail pane.
    pub detail_max: usize,
    /// Farthest first line of whatever lies over the panes: full screen, dialog, help, findings.
    pub over_max: usize,
}

impl Model {
    pub fn new(theme: Theme, screen: Screen) -> Self {
        Model {
            theme,
            now: Timestamp::UNIX_EPOCH,
            wall: Duration::ZERO,
            screen,
            help: None,
            notice: None,
            drawn: Drawn::default(),
        }
    }

    /// The part of the screen that has the keyboard.
    pub fn context(&self) -> Context {
        match (&self.help, &self.screen) {
            (Some(_), _) => Context::Help,
            (None, Screen::Run(run)) => run.context(),
            (None, Screen::Home(home)) => home.context(),
        }
    }

    /// True when something on the screen changes by itself as time goes by.
    pub fn shows_running_time(&self) -> bool {
        match &self.screen {
            Screen::Run(run) => run.state.ended.is_none() && run.result.is_none() && run.state.started.is_some(),
            Screen::Home(_) => false,
        }
    }
}
