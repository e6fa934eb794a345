//! The properties that hold for any text that is taken for a plan.
#![allow(clippy::panic, clippy::unwrap_used, reason = "compiled for tests and for fuzzing alone")]
use super::write::render;
use super::{decode, lint, show};
use crate::base::properties::{harmless, harmless_lines};

/// The text is refused with places in it, or it is a plan that survives being written and shown.
pub fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // YAML takes a carriage return alone for a line break, too.
    let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
    let findings = match decode(text, "plan.yaml") {
        Ok(decoded) => {
            let Ok(written) = render(&decoded.plan) else { panic!("a plan that was read can't be written") };
            let again = decode(&written, "plan.yaml");
            assert!(again.is_ok_and(|a| a.plan == decoded.plan), "read back as another plan:\n{written}");
            harmless_lines(&show(&decoded.plan));
            assert_eq!(lint::lint(&decoded.plan).len(), decoded.findings.len());
            decoded.findings
        }
        Err(findings) => {
            assert!(!findings.is_empty(), "refused without a finding");
            findings
        }
    };
    for finding in findings {
        assert!((1..=lines).contains(&finding.line), "line {} of {lines}: {finding}", finding.line);
        assert!(finding.column >= 1 && !finding.what.is_empty(), "{finding}");
        harmless_lines(&finding.to_string());
        harmless(&finding.rule);
    }
}

#[test]
fn every_plan_that_was_found_by_fuzzing_keeps_the_property() {
    crate::base::properties::seeds("plan", plan);
}
