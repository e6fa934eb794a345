//! One remark about a plan file: where, what, why, and what to write instead.
use crate::base::text::{clean, shorten};
use serde::Serialize;
use std::fmt;

/// The severity of a finding. Only an error stops a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The plan is refused.
    Error,
    /// The plan is accepted, and something in it may go wrong.
    Warning,
    /// The plan is accepted; among others, what an entry of `overrides` allows.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// `line` and `column` count from 1; both are 0 when the plan did not come from a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of the rule, kebab-case; `docs/PLAN.md` lists them.
    pub rule: String,
    /// Error, warning or note, after overrides were applied.
    pub severity: Severity,
    /// The plan's file as the user named it; empty when the plan did not come from a text.
    pub file: String,
    /// Line of the key, or of the nearest section around it that the text has.
    pub line: usize,
    /// Column of the key.
    pub column: usize,
    /// `nodes[2].vmid`; empty when the finding is about the whole file.
    pub key: String,
    /// The mistake, with the value that is written.
    pub what: String,
    /// The reason, with its source.
    pub why: String,
    /// The text to write instead.
    pub write: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}", clean(&self.file))?;
            if self.line > 0 {
                write!(f, ":{}:{}", self.line, self.column)?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}[{}]: ", self.severity, self.rule)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", shown(&self.key))?;
        }
        f.write_str(&shown(&self.what))?;
        for (label, text) in [("why", &self.why), ("write", &self.write)] {
            if !text.is_empty() {
                write!(f, "\n  {label}: {}", shown(text))?;
            }
        }
        Ok(())
    }
}

/// Safe for a terminal whatever the plan's author wrote.
fn shown(text: &str) -> String {
    shorten(&clean(text), 600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_place_rule_reason_and_remedy() {
        let finding = Finding {
            rule: "duplicate-vmid".into(),
            severity: Severity::Error,
            file: "plan.yaml".into(),
            line: 31,
            column: 11,
            key: "nodes[2].vmid".into(),
            what: "1001 is taken\u{1b}[2J".into(),
            why: "a VMID is unique".into(),
            write: "a free number".into(),
        };
        assert_eq!(
            finding.to_string(),
            "plan.yaml:31:11: error[duplicate-vmid]: nodes[2].vmid: 1001 is taken [2J\n  why: a VMID is unique\n  write: a free number"
        );
    }
}
