//! A person at a screen: messages and keys go in, a drawn screen comes out.
use cozyup::engine::record::Record;
use cozyup::engine::standing::Standing;
use cozyup::observed::Snapshot;
use cozyup::plan::Plan;
use cozyup::tui::message::Msg;
use cozyup::tui::model::cluster::ClusterModel;
use cozyup::tui::model::home::HomeModel;
use cozyup::tui::model::run::RunModel;
use cozyup::tui::model::{Model, Screen};
use cozyup::tui::theme::Theme;
use cozyup::tui::update::update;
use cozyup::tui::view::render;
use cozyup::tui::{Home, KnownRun};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::sync::Arc;
use std::time::Duration;

pub struct Person {
    pub model: Model,
    size: (u16, u16),
}

/// A time in seconds after the epoch; all runs here begin at 0.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl Person {
    /// Looks at a run whose clock says `second`.
    pub fn run(theme: Theme, size: (u16, u16), plan: Plan, records: Vec<Record>, second: i64) -> Self {
        let findings = vec![
            "warning: nodes[2].host: three control planes stand on one Proxmox node\n  why   when pve stops, the cluster \
             stops\n  write another host, or set the rule aside"
                .to_string(),
        ];
        let run = RunModel::new(Arc::new(plan), "lab standard x60".into(), "/home/ann/runs/standard".into(), findings);
        let mut person = Person { model: Model::new(theme, Screen::Run(Box::new(run))), size };
        person.send(Msg::Records(records.into_iter().map(Arc::new).collect()));
        // Long enough after the records that a question which came by itself takes keys.
        person.send(Msg::Clock { now: at(second), wall: Duration::from_secs(60) });
        person
    }

    /// Looks at a cluster that no run speaks of.
    pub fn cluster(theme: Theme, size: (u16, u16), seen: Vec<Arc<Snapshot>>, second: i64) -> Self {
        let server = "https://10.4.0.20:6443".to_string();
        let cluster = ClusterModel::new(server, "admin@old".into(), "/home/ann/old.kubeconfig".into());
        let mut person = Person { model: Model::new(theme, Screen::Cluster(Box::new(cluster))), size };
        person.send(Msg::Clock { now: at(second), wall: Duration::from_secs(60) });
        person.send(Msg::Observed(seen));
        person
    }

    pub fn home(theme: Theme, size: (u16, u16)) -> Self {
        Person::home_with(theme, size, Vec::new())
    }

    pub fn home_with(theme: Theme, size: (u16, u16), runs: Vec<KnownRun>) -> Self {
        let home = Home {
            runs,
            plans: vec![
                ("/home/ann/plans/site-a.yaml".into(), "plan site-a".into()),
                ("/home/ann/plans/site-b.yaml".into(), "plan file plans/site-b.yaml has 2 errors".into()),
            ],
            scenarios: vec![
                (
                    "standard".into(),
                    "One Proxmox VE 9.1 host, three control planes and a worker; nothing goes wrong.".into(),
                ),
                ("slow".into(), "Every task of Proxmox VE takes four times as long.".into()),
            ],
            cwd: "/home/ann".into(),
            ..Home::default()
        };
        let home = HomeModel::new(home, Some("/home/ann".into()));
        let mut person = Person { model: Model::new(theme, Screen::Home(Box::new(home))), size };
        person.send(Msg::Resized);
        person
    }

    pub fn send(&mut self, msg: Msg) {
        drop(update(&mut self.model, msg));
        self.model.drawn = render(&self.model, Rect::new(0, 0, self.size.0, self.size.1), &mut self.blank());
    }

    /// The run behind the screen.
    pub fn change(&mut self, change: impl FnOnce(&mut RunModel)) {
        let Screen::Run(run) = &mut self.model.screen else { panic!("no run is shown") };
        change(run);
    }

    /// Letters, and keys by name: `<Enter>`, `<Tab>`, `<C-s>`.
    pub fn keys(mut self, text: &str) -> Self {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (key, len) = match rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
                Some((name, _)) => (named(name), name.len() + 2),
                None => (KeyEvent::from(KeyCode::Char(c)), c.len_utf8()),
            };
            self.send(Msg::Key(key));
            rest = &rest[len..];
        }
        self
    }

    fn blank(&self) -> Buffer {
        Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1))
    }

    pub fn draw(&self) -> Buffer {
        let mut buf = self.blank();
        let _ = render(&self.model, buf.area, &mut buf);
        buf
    }
}

pub fn runs() -> Vec<KnownRun> {
    let run = |name: &str, standing, word: &str, day: &str, waits: &str, minutes: u64, who: Option<&str>| KnownRun {
        name: name.into(),
        folder: format!("/home/ann/runs/{name}").into(),
        goes_on: who.is_some(),
        standing,
        word: word.into(),
        day: day.into(),
        waits: waits.into(),
        since: Duration::from_secs(60 * minutes),
        who: who.map(str::to_string),
    };
    let blocked = "release cert-manager failed 3 times in a row: InstallFailed";
    vec![
        run("site-a", Standing::Blocked, "BLOCKED", "Day 3 Platform 9/14", blocked, 19, Some("bob on pts/3")),
        run(
            "site-b",
            Standing::Gate,
            "waits for you",
            "Day 1 Machines 0/28",
            "somebody to begin day 1",
            64,
            Some("ann on pts/1"),
        ),
        run("standard", Standing::Proven, "proven", "Day 5 Validation 13/13", "", 2880, None),
    ]
}

fn named(name: &str) -> KeyEvent {
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Right" => KeyCode::Right,
        "PageDown" => KeyCode::PageDown,
        "Backspace" => KeyCode::Backspace,
        other => match other.strip_prefix("C-").and_then(|c| c.chars().next()) {
            Some(c) => return KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL),
            None => panic!("no key is called {other}"),
        },
    };
    KeyEvent::from(code)
}
