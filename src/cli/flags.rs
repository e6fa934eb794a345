//! Options that several commands have.
use super::show::Style;
use super::start::teardown::Removal;
use super::start::workers::Wanted;
use super::verifying::Form;
use crate::base::day::Day;
use crate::base::label::Label;
use crate::base::vmid::Vmid;
use crate::steps::catalogue::LAST_DAY;
use std::time::Duration;

/// The options for a run's output and for how far it goes.
#[derive(Debug, Clone, clap::Args)]
pub struct RunFlags {
    /// Stop when this day is proven
    #[arg(long, value_name = "DAY", default_value_t = LAST_DAY, value_parser = clap::value_parser!(u8).range(0..=i64::from(LAST_DAY)))]
    pub until: u8,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Give up when nothing but blocked steps is left for this long, e.g. 90s, 30m, 2h (default: never on a screen, 30m without)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub patience: Option<Duration>,
    /// Take the run from the jump host or process that works on it, when that one is gone or hangs
    #[arg(long)]
    pub take_over: bool,
}

impl RunFlags {
    /// The last day that is to be proven.
    pub fn until(&self) -> Day {
        Day::Number(self.until)
    }
}

/// A time as people write it: a number and `s`, `m` or `h`.
///
/// # Errors
/// With what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write 90s, 30m or 2h");
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(seconds))
}

#[derive(Debug, Clone, clap::Args)]
pub struct TeardownFlags {
    /// The plan's name (with --node that of the machine), to say beforehand that it is to be removed
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// Only this machine of the plan: it is drained, leaves etcd, and its VM is destroyed; the cluster stays whole
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cluster_is_lost", "also"])]
    pub node: Option<Label>,
    /// The cluster answers no more: remove it without asking it for volumes and machines that depend on it
    #[arg(long)]
    pub cluster_is_lost: bool,
    /// Remove this VM too: it carries the run's mark, and the journal does not know it (may be given several times)
    #[arg(long, value_name = "VMID")]
    pub also: Vec<Vmid>,
    /// Only list what would be removed
    #[arg(long, conflicts_with_all = ["confirm"])]
    pub list: bool,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    /// One JSON object a line; needs --confirm
    #[arg(long, requires = "confirm")]
    pub json: bool,
    /// Give up when nothing but blocked steps is left for this long, e.g. 90s, 30m, 2h (default: never on a screen, 30m without)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub patience: Option<Duration>,
    /// Take the run from the jump host or process that works on it, when that one is gone or hangs
    #[arg(long)]
    pub take_over: bool,
}

impl TeardownFlags {
    pub fn removal(&self) -> Removal {
        Removal {
            confirm: self.confirm.clone(),
            node: self.node,
            cluster_is_lost: self.cluster_is_lost,
            also: self.also.iter().copied().collect(),
            list: self.list,
            style: Style::of(self.lines, self.json),
            patience: self.patience,
            take_over: self.take_over,
        }
    }
}

/// The options for a verification.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyFlags {
    /// One JSON object
    #[arg(long, conflicts_with_all = ["line", "metrics"])]
    pub json: bool,
    /// One line: state, first difference, figures
    #[arg(long, conflicts_with = "metrics")]
    pub line: bool,
    /// Metrics for the text file collector of Prometheus' node exporter
    #[arg(long)]
    pub metrics: bool,
    /// Ask nothing more after this long, e.g. 50s, 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub within: Duration,
}

impl VerifyFlags {
    pub fn form(&self) -> Form {
        match (self.json, self.line, self.metrics) {
            (true, _, _) => Form::Json,
            (_, true, _) => Form::Line,
            (_, _, true) => Form::Metrics,
            (false, false, false) => Form::Text,
        }
    }
}

#[derive(Debug, Clone, clap::Args)]
pub struct WorkerFlags {
    /// Number of workers that there are to be
    pub count: u32,
    /// Agree beforehand
    #[arg(long)]
    pub yes: bool,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    /// One JSON object a line; needs --yes
    #[arg(long, requires = "yes")]
    pub json: bool,
    /// Give up when nothing but blocked steps is left for this long, e.g. 90s, 30m, 2h (default: never on a screen, 30m without)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub patience: Option<Duration>,
    /// Take the run from the jump host or process that works on it, when that one is gone or hangs
    #[arg(long)]
    pub take_over: bool,
}

impl WorkerFlags {
    pub fn wanted(&self) -> Wanted {
        Wanted {
            count: self.count,
            yes: self.yes,
            style: Style::of(self.lines, self.json),
            patience: self.patience,
            take_over: self.take_over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit_and_refused_without() {
        assert_eq!(duration("30m").unwrap(), Duration::from_secs(1800));
        assert!(duration("30").unwrap_err().contains("90s, 30m or 2h"));
        assert!(duration("").is_err());
    }
}
