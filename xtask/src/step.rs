//! One step of a task: the programs it runs, their output in `target/xtask/NAME.log`, its time and result.
//!
//! While a program runs, a line on stderr says for how long and what it printed last; the whole output is
//! kept. Of a program that fails the report shows what tells of the failure, wherever it stands, and the end.

use crate::count::Count;
use crate::excerpt::excerpt;
use crate::paths;
use anyhow::{Context, Result, bail};
use std::cell::RefCell;
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a step that is not watched on a terminal says that it is still at work.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// No program of ours takes this long: it hangs.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Something the step needs is not on this machine, and may not be installed.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missing: {}", self.0)
    }
}

impl std::error::Error for Missing {}

/// A running step.
pub(crate) struct Step {
    name: String,
    log: PathBuf,
    begun: Instant,
    /// Works beside another step, which has the terminal.
    quiet: bool,
    /// What the programs printed that failed, each with its call.
    failures: RefCell<Vec<String>>,
    /// Tests counted so far, kept here so that they are not lost when a later part of the step fails.
    pub(crate) counted: Count,
}

impl Step {
    /// Announces a step and empties its log.
    pub(crate) fn begin(name: &str) -> Result<Self> {
        let step = Self::quiet(name)?;
        println!("{name} …");
        Ok(Self {
            quiet: false,
            ..step
        })
    }

    /// A step that works in the background: it only writes its log.
    pub(crate) fn quiet(name: &str) -> Result<Self> {
        fs::create_dir_all(paths::scratch())?;
        let log = paths::scratch().join(format!("{name}.log"));
        File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        Ok(Self {
            name: name.to_owned(),
            log,
            begun: Instant::now(),
            quiet: true,
            failures: RefCell::default(),
            counted: Count::NONE,
        })
    }

    /// Runs a program to its end; the error of a failing one names it.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        self.run_collecting(command).map(drop)
    }

    /// As [`Step::run`], and answers what the program printed.
    pub(crate) fn run_collecting(&self, command: &mut Command) -> Result<String> {
        let (output, succeeded) = self.watch(command)?;
        if !succeeded {
            bail!("{} failed", describe(command));
        }
        Ok(output)
    }

    /// Runs a test runner: its output is wanted even when it fails.
    pub(crate) fn watch(&self, command: &mut Command) -> Result<(String, bool)> {
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        let call = describe(command);
        writeln!(log, "$ {call}")?;
        let start = log.seek(SeekFrom::End(0))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", describe(command)))?;
        let begun = Instant::now();
        let mut progress = Progress::new(&self.name, self.begun);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if begun.elapsed() > LIMIT {
                child.kill()?;
                child.wait()?;
                bail!("{} did not end within {}", describe(command), clock(LIMIT));
            }
            thread::sleep(Duration::from_millis(100));
            if !self.quiet {
                progress.tick(&self.log);
            }
        };
        progress.clear();
        let output = read_from(&self.log, start)?;
        if !status.success() {
            let text = format!("$ {call}\n{}{status}\n", excerpt(&output));
            self.failures.borrow_mut().push(text);
        }
        Ok((output, status.success()))
    }

    /// Writes a note into the log, for the reader of a failure.
    pub(crate) fn note(&self, text: &str) -> Result<()> {
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        writeln!(log, "{text}").map_err(Into::into)
    }

    /// Prints how the step ended, and its log when it failed. Answers its tests: a step that failed
    /// without a failed test counts as one failure, so that the totals never look green beside it.
    pub(crate) fn report(&self, result: &Result<Count>) -> Count {
        let took = clock(self.begun.elapsed());
        match result {
            Ok(count) if *count == Count::NONE => println!("{}: ok in {took}", self.name),
            Ok(count) => println!("{}: ok, {} passed, in {took}", self.name, count.passed),
            Err(error) if error.is::<Missing>() => println!("{}: {error}", self.name),
            Err(error) => {
                let mut shown = self.failures.borrow().concat();
                if shown.is_empty() {
                    shown = excerpt(&read_from(&self.log, 0).unwrap_or_default());
                }
                println!("--- {}\n{shown}---", self.log.display());
                println!("{}: FAILED after {took}: {error:#}", self.name);
            }
        }
        match result {
            Ok(count) => *count,
            Err(_) => Count {
                passed: self.counted.passed,
                failed: self.counted.failed.max(1),
            },
        }
    }
}

/// What a person watching sees of a program that takes its time.
struct Progress {
    name: String,
    begun: Instant,
    told: Instant,
    on_terminal: bool,
    drawn: bool,
}

impl Progress {
    fn new(name: &str, begun: Instant) -> Self {
        Self {
            name: name.to_owned(),
            begun,
            told: Instant::now(),
            on_terminal: std::io::stderr().is_terminal(),
            drawn: false,
        }
    }

    fn tick(&mut self, log: &Path) {
        let pause = if self.on_terminal {
            Duration::from_secs(1)
        } else {
            HEARTBEAT
        };
        if self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        let text = last_line(log);
        let line: String = format!("  {} {}: {text}", self.name, clock(self.begun.elapsed()))
            .chars()
            .take(100)
            .collect();
        if self.on_terminal {
            eprint!("\r\x1b[K{line}");
            self.drawn = true;
        } else {
            eprintln!("{line}");
        }
    }

    fn clear(&self) {
        if self.drawn {
            eprint!("\r\x1b[K");
        }
    }
}

/// A cargo call by the toolchain that runs this task. The folder of that toolchain comes first in PATH:
/// another compiler on the machine, such as the one that [`crate::targets`] installs, must not take over.
pub(crate) fn cargo() -> Command {
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(&cargo);
    command.current_dir(paths::root());
    if let Some(folder) = cargo
        .parent()
        .filter(|folder| folder.join("rustc").is_file())
    {
        command.env("PATH", path_with(folder));
    }
    command
}

/// PATH with `folder` put first.
pub(crate) fn path_with(folder: &Path) -> std::ffi::OsString {
    let old = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(env::split_paths(&old));
    env::join_paths(folders).unwrap_or(old)
}

/// A duration as a person reads it.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", time.as_secs_f32())
    }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

fn read_from(path: &Path, start: u64) -> Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_line(path: &Path) -> String {
    let end = fs::metadata(path).map_or(0, |data| data.len());
    let text = read_from(path, end.saturating_sub(400)).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or_default().trim().to_owned()
}
