//! The one table of keys. What a key does, the footer and the help screen are made from it.
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The part of the screen that has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    Run,
    Full,
    Gate,
    Quit,
    Stopping,
    Stop,
    Result,
    Home,
    Open,
    Lab,
    Form,
    Edit,
    Prompt,
    Confirm,
    Help,
    /// Wherever no text is typed.
    Common,
    Anywhere,
}

impl Context {
    pub const ALL: [Context; 17] = [
        Context::Run,
        Context::Full,
        Context::Gate,
        Context::Quit,
        Context::Stopping,
        Context::Stop,
        Context::Result,
        Context::Home,
        Context::Open,
        Context::Lab,
        Context::Form,
        Context::Edit,
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
            Context::Gate => "The question before a day that changes things",
            Context::Quit => "Leaving a run that goes on",
            Context::Stopping => "While a run stops",
            Context::Stop => "Stopping a run",
            Context::Result => "The result of a run",
            Context::Home => "The home screen",
            Context::Open => "Opening a plan file",
            Context::Lab => "Choosing a lab",
            Context::Form => "The plan form",
            Context::Edit => "A field of the form",
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
            Context::Open | Context::Lab | Context::Edit | Context::Prompt => true,
            Context::Run
            | Context::Full
            | Context::Gate
            | Context::Quit
            | Context::Stopping
            | Context::Stop
            | Context::Result
            | Context::Home
            | Context::Form
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

const UP: &[Key] = &[key(KeyCode::Up), char('k')];
const DOWN: &[Key] = &[key(KeyCode::Down), char('j')];
const LEFT: &[Key] = &[key(KeyCode::Left)];
const RIGHT: &[Key] = &[key(KeyCode::Right)];
const PAGE_UP: &[Key] = &[key(KeyCode::PageUp), ctrl('b')];
const PAGE_DOWN: &[Key] = &[key(KeyCode::PageDown), ctrl('f')];
const HOME: &[Key] = &[key(KeyCode::Home)];
const END: &[Key] = &[key(KeyCode::End)];
const ENTER: &[Key] = &[key(KeyCode::Enter)];
const ESC: &[Key] = &[key(KeyCode::Esc)];
const TAB: &[Key] = &[key(KeyCode::Tab)];
const BACK_TAB: &[Key] = &[key(KeyCode::BackTab)];
const ARROW_UP: &[Key] = &[key(KeyCode::Up)];
const ARROW_DOWN: &[Key] = &[key(KeyCode::Down)];

macro_rules! table {
    ($($context:ident $keys:expr, $shown:literal => $action:ident, $short:literal, $about:literal;)*) => {
        &[$(Binding {
            context: Context::$context,
            keys: $keys,
            shown: $shown,
            action: Action::$action,
            short: $short,
            about: $about,
        }),*]
    };
}

pub static KEYS: &[Binding] = table! {
    Run ENTER, "Enter" => Enter, "open", "open the step on the full screen, with its evidence; fold or unfold a day";
    Run TAB, "Tab" => NextPane, "pane", "next pane: days, detail, log";
    Run BACK_TAB, "Shift-Tab" => PreviousPane, "", "previous pane";
    Run UP, "Up k" => Up, "", "one step or line up";
    Run DOWN, "Down j" => Down, "", "one step or line down";
    Run PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Run PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Run HOME, "Home" => Top, "", "to the first line";
    Run END, "End" => Bottom, "", "to the last line; in the log: follow again";
    Run LEFT, "Left" => Left, "", "fold the day";
    Run RIGHT, "Right" => Right, "", "unfold the day";
    Run &[char('r')], "r" => Retry, "retry", "look again at the selected step now, instead of when its pause is over";
    Run &[char('g')], "g" => Gate, "gate", "the question before the day that waits for you";
    Run &[char('s')], "s" => Stop, "stop", "stop the run at its next safe point (asks first)";
    Run &[char('l')], "l" => Log, "log", "the log on the full screen";
    Run &[char('t')], "t" => TakeControl, "", "take control of the run from another screen";
    Run &[char('w')], "w" => Findings, "", "warnings and notes of the plan";
    Run &[char('f')], "f" => Follow, "follow", "let the selection follow what needs attention";
    Run &[key(KeyCode::Esc)], "Esc" => Back, "", "back to the pane of days";

    Full UP, "Up k" => Up, "", "a line up";
    Full DOWN, "Down j" => Down, "", "a line down";
    Full PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Full PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "scroll", "a page down";
    Full HOME, "Home" => Top, "", "to the beginning";
    Full END, "End" => Bottom, "end", "to the end; in the log: follow again";
    Full ESC, "Esc" => Back, "back", "back to all panes";
    Full ENTER, "Enter" => Enter, "", "back to all panes";
    Full &[char('l')], "l" => Log, "", "between the log and all panes";
    Full &[char('r')], "r" => Retry, "retry", "look again at the step now";

    Gate ENTER, "Enter" => Enter, "begin the day", "begin the day: its steps may now change things";
    Gate ESC, "Esc" => Back, "later", "not now: the run keeps waiting, the header says so";
    Gate &[char('m')], "m" => ByHand, "by hand", "show or hide the commands that do the same by hand";
    Gate UP, "Up k" => Up, "", "a line up";
    Gate DOWN, "Down j" => Down, "scroll", "a line down";
    Gate PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Gate PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";

    Quit ESC, "Esc" => Back, "stay", "stay: nothing happens to the run";
    Quit UP, "Up k" => Up, "", "the other answer";
    Quit DOWN, "Down j" => Down, "choose", "the other answer";
    Quit ENTER, "Enter" => Enter, "take it", "take the marked answer; at first it is to leave and let the run go on";
    Quit &[char('s')], "s" => Yes, "stop and leave", "stop the run at its next safe point, then leave";

    Stopping &[char('q'), key(KeyCode::Enter)], "q Enter" => Yes, "leave now", "leave now; the run ends at its next safe point all the same";
    Stopping ESC, "Esc" => Back, "look around", "back to the panes while the run stops; the screen then stays open";

    Stop ENTER, "Enter" => Enter, "take it", "take the marked answer; at first it is not to stop";
    Stop UP, "Up k" => Up, "", "the other answer";
    Stop DOWN, "Down j" => Down, "choose", "the other answer";
    Stop &[char('y')], "y" => Yes, "stop", "stop the run at its next safe point";
    Stop ESC, "Esc" => Back, "go on", "do not stop";

    Result ESC, "Esc" => Back, "look around", "close the result and look at the steps";
    Result ENTER, "Enter" => Enter, "", "close the result and look at the steps";
    Result UP, "Up k" => Up, "", "a line up";
    Result DOWN, "Down j" => Down, "scroll", "a line down";
    Result PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Result PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";

    Home UP, "Up k" => Up, "", "one line up";
    Home DOWN, "Down j" => Down, "choose", "one line down";
    Home HOME, "Home" => Top, "", "to the first line";
    Home END, "End" => Bottom, "", "to the last line";
    Home ENTER, "Enter" => Enter, "open", "take the marked line";

    Open ENTER, "Enter" => Enter, "open", "read the file and open its run";
    Open ESC, "Esc" => Back, "back", "back to the home screen; the name is kept";
    Open ARROW_UP, "Up" => Up, "", "scroll the findings up";
    Open ARROW_DOWN, "Down" => Down, "scroll", "scroll the findings down";
    Open PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "scroll the findings a page up";
    Open PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "scroll the findings a page down";
    Open &[ctrl('e')], "Ctrl-E" => Mend, "mend in the form", "open a plan that was refused in the form";

    Lab ARROW_UP, "Up" => Up, "", "one scenario up";
    Lab ARROW_DOWN, "Down" => Down, "scenario", "one scenario down";
    Lab ENTER, "Enter" => Enter, "start", "start the simulated site and open its run";
    Lab ESC, "Esc" => Back, "back", "back to the home screen";

    Form UP, "Up k" => Up, "", "one line up";
    Form DOWN, "Down j" => Down, "", "one line down";
    Form PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Form PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Form HOME, "Home" => Top, "", "to the first line";
    Form END, "End" => Bottom, "", "to the last line";
    Form TAB, "Tab" => NextPane, "pane", "next pane: sections, fields, findings";
    Form BACK_TAB, "Shift-Tab" => PreviousPane, "", "previous pane";
    Form LEFT, "Left" => Left, "", "to the sections";
    Form RIGHT, "Right" => Right, "", "to the fields";
    Form ENTER, "Enter" => Enter, "edit", "edit the field; in the findings: go to the field";
    Form &[char(' ')], "Space" => Toggle, "", "true to false and back";
    Form &[char('u')], "u" => Revert, "", "the field as it was when the plan was opened or saved";
    Form &[char('a')], "a" => AddControlPlane, "", "add a control plane, on the next free name, VMID and address";
    Form &[char('w')], "w" => AddWorker, "", "add a worker, on the next free name, VMID and address";
    Form &[char('d')], "d" => Remove, "", "remove the selected machine from the plan (asks first)";
    Form &[char('o')], "o" => SetAside, "", "set the selected finding aside, with a reason that goes into the record";
    Form &[ctrl('s'), char('s')], "s Ctrl-S" => Save, "save", "save the plan as a file";
    Form &[char('x')], "x" => Use, "run it", "open the run of the saved plan";
    Form ESC, "Esc" => Back, "home", "to the home screen; what was typed is kept";

    Edit ENTER, "Enter" => Enter, "done", "leave the field; the text is kept, also when it is wrong";
    Edit TAB, "Tab" => NextPane, "next field", "leave the field and edit the next one";
    Edit BACK_TAB, "Shift-Tab" => PreviousPane, "", "leave the field and edit the one before";
    Edit ARROW_DOWN, "Down" => Down, "", "leave the field downwards";
    Edit ARROW_UP, "Up" => Up, "", "leave the field upwards";
    Edit ESC, "Esc" => Back, "", "leave the field; the text is kept";

    Prompt ENTER, "Enter" => Enter, "accept", "take the text";
    Prompt ESC, "Esc" => Back, "back", "back without taking it";

    Confirm &[char('y')], "y" => Yes, "yes", "do it";
    Confirm &[key(KeyCode::Esc), char('n'), key(KeyCode::Enter)], "Esc n Enter" => Back, "no", "do not do it";

    Help UP, "Up k" => Up, "", "a line up";
    Help DOWN, "Down j" => Down, "scroll", "a line down";
    Help PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Help PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Help HOME, "Home" => Top, "", "to the beginning";
    Help END, "End" => Bottom, "", "to the end";
    Help ESC, "Esc" => Back, "close", "close the help";

    Common &[char('h'), char('?')], "h ?" => Help, "help", "this help";
    Common &[char('q')], "q" => Quit, "quit", "leave; while a run goes on it says first what happens to it";
    Anywhere &[key(KeyCode::F(1))], "F1" => Help, "", "this help";
    Anywhere &[ctrl('c')], "Ctrl-C" => Interrupt, "", "leave, as q does; again: leave at once, the run goes on";
};

/// The meaning of `event` for the part that has the keyboard; `None`: it is text, or nothing.
pub fn action(context: Context, event: &KeyEvent) -> Option<Action> {
    let common = (!context.takes_text()).then_some(Context::Common);
    [Some(context), common, Some(Context::Anywhere)].into_iter().flatten().find_map(|context| {
        KEYS.iter().find(|b| b.context == context && b.keys.iter().any(|k| k.is(event))).map(|b| b.action)
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

    #[test]
    fn control_c_leads_out_of_everything() {
        for context in Context::ALL {
            let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(action(context, &event), Some(Action::Interrupt), "{context:?}");
        }
    }
}
