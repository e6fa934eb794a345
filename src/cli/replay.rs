//! `cozyup replay [RUN]`: the record of a run, played on the screen.
use super::exit::Exit;
use super::output::print_error;
use super::runs::find;
use super::show::{no_terminal, show_record};
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
}

impl Replay {
    pub async fn run(self, state_dir: &Path) -> Exit {
        if let Some(exit) = no_terminal() {
            return exit;
        }
        match find(state_dir, self.run.as_deref()) {
            Ok(folder) => show_record(&folder, (!self.end).then_some(self.speed)).await,
            Err(why) => {
                print_error(&why);
                Exit::Usage
            }
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && (0.01..=100_000.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err(format!("`{text}` is no speed: write a number from 0.01 to 100000, e.g. 10")),
    }
}
