//! Questions with their answers, and the file that keeps them.
use std::collections::BTreeMap;
use std::fmt::{Debug, Display, Write};
use std::path::PathBuf;

/// A reason that nobody has written yet.
const NO_REASON: &str = "no reason given";

#[derive(Default)]
pub struct Transcript {
    told: Vec<(String, String)>,
}

impl Transcript {
    pub fn ask(&mut self, question: impl Into<String>, answer: impl Into<String>) {
        let (question, answer): (String, String) = (question.into(), answer.into());
        assert!(self.told.iter().all(|(other, _)| *other != question), "asked twice: {question}");
        self.told.push((question, answer.trim_end().to_string()));
    }
}

/// A value of cozyup's client, or its error.
pub fn client<T: Debug, E: Debug + Display>(answer: Result<T, E>) -> String {
    match answer {
        Ok(value) => format!("{value:#?}"),
        Err(error) => format!("{error:?}"),
    }
}

/// An answer of the file: the real one, and the lab's with its reason where that is another.
#[derive(Default, Clone)]
struct Kept {
    real: String,
    lab: Option<(String, String)>,
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/machined/answers.txt")
}

/// `== question`, its answer, then `-- lab: reason` and the lab's answer where it differs.
fn read() -> Vec<(String, Kept)> {
    let mut all: Vec<(String, Kept)> = Vec::new();
    for line in std::fs::read_to_string(file()).unwrap_or_default().lines() {
        if let Some(question) = line.strip_prefix("== ") {
            all.push((question.to_string(), Kept::default()));
            continue;
        }
        let Some((_, kept)) = all.last_mut() else { continue };
        if let Some(reason) = line.strip_prefix("-- lab: ") {
            kept.lab = Some((reason.to_string(), String::new()));
            continue;
        }
        let into = match &mut kept.lab {
            Some((_, answer)) => answer,
            None => &mut kept.real,
        };
        let _ = writeln!(into, "{line}");
    }
    for (_, kept) in &mut all {
        kept.real = kept.real.trim_end().to_string();
        if let Some((_, answer)) = &mut kept.lab {
            *answer = answer.trim_end().to_string();
        }
    }
    all
}

fn write(all: &[(String, Kept)]) {
    let mut text = String::from(
        "What machined, apid and trustd v1.10.6 answer in container mode; written by tests/peers/run machined.\n\n",
    );
    for (question, kept) in all {
        let _ = writeln!(text, "== {question}\n{}", kept.real);
        if let Some((reason, answer)) = &kept.lab {
            let _ = writeln!(text, "-- lab: {reason}\n{answer}");
        }
        text.push('\n');
    }
    std::fs::write(file(), text).unwrap();
}

fn writes() -> bool {
    std::env::var_os("COZYUP_WRITE_ANSWERS").is_some_and(|value| value == "1")
}

/// The real ones say what they said before.
pub fn judge_real(transcript: &Transcript) {
    let before: BTreeMap<String, Kept> = read().into_iter().collect();
    if writes() {
        let renewed = transcript.told.iter().map(|(question, real)| {
            let lab = before.get(question).and_then(|kept| kept.lab.clone());
            (question.clone(), Kept { real: real.clone(), lab })
        });
        return write(&renewed.collect::<Vec<_>>());
    }
    compare(transcript, &before, |kept| &kept.real);
}

/// The lab says what the real ones said, but for what is noted as different.
pub fn judge_lab(transcript: &Transcript) {
    let mut all = read();
    if writes() {
        for (question, kept) in &mut all {
            let said = transcript.told.iter().find(|(q, _)| q == question).map(|(_, said)| said.clone());
            let reason = kept.lab.take().map_or(NO_REASON.to_string(), |(reason, _)| reason);
            kept.lab = said.filter(|said| *said != kept.real).map(|said| (reason, said));
        }
        return write(&all);
    }
    for (question, kept) in &all {
        let Some((reason, answer)) = &kept.lab else { continue };
        assert_ne!(reason, NO_REASON, "{question}");
        assert_ne!(*answer, kept.real, "{question}: there is no difference any more");
    }
    compare(transcript, &all.into_iter().collect(), |kept| kept.lab.as_ref().map_or(&kept.real, |(_, said)| said));
}

fn compare(transcript: &Transcript, kept: &BTreeMap<String, Kept>, wanted: impl Fn(&Kept) -> &String) {
    let mut odd = String::new();
    for (question, said) in &transcript.told {
        match kept.get(question).map(&wanted) {
            Some(wanted) if wanted == said => {}
            Some(wanted) => {
                let _ = writeln!(odd, "== {question}\n-- wanted:\n{wanted}\n-- said:\n{said}\n");
            }
            None => {
                let _ = writeln!(odd, "== {question}\n-- is not in the file; said:\n{said}\n");
            }
        }
    }
    let left = kept.keys().filter(|question| transcript.told.iter().all(|(asked, _)| asked != *question));
    for question in left {
        let _ = writeln!(odd, "== {question}\n-- was not asked\n");
    }
    assert!(odd.is_empty(), "{odd}");
}
