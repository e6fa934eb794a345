//! A lab that serves, in a process of its own.
use cozyup::lab::site::Site;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with the value.
pub struct Lab {
    pub site: Site,
    process: Child,
}

impl Lab {
    /// `scenario`: its name, or a file. Files go to `state`/site.
    pub fn begin(state: &Path, scenario: &str, speed: u32) -> Lab {
        // A copy: a real site shares no page with the programs that are measured.
        let (program, dir) = (state.join("lab"), state.join("site"));
        std::fs::copy(env!("CARGO_BIN_EXE_cozyup"), &program).unwrap();
        let mut command = Command::new(program);
        command.args(["lab", "serve", "--scenario", scenario, "--speed", &speed.to_string(), "--dir"]).arg(&dir);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        Lab { site: until(|| Site::of_running(&dir)), process }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Looks until there is something, for two minutes.
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
