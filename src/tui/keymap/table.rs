//! The keys themselves.
use super::{Action, Binding, Context, Key, char, ctrl, key};
use crossterm::event::KeyCode;

const UP: &[Key] = &[key(KeyCode::Up), char('k')];
const DOWN: &[Key] = &[key(KeyCode::Down), char('j')];
const LEFT: &[Key] = &[key(KeyCode::Left)];
const RIGHT: &[Key] = &[key(KeyCode::Right)];
const PAGE_UP: &[Key] = &[key(KeyCode::PageUp), ctrl('b')];
const PAGE_DOWN: &[Key] = &[key(KeyCode::PageDown), ctrl('f')];
const HOME: &[Key] = &[key(KeyCode::Home), char('g')];
const END: &[Key] = &[key(KeyCode::End), char('G')];
const ENTER: &[Key] = &[key(KeyCode::Enter)];
const ESC: &[Key] = &[key(KeyCode::Esc)];
const TAB: &[Key] = &[key(KeyCode::Tab)];
const BACK_TAB: &[Key] = &[key(KeyCode::BackTab)];
const ARROW_UP: &[Key] = &[key(KeyCode::Up)];
const ARROW_DOWN: &[Key] = &[key(KeyCode::Down)];

const HALF_UP: &[Key] = &[ctrl('u')];
const HALF_DOWN: &[Key] = &[ctrl('d')];
const FIND: &[Key] = &[char('/')];
const COMMAND: &[Key] = &[char(':')];
const DIGITS: &[Key] = &[char('1'), char('2'), char('3'), char('4'), char('5'), char('6'), char('7')];

const FIVE: &[Key] = &[char('1'), char('2'), char('3'), char('4'), char('5')];

macro_rules! table {
    ($($context:ident $keys:expr, $shown:literal => $action:ident $(($of:literal))?, $short:literal, $about:literal;)*) => {
        &[$(Binding {
            context: Context::$context,
            keys: $keys,
            shown: $shown,
            action: Action::$action $(($of))?,
            short: $short,
            about: $about,
        }),*]
    };
}

pub static KEYS: &[Binding] = table! {
    Run ENTER, "Enter" => Enter, "open", "open the step on the full screen, with its evidence; in a pane of the site: its line; fold or unfold a day";
    Run DIGITS, "1-7" => Go(0), "pane", "a pane: 1 steps, 2 Proxmox, 3 Talos, 4 releases, 5 pods, 6 events, 7 log";
    Run TAB, "Tab" => NextPane, "", "next pane";
    Run BACK_TAB, "Shift-Tab" => PreviousPane, "", "previous pane";
    Run UP, "Up k" => Up, "", "one step or line up";
    Run DOWN, "Down j" => Down, "", "one step or line down";
    Run PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Run PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Run HOME, "Home g" => Top, "", "to the first line";
    Run END, "End G" => Bottom, "", "to the last line; in the log: follow again";
    Run LEFT, "Left" => Left, "", "fold the day";
    Run RIGHT, "Right" => Right, "", "unfold the day";
    Run &[char('r')], "r" => Retry, "retry", "on a failed release in the pane of releases: have Flux try it again now; on a stopped machine in the pane of Proxmox: start it now (both ask first); elsewhere look again at the selected step now, instead of when its pause is over";
    Run &[char('b')], "b" => Gate, "begin", "the question before the day that waits for you";
    Run &[char('s')], "s" => Stop, "stop", "stop the run at its next safe point (asks first)";
    Run &[char('l')], "l" => Log, "log", "in the panes 2 to 6: the end of the log that tells of the selected line (the container, service or task that is in trouble); elsewhere the run's log on the full screen";
    Run &[char('y')], "y" => Raw, "", "in the panes 2 to 6: the selected VM, machine, release or pod as its system has it, without what is secret";
    Run &[char('t')], "t" => TakeControl, "", "take control of the run from another screen (asks first)";
    Run &[char('w')], "w" => Findings, "", "warnings and notes of the plan, and the sums of what it makes";
    Run &[char('f')], "f" => Follow, "follow", "let selection and pane follow what needs attention";
    Run &[key(KeyCode::Esc)], "Esc" => Back, "", "back to the steps";

    Run HALF_UP, "Ctrl-U" => HalfUp, "", "half a page up";
    Run HALF_DOWN, "Ctrl-D" => HalfDown, "", "half a page down";
    Run COMMAND, ":" => Command, "", "go to a pane by its name (:pods), with Tab to complete it";
    Run FIND, "/" => Find, "find", "show only the lines with a text; Esc shows all again";
    Run &[char('n')], "n" => Next, "", "the next of the lines that were found";
    Run &[char('N')], "N" => Previous, "", "the one before";
    Run &[char('z')], "z" => Problems, "", "show only what needs attention, or all again";
    Run &[char('d')], "d" => Describe, "", "all that is known of the selected step or line, as Enter";
    Run &[char('c')], "c" => Copy, "copy", "copy the command of the selected step or line: into the terminal's clipboard, and into the file `copied` of the run";

    Find ENTER, "Enter" => Enter, "keep", "keep the text: n and N go through the lines";
    Find ESC, "Esc" => Back, "show all", "show all lines again";
    Find ARROW_UP, "Up" => Up, "", "the line before of those that are left";
    Find ARROW_DOWN, "Down" => Down, "", "the next line of those that are left";

    Palette ENTER, "Enter" => Enter, "go", "go there; the beginning of a name is enough where only one begins so";
    Palette TAB, "Tab" => NextPane, "complete", "write what is sure of the name";
    Palette ESC, "Esc" => Back, "back", "stay where you are";

    Full HALF_UP, "Ctrl-U" => HalfUp, "", "half a page up";
    Full HALF_DOWN, "Ctrl-D" => HalfDown, "", "half a page down";
    Full COMMAND, ":" => Command, "", "go to a pane by its name (:pods), with Tab to complete it";
    Full FIND, "/" => Find, "find", "show only the lines with a text; Esc shows all again";
    Full &[char('n')], "n" => Next, "", "the next line of those that are left";
    Full &[char('N')], "N" => Previous, "", "the line before";
    Full &[char('z')], "z" => Problems, "", "in the log: only what needs attention, or all again";
    Full &[char('c')], "c" => Copy, "copy", "copy the command of the step or line";
    Full UP, "Up k" => Up, "", "a line up";
    Full DOWN, "Down j" => Down, "", "a line down";
    Full PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Full PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "scroll", "a page down";
    Full HOME, "Home g" => Top, "", "to the beginning";
    Full END, "End G" => Bottom, "end", "to the end; in the log: follow again";
    Full ESC, "Esc" => Back, "back", "back to all panes";
    Full ENTER, "Enter" => Enter, "", "back to all panes";
    Full &[char('l')], "l" => Log, "", "of a line of the panes 2 to 6: the end of its log, read anew; elsewhere between the run's log and all panes";
    Full &[char('y')], "y" => Raw, "", "of a line of the panes 2 to 6: the thing as its system has it, read anew";
    Full DIGITS, "1-7" => Go(0), "", "the pane with this digit";
    Full &[char('r')], "r" => Retry, "retry", "look again at the step now; on the page of a failed release or a stopped machine as in its pane";

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

    Take &[char('y')], "y" => Yes, "take control", "take control: the other screen only looks on from then on";
    Take ESC, "Esc" => Back, "look on", "leave it to the other screen";
    Take ENTER, "Enter" => Enter, "", "the same";

    Mend &[char('y')], "y" => Yes, "do it", "do it now; it goes into the record";
    Mend ESC, "Esc" => Back, "leave it", "leave it as it is";
    Mend ENTER, "Enter" => Enter, "", "the same";

    Result ESC, "Esc" => Back, "look around", "close the result and look at the steps";
    Result ENTER, "Enter" => Enter, "", "close the result and look at the steps";
    Result UP, "Up k" => Up, "", "a line up";
    Result DOWN, "Down j" => Down, "scroll", "a line down";
    Result PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Result PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";

    Cluster ENTER, "Enter" => Enter, "open", "all that is known of the selected line";
    Cluster &[char('d')], "d" => Describe, "", "the same";
    Cluster &[char('l')], "l" => Log, "log", "the end of the log of the selected pod, or of the one behind a release or warning: of the container that is in trouble, else of the first";
    Cluster &[char('y')], "y" => Raw, "raw", "the selected node, release or pod as the API server has it, without what is secret";
    Cluster FIVE, "1-5" => Go(0), "pane", "a pane: 1 nodes, 2 releases, 3 pods, 4 events, 5 what has changed since the screen began";
    Cluster TAB, "Tab" => NextPane, "", "next pane";
    Cluster BACK_TAB, "Shift-Tab" => PreviousPane, "", "previous pane";
    Cluster UP, "Up k" => Up, "", "a line up";
    Cluster DOWN, "Down j" => Down, "", "a line down";
    Cluster HALF_UP, "Ctrl-U" => HalfUp, "", "half a page up";
    Cluster HALF_DOWN, "Ctrl-D" => HalfDown, "", "half a page down";
    Cluster PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Cluster PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Cluster HOME, "Home g" => Top, "", "to the first line";
    Cluster END, "End G" => Bottom, "", "to the last line";
    Cluster COMMAND, ":" => Command, "", "go to a pane by its name (:pods), with Tab to complete it";
    Cluster FIND, "/" => Find, "find", "show only the lines with a text; Esc shows all again";
    Cluster &[char('n')], "n" => Next, "", "the next of the lines that were found";
    Cluster &[char('N')], "N" => Previous, "", "the one before";
    Cluster &[char('z')], "z" => Problems, "problems", "show only what needs attention, or all again";
    Cluster &[char('c')], "c" => Copy, "copy", "copy the command of the selected line into the terminal's clipboard";
    Cluster ESC, "Esc" => Back, "", "show all lines again";

    Line ESC, "Esc" => Back, "back", "back to the panes";
    Line ENTER, "Enter" => Enter, "", "back to the panes";
    Line UP, "Up k" => Up, "", "a line up";
    Line DOWN, "Down j" => Down, "scroll", "a line down";
    Line HALF_UP, "Ctrl-U" => HalfUp, "", "half a page up";
    Line HALF_DOWN, "Ctrl-D" => HalfDown, "", "half a page down";
    Line PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Line PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Line HOME, "Home g" => Top, "", "to the beginning";
    Line END, "End G" => Bottom, "", "to the end";
    Line &[char('l')], "l" => Log, "", "the end of the pod's log, read anew";
    Line &[char('y')], "y" => Raw, "", "the object as the API server has it, read anew";
    Line FIVE, "1-5" => Go(0), "", "the pane with this digit";
    Line COMMAND, ":" => Command, "", "go to a pane by its name (:pods), with Tab to complete it";
    Line FIND, "/" => Find, "find", "show only the lines with a text; Esc shows all again";
    Line &[char('n')], "n" => Next, "", "the next line of those that are left";
    Line &[char('N')], "N" => Previous, "", "the line before";
    Line &[char('c')], "c" => Copy, "copy", "copy the command of the line";

    Home UP, "Up k" => Up, "", "one line up";
    Home DOWN, "Down j" => Down, "choose", "one line down";
    Home HOME, "Home g" => Top, "", "to the first line";
    Home END, "End G" => Bottom, "", "to the last line";
    Home ENTER, "Enter" => Enter, "open", "take the marked line";
    Home &[char('e')], "e" => Mend, "", "open the marked plan in the form";

    Open ENTER, "Enter" => Enter, "open", "read the file and open its run";
    Open ESC, "Esc" => Back, "back", "back to the home screen; the name is kept";
    Open ARROW_UP, "Up" => Up, "", "scroll the findings up";
    Open ARROW_DOWN, "Down" => Down, "scroll", "scroll the findings down";
    Open PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "scroll the findings a page up";
    Open PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "scroll the findings a page down";
    Open &[ctrl('e')], "Ctrl-E" => Mend, "open in the form", "open the plan in the form, also one that was refused";

    Lab ARROW_UP, "Up" => Up, "", "one scenario up";
    Lab ARROW_DOWN, "Down" => Down, "scenario", "one scenario down";
    Lab ENTER, "Enter" => Enter, "start", "start the simulated site and open its run";
    Lab ESC, "Esc" => Back, "back", "back to the home screen";

    Form UP, "Up k" => Up, "", "one line up";
    Form DOWN, "Down j" => Down, "", "one line down";
    Form PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Form PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Form HOME, "Home g" => Top, "", "to the first line";
    Form END, "End G" => Bottom, "", "to the last line";
    Form TAB, "Tab" => NextPane, "pane", "next pane: sections, fields, findings";
    Form BACK_TAB, "Shift-Tab" => PreviousPane, "", "previous pane";
    Form LEFT, "Left" => Left, "", "to the sections";
    Form RIGHT, "Right" => Right, "", "to the fields";
    Form ENTER, "Enter" => Enter, "edit", "edit the field; in the findings: go to the field";
    Form &[char('c')], "c" => Connect, "connect", "ask the plan's site: its certificate first, then hosts, storages, bridges, free VMIDs";
    Form &[char('f')], "f" => Fetch, "", "fetch the file of the digest under the cursor, else the Talos image, and write its SHA-256; again: stop";
    Form &[char('i')], "i" => Describe, "", "what the site said, and why values were chosen";
    Form &[char('D')], "D" => Anew, "", "throw away what was typed and begin anew (asks first)";
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

    List ENTER, "Enter" => Enter, "take it", "take the marked value, or close what the site said";
    List UP, "Up k" => Up, "", "one line up";
    List DOWN, "Down j" => Down, "choose", "one line down";
    List PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    List PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    List &[char('c')], "c" => Copy, "", "of what the site said: copy the commands that give the token what it lacks";
    List &[char('e')], "e" => Type, "type", "type a value that is not in the list";
    List ESC, "Esc" => Back, "back", "back without taking one";

    Prompt ENTER, "Enter" => Enter, "accept", "take the text";
    Prompt ESC, "Esc" => Back, "back", "back without taking it";

    Confirm &[char('y')], "y" => Yes, "yes", "do it";
    Confirm &[key(KeyCode::Esc), char('n'), key(KeyCode::Enter)], "Esc n Enter" => Back, "no", "do not do it";

    Help UP, "Up k" => Up, "", "a line up";
    Help DOWN, "Down j" => Down, "scroll", "a line down";
    Help PAGE_UP, "PgUp Ctrl-B" => PageUp, "", "a page up";
    Help PAGE_DOWN, "PgDn Ctrl-F" => PageDown, "", "a page down";
    Help HOME, "Home g" => Top, "", "to the beginning";
    Help END, "End G" => Bottom, "", "to the end";
    Help ESC, "Esc" => Back, "close", "close the help";

    Help HALF_UP, "Ctrl-U" => HalfUp, "", "half a page up";
    Help HALF_DOWN, "Ctrl-D" => HalfDown, "", "half a page down";

    Common &[char('h'), char('?')], "h ?" => Help, "help", "this help";
    Common &[char('q')], "q" => Quit, "quit", "leave; while a run goes on it says first what happens to it";
    Anywhere &[key(KeyCode::F(1))], "F1" => Help, "", "this help";
    Anywhere &[ctrl('l')], "Ctrl-L" => Redraw, "", "draw the screen anew";
    Anywhere &[ctrl('z')], "Ctrl-Z" => Suspend, "", "back to the shell; `fg` comes back; the run goes on";
    Anywhere &[ctrl('c')], "Ctrl-C" => Interrupt, "", "leave, as q does; again: leave at once, the run goes on";
};
