//! Screens that come, ask and go.
use super::super::client;
use super::*;
use crate::engine::journal::Journal;
use crate::observed::{Matter, Object, Origin, Told};

/// A run that ends with its last screen must not end with a `status`.
#[tokio::test]
async fn whoever_only_asks_whether_the_worker_lives_is_no_screen() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    drop(Journal::open(&journal).unwrap());
    let (requests, _asked) = mpsc::unbounded_channel();
    let (_written, last) = watch::channel(0);
    let (_ended, ended) = watch::channel(None);
    let server = ScreenServer::new(journal, "lab".into(), None, requests, last, ended, Board::default());
    let mut screens = server.screens();
    let serving = tokio::spawn(server.serve(socket::listen(folder.path()).unwrap()));
    client::greet(folder.path(), "ann", Duration::from_secs(10)).await.unwrap();
    assert!(!screens.has_changed().unwrap());
    let attached = client::join(folder.path(), "ann", true).await.unwrap();
    assert_eq!(*screens.borrow_and_update(), 1);
    drop(attached);
    screens.wait_for(|n| *n == 0).await.unwrap();
    serving.abort();
}

/// The run may be over before whoever started it has connected.
#[tokio::test]
async fn a_screen_that_comes_as_the_run_ends_is_told_of_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    drop(Journal::open(&journal).unwrap());
    let (requests, _asked) = mpsc::unbounded_channel();
    let (_written, last) = watch::channel(0);
    let over = Ended { exit: 1, text: "the disk is full".into(), summary: "{}".into() };
    let (_ended, ended) = watch::channel(Some(over.clone()));
    let server = ScreenServer::new(journal, "lab".into(), None, requests, last, ended, Board::default());
    let serving = tokio::spawn(server.serve(socket::listen(folder.path()).unwrap()));
    let (_, attached) = client::join(folder.path(), "ann", true).await.unwrap();
    assert_eq!(attached.ended.await.unwrap(), over);
    serving.await.unwrap();
}

fn question(about: &str) -> Question {
    Question { matter: Matter::Log, about: Object::Machine { name: about.into() } }
}

/// Answers at once, but for the machine that is silent.
fn reads() -> Asker {
    Asker(Arc::new(|question| {
        Box::pin(async move {
            let Object::Machine { name } = question.about else { return Err(Untold::Gone) };
            if name == "silent" {
                return std::future::pending().await;
            }
            Ok(Told { origin: Origin::Kernel, text: name, cut: false, by_hand: String::new() })
        })
    }))
}

#[tokio::test]
async fn a_question_without_an_answer_holds_up_neither_the_screen_nor_other_questions_and_they_are_few() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    drop(Journal::open(&journal).unwrap());
    let (requests, mut taken) = mpsc::unbounded_channel();
    let (_written, last) = watch::channel(0);
    let (end, ended) = watch::channel(None);
    let server = ScreenServer::new(journal, "lab".into(), None, requests, last, ended, Board::default());
    let serving = tokio::spawn(server.answering(reads()).serve(socket::listen(folder.path()).unwrap()));
    let (_, mut screen) = client::join(folder.path(), "ann", false).await.unwrap();
    let (_, onlooker) = client::join(folder.path(), "bob", true).await.unwrap();
    // Dropped at once, as by a screen that goes on to something else; the worker still reads for it.
    for _ in 0..3 {
        tokio::spawn(screen.asker.ask(question("silent")));
    }
    tokio::task::yield_now().await;
    for name in ["cp1", "cp2"] {
        assert_eq!(screen.asker.ask(question(name)).await.unwrap().text, name);
    }
    tokio::spawn(screen.asker.ask(question("silent")));
    tokio::task::yield_now().await;
    assert_eq!(screen.asker.ask(question("cp3")).await, Err(Untold::Busy));
    assert_eq!(onlooker.asker.ask(question("cp3")).await.unwrap().text, "cp3", "who only looks on may ask, too");
    screen.requests.send(Request::Stop).unwrap();
    assert_eq!(taken.recv().await.unwrap(), Request::Stop.by("ann"));
    end.send_replace(Some(Ended { exit: 0, text: String::new(), summary: "{}".into() }));
    (&mut screen.ended).await.unwrap();
    assert_eq!(screen.asker.ask(question("cp1")).await, Err(Untold::NoWorker));
    serving.await.unwrap();
}
