//! The common part of the rooms' properties. A property holds for any bytes: tests/fuzz searches for bytes for which it
//! does not, and tier 1 keeps those that were found (`tests/fuzz/seeds`).
#![allow(clippy::panic, clippy::unwrap_used, reason = "called by tests and by fuzzing alone")]
use super::text::is_hostile;
use std::fmt::Debug;

/// No text in `value` can steer a terminal.
pub fn harmless(value: &impl Debug) {
    harmless_but_for(value, &[]);
}

/// [`harmless`], with line breaks where lines are kept.
pub fn harmless_lines(value: &impl Debug) {
    harmless_but_for(value, &['\n']);
}

fn harmless_but_for(value: &impl Debug, allowed: &[char]) {
    let shown = format!("{value:?}");
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            continue;
        }
        let meant = match rest.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('0') => '\0',
            Some('u') => {
                let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('?')
            }
            Some(other) => other,
            None => break,
        };
        assert!(!is_hostile(meant) || allowed.contains(&meant), "{meant:?} in {shown}");
    }
}

/// Feeds every seed of a fuzz target to its property.
pub fn seeds(target: &str, property: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(target);
    let seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "{} holds no seed", folder.display());
    for seed in seeds {
        let held = std::panic::catch_unwind(|| property(&std::fs::read(&seed).unwrap()));
        assert!(held.is_ok(), "the property does not hold for {}", seed.display());
    }
}
