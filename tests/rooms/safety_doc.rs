//! What docs/SAFETY.md promises is held by tests that it names; a name that is no test's breaks this one.
use super::named_tests;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_page_names_is_there() {
    let known = named_tests::all();
    let known: BTreeSet<&str> = known.iter().filter_map(|name| name.rsplit([' ', ':']).next()).collect();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SAFETY.md")).unwrap();
    let is_name = |word: &&str| named_tests::is_long(word) && !word.contains(['/', '=', ' ']);
    let named: Vec<&str> = named_tests::quoted(&page).filter(is_name).collect();
    assert!(named.len() > 10, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:?}");
}

/// Sections whose every paragraph, bullet or row promises something.
const PROMISES: [&str; 6] = [
    "Checked on every start",
    "Trust on first use",
    "What is never done",
    "What is changed, and how ownership is proven",
    "Limits on what others send",
    "The tests behind these promises",
];

/// The paragraphs, bullets and rows of a section.
fn sentences(section: &str) -> Vec<String> {
    let mut pieces: Vec<String> = vec![String::new()];
    for line in section.lines() {
        let begins = line.is_empty() || line.starts_with("- ") || line.starts_with('|');
        match pieces.last_mut() {
            Some(last) if !begins => *last += &format!("{line} "),
            _ => pieces.push(format!("{line} ")),
        }
    }
    let is_frame = |p: &String| p.trim().is_empty() || p.starts_with("|---") || p.trim_end().ends_with(':');
    pieces.into_iter().filter(|p| !is_frame(p)).collect()
}

/// harm.md: "one pass over SAFETY.md: each sentence with the test that holds it".
#[test]
fn every_promise_of_the_page_names_its_test_or_says_that_it_has_none() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SAFETY.md")).unwrap();
    for title in PROMISES {
        let (_, section) = page.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title}"));
        let section = section.split("\n## ").next().unwrap();
        let mut rows_of = "";
        let bare: Vec<String> = sentences(section)
            .into_iter()
            .filter(|piece| {
                let is_row = piece.starts_with('|');
                // A table of what belongs to a bullet before it is held with it.
                if is_row && (piece.contains("| held by |") || piece.contains("| test |")) {
                    rows_of = "tests";
                    return false;
                }
                if is_row && rows_of != "tests" {
                    return false;
                }
                let names = named_tests::quoted(piece).any(named_tests::is_long);
                !names && !piece.contains("Not tested: ")
            })
            .collect();
        let introduces = |piece: &&String| !piece.starts_with(['-', '|']) && piece.contains("checks that they exist");
        let bare: Vec<&String> = bare.iter().filter(|piece| !introduces(piece)).collect();
        assert!(bare.is_empty(), "{title}: no test is named for {bare:#?}");
    }
}
