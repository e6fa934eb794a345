//! The last snapshot of each kind, for screens that are there and for those that come later.
use super::snapshot::{Kind, Snapshot};
use crate::base::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Readers hear of news at most this often; of the wall, since it is about their load.
const PACE: Duration = Duration::from_secs(1);

/// Cheap to clone: all clones are one board.
#[derive(Debug, Clone)]
pub struct Board {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    last: Mutex<BTreeMap<Kind, (u64, Arc<Snapshot>)>>,
    /// The number of the newest value.
    changed: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Board { shared: Arc::new(Shared { last: Mutex::default(), changed: watch::Sender::new(0) }) }
    }
}

impl Board {
    /// Puts a new last value up, with every text in it made safe; says whether it differs from the one before.
    pub fn put(&self, snapshot: Snapshot) -> bool {
        let kind = snapshot.view.kind();
        let mut last = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Snapshots for screens are cleaned as records are: nothing secret and nothing hostile gets past.
        let snapshot = json::tidied(snapshot);
        if last.get(&kind).is_some_and(|(_, old)| old.view == snapshot.view) {
            return false;
        }
        let number = *self.shared.changed.borrow() + 1;
        last.insert(kind, (number, Arc::new(snapshot)));
        // Before the lock is let go: of two at once the later number has to be told last.
        self.shared.changed.send_replace(number);
        true
    }

    pub fn last(&self, kind: Kind) -> Option<Arc<Snapshot>> {
        let last = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&kind).map(|(_, snapshot)| snapshot.clone())
    }

    /// For one reader: everything that is up, then what changes.
    pub fn news(&self) -> News {
        News { board: self.clone(), changed: self.shared.changed.subscribe(), told: 0, told_at: None }
    }
}

/// One reader's place on a board.
#[derive(Debug)]
pub struct News {
    board: Board,
    changed: watch::Receiver<u64>,
    told: u64,
    told_at: Option<tokio::time::Instant>,
}

impl News {
    /// Waits until there is something that this reader has not taken, and until `PACE` has passed since it last took
    /// something. Without a board that lives, for ever. Safe to drop and to call again.
    pub async fn wait(&mut self) {
        if let Some(at) = self.told_at {
            tokio::time::sleep_until(at + PACE).await;
        }
        if self.changed.wait_for(|number| *number > self.told).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The newest value of each kind that has changed since the last call, oldest first.
    pub fn take(&mut self) -> Vec<Arc<Snapshot>> {
        let last = self.board.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news: Vec<_> = last.values().filter(|(number, _)| *number > self.told).cloned().collect();
        drop(last);
        news.sort_by_key(|(number, _)| *number);
        if let Some((number, _)) = news.last() {
            self.told = *number;
            self.told_at = Some(tokio::time::Instant::now());
        }
        news.into_iter().map(|(_, snapshot)| snapshot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::observed::{Event, Events, Pods, View};
    use jiff::Timestamp;

    fn pods(total: usize) -> Snapshot {
        Snapshot::new(Timestamp::UNIX_EPOCH, View::Pods(Pods { total, ..Pods::default() }))
    }

    fn totals(news: &mut News) -> Vec<usize> {
        let total = |s: Arc<Snapshot>| match &s.view {
            View::Pods(pods) => pods.total,
            other => panic!("{other:?}"),
        };
        news.take().into_iter().map(total).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_comes_late_gets_the_last_value_and_a_slow_one_misses_only_what_is_old() {
        let board = Board::default();
        let mut early = board.news();
        assert!(board.put(pods(1)) && !board.put(pods(1)) && board.put(pods(2)));
        let mut late = board.news();
        early.wait().await;
        assert_eq!((totals(&mut early), totals(&mut late)), (vec![2], vec![2]));
        assert_eq!(totals(&mut late), Vec::<usize>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_is_told_at_most_once_a_second() {
        let board = Board::default();
        let mut news = board.news();
        let began = tokio::time::Instant::now();
        let mut told = Vec::new();
        for round in 0..40 {
            board.put(pods(round));
            if tokio::time::timeout(Duration::from_millis(100), news.wait()).await.is_ok() {
                told.extend(totals(&mut news));
            }
        }
        assert!(began.elapsed() <= Duration::from_secs(4));
        assert!((3..=5).contains(&told.len()), "{told:?}");
    }

    #[test]
    fn no_secret_and_nothing_hostile_stands_on_a_board() {
        let secret = Secret::new("0a1b2c3d-board-secret".to_string());
        let board = Board::default();
        let message = format!("\u{1b}[2J token {}", secret.expose());
        let event = Event { at: None, about: "Pod a/b".into(), of: None, reason: "R".into(), message, count: 1 };
        board.put(Snapshot::new(Timestamp::UNIX_EPOCH, View::Events(Events { total: 1, rows: vec![event] })));
        let text = serde_json::to_string(&*board.last(Kind::Events).unwrap()).unwrap();
        assert!(!text.contains(secret.expose()) && !text.contains('\u{1b}') && text.contains("[secret]"), "{text}");
    }
}
