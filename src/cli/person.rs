//! The person at this terminal.
use crate::base::text;

/// The person at this screen, for the record of the run: `ann on pts/3`.
pub fn who() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|n| std::env::var(n).ok()).filter(|u| !u.is_empty());
    let terminal = std::fs::read_link("/proc/self/fd/0").ok();
    let terminal = terminal.as_deref().and_then(|p| p.strip_prefix("/dev").ok()).filter(|p| p.starts_with("pts"));
    let place = terminal.map_or(format!("process {}", std::process::id()), |p| p.display().to_string());
    text::clean(&format!("{} on {place}", user.unwrap_or_else(|| "somebody".to_string())))
}
