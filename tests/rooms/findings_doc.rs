//! docs/FINDINGS.md: each finding of a review has a state, and a test that is in this tree.
use super::named_tests;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const STATES: [&str; 4] = ["mended", "held already", "in part", "not mended"];

/// Cells of the rows below a heading, without the heads of tables.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let rows = section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let cells = rows.map(|line| line.trim().trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells.filter(|row| row.first() != Some(&"id")).collect()
}

#[test]
fn every_finding_has_a_state_and_every_test_that_it_names_is_there() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FINDINGS.md")).unwrap();
    let known = named_tests::all();
    let mut wrong = Vec::new();
    let sections: Vec<(&str, &str)> = page.split("\n## ").skip(1).map(|s| s.split_once('\n').unwrap()).collect();
    for (title, section) in &sections {
        let mut ids = BTreeSet::new();
        let found = rows(section);
        assert!(!found.is_empty(), "{title} has no rows");
        for row in &found {
            let [id, what, state, tests] = row.as_slice() else {
                wrong.push(format!("{title}: {row:?} is not id, finding, state, tests"));
                continue;
            };
            let is_open = ["not mended", "in part"].iter().any(|open| state.starts_with(open));
            let named: Vec<&str> = named_tests::quoted(tests).collect();
            if !ids.insert(*id) || id.is_empty() || what.is_empty() {
                wrong.push(format!("{title}: {id} stands there twice or says nothing"));
            }
            if !STATES.iter().any(|known| state.starts_with(known)) {
                wrong.push(format!("{title}: {id} is {state:?}"));
            }
            if is_open && !state.contains(": ") {
                wrong.push(format!("{title}: {id} does not say why it is open"));
            }
            if named.is_empty() && !state.starts_with("not mended") && !tests.starts_with("Not tested: ") {
                wrong.push(format!("{title}: {id} names no test"));
            }
            wrong.extend(named.iter().filter(|name| !known.contains(**name)).map(|name| format!("no test {name}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(sections.len() >= 2, "{}", sections.len());
}
