//! Proves a run again without changing anything, for every command that does it.
use super::exit::Exit;
use super::output::{print, print_error};
use super::start::Start;
use crate::base::day::Day;
use crate::compose::{self, Look, Looking};
use crate::cozystack::addons::CLUSTER_API_NAMESPACE;
use crate::engine::state::RunState;
use crate::engine::verify::{Limits, verify};
use crate::integrity::read::{Cluster, Site};
use crate::integrity::{Facts, rows};
use crate::report::verification::Verification;
use crate::session::lock;
use crate::steps::catalogue::{LAST_DAY, OF_A_SESSION};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The form in which the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
    /// One line for monitoring.
    Line,
    /// For Prometheus' text file collector.
    Metrics,
}

/// The checks beside the steps get this long at the least, in wall time, also when the steps took all of it.
const LEAST: Duration = Duration::from_secs(10);
/// Looks at a step that gives no clear answer.
const LOOKS: u32 = 3;

/// The run of `start`'s plan; everything is over `within`, in wall time.
pub async fn verify_run(start: Start<'_>, form: Form, within: Duration, state_dir: &Path) -> Exit {
    let found = match found(&start, within, state_dir).await {
        Ok(found) => found,
        Err((exit, why)) => {
            if form == Form::Line {
                print(&format!("COZYUP UNKNOWN - {}", why.lines().next().unwrap_or_default().replace('|', "/")));
            }
            print_error(&why);
            return exit;
        }
    };
    print(&match form {
        Form::Text => found.text(),
        Form::Json => found.json(),
        Form::Line => found.line(),
        Form::Metrics => found.metrics(),
    });
    if found.is_well() { Exit::Proven } else { Exit::Differs }
}

type Refused = (Exit, String);

async fn found(start: &Start<'_>, within: Duration, state_dir: &Path) -> Result<Verification, Refused> {
    let usage = |why: String| (Exit::Usage, why);
    let loaded = start.load().map_err(|e| usage(compose::plan_error(&e)))?;
    let folder = start.folder_in(state_dir, &loaded.plan.name);
    if !folder.join("journal.jsonl").is_file() {
        return Err(usage(format!(
            "the plan {} was never run here: there is no journal in {}\nnext: `cozyup run PLAN` runs it; on the jump host that \
             ran it, or with its state (--state-dir DIR), it can be verified",
            loaded.plan.name,
            folder.display()
        )));
    }
    let judged = super::runs::judged(&folder).map_err(usage)?;
    let keys = start.keys(&judged.secrets()).map_err(usage)?;
    let look = Look {
        plan: start.plan.to_path_buf(),
        text: start.text.get().cloned(),
        folder: folder.clone(),
        clock: start.clock.clone(),
        keys,
    };
    let looking = compose::looking(look).map_err(|refusal| (Exit::from(&refusal), refusal.to_string()))?;
    has_something_to_verify(&looking.state).map_err(usage)?;
    // A lock that can't be read is told by whoever takes it.
    let worker = lock::holder(&folder.join("lock")).ok().flatten().map(|owner| owner.to_string());
    Ok(looked(looking, worker, within).await)
}

/// # Errors
/// When nothing was proven, or what was proven has been taken back.
fn has_something_to_verify(state: &RunState) -> Result<(), String> {
    if state.course.is_back() {
        return Err(format!(
            "the last session of run {} was a teardown, so what it had proven is gone or on its way out\n\
             next: `cozyup status` tells how far it is; `cozyup run PLAN` begins anew",
            state.run
        ));
    }
    if state.steps.iter().all(|s| s.proof.is_none()) {
        return Err(format!("run {} has proven nothing yet\nnext: `cozyup run PLAN` goes on with it", state.run));
    }
    Ok(())
}

async fn looked(looking: Looking, worker: Option<String>, within: Duration) -> Verification {
    let Looking { loaded, state, steps, reading, clock } = looking;
    let began = Instant::now();
    let looked = verify(&steps, &state, &OF_A_SESSION, &*reading, &clock, Limits { within, looks: LOOKS }).await;
    let day = last_day(&state);
    let left = || within.saturating_sub(began.elapsed()).max(LEAST);
    let late = |_| "no answer in the time that the verification has".to_string();
    // Afterwards, so that the answer's time is the server's own.
    let site = timeout(left(), Site::read(&reading.proxmox)).await.map_err(late);
    let cluster = match reading.kubernetes() {
        _ if day < Some(2) => Err("there is no cluster yet".to_string()),
        Ok(client) => timeout(left(), Cluster::read(&client, CLUSTER_API_NAMESPACE)).await.map_err(late),
        Err(failure) => Err(failure.what),
    };
    let facts = Facts {
        plan: &loaded.plan,
        looked: &looked,
        day,
        components: reading.components.iter().map(|c| c.name.clone()).collect(),
        site: site.as_ref().map_err(String::as_str),
        cluster: cluster.as_ref().map_err(String::as_str),
    };
    let rows = rows(&facts);
    let plan_changed = state.plan_digest != loaded.digest;
    Verification { run: state.run, plan: state.plan, at: clock.now(), worker, plan_changed, looked, rows }
}

/// The last day of which, as of all before it, every step was proven at some time.
fn last_day(state: &RunState) -> Option<u8> {
    let of = |day: u8| state.steps.iter().filter(move |s| s.outline.day == Day::Number(day));
    let proven = |day: &u8| of(*day).all(|s| s.proof.is_some());
    (0..=LAST_DAY).take_while(proven).filter(|day| of(*day).next().is_some()).last()
}
