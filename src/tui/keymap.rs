//! The one table of keys. What a key does, the footer and the help screen are made from it.
mod table;

pub use table::KEYS;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The part of the screen that has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    Run,
    Full,
    Find,
    /// The name of a command is typed.
    Palette,
    Gate,
    Quit,
    Stopping,
    Stop,
    Take,
    /// Before an act that a person asks for.
    Mend,
    Result,
    /// The panes of a cluster.
    Cluster,
    /// One line of them on the full screen.
    Line,
    Home,
    Open,
    Lab,
    Form,
    Edit,
    /// A list over the form.
    List,
    Prompt,
    Confirm,
    Help,
    /// Wherever no text is typed.
    Common,
    Anywhere,
}

impl Context {
    pub const ALL: [Context; 24] = [
        Context::Run,
        Context::Full,
        Context::Find,
        Context::Palette,
        Context::Gate,
        Context::Quit,
        Context::Stopping,
        Context::Stop,
        Context::Take,
        Context::Mend,
        Context::Result,
        Context::Cluster,
        Context::Line,
        Context::Home,
        Context::Open,
        Context::Lab,
        Context::Form,
        Context::Edit,
        Context::List,
        Context::Prompt,
        Context::Confirm,
        Context::Help,
        Context::Common,
        Context::Anywhere,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Context::Run => "A run",
            Context::Full => "A pane on the full screen",
            Context::Find => "Finding lines",
            Context::Palette => "Going somewhere by its name",
            Context::Gate => "The question before a day that changes things",
            Context::Quit => "Leaving a run that goes on",
            Context::Stopping => "While a run stops",
            Context::Stop => "Stopping a run",
            Context::Take => "Taking control of a run",
            Context::Mend => "Before an act that you ask for",
            Context::Result => "The result of a run",
            Context::Cluster => "The panes of a cluster (`cozyup watch`)",
            Context::Line => "One line of a cluster on the full screen",
            Context::Home => "The home screen",
            Context::Open => "Opening a plan file",
            Context::Lab => "Choosing a lab",
            Context::Form => "The plan form",
            Context::Edit => "A field of the form",
            Context::List => "A list of the form",
            Context::Prompt => "A question with a text",
            Context::Confirm => "A question with yes and no",
            Context::Help => "This help",
            Context::Common => "Wherever no text is typed",
            Context::Anywhere => "Everywhere",
        }
    }

    /// True when letters go into a text.
    pub fn takes_text(self) -> bool {
        match self {
            Context::Find | Context::Palette | Context::Open | Context::Lab | Context::Edit | Context::Prompt => true,
            Context::Run
            | Context::Full
            | Context::Gate
            | Context::Quit
            | Context::Stopping
            | Context::Stop
            | Context::Take
            | Context::Mend
            | Context::Result
            | Context::Cluster
            | Context::Line
            | Context::Home
            | Context::Form
            | Context::List
            | Context::Confirm
            | Context::Help
            | Context::Common
            | Context::Anywhere => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Left,
    Right,
    NextPane,
    PreviousPane,
    /// To the pane with this digit; in the table 0 stands for the digit that is typed.
    Go(usize),
    /// Enter, where it opens or accepts.
    Enter,
    /// Escape: one level back, nothing is lost.
    Back,
    Retry,
    Gate,
    Stop,
    Log,
    Findings,
    Follow,
    TakeControl,
    ByHand,
    Yes,
    Help,
    Quit,
    /// Ctrl-C: leave, asking what has to be asked.
    Interrupt,
    AddControlPlane,
    AddWorker,
    Remove,
    Revert,
    Toggle,
    Save,
    Use,
    SetAside,
    Mend,
    /// Asks the plan's site.
    Connect,
    /// Fetches a file for its digest.
    Fetch,
    /// Begins the form anew.
    Anew,
    /// Types a value in place of choosing one.
    Type,
    /// Half a page.
    HalfUp,
    HalfDown,
    /// Types what is to be found.
    Find,
    /// Types the name of a command.
    Command,
    Next,
    Previous,
    /// All that is known of the selected thing.
    Describe,
    /// Only what needs attention.
    Problems,
    /// The selected thing as its system has it.
    Raw,
    Copy,
    Redraw,
    Suspend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    control: bool,
}

const fn key(code: KeyCode) -> Key {
    Key { code, control: false }
}

const fn char(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: false }
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: true }
}

impl Key {
    fn is(self, event: &KeyEvent) -> bool {
        self.code == event.code
            && self.control == event.modifiers.contains(KeyModifiers::CONTROL)
            && !event.modifiers.contains(KeyModifiers::ALT)
    }
}

#[derive(Debug)]
pub struct Binding {
    pub context: Context,
    keys: &'static [Key],
    /// As a person reads it.
    pub shown: &'static str,
    pub action: Action,
    /// For the footer; empty: only the help lists it.
    pub short: &'static str,
    pub about: &'static str,
}

/// The meaning of `event` for the part that has the keyboard; `None`: it is text, or nothing.
pub fn action(context: Context, event: &KeyEvent) -> Option<Action> {
    let common = (!context.takes_text()).then_some(Context::Common);
    [Some(context), common, Some(Context::Anywhere)].into_iter().flatten().find_map(|context| {
        KEYS.iter().find(|b| b.context == context && b.keys.iter().any(|k| k.is(event))).map(|b| {
            match (b.action, event.code) {
                (Action::Go(_), KeyCode::Char(digit)) => Action::Go(digit.to_digit(10).unwrap_or(0) as usize),
                (action, _) => action,
            }
        })
    })
}

/// The bindings that the footer shows, the most useful first.
pub fn footer(context: Context) -> impl Iterator<Item = &'static Binding> {
    let common = KEYS.iter().filter(move |b| b.context == Context::Common && !context.takes_text());
    KEYS.iter().filter(move |b| b.context == context).chain(common).filter(|b| !b.short.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for context in Context::ALL {
            let mut seen: Vec<Key> = Vec::new();
            for binding in KEYS.iter().filter(|b| b.context == context) {
                for key in binding.keys {
                    assert!(!seen.contains(key), "{context:?} has {} twice", binding.shown);
                    seen.push(*key);
                }
            }
            assert!(!seen.is_empty(), "{context:?} has no key");
        }
    }

    #[test]
    fn letters_reach_the_text_and_escape_leads_back_everywhere() {
        for context in Context::ALL.into_iter().filter(|c| c.takes_text()) {
            for c in ['h', 'q', '?', 's', 'y'] {
                assert_eq!(action(context, &KeyEvent::from(KeyCode::Char(c))), None, "{context:?} {c}");
            }
        }
        for context in Context::ALL {
            let back = action(context, &KeyEvent::from(KeyCode::Esc));
            let root = matches!(context, Context::Home | Context::Common | Context::Anywhere);
            assert_eq!(back == Some(Action::Back), !root, "{context:?}");
        }
    }

    /// The table of docs/OPERATOR.md: the parts of the screen that a run has.
    fn documented() -> String {
        let mut text = String::new();
        for context in [
            Context::Run,
            Context::Find,
            Context::Palette,
            Context::Full,
            Context::Gate,
            Context::Common,
            Context::Anywhere,
        ] {
            text.push_str(&format!("\n{}\n\n| key | what it does |\n|---|---|\n", context.title()));
            for binding in KEYS.iter().filter(|b| b.context == context) {
                let keys: Vec<String> = binding.shown.split(' ').map(|key| format!("`{key}`")).collect();
                text.push_str(&format!("| {} | {} |\n", keys.join(" "), binding.about));
            }
        }
        text
    }

    /// `COZYUP_WRITE_DOCS=1 cargo test --lib keymap` puts the table in.
    #[test]
    fn the_operators_guide_has_the_keys_that_the_screen_has() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATOR.md");
        let mut text = std::fs::read_to_string(&path).unwrap();
        let (open, close) = ("<!-- keys -->\n", "<!-- end of keys -->");
        let (from, to) = (text.find(open).unwrap() + open.len(), text.find(close).unwrap());
        if std::env::var_os("COZYUP_WRITE_DOCS").is_some() {
            text.replace_range(from..to, &documented());
            std::fs::write(&path, &text).unwrap();
        } else {
            assert_eq!(&text[from..to], documented(), "COZYUP_WRITE_DOCS=1 cargo test --lib keymap");
        }
    }

    #[test]
    fn control_c_leads_out_of_everything() {
        for context in Context::ALL {
            let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(action(context, &event), Some(Action::Interrupt), "{context:?}");
        }
    }
}
