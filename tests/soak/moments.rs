//! The real worker, ended by SIGKILL at moments that the seed draws: behind so many records, or after so much time.
use super::How;
use super::rig::standing::{self, Standing};
use super::rig::suffering::{lasted, settled};
use super::rig::worker::{wait_for, word};
use super::rig::{Rig, Shape};
use super::table::Table;
use cozyup::engine::journal::Journal;
use cozyup::session::lock;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Lines of the journal.
    Records(usize),
    /// Since the worker began.
    Time(Duration),
}

/// What a run with this worker and without a kill leaves, and how long it takes.
struct Expected {
    standing: Standing,
    records: usize,
    wall: Duration,
    /// In lab seconds.
    lasted: Duration,
}

fn rig(how: &How) -> Rig {
    Rig::new(&Shape { scenario: "standard", until: how.until, teardown: false, speed: how.speed })
}

fn start(rig: &Rig) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cozyup"));
    command.arg("--state-dir").arg(rig.state()).arg("run").arg(rig.plan());
    command.args(["--yes", "--json", "--until", &rig.shape.until.to_string()]);
    command.env("COZYUP_CLOCK", rig.site().clock().spec().unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn pid(rig: &Rig) -> Option<u32> {
    lock::holder(&rig.folder().join("lock")).ok().flatten().map(|owner| owner.pid)
}

fn lines(rig: &Rig) -> usize {
    let journal = std::fs::read(rig.folder().join("journal.jsonl")).unwrap_or_default();
    journal.iter().filter(|b| **b == b'\n').count()
}

/// Runs to the end.
fn finish(rig: &Rig, mut screen: Child) -> Result<(), String> {
    let status = wait_for("the run ends", || screen.try_wait().unwrap());
    if status.is_err() {
        kill(rig);
        let _ = screen.kill();
        let _ = screen.wait();
    }
    let code = status?.code();
    // The worker ends a moment after its last screen has been told.
    wait_for("the worker is gone", || pid(rig).is_none().then_some(()))?;
    if code == Some(0) { Ok(()) } else { Err(format!("the run ended with exit code {code:?}")) }
}

fn kill(rig: &Rig) -> bool {
    let Some(pid) = pid(rig).and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).unwrap())) else {
        return false;
    };
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
}

/// Whether the worker was killed at this moment; it may have ended before.
fn die(rig: &Rig, mut screen: Child, moment: Moment) -> Result<bool, String> {
    let began = Instant::now();
    let mut ended = false;
    wait_for("the moment comes", || {
        ended = screen.try_wait().unwrap().is_some();
        let come = match moment {
            Moment::Records(n) => lines(rig) >= n,
            Moment::Time(after) => began.elapsed() >= after,
        };
        (ended || (come && pid(rig).is_some())).then_some(())
    })?;
    let killed = !ended && kill(rig);
    wait_for("its screen ends", || screen.try_wait().unwrap())?;
    wait_for("its lock is free", || pid(rig).is_none().then_some(()))?;
    Ok(killed)
}

fn undisturbed(how: &How) -> Expected {
    let rig = rig(how);
    let began = Instant::now();
    finish(&rig, start(&rig)).unwrap_or_else(|why| panic!("without a kill: {why}"));
    let wall = began.elapsed();
    let records = lines(&rig);
    Expected { standing: standing::of(&rig), records, wall, lasted: lasted(&rig).0 }
}

fn draw(random: &mut fastrand::Rng, expected: &Expected) -> Moment {
    if random.bool() {
        Moment::Records(random.usize(1..=expected.records))
    } else {
        Moment::Time(expected.wall.mul_f64(random.f64()))
    }
}

fn last_word(rig: &Rig) -> String {
    let records = Journal::read(&rig.folder().join("journal.jsonl")).map(|r| r.records).unwrap_or_default();
    records.last().map_or("nothing".into(), |r| word(&r.event))
}

struct Suffered {
    points: Vec<String>,
    wrong: Vec<String>,
}

fn suffer(rig: &Rig, expected: &Expected, random: &mut fastrand::Rng, kills: usize) -> Suffered {
    let (mut points, mut wrong) = (Vec::new(), Vec::new());
    for _ in 0..kills {
        let moment = draw(random, expected);
        match die(rig, start(rig), moment) {
            Ok(true) => points.push(format!("{moment:?} {}", last_word(rig))),
            Ok(false) => {}
            Err(why) => wrong.push(why),
        }
    }
    if let Err(why) = finish(rig, start(rig)) {
        wrong.push(why);
    }
    wrong.extend(settled(rig, &expected.standing));
    Suffered { points, wrong }
}

/// Until `kills` workers have been killed, at most `most` in one run. Run number I of a seed is always the same draw.
pub fn run(how: &How, kills: usize, most: usize) -> usize {
    let expected = undisturbed(how);
    println!("a run without a kill: {} records, {:.1} s on the wall", expected.records, expected.wall.as_secs_f64());
    let (part, of) = how.shard;
    let mut table = Table::default();
    let (mut killed, mut number) = (0, part - 1);
    let began = Instant::now();
    let over = || how.minutes.is_some_and(|m| began.elapsed() > Duration::from_secs(60 * m));
    while killed < kills.div_ceil(of) && !over() {
        let mut random = fastrand::Rng::with_seed(how.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let count = random.usize(1..=most);
        let rig = rig(how);
        let Suffered { points, wrong } = suffer(&rig, &expected, &mut random, count);
        let (whole, caught_up) = lasted(&rig);
        killed += points.len();
        table.add(
            &format!("{} times", points.len()),
            !wrong.is_empty(),
            [caught_up, whole.saturating_sub(expected.lasted)],
        );
        if !wrong.is_empty() {
            println!("\nWRONG run {number}\n  killed: {}", points.join(", then "));
            wrong.iter().for_each(|w| println!("  {}", w.replace('\n', "\n  ")));
            if how.keep {
                println!("  kept: {}", rig.keep().display());
            }
        }
        number += of;
    }
    table.print();
    println!("{killed} workers killed, {:.0} s on the wall", began.elapsed().as_secs_f64());
    table.wrong()
}
