//! The account of what was disturbed, as lines of JSON in the lab's folder.
use super::plan::Met;
use crate::world::Lab;
use std::io::Write;
use std::path::PathBuf;

/// Writes down what was met, for as long as it is polled.
pub async fn keep(lab: Lab, file: PathBuf) {
    // A file that is there is that of an earlier lab in this folder.
    let _ = std::fs::remove_file(&file);
    let mut changed = lab.watch();
    let mut written = 0;
    loop {
        let news: Vec<Met> = lab.look(|w| w.disturbances.account.get(written..).unwrap_or_default().to_vec());
        written += news.len();
        if !news.is_empty() {
            let lines: String = news.iter().filter_map(|m| serde_json::to_string(m).ok()).map(|l| l + "\n").collect();
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(&file);
            // The account is for whoever looks on; a full disk is no reason to end the lab.
            let _ = opened.and_then(|mut file| file.write_all(lines.as_bytes()));
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}
