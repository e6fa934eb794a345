//! `cozyup backup`: what an API server holds, in a folder; `backup verify` and `backup show` read it again.
use super::access;
use super::exit::Exit;
use super::keys;
use super::output::{print, print_error, print_note, with_next};
use crate::backup::{self, Fault, Order, Sealing, Wanted};
use crate::base::sealing::Recipient;
use crate::base::secret::Secret;
use crate::base::text::quoted;
use clap::Subcommand;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Wall time between two words on how far it is.
const PACE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit codes: 0 whole, 1 partial (the same command goes on), 2 refused, 3 stopped, 4 not as it was written (verify)."
)]
pub struct Backup {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    take: Option<Take>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Compare every file with the manifest
    Verify {
        /// The backup's folder
        dir: PathBuf,
        /// The digest that `backup` has printed
        #[arg(long, value_name = "SHA256")]
        digest: Option<String>,
    },
    /// Print one object, ready to be applied
    Show {
        /// The backup's folder
        dir: PathBuf,
        /// deployment, deployments or deployments.apps
        kind: String,
        /// The object's name
        name: String,
        /// Its namespace, where several have one of this name
        #[arg(long, short, value_name = "NAME")]
        namespace: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Take {
    /// Access to the cluster; certificates and keys have to be in it, and no program is run for them
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// The folder that becomes the backup; one that was begun is gone on with
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Take Secrets too, encrypted with the key of --secrets-key, a passphrase that is asked for, or --recipient
    #[arg(long)]
    secrets: bool,
    /// Encrypt for this public key of age, whose private key is elsewhere
    #[arg(long, value_name = "age1...", requires = "secrets")]
    recipient: Option<Recipient>,
    /// Access to Talos, for a snapshot of etcd; it holds every Secret, so it needs --secrets
    #[arg(long, value_name = "FILE", requires = "secrets")]
    talosconfig: Option<PathBuf>,
}

impl Backup {
    pub async fn run(self) -> Exit {
        let done = match (self.command, self.take) {
            (Some(Sub::Verify { dir, digest }), _) => verified(&dir, digest.as_deref()),
            (Some(Sub::Show { dir, kind, name, namespace }), _) => {
                shown(&dir, &Wanted { kind: &kind, name: &name, namespace: namespace.as_deref() })
            }
            (None, Some(take)) => take.stoppable().await,
            (None, None) => Err((Exit::Usage, "give --kubeconfig FILE and --to DIR".to_string())),
        };
        done.unwrap_or_else(|(exit, why)| {
            print_error(&why);
            exit
        })
    }
}

type Done = Result<Exit, (Exit, String)>;

fn usage(why: String) -> (Exit, String) {
    (Exit::Usage, why)
}

fn told(e: &Fault) -> String {
    match e {
        Fault::Api(e) => access::told(e),
        e => with_next(e, &e.next()),
    }
}

impl Take {
    /// Stops on Ctrl-C or SIGTERM with a word; what is whole by then stays.
    async fn stoppable(self) -> Done {
        let no_signals = |e: std::io::Error| usage(format!("signals can't be listened to: {e}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let to = self.to.clone();
        tokio::select! {
            done = self.taken() => done,
            _ = interrupt.recv() => Err(stopped(&to)),
            _ = terminate.recv() => Err(stopped(&to)),
        }
    }

    async fn taken(self) -> Done {
        let (reader, who) = access::kubernetes(&self.kubeconfig).map_err(usage)?;
        let etcd = self.talosconfig.as_deref().map(access::talos).transpose().map_err(usage)?;
        let sealing = match (self.secrets, self.recipient) {
            (false, _) => Sealing::No,
            (true, Some(recipient)) => Sealing::To(recipient),
            (true, None) => Sealing::By(keys::new_key().map_err(usage)?),
        };
        let order =
            Order { reader: &reader, who: &who, dir: &self.to, sealing, etcd: etcd.as_ref(), bounds: backup::bounds() };
        let (mut last, mut far) = (Instant::now(), backup::Progress::default());
        let mut hear = |progress: &backup::Progress| {
            far.clone_from(progress);
            if last.elapsed() >= PACE {
                last = Instant::now();
                print_note(&backup::progress(progress));
            }
        };
        match backup::take(&order, &mut hear).await {
            Ok(taken) => {
                taken.words.iter().for_each(|word| print_note(word));
                print(&backup::taken(&taken, &self.to));
                Ok(if taken.manifest.gaps.is_empty() { Exit::Proven } else { Exit::Blocked })
            }
            Err(e) if e.is_passing() && far.kinds > 0 => {
                let far = backup::progress(&far);
                Err((Exit::Blocked, format!("the backup is PARTIAL ({far}): {}\n{}", told(&e), on(&self.to))))
            }
            Err(e) => Err(usage(told(&e))),
        }
    }
}

fn on(to: &Path) -> String {
    format!("what is whole stays in {}; the same command goes on behind it", quoted(&to.display().to_string()))
}

fn stopped(to: &Path) -> (Exit, String) {
    (Exit::Stopped, format!("stopped, the backup is PARTIAL\n{}", on(to)))
}

fn verified(dir: &Path, digest: Option<&str>) -> Done {
    let verdict = backup::verify(dir, digest).map_err(|e| match e {
        Fault::Manifest { .. } => (Exit::Differs, told(&e)),
        e => usage(told(&e)),
    })?;
    print(&backup::verified(&verdict, digest.is_some()));
    Ok(match (verdict.differences.is_empty(), verdict.manifest.gaps.is_empty()) {
        (false, _) => Exit::Differs,
        (true, false) => Exit::Blocked,
        (true, true) => Exit::Proven,
    })
}

/// A key that was given, or asked for on a terminal; none is no error where the object can be shown without it.
fn unlocked(sealed: &Path) -> Result<Option<Secret<String>>, String> {
    if keys::are_given() || crate::base::vault::wants_passphrase(sealed) && keys::can_ask() {
        return keys::identity(sealed).map(Some);
    }
    Ok(None)
}

fn shown(dir: &Path, wanted: &Wanted<'_>) -> Done {
    let shown = backup::show(dir, wanted, &mut unlocked).map_err(|e| match e {
        Fault::Changed { .. } | Fault::Manifest { .. } => (Exit::Differs, told(&e)),
        // What the keys say has its next action already.
        Fault::Key { why } => usage(why),
        e => usage(told(&e)),
    })?;
    if let Some(note) = backup::shown_note(&shown) {
        print_note(&note);
    }
    // Written as it is: somebody asked for this object, and what a terminal obeys is escaped in it.
    let mut out = std::io::stdout();
    super::output::written(out.write_all(shown.body.expose().as_bytes()).and_then(|()| out.flush()));
    Ok(if shown.withheld.is_empty() { Exit::Proven } else { Exit::Blocked })
}
