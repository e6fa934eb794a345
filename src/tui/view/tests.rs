//! Each view at the sizes that matter, in colour and plain, and every view at any size.
use super::render;
use crate::base::day::Day;
use crate::engine::proof::Comparison;
use crate::engine::record::Event;
use crate::engine::standing::Standing;
use crate::engine::step::StepId;
use crate::plan::defaults::{Defaults, plan};
use crate::session::protocol::Control;
use crate::tui::Home;
use crate::tui::keymap::{Context, KEYS};
use crate::tui::message::{BadPlan, Msg};
use crate::tui::model::home::HomeModel;
use crate::tui::model::run::{Dialog, Full, Pane, Row, RunModel};
use crate::tui::model::{Help, Model, Screen};
use crate::tui::panes::samples::Seen;
use crate::tui::samples::{Sample, at, proof};
use crate::tui::session::Typist;
use crate::tui::theme::Theme;
use crate::tui::update::update;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

const COLOUR: Theme = Theme::new(true, true);
const PLAIN: Theme = Theme::new(false, false);
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 10)];

fn run(sample: &Sample, second: i64, theme: Theme) -> Typist {
    let mut typist = Typist::run(sample, theme);
    typist.clock(second);
    typist
}

#[test]
fn a_late_step_says_late_how_long_and_on_what_it_waits() {
    for theme in [COLOUR, PLAIN] {
        let typist = run(&Sample::late_clone(), 480, theme);
        let text = typist.screen();
        // Since second 50, late after 180: at second 480 it is over by 250 seconds.
        typist.shows(&["LATE by 4 min 10 s", "waits on: clone cp1: the task ends", "seen", "transferred 41 of 78 MiB"]);
        typist.shows(&["1 LATE", "41 of 78 MiB, 52 %", "proven 3/11", "left or more"]);
        assert!(text.lines().any(|l| l.contains("! LATE") && l.contains("clone cp1")), "{text}");
        assert!(text.lines().any(|l| l.contains("Day 0 Check") && l.contains("proven")), "{text}");
        assert!(text.lines().last().unwrap().contains("Enter open"), "{text}");
    }
}

#[test]
fn progress_is_drawn_only_where_the_target_reports_it() {
    let mut typist = run(&Sample::gate(), 10, PLAIN);
    typist.keys("<Esc>");
    assert!(!typist.screen().contains("[#"), "{}", typist.screen());
}

#[test]
fn a_blocked_step_shows_the_failure_and_the_next_action() {
    for size in [(80, 24), (120, 40)] {
        let mut typist = run(&Sample::blocked(), 85, COLOUR);
        typist.resize(size);
        typist.shows(&["BLOCKED", "(refused)", "next:", "give the token VM.Clone: pveum", "again", "in 5 s"]);
    }
}

/// harm.md S3
#[test]
fn the_gate_shows_the_keys_that_a_person_is_to_compare() {
    let it = Comparison { of: "cp1 at 10.0.0.201".into(), value: "o5Kp=".into(), with: "its console".into() };
    let event = Event::Proven { step: StepId::new("day0.proxmox"), proof: proof("so").to_compare(it) };
    run(&Sample::gate().then(7, event), 10, PLAIN).shows(&["= cp1 at 10.0.0.201: o5Kp= with its console"]);
}

#[test]
fn the_gate_names_its_day_and_every_step_that_changes_something() {
    let mut typist = run(&Sample::gate(), 10, PLAIN);
    // The sums come first; the steps follow them.
    typist.shows(&["Day 1 Machines begins", "Nothing is changed yet", "3 machines: 24 cores", "1001-1003, 9100"]);
    assert!(!typist.screen().contains("qm config"), "the commands come only on demand");
    typist.resize((80, 45));
    typist.shows(&["Enter begins", "build template 9100", "clone cp1", "clone cp2", "clone cp3"]);
    typist.keys("m");
    typist.shows(&["qm config 100 --day1.template"]);
    typist.keys("<Esc>");
    typist.shows(&["day 1 waits for you"]);
}

#[test]
fn a_finished_run_shows_its_summary_files_and_what_comes_next() {
    let mut typist = run(&Sample::finished(), 500, COLOUR);
    typist.send(Msg::Finished("proven: 11 of 11 steps proven\nfiles (0600):\n  kubeconfig /state/kubeconfig".into()));
    typist.shows(&["Proven", "11 of 11 steps proven", "/state/kubeconfig", "KUBECONFIG=", "ended: proven"]);
    typist.keys("<Esc>");
    typist.shows(&["Day 5 Validation", "proven 11/11"]);
    assert!(!typist.model.shows_running_time(), "nothing runs any more");
}

#[test]
fn the_evidence_of_a_step_has_system_question_answer_and_command() {
    let mut typist = run(&Sample::finished(), 500, PLAIN);
    typist.keys("<Home><Right><Down><Enter>");
    typist.shows(&["day0.proxmox is true", "1 Proxmox 1", "GET /nodes/pve/qemu/1001/config", "by hand pvesh get"]);
    assert!(!typist.screen().contains("value 40"), "the answer is longer than the screen");
    typist.keys("<End>");
    assert!(typist.screen().contains("value 40"), "{}", typist.screen());
}

/// Sizes of the sketches in the screen's trial: one pane beside the steps from 110 columns on, all of them from 150 on, and on
/// a low screen one again.
#[test]
fn the_steps_have_one_pane_beside_them_and_all_of_them_on_a_large_screen() {
    let seen = |size| {
        let mut typist = run(&Sample::late_clone(), 300, PLAIN);
        typist.resize(size);
        typist.send(Msg::Observed(Seen::of(&plan(&Defaults::default()), 300).snapshots()));
        typist
    };
    let two = seen((120, 40));
    two.shows(&["Day 1 Machines", "2 Proxmox: 3/3 run", "LATE by", "[2 Proxmox"]);
    two.shows_not("ImagePullBackOff");
    let all = seen((160, 45));
    all.shows(&["Day 1 Machines", "LATE by", "2 Proxmox: 3/3", "3 Talos: 3/3", "4 Releases: 1/5", "5 Pods: 53/54"]);
    all.shows(&["ImagePullBackOff", "6 Events: 12 warnings", "429 too many requests", "7 Log"]);
    let low = seen((160, 16));
    low.shows(&["2 Proxmox: 3/3"]);
    low.shows_not("5 Pods: 53/54");
}

#[test]
fn below_the_smallest_size_one_line_says_what_is_needed() {
    for size in [(39, 24), (80, 9), (30, 1)] {
        let mut typist = run(&Sample::blocked(), 85, COLOUR);
        typist.resize(size);
        let text = typist.screen();
        assert!(text.starts_with(&"cozyup needs 40x10"[..18.min(usize::from(size.0))]), "{text}");
        assert!(text.lines().skip(1).all(|l| l.trim().is_empty()), "{text}");
    }
}

#[test]
fn every_view_keeps_its_essentials_at_every_usual_size() {
    for size in SIZES {
        let mut typist = run(&Sample::late_clone(), 480, COLOUR);
        typist.resize(size);
        typist.shows(&["LATE", "Day 1 Machines"]);
        let mut typist = run(&Sample::gate(), 10, COLOUR);
        typist.resize(size);
        typist.shows(&["Day 1 Machines begins", "Enter begins"]);
        let mut typist = run(&Sample::late_clone(), 480, COLOUR);
        typist.resize(size);
        typist.keys("q");
        typist.shows(&["Leave this run?", "stay"]);
        let mut home = Typist::home(COLOUR);
        home.resize(size);
        home.shows(&["New plan", "Open plan", "Try the lab"]);
        home.keys("<Enter>");
        home.shows(&["Sections", "Findings", "template"]);
        home.keys("<Tab>");
        home.shows(&["name of the run", "cozy-new", "Findings"]);
    }
}

#[test]
fn the_help_lists_every_key_of_the_table_and_every_word() {
    let mut typist = run(&Sample::late_clone(), 100, PLAIN);
    typist.resize((120, 80));
    typist.keys("?");
    let mut text = String::new();
    for _ in 0..40 {
        text.push_str(&typist.screen());
        typist.keys("<PageDown>");
    }
    for binding in KEYS {
        let listed = text
            .lines()
            .any(|l| l.contains(binding.shown) && l.contains(&binding.about[..binding.about.len().min(40)]));
        assert!(listed, "{} ({}) is not in the help", binding.shown, binding.about);
    }
    for context in Context::ALL {
        assert!(text.contains(context.title()), "{context:?}");
    }
    for standing in Standing::ALL {
        assert!(text.contains(standing.about()), "{standing:?}");
    }
}

fn states() -> Vec<Typist> {
    let mut all = Vec::new();
    for theme in [COLOUR, Theme::new(false, true), PLAIN] {
        for sample in Sample::all() {
            all.push(run(&sample, 300, theme));
        }
        let mut finished = run(&Sample::finished(), 500, theme);
        finished.send(Msg::Finished("done".into()));
        all.push(finished);
        for keys in ["", "<Enter>", "<Enter><Tab><Enter>x", "<Down><Enter>plan.yaml", "<Down><Down><Enter>x", "?"] {
            let mut home = Typist::home(theme);
            home.keys(keys);
            all.push(home);
        }
    }
    all
}

#[test]
fn without_colour_no_cell_has_one_and_with_colour_some_have() {
    let mut coloured = 0;
    for typist in states() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 100, 30));
        render(&typist.model, buf.area, &mut buf);
        let count = buf.content.iter().filter(|c| c.fg != Color::Reset || c.bg != Color::Reset).count();
        if typist.model.theme == COLOUR {
            coloured += count;
        } else {
            assert_eq!(count, 0, "a colour in a plain theme");
        }
    }
    assert!(coloured > 100);
}

#[test]
fn an_ascii_terminal_gets_no_other_character() {
    for typist in states().into_iter().filter(|t| t.model.theme == PLAIN) {
        let mut buf = Buffer::empty(Rect::new(0, 0, 160, 45));
        render(&typist.model, buf.area, &mut buf);
        let wrong: Vec<_> = buf.content.iter().filter(|c| !c.symbol().is_ascii()).map(|c| c.symbol()).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn the_selection_is_seen_without_colour() {
    let typist = run(&Sample::late_clone(), 480, PLAIN);
    let mut buf = Buffer::empty(Rect::new(0, 0, 80, 24));
    render(&typist.model, buf.area, &mut buf);
    let reversed = buf.content.iter().filter(|c| c.modifier.contains(Modifier::REVERSED)).count();
    assert!(reversed > 0);
}

#[test]
fn text_from_outside_can_not_steer_the_terminal() {
    let evil = Sample::late_clone().then(
        62,
        crate::engine::record::Event::Log {
            step: crate::engine::step::StepId::new("day1.clone/cp1"),
            source: "task\u{1b}[2J".into(),
            line: "\u{202e}gpj.exe\u{7}".into(),
        },
    );
    for full in [false, true] {
        let mut typist = run(&evil, 100, COLOUR);
        if full {
            typist.keys("l");
        }
        let mut buf = Buffer::empty(Rect::new(0, 0, 100, 30));
        render(&typist.model, buf.area, &mut buf);
        let all: String = buf.content.iter().map(|c| c.symbol()).collect();
        assert!(all.contains("gpj.exe"));
        assert!(!all.contains(['\u{1b}', '\u{202e}', '\u{7}']));
    }
}

/// One cell for one character (or two cells), with what belongs on it; nothing that a terminal obeys.
fn is_harmless(symbol: &str) -> bool {
    let strange = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e0fff}')
    };
    !symbol.contains(strange) && symbol.chars().count() <= 6 && symbol.width() <= 2
}

#[test]
fn whatever_a_record_says_no_cell_of_any_view_holds_more_than_a_character() {
    let hostile = format!(
        " \u{1b}[2J\u{1b}]8;;http://x\u{7}\u{9b}1m\u{90}q\u{202e}\u{2066}\u{200b}\u{e0041}\0\r\n\t日本e{}👩\u{200d}👩{}",
        "\u{301}".repeat(300),
        "z".repeat(5000)
    );
    let mut cells = 0;
    for sample in Sample::all() {
        let sample = sample.saying(&hostile);
        for full in [None, Some(Full::Detail), Some(Full::Log), Some(Full::Findings)] {
            let gate = Dialog::Gate { day: Day::Number(1), by_hand: true, scroll: 0, since: Duration::ZERO };
            for dialog in [None, Some(gate), Some(Dialog::Stopping), Some(Dialog::Result { scroll: 0 })] {
                for size in [(80, 24), (160, 45), (40, 10), (20, 5), (1, 1)] {
                    let mut typist = run(&sample, 300, COLOUR);
                    let Screen::Run(run) = &mut typist.model.screen else { panic!("no run") };
                    run.title.push_str(&hostile);
                    run.findings = vec![hostile.clone()];
                    run.result = Some(hostile.clone());
                    run.control = Control { yours: false, by: Some((hostile.clone(), at(1))) };
                    run.cursor = Row::Step(crate::engine::step::StepId::new("day1.clone/cp1"));
                    (run.full, run.dialog) = (full, dialog);
                    let mut buf = Buffer::empty(Rect::new(0, 0, size.0, size.1));
                    render(&typist.model, buf.area, &mut buf);
                    cells += buf.content.len();
                    let strange = buf.content.iter().map(|c| c.symbol()).find(|s| !is_harmless(s));
                    assert_eq!(strange, None, "{full:?} {size:?}");
                }
            }
        }
    }
    assert!(cells > 100_000);
    for keys in ["", "<Enter>", "<Down><Enter>", "<Down><Down><Enter>"] {
        for size in [(80, 24), (160, 45), (40, 10)] {
            let home = Home {
                plans: vec![(format!("/plans/{hostile}.yaml").into(), hostile.clone())],
                scenarios: vec![(hostile.clone(), hostile.clone())],
                cwd: hostile.clone().into(),
                ..Home::default()
            };
            let home = HomeModel::new(home, Some(hostile.clone().into()));
            let model = Model::new(COLOUR, Screen::Home(Box::new(home)));
            let mut typist = Typist { model, size, commands: Vec::new() };
            typist.send(Msg::Resized);
            typist.keys(keys);
            let mut buf = Buffer::empty(Rect::new(0, 0, size.0, size.1));
            render(&typist.model, buf.area, &mut buf);
            assert_eq!(buf.content.iter().map(|c| c.symbol()).find(|s| !is_harmless(s)), None, "home {keys} {size:?}");
        }
    }
}

#[test]
fn one_progress_line_that_changes_costs_few_cells() {
    let mut typist = run(&Sample::late_clone(), 100, COLOUR);
    let mut before = Buffer::empty(Rect::new(0, 0, 80, 24));
    render(&typist.model, before.area, &mut before);
    let wait = crate::engine::wait::Wait::new(
        "clone cp1: the task ends",
        "transferred 42 of 78 MiB",
        crate::engine::wait::Band::new(60, 180),
    );
    let event = crate::engine::record::Event::Waiting {
        step: crate::engine::step::StepId::new("day1.clone/cp1"),
        wait: wait.with_progress(42, 78, "MiB"),
    };
    typist.send(Msg::Records(vec![Arc::new(crate::engine::record::Record { seq: 98, at: at(100), event })]));
    let mut after = Buffer::empty(Rect::new(0, 0, 80, 24));
    render(&typist.model, after.area, &mut after);
    let changed = before.diff(&after).len();
    assert!((1..40).contains(&changed), "{changed} cells changed");
}

#[test]
fn a_real_frame_is_drawn_by_the_terminal_of_ratatui() {
    let typist = run(&Sample::blocked(), 85, COLOUR);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal
        .draw(|frame| {
            let _ = render(&typist.model, frame.area(), frame.buffer_mut());
        })
        .unwrap();
    assert!(terminal.backend().to_string().contains("BLOCKED"));
}

/// Also days that no sample has.
fn days() -> impl Strategy<Value = Day> {
    prop_oneof![(0u8..=Day::LAST).prop_map(Day::Number), Just(Day::Teardown)]
}

fn any_model() -> impl Strategy<Value = Model> {
    let theme = (any::<bool>(), any::<bool>()).prop_map(|(colour, unicode)| Theme::new(colour, unicode));
    let dialog = prop_oneof![
        Just(None),
        (days(), any::<bool>(), 0usize..50)
            .prop_map(|(day, by_hand, scroll)| { Some(Dialog::Gate { day, by_hand, scroll, since: Duration::ZERO }) }),
        any::<bool>().prop_map(|stop| Some(Dialog::Quit { stop })),
        Just(Some(Dialog::Stopping)),
        any::<bool>().prop_map(|stop| Some(Dialog::Stop { stop })),
        (0usize..50).prop_map(|scroll| Some(Dialog::Result { scroll })),
    ];
    let full = prop::sample::select(vec![
        None,
        Some(Full::Detail),
        Some(Full::Log),
        Some(Full::Findings),
        Some(Full::Item(Pane::Pods)),
    ]);
    let pane = prop_oneof![Just(Pane::Detail), prop::sample::select(&Pane::WITH_DIGIT)];
    let cursor = prop_oneof![
        days().prop_map(Row::Day),
        "(day[0-5]\\.(clone/cp1|proxmox|releases/wave-2|none))"
            .prop_map(|s| Row::Step(crate::engine::step::StepId::new(&s))),
    ];
    let scrolls = (0usize..3000, 0usize..3000, 0usize..3000);
    let run = (theme, 0usize..7, dialog, full, pane, cursor, scrolls, any::<i64>(), any::<bool>()).prop_map(
        |(theme, sample, dialog, full, pane, cursor, scrolls, now, help)| {
            let sample = &Sample::all()[sample];
            let mut run =
                RunModel::new(Arc::new(plan(&Defaults::default())), "lab ✓ 日本".into(), "/x".into(), vec!["w".into()]);
            let state = &mut run.state;
            for record in sample.records() {
                run.feed.take(&record, state);
                state.apply(&record);
            }
            run.dialog = dialog;
            run.full = full;
            (run.pane, run.pinned) = (pane, scrolls.1.is_multiple_of(2));
            if scrolls.2.is_multiple_of(2) {
                run.observed.take(Seen::of(&run.plan, 300).snapshots(), Duration::ZERO);
            }
            run.cursor = cursor;
            (run.detail_scroll, run.full_scroll, run.log_back) = scrolls;
            let mut model = Model::new(theme, Screen::Run(Box::new(run)));
            model.now = at(now.rem_euclid(1_000_000));
            model.help = help.then_some(Help { of: Context::Run, scroll: scrolls.0 });
            model
        },
    );
    let home =
        (theme_any(), "[\\PC]{0,12}", prop::collection::vec(0usize..20, 0..25)).prop_map(|(theme, text, keys)| {
            let mut typist = Typist::home(theme);
            let table = "<Up> <Down> <Enter> <Tab> <Esc> <Left> <Right> <End> <PageDown> <Space> a w d y o s u x n ?";
            let table: Vec<&str> = table.split(' ').collect();
            for key in keys {
                typist.keys(table[key]);
                if key == 2 {
                    typist.send(Msg::Paste(text.clone()));
                }
            }
            typist.model
        });
    prop_oneof![3 => run, 2 => home]
}

fn theme_any() -> impl Strategy<Value = Theme> {
    (any::<bool>(), any::<bool>()).prop_map(|(colour, unicode)| Theme::new(colour, unicode))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_view_at_any_size_is_drawn_without_a_panic(model in any_model(), width in 0u16..200, height in 0u16..80) {
        let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
        let drawn = render(&model, buf.area, &mut buf);
        // The lengths that the frame measured hold for the next key.
        let mut model = model;
        model.drawn = drawn;
        for key in ["<Down>", "<PageDown>", "<End>", "<Up>", "<Home>"] {
            let mut typist = Typist { model, size: (width, height), commands: Vec::new() };
            typist.keys(key);
            model = typist.model;
        }
        // A part of a larger buffer is drawn as well as the whole.
        let mut wide = Buffer::empty(Rect::new(0, 0, 60, 20));
        render(&model, Rect::new(3, 2, width, height), &mut wide);
    }
}

#[test]
fn a_broken_plan_is_shown_with_line_reason_and_what_to_write() {
    let finding = crate::plan::Finding {
        rule: "unknown-key".into(),
        severity: crate::plan::Severity::Error,
        file: "plan.yaml".into(),
        line: 12,
        column: 3,
        key: "network.vipp".into(),
        what: "is no key of the plan".into(),
        why: "a key that is not read would be a wish not fulfilled".into(),
        write: "vip:".into(),
    };
    let mut typist = Typist::home(COLOUR);
    typist.keys("<Down><Enter>plan.yaml<Enter>");
    let bad = BadPlan {
        what: "plan file plan.yaml has 1 error to mend".into(),
        next: "mend the errors".into(),
        findings: vec![finding],
        decoded: None,
    };
    let path = PathBuf::from("/home/ann/plan.yaml");
    let commands = update(&mut typist.model, Msg::Loaded { path, result: Err(Box::new(bad)) });
    assert!(commands.is_empty());
    typist.shows(&["1 error to mend", "next: mend the errors", "line 12: network.vipp is no key of the plan"]);
    typist.shows(&["why", "a wish not fulfilled", "write vip:"]);
}

#[test]
fn home_says_what_each_choice_is() {
    let typist = Typist::home(PLAIN);
    let Screen::Home(home) = &typist.model.screen else { panic!("no home") };
    let _: &HomeModel = home;
    typist.shows(&["Fill in a form", "no hardware needed", "Known plans", "blocked", "plans/old.yaml"]);
}
