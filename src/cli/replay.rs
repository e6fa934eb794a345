//! `cozyup replay [RUN]`: the record of a run, played on the screen, or exported for others to look at.
use super::exit::Exit;
use super::output::{print_error, written};
use super::runs::find;
use super::show::{no_terminal, of_record, show_record};
use crate::tui::export;
use std::io::Write;
use std::path::Path;

#[derive(Debug, clap::Args)]
pub struct Replay {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
    /// Seconds of the run in a second of yours; long pauses are cut short
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = speed)]
    pub speed: f64,
    /// All at once, as it stands at the end
    #[arg(long, conflicts_with = "speed")]
    pub end: bool,
    /// Print it instead: a recording for a terminal (asciicast), or a picture of its end (SVG)
    #[arg(long, value_enum, value_name = "FORM")]
    pub export: Option<Export>,
    /// Columns and lines of what is exported
    #[arg(long, value_name = "COLUMNSxLINES", default_value = "120x40", value_parser = size, requires = "export")]
    pub size: (u16, u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Export {
    Cast,
    Svg,
}

impl Replay {
    pub async fn run(self, state_dir: &Path) -> Exit {
        if self.export.is_none()
            && let Some(exit) = no_terminal()
        {
            return exit;
        }
        let folder = find(state_dir, self.run.as_deref());
        let done = match (folder, self.export) {
            (Ok(folder), None) => return show_record(&folder, (!self.end).then_some(self.speed)).await,
            (Ok(folder), Some(form)) => self.exported(&folder, form),
            (Err(why), _) => Err(why),
        };
        match done {
            Ok(text) => {
                written(std::io::stdout().write_all(text.as_bytes()));
                Exit::Proven
            }
            Err(why) => {
                print_error(&why);
                Exit::Usage
            }
        }
    }

    fn exported(&self, folder: &Path, form: Export) -> Result<String, String> {
        let screen = of_record(folder, None)?;
        match form {
            Export::Cast => export::cast(screen, self.speed, self.size).map_err(|e| e.to_string()),
            Export::Svg => Ok(export::svg(screen, self.size)),
        }
    }
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse::<u16>().ok()?, h.parse::<u16>().ok()?)));
    match parsed {
        Some((w, h)) if (40..=400).contains(&w) && (10..=200).contains(&h) => Ok((w, h)),
        Some(_) | None => Err(format!("`{text}` is no size: write COLUMNSxLINES from 40x10 to 400x200, e.g. 120x40")),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && (0.01..=100_000.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err(format!("`{text}` is no speed: write a number from 0.01 to 100000, e.g. 10")),
    }
}
