use super::follow::Follower;
use super::line::Sum;
use super::*;
use crate::base::day::Day;
use crate::engine::course::Course;
use crate::engine::record::Event;
use crate::engine::state::RunState;
use crate::engine::state::tests::{at, outline, proof, session};
use crate::engine::step::StepId;
use proptest::prelude::*;

fn records() -> Vec<Record> {
    let step = StepId::new("day1.a");
    [
        session(vec![outline("day1.a", 1, &[])]),
        Event::Intended { step: step.clone(), attempt: 1 },
        Event::HandleKept { step: step.clone(), handle: "UPID:\"},\"sum\":\"x".into() },
        Event::Proven { step, proof: proof() },
    ]
    .into_iter()
    .enumerate()
    .map(|(i, event)| Record { seq: i as u64 + 1, at: at(i as i64), event })
    .collect()
}

fn written(dir: &Path) -> (PathBuf, Vec<u8>) {
    let path = dir.join("journal.jsonl");
    let (mut journal, _) = Journal::open(&path).unwrap();
    for record in records() {
        journal.append(&record).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn what_was_written_is_read_back_and_goes_on_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = written(dir.path());
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    assert_eq!(recovered.records, records());
    assert_eq!(recovered.torn, 0);
    let next = Record { seq: journal.next_seq(), at: at(9), event: Event::StopAsked { by: "ann".into() } };
    journal.append(&next).unwrap();
    assert_eq!(Journal::read(&path).unwrap().records.len(), 5);
}

/// The journal of [`records`] with further lines of these bodies, each with a right checksum.
fn with_bodies(dir: &Path, bodies: &[&str]) -> PathBuf {
    let (path, mut bytes) = written(dir);
    let mut sum = read_back(&bytes, &path).unwrap().sum;
    for body in bodies {
        let (line, next) = line::sealed(body.strip_suffix('}').unwrap().to_string(), sum);
        bytes.extend(line.bytes());
        sum = next;
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The error of `open`, with the file left as it is.
fn refused(path: &Path) -> JournalError {
    let before = std::fs::read(path).unwrap();
    let error = Journal::open(path).unwrap_err();
    assert_eq!(std::fs::read(path).unwrap(), before, "a refusal changes nothing");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error
}

#[test]
fn a_line_of_a_newer_version_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = with_bodies(dir.path(), &[r#"{"other":"shape","v":3}"#]);
    let error = refused(&path);
    assert!(error.to_string().contains("line 5"), "{error}");
    assert!(error.to_string().contains("its version is 3"), "{error}");
    assert!(error.next().contains("was of 0)") && error.next().contains("cut nothing off"), "{}", error.next());
}

/// Version 1 said `until` and `backwards` for the course, and 255 for the day of a teardown.
#[test]
fn a_journal_of_version_1_is_read_and_its_run_goes_on() {
    let outline = |id: &str, day: u8| {
        format!(
            r#"{{"id":"{id}","day":{day},"title":"t","after":[],"band":{{"usual_s":1,"late_s":2}},"changes":true,"momentary":false,"by_hand":""}}"#
        )
    };
    let session = |keys: &str, steps: String| {
        format!(
            r#""event":"session","run":"r","plan":"p","plan_digest":"","cozyup":"0.1.0","host":"jump","pid":1,{keys},"steps":[{steps}]"#
        )
    };
    let there = session(r#""until":2"#, [outline("day1.a", 1), outline("day3.b", 3)].join(","));
    let back = session(r#""until":255,"backwards":true"#, outline("undo.day1.a", 255));
    let events = [
        there.as_str(),
        r#""event":"gate_opened","day":1,"by":"ann""#,
        back.as_str(),
        r#""event":"gate_asked","day":255"#,
        r#""event":"gate_opened","day":255,"by":"ann, who typed the name""#,
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let (mut bytes, mut sum) = (Vec::new(), Sum::default());
    for (n, event) in events.iter().enumerate() {
        let open = format!(r#"{{"seq":{},"at":"1970-01-01T00:00:00Z",{event},"v":1"#, n + 1);
        let (line, next) = line::sealed(open, sum);
        bytes.extend(line.bytes());
        sum = next;
    }
    std::fs::write(&path, bytes).unwrap();
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    let there = RunState::of(&recovered.records[..2]);
    assert_eq!(there.course, Course::Forward { until: Day::Number(2) });
    assert_eq!((there.wanted().count(), there.gates.len()), (1, 1));
    let back = RunState::of(&recovered.records);
    assert_eq!(back.course, Course::Back { cluster_is_lost: false });
    assert_eq!((back.wanted().count(), back.gates.contains_key(&Day::Teardown)), (1, true));
    journal.append(&control(6, "bob")).unwrap();
    assert_eq!(Journal::read(&path).unwrap().records.len(), 6);
}

#[test]
fn an_event_that_is_not_known_is_no_damage_and_is_refused_as_newer() {
    let dir = tempfile::tempdir().unwrap();
    let body = r#"{"seq":5,"at":"1970-01-01T00:00:00Z","event":"applause","loud":true,"v":2}"#;
    let error = refused(&with_bodies(dir.path(), &[body]));
    assert!(matches!(&error, JournalError::Newer { line: 5, what, .. } if what.contains("applause")), "{error:?}");
}

#[test]
fn a_key_that_is_not_known_is_left_in_its_line_while_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let body = r#"{"seq":5,"at":"1970-01-01T00:00:00Z","event":"stop_asked","by":"ann","why":"tea","v":2}"#;
    let path = with_bodies(dir.path(), &[body]);
    let before = std::fs::read(&path).unwrap();
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    assert_eq!(recovered.records.last().unwrap().event, Event::StopAsked { by: "ann".into() });
    journal.append(&control(6, "bob")).unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(&before));
    assert_eq!(Journal::read(&path).unwrap().records.len(), 6);
}

fn control(seq: u64, by: &str) -> Record {
    Record { seq, at: at(9), event: Event::ControlTaken { by: by.into() } }
}

#[test]
fn after_a_line_that_went_to_disk_by_half_nothing_more_is_written() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let file = File::from(std::os::fd::OwnedFd::from(writer));
    let mut journal = Journal::on_open_file(Path::new("pipe"), file);
    let half = journal.append(&control(1, &"x".repeat(1 << 20))).unwrap_err();
    assert!(half.to_string().contains("the journal pipe can't be written"), "{half}");
    let mut room = [0; 4096];
    reader.read_exact(&mut room).unwrap();
    let later = journal.append(&control(1, "ann")).unwrap_err();
    assert!(cause(&later).contains("an earlier record was refused"), "{later:?}");
    drop(journal);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("ann") && !rest.contains('\n'), "nothing stands behind the half line");
}

fn cause(error: &JournalError) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

#[test]
fn a_disk_that_may_not_be_written_says_so_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = written(dir.path());
    let mut journal = Journal::on_open_file(&path, File::open(&path).unwrap());
    let error = journal.append(&records()[0]).unwrap_err();
    assert!(error.to_string().contains("can't be written"), "{error}");
    for (kind, advice) in [
        (ErrorKind::ReadOnlyFilesystem, "make writable again the disk of"),
        (ErrorKind::StorageFull, "make room for"),
        (ErrorKind::QuotaExceeded, "make room for"),
        (ErrorKind::PermissionDenied, "give this user the right"),
        (ErrorKind::Other, "check the disk"),
    ] {
        let error = JournalError::Io { path: "j".into(), verb: "written", source: kind.into() };
        assert!(error.next().starts_with(advice), "{}", error.next());
    }
}

#[test]
fn what_is_no_file_of_its_own_is_refused_by_writer_and_reader_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, _) = written(dir.path());
    let (link, folder, pipe) = (dir.path().join("link"), dir.path().join("folder"), dir.path().join("pipe"));
    std::os::unix::fs::symlink(&whole, &link).unwrap();
    std::fs::create_dir(&folder).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    for (path, what) in [(link, "a symbolic link"), (folder, "folder"), (pipe, "no regular file")] {
        let errors = [Journal::open(&path).map(drop), Journal::read(&path).map(drop), Follower::open(&path).map(drop)];
        for error in errors {
            let error = error.unwrap_err();
            let said = error.to_string();
            assert!(said.contains(what) || said.contains("no regular file"), "{said}");
            assert!(error.next().contains("move away"), "{}", error.next());
        }
    }
}

#[test]
fn a_journal_that_others_could_read_is_made_private_again() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = written(dir.path());
    std::fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
    Journal::open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn zeros_at_the_end_and_nothing_but_zeros_are_what_a_power_cut_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = written(dir.path());
    std::fs::write(&path, [bytes.as_slice(), &[0; 4096]].concat()).unwrap();
    let (_, recovered) = Journal::open(&path).unwrap();
    assert_eq!((recovered.records, recovered.torn), (records(), 4096));
    for empty in [Vec::new(), vec![0; 512]] {
        std::fs::write(&path, &empty).unwrap();
        let (journal, recovered) = Journal::open(&path).unwrap();
        assert_eq!((recovered.records.len(), recovered.torn), (0, empty.len() as u64));
        assert_eq!((journal.next_seq(), std::fs::metadata(&path).unwrap().len()), (1, 0));
    }
}

#[test]
fn a_hole_of_zeros_is_cut_off_only_when_nothing_that_was_promised_follows() {
    let dir = tempfile::tempdir().unwrap();
    for (last, recovers) in [(control(7, "bob").event, true), (Event::StopAsked { by: "bob".into() }, false)] {
        let (path, whole) = written(dir.path());
        let (mut journal, _) = Journal::open(&path).unwrap();
        for seq in 5..7 {
            journal.append(&control(seq, "ann")).unwrap();
        }
        journal.append(&Record { seq: 7, at: at(9), event: last }).unwrap();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[whole.len() + 20..whole.len() + 60].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        if recovers {
            assert_eq!(Journal::open(&path).unwrap().1.records, records());
        } else {
            assert!(matches!(refused(&path), JournalError::Damaged { line: 5, .. }));
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_line_of_another_run_does_not_fit_and_a_line_that_is_missing_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = written(dir.path());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let alone = |line: &[u8]| std::fs::write(&path, line).unwrap();
    alone(lines[1]);
    assert!(matches!(refused(&path), JournalError::Damaged { line: 1, .. }));
    alone(&[lines[0], lines[2], lines[3]].concat());
    assert!(matches!(refused(&path), JournalError::Damaged { line: 2, .. }));
    alone(&[lines[0], lines[0]].concat());
    assert!(matches!(refused(&path), JournalError::Damaged { line: 2, .. }));
    alone(&lines[..2].concat());
    assert_eq!(Journal::open(&path).unwrap().1.records, records()[..2], "a cut between two lines can't be told");
}

#[test]
fn two_readers_see_a_growing_beginning_while_one_writes() {
    const LINES: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let (mut journal, _) = Journal::open(&path).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (1..=LINES).for_each(|seq| journal.append(&control(seq, "ann")).unwrap()));
        scope.spawn(|| {
            let mut seen = 0;
            while seen < LINES {
                let now = Journal::read(&path).unwrap().records.last().map_or(0, |r| r.seq);
                assert!(now >= seen);
                seen = now;
            }
        });
        scope.spawn(|| {
            let mut follower = Follower::open(&path).unwrap();
            let mut seen = 0;
            while seen < LINES {
                for record in follower.news().unwrap() {
                    seen += 1;
                    assert_eq!(record.seq, seen);
                }
            }
        });
    });
}

#[test]
fn a_journal_in_no_folder_is_an_error_that_names_it() {
    let error = Journal::open(Path::new("/nonexistent/j")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/j"), "{error}");
}

proptest! {
    #[test]
    fn a_journal_cut_at_any_byte_gives_a_prefix_of_its_records(cut in 0usize..5000) {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = written(dir.path());
        let cut = cut % (bytes.len() + 1);
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let (_, recovered) = Journal::open(&path).unwrap();
        let all = records();
        prop_assert_eq!(&recovered.records[..], &all[..recovered.records.len()]);
        prop_assert_eq!(std::fs::metadata(&path).unwrap().len() + recovered.torn, cut as u64);
    }

    #[test]
    fn a_flipped_bit_never_gives_other_records(place in 0usize..5000, bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut bytes) = written(dir.path());
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok((_, recovered)) = Journal::open(&path) {
            let all = records();
            prop_assert!(recovered.records.len() < all.len());
            prop_assert_eq!(&recovered.records[..], &all[..recovered.records.len()]);
        }
    }
}

/// harm.md S5: the lock is on the journal itself, whatever becomes of other files.
#[test]
fn a_second_writer_is_refused_by_name_and_readers_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let (mut journal, _) = Journal::open(&path).unwrap();
    assert!(is_written(&path));
    journal.append(&records()[0]).unwrap();
    let error = Journal::open(&path).unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, JournalError::Held { .. }) && said.contains("written by process 1 on jump"), "{said}");
    assert!(error.next().contains("cozyup stop"), "{}", error.next());
    assert_eq!(Follower::open(&path).unwrap().news().unwrap(), records()[..1]);
    assert_eq!(Journal::read(&path).unwrap().records.len(), 1);
    drop(journal);
    let (journal, _) = Journal::open(&path).unwrap();
    assert_eq!(journal.next_seq(), 2);
}

/// harm.md S5, S6
#[test]
fn a_journal_that_is_removed_renamed_or_replaced_or_has_lost_its_lock_takes_nothing_more() {
    let [first, second, third, _] = records().try_into().unwrap();
    let moves: [fn(&Path); 7] = [
        |run| std::fs::remove_file(run.join("journal.jsonl")).unwrap(),
        |run| std::fs::rename(run.join("journal.jsonl"), run.join("old")).unwrap(),
        |run| {
            std::fs::copy(run.join("journal.jsonl"), run.join("copy")).unwrap();
            std::fs::rename(run.join("copy"), run.join("journal.jsonl")).unwrap();
        },
        |run| std::fs::rename(run, run.with_extension("old")).unwrap(),
        |run| std::fs::remove_file(run.join("lock")).unwrap(),
        // Under its own name.
        |run| drop(File::create(run.join("journal.jsonl")).unwrap()),
        |run| {
            let mut file = OpenOptions::new().append(true).open(run.join("journal.jsonl")).unwrap();
            file.write_all(b"x\n").unwrap();
        },
    ];
    for (n, taken_away) in moves.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let lock = File::create(run.join("lock")).unwrap();
        let (mut journal, _) = Journal::open(&run.join("journal.jsonl")).unwrap();
        journal.watch(Held::of(&run.join("lock"), &lock).unwrap());
        journal.append(&first).unwrap();
        taken_away(&run);
        let error = journal.append(&second).unwrap_err();
        assert!(matches!(error, JournalError::Displaced(_)), "{n}: {error}");
        assert!(error.next().contains("put the run's folder back"), "{}", error.next());
        assert!(journal.append(&third).is_err(), "{n}: it went on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_taken_away_is_noticed_while_nothing_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let lock = File::create(dir.path().join("lock")).unwrap();
    let (mut journal, _) = Journal::open(&dir.path().join("journal.jsonl")).unwrap();
    journal.watch(Held::of(&dir.path().join("lock"), &lock).unwrap());
    let soon = Duration::from_secs(5);
    assert!(tokio::time::timeout(soon, journal.displaced()).await.is_err());
    std::fs::remove_file(dir.path().join("journal.jsonl")).unwrap();
    let error = tokio::time::timeout(soon, journal.displaced()).await.unwrap();
    assert!(matches!(error, JournalError::Displaced(Displaced::Gone { .. })), "{error}");
}
