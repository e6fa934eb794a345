//! The time line as a picture: a bar per step, its waits hatched, failures and drifts as marks. Sessions stand one behind the
//! other, since between them nobody worked.
use super::html::escaped;
use super::{HandOver, Session, StepTold, seconds};
use crate::base::clock::between;
use jiff::Timestamp;
use std::fmt::Write;

const WIDTH: f64 = 1000.0;
/// Where the bars begin; the names stand before.
const LEFT: f64 = 300.0;
const ROW: f64 = 14.0;
const TOP: f64 = 40.0;
/// The least width of a bar, so that it is seen.
const LEAST: f64 = 1.5;
/// Lines of the time scale.
const TICKS: u32 = 6;

/// The times at work, one session after the other.
struct Scale<'a> {
    sessions: &'a [Session],
    total: f64,
}

impl Scale<'_> {
    fn of(sessions: &[Session]) -> Scale<'_> {
        let total: f64 = sessions.iter().map(length).sum();
        Scale { sessions, total: total.max(1.0) }
    }

    fn x(&self, at: Timestamp) -> f64 {
        let mut before = 0.0;
        for session in self.sessions {
            if at < session.began {
                break;
            }
            before += between(session.began, at.min(session.ended)).as_secs_f64();
            if at <= session.ended {
                break;
            }
        }
        LEFT + (WIDTH - LEFT - 10.0) * (before / self.total)
    }
}

fn length(session: &Session) -> f64 {
    between(session.began, session.ended).as_secs_f64()
}

/// An SVG document of its own.
pub fn document(record: &HandOver) -> String {
    let steps: Vec<&StepTold> = record.steps.iter().filter(|s| s.began.is_some()).collect();
    let height = TOP + ROW * steps.len() as f64 + 20.0;
    let scale = Scale::of(&record.sessions);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"9\">\n<title>{}</title>\n{DEFINITIONS}",
        escaped(&format!("time line of run {} of plan {}", record.run, record.plan))
    );
    axis(&mut out, &scale, height);
    for (n, step) in steps.iter().enumerate() {
        row(&mut out, &scale, step, TOP + ROW * n as f64);
    }
    out.push_str("</svg>\n");
    out
}

const DEFINITIONS: &str = "<defs><pattern id=\"wait\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" \
     patternTransform=\"rotate(45)\"><rect width=\"4\" height=\"4\" fill=\"#d8e4f0\"/><rect width=\"1.5\" height=\"4\" \
     fill=\"#7a98b8\"/></pattern></defs>\n";

fn axis(out: &mut String, scale: &Scale<'_>, height: f64) {
    let bottom = height - 16.0;
    for tick in 0..=TICKS {
        let share = f64::from(tick) / f64::from(TICKS);
        let x = LEFT + (WIDTH - LEFT - 10.0) * share;
        let at = seconds((scale.total * share) as u64);
        // Writing to a string does not fail; the same holds below.
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} 30V{bottom:.1}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"24\" text-anchor=\"middle\">{}</text>",
            escaped(&at)
        );
    }
    for session in scale.sessions.iter().skip(1) {
        let x = scale.x(session.began);
        let _ = writeln!(out, "<path d=\"M{x:.1} 30V{bottom:.1}\" stroke=\"#333\" stroke-dasharray=\"3 3\"/>");
    }
    let _ = writeln!(
        out,
        "<text x=\"4\" y=\"12\">solid: at work; hatched: waits; red: failed; orange: drifted; dashed: a new session</text>"
    );
}

fn row(out: &mut String, scale: &Scale<'_>, step: &StepTold, y: f64) {
    let name = escaped(&crate::base::text::shorten(&step.id, 52));
    let _ = writeln!(out, "<text x=\"4\" y=\"{:.1}\">{name}</text>", y + 9.0);
    let Some(began) = step.began else { return };
    let last = scale.sessions.last().map_or(began, |s| s.ended);
    let from = scale.x(began);
    let to = scale.x(step.proven_at.unwrap_or(last)).max(from + LEAST);
    let fill = if step.proven { "#2f7d4f" } else { "#999" };
    let mut bar = |x: f64, to: f64, fill: &str, title: &str| {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\" fill=\"{fill}\"><title>{}</title></rect>",
            y + 1.0,
            (to - x).max(LEAST),
            escaped(title)
        );
    };
    bar(from, to, fill, &format!("{}: {}", step.id, step.summary.as_deref().unwrap_or("not proven")));
    for wait in &step.waits {
        bar(scale.x(wait.from), scale.x(wait.to), "url(#wait)", &format!("waits until {}", wait.for_what));
    }
    for failure in &step.failures {
        let x = scale.x(failure.at);
        bar(x, x + 2.0, "#c0392b", &failure.what);
    }
    for drift in &step.drifts {
        let x = scale.x(drift.at);
        bar(x, x + 2.0, "#e08e0b", &drift.text);
    }
}
