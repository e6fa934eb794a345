//! Keys, read in a thread of their own.
//!
//! On a terminal that has gone away crossterm reads the end of the file over and over and does not return: in a thread
//! that costs some processor time until the process ends, in the loop of the screen it would hold up the hang-up itself.
use crossterm::event::{self, Event};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The delay after which the thread notices that the screen has been left.
const GLANCE: Duration = Duration::from_millis(200);

/// How many events wait here at most; what is typed or pasted beyond them waits in the terminal.
const WAITING: usize = 1024;

pub struct Input {
    events: mpsc::Receiver<io::Result<Event>>,
    stop: Arc<AtomicBool>,
    ended: std::sync::mpsc::Receiver<()>,
}

impl Input {
    pub fn start() -> Input {
        let (sender, events) = mpsc::channel(WAITING);
        let (end, ended) = std::sync::mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let event = match event::poll(GLANCE) {
                    Ok(false) => continue,
                    Ok(true) => event::read(),
                    Err(e) => Err(e),
                };
                let failed = event.is_err();
                if sender.blocking_send(event).is_err() || failed {
                    break;
                }
            }
            // Nobody waits for it when the process ends.
            let _ = end.send(());
        });
        Input { events, stop, ended }
    }

    /// `None` when there will be no more.
    pub async fn next(&mut self) -> Option<io::Result<Event>> {
        self.events.recv().await
    }

    /// The next event, when one has come already.
    pub fn waiting(&mut self) -> Option<io::Result<Event>> {
        self.events.try_recv().ok()
    }
}

impl Drop for Input {
    /// Waits for the thread, so that it takes no key from the next screen; not for ever, since it may hang.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.events.close();
        let _ = self.ended.recv_timeout(2 * GLANCE);
    }
}
