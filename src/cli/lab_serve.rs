//! `cozyup lab serve`: the simulated site alone, for any client.
use super::exit::Exit;
use super::lab_site::{Place, own_folder};
use super::output::{print, print_error};
use crate::lab::scenario::Scenario;
use crate::lab::site::{self, Site};
use crate::lab::world;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A lab that nobody talks to for this long ends, when a run started it.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Serves until it is ended; for a run also only as long as somebody needs it. `dir` gets its files.
pub async fn serve(place: Place, dir: PathBuf, for_a_run: bool) -> Exit {
    super::shield::private_files();
    let scenario = match Scenario::load(&place.scenario) {
        Ok(scenario) => scenario,
        Err(e) => {
            print_error(&format!("{e}\nnext: `cozyup lab list` shows the scenarios"));
            return Exit::Usage;
        }
    };
    if let Err(why) = own_folder(&dir) {
        print_error(&why);
        return Exit::Usage;
    }
    let options =
        site::Options { scenario, scenario_file: place.scenario, speed: place.speed, net: place.net, dir: dir.clone() };
    let mut running = match site::start(options).await {
        Ok(running) => running,
        Err(e) => {
            print_error(&e.to_string());
            return Exit::Usage;
        }
    };
    if !for_a_run {
        print_endpoints(&running.site);
    }
    let lab = running.lab.clone();
    let site_file = dir.join("site.json");
    let mut problems = std::mem::replace(&mut running.problems, tokio::sync::mpsc::unbounded_channel().1);
    let exit = tokio::select! {
        () = running.forever() => Exit::Blocked,
        () = async { while let Some(problem) = problems.recv().await { print(&format!("note: {problem}")); } std::future::pending().await } => Exit::Blocked,
        () = idle(&lab), if for_a_run => Exit::Proven,
        () = removed(&site_file), if for_a_run => Exit::Proven,
        () = ended() => Exit::Proven,
    };
    // The file says that a lab serves; without the process it would be a lie.
    let _ = std::fs::remove_file(&site_file);
    exit
}

fn print_endpoints(site: &Site) {
    let wall = site.clock_wall_ms;
    let lines = [
        format!("scenario     {} (speed {})", site.scenario, site.speed),
        format!("Proxmox VE   {}", site.url),
        format!("fingerprint  {}", site.fingerprint),
        format!("token id     {}", site.token_id),
        format!("token        in {}", site.token_file.display()),
        format!("password     of root@pam in {}", site.password_file.display()),
        format!("plan         {}", site.plan.display()),
        "try          curl -k -H \"Authorization: PVEAPIToken=TOKEN_ID=SECRET\" URL/api2/json/version".to_string(),
        format!(
            "run          COZYUP_CLOCK={},{wall},{} COZYUP_NAMES='{}' cozyup run {}",
            site.clock_origin,
            site.speed,
            site.names,
            site.plan.display()
        ),
        "Ctrl-C ends the lab; it keeps nothing".to_string(),
    ];
    lines.iter().for_each(|l| print(l));
    if let Some(kubeconfig) = &site.old_kubeconfig {
        print(&format!("old cluster  cozyup assess --kubeconfig {}", kubeconfig.display()));
    }
    // A pipe may hold the lines back until the lab ends.
    let _ = std::io::stdout().flush();
}

/// Returns when nobody has connected for [`IDLE`].
async fn idle(lab: &world::Lab) {
    let mut seen = lab.contacts();
    loop {
        tokio::time::sleep(IDLE).await;
        let now = lab.contacts();
        if now == seen {
            return;
        }
        seen = now;
    }
}

/// Returns when the lab's own file is gone: whoever removed its folder wants no lab there.
async fn removed(file: &Path) {
    while file.exists() {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut s) => {
                s.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
    }
}
