//! Digests that the form has by fetching.
use super::super::message::{Cmd, FetchNews, Msg};
use super::super::model::form::FormModel;
use super::super::model::home::HomeModel;
use super::super::model::{Model, Screen};
use super::super::session::Typist;
use super::super::theme::Theme;
use super::super::{Fetcher, Home, NoContact};
use crate::plan::draft::Draft;
use crate::plan::pin::{FirstUse, Pin};
use std::sync::Arc;
use std::time::Duration;

fn typist() -> Typist {
    let home = Home {
        cwd: "/".into(),
        fetcher: Some(Fetcher(Arc::new(|_, _, _| Box::pin(std::future::pending())))),
        draft_file: Some("/state/draft.json".into()),
        ..Home::default()
    };
    let mut typist = Typist::home(Theme::new(false, true));
    typist.model = Model::new(Theme::new(false, true), Screen::Home(Box::new(HomeModel::new(home, None))));
    typist.resize((80, 24));
    typist.keys("<Enter>");
    typist
}

fn form(typist: &mut Typist) -> &mut FormModel {
    match &mut typist.model.screen {
        Screen::Home(home) => home.form.as_mut().unwrap(),
        Screen::Run(_) | Screen::Cluster(_) => panic!("no home"),
    }
}

fn file(typist: &mut Typist, pin: Pin, digit: &str) -> FirstUse {
    FirstUse {
        pin,
        source: pin.source(&form(typist).plan).to_string(),
        url: "https://github.com/file".into(),
        sha256: digit.repeat(64),
        bytes: 201 << 20,
        at: "2026-11-30T14:10:00Z".parse().unwrap(),
    }
}

fn comes(typist: &mut Typist, pin: Pin, digit: &str) -> FirstUse {
    let file = file(typist, pin, digit);
    typist.send(Msg::Fetch { pin, news: FetchNews::Ended(Ok(file.clone())) });
    file
}

/// The files that were asked for since this was called last.
fn asked(typist: &mut Typist) -> Vec<Pin> {
    let commands = std::mem::take(&mut typist.commands);
    commands.into_iter().filter_map(|c| if let Cmd::Fetch { pin, .. } = c { Some(pin) } else { None }).collect()
}

fn wall(typist: &mut Typist, seconds: u64) {
    let now = typist.model.now;
    typist.send(Msg::Clock { now, wall: Duration::from_secs(seconds) });
}

/// screen.md A6: the digest was to be had elsewhere by a person.
#[test]
fn f_fetches_the_image_says_how_far_it_is_and_fills_in_its_digest_as_trusted_on_first_use() {
    let mut typist = typist();
    typist.keys("f");
    assert_eq!(asked(&mut typist), [Pin::Image]);
    typist.shows(&["fetches: 0 B, 0 s; f stops"]);
    assert!(typist.model.shows_running_time());
    typist.send(Msg::Fetch { pin: Pin::Image, news: FetchNews::Came { done: 84 << 20, total: Some(201 << 20) } });
    wall(&mut typist, 41);
    typist.shows(&["fetches: 84.0 MiB of 201.0 MiB, 41 s", "fetch 41 %, 41 s"]);

    let trusted = comes(&mut typist, Pin::Image, "a");
    assert_eq!(form(&mut typist).plan.image.sha256, "a".repeat(64));
    typist.shows(&["image.sha256 is filled in: trusted on first use", "fetched from https://github.com"]);
    assert!(!typist.model.shows_running_time());
    // A dropped line loses nothing of it, and the file says it.
    let kept =
        typist.commands.iter().rev().find_map(|c| if let Cmd::Keep { text, .. } = c { text.clone() } else { None });
    assert_eq!(Draft::of_text(&kept.unwrap()).unwrap().trusted, std::slice::from_ref(&trusted));
    typist.keys("s<Enter>");
    let Some(Cmd::Save { plan, trusted: told, .. }) = typist.commands.pop() else { panic!("{:?}", typist.commands) };
    let text = crate::plan::write::render_with(&plan, &told).unwrap();
    let (comment, digest) = (text.find("Trusted on first use").unwrap(), text.find(&"a".repeat(64)).unwrap());
    assert!(comment < digest && text[comment..digest].lines().count() < 6, "{text}");
    assert_eq!(crate::plan::decode(&text, "t").unwrap().plan, *plan);
}

#[test]
fn f_again_stops_and_what_comes_then_changes_nothing() {
    let mut typist = typist();
    typist.keys("f");
    wall(&mut typist, 12);
    typist.keys("f");
    assert!(matches!(typist.commands.last(), Some(Cmd::StopFetch)));
    typist.shows(&["fetched no further, after 12 s"]);
    comes(&mut typist, Pin::Image, "a");
    assert_eq!(form(&mut typist).plan.image.sha256, "FILL-IN");
    // A form that is thrown away fetches no further.
    typist.keys("fDy");
    assert_eq!(typist.commands.iter().filter(|c| matches!(c, Cmd::StopFetch)).count(), 2);
    // Of another file than the plan names by then.
    typist.keys("f");
    let before = file(&mut typist, Pin::Image, "a");
    form(&mut typist).plan.image.url.push('x');
    typist.send(Msg::Fetch { pin: Pin::Image, news: FetchNews::Ended(Ok(before)) });
    assert_eq!(form(&mut typist).plan.image.sha256, "FILL-IN");
    typist.shows(&["names another Talos image by now"]);
}

#[test]
fn a_download_that_breaks_says_at_the_field_why_and_what_to_do_whole() {
    let mut typist = typist();
    typist.keys("f");
    let why = NoContact {
        what: "fetch https://m: the connection was reset".into(),
        next: "name a mirror in the plan".into(),
    };
    typist.send(Msg::Fetch { pin: Pin::Image, news: FetchNews::Ended(Err(why)) });
    typist.shows(&["not fetched: fetch https://m: the connection was reset;", "next: name a mirror in the plan"]);
    typist.keys("f");
    typist.shows_not("not fetched");
    assert_eq!(asked(&mut typist), [Pin::Image, Pin::Image]);
}

#[test]
fn another_file_than_the_one_of_the_digest_is_told_and_its_digest_taken_only_when_somebody_says_so() {
    let mut typist = typist();
    typist.keys("f");
    comes(&mut typist, Pin::Image, "a");
    typist.keys("f");
    comes(&mut typist, Pin::Image, "a");
    typist.shows(&["has the digest of the plan"]);
    typist.keys("f");
    comes(&mut typist, Pin::Image, "b");
    assert_eq!(form(&mut typist).plan.image.sha256, "a".repeat(64));
    typist.shows(&["ANOTHER digest", "2026-11-30 14:10 UTC: find out who changed it"]);
    typist.keys("f");
    typist.shows(&["Take the digest of another file?"]);
    typist.keys("<Esc>");
    assert_eq!(form(&mut typist).plan.image.sha256, "a".repeat(64));
    typist.keys("fy");
    assert_eq!(form(&mut typist).plan.image.sha256, "b".repeat(64));
}

#[test]
fn each_digest_has_its_own_file_and_a_text_that_is_being_typed_there_gives_way() {
    let mut typist = typist();
    for pin in Pin::ALL {
        assert!(form(&mut typist).go_to(pin.key()));
        typist.keys("f");
        assert_eq!(asked(&mut typist), [pin]);
        typist.keys("<Enter>abc");
        comes(&mut typist, pin, "c");
        typist.keys("<Enter><Esc>");
        assert_eq!(pin.digest(&form(&mut typist).plan), Some("c".repeat(64).as_str()), "{}", pin.key());
    }
}
