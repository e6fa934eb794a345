//! Where the peers are, and what they say.
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The folder that `tests/peers/run` has filled.
pub fn cache() -> PathBuf {
    let folder =
        std::env::var_os("COZYUP_PEERS").expect("COZYUP_PEERS is not set: run tests/peers/run, which builds the peers");
    PathBuf::from(folder)
}

/// A program that `tests/peers/run` has built: `etcd`, `kube-apiserver`, `kubectl`, `talosctl`, `talosfacts`.
pub fn program(name: &str) -> PathBuf {
    let path = cache().join("bin").join(name);
    assert!(path.is_file(), "no {name} in {}: run tests/peers/run", path.display());
    path
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code; `None` when it was ended for taking too long.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }
}

/// Runs it to its end, or ends it after `deadline` (of the wall): a peer that hangs is a fault of ours.
pub fn say(command: &mut Command, deadline: Duration) -> Said {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |stream: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let mut stream = stream;
            let _ = stream.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let err = read(Box::new(child.stderr.take().unwrap()));
    let began = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Said { code, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// A program that goes on until it is ended; ends with the value.
pub struct Following {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Following {
    pub fn start(command: &mut Command) -> Following {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (say, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let say = say.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if say.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Following { child, lines, seen: Vec::new() }
    }

    /// It goes on and has said nothing when `lasts` is over.
    pub fn says_nothing(&mut self, lasts: Duration) {
        match self.lines.recv_timeout(lasts) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(line) => panic!("it says: {line}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it has ended"),
        }
    }

    /// Reads on until a line is as wanted, and gives it.
    pub fn until(&mut self, what: &str, deadline: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let left = deadline.saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(_) => panic!("no {what}; seen:\n{}", self.seen.join("\n")),
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
