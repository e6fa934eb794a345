//! Typed sessions for tests: keys in, what the screen shows out.
use super::Home;
use super::message::{Cmd, Msg};
use super::model::home::HomeModel;
use super::model::run::RunModel;
use super::model::{Model, Screen};
use super::samples::{Sample, at};
use super::theme::Theme;
use super::update::update;
use super::view::render;
use crate::plan::defaults::{Defaults, plan};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::sync::Arc;
use std::time::Duration;

/// A person at a screen of 80x24, until it is resized.
pub struct Typist {
    pub model: Model,
    pub size: (u16, u16),
    /// Everything that was asked of the world, oldest first.
    pub commands: Vec<Cmd>,
}

impl Typist {
    pub fn run(sample: &Sample, theme: Theme) -> Self {
        let plan = Arc::new(plan(&Defaults::default()));
        let run = RunModel::new(plan, "lab standard".into(), "/state/run".into(), vec!["warning: single host".into()]);
        let mut typist = Typist::of(Model::new(theme, Screen::Run(Box::new(run))));
        typist.send(Msg::Records(sample.records()));
        typist
    }

    pub fn home(theme: Theme) -> Self {
        let home = Home {
            runs: Vec::new(),
            plans: vec![("/home/ann/plans/old.yaml".into(), "blocked".into())],
            scenarios: vec![("standard".into(), "three nodes, no faults".into()), ("slow".into(), "slow tasks".into())],
            cwd: "/home/ann".into(),
            ..Home::default()
        };
        Typist::of(Model::new(theme, Screen::Home(Box::new(HomeModel::new(home, Some("/home/ann".into()))))))
    }

    fn of(model: Model) -> Self {
        let typist = Typist { model, size: (80, 24), commands: Vec::new() };
        typist.screen();
        typist
    }

    pub fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.send(Msg::Resized);
    }

    /// The run's clock says `second`; the wall goes on by a minute.
    pub fn clock(&mut self, second: i64) {
        let wall = self.model.wall + Duration::from_secs(60);
        self.send(Msg::Clock { now: at(second), wall });
    }

    pub fn send(&mut self, msg: Msg) {
        self.commands.extend(update(&mut self.model, msg));
        self.model.drawn = self.draw().1;
    }

    /// Types `text`; `<Enter>`, `<Esc>`, `<C-c>` and the like are keys, `<Space>` is the space bar.
    pub fn keys(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (key, len) = match rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
                Some((name, _)) => (named(name), name.len() + 2),
                None => (KeyEvent::from(KeyCode::Char(c)), c.len_utf8()),
            };
            self.send(Msg::Key(key));
            rest = &rest[len..];
        }
    }

    fn draw(&self) -> (Buffer, super::model::Drawn) {
        let mut buf = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        let drawn = render(&self.model, buf.area, &mut buf);
        (buf, drawn)
    }

    pub fn screen(&self) -> String {
        let buf = self.draw().0;
        let width = usize::from(self.size.0).max(1);
        let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|c| c.symbol()).collect::<String>();
        buf.content.chunks(width).map(line).collect::<Vec<_>>().join("\n")
    }

    pub fn shows(&self, texts: &[&str]) {
        let screen = self.screen();
        // A wrapped text is compared as one line.
        let flat = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in texts {
            assert!(screen.contains(text) || flat.contains(text), "`{text}` is not on the screen:\n{screen}");
        }
    }

    pub fn shows_not(&self, text: &str) {
        let screen = self.screen();
        assert!(!screen.contains(text), "`{text}` is on the screen:\n{screen}");
    }
}

fn named(name: &str) -> KeyEvent {
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "PageUp" => KeyCode::PageUp,
        "PageDown" => KeyCode::PageDown,
        "Backspace" => KeyCode::Backspace,
        "Space" => KeyCode::Char(' '),
        other => match other.strip_prefix("C-").and_then(|c| c.chars().next()) {
            Some(c) => return KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL),
            None => panic!("no key is called {other}"),
        },
    };
    KeyEvent::from(code)
}

/// Questions to the site, and answers by hand.
pub mod asking {
    use super::{Cmd, Msg, Typist};
    use crate::observed::{Answer, Asker, Origin, Question, Told, Untold};
    use std::sync::Arc;

    /// Never asked: the tests answer.
    pub fn nobody() -> Asker {
        Asker(Arc::new(|_| Box::pin(async { Err(Untold::NoWorker) })))
    }

    /// The last command, when it is a question: its number, and what is asked.
    pub fn asked(typist: &mut Typist) -> Option<(u64, Question)> {
        match typist.commands.pop() {
            Some(Cmd::Question { number, question, .. }) => Some((number, question)),
            Some(_) | None => None,
        }
    }

    pub fn told(text: &str) -> Told {
        Told { origin: Origin::Api, text: text.into(), cut: false, by_hand: "kubectl logs a".into() }
    }

    pub fn answered(number: u64, answer: Answer) -> Msg {
        Msg::Answered { number, answer }
    }
}
