//! The runtime that everything else lives in, or the reason why there is none. It panics where the system gives it no file
//! or no thread, so what it needs is looked at first, and what it says is told like any other error.
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::panic;
use tokio::runtime::{Builder, Runtime};

/// Open files with which a command gets as far as saying what it needs. Day 0 looks whether there is room for a run.
const FEWEST_FILES: u64 = 32;

/// # Errors
/// With what is missing and the next action.
pub fn start() -> Result<Runtime, String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Whatever this user may have: screens, machines and downloads each take some.
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err()
        && let Some(files) = current.filter(|files| *files < FEWEST_FILES)
    {
        return Err(too_few(files));
    }
    if let Some(files) = maximum.filter(|files| *files < FEWEST_FILES) {
        return Err(too_few(files));
    }
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let built = panic::catch_unwind(|| Builder::new_multi_thread().enable_all().build());
    panic::set_hook(hook);
    let why = match built {
        Ok(Ok(runtime)) => return Ok(runtime),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "the system gives this process no further file or thread".to_string(),
    };
    Err(format!("can't start: {why}\nnext: raise its limits on open files, processes and memory (ulimit -n, -u, -v)"))
}

fn too_few(files: u64) -> String {
    format!("can't start: this process may open only {files} files\nnext: raise the limit, e.g. ulimit -n 1024")
}
