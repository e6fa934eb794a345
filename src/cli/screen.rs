//! The terminal UI's way in: home, the lab's wizard, the run screen.
use super::Exit;
use super::run::LabFigures;
use crate::base::clock::Clock;
use crate::compose::Prepared;
use std::path::Path;

pub async fn home(_state_dir: &Path) -> Exit {
    Exit::Usage
}

pub async fn lab(_state_dir: &Path) -> Exit {
    Exit::Usage
}

pub async fn run(_prepared: Prepared, _clock: Clock, _figures: LabFigures) -> Exit {
    Exit::Usage
}
