//! The record as Markdown, for a wiki or a ticket. What others wrote can't become markup there.
use super::{HandOver, against_band, time};
use crate::base::markup;
use crate::base::text::line;
use crate::plan::day_title;
use std::fmt::Write;

/// Text in a paragraph or in a cell of a table.
fn plain(text: &str) -> String {
    markup::markdown(&line(text))
}

/// A line of code in a cell: a fence that is longer than any in it. A bar would end the cell, also in code.
fn code(text: &str) -> String {
    let text = line(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

struct Text(String);

impl Text {
    fn heading(&mut self, text: &str) {
        // Writing to a string does not fail; the same holds below.
        let _ = write!(self.0, "\n## {}\n\n", plain(text));
    }

    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn section<const N: usize>(&mut self, title: &str, head: [&str; N], rows: Vec<[String; N]>) {
        if rows.is_empty() {
            return;
        }
        self.heading(title);
        self.table(head, rows);
    }

    fn table<const N: usize>(&mut self, head: [&str; N], rows: Vec<[String; N]>) {
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(N)));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }
}

/// The whole document. The evidence is an index; the page and the journal have the answers.
pub fn document(record: &HandOver) -> String {
    let mut out = Text(String::new());
    out.line(&format!("# Hand-over of run {} of plan {}\n", plain(&record.run), plain(&record.plan)));
    out.line(&format!("{}\n", plain(&record.headline())));
    let as_of = record.as_of.map(time).unwrap_or_default();
    out.line(&format!(
        "As of {}, {} records; SHA-256 of the plan: {}",
        plain(&as_of),
        record.records,
        plain(&record.plan_sha256)
    ));
    out.heading("Open");
    if record.risks.is_empty() {
        out.line("Nothing that the records tell of.");
    }
    for risk in &record.risks {
        let next = if risk.next.is_empty() { String::new() } else { format!(" Next: {}", plain(&risk.next)) };
        let about = if risk.about.is_empty() { String::new() } else { format!("{}: ", plain(&risk.about)) };
        out.line(&format!("- {about}{}.{next}", plain(&risk.what)));
    }
    let left = record.left_alone.iter().map(|l| [plain(&l.what), plain(&format!("it {}", l.why))]).collect();
    out.section("Found and left alone", ["what", "why"], left);
    installed(&mut out, record);
    history(&mut out, record);
    steps(&mut out, record);
    out.0
}

fn installed(out: &mut Text, record: &HandOver) {
    let of = |map: &std::collections::BTreeMap<&'static str, String>| {
        map.iter().map(|(k, v)| [plain(k), plain(v)]).collect::<Vec<_>>()
    };
    out.section("Versions", ["of", "version"], of(&record.versions));
    out.section("Addresses", ["of", "address"], of(&record.addresses));
    let machines = record
        .machines
        .iter()
        .map(|m| [plain(&m.name), plain(&m.role), m.vmid.to_string(), plain(&m.host), plain(&m.address)]);
    out.section("Machines", ["name", "role", "VMID", "host", "address"], machines.collect());
    let access = record.access.iter().map(|a| [plain(&a.to), code(&a.how)]).collect();
    out.section("How to get in", ["to", "how"], access);
    let digests = record.digests.iter().map(|(what, sha256)| [plain(what), plain(sha256)]).collect();
    out.section("Digests (SHA-256)", ["of", "digest"], digests);
    let overrides = record.overrides.iter().map(|o| [plain(&o.rule), plain(&o.reason)]).collect();
    out.section("Rules that the plan sets aside", ["rule", "reason"], overrides);
}

fn history(out: &mut Text, record: &HandOver) {
    let sessions = record.sessions.iter().map(|s| {
        let outcome = s.outcome.map_or("cut off", |o| super::Ending::of(Some(o)).word());
        let way = if s.course.is_back() { "teardown" } else { "forward" };
        [time(s.began), time(s.ended), way.to_string(), outcome.to_string(), plain(&s.host), plain(&s.cozyup)]
    });
    out.section("Sessions", ["began", "ended", "way", "outcome", "host", "cozyup"], sessions.collect());
    let gates =
        record.gates.iter().map(|g| [g.day.to_string(), plain(&g.by), time(g.at), plain(&g.compared.join("; "))]);
    out.section("Gates", ["day", "opened by", "at", "to compare"], gates.collect());
    let mut deviations = Vec::new();
    for step in record.deviations() {
        let id = plain(&step.id);
        if step.late {
            deviations.push([id.clone(), "late".to_string(), plain(&against_band(step))]);
        }
        deviations.extend(step.failures.iter().map(|f| [id.clone(), format!("failed {}", time(f.at)), plain(&f.what)]));
        if step.more_failures > 0 {
            deviations.push([id.clone(), "failed".to_string(), format!("and {} more times", step.more_failures)]);
        }
        deviations.extend(step.drifts.iter().map(|d| [id.clone(), format!("drifted {}", time(d.at)), plain(&d.text)]));
    }
    out.section("Deviations and drift", ["step", "when", "what"], deviations);
    let notices = record.notices.iter().map(|n| [time(n.at), plain(&n.text)]).collect();
    out.section("Noticed beside the steps", ["at", "what"], notices);
}

fn steps(out: &mut Text, record: &HandOver) {
    let mut day = None;
    let mut rows: Vec<[String; 5]> = Vec::new();
    let head = ["step", "", "what was shown", "took", "evidence: system, question, SHA-256 of the answer"];
    for step in &record.steps {
        if day != Some(step.day) {
            if let Some(day) = day {
                out.section(&day_title(day), head, std::mem::take(&mut rows));
            }
            day = Some(step.day);
        }
        let mark = if step.proven { "proven" } else { "NOT PROVEN" };
        let said = step.summary.as_deref().unwrap_or(&step.title);
        let evidence = step.evidence.iter().map(|r| {
            let begin = r.sha256.get(..16).unwrap_or_default();
            format!("{}: {} ({}…)", plain(&r.system), plain(&r.asked), plain(begin))
        });
        let evidence = evidence.collect::<Vec<_>>().join("<br>");
        rows.push([plain(&step.id), mark.to_string(), plain(said), plain(&against_band(step)), evidence]);
    }
    if let Some(day) = day {
        out.section(&day_title(day), head, rows);
    }
}
