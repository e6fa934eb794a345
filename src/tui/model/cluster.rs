//! The screen of a cluster that no run speaks of: what is seen of it, and where the cursor stands.
use super::observed::Observed;
use crate::tui::keymap::Context;
use crate::tui::line::TextLine;
use crate::tui::model::asking::Asking;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterPane {
    Nodes,
    Releases,
    Pods,
    Events,
    Log,
}

impl ClusterPane {
    /// In the order of their digits, from 1 on.
    pub const ALL: [ClusterPane; 5] =
        [ClusterPane::Nodes, ClusterPane::Releases, ClusterPane::Pods, ClusterPane::Events, ClusterPane::Log];

    /// `1 Nodes`
    pub fn name(self) -> &'static str {
        match self {
            ClusterPane::Nodes => "1 Nodes",
            ClusterPane::Releases => "2 Releases",
            ClusterPane::Pods => "3 Pods",
            ClusterPane::Events => "4 Events",
            ClusterPane::Log => "5 Log",
        }
    }
}

#[derive(Debug)]
pub struct ClusterModel {
    /// URL of its API server.
    pub server: String,
    /// Name of the kubeconfig's user.
    pub user: String,
    /// For commands that are copied.
    pub kubeconfig: PathBuf,
    pub observed: Observed,
    pub pane: ClusterPane,
    /// The selected line of each pane, by its key.
    pub picked: BTreeMap<ClusterPane, String>,
    /// Only lines of the pane with this text are shown, whatever its case; empty: all.
    pub find: String,
    /// The text while it is typed.
    pub typing: Option<TextLine>,
    /// Only what needs attention is shown.
    pub problems: bool,
    /// The selected line has the whole screen.
    pub full: bool,
    pub full_scroll: usize,
    pub asking: Asking,
    /// On the full screen is the answer to what was asked, and not the selected line.
    pub answer: bool,
}

impl ClusterModel {
    pub fn new(server: String, user: String, kubeconfig: PathBuf) -> ClusterModel {
        ClusterModel {
            server,
            user,
            kubeconfig,
            observed: Observed::default(),
            pane: ClusterPane::Nodes,
            picked: BTreeMap::new(),
            find: String::new(),
            typing: None,
            problems: false,
            full: false,
            full_scroll: 0,
            asking: Asking::default(),
            answer: false,
        }
    }

    pub fn context(&self) -> Context {
        match (&self.typing, self.full) {
            (Some(_), _) => Context::Find,
            (None, true) => Context::Line,
            (None, false) => Context::Cluster,
        }
    }

    /// The text that lines of this pane must have: it is for what has the keyboard alone.
    pub fn find_in(&self, pane: ClusterPane) -> &str {
        if self.pane == pane { &self.find } else { "" }
    }
}
