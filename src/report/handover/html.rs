//! One page that needs nothing else: no script, no font, no picture from elsewhere. It is read at any width, and printed.
use super::{HandOver, StepTold, against_band, svg, time};
use crate::base::markup;
use crate::base::text::{clean_lines, line};
use crate::plan::day_title;
use std::fmt::Write;

/// Text in an element or in an attribute.
pub(super) fn escaped(text: &str) -> String {
    markup::html(&clean_lines(text))
}

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #1b1b1b; margin: 0 auto; max-width: 70rem; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 1.6rem 0 .4rem; border-bottom: 1px solid #bbb; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .2rem .5rem .2rem 0;
  border-bottom: 1px solid #e2e2e2; } th { font-weight: 600; } .long, p { overflow-wrap: anywhere; }
code, pre { font: 12px/1.4 ui-monospace, monospace; } pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f3;
  padding: .4rem .6rem; margin: .2rem 0; } .bad { color: #a02015; font-weight: 600; } .good { color: #1d6b3e; }
.wide { overflow-x: auto; } .steps td:last-child { width: 26%; } svg { width: 100%; min-width: 40rem; height: auto; }
@page { size: A4; margin: 15mm; }
@media print { body { max-width: none; padding: 0; font-size: 9.5pt; } h2 { break-after: avoid; } h3 { break-after: avoid; }
  tr, svg { break-inside: avoid; } .wide { overflow: visible; } svg { min-width: 0; }
  .evidence { columns: 2; column-gap: 6mm; font-size: 7.5pt; } .evidence h3 { font-size: 8.5pt; } .evidence p { margin: .3rem 0; }
  .evidence code, .evidence pre { font-size: 6.5pt; } }
";

/// The whole page.
pub fn page(record: &HandOver) -> String {
    let mut page = Page(String::new());
    let title = format!("Hand-over of run {} of plan {}", record.run, record.plan);
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    page.raw(&format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{}</title><style>{STYLE}</style></head><body>\n",
        escaped(&title)
    ));
    page.raw(&format!(
        "<h1>{}</h1>\n<p class=\"{}\">{}</p>\n",
        escaped(&title),
        word(record),
        escaped(&record.headline())
    ));
    let as_of = record.as_of.map(time).unwrap_or_default();
    page.table(
        &[],
        [
            ["as of".to_string(), as_of],
            ["records".to_string(), record.records.to_string()],
            ["SHA-256 of the plan".to_string(), record.plan_sha256.clone()],
        ],
    );
    risks(&mut page, record);
    installed(&mut page, record);
    history(&mut page, record);
    steps(&mut page, record);
    page.heading("Time line");
    page.raw(&format!("<div class=\"wide\">{}</div>\n", svg::document(record)));
    evidence(&mut page, record);
    page.raw("</body></html>\n");
    page.0
}

fn word(record: &HandOver) -> &'static str {
    if record.proven == record.steps_in_all && !record.disputed { "good" } else { "bad" }
}

struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn heading(&mut self, text: &str) {
        // Writing to a string does not fail; the same holds below.
        let _ = writeln!(self.0, "<h2>{}</h2>", escaped(text));
    }

    /// Nothing without rows.
    fn table<const N: usize>(&mut self, head: &[&str], rows: impl IntoIterator<Item = [String; N]>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.raw("<div class=\"wide\"><table>");
        if !head.is_empty() {
            let cells: String = head.iter().map(|h| format!("<th>{}</th>", escaped(h))).collect();
            self.raw(&format!("<tr>{cells}</tr>"));
        }
        for row in rows {
            let cells: String = row.iter().map(|cell| markup::html_cell(&clean_lines(cell))).collect();
            self.raw(&format!("<tr>{cells}</tr>\n"));
        }
        self.raw("</table></div>\n");
    }

    fn section<const N: usize>(&mut self, title: &str, head: &[&str], rows: Vec<[String; N]>) {
        if !rows.is_empty() {
            self.heading(title);
            self.table(head, rows);
        }
    }
}

fn risks(page: &mut Page, record: &HandOver) {
    page.heading("Open");
    if record.risks.is_empty() {
        page.raw("<p>Nothing that the records tell of.</p>\n");
    }
    let rows = record.risks.iter().map(|r| [r.about.clone(), r.what.clone(), r.next.clone()]);
    page.table(&["about", "what", "next"], rows);
    let left = record.left_alone.iter().map(|l| [l.what.clone(), format!("it {}", l.why)]).collect();
    page.section("Found and left alone", &["what", "why"], left);
}

fn installed(page: &mut Page, record: &HandOver) {
    let of = |map: &std::collections::BTreeMap<&'static str, String>| {
        map.iter().map(|(k, v)| [(*k).to_string(), v.clone()]).collect::<Vec<_>>()
    };
    page.section("Versions", &[], of(&record.versions));
    page.section("Addresses", &[], of(&record.addresses));
    let machines = record
        .machines
        .iter()
        .map(|m| [m.name.clone(), m.role.clone(), m.vmid.to_string(), m.host.clone(), m.address.clone()]);
    page.section("Machines", &["name", "role", "VMID", "host", "address"], machines.collect());
    let access = record.access.iter().map(|a| [a.to.clone(), a.how.clone()]).collect();
    page.section("How to get in", &["to", "how"], access);
    let digests = record.digests.iter().map(|(what, sha256)| [what.clone(), sha256.clone()]).collect();
    page.section("Digests (SHA-256)", &["of", "digest"], digests);
    let overrides = record.overrides.iter().map(|o| [o.rule.clone(), o.reason.clone()]).collect();
    page.section("Rules that the plan sets aside", &["rule", "reason"], overrides);
}

fn history(page: &mut Page, record: &HandOver) {
    let sessions = record.sessions.iter().map(|s| {
        let outcome = s.outcome.map_or("cut off", |o| super::Ending::of(Some(o)).word());
        let way = if s.course.is_back() { "teardown" } else { "forward" };
        let over = s.take_over.as_deref().map_or(String::new(), |by| format!("; taken over by {by}"));
        [time(s.began), time(s.ended), way.into(), format!("{outcome}{over}"), s.host.clone(), s.cozyup.clone()]
    });
    page.section("Sessions", &["began", "ended", "way", "outcome", "host", "cozyup"], sessions.collect());
    let gates = record.gates.iter().map(|g| [g.day.to_string(), g.by.clone(), time(g.at), g.compared.join("; ")]);
    page.section("Gates", &["day", "opened by", "at", "to compare"], gates.collect());
    let mut deviations = Vec::new();
    for step in record.deviations() {
        if step.late {
            deviations.push([step.id.clone(), "late".to_string(), against_band(step)]);
        }
        let failures =
            step.failures.iter().map(|f| [step.id.clone(), format!("failed {}", time(f.at)), f.what.clone()]);
        deviations.extend(failures);
        if step.more_failures > 0 {
            deviations.push([step.id.clone(), "failed".to_string(), format!("and {} more times", step.more_failures)]);
        }
        deviations
            .extend(step.drifts.iter().map(|d| [step.id.clone(), format!("drifted {}", time(d.at)), d.text.clone()]));
    }
    page.section("Deviations and drift", &["step", "when", "what"], deviations);
    let notices = record.notices.iter().map(|n| [time(n.at), n.text.clone()]).collect();
    page.section("Noticed beside the steps", &["at", "what"], notices);
}

fn by_day(record: &HandOver) -> Vec<(String, Vec<(usize, &StepTold)>)> {
    let mut days: Vec<(String, Vec<(usize, &StepTold)>)> = Vec::new();
    for (n, step) in record.steps.iter().enumerate() {
        let title = day_title(step.day);
        match days.last_mut() {
            Some((last, steps)) if *last == title => steps.push((n + 1, step)),
            Some(_) | None => days.push((title, vec![(n + 1, step)])),
        }
    }
    days
}

fn steps(page: &mut Page, record: &HandOver) {
    page.heading("Steps");
    page.raw("<div class=\"steps\">\n");
    for (title, steps) in by_day(record) {
        page.raw(&format!("<h3>{}</h3>\n", escaped(&title)));
        let rows = steps.into_iter().map(|(n, s)| {
            let mark = if s.proven { "proven" } else { "NOT PROVEN" };
            let said = s.summary.clone().unwrap_or_else(|| s.title.clone());
            [format!("E{n}"), s.id.clone(), mark.to_string(), said, against_band(s)]
        });
        page.table(&["evidence", "step", "", "what was shown", "took"], rows);
    }
    page.raw("</div>\n");
}

fn evidence(page: &mut Page, record: &HandOver) {
    page.heading("Evidence");
    page.raw("<div class=\"evidence\">\n");
    for (n, step) in record.steps.iter().enumerate().filter(|(_, s)| !s.evidence.is_empty()) {
        page.raw(&format!("<h3>E{} {}</h3>\n", n + 1, escaped(&step.id)));
        for reading in &step.evidence {
            page.raw(&format!(
                "<p>{}, {}: <code>{}</code><br>by hand: <code>{}</code><br>SHA-256 of the answer: <code>{}</code></p><pre>{}</pre>\n",
                escaped(&line(&reading.system)),
                escaped(&time(reading.at)),
                escaped(&reading.asked),
                escaped(&reading.by_hand),
                escaped(&reading.sha256),
                escaped(&reading.answer)
            ));
        }
    }
    page.raw("</div>\n");
}
