//! The record of a run as a recording of its screen, or as a picture of how it ended.
use super::message::Msg;
use super::model::Model;
use super::terminal::Frames;
use super::theme::Theme;
use super::update::update;
use super::view::render;
use super::{RecordScreen, record_model};
use crate::base::clock::between;
use crate::base::markup;
use crate::engine::record::Record;
use jiff::Timestamp;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use serde_json::json;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// Between two frames at most, of the recording: the clock goes on in a wait.
const TICK: Duration = Duration::from_secs(1);
/// The longest pause between two records, of the recording.
const LONGEST: Duration = Duration::from_secs(3);
/// Between two frames at least.
const FRAME: Duration = Duration::from_millis(100);
/// Of a character in the picture, in its own units.
const CELL: (usize, usize) = (9, 19);

/// What was drawn since it was asked last.
#[derive(Clone, Default)]
struct Taken(Rc<RefCell<Vec<u8>>>);

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A screen that somebody looks at, on no terminal.
struct Stage {
    model: Model,
    area: Rect,
}

impl Stage {
    /// Nobody reads the environment for it: a recording is in colour and in Unicode wherever it is made.
    fn of(screen: RecordScreen, (width, height): (u16, u16)) -> (Stage, Vec<Record>) {
        let (model, records) = record_model(screen, Theme::new(true, true));
        (Stage { model, area: Rect::new(0, 0, width, height) }, records)
    }

    fn take(&mut self, msg: Msg) {
        update(&mut self.model, msg);
    }

    fn clock(&mut self, now: Timestamp, wall: Duration) {
        self.take(Msg::Clock { now, wall });
    }
}

/// A recording that a terminal plays (asciicast v2, as asciinema's documentation has it): as fast as it happened times
/// `speed`, long pauses cut short.
///
/// # Errors
/// Never on a healthy machine: it is drawn into memory.
pub fn cast(screen: RecordScreen, speed: f64, size: (u16, u16)) -> io::Result<String> {
    let title = screen.title.clone();
    let (mut stage, records) = Stage::of(screen, size);
    let out = Taken::default();
    let mut frames = Frames::new(out.clone(), stage.area)?;
    let mut text = json!({"version": 2, "width": size.0, "height": size.1, "title": title}).to_string();
    let mut draw = |stage: &mut Stage, at: Duration| -> io::Result<()> {
        let (model, mut drawn) = (&stage.model, stage.model.drawn);
        frames.draw(stage.area, |area, buffer| drawn = render(model, area, buffer))?;
        stage.model.drawn = drawn;
        let bytes = std::mem::take(&mut *out.0.borrow_mut());
        if !bytes.is_empty() {
            let _ = write!(text, "\n{}", json!([at.as_secs_f64(), "o", String::from_utf8_lossy(&bytes)]));
        }
        Ok(())
    };
    let (mut wall, mut drawn, mut before) = (Duration::ZERO, None::<Duration>, None::<Timestamp>);
    for record in records {
        let gap = before.map_or(Duration::ZERO, |before| between(before, record.at));
        let pause = Duration::try_from_secs_f64(gap.as_secs_f64() / speed).unwrap_or(LONGEST).min(LONGEST);
        let end = wall + pause;
        while let Some(from) = before.filter(|_| wall + TICK < end) {
            wall += TICK;
            let left = (end - wall).as_secs_f64() / pause.as_secs_f64();
            stage.clock(from + gap.mul_f64(1.0 - left), wall);
            draw(&mut stage, wall)?;
            drawn = Some(wall);
        }
        wall = end;
        before = Some(record.at);
        stage.clock(record.at, wall);
        stage.take(Msg::Records(vec![Arc::new(record)]));
        if drawn.is_none_or(|at| wall.saturating_sub(at) >= FRAME) {
            draw(&mut stage, wall)?;
            drawn = Some(wall);
        }
    }
    draw(&mut stage, wall + FRAME)?;
    text.push('\n');
    Ok(text)
}

/// How the screen of the record looks at its end, as SVG.
pub fn svg(screen: RecordScreen, size: (u16, u16)) -> String {
    let (mut stage, records) = Stage::of(screen, size);
    if let Some(last) = records.last() {
        stage.clock(last.at, LONGEST);
    }
    stage.take(Msg::Records(records.into_iter().map(Arc::new).collect()));
    let mut buffer = Buffer::empty(stage.area);
    // The first frame measures.
    stage.model.drawn = render(&stage.model, stage.area, &mut buffer);
    buffer.reset();
    render(&stage.model, stage.area, &mut buffer);
    picture(&buffer)
}

/// A frame as SVG.
pub fn picture(buffer: &Buffer) -> String {
    let (columns, lines) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    let (width, height) = ((columns + 2) * CELL.0, (lines + 1) * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#15191f\"/>\n\
         <g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"15\">\n"
    );
    for (n, line) in buffer.content.chunks(columns.max(1)).enumerate() {
        let mut at = 0;
        for run in line.chunk_by(|a, b| look(a) == look(b)) {
            let symbols: String = run.iter().map(Cell::symbol).collect();
            let (x, y) = ((at + 1) * CELL.0, (n + 1) * CELL.1);
            at += run.len();
            let Some(first) = run.first().filter(|_| !symbols.trim().is_empty() || look_of_reversed(run)) else {
                continue;
            };
            let (mut ink, mut paper) = (hex(first.fg, "#d7dce2"), hex(first.bg, "#15191f"));
            if first.modifier.contains(Modifier::REVERSED) {
                std::mem::swap(&mut ink, &mut paper);
            }
            if paper != "#15191f" {
                let _ = writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{paper}\"/>",
                    y - CELL.1 + 5,
                    run.len() * CELL.0,
                    CELL.1
                );
            }
            let weight = if first.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
            let faint = if first.modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
            let length = symbols.width() * CELL.0;
            let _ = writeln!(
                out,
                "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\" fill=\"{ink}\"{weight}{faint}>{}</text>",
                // Spaces that no viewer takes together.
                markup::html(&symbols).replace(' ', "\u{a0}")
            );
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn look(cell: &Cell) -> (Color, Color, Modifier) {
    (cell.fg, cell.bg, cell.modifier)
}

/// True when even spaces are seen.
fn look_of_reversed(run: &[Cell]) -> bool {
    run.first().is_some_and(|cell| cell.bg != Color::Reset || cell.modifier.contains(Modifier::REVERSED))
}

/// The sixteen colours as most terminals show them.
fn hex(color: Color, reset: &'static str) -> &'static str {
    match color {
        Color::Black => "#2b3038",
        Color::Red | Color::LightRed => "#e06c75",
        Color::Green | Color::LightGreen => "#98c379",
        Color::Yellow | Color::LightYellow => "#e5c07b",
        Color::Blue | Color::LightBlue => "#61afef",
        Color::Magenta | Color::LightMagenta => "#c678dd",
        Color::Cyan | Color::LightCyan => "#56b6c2",
        Color::Gray => "#abb2bf",
        Color::DarkGray => "#7f848e",
        Color::White => "#ffffff",
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => reset,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Sample;
    use super::*;
    use crate::engine::record::Event;
    use crate::plan::defaults::{Defaults, plan};

    fn screen() -> RecordScreen {
        let records = Sample::late_clone().then(100_000, Event::StopAsked { by: "<ann>".into() }).records();
        RecordScreen {
            plan: Arc::new(plan(&Defaults::default())),
            folder: "/state/run".into(),
            findings: Vec::new(),
            title: "record of standard".into(),
            records: records.iter().map(|record| Record::clone(record)).collect(),
            speed: None,
        }
    }

    #[test]
    fn a_recording_has_a_head_and_frames_in_order_and_no_night_is_waited_through() {
        let text = cast(screen(), 10.0, (100, 30)).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["version"], &lines[0]["width"]), (&json!(2), &json!(100)));
        let times: Vec<f64> = lines[1..].iter().map(|frame| frame[0].as_f64().unwrap()).collect();
        assert!(times.is_sorted() && times.len() > 5, "{times:?}");
        assert!(times.last().is_some_and(|last| (8.5..12.0).contains(last)), "{times:?}");
        let all: String = lines[1..].iter().map(|frame| frame[2].as_str().unwrap()).collect();
        assert!(all.contains("Steps") && all.contains("late"), "{all}");
    }

    #[test]
    fn a_picture_holds_every_line_of_the_screen_as_text_that_is_no_markup() {
        let text = svg(screen(), (100, 30));
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
        let text = text.replace('\u{a0}', " ");
        assert!(text.contains("Day 3 Platform") && text.contains("clone cp3 (vm 1003)"), "{text}");
        assert!(!text.contains("<ann>"), "what a record says is no markup");
    }
}
