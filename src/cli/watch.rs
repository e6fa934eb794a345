//! `cozyup watch`: the nodes, releases, pods and warnings of any cluster on the screen. It only reads.
use super::access;
use super::exit::Exit;
use super::output::print_error;
use super::show::no_terminal;
use crate::base::clock::Clock;
use crate::observe;
use crate::observed::Board;
use crate::tui::{self, ClusterScreen};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 left, 2 the kubeconfig, the API or the terminal can't be used.")]
pub struct Watch {
    /// Access to the cluster (default: ~/.kube/config); certificates and keys have to be in it, and no program is run for them
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl Watch {
    pub async fn run(self) -> Exit {
        match self.watched().await {
            Ok(exit) => exit,
            Err(why) => {
                print_error(&why);
                Exit::Usage
            }
        }
    }

    async fn watched(self) -> Result<Exit, String> {
        let kubeconfig = self.file()?;
        let (reader, who) = access::kubernetes(&kubeconfig)?;
        // Who can't get in at all is told so in a line that stays; what fails later is told on the screen.
        reader.version().await.map_err(|e| access::told(&e))?;
        if let Some(exit) = no_terminal() {
            return Ok(exit);
        }
        let views = Board::default();
        let observer = tokio::spawn(observe::cluster(reader.clone(), Clock::real(), views.clone()));
        let asker = observe::asker_of(reader);
        let kubeconfig = std::path::absolute(&kubeconfig).unwrap_or(kubeconfig);
        let shown = tui::cluster(ClusterScreen { server: who.server, user: who.user, kubeconfig, views, asker }).await;
        observer.abort();
        shown
            .map(|()| Exit::Proven)
            .map_err(|e| format!("the screen can't be used: {e}\nnext: try another terminal, or `kubectl get nodes`"))
    }

    fn file(&self) -> Result<PathBuf, String> {
        const NEXT: &str = "next: give --kubeconfig FILE";
        match &self.kubeconfig {
            Some(file) if file.as_os_str().is_empty() => {}
            Some(file) if !file.exists() && file.to_string_lossy().contains(':') => {
                return Err(format!(
                    "KUBECONFIG names several files, and one cluster is watched\n{NEXT} of one of them"
                ));
            }
            Some(file) => return Ok(file.clone()),
            None => {}
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let usual = home.map(|home| home.join(".kube/config")).filter(|usual| usual.exists());
        usual.ok_or_else(|| format!("there is no kubeconfig in ~/.kube/config, and KUBECONFIG names none\n{NEXT}"))
    }
}
