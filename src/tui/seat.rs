//! A screen's place at the terminal: what it draws on, the keys that come, and what it asks of the terminal beside frames.
use super::Fetcher;
use super::input::Input;
use super::message::{Cmd, End, FetchNews, Msg};
use super::model::{Drawn, Model};
use super::runtime::{load, save};
use super::terminal::{Held, is_quiet};
use super::view::render;
use crate::base::file;
use crate::plan::Plan;
use crate::plan::pin::Pin;
use crate::session::protocol::Request;
use rustix::process::{Signal, getpid, kill_process};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Between two words about a file that is fetched.
const TOLD: Duration = Duration::from_secs(1);

pub struct Seat {
    held: Option<Held>,
    /// `None`: the terminal is gone.
    pub events: Option<Input>,
    /// The title and the call that were announced last.
    announced: Option<(String, Option<&'static str>)>,
    /// It stopped itself and has taken the terminal again: the signal that woke it is yet to come.
    is_awake: bool,
    /// The file that the form fetches.
    fetch: Option<StopOnDrop>,
}

struct StopOnDrop(AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Seat {
    /// # Errors
    /// When the terminal can't be taken.
    pub fn take() -> io::Result<Seat> {
        let held = Some(Held::take()?);
        Ok(Seat { held, events: Some(Input::start()), announced: None, is_awake: false, fetch: None })
    }

    /// Draws a frame; `None` when the terminal is gone.
    pub fn draw(&mut self, model: &Model) -> Option<Drawn> {
        let Some(terminal) = &mut self.held else { return Some(Drawn::default()) };
        let mut drawn = Drawn::default();
        if terminal.draw(|area, buffer| drawn = render(model, area, buffer)).is_err() {
            self.held = None;
            self.events = None;
            return None;
        }
        Some(drawn)
    }

    /// Tells the terminal's title what the run does, and rings once when it begins to call for a person.
    pub fn announce(&mut self, model: &Model) {
        let Some(terminal) = self.held.as_mut().filter(|_| !is_quiet()) else { return };
        let now = (model.title(), model.call());
        if self.announced.as_ref() == Some(&now) {
            return;
        }
        let rings = now.1.is_some() && self.announced.as_ref().is_some_and(|(_, before)| *before != now.1);
        // A terminal that is gone is noticed by the next frame.
        let _ = terminal.announce(&now.0, rings);
        self.announced = Some(now);
    }

    /// Gives the terminal back, stops this process until the shell wakes it, and takes the terminal again. The run goes on
    /// meanwhile: it is a process of its own.
    pub fn suspend(&mut self) {
        self.events = None;
        self.held = None;
        // Without this right there is no process that could be woken again.
        let _ = kill_process(getpid(), Signal::STOP);
        self.held = Held::take().ok();
        self.events = self.held.is_some().then(Input::start);
        self.announced = None;
        self.is_awake = true;
    }

    /// This process was woken. Where somebody else had stopped it, its shell has set the terminal to its own ways meanwhile.
    pub fn wake(&mut self) {
        if !std::mem::take(&mut self.is_awake) && self.held.is_some() {
            // First the old one: it gives the terminal back.
            self.held = None;
            self.held = Held::take().ok();
            self.announced = None;
        }
    }

    /// Does what the model asks; `Some` when the screen is to be left.
    pub fn obey(
        &mut self,
        command: Cmd,
        requests: Option<&mpsc::UnboundedSender<Request>>,
        answers: &mpsc::UnboundedSender<Msg>,
    ) -> Option<End> {
        let answers = answers.clone();
        match command {
            Cmd::End(end) => return Some(end),
            Cmd::Ask(request) => {
                // An engine that has ended takes no requests; its summary is on its way.
                let _ = requests.map(|requests| requests.send(request));
            }
            Cmd::Load(path) => blocking(answers, || Msg::Loaded { result: load(&path).map(|_| ()), path }),
            Cmd::Edit(path) => blocking(answers, || Msg::Opened { result: load(&path).map(Box::new), path }),
            Cmd::Save { path, plan, trusted, replace } => {
                blocking(answers, move || Msg::Saved { result: save(&path, &plan, &trusted, replace), path, plan });
            }
            Cmd::Connect { with, plan, takes } => {
                tokio::spawn(async move {
                    let url = plan.site.url.clone();
                    let result = (with.0)(plan, takes).await;
                    let _ = answers.send(Msg::Contacted { url, result });
                });
            }
            Cmd::Question { with, number, question } => {
                tokio::spawn(async move {
                    let answer = with.ask(question).await;
                    let _ = answers.send(Msg::Answered { number, answer });
                });
            }
            Cmd::Fetch { with, plan, pin } => self.fetch = Some(StopOnDrop(fetch(&with, plan, pin, answers))),
            Cmd::StopFetch => self.fetch = None,
            Cmd::Keep { file, text } => keep(file, text, answers),
            Cmd::Copy { text, file } => self.copy(text, file, answers),
            Cmd::Redraw => {
                if let Some(terminal) = &mut self.held {
                    let _ = terminal.forget();
                }
            }
            Cmd::Suspend => {
                self.suspend();
                if self.events.is_none() {
                    let _ = answers.send(Msg::Hangup);
                }
            }
        }
        None
    }

    /// Into the clipboard of the person's own terminal, through any number of ssh sessions, and into a file for terminals that
    /// refuse it.
    fn copy(&mut self, text: String, file: Option<PathBuf>, answers: mpsc::UnboundedSender<Msg>) {
        if let Some(terminal) = &mut self.held {
            let _ = terminal.copy(&text);
        }
        let Some(file) = file else {
            let _ = answers.send(Msg::Said("copied, if the terminal allows it".to_string()));
            return;
        };
        tokio::task::spawn_blocking(move || {
            let said = match file::write_private(&file, format!("{text}\n").as_bytes()) {
                Ok(()) => format!("copied (if the terminal allows it), and written to {}", file.display()),
                Err(e) => format!("copied if the terminal allows it; {} can't be written: {e}", file.display()),
            };
            let _ = answers.send(Msg::Said(said));
        });
    }
}

fn fetch(with: &Fetcher, plan: Box<Plan>, pin: Pin, answers: mpsc::UnboundedSender<Msg>) -> AbortHandle {
    let (news, last) = (answers.clone(), Mutex::new(None));
    let told = Arc::new(move |done, total| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last: Instant| last.elapsed() >= TOLD) {
            *last = Some(Instant::now());
            let _ = news.send(Msg::Fetch { pin, news: FetchNews::Came { done, total } });
        }
    });
    let fetching = (with.0)(plan, pin, told);
    let task = tokio::spawn(async move {
        let news = FetchNews::Ended(fetching.await);
        let _ = answers.send(Msg::Fetch { pin, news });
    });
    task.abort_handle()
}

fn blocking(answers: mpsc::UnboundedSender<Msg>, work: impl FnOnce() -> Msg + Send + 'static) {
    tokio::task::spawn_blocking(move || {
        // Nobody waits for it when the screen has been left.
        let _ = answers.send(work());
    });
}

/// Begun before the screen is left, it is waited for when the program ends.
fn keep(draft: PathBuf, text: Option<String>, answers: mpsc::UnboundedSender<Msg>) {
    tokio::task::spawn_blocking(move || {
        let kept = match text {
            Some(text) => {
                let folder = draft.parent().map_or(Ok(()), file::private_dir);
                folder.and_then(|()| file::write_private(&draft, text.as_bytes()))
            }
            None => match std::fs::remove_file(&draft) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            },
        };
        if let Err(e) = kept {
            let _ = answers.send(Msg::Said(format!("the draft is not kept in {}: {e}", draft.display())));
        }
    });
}
