//! Everything a screen knows. Only `update` changes it; views borrow it.
pub mod asking;
pub mod cluster;
pub mod form;
pub mod home;
pub mod observed;
mod review;
pub mod run;

use super::keymap::Context;
use super::line::TextLine;
use super::theme::Theme;
use cluster::ClusterModel;
use home::HomeModel;
use jiff::Timestamp;
use run::RunModel;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub struct Model {
    pub theme: Theme,
    /// The engine's time.
    pub now: Timestamp,
    /// The wall's time since the screen began.
    pub wall: Duration,
    pub screen: Screen,
    pub help: Option<Help>,
    /// The name of a command, while it is typed.
    pub palette: Option<TextLine>,
    pub notice: Option<Notice>,
    /// A key that means nothing was told of once.
    pub told_of_keys: bool,
    pub drawn: Drawn,
}

/// The help, while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Help {
    /// The part of the screen from which it was asked for: its keys come first.
    pub of: Context,
    /// First line that is shown.
    pub scroll: usize,
}

/// One sentence in the place of the keys, until the next key or until its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    /// Of the wall.
    pub until: Duration,
}

#[derive(Debug)]
pub enum Screen {
    Run(Box<RunModel>),
    Home(Box<HomeModel>),
    Cluster(Box<ClusterModel>),
}

impl Screen {
    /// The part of it that has the keyboard when nothing lies over it.
    pub fn context(&self) -> Context {
        match self {
            Screen::Run(run) => run.context(),
            Screen::Home(home) => home.context(),
            Screen::Cluster(cluster) => cluster.context(),
        }
    }
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
    /// The panes of a run are shown one at a time.
    pub tabs: bool,
    /// The machines of the form are drawn as a table.
    pub table: bool,
}

impl Model {
    /// When the notice goes by itself; `began`: when the screen did.
    pub fn notice_ends(&self, began: Instant) -> Option<Instant> {
        self.notice.as_ref().map(|notice| began + notice.until)
    }

    pub fn new(theme: Theme, screen: Screen) -> Self {
        Model {
            theme,
            now: Timestamp::UNIX_EPOCH,
            wall: Duration::ZERO,
            screen,
            help: None,
            palette: None,
            notice: None,
            told_of_keys: false,
            drawn: Drawn::default(),
        }
    }

    /// The part of the screen that has the keyboard.
    pub fn context(&self) -> Context {
        match (&self.help, &self.palette) {
            (Some(_), _) => Context::Help,
            (None, Some(_)) => Context::Palette,
            (None, None) => self.screen.context(),
        }
    }

    /// For the terminal's title: `cozyup standard 68/98 BLOCKED`.
    pub fn title(&self) -> String {
        match &self.screen {
            Screen::Run(run) => {
                let (proven, all) = (run.state.proven(), run.state.wanted().count());
                let call = self.call().map(|call| format!(" {call}")).unwrap_or_default();
                format!("cozyup {} {proven}/{all}{call}", run.plan.name)
            }
            Screen::Home(_) => "cozyup".to_string(),
            Screen::Cluster(cluster) => format!("cozyup watch {}", cluster.server),
        }
    }

    /// Why a person should look now, in a word.
    pub fn call(&self) -> Option<&'static str> {
        match &self.screen {
            Screen::Run(run) => run.call(),
            Screen::Home(_) | Screen::Cluster(_) => None,
        }
    }

    /// The text that lines are searched for, while it is typed.
    pub fn typing(&self) -> Option<&TextLine> {
        match &self.screen {
            Screen::Run(run) => run.typing.as_ref(),
            Screen::Cluster(cluster) => cluster.typing.as_ref(),
            Screen::Home(_) => None,
        }
    }

    /// True when something on the screen changes by itself as time goes by.
    pub fn shows_running_time(&self) -> bool {
        match &self.screen {
            Screen::Run(run) => run.state.ended.is_none() && run.result.is_none() && run.state.started.is_some(),
            Screen::Cluster(_) => true,
            Screen::Home(home) => home
                .form
                .as_ref()
                .is_some_and(|f| matches!(f.site, form::FormSite::Asked { .. }) || f.fetch.is_underway()),
        }
    }
}
