//! The real program as a process: started, watched line by line, ended.
//!
//! Every process started here ends with its handle, however the test ends. Nothing waits for a length of time: a test
//! waits for a line, for an end or for an answer, and fails when [`PATIENCE`] is over.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a process prints, line by line, as it comes.
struct Heard {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    unread: Vec<String>,
    ended: bool,
}

impl Heard {
    fn from(stream: impl Read + Send + 'static) -> Arc<Self> {
        let heard = Arc::new(Self {
            lines: Mutex::default(),
            news: Condvar::new(),
        });
        let into = Arc::clone(&heard);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                into.change(|lines| lines.unread.push(line));
            }
            into.change(|lines| lines.ended = true);
        });
        heard
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        self.news.notify_all();
    }

    /// Waits until `pick` finds what it wants.
    fn wait<T>(&self, what: &str, mut pick: impl FnMut(&mut Lines) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = pick(&mut lines) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !lines.ended,
                "{what} did not come; unread: {:#?}",
                lines.unread
            );
            let waited = self.news.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn to_the_end(&self, what: &str) -> String {
        self.wait(what, |lines| lines.ended.then(|| lines.unread.join("\n")))
    }
}

/// A process of this program.
pub(crate) struct Running {
    child: Child,
    out: Arc<Heard>,
    err: Arc<Heard>,
    line: String,
}

impl Running {
    /// Starts it with these arguments.
    pub(crate) fn start(arguments: &[impl AsRef<OsStr>]) -> Self {
        let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
        let line = words.collect::<Vec<_>>().join(" ");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tapcore"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            out: Heard::from(child.stdout.take().unwrap()),
            err: Heard::from(child.stderr.take().unwrap()),
            child,
            line,
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first line it prints that nobody has taken yet.
    pub(crate) fn next(&self) -> Value {
        let line = self.out.wait("a line", |lines| {
            (!lines.unread.is_empty()).then(|| lines.unread.remove(0))
        });
        serde_json::from_str(&line).unwrap()
    }

    /// Waits for the event of this name and takes it; others stay for whoever waits for them.
    pub(crate) fn event(&self, name: &str) -> Value {
        self.event_with(name, |_| true)
    }

    /// The same for the event that `fits`.
    pub(crate) fn event_with(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.out.wait(&format!("event {name}"), |lines| {
            let events = lines.unread.iter();
            let parsed = events.map(|line| serde_json::from_str::<Value>(line).unwrap());
            let at = parsed
                .clone()
                .position(|event| event["event"] == name && fits(&event))?;
            Some(serde_json::from_str(&lines.unread.remove(at)).unwrap())
        })
    }

    /// Types a line.
    pub(crate) fn type_in(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Ends its input and waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        self.end_input();
        let what = format!("the end of `{}`", self.line);
        let (out, err) = (self.out.to_the_end(&what), self.err.to_the_end(&what));
        let code = self.child.wait().unwrap().code();
        Ended {
            line: self.line.clone(),
            code,
            out,
            err,
        }
    }

    /// Whether it has not ended by itself yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end (SIGTERM), waits, and expects that it ended well; answers what nobody has taken of its words.
    pub(crate) fn terminate(self) -> Ended {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.end().exits(0)
    }

    /// The same, when nobody asks for its words.
    pub(crate) fn stop(self) {
        self.terminate();
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    line: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Expects this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`{}` left {self:#?}", self.line);
        self
    }

    /// The one JSON object on its standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:#?}"))
    }

    /// Expects this exit code and, on stderr, nothing but one sentence with these words; nothing on stdout.
    #[track_caller]
    pub(crate) fn says(self, code: i32, words: &[&str]) -> Self {
        let ended = self.exits(code);
        assert_eq!(ended.err.lines().count(), 1, "{ended:#?}");
        assert_eq!(ended.out, "", "{ended:#?}");
        let sentence = ended.err.to_lowercase();
        for word in words {
            assert!(sentence.contains(word), "no {word:?} in {ended:#?}");
        }
        ended
    }

    /// The same where JSON was asked for: on stdout stands an object, whose `error` is answered.
    #[track_caller]
    pub(crate) fn tells(self, code: i32, words: &[&str]) -> Value {
        let error = self.json()["error"].take();
        assert_eq!(
            self.err.trim_end(),
            error["detail"],
            "one sentence, twice: {self:#?}"
        );
        let out = String::new();
        Self { out, ..self }.says(code, words);
        error
    }
}

/// Runs the program to its end, without input.
pub(crate) fn tapcore(arguments: &[impl AsRef<OsStr>]) -> Ended {
    Running::start(arguments).end()
}
